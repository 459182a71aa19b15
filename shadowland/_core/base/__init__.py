"""base: status, errors, records, batches and memory."""

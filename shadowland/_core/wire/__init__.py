"""wire: reading and writing bytes."""

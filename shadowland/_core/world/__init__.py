"""world: what is where and who sees it; knows nothing of packets."""

"""session: what one pair of peers remembers of its datagrams."""

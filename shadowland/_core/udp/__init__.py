"""udp: the only floor that knows a socket."""

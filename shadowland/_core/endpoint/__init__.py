"""endpoint: connections of one socket, without the socket."""

"""Tools for people who look into the wire: reading datagrams, checking an installation."""

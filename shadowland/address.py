"""Addresses as people write them: sl://host:port, names and IPv6 included."""
import socket
from urllib.parse import urlsplit

from shadowland.errors import ConfigError, ConnectError, DisconnectReason

DEFAULT_PORT = 3565


def parse_url(url: str) -> tuple[str, int]:
    """(host, port) of `sl://host[:port]`; ConfigError says what is wrong with anything else.

    >>> parse_url("sl://[::1]:4000"), parse_url("sl://play.example.org")
    (('::1', 4000), ('play.example.org', 3565))
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{url!r} is no address: {error}; write sl://host:port, IPv6 as sl://[::1]:port") from None
    if parts.scheme != "sl" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username:
        raise ConfigError(f"{url!r} is no address; write sl://host:port, for example sl://127.0.0.1:{DEFAULT_PORT}")
    if port == 0:
        raise ConfigError(f"{url!r}: port 0 cannot be reached; the server prints the port that it is bound to")
    return parts.hostname, DEFAULT_PORT if port is None else port


def resolve(host: str, port: int) -> tuple[str, int]:
    """The first numeric address of a name. ConnectError when it has none; may take as long as the resolver does."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise ConnectError(DisconnectReason.CONNECT_TIMEOUT,
                           f"{host!r} cannot be resolved ({error.strerror or error}); check the name") from None
    return str(found[0][4][0]), port

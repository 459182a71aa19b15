"""Python door to the records: their NumPy dtypes, and addresses as text."""
import ipaddress

import numpy as np

ADDRESS_DTYPE = np.dtype([("ip", np.uint8, 16), ("scope", np.uint32), ("port", np.uint16), ("family", np.uint16)])
DATAGRAM_DTYPE = np.dtype([
    ("time_us", np.uint64), ("length", np.uint32), ("ecn", np.uint8), ("reserved", np.uint8, 3),
    ("remote", ADDRESS_DTYPE), ("local", ADDRESS_DTYPE),
])
MESSAGE_DTYPE = np.dtype([
    ("connection", np.uint64), ("time_us", np.uint64), ("offset", np.uint32), ("length", np.uint32),
    ("number", np.uint32), ("channel", np.uint8), ("kind", np.uint8), ("flags", np.uint16),
])
EVENT_DTYPE = np.dtype([
    ("connection", np.uint64), ("time_us", np.uint64), ("token", np.uint32), ("kind", np.uint8), ("reason", np.uint8),
    ("reserved", np.uint16),
])

JOINED = EVENT_JOINED
LEFT = EVENT_LEFT
SNAPSHOT_ACKED = EVENT_SNAPSHOT_ACKED
SNAPSHOT_LOST = EVENT_SNAPSHOT_LOST
DELIVERED = EVENT_DELIVERED
UNDELIVERED = EVENT_UNDELIVERED
MIGRATED = EVENT_MIGRATED
AUTHENTICATE = EVENT_AUTHENTICATE
UNDECODABLE = MESSAGE_UNDECODABLE


def _check_sizes() -> None:
    for name, dtype, size in (
        ("Address", ADDRESS_DTYPE, sizeof(Address)),
        ("Datagram", DATAGRAM_DTYPE, sizeof(Datagram)),
        ("MessageRecord", MESSAGE_DTYPE, sizeof(MessageRecord)),
        ("EventRecord", EVENT_DTYPE, sizeof(EventRecord)),
    ):
        if dtype.itemsize != size:
            raise ImportError(f"{name} has {size} bytes in records.pxd and {dtype.itemsize} in records.pyx")


_check_sizes()


cdef void address_parse(Address* address, object host, object port):
    """Fill `address` from numeric text and a port; ValueError says which of the two is wrong."""
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port} is outside 0 to 65535")
    text, _, scope = host.partition("%")
    parsed = ipaddress.ip_address(text)
    cdef bytes packed = parsed.packed
    if parsed.version == 4:
        if scope:
            raise ValueError(f"{host!r}: an IPv4 address has no scope")
        address_set_ipv4(address, <const char*>packed, port)
        return
    if parsed.ipv4_mapped is not None:
        raise ValueError(f"{host!r} is IPv4 inside IPv6; write {parsed.ipv4_mapped}")
    if scope and not scope.isdecimal():
        import socket
        try:
            scope = socket.if_nametoindex(scope)
        except OSError:
            raise ValueError(f"{host!r}: there is no network interface {scope!r}") from None
    address_set_ipv6(address, <const char*>packed, int(scope or 0), port)


cdef tuple address_format(const Address* address):
    """(host, port) of `address`; ("", 0) if it is not set."""
    cdef bytes ip = (<const char*>address.ip)[:16]
    if address.family == FAMILY_NONE:
        return "", 0
    if address.family == FAMILY_IPV4:
        return str(ipaddress.IPv4Address(ip[12:])), address.port
    host = str(ipaddress.IPv6Address(ip))
    return (f"{host}%{address.scope}" if address.scope else host), address.port


def pack_address(host: str, port: int) -> bytes:
    """The 24 bytes of an Address record (dtype ADDRESS_DTYPE) for numeric `host` and `port` (0 to 65535).

    `host` is "127.0.0.1", "::1" or "fe80::1%eth0". ValueError for anything else, names included: resolve them first.

    >>> pack_address("127.0.0.1", 3565)[10:16].hex()
    'ffff7f000001'
    """
    cdef Address address
    address_parse(&address, host, port)
    return (<const char*>&address)[:sizeof(Address)]


def unpack_address(data: bytes) -> tuple[str, int]:
    """(host, port) of the 24 bytes of an Address record; ("", 0) for the unset one. ValueError on another length.

    >>> unpack_address(pack_address("::1", 9))
    ('::1', 9)
    """
    cdef Address address
    if len(data) != sizeof(Address):
        raise ValueError(f"an Address record has {sizeof(Address)} bytes, not {len(data)}")
    memcpy(&address, <const char*>data, sizeof(Address))
    return address_format(&address)

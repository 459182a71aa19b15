"""The 14-byte header, by the standard library's struct."""
import struct

LAYOUT = struct.Struct("<IBBQ")


def parse(datagram: bytes) -> tuple[int, int, int, int] | None:
    return LAYOUT.unpack_from(datagram) if len(datagram) >= LAYOUT.size else None


def pack(connection_id: int, channel: int, flags: int, sequence: int) -> bytes:
    return LAYOUT.pack(connection_id, channel, flags, sequence)

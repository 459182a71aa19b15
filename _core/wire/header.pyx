"""Python door to the datagram header, for tests and tools; the hot path cimports the kernels instead."""
from collections import namedtuple

SIZE = HEADER_SIZE
ENCRYPTED = FLAG_ENCRYPTED
AEAD = FLAG_AEAD
PHASE = FLAG_PHASE

Fields = namedtuple("Fields", "connection_id channel flags sequence")
Fields.__doc__ = "The header's four fields: connection_id u32, channel u8, flags u8, sequence u64."


def parse(const uint8_t[::1] datagram not None) -> Fields | None:
    """The header of a datagram, None if it is shorter than SIZE bytes (docs/protocol.md, section 1).

    >>> parse(bytes.fromhex("7856341201030807060504030201")).sequence == 0x0102030405060708
    True
    """
    cdef Header header
    if not header_parse(&datagram[0] if datagram.shape[0] else NULL, datagram.shape[0], &header):
        return None
    return Fields(header.connection_id, header.channel, header.flags, header.sequence)


def pack(uint32_t connection_id, uint8_t channel, uint8_t flags, uint64_t sequence) -> bytes:
    """SIZE bytes of header. OverflowError if a field is beyond its width."""
    cdef Header header = Header(connection_id, channel, flags, sequence)
    cdef uint8_t out[HEADER_SIZE]
    header_pack(out, &header)
    return out[:HEADER_SIZE]

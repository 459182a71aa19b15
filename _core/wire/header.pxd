"""The 14-byte header that begins every datagram (docs/protocol.md, section 1).

Owner    The caller owns the bytes and the Header.
Limit    HEADER_SIZE bytes are read or written, never more.
Threads  Any.

     0           4       5       6               14
     +-----------+-------+-------+----------------+
     | id u32    |channel| flags | sequence u64   |     little-endian, packed: the sequence is never aligned
     +-----------+-------+-------+----------------+
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from shadowland._core.wire.endian cimport load_u32, load_u64, store_u32, store_u64

cdef enum:
    HEADER_SIZE = 14

    FLAG_ENCRYPTED = 0x01
    FLAG_AEAD = 0x02
    FLAG_SEALED = 0x03                              # what every session datagram carries, apart from the key phase
    FLAG_PHASE = 0x04                               # lowest bit of the epoch

cdef struct Header:
    uint32_t connection_id                          # 0 marks a handshake datagram
    uint8_t channel                                 # session: 0; handshake: the kind
    uint8_t flags
    uint64_t sequence                               # handshake: the echo


cdef inline bint header_parse(const uint8_t* data, size_t length, Header* header) noexcept nogil:
    """Read the header of a datagram of `length` bytes; False and nothing changed if it is too short to have one."""
    if length < HEADER_SIZE:
        return False
    header.connection_id = load_u32(data)
    header.channel = data[4]
    header.flags = data[5]
    header.sequence = load_u64(data + 6)
    return True


cdef inline void header_pack(uint8_t* out, const Header* header) noexcept nogil:
    """Write HEADER_SIZE bytes to `out`."""
    store_u32(out, header.connection_id)
    out[4] = header.channel
    out[5] = header.flags
    store_u64(out + 6, header.sequence)

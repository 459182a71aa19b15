"""Datagram header: connection id, channel, flags, sequence (docs/protocol.md 1).

Owner    The caller owns the bytes.
Limit    HEADER_SIZE bytes; shorter input is refused.
Threads  Any.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
cdef enum:
    HEADER_SIZE = 14
cdef struct Header:
    uint32_t connection_id
    uint8_t channel
    uint8_t flags
    uint64_t sequence
cdef inline bint header_parse(const uint8_t* d, size_t n, Header* h) noexcept nogil:
    if n < 14:
        return False
    memcpy(&h.connection_id, d, 4)
    h.channel = d[4]
    h.flags = d[5]
    memcpy(&h.sequence, d+6, 8)
    return True
cdef inline void header_pack(uint8_t* d, const Header* h) noexcept nogil:
    memcpy(d, &h.connection_id, 4)
    d[4] = h.channel
    d[5] = h.flags
    memcpy(d+6, &h.sequence, 8)

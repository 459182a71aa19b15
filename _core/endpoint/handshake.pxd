"""What both sides of the handshake share: kinds, sizes and the frame of a handshake datagram (protocol.md 2).

Owner    The caller, of every byte.
Limit    Fixed sizes; callers give buffers that hold them.
Threads  Any.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.wire.crc32c cimport crc32c
from shadowland._core.wire.header cimport HEADER_SIZE, Header, header_pack

cdef enum:
    PROTOCOL_VERSION = 1

    KIND_HELLO = 1
    KIND_COOKIE = 2
    KIND_VERSION = 3
    KIND_CONNECT = 4
    KIND_ACCEPTED = 5
    KIND_REJECTED = 6

    HELLO_SIZE = 96
    COOKIE_DATAGRAM_SIZE = 76
    VERSION_DATAGRAM_SIZE = 23
    CONNECT_PROLOGUE = HEADER_SIZE + 2 + 48         # what stands before message 1, bound into the handshake
    CONNECT_OVERHEAD = CONNECT_PROLOGUE + 32 + 16 + 4
    ANSWER_OVERHEAD = HEADER_SIZE + 2 + 32 + 16 + 4
    CONNECT_FIELDS = 18
    ACCEPTED_FIELDS = 20
    ACCEPTED_AUTHENTICATE = 1                       # flag: the server wants credentials
    PROLOGUE_LABEL_SIZE = 14

cdef inline uint16_t get16(const uint8_t* data) noexcept nogil:
    return data[0] | <uint16_t>(data[1] << 8)

cdef inline uint32_t get32(const uint8_t* data) noexcept nogil:
    return data[0] | <uint32_t>data[1] << 8 | <uint32_t>data[2] << 16 | <uint32_t>data[3] << 24

cdef inline void put16(uint8_t* out, uint16_t value) noexcept nogil:
    out[0], out[1] = <uint8_t>value, <uint8_t>(value >> 8)

cdef inline void put32(uint8_t* out, uint32_t value) noexcept nogil:
    put16(out, <uint16_t>value)
    put16(out + 2, <uint16_t>(value >> 16))

cdef inline uint64_t get64(const uint8_t* data) noexcept nogil:
    return get32(data) | <uint64_t>get32(data + 4) << 32

cdef inline void handshake_begin(uint8_t* out, uint8_t kind, uint64_t echo) noexcept nogil:
    cdef Header header
    header.connection_id = 0
    header.channel = kind
    header.flags = 0
    header.sequence = echo
    header_pack(out, &header)
    put16(out + HEADER_SIZE, PROTOCOL_VERSION)

cdef inline void handshake_end(uint8_t* out, uint32_t length) noexcept nogil:
    """Put the checksum into the last four of `length` bytes."""
    put32(out + length - 4, crc32c(out, length - 4))

cdef inline bint all_zero(const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint8_t seen = 0
    cdef uint32_t i
    for i in range(length):
        seen |= data[i]
    return seen == 0

cdef inline void prologue_of(const uint8_t* connect, uint8_t* out) noexcept nogil:
    """label ‖ version ‖ CONNECT before message 1; PROLOGUE_LABEL_SIZE + 2 + CONNECT_PROLOGUE bytes."""
    memcpy(out, b"shadowland-net", PROLOGUE_LABEL_SIZE)
    put16(out + PROLOGUE_LABEL_SIZE, PROTOCOL_VERSION)
    memcpy(out + PROLOGUE_LABEL_SIZE + 2, connect, CONNECT_PROLOGUE)

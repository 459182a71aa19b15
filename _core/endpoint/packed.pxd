"""Packed messages that arrive: opened straight into the inbox (docs/protocol.md 5.7).

Owner    Works on the endpoint's state; the packed bytes are the caller's.
Limit    The declared size is at most what the channel carries and what the inbox has room for; nothing is written
         beyond it.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from shadowland._core.compress.lz4 cimport open_packed, packed_declared
from shadowland._core.endpoint.connection cimport Connection
from shadowland._core.endpoint.state cimport EndpointState, inbox_push, inbox_room, inbox_undo

cdef enum:
    PACKED_TAKEN = 0
    PACKED_BAD = 1                  # not what it declares, more than the channel carries, or never packed
    PACKED_NO_ROOM = 2

cdef inline bint packed_waits(const EndpointState* state, Connection* connection, const uint8_t* packed,
                              uint32_t length, uint32_t limit) noexcept nogil:
    """Whether the inbox has no room for what a packed payload declares; its first bytes are enough to know."""
    cdef uint32_t head
    cdef uint32_t declared = packed_declared(packed, length, limit, &head)
    return declared != 0 and not inbox_room(state, connection, declared)

cdef inline int inbox_packed(EndpointState* state, Connection* connection, uint8_t channel, uint8_t kind,
                             uint32_t number, const uint8_t* packed, uint32_t length, uint32_t limit,
                             uint64_t time_us) noexcept nogil:
    """Open a packed payload into the inbox; a PACKED_ code, and only with PACKED_TAKEN something stands there."""
    cdef uint32_t head, declared
    cdef uint8_t* payload
    if state.packer.plain[kind]:
        return PACKED_BAD
    declared = packed_declared(packed, length, limit, &head)
    if declared == 0:
        return PACKED_BAD
    if inbox_push(state, connection, time_us, channel, kind, number, declared, &payload) == NULL:
        return PACKED_NO_ROOM
    if open_packed(packed, length, head, payload, declared):
        return PACKED_TAKEN
    inbox_undo(state, connection, declared)
    return PACKED_BAD

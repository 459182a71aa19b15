"""Reliable units into packets (docs/protocol.md 5.2).

Owner    The caller owns the packet; units stay in the slab until they are acknowledged.
Limit    As many units as fit, in one row of numbers, since a packet remembers the first and their count.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from shadowland._core.endpoint.connection cimport (
    CHANNEL_RELIABLE,
    CHANNEL_UNORDERED,
    HEAD_COMPRESSED,
    HEAD_FRAGMENT,
    Connection,
)
from shadowland._core.endpoint.state cimport EndpointState
from shadowland._core.session.channel cimport RELIABLE_MASK, STREAM_CONTROL
from shadowland._core.session.recovery cimport SENT_ELICITING, SentPacket
from shadowland._core.session.sending cimport (
    UNIT_IN_FLIGHT,
    SendMessage,
    SendUnit,
    message_at,
    reliable_next,
    unit_load,
)
from shadowland._core.wire.endian cimport store_u16

cdef inline uint32_t put_length(uint8_t* out, uint32_t length) noexcept nogil:
    """The length of a frame (below 16,384) as uvarint; returns its bytes."""
    if length < 0x80:
        out[0] = <uint8_t>length
        return 1
    out[0] = <uint8_t>(length | 0x80)
    out[1] = <uint8_t>(length >> 7)
    return 2

cdef inline uint32_t unit_head(const SendMessage* message) noexcept nogil:
    """Bytes before the part of a unit."""
    if message.stream > STREAM_CONTROL:
        return 9 if message.units > 1 else 3
    return 10 if message.units > 1 else 6

cdef inline uint32_t put_unit_head(uint8_t* out, const SendMessage* message, uint16_t index,
                                   uint64_t number) noexcept nogil:
    """Head and fields of a unit: stream (channel 1), number, message, place; returns their bytes."""
    cdef uint32_t at = 1
    out[0] = CHANNEL_UNORDERED if message.stream > STREAM_CONTROL else CHANNEL_RELIABLE
    if message.stream <= STREAM_CONTROL:
        out[at] = message.stream
        at += 1
    store_u16(out + at, <uint16_t>number)
    at += 2
    if message.units > 1 or message.stream <= STREAM_CONTROL:
        store_u16(out + at, message.number)
        at += 2
    if message.compressed:
        out[0] |= HEAD_COMPRESSED
    if message.units > 1:
        out[0] |= HEAD_FRAGMENT
        store_u16(out + at, index)
        store_u16(out + at + 2, message.units)
        at += 4
    return at

cdef inline uint32_t put_units(EndpointState* state, Connection* connection, uint8_t* out, uint32_t room,
                               SentPacket* packet) noexcept nogil:
    """Reliable units in one row of numbers, as many as fit."""
    cdef uint32_t at = 0, body
    cdef uint64_t number, first = 0
    cdef SendUnit* unit
    cdef const SendMessage* message
    while reliable_next(&connection.send, &state.slab, &number):
        unit = &connection.send.units[number & RELIABLE_MASK]
        message = message_at(&state.slab, unit.message)
        body = unit_head(message) + unit.length
        if body + 2 > room - at or packet.unit_count == 255:
            break
        if packet.unit_count > 0 and number != first + packet.unit_count:
            break
        if packet.unit_count == 0:
            first = number
            packet.unit_first = <uint32_t>number
        at += put_length(out + at, body)
        at += put_unit_head(out + at, message, unit.index, number)
        unit_load(&state.slab, unit, out + at)
        at += unit.length
        unit.state = UNIT_IN_FLIGHT
        packet.unit_count += 1
        packet.flags |= SENT_ELICITING
    return at

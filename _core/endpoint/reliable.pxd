"""Reliable units that arrive: into the inbox in the order of their streams, or to the control stream (protocol.md 5.2).

Owner    Works on the endpoint's state; what waits lies in the slab.
Limit    As session/receiving has it; what does not fit is counted and not kept, what breaks a rule closes.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.base.records cimport MessageRecord
from shadowland._core.base.slab cimport SLAB_BLOCK, slab_at
from shadowland._core.base.status cimport (
    BYE_FLOW_VIOLATION,
    BYE_PROTOCOL_VIOLATION,
    DROP_BLOCKS_FULL,
    DROP_DUPLICATE,
    DROP_UNKNOWN_MESSAGE,
)
from shadowland._core.endpoint.connection cimport (
    CHANNEL_RELIABLE,
    CHANNEL_UNORDERED,
    HEAD_COMPRESSED,
    HEAD_FRAGMENT,
    Connection,
)
from shadowland._core.endpoint.control cimport (
    FRAME_ELICITS,
    FRAME_ENDED,
    FRAME_FINE,
    FRAME_NOT_KEPT,
    violation,
)
from shadowland._core.endpoint.dispatch cimport control_message
from shadowland._core.endpoint.packed cimport PACKED_NO_ROOM, PACKED_TAKEN, inbox_packed, packed_waits
from shadowland._core.endpoint.state cimport EndpointState, drop_message, inbox_push, inbox_undo
from shadowland._core.session.channel cimport (
    CONTROL_LIMIT,
    RELIABLE_MESSAGE_LIMIT,
    RELIABLE_UNIT_SIZE,
    STREAM_CONTROL,
    STREAM_COUNT,
    STREAM_UNORDERED,
    STREAM_UNORDERED_PARTS,
    STREAMS,
)
from shadowland._core.session.receiving cimport (
    UNIT_BAD,
    UNIT_BEYOND_WINDOW,
    UNIT_DUPLICATE,
    UNIT_KEPT,
    UNIT_NO_ROOM,
    UNIT_NOTHING,
    UNIT_OVER_LIMIT,
    UNIT_READY,
    Arrived,
    Ready,
    ready_length,
    ready_load,
    reliable_ready,
    reliable_receive,
    reliable_taken,
    reliable_untaken,
)
from shadowland._core.wire.endian cimport load_u16

cdef inline uint8_t reliable_channel(uint8_t stream) noexcept nogil:
    """How an inbox record names where a message came from: its channel, of channel 1 the stream in the upper half."""
    return <uint8_t>(CHANNEL_RELIABLE | stream << 4 if stream < STREAMS else CHANNEL_UNORDERED)

cdef inline int deliver_packed(EndpointState* state, Connection* connection, const Ready* ready,
                               uint64_t now_us) noexcept nogil:
    """The same for a compressed message; one that does not open could never be delivered, so it closes."""
    cdef uint8_t* message = state.packer.buffer
    cdef uint32_t length = ready_length(ready), first = length
    cdef const uint8_t* begins = ready.tail
    cdef int opened
    if ready.length > 0:
        begins, first = slab_at(&state.slab, ready.chain), SLAB_BLOCK
    # Looked at where it lies: a message that waits for room is not copied each time it is tried.
    if first > 0 and packed_waits(state, connection, begins + 1, first - 1, RELIABLE_MESSAGE_LIMIT - 1):
        state.stalled = True                        # Endpoint.clear tries again
        return FRAME_NOT_KEPT
    ready_load(&state.slab, ready, message)
    if length == 0 or message[0] == 0 or message[0] > 200:
        drop_message(state, DROP_UNKNOWN_MESSAGE)
        reliable_taken(&connection.receive, &state.slab, &connection.claims, ready)
        return FRAME_FINE
    opened = inbox_packed(state, connection, reliable_channel(ready.unit.stream), message[0], <uint32_t>ready.number,
                          message + 1, length - 1, RELIABLE_MESSAGE_LIMIT - 1, now_us)
    if opened == PACKED_NO_ROOM:
        state.stalled = True                        # Endpoint.clear tries again
        return FRAME_NOT_KEPT
    reliable_taken(&connection.receive, &state.slab, &connection.claims, ready)
    return FRAME_FINE if opened == PACKED_TAKEN else violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)

cdef inline int deliver_whole(EndpointState* state, Connection* connection, const Ready* ready,
                              uint64_t now_us) noexcept nogil:
    """Hand out a reliable message that is whole and in turn; FRAME_NOT_KEPT when the inbox is full."""
    cdef uint32_t length = ready_length(ready)
    cdef uint8_t control[CONTROL_LIMIT]
    cdef uint8_t kind
    cdef uint8_t* payload
    cdef MessageRecord* record
    if ready.unit.stream == STREAM_CONTROL:
        ready_load(&state.slab, ready, control)
        reliable_taken(&connection.receive, &state.slab, &connection.claims, ready)
        if length == 0:
            return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
        return control_message(state, connection, control[0], control + 1, length - 1, now_us) & FRAME_ENDED
    if ready.unit.compressed:
        return deliver_packed(state, connection, ready, now_us)
    record = inbox_push(state, connection, now_us, reliable_channel(ready.unit.stream), 0,
                        <uint32_t>ready.number, length, &payload)
    if record == NULL:
        state.stalled = True                        # Endpoint.clear tries again
        return FRAME_NOT_KEPT
    ready_load(&state.slab, ready, payload)
    reliable_taken(&connection.receive, &state.slab, &connection.claims, ready)
    # The kind is cut off in place: the record begins one byte later.
    kind = payload[0] if length > 0 else 0
    if kind == 0 or kind > 200:
        drop_message(state, DROP_UNKNOWN_MESSAGE)
        inbox_undo(state, connection, length)
        return FRAME_FINE
    record.kind = kind
    record.offset += 1
    record.length -= 1
    return FRAME_FINE

cdef inline int unit_verdict(EndpointState* state, Connection* connection, int kept, uint64_t now_us) noexcept nogil:
    """What the UNIT_ code of a unit means for its packet."""
    if kept == UNIT_DUPLICATE:
        drop_message(state, DROP_DUPLICATE)
        return FRAME_ELICITS
    if kept == UNIT_NO_ROOM:
        drop_message(state, DROP_BLOCKS_FULL)
        return FRAME_ELICITS | FRAME_NOT_KEPT
    if kept == UNIT_BEYOND_WINDOW or kept == UNIT_OVER_LIMIT:
        return violation(state, connection, BYE_FLOW_VIOLATION, now_us)
    if kept == UNIT_BAD:
        return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
    return FRAME_ELICITS

cdef inline int deliver_stream(EndpointState* state, Connection* connection, uint8_t stream,
                               uint64_t now_us) noexcept nogil:
    """Hand out what became next in a stream among the units that waited."""
    cdef uint64_t cursor = 0
    cdef uint8_t buffer[RELIABLE_UNIT_SIZE]
    cdef Ready ready
    cdef int found, result
    while connection.receive.streams[stream].waiting > 0:
        found = reliable_ready(&connection.receive, &state.slab, &connection.claims, stream, &cursor, buffer, &ready)
        if found == UNIT_NOTHING:
            return FRAME_FINE
        if found == UNIT_NO_ROOM:
            state.stalled = True                    # it is acknowledged: Endpoint.clear tries again
            return FRAME_FINE
        if found != UNIT_READY:
            return unit_verdict(state, connection, found, now_us)
        result = deliver_whole(state, connection, &ready, now_us)
        if result & FRAME_ENDED:
            return FRAME_ENDED
        if result & FRAME_NOT_KEPT:
            reliable_untaken(&connection.receive, &state.slab, &connection.claims, &ready, 0)   # it waits already
            return FRAME_FINE
    return FRAME_FINE

cdef inline int deliver_waiting(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """There is room again: hand out what waited for it."""
    cdef uint32_t stream
    if connection.receive.expected == connection.receive.newest:
        return FRAME_FINE
    for stream in range(STREAM_COUNT):
        if deliver_stream(state, connection, <uint8_t>stream, now_us) & FRAME_ENDED:
            return FRAME_ENDED
    return FRAME_FINE

cdef inline int read_reliable(EndpointState* state, Connection* connection, uint8_t channel, const uint8_t* data,
                              uint32_t length, uint8_t bits, uint64_t now_us) noexcept nogil:
    """[stream u8 ‖] number u16 [‖ message u16] [‖ index u16 ‖ count u16] ‖ part: a unit of channel 1 or 2."""
    cdef bint fragment = bits & HEAD_FRAGMENT
    cdef uint32_t header = (5 if channel == CHANNEL_RELIABLE else 2), at = 0
    cdef uint16_t low
    cdef Arrived unit
    cdef Ready ready
    cdef int kept, result
    if fragment:
        header = 9 if channel == CHANNEL_RELIABLE else 8
    if length < header or length - header > RELIABLE_UNIT_SIZE:
        return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
    memset(&unit, 0, sizeof(unit))
    unit.stream = STREAM_UNORDERED_PARTS if fragment else STREAM_UNORDERED
    if channel == CHANNEL_RELIABLE:
        unit.stream = data[0]
        at = 1
        if unit.stream > STREAM_CONTROL:
            return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
    low = load_u16(data + at)
    if channel == CHANNEL_RELIABLE or fragment:
        unit.message = load_u16(data + at + 2)
    if fragment:
        unit.index = load_u16(data + at + 4)
        unit.count = load_u16(data + at + 6)
        if unit.count < 2:
            return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
    unit.length = <uint16_t>(length - header)
    unit.compressed = (bits & HEAD_COMPRESSED) != 0
    kept = reliable_receive(&connection.receive, &state.slab, &connection.claims, low, &unit, data + header,
                            state.limits.session_blocks, &ready)
    if kept == UNIT_READY:
        kept = UNIT_KEPT
        result = deliver_whole(state, connection, &ready, now_us)
        if result & FRAME_ENDED:
            return FRAME_ENDED
        if result & FRAME_NOT_KEPT and not reliable_untaken(&connection.receive, &state.slab, &connection.claims,
                                                            &ready, state.limits.session_blocks):
            kept = UNIT_NO_ROOM
    if kept != UNIT_KEPT:
        return unit_verdict(state, connection, kept, now_us)
    return deliver_stream(state, connection, unit.stream, now_us) | FRAME_ELICITS

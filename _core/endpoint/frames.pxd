"""Frames of an opened body: what each channel's messages do (docs/protocol.md 5.2, 5.3).

Owner    Works on the endpoint's state; payloads are copied into the inbox or the slab.
Limit    Lengths, counts and numbers are checked against what arrived; what does not fit is counted and not kept.
Threads  One at a time.
"""
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.records cimport MessageRecord
from shadowland._core.base.status cimport (
    BYE_PROTOCOL_VIOLATION,
    DROP_BAD_COMPRESSION,
    DROP_BAD_FRAGMENT,
    DROP_BAD_FRAME,
    DROP_BLOCKS_FULL,
    DROP_DUPLICATE,
    DROP_INBOX_FULL,
    DROP_STALE,
    DROP_UNEXPECTED,
    DROP_UNKNOWN_CHANNEL,
    DROP_UNKNOWN_MESSAGE,
)
from shadowland._core.endpoint.authenticate cimport frame_too_early
from shadowland._core.endpoint.connection cimport (
    CHANNEL_CONTROL,
    CHANNEL_INPUT,
    CHANNEL_LATEST,
    CHANNEL_RELIABLE,
    CHANNEL_SNAPSHOT,
    CHANNEL_UNORDERED,
    CHANNEL_UNRELIABLE,
    CONTROL_CLOSE,
    CONTROL_CONFIRM,
    CONTROL_PATH_CHALLENGE,
    CONTROL_PATH_RESPONSE,
    CONTROL_PING,
    CONTROL_PONG,
    FAREWELL_LIMIT,
    HEAD_COMPRESSED,
    HEAD_FRAGMENT,
    WANT_PONG,
    Connection,
    input_take,
    latest_newer,
    latest_taken,
)
from shadowland._core.endpoint.control cimport (
    FRAME_ELICITS,
    FRAME_ENDED,
    FRAME_FINE,
    FRAME_NOT_KEPT,
    violation,
)
from shadowland._core.endpoint.delivery cimport connection_release, mark_dirty
from shadowland._core.endpoint.path cimport path_challenge, path_response
from shadowland._core.endpoint.packed cimport PACKED_NO_ROOM, PACKED_TAKEN, inbox_packed
from shadowland._core.endpoint.reliable cimport read_reliable
from shadowland._core.endpoint.sizes cimport LATEST_LIMIT, UNRELIABLE_LIMIT
from shadowland._core.endpoint.state cimport (
    ROLE_CLIENT,
    ROLE_SERVER,
    EndpointState,
    count_fragments,
    drop_message,
    inbox_push,
    inbox_undo,
    reason_of,
)
from shadowland._core.session.clock cimport clock_sample
from shadowland._core.session.fragment cimport (
    FRAGMENT_BAD,
    FRAGMENT_COMPLETE,
    FRAGMENT_DUPLICATE,
    FRAGMENT_NO_ROOM,
    FragmentSet,
    fragment_add,
    fragment_drop,
    fragment_length,
    fragment_read,
)

cdef inline int deliver(EndpointState* state, Connection* connection, uint8_t channel, uint32_t number,
                        const uint8_t* data, uint32_t length, bint compressed, uint64_t time_us) noexcept nogil:
    """Put a whole message (kind ‖ payload) into the inbox."""
    cdef uint8_t* payload
    cdef int opened
    if length < 1 or data[0] == 0 or data[0] > 200:
        drop_message(state, DROP_UNKNOWN_MESSAGE)
        return FRAME_ELICITS
    if compressed:
        opened = inbox_packed(state, connection, channel, data[0], number, data + 1, length - 1,
                              LATEST_LIMIT if channel == CHANNEL_LATEST else UNRELIABLE_LIMIT, time_us)
        if opened == PACKED_TAKEN:
            return FRAME_ELICITS
        drop_message(state, DROP_INBOX_FULL if opened == PACKED_NO_ROOM else DROP_BAD_COMPRESSION)
        return FRAME_ELICITS | (FRAME_NOT_KEPT if opened == PACKED_NO_ROOM else 0)
    if inbox_push(state, connection, time_us, channel, data[0], number, length - 1, &payload) == NULL:
        drop_message(state, DROP_INBOX_FULL)
        return FRAME_ELICITS | FRAME_NOT_KEPT
    memcpy(payload, data + 1, length - 1)
    return FRAME_ELICITS

cdef inline int read_latest(EndpointState* state, Connection* connection, const uint8_t* data, uint32_t length,
                            bint compressed, uint64_t sequence, uint64_t now_us) noexcept nogil:
    """kind ‖ payload, the newest of its kind. One that is not delivered leaves the way free for what is older."""
    cdef uint32_t before = state.inbox_count
    cdef int result
    if length < 1 or data[0] == 0 or data[0] > 200:
        drop_message(state, DROP_UNKNOWN_MESSAGE)
        return FRAME_ELICITS
    if not compressed and length - 1 > <uint32_t>LATEST_LIMIT:
        drop_message(state, DROP_BAD_FRAME)         # what is compressed says itself how long it is
        return FRAME_ELICITS
    if not latest_newer(&connection.latest, data[0], sequence):
        drop_message(state, DROP_STALE)
        return FRAME_ELICITS
    result = deliver(state, connection, CHANNEL_LATEST, <uint32_t>sequence, data, length, compressed, now_us)
    if state.inbox_count != before:
        latest_taken(&connection.latest, data[0], sequence)
    return result

cdef inline int read_fragment(EndpointState* state, Connection* connection, const uint8_t* data, uint32_t length,
                              uint8_t head, uint64_t sequence, uint64_t now_us) noexcept nogil:
    cdef FragmentSet* complete
    cdef int kept
    cdef uint32_t total
    cdef uint8_t kind
    cdef uint8_t* payload
    cdef MessageRecord* record
    if length < 4:
        drop_message(state, DROP_BAD_FRAGMENT)
        return FRAME_ELICITS
    kept = fragment_add(&state.fragments, &state.slab, connection.handle, data[0] | <uint16_t>(data[1] << 8), data[2],
                        data[3], head, data + 4, length - 4, now_us, &complete)
    count_fragments(state)
    if kept == FRAGMENT_BAD:
        drop_message(state, DROP_BAD_FRAGMENT)
    elif kept == FRAGMENT_DUPLICATE:
        drop_message(state, DROP_DUPLICATE)
    elif kept == FRAGMENT_NO_ROOM:
        drop_message(state, DROP_BLOCKS_FULL)
    elif kept == FRAGMENT_COMPLETE and head & HEAD_COMPRESSED:
        fragment_read(complete, &state.slab, state.packer.buffer)
        # As of a message that was whole: what is acknowledged is the last part, which is not kept for another time.
        deliver(state, connection, CHANNEL_UNRELIABLE, <uint32_t>sequence, state.packer.buffer,
                fragment_length(complete), True, now_us)
        fragment_drop(&state.fragments, &state.slab, complete)
    elif kept == FRAGMENT_COMPLETE:
        total = fragment_length(complete)
        record = inbox_push(state, connection, now_us, CHANNEL_UNRELIABLE, 0, <uint32_t>sequence, total,
                            &payload)
        if record == NULL:
            drop_message(state, DROP_INBOX_FULL)
        else:
            fragment_read(complete, &state.slab, payload)
            kind = payload[0]
            record.kind = kind
            record.offset += 1
            record.length -= 1
            if kind == 0 or kind > 200:
                drop_message(state, DROP_UNKNOWN_MESSAGE)
                inbox_undo(state, connection, total)
        fragment_drop(&state.fragments, &state.slab, complete)
    return FRAME_ELICITS

cdef inline int read_inputs(EndpointState* state, Connection* connection, const uint8_t* data, uint32_t length,
                            uint64_t now_us) noexcept nogil:
    """kind ‖ newest u16 ‖ count ‖ count × (length ‖ payload): those newer than all so far go into the jitter buffer."""
    cdef uint32_t at = 4, count, i, _i, size
    cdef uint16_t low
    cdef int ahead
    if length < 4 or state.role != ROLE_SERVER:
        drop_message(state, DROP_BAD_FRAME)
        return FRAME_ELICITS
    count = data[3]
    if count < 1 or count > 8 or data[0] == 0 or data[0] > 200:
        drop_message(state, DROP_BAD_FRAME)
        return FRAME_ELICITS
    for _i in range(count):                         # whole first: nothing of a malformed frame is used
        if at >= length or data[at] > 60 or length - at - 1 < data[at]:
            drop_message(state, DROP_BAD_FRAME)
            return FRAME_ELICITS
        at += 1 + data[at]
    if at != length:
        drop_message(state, DROP_BAD_FRAME)
        return FRAME_ELICITS
    at = 4
    for i in range(count):
        size = data[at]
        low = <uint16_t>((data[1] | data[2] << 8) - (count - 1 - i))
        ahead = <int16_t>(low - <uint16_t>(connection.inputs.newest & 0xFFFF))
        if ahead > 0 and not input_take(&connection.inputs, connection.inputs.newest + <uint32_t>ahead, data[0],
                                        data + at + 1, <uint8_t>size, now_us):
            drop_message(state, DROP_STALE)         # the jitter buffer was full: the oldest input gave way
        at += 1 + size
    return FRAME_ELICITS

cdef inline uint64_t get_u64(const uint8_t* data) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint32_t i
    for i in range(8):
        value |= <uint64_t>data[i] << (8 * i)
    return value

cdef inline int read_control(EndpointState* state, Connection* connection, const uint8_t* data, uint32_t length,
                             uint64_t now_us) noexcept nogil:
    cdef uint64_t pinged
    if length == 1 and data[0] == CONTROL_CONFIRM:
        return FRAME_ELICITS
    if length == 9 and data[0] == CONTROL_PING:
        connection.pong_time = get_u64(data + 1)
        connection.pong_since_us = now_us
        connection.want |= WANT_PONG
        mark_dirty(state, connection)
        return FRAME_ELICITS
    if length == 17 and data[0] == CONTROL_PONG:
        # The time of our ping, put forward by as long as the answer waited: what is missing to now is the round trip.
        pinged = get_u64(data + 1)
        if connection.ping_sent_us != 0 and connection.ping_sent_us <= pinged <= now_us:
            clock_sample(&connection.clock, get_u64(data + 9) + (now_us - pinged) // 2 - now_us, now_us - pinged,
                         now_us)
            connection.ping_sent_us = 0
        return FRAME_ELICITS
    if length == 9 and (data[0] == CONTROL_PATH_CHALLENGE or data[0] == CONTROL_PATH_RESPONSE):
        if (data[0] == CONTROL_PATH_CHALLENGE) == (state.role == ROLE_SERVER):
            drop_message(state, DROP_UNEXPECTED)    # servers do not move, and clients challenge nobody
        elif state.role == ROLE_SERVER:
            path_response(state, connection, get_u64(data + 1), now_us)
        else:
            path_challenge(state, connection, get_u64(data + 1))
        return FRAME_ELICITS
    if 2 <= length <= 2 + FAREWELL_LIMIT and data[0] == CONTROL_CLOSE:
        connection.reason = reason_of(data[1])
        state.farewell_from = connection.handle
        state.farewell_length = <uint8_t>(length - 2)
        memcpy(state.farewell, data + 2, length - 2)
        connection_release(state, connection, now_us)
        return FRAME_ENDED
    drop_message(state, DROP_BAD_FRAME)
    return FRAME_ELICITS

cdef inline uint8_t head_bits(uint8_t channel) noexcept nogil:
    """The bits that may stand in the head of a frame beside its channel."""
    if channel == CHANNEL_UNRELIABLE:
        return HEAD_FRAGMENT | HEAD_COMPRESSED
    return HEAD_COMPRESSED if channel == CHANNEL_LATEST else 0

cdef inline int read_frame(EndpointState* state, Connection* connection, const uint8_t* data, uint32_t length,
                           uint64_t sequence, uint64_t now_us) noexcept nogil:
    """One frame: head and what follows. Returns FRAME_ bits."""
    cdef uint8_t channel = data[0] & 7, bits = data[0] & 0xF8
    cdef uint8_t* payload
    if connection.joining != 0 and frame_too_early(state, data, length):
        return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
    if channel == CHANNEL_RELIABLE or channel == CHANNEL_UNORDERED:
        if bits & ~(HEAD_FRAGMENT | HEAD_COMPRESSED):
            return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
        return read_reliable(state, connection, channel, data + 1, length - 1, bits, now_us)
    if bits & ~head_bits(channel):
        drop_message(state, DROP_BAD_FRAME)
        return FRAME_ELICITS
    if channel == CHANNEL_SNAPSHOT:
        if state.role != ROLE_CLIENT:
            drop_message(state, DROP_UNEXPECTED)
            return FRAME_ELICITS
        if inbox_push(state, connection, now_us, CHANNEL_SNAPSHOT, 0, <uint32_t>sequence, length - 1,
                      &payload) == NULL:
            drop_message(state, DROP_INBOX_FULL)
            return FRAME_ELICITS | FRAME_NOT_KEPT
        memcpy(payload, data + 1, length - 1)
        return FRAME_ELICITS
    if channel == CHANNEL_INPUT:
        return read_inputs(state, connection, data + 1, length - 1, now_us)
    if channel == CHANNEL_UNRELIABLE:
        if bits & HEAD_FRAGMENT:
            return read_fragment(state, connection, data + 1, length - 1, bits, sequence, now_us)
        return deliver(state, connection, CHANNEL_UNRELIABLE, <uint32_t>sequence, data + 1, length - 1, bits != 0,
                       now_us)
    if channel == CHANNEL_LATEST:
        return read_latest(state, connection, data + 1, length - 1, bits != 0, sequence, now_us)
    if channel == CHANNEL_CONTROL:
        return read_control(state, connection, data + 1, length - 1, now_us)
    drop_message(state, DROP_UNKNOWN_CHANNEL)
    return FRAME_ELICITS

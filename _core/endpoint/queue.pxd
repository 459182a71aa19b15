"""What the application sends and takes: frames into the outbox, units into the slab, inputs out of their buffers.

Owner    Works on the endpoint's state; payloads are copied, so the caller's arena is free again afterwards.
Limit    The outbox and the slab as sized at start; what does not fit is refused with a code, never dropped in silence.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.records cimport MESSAGE_UNDECODABLE, MessageRecord
from shadowland._core.base.status cimport DROP_INBOX_FULL, DROP_UNDECODABLE
from shadowland._core.compress.packer cimport packer_pack
from shadowland._core.endpoint.connection cimport (
    CHANNEL_INPUT,
    CHANNEL_LATEST,
    CHANNEL_RELIABLE,
    CHANNEL_SNAPSHOT,
    CHANNEL_UNORDERED,
    CHANNEL_UNRELIABLE,
    HEAD_COMPRESSED,
    HEAD_FRAGMENT,
    INPUT_DEEP,
    INPUT_PRIME,
    INPUT_SIZE,
    INPUTS_A_TICK,
    NODE_NONE,
    STATE_LIVE,
    WANT_INPUT,
    Connection,
    Input,
    handle_slot,
    input_pop,
    input_push,
)
from shadowland._core.endpoint.delivery cimport mark_dirty
from shadowland._core.endpoint.pace cimport unreliable_admitted
from shadowland._core.endpoint.sizes cimport CONTROL_MOST, LATEST_LIMIT, SNAPSHOT_LIMIT, UNRELIABLE_LIMIT
from shadowland._core.endpoint.state cimport (
    MTU_MINIMUM,
    ROLE_CLIENT,
    EndpointState,
    OutboxNode,
    connection_of,
    drop_message,
    inbox_input,
)
from shadowland._core.endpoint.units cimport put_length
from shadowland._core.session.ack cimport ACK_BLOCK_MAX, ack_withdraw
from shadowland._core.session.channel cimport RELIABLE_MESSAGE_LIMIT, STREAM_UNORDERED, STREAMS
from shadowland._core.session.fragment cimport FRAGMENT_SIZE
from shadowland._core.session.sending cimport reliable_queue
from shadowland._core.wire.header cimport HEADER_SIZE

cdef enum:
    QUEUED = 0
    QUEUE_NO_CONNECTION = 1         # over, or not live yet
    QUEUE_NO_ROOM = 2
    QUEUE_TOO_LONG = 3
    QUEUE_BAD_CHANNEL = 4

cdef inline uint8_t* node_push(EndpointState* state, Connection* connection, uint32_t body, uint8_t channel,
                               uint8_t kind, uint32_t token) noexcept nogil:
    """A node for a frame of `body` bytes; returns where its body goes. The caller made sure of room."""
    cdef uint32_t index = state.node_count
    cdef OutboxNode* node = &state.nodes[index]
    cdef uint8_t* frame = state.outbox_arena + state.outbox_used
    cdef uint32_t used = put_length(frame, body)
    node.offset = state.outbox_used
    node.length = used + body
    node.next = <uint32_t>NODE_NONE
    node.token = token
    node.channel = channel
    node.kind = kind
    state.node_count += 1
    state.outbox_used += node.length
    connection.waiting_bytes += node.length
    if connection.node_tail == <uint32_t>NODE_NONE:
        connection.node_head = index
    else:
        state.nodes[connection.node_tail].next = index
    connection.node_tail = index
    mark_dirty(state, connection)
    state.again = state.again or state.sweeping
    return frame + used

cdef inline uint32_t frame_room(const Connection* connection) noexcept nogil:
    """The longest frame that every packet of this session has room for, whatever else must be in it and whatever the
    path carries by then."""
    return MTU_MINIMUM - HEADER_SIZE - connection.epochs.send.tag_size - ACK_BLOCK_MAX - CONTROL_MOST

cdef inline bint outbox_room(const EndpointState* state, uint32_t nodes, uint32_t size) noexcept nogil:
    return (nodes <= state.limits.outbox_nodes - state.node_count
            and size <= state.limits.outbox_bytes - state.outbox_used)

cdef inline void overtake_latest(EndpointState* state, Connection* connection, uint8_t kind) noexcept nogil:
    """A newer `latest` message makes the one that still waits pointless."""
    cdef uint32_t at = connection.node_head
    while at != <uint32_t>NODE_NONE:
        if state.nodes[at].channel == CHANNEL_LATEST and state.nodes[at].kind == kind:
            state.nodes[at].length = 0
        at = state.nodes[at].next

cdef inline int queue_fragments(EndpointState* state, Connection* connection, uint8_t head, uint8_t kind,
                                const uint8_t* payload, uint32_t length) noexcept nogil:
    """An unreliable message that is too long for one packet: kind ‖ payload in parts."""
    cdef uint32_t total = length + 1, count = (total + FRAGMENT_SIZE - 1) // FRAGMENT_SIZE, i, part, done = 0
    cdef uint8_t* out
    if not outbox_room(state, count, total + count * 8):
        return QUEUE_NO_ROOM
    for i in range(count):
        part = total - i * FRAGMENT_SIZE
        if part > FRAGMENT_SIZE:
            part = FRAGMENT_SIZE
        out = node_push(state, connection, 5 + part, CHANNEL_UNRELIABLE, kind, 0)
        out[0] = head | HEAD_FRAGMENT
        out[1], out[2] = <uint8_t>connection.fragment_id, <uint8_t>(connection.fragment_id >> 8)
        out[3], out[4] = <uint8_t>i, <uint8_t>count
        out += 5
        if i == 0:
            out[0] = kind
            out += 1
            part -= 1
        memcpy(out, payload + done, part)
        done += part
    connection.fragment_id += 1
    return QUEUED

cdef inline int queue_message(EndpointState* state, Connection* connection, uint8_t channel, uint8_t kind,
                              uint32_t token, const uint8_t* payload, uint32_t length) noexcept nogil:
    """Take one message for one live connection; returns a QUEUE_ code. `token` is a snapshot's, or the ticket under
    which the end of a reliable message is told."""
    cdef uint8_t* out
    cdef uint8_t head = channel
    cdef uint32_t packed
    if connection == NULL or connection.state != STATE_LIVE or connection.joining != 0:
        return QUEUE_NO_CONNECTION
    if channel == CHANNEL_SNAPSHOT:
        if length > SNAPSHOT_LIMIT:
            return QUEUE_TOO_LONG
        if not outbox_room(state, 1, length + 3):
            return QUEUE_NO_ROOM
        out = node_push(state, connection, 1 + length, channel, 0, token)
        out[0] = CHANNEL_SNAPSHOT
        memcpy(out + 1, payload, length)
        return QUEUED
    if kind == 0 or kind > 200:
        return QUEUE_BAD_CHANNEL
    if channel == CHANNEL_INPUT:
        if state.role != ROLE_CLIENT:
            return QUEUE_BAD_CHANNEL
        if length > INPUT_SIZE:
            return QUEUE_TOO_LONG
        input_push(&connection.inputs, kind, payload, <uint8_t>length)
        connection.want |= WANT_INPUT
        mark_dirty(state, connection)
        return QUEUED
    if channel & 0x0F == CHANNEL_RELIABLE or channel == CHANNEL_UNORDERED:
        if channel >> 4 >= STREAMS:
            return QUEUE_BAD_CHANNEL
        if length >= RELIABLE_MESSAGE_LIMIT:
            return QUEUE_TOO_LONG
        packed = packer_pack(&state.packer, kind, payload, length)
        if packed:
            payload, length = state.packer.buffer, packed
        if not reliable_queue(&connection.send, &state.slab, &connection.claims,
                              STREAM_UNORDERED if channel == CHANNEL_UNORDERED else channel >> 4, token, kind, payload,
                              length, packed > 0, state.limits.session_blocks):
            return QUEUE_NO_ROOM
        mark_dirty(state, connection)
        return QUEUED
    if channel != CHANNEL_UNRELIABLE and channel != CHANNEL_LATEST:
        return QUEUE_BAD_CHANNEL
    if length > (LATEST_LIMIT if channel == CHANNEL_LATEST else UNRELIABLE_LIMIT):
        return QUEUE_TOO_LONG
    if not unreliable_admitted(state, connection):
        return QUEUE_NO_ROOM
    packed = packer_pack(&state.packer, kind, payload, length)
    if packed:
        head, payload, length = channel | HEAD_COMPRESSED, state.packer.buffer, packed
    if length + 4 > frame_room(connection):
        return queue_fragments(state, connection, head, kind, payload, length)
    if not outbox_room(state, 1, length + 4):
        return QUEUE_NO_ROOM
    if channel == CHANNEL_LATEST:
        overtake_latest(state, connection, kind)
    out = node_push(state, connection, 2 + length, channel, kind, 0)
    out[0], out[1] = head, kind
    memcpy(out + 2, payload, length)
    return QUEUED

cdef inline uint32_t queue_records(EndpointState* state, MessageRecord* records, uint32_t count, const uint8_t* arena,
                                   uint64_t arena_size) noexcept nogil:
    """Take many; each record's flags become its QUEUE_ code. Returns how many were refused."""
    cdef uint32_t i, refused = 0
    cdef MessageRecord* record
    cdef int code
    for i in range(count):
        record = &records[i]
        if record.offset > arena_size or record.length > arena_size - record.offset:
            code = QUEUE_TOO_LONG
        else:
            code = queue_message(state, connection_of(state, record.connection), record.channel, record.kind,
                                 record.number, arena + record.offset, record.length)
        record.flags = <uint16_t>code
        refused += code != QUEUED
    return refused

cdef inline uint32_t collect_inputs(EndpointState* state) noexcept nogil:
    """Server, once a tick: one input of every session that has one into the inbox, two where they pile up."""
    cdef uint32_t slot, _i, times, taken = 0
    cdef Connection* connection
    cdef Input* entry
    for slot in range(state.high_water):
        connection = &state.connections[slot]
        if connection.state != STATE_LIVE:
            continue
        if connection.inputs.depth == 0:
            connection.inputs.primed = False
            connection.inputs.waited = False
            continue
        if not connection.inputs.primed:
            if connection.inputs.depth < INPUT_PRIME and not connection.inputs.waited:
                connection.inputs.waited = True
                continue
            connection.inputs.primed = True
        times = INPUTS_A_TICK if connection.inputs.depth > INPUT_DEEP else 1
        for _i in range(times):
            entry = input_pop(&connection.inputs)
            if inbox_input(state, connection.handle, entry):
                taken += 1
            else:
                drop_message(state, DROP_INBOX_FULL)        # only if the inbox was not emptied since the last tick
    return taken

cdef inline uint32_t withdraw_undecodable(EndpointState* state) noexcept nogil:
    """Snapshots that the world could not keep are not acknowledged. Call before the next outbound pass."""
    cdef uint32_t i, withdrawn = 0
    cdef uint64_t newest
    cdef Connection* connection
    cdef MessageRecord* record
    for i in range(state.inbox_count):
        record = &state.inbox[i]
        if record.channel != CHANNEL_SNAPSHOT or not record.flags & MESSAGE_UNDECODABLE:
            continue
        connection = connection_of(state, record.connection)
        if connection == NULL or connection.state != STATE_LIVE:
            continue
        # The record keeps the low half of the sequence; it is at most a window behind the newest.
        newest = connection.replay.newest
        ack_withdraw(&connection.ack, newest - <uint32_t>(<uint32_t>newest - record.number))
        drop_message(state, DROP_UNDECODABLE)
        withdrawn += 1
    return withdrawn

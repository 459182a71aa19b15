"""From datagrams to messages: look up, test, open, commit, read acks and frames. What fails is counted, nothing else.

Owner    Works on the endpoint's state and the caller's batches; owns nothing.
Limit    Work per datagram is bounded by its length; replies to strangers are never longer than what they sent.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from shadowland._core.base.batch cimport Batch, batch_data
from shadowland._core.base.pages cimport prefetch
from shadowland._core.base.records cimport Datagram, address_same
from shadowland._core.base.status cimport (
    BYE_NONE,
    BYE_SEQUENCE_JUMP,
    DROP_BAD_ACK_BLOCK,
    DROP_BAD_FLAGS,
    DROP_BAD_FRAME,
    DROP_CLOSED,
    DROP_NO_KEYS,
    DROP_OVERSIZED,
    DROP_REPLAYED,
    DROP_SEQUENCE_JUMP,
    DROP_TRUNCATED,
    DROP_UNKNOWN_CONNECTION,
    DROP_WRONG_PATH,
)
from shadowland._core.crypto.aead cimport SUITE_NONE, aead_open
from shadowland._core.endpoint.accept cimport server_handshake, waiting_serve
from shadowland._core.endpoint.connect cimport client_handshake
from shadowland._core.endpoint.connection cimport STATE_LIVE, Connection
from shadowland._core.endpoint.control cimport FRAME_ELICITS, FRAME_ENDED, FRAME_FINE, FRAME_NOT_KEPT
from shadowland._core.endpoint.delivery cimport connection_close, connection_deadline, read_acks, tell_ends
from shadowland._core.endpoint.frames cimport read_frame
from shadowland._core.endpoint.guarded cimport session_admitted, session_judged
from shadowland._core.endpoint.join cimport half_open_packet
from shadowland._core.endpoint.path cimport path_packet
from shadowland._core.endpoint.rekey cimport rekey_failed, rekey_opened
from shadowland._core.endpoint.reliable cimport deliver_waiting
from shadowland._core.endpoint.state cimport (
    HALF_BIT,
    MTU_LARGEST,
    ROLE_SERVER,
    EndpointState,
    drop,
    drop_message,
    session_key,
)
from shadowland._core.endpoint.table cimport TABLE_NONE, table_find
from shadowland._core.session.ack cimport ACK_WORD_MASK, AckBlock, ack_note, ack_parse
from shadowland._core.session.epoch cimport EPOCH_SETTLED, PHASE_FLAG, ReceiveKey, epoch_receive
from shadowland._core.session.replay cimport REPLAY_WORD_MASK, replay_commit, replay_seen
from shadowland._core.wire.header cimport HEADER_SIZE, Header, header_parse

cdef enum:
    PREFETCH_AHEAD = 4
    CACHE_LINE = 64

    SEQUENCE_JUMP_LIMIT = 1048576       # 15 s at 70,000 packets/s: no honest session comes near
    FLAGS_SESSION = 0x03

cdef inline void read_body(EndpointState* state, Connection* connection, const uint8_t* body, uint32_t length,
                           uint64_t sequence, uint64_t now_us) noexcept nogil:
    """Ack block and frames of a packet that opened. The datagram is accepted or dropped here."""
    cdef AckBlock block
    cdef int result = FRAME_FINE, used = ack_parse(body, length, connection.recovery.largest_acked, &block)
    cdef uint32_t at, size
    cdef int reason
    if used < 0:
        drop(state, DROP_BAD_ACK_BLOCK)
        state.bad += 1
        return
    state.accepted += 1
    connection.packets_in += 1
    connection.last_received_us = now_us
    if sequence >= connection.block_sequence:
        connection.block_sequence = sequence + 1
        if block.some:
            reason = read_acks(state, connection, &block, now_us)
            if reason != BYE_NONE:
                connection_close(state, connection, <uint8_t>reason, now_us)
                return
    at = <uint32_t>used
    while at < length:
        size = body[at]
        at += 1
        if size >= 0x80:
            # Two bytes are the longest: no datagram holds a frame of 16,384 bytes.
            if at >= length or body[at] >= 0x80 or body[at] == 0:
                drop_message(state, DROP_BAD_FRAME)
                break
            size = (size & 0x7F) | <uint32_t>body[at] << 7
            at += 1
        if size == 0:
            continue
        if size > length - at:
            drop_message(state, DROP_BAD_FRAME)
            break
        result |= read_frame(state, connection, body + at, size, sequence, now_us)
        if result & FRAME_ENDED:
            return
        at += size
    if not result & FRAME_NOT_KEPT:
        ack_note(&connection.ack, sequence, now_us, result & FRAME_ELICITS, state.limits.max_ack_delay_us,
                 connection.recovery.next_sequence)
    connection_deadline(state, connection)

cdef inline void session_datagram(EndpointState* state, Header* header, uint8_t* data, const Datagram* datagram,
                                  uint64_t now_us) noexcept nogil:
    cdef uint32_t slot, length = datagram.length, sealed
    cdef ReceiveKey* receive
    cdef uint64_t bad
    cdef bint elsewhere = False, newest
    cdef Connection* connection
    if header.channel != 0 or (header.flags & ~PHASE_FLAG) != FLAGS_SESSION:
        drop(state, DROP_BAD_FLAGS)
        return
    slot = table_find(&state.sessions, session_key(state, header.connection_id, &datagram.remote))
    if slot == <uint32_t>TABLE_NONE:
        drop(state, DROP_UNKNOWN_CONNECTION)
        return
    if slot & <uint32_t>HALF_BIT:
        connection = half_open_packet(state, slot & ~<uint32_t>HALF_BIT, header, data, datagram, now_us)
        if connection == NULL:
            return
    else:
        connection = &state.connections[slot]
        if connection.state != STATE_LIVE:
            drop(state, DROP_CLOSED)
            return
        elsewhere = not address_same(&datagram.remote, &connection.remote)
        if state.role == ROLE_SERVER:
            elsewhere = elsewhere or not address_same(&datagram.local, &connection.local)
        elif elsewhere:
            drop(state, DROP_WRONG_PATH)            # a server never moves
            return
        if replay_seen(&connection.replay, header.sequence):
            drop(state, DROP_REPLAYED)
            return
        # Picked by an index, not by a branch: which phase comes is settled long before anybody knows.
        receive = epoch_receive(&connection.epochs, header.flags)
        if receive.key.suite == SUITE_NONE or header.sequence > receive.last:
            drop(state, DROP_NO_KEYS)
            return
        if length < HEADER_SIZE + receive.key.tag_size + 1:
            drop(state, DROP_TRUNCATED)
            return
        if not aead_open(&receive.key, header.connection_id, header.sequence, data, HEADER_SIZE,
                         data + HEADER_SIZE, length - HEADER_SIZE):
            rekey_failed(state, connection, now_us)
            return
        if connection.epochs.state != EPOCH_SETTLED:
            rekey_opened(state, connection, header.flags, header.sequence, now_us)
    if header.sequence > connection.replay.newest and header.sequence - connection.replay.newest > SEQUENCE_JUMP_LIMIT:
        drop(state, DROP_SEQUENCE_JUMP)
        connection_close(state, connection, BYE_SEQUENCE_JUMP, now_us)
        session_judged(state, connection, state.bad, datagram.time_us)
        return
    newest = header.sequence > connection.replay.newest
    if not replay_commit(&connection.replay, header.sequence):
        drop(state, DROP_REPLAYED)
        return
    if not session_admitted(state, connection, length, datagram.time_us):
        return
    sealed = HEADER_SIZE + epoch_receive(&connection.epochs, header.flags).key.tag_size
    bad = state.bad
    connection.bytes_in += length
    if elsewhere:
        path_packet(state, connection, datagram, header.sequence, newest, now_us)
    read_body(state, connection, data + HEADER_SIZE, length - sealed, header.sequence, datagram.time_us)
    session_judged(state, connection, bad, datagram.time_us)

cdef inline void prefetch_session(EndpointState* state, const uint8_t* data, const Datagram* datagram) noexcept nogil:
    """Ask for what a datagram further on will need: sessions come in any order, so the cache rarely has their lines."""
    cdef Header header
    cdef uint32_t slot
    cdef const uint8_t* first
    if not header_parse(data, datagram.length, &header) or header.connection_id == 0:
        return
    slot = table_find(&state.sessions, session_key(state, header.connection_id, &datagram.remote))
    if slot & <uint32_t>HALF_BIT:                   # half open, or TABLE_NONE
        return
    first = <const uint8_t*>&state.connections[slot]
    prefetch(first)
    prefetch(first + CACHE_LINE)
    prefetch(first + 2 * CACHE_LINE)
    prefetch(first + 3 * CACHE_LINE)
    prefetch(&state.connections[slot].guarded)
    prefetch(epoch_receive(&state.connections[slot].epochs, header.flags))
    prefetch(&state.connections[slot].replay)
    prefetch(&state.connections[slot].replay.words[(header.sequence >> 6) & REPLAY_WORD_MASK])
    prefetch(&state.connections[slot].ack.newest)
    prefetch(&state.connections[slot].ack.stored[(header.sequence >> 6) & ACK_WORD_MASK])
    prefetch(&state.connections[slot].recovery.next_sequence)

cdef inline void deliver_stalled(EndpointState* state) noexcept nogil:
    """Inbox and events were emptied: reliable messages, and what became of some, that found them full go first."""
    cdef uint32_t slot
    if not state.stalled:
        return
    state.stalled = False
    for slot in range(state.high_water):
        if state.connections[slot].state == STATE_LIVE:
            tell_ends(state, &state.connections[slot], state.clock_us)
            deliver_waiting(state, &state.connections[slot], state.clock_us)

cdef inline void endpoint_inbound(EndpointState* state, Batch* batch, Batch* replies, uint64_t now_us) noexcept nogil:
    """Take every datagram of `batch`; answers to handshakes go into `replies`. Opens in place."""
    cdef uint32_t i
    cdef Header header
    cdef Datagram* datagram
    cdef uint8_t* data
    state.clock_us = now_us
    if state.role == ROLE_SERVER:
        waiting_serve(state, replies, now_us)
    for i in range(batch.count):
        datagram = &batch.datagrams[i]
        data = batch_data(batch, i)
        if i + PREFETCH_AHEAD < batch.count:
            prefetch_session(state, batch_data(batch, i + PREFETCH_AHEAD), &batch.datagrams[i + PREFETCH_AHEAD])
        state.received += 1
        state.bytes_in += datagram.length
        state.current = datagram
        if datagram.time_us == 0 or datagram.time_us > now_us:
            datagram.time_us = now_us
        if datagram.length > MTU_LARGEST:
            drop(state, DROP_OVERSIZED)
            continue
        if not header_parse(data, datagram.length, &header):
            drop(state, DROP_TRUNCATED)
            continue
        if header.connection_id != 0:
            session_datagram(state, &header, data, datagram, now_us)
        elif state.role == ROLE_SERVER:
            server_handshake(state, &header, data, datagram, replies, now_us)
        else:
            client_handshake(state, &header, data, datagram, now_us)

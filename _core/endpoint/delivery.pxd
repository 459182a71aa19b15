"""What acknowledged and lost packets mean: units go again, inputs are settled, the world hears of its snapshots.

Owner    Works on the endpoint's state; owns nothing.
Limit    Per ack block at most ACK_POSITIONS bits are looked at, per loss pass at most SENT_POSITIONS packets.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.base.records cimport (
    EVENT_DELIVERED,
    EVENT_LEFT,
    EVENT_SNAPSHOT_ACKED,
    EVENT_SNAPSHOT_LOST,
    EVENT_UNDELIVERED,
)
from shadowland._core.base.status cimport BYE_ACK_OF_UNSENT, BYE_NONE
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.endpoint.connection cimport (
    NODE_NONE,
    STATE_CLOSING,
    STATE_CONNECT,
    STATE_ENDED,
    STATE_FREE,
    STATE_HELLO,
    STATE_LIVE,
    WANT_CONFIRM,
    WANT_PROBE,
    Connection,
    handle_slot,
    input_acked,
)
from shadowland._core.endpoint.state cimport ROLE_CLIENT, ROLE_SERVER, EndpointState, event_push
from shadowland._core.endpoint.table cimport table_remove
from shadowland._core.endpoint.trust cimport Credentials
from shadowland._core.session.ack cimport ACK_DELAY_MOST_US, AckBlock, ack_confirm
from shadowland._core.session.congestion cimport (
    congestion_acked,
    congestion_collapse,
    congestion_late,
    congestion_look,
    congestion_lost,
    congestion_sample,
)
from shadowland._core.session.epoch cimport EPOCH_GRACE, EPOCH_SETTLED
from shadowland._core.session.fragment cimport fragments_forget
from shadowland._core.session.mtu cimport MTU_LOWEST, mtu_pass_lost, mtu_probe_acked, mtu_probe_lost
from shadowland._core.session.receiving cimport reliable_receive_clear
from shadowland._core.session.recovery cimport (
    SENT_ACKED,
    SENT_ACKS,
    SENT_APART,
    SENT_CONFIRM,
    SENT_ELICITING,
    SENT_IN_FLIGHT,
    SENT_LOST,
    SENT_PROBE_MTU,
    SentPacket,
    recovery_deadline,
    recovery_landed,
    recovery_late,
    recovery_next_lost,
    recovery_persistent,
    recovery_sample,
    recovery_slot,
)
from shadowland._core.session.sending cimport (
    SendMessage,
    message_at,
    reliable_acked,
    reliable_lost,
    reliable_send_end,
    reliable_told,
    reliable_wants,
)

cdef enum:
    CLOSE_REPEATS = 3
    CLOSE_GAP_US = 50000
    CLOSE_DRAIN_US = 300000

cdef inline void mark_dirty(EndpointState* state, const Connection* connection) noexcept nogil:
    state.dirty[handle_slot(connection.handle)] = 1

cdef inline bint tell_ends(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """Say what became of messages with a ticket; False while the event queue is full: Endpoint.clear goes on."""
    cdef const SendMessage* message
    while connection.send.told_count:
        message = message_at(&state.slab, connection.send.told_head)
        if not event_push(state, connection.handle, now_us, EVENT_DELIVERED if message.delivered else EVENT_UNDELIVERED,
                          BYE_NONE, message.ticket):
            state.stalled = True
            return False
        reliable_told(&connection.send, &state.slab, &connection.claims)
    return True

cdef inline void units_acked(EndpointState* state, Connection* connection, const SentPacket* packet,
                             uint64_t now_us) noexcept nogil:
    reliable_acked(&connection.send, &state.slab, &connection.claims, packet.unit_first, packet.unit_count)
    tell_ends(state, connection, now_us)

cdef inline void path_wake(Connection* connection, uint64_t due_us) noexcept nogil:
    """path_step has something to do at `due_us` (0: nothing)."""
    if due_us != 0 and (connection.path_due_us == 0 or due_us < connection.path_due_us):
        connection.path_due_us = due_us

cdef inline void long_acked(Connection* connection, const SentPacket* packet, uint64_t now_us) noexcept nogil:
    """A packet longer than the lowest MTU arrived: its size is proven, for the path it left by."""
    if packet.sequence < connection.recovery.path_first:
        return
    if packet.flags & SENT_PROBE_MTU:
        connection.mtu = mtu_probe_acked(&connection.mtu_search, connection.mtu, packet.size, now_us)
        path_wake(connection, connection.mtu_search.due_us)
    else:
        connection.mtu_search.passes = 0

cdef inline bint of_this_path(const Connection* connection, const SentPacket* packet) noexcept nogil:
    """Whether the loss of `packet` says something of the load of the path that the session has now."""
    return not packet.flags & SENT_APART and packet.sequence >= connection.recovery.path_first

cdef inline void packet_lost(EndpointState* state, Connection* connection, SentPacket* packet,
                             uint64_t now_us) noexcept nogil:
    recovery_landed(&connection.recovery, packet, SENT_LOST)
    if of_this_path(connection, packet):
        congestion_lost(&connection.congestion)
    if packet.flags & SENT_CONFIRM and not connection.confirmed:
        connection.want |= WANT_CONFIRM
        mark_dirty(state, connection)
    if packet.unit_count and reliable_lost(&connection.send, packet.unit_first, packet.unit_count):
        mark_dirty(state, connection)
    if packet.flags & SENT_PROBE_MTU:
        mtu_probe_lost(&connection.mtu_search, packet.sequence, now_us)
        path_wake(connection, connection.mtu_search.due_us)
    if packet.token:
        event_push(state, connection.handle, now_us, EVENT_SNAPSHOT_LOST, BYE_NONE, packet.token)

cdef inline void packet_acked(EndpointState* state, Connection* connection, SentPacket* packet,
                              uint64_t now_us) noexcept nogil:
    recovery_landed(&connection.recovery, packet, SENT_ACKED)
    congestion_acked(&connection.congestion, packet.size)
    if packet.size > MTU_LOWEST:
        long_acked(connection, packet, now_us)
    if packet.flags & SENT_ACKS:
        ack_confirm(&connection.ack, packet.sequence, packet.said_newest)
    if packet.flags & SENT_CONFIRM:
        connection.confirmed = True
        connection.want &= <uint8_t>~WANT_CONFIRM
    if packet.unit_count:
        units_acked(state, connection, packet, now_us)
    if packet.input_count:
        input_acked(&connection.inputs, packet.input_newest)
    if packet.token:
        event_push(state, connection.handle, now_us, EVENT_SNAPSHOT_ACKED, BYE_NONE, packet.token)

cdef inline void packet_late(EndpointState* state, Connection* connection, SentPacket* packet,
                             uint64_t now_us) noexcept nogil:
    """Declared lost too early: it arrived, and its units need not go again. Its snapshot stays lost, as was told."""
    recovery_late(&connection.recovery, packet)
    if of_this_path(connection, packet):
        congestion_late(&connection.congestion)
    if packet.unit_count:
        units_acked(state, connection, packet, now_us)

cdef inline void detect_losses(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    cdef uint64_t cursor = connection.recovery.oldest, first = 0, last = 0
    cdef bint some = False
    cdef SentPacket* packet
    cdef bint long_lost = False
    while True:
        packet = recovery_next_lost(&connection.recovery, &cursor, now_us)
        if packet == NULL:
            break
        long_lost = long_lost or (packet.size > MTU_LOWEST and of_this_path(connection, packet))
        packet_lost(state, connection, packet, now_us)
        if packet.flags & SENT_ELICITING and of_this_path(connection, packet):
            first = first if some else packet.sequence
            last, some = packet.sequence, True
    if long_lost:
        connection.mtu = mtu_pass_lost(&connection.mtu_search, connection.mtu, now_us)
        path_wake(connection, connection.mtu_search.due_us)
    if some and recovery_persistent(&connection.recovery, first, last, connection.peer_ack_delay_us):
        congestion_collapse(&connection.congestion, <uint64_t>2000000 * connection.mtu
                            // connection.recovery.smoothed_rtt_us, now_us)
        connection.recovery.min_rtt_us = connection.recovery.latest_rtt_us      # RFC 9002 5.2

cdef inline int read_acks(EndpointState* state, Connection* connection, const AckBlock* block,
                          uint64_t now_us) noexcept nogil:
    """Act on a parsed block; returns BYE_NONE or why the session must end."""
    cdef uint64_t sequence, sample = 0
    cdef uint64_t delay_us = block.delay_us
    cdef uint32_t i, byte
    cdef SentPacket* packet
    cdef bint fresh = False                         # the newest it names is acknowledged for the first time
    cdef uint8_t eliciting = 0                      # ... with something that elicits among all of them
    if block.newest >= connection.recovery.next_sequence:
        return BYE_ACK_OF_UNSENT
    packet = recovery_slot(&connection.recovery, block.newest)
    if packet != NULL and packet.state == SENT_IN_FLIGHT:
        fresh = now_us >= packet.time_us and block.newest >= connection.recovery.path_first
        sample = now_us - packet.time_us
        eliciting = packet.flags & SENT_ELICITING
        packet_acked(state, connection, packet, now_us)
    elif packet != NULL and packet.state == SENT_LOST:
        packet_late(state, connection, packet, now_us)
    for byte in range(block.bytes):
        if block.bits[byte] == 0:
            continue
        for i in range(8):
            if not block.bits[byte] >> i & 1:
                continue
            sequence = block.newest - 1 - (byte * 8 + i)
            packet = recovery_slot(&connection.recovery, sequence)
            if packet == NULL:
                continue
            if packet.state == SENT_IN_FLIGHT:
                eliciting |= packet.flags & SENT_ELICITING
                packet_acked(state, connection, packet, now_us)
            elif packet.state == SENT_LOST:
                packet_late(state, connection, packet, now_us)
    if not connection.recovery.acked_some or block.newest > connection.recovery.largest_acked:
        connection.recovery.largest_acked = block.newest
        connection.recovery.acked_some = True
    if fresh and eliciting:                         # RFC 9002 5.1
        # A full field does not say how long it was; mostly the first acknowledgment was lost. It tells of no queue.
        if delay_us < ACK_DELAY_MOST_US:
            congestion_sample(&connection.congestion, sample - delay_us if sample > delay_us else 0, now_us)
        if delay_us > connection.peer_ack_delay_us:
            delay_us = connection.peer_ack_delay_us
        recovery_sample(&connection.recovery, sample, delay_us)
    if eliciting:                                   # RFC 9002 6.2.1
        connection.recovery.pto_count = 0
        connection.want &= <uint8_t>~WANT_PROBE
        connection.unanswered_us = now_us
    detect_losses(state, connection, now_us)
    if fresh:
        congestion_look(&connection.congestion, block.newest, connection.recovery.next_sequence,
                        connection.recovery.bytes_in_flight, now_us)
    if reliable_wants(&connection.send, &state.slab):
        mark_dirty(state, connection)               # the window moved: units that waited behind it may go
    return BYE_NONE

cdef inline uint64_t silence_limit(const EndpointState* state, const Connection* connection) noexcept nogil:
    """How long nothing may come. A client that never heard a sealed packet waits no longer than connecting may take:
    the server may have forgotten the half-open connection before CONFIRM came."""
    if (connection.packets_in == 0 and state.role == ROLE_CLIENT
            and state.limits.connect_timeout_us < connection.idle_timeout_us):
        return state.limits.connect_timeout_us
    return connection.idle_timeout_us

cdef inline void connection_deadline(EndpointState* state, const Connection* connection) noexcept nogil:
    """Work out when outbound must look at a connection again although nothing new was queued."""
    cdef uint64_t due, candidate
    if connection.state == STATE_FREE:
        state.deadlines[handle_slot(connection.handle)] = 0
        return
    if connection.state == STATE_HELLO or connection.state == STATE_CONNECT:
        due = state.attempts[connection.attempt].due_us
        candidate = state.attempts[connection.attempt].started_us + state.limits.connect_timeout_us
        state.deadlines[handle_slot(connection.handle)] = due if due < candidate else candidate
        return
    if connection.state == STATE_CLOSING:
        due = connection.forget_us
        if connection.closes > 0 and connection.close_due_us < due:
            due = connection.close_due_us
        state.deadlines[handle_slot(connection.handle)] = due
        return
    if connection.state == STATE_ENDED:
        state.deadlines[handle_slot(connection.handle)] = 1
        return
    due = connection.last_received_us + silence_limit(state, connection)
    candidate = connection.ping_due_us
    if candidate < due:
        due = candidate
    candidate = recovery_deadline(&connection.recovery, connection.peer_ack_delay_us)
    if candidate != 0 and candidate < due:
        due = candidate
    candidate = connection.path_due_us
    if candidate != 0 and candidate < due:
        due = candidate
    if connection.epochs.state == EPOCH_GRACE and connection.epochs.grace_us < due:
        due = connection.epochs.grace_us
    if connection.rekey.held and connection.epochs.state == EPOCH_SETTLED:
        due = 1                                     # with the next pass that has the time
    candidate = connection.ack.deadline_us          # the peer was promised that it waits no longer: one call too early
    if candidate != 0 and candidate < due + state.gap_us:
        due = candidate - state.gap_us if candidate > state.gap_us else 1
    candidate = state.paces[handle_slot(connection.handle)]
    if candidate != 0 and candidate < due:
        due = candidate
    state.deadlines[handle_slot(connection.handle)] = due

cdef inline void joining_forget(EndpointState* state, uint32_t slot) noexcept nogil:
    """Server: a session is joining no more, one way or the other; its credentials are wiped."""
    state.joining.count -= 1
    sodium.memzero(&state.joining.credentials[slot], sizeof(Credentials))

cdef inline void connection_release(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """Tell the application, of its messages first, and free the slot; waits as ENDED while the event queue is full."""
    cdef uint32_t slot = handle_slot(connection.handle)
    cdef uint64_t handle = connection.handle
    reliable_send_end(&connection.send, &state.slab, &connection.claims)
    if not tell_ends(state, connection, now_us) or (not connection.unannounced and not event_push(
            state, handle, now_us, EVENT_LEFT, connection.reason, 0)):
        connection.state = STATE_ENDED
        state.deadlines[slot] = 1
        return
    if connection.joining != 0 and state.role == ROLE_SERVER:
        joining_forget(state, slot)
    reliable_receive_clear(&connection.receive, &state.slab, &connection.claims)
    fragments_forget(&state.fragments, &state.slab, handle)
    if connection.key != 0:
        table_remove(&state.sessions, connection.key)
    if connection.attempt != <uint32_t>NODE_NONE:
        table_remove(&state.echoes, state.attempts[connection.attempt].echo)
        memset(&state.attempts[connection.attempt], 0, sizeof(state.attempts[0]))
    # Keys and everything else of the session are wiped; only the generation stays.
    memset(connection, 0, sizeof(Connection))
    connection.handle = handle
    connection.state = STATE_FREE
    state.deadlines[slot] = 0
    state.dirty[slot] = 0
    state.paces[slot] = 0
    state.next_free[slot] = state.free_slot
    state.free_slot = slot
    state.live -= 1

cdef inline void connection_close(EndpointState* state, Connection* connection, uint8_t reason,
                                  uint64_t now_us) noexcept nogil:
    """This side ends it: a live session says CLOSE a few times first, a handshake just ends."""
    if connection.state == STATE_CLOSING or connection.state == STATE_ENDED or connection.state == STATE_FREE:
        return
    connection.reason = reason
    if connection.state != STATE_LIVE:
        connection_release(state, connection, now_us)
        return
    connection.state = STATE_CLOSING
    connection.closes = CLOSE_REPEATS
    connection.close_due_us = now_us
    connection.forget_us = now_us + CLOSE_DRAIN_US
    connection.node_head = <uint32_t>NODE_NONE
    connection.node_tail = <uint32_t>NODE_NONE
    mark_dirty(state, connection)
    connection_deadline(state, connection)

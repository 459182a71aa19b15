"""From what waits to sealed datagrams: one pass over the connections that have something to say.

Owner    Works on the endpoint's state and the caller's batch; owns nothing.
Limit    A full batch stops the pass, which goes on there at the next call; FLUSH_PACKETS packets a connection and pass.
Threads  One at a time.

Taking a sequence, sealing and remembering the packet are one operation (seal_packet): no number is ever used twice.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from shadowland._core.base.batch cimport Batch, batch_data, batch_next
from shadowland._core.base.records cimport Datagram
from shadowland._core.base.status cimport BYE_CONNECT_TIMEOUT, BYE_IDLE_TIMEOUT
from shadowland._core.crypto.aead cimport aead_seal
from shadowland._core.endpoint.connection cimport (
    CHANNEL_CONTROL,
    CHANNEL_INPUT,
    CONTROL_CLOSE,
    CONTROL_CONFIRM,
    CONTROL_PING,
    CONTROL_PONG,
    INPUT_POSITIONS,
    NODE_NONE,
    STATE_CLOSING,
    STATE_CONNECT,
    STATE_ENDED,
    STATE_FREE,
    STATE_HELLO,
    STATE_LIVE,
    WANT_CONFIRM,
    WANT_INPUT,
    WANT_PING,
    WANT_PONG,
    WANT_PROBE,
    Connection,
    Input,
    handle_slot,
    input_pending,
)
from shadowland._core.endpoint.connect cimport connect_step
from shadowland._core.endpoint.delivery cimport (
    CLOSE_GAP_US,
    connection_deadline,
    connection_release,
    detect_losses,
    mark_dirty,
    packet_lost,
    silence_limit,
)
from shadowland._core.endpoint.pace cimport inputs_turn, pace_sent, pace_wait, units_fit, units_turn
from shadowland._core.endpoint.path cimport path_step
from shadowland._core.endpoint.rekey cimport rekey_pass, rekey_step
from shadowland._core.endpoint.state cimport ROLE_CLIENT, EndpointState, OutboxNode, count_fragments
from shadowland._core.endpoint.units cimport put_length, put_units
from shadowland._core.session.ack cimport ack_pack
from shadowland._core.session.congestion cimport congestion_refill
from shadowland._core.session.fragment cimport fragments_sweep
from shadowland._core.session.mtu cimport MTU_LOWEST
from shadowland._core.session.recovery cimport (
    SENT_ACKS,
    SENT_CONFIRM,
    SENT_ELICITING,
    SENT_IN_FLIGHT,
    SentPacket,
    recovery_evicted,
    recovery_first,
    recovery_mark,
    recovery_pto,
    recovery_sent,
    recovery_slot,
)
from shadowland._core.session.sending cimport reliable_probe
from shadowland._core.wire.header cimport HEADER_SIZE, Header, header_pack

cdef enum:
    FLUSH_PACKETS = 40          # of one connection in one pass, so that one bulk transfer cannot fill a batch alone
    FLAGS_SEALED = 0x03

    PACKET_NO_ROOM = 0
    PACKET_ACK_ONLY = 1
    PACKET_ELICITING = 2

cdef inline void put_u64(uint8_t* out, uint64_t value) noexcept nogil:
    cdef uint32_t i
    for i in range(8):
        out[i] = <uint8_t>(value >> (8 * i))

cdef inline uint32_t put_control(Connection* connection, uint8_t* out, SentPacket* packet,
                                 uint64_t now_us) noexcept nogil:
    """CONFIRM, PONG, PING: what the connection wants of them."""
    cdef uint32_t at = 0
    if connection.want & WANT_CONFIRM:
        out[at], out[at + 1], out[at + 2] = 2, CHANNEL_CONTROL, CONTROL_CONFIRM
        at += 3
        packet.flags |= SENT_ELICITING | SENT_CONFIRM
    if connection.want & WANT_PONG:
        out[at], out[at + 1], out[at + 2] = 18, CHANNEL_CONTROL, CONTROL_PONG
        put_u64(out + at + 3, connection.pong_time + (now_us - connection.pong_since_us))
        put_u64(out + at + 11, now_us)
        at += 19
        packet.flags |= SENT_ELICITING
    if connection.want & WANT_PING:
        out[at], out[at + 1], out[at + 2] = 10, CHANNEL_CONTROL, CONTROL_PING
        put_u64(out + at + 3, now_us)
        connection.ping_sent_us = now_us
        at += 11
        packet.flags |= SENT_ELICITING
    connection.want &= <uint8_t>~(WANT_CONFIRM | WANT_PONG | WANT_PING)
    return at

cdef inline uint32_t put_inputs(Connection* connection, uint8_t* out, uint32_t room, SentPacket* packet) noexcept nogil:
    """The last unacknowledged inputs, oldest first; a frame for each run of one kind."""
    cdef uint32_t pending = input_pending(&connection.inputs), at = 0, first, number, i, size, run, body
    cdef const Input* entry
    if pending == 0:
        return 0
    first = connection.inputs.newest - pending + 1
    while first - connection.inputs.newest - 1 != 0:            # first <= newest, also where numbers wrap
        entry = &connection.inputs.ring[first % INPUT_POSITIONS]
        run = 0
        size = 0
        number = first
        while number - connection.inputs.newest - 1 != 0:
            if connection.inputs.ring[number % INPUT_POSITIONS].kind != entry.kind:
                break
            size += 1 + connection.inputs.ring[number % INPUT_POSITIONS].length
            run += 1
            number += 1
        body = 5 + size
        if body + 2 > room - at:
            break
        at += put_length(out + at, body)
        out[at] = CHANNEL_INPUT
        out[at + 1] = entry.kind
        out[at + 2] = <uint8_t>(number - 1)
        out[at + 3] = <uint8_t>((number - 1) >> 8)
        out[at + 4] = <uint8_t>run
        at += 5
        for i in range(run):
            entry = &connection.inputs.ring[(first + i) % INPUT_POSITIONS]
            out[at] = entry.length
            memcpy(out + at + 1, entry.data, entry.length)
            at += 1 + entry.length
        packet.input_newest = <uint16_t>(number - 1)
        packet.input_count = <uint8_t>(packet.input_count + run)
        first = number
    if at > 0:
        packet.flags |= SENT_ELICITING
    if first - connection.inputs.newest == 1:
        connection.want &= <uint8_t>~WANT_INPUT
    return at

cdef inline uint32_t put_nodes(EndpointState* state, Connection* connection, uint8_t* out, uint32_t room,
                               SentPacket* packet) noexcept nogil:
    """Queued frames in order, as many as fit; one snapshot a packet, since a packet remembers one token."""
    cdef uint32_t at = 0
    cdef OutboxNode* node
    while connection.node_head != <uint32_t>NODE_NONE:
        node = &state.nodes[connection.node_head]
        if node.length > room - at or (node.token != 0 and packet.token != 0):
            break
        if node.length > 0:
            memcpy(out + at, state.outbox_arena + node.offset, node.length)
            at += node.length
            if node.token != 0:
                packet.token = node.token
            packet.flags |= SENT_ELICITING
        connection.node_head = node.next
    if connection.node_head == <uint32_t>NODE_NONE:
        connection.node_tail = <uint32_t>NODE_NONE
        connection.waiting_bytes = 0
    return at

cdef inline int seal_packet(EndpointState* state, Connection* connection, Batch* batch, uint64_t now_us,
                            bint closing) noexcept nogil:
    """Fill, number, seal and remember one packet: a PACKET_ code. With PACKET_NO_ROOM nothing has happened."""
    cdef Datagram* datagram = batch_next(batch)
    cdef uint8_t* data
    cdef uint32_t at = HEADER_SIZE, end
    cdef bint probing = connection.want & WANT_PROBE
    cdef SentPacket packet
    cdef SentPacket* evicted
    cdef Header header
    if datagram == NULL or batch.slot_size < connection.mtu:
        return PACKET_NO_ROOM
    data = batch_data(batch, batch.count)
    memset(&packet, 0, sizeof(SentPacket))
    # A probe of silence is short: where long ones vanish it still gets through, and tells so.
    end = (MTU_LOWEST if probing else connection.mtu) - connection.epochs.send.tag_size
    evicted = recovery_evicted(&connection.recovery)
    if evicted != NULL:
        packet_lost(state, connection, evicted, now_us)
    at += ack_pack(&connection.ack, data + at, now_us)
    if connection.ack.some:
        packet.flags |= SENT_ACKS
        packet.said_newest = connection.ack.newest
    if closing:
        data[at], data[at + 1], data[at + 2] = <uint8_t>(3 + connection.farewell_length), CHANNEL_CONTROL, CONTROL_CLOSE
        data[at + 3] = connection.reason
        memcpy(data + at + 4, connection.farewell, connection.farewell_length)
        at += 4 + connection.farewell_length
    else:
        at += put_control(connection, data + at, &packet, now_us)
        at += put_nodes(state, connection, data + at, end - at, &packet)
        # A fresh input goes before reliable data, a repeated one after it: otherwise one of the two could starve.
        if connection.want & WANT_INPUT:
            at += put_inputs(connection, data + at, end - at, &packet)
        if probing or (units_fit(state, connection) and units_turn(connection, now_us)):
            at += put_units(state, connection, data + at, end - at, &packet)
        if state.role == ROLE_CLIENT and packet.input_count == 0:
            at += put_inputs(connection, data + at, end - at, &packet)
        if probing and not packet.flags & SENT_ELICITING:
            data[at], data[at + 1], data[at + 2] = 10, CHANNEL_CONTROL, CONTROL_PING
            put_u64(data + at + 3, now_us)
            at += 11
            packet.flags |= SENT_ELICITING
        connection.want &= <uint8_t>~WANT_PROBE
    header.connection_id = connection.id
    header.channel = 0
    header.flags = FLAGS_SEALED | connection.epochs.send_flag
    header.sequence = connection.recovery.next_sequence
    header_pack(data, &header)
    aead_seal(&connection.epochs.send, connection.id, header.sequence, data, HEADER_SIZE, data + HEADER_SIZE,
              at - HEADER_SIZE)
    packet.size = <uint16_t>(at + connection.epochs.send.tag_size)
    if packet.flags & SENT_ELICITING:
        pace_sent(connection, packet.size, packet.unit_count, probing, now_us)
    recovery_sent(&connection.recovery, &packet, now_us)
    datagram.length = packet.size
    datagram.remote = connection.remote
    datagram.local = connection.local
    batch.count += 1
    connection.packets_out += 1
    connection.bytes_out += packet.size
    state.sent += 1
    state.bytes_out += packet.size
    return PACKET_ELICITING if packet.flags & SENT_ELICITING else PACKET_ACK_ONLY

cdef inline bint wants_packet(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    if connection.want & ~<uint8_t>WANT_INPUT or connection.node_head != <uint32_t>NODE_NONE:
        return True
    if connection.want & WANT_INPUT and inputs_turn(connection):
        return True
    if connection.ack.deadline_us != 0 and connection.ack.deadline_us < now_us + state.gap_us + 1:
        return True
    return units_turn(connection, now_us) and units_fit(state, connection)

cdef inline void probe(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """The probe timeout struck: the oldest units go again, and something that elicits is sent (RFC 9002 6.2.4)."""
    cdef uint64_t sequence = recovery_first(&connection.recovery)
    cdef SentPacket* packet
    connection.recovery.pto_count += 1
    connection.recovery.last_eliciting_us = now_us
    connection.want |= WANT_PROBE
    while sequence < connection.recovery.next_sequence:
        packet = recovery_slot(&connection.recovery, sequence)
        if packet != NULL and packet.state == SENT_IN_FLIGHT:
            if packet.flags & SENT_CONFIRM and not connection.confirmed:
                connection.want |= WANT_CONFIRM
                return
        sequence += 1
    # Not those of the oldest packet: what the window waits for may have gone again in a later one.
    reliable_probe(&connection.send)

cdef inline void run_timers(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """Loss by time, probes, pings, idle timeout of one live connection."""
    cdef uint64_t probe_us
    if now_us >= connection.last_received_us + silence_limit(state, connection):
        connection.reason = BYE_IDLE_TIMEOUT
        if state.role == ROLE_CLIENT and connection.packets_in == 0:
            connection.reason = BYE_CONNECT_TIMEOUT
        connection_release(state, connection, now_us)
        return
    probe_us = connection.recovery.last_eliciting_us + recovery_pto(&connection.recovery, connection.peer_ack_delay_us)
    if connection.recovery.loss_time_us != 0 and connection.recovery.loss_time_us <= now_us:
        detect_losses(state, connection, now_us)
    elif connection.recovery.loss_time_us == 0 and connection.recovery.eliciting_in_flight > 0 and probe_us <= now_us:
        probe(state, connection, now_us)
    if now_us >= connection.ping_due_us:
        connection.want |= WANT_PING
        recovery_mark(&connection.recovery)
        connection.ping_due_us = now_us + connection.ping_gap_us
        connection.ping_gap_us *= 2
        if connection.ping_gap_us > state.limits.ping_us:
            connection.ping_gap_us = state.limits.ping_us

cdef inline bint flush_connection(EndpointState* state, Connection* connection, Batch* batch,
                                  uint64_t now_us) noexcept nogil:
    """Send what one connection has to say; False when the batch is full and more waits."""
    cdef uint32_t packets = 0, slot = handle_slot(connection.handle)
    cdef int sent
    if connection.state == STATE_HELLO or connection.state == STATE_CONNECT:
        return connect_step(state, connection, batch, now_us)
    if connection.state == STATE_ENDED:
        connection_release(state, connection, now_us)
        return True
    if connection.state == STATE_CLOSING:
        if connection.closes > 0 and connection.close_due_us <= now_us:
            if seal_packet(state, connection, batch, now_us, True) == PACKET_NO_ROOM:
                return False
            connection.closes -= 1
            connection.close_due_us = now_us + CLOSE_GAP_US
        state.dirty[slot] = 0
        if connection.forget_us <= now_us:
            connection_release(state, connection, now_us)
        else:
            connection_deadline(state, connection)
        return True
    if connection.state != STATE_LIVE:
        return True
    if state.deadlines[slot] != 0 and state.deadlines[slot] <= now_us:
        run_timers(state, connection, now_us)
        if connection.state != STATE_LIVE:
            return True
    if connection.path_due_us != 0 and connection.path_due_us <= now_us:
        if not path_step(state, connection, batch, now_us):
            return False
    rekey_step(state, connection, now_us)
    if connection.state != STATE_LIVE:
        return True
    congestion_refill(&connection.congestion, now_us)
    while wants_packet(state, connection, now_us):
        if packets >= FLUSH_PACKETS and connection.node_head == <uint32_t>NODE_NONE:
            mark_dirty(state, connection)           # the rest of the reliable units goes with the next pass
            connection_deadline(state, connection)
            return True
        sent = seal_packet(state, connection, batch, now_us, False)
        if sent == PACKET_NO_ROOM:
            return False
        if sent == PACKET_ACK_ONLY:
            break
        packets += 1
    state.dirty[slot] = 0
    pace_wait(state, connection, now_us)
    connection_deadline(state, connection)
    return True

cdef inline bint endpoint_pace(EndpointState* state, Batch* batch, uint64_t now_us) noexcept nogil:
    """Between two ticks: what waited for its turn. False when `batch` is full."""
    cdef uint32_t slot
    cdef uint64_t next_us = 0
    if state.paced_us == 0 or now_us < state.paced_us or state.sweeping:
        return True
    for slot in range(state.high_water):
        if state.paces[slot] == 0:
            continue
        if state.paces[slot] <= now_us and not flush_connection(state, &state.connections[slot], batch, now_us):
            return False                            # paced_us still says now
        if state.paces[slot] != 0 and (next_us == 0 or state.paces[slot] < next_us):
            next_us = state.paces[slot]
    state.paced_us = next_us
    return True

cdef inline bint endpoint_outbound(EndpointState* state, Batch* batch, uint64_t now_us) noexcept nogil:
    """Fill `batch`; True when everything due was put in, False when it is full and must be called again."""
    cdef uint32_t slot
    state.clock_us = now_us
    if not state.sweeping:
        state.sweep = 0
        state.sweeping = True
        state.gap_us = now_us - state.swept_us if 0 < state.swept_us < now_us else 0
        state.swept_us = now_us
        rekey_pass(state)
    while True:
        while state.sweep < state.high_water:
            slot = state.sweep
            if state.dirty[slot] or (state.deadlines[slot] != 0 and state.deadlines[slot] <= now_us):
                if not flush_connection(state, &state.connections[slot], batch, now_us):
                    return False
            state.sweep += 1
        if not state.again:
            break
        state.again = False                         # frames may only be forgotten when no session holds one any more
        state.sweep = 0
    state.sweeping = False
    # Every queued frame is in a packet now, or belonged to a session that ended.
    state.node_count = 0
    state.outbox_used = 0
    fragments_sweep(&state.fragments, &state.slab, now_us)
    count_fragments(state)
    return True

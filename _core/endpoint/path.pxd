"""Paths of a live session: challenges over both when its peer seems to have moved, the answer, the move.

Owner    Works on the endpoint's state; the pending path lies in the connection.
Limit    As session/path says; a client answers at most CHALLENGES_KEPT challenges in one pass.
Threads  One at a time.

What goes out here goes alone: it is numbered and sealed like every packet, but it says nothing of acknowledgments and
carries nothing else, so that it may be lost, or go where the session is not yet, without harm.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from shadowland._core.base.batch cimport Batch, batch_data, batch_next
from shadowland._core.base.records cimport EVENT_MIGRATED, Address, Datagram, address_same
from shadowland._core.base.status cimport BYE_NONE, DROP_STALE
from shadowland._core.crypto.aead cimport aead_seal
from shadowland._core.crypto.drbg cimport drbg_u64
from shadowland._core.endpoint.connection cimport (
    CHALLENGES_KEPT,
    CHANNEL_CONTROL,
    CONTROL_PATH_CHALLENGE,
    CONTROL_PATH_RESPONSE,
    CONTROL_PING,
    WANT_PROBE,
    Challenge,
    Connection,
)
from shadowland._core.endpoint.delivery cimport mark_dirty, packet_lost
from shadowland._core.endpoint.state cimport MTU_DEFAULT, EndpointState, drop_message, event_push
from shadowland._core.session.congestion cimport congestion_restart
from shadowland._core.session.mtu cimport MTU_PROBE_US, mtu_begin, mtu_due, mtu_probe_sent
from shadowland._core.session.path cimport (
    PATH_BUSY,
    PATH_KEPT,
    PATH_LATE,
    PATH_MOVED,
    PATH_NEW,
    PATH_STRANGE,
    VIA_OTHER,
    VIA_PENDING,
    VIA_VALIDATED,
    PathSeen,
    path_answered,
    path_arrived,
    path_begin,
    path_challenged,
    path_drop,
    path_due,
    path_is,
    path_room,
)
from shadowland._core.session.recovery cimport (
    SENT_PATH,
    SENT_PROBE_MTU,
    SentPacket,
    recovery_evicted,
    recovery_pto,
    recovery_restart,
    recovery_sample,
    recovery_sent,
)
from shadowland._core.wire.endian cimport store_u64
from shadowland._core.wire.header cimport HEADER_SIZE, Header, header_pack

cdef enum:
    ALONE_BODY = 12                                 # no acknowledgment, and one control frame with eight bytes
    FLAGS_ALONE = 0x03

cdef inline uint32_t alone_size(const Connection* connection) noexcept nogil:
    return HEADER_SIZE + ALONE_BODY + connection.epochs.send.tag_size

cdef inline bint seal_alone(EndpointState* state, Connection* connection, Batch* batch, const Address* remote,
                            const Address* local, uint8_t code, uint64_t value, uint32_t size, uint8_t flags,
                            uint64_t now_us) noexcept nogil:
    """One packet of `size` bytes with one control frame and padding; False when the batch is full."""
    cdef Datagram* datagram = batch_next(batch)
    cdef SentPacket* evicted
    cdef SentPacket packet
    cdef Header header
    cdef uint8_t* data
    if datagram == NULL:
        return False
    evicted = recovery_evicted(&connection.recovery)
    if evicted != NULL:
        packet_lost(state, connection, evicted, now_us)
    data = batch_data(batch, batch.count)
    header.connection_id = connection.id
    header.channel = 0
    header.flags = FLAGS_ALONE | connection.epochs.send_flag
    header.sequence = connection.recovery.next_sequence
    header_pack(data, &header)
    memset(data + HEADER_SIZE, 0, size - HEADER_SIZE)
    data[HEADER_SIZE + 1], data[HEADER_SIZE + 2], data[HEADER_SIZE + 3] = 10, CHANNEL_CONTROL, code
    store_u64(data + HEADER_SIZE + 4, value)
    aead_seal(&connection.epochs.send, connection.id, header.sequence, data, HEADER_SIZE, data + HEADER_SIZE,
              size - HEADER_SIZE - connection.epochs.send.tag_size)
    memset(&packet, 0, sizeof(SentPacket))
    packet.size = <uint16_t>size
    packet.flags = flags
    recovery_sent(&connection.recovery, &packet, now_us)
    datagram.length = size
    datagram.remote = remote[0]
    datagram.local = local[0]
    batch.count += 1
    connection.packets_out += 1
    connection.bytes_out += size
    state.sent += 1
    state.bytes_out += size
    return True

cdef inline void path_schedule(Connection* connection) noexcept nogil:
    """Work out when path_step has something to do."""
    cdef uint64_t due = 0
    if connection.path.some:
        due = connection.path.due_us
        if connection.path.wants_old or (connection.path.wants_new
                                         and path_room(&connection.path, alone_size(connection))):
            due = 1                                 # now
    if connection.path.later.some and (due == 0 or connection.path.free_us < due):
        due = connection.path.free_us
    if connection.mtu_search.due_us != 0 and (due == 0 or connection.mtu_search.due_us < due):
        due = connection.mtu_search.due_us
    if connection.challenge_count > 0:
        due = 1
    connection.path_due_us = due

# Server -------------------------------------------------------------------------------------------------------------

cdef inline void path_suspect(EndpointState* state, Connection* connection, const Address* remote,
                              const Address* local, uint64_t sequence, uint64_t received,
                              uint64_t now_us) noexcept nogil:
    """The peer seems to be at another address: both paths are to be challenged."""
    cdef uint64_t token = drbg_u64(&state.drbg), token_old = drbg_u64(&state.drbg)
    state.paths_refused += connection.path.some
    path_begin(&connection.path, remote, local, sequence, received, token, token_old, now_us)

cdef inline void path_packet(EndpointState* state, Connection* connection, const Datagram* datagram, uint64_t sequence,
                             bint newest, uint64_t now_us) noexcept nogil:
    """A packet opened that did not come by the session's path. What it says counts; its address proves nothing yet."""
    cdef int code = path_arrived(&connection.path, &datagram.remote, &datagram.local, sequence, newest,
                                 datagram.length, now_us)
    if code == PATH_LATE:
        return
    state.paths_busy += code == PATH_BUSY
    if code == PATH_NEW:
        path_suspect(state, connection, &datagram.remote, &datagram.local, sequence, datagram.length, now_us)
    path_schedule(connection)
    mark_dirty(state, connection)

cdef inline void path_move(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """The pending path is validated: the session goes on there."""
    cdef uint64_t sample_us = 0
    cdef bint only_port = (
        memcmp(connection.remote.ip, connection.path.remote.ip, 16) == 0
        and connection.remote.scope == connection.path.remote.scope
        and address_same(&connection.local, &connection.path.local))
    # With one challenge sent there is no doubt which one was answered.
    if connection.path.tries == 1 and connection.path.sent_us != 0 and now_us > connection.path.sent_us:
        sample_us = now_us - connection.path.sent_us
    connection.remote = connection.path.remote
    connection.local = connection.path.local
    path_drop(&connection.path)
    if not only_port:
        recovery_restart(&connection.recovery)
        if connection.mtu > MTU_DEFAULT:
            connection.mtu = MTU_DEFAULT
        mtu_begin(&connection.mtu_search, connection.mtu, state.limits.mtu_limit, now_us)
        congestion_restart(&connection.congestion, connection.recovery.next_sequence, now_us)
        if sample_us != 0:
            recovery_sample(&connection.recovery, sample_us, 0)
    # What left meanwhile went to where nobody was: the silence says nothing of this path, and the acknowledgment of one
    # packet over it tells what is lost.
    connection.recovery.pto_count = 0
    connection.want |= WANT_PROBE
    connection.moves += 1
    state.migrations += 1
    event_push(state, connection.handle, now_us, EVENT_MIGRATED, BYE_NONE, connection.moves)

cdef inline void path_response(EndpointState* state, Connection* connection, uint64_t token,
                               uint64_t now_us) noexcept nogil:
    """PATH_RESPONSE: it counts only over the path that was challenged with its token."""
    cdef const Datagram* datagram = state.current
    cdef int code, via = VIA_OTHER
    if address_same(&datagram.remote, &connection.remote) and address_same(&datagram.local, &connection.local):
        via = VIA_VALIDATED
    elif path_is(&connection.path, &datagram.remote, &datagram.local):
        via = VIA_PENDING
    code = path_answered(&connection.path, via, token, connection.replay.newest)
    if code == PATH_STRANGE:
        drop_message(state, DROP_STALE)             # an honest one comes late: no misbehaviour
    elif code == PATH_KEPT:
        path_drop(&connection.path)
        state.paths_refused += 1
    elif code == PATH_MOVED:
        path_move(state, connection, now_us)
    path_schedule(connection)
    mark_dirty(state, connection)

# Client -------------------------------------------------------------------------------------------------------------

cdef inline void path_challenge(EndpointState* state, Connection* connection, uint64_t token) noexcept nogil:
    """PATH_CHALLENGE: remember it, to be answered from the address that it came to. The oldest gives way."""
    cdef uint32_t i
    cdef Challenge* kept
    for i in range(connection.challenge_count):
        if connection.challenges[i].token == token:
            return
    if connection.challenge_count == CHALLENGES_KEPT:
        for i in range(1, CHALLENGES_KEPT):
            connection.challenges[i - 1] = connection.challenges[i]
        connection.challenge_count -= 1
    kept = &connection.challenges[connection.challenge_count]
    kept.token = token
    kept.local = state.current.local
    connection.challenge_count += 1
    path_schedule(connection)
    mark_dirty(state, connection)

# Both ---------------------------------------------------------------------------------------------------------------

cdef inline bint mtu_step(EndpointState* state, Connection* connection, Batch* batch, uint64_t now_us) noexcept nogil:
    """Send a probe of the MTU if one is due; False when the batch is full."""
    cdef uint64_t sequence = connection.recovery.next_sequence
    cdef uint16_t size
    # Where nothing is heard the loss of a probe says nothing of its size.
    if connection.recovery.pto_count > 0 or (connection.mtu_search.probe != 0 and
                                             connection.last_received_us <= connection.mtu_search.sent_us):
        connection.mtu_search.due_us = now_us + MTU_PROBE_US
        return True
    size = mtu_due(&connection.mtu_search, connection.mtu, now_us)
    if size == 0:
        return True
    if not seal_alone(state, connection, batch, &connection.remote, &connection.local, CONTROL_PING, now_us, size,
                      SENT_PROBE_MTU, now_us):
        return False
    mtu_probe_sent(&connection.mtu_search, size, sequence, now_us,
                   recovery_pto(&connection.recovery, connection.peer_ack_delay_us))
    return True

cdef inline bint path_step(EndpointState* state, Connection* connection, Batch* batch, uint64_t now_us) noexcept nogil:
    """Send what is due of challenges, responses and probes of the MTU; False when the batch is full and more waits."""
    cdef uint32_t size = alone_size(connection)
    cdef const Challenge* asked
    cdef PathSeen later
    cdef int code
    while connection.challenge_count > 0:
        asked = &connection.challenges[connection.challenge_count - 1]
        if not seal_alone(state, connection, batch, &connection.remote, &asked.local, CONTROL_PATH_RESPONSE,
                          asked.token, size, SENT_PATH, now_us):
            return False
        connection.challenge_count -= 1
    code = path_due(&connection.path, connection.replay.newest, now_us)
    if code == PATH_KEPT:
        path_drop(&connection.path)
        state.paths_refused += 1
    elif code == PATH_NEW:
        later = connection.path.later
        path_suspect(state, connection, &later.remote, &later.local, later.newest, later.received, now_us)
        path_due(&connection.path, connection.replay.newest, now_us)
    if connection.path.wants_new and path_room(&connection.path, size):
        if not seal_alone(state, connection, batch, &connection.path.remote, &connection.path.local,
                          CONTROL_PATH_CHALLENGE, connection.path.token, size, SENT_PATH, now_us):
            return False
        path_challenged(&connection.path, size, now_us)
    if connection.path.wants_old:
        if not seal_alone(state, connection, batch, &connection.remote, &connection.local, CONTROL_PATH_CHALLENGE,
                          connection.path.token_old, size, SENT_PATH, now_us):
            return False
        connection.path.wants_old = False
    if connection.mtu_search.due_us != 0 and connection.mtu_search.due_us <= now_us:
        if not mtu_step(state, connection, batch, now_us):
            return False
    path_schedule(connection)
    return True

"""When keys change and what is said about it: triggers, the control stream, the grace time (protocol.md 4.1).

Owner    Works on the endpoint's state; the keys lie in the connection (session/epoch.pxd).
Limit    One rekey at a time and session, and none before the grace time of the last is over (GRACE_LEAST_US at least):
         however often one side asks, the other computes two scalar multiplications a second for it at most. A server
         answers REKEYS_PER_PASS requests in one pass and the others in the next ones, each session in its turn: when
         10,000 sessions want new keys at once, no tick is late for it.
Threads  One at a time.

    server ──ASK──▶ client ──REQUEST e──▶ server ──RESPONSE e'──▶ client          the server may ask, only clients start
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from shadowland._core.base.status cimport BYE_KEYS_EXHAUSTED, BYE_PROTOCOL_VIOLATION, DROP_AUTH_FAILED
from shadowland._core.crypto.drbg cimport drbg_fill
from shadowland._core.crypto.keys cimport x25519_public
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.endpoint.connection cimport WANT_PING, Connection, handle_slot
from shadowland._core.endpoint.control cimport FRAME_FINE, control_queue, violation
from shadowland._core.endpoint.delivery cimport connection_close, connection_deadline, mark_dirty
from shadowland._core.endpoint.handshake cimport get32
from shadowland._core.endpoint.state cimport ROLE_CLIENT, EndpointState, drop
from shadowland._core.session.epoch cimport (
    EPOCH_GRACE,
    EPOCH_SETTLED,
    epoch_complete,
    epoch_opened,
    epoch_request,
    epoch_respond,
    epoch_settle,
)
from shadowland._core.session.recovery cimport recovery_pto_first

cdef enum:
    REKEY_ASK = 1                   # kinds of the control stream
    REKEY_REQUEST = 2
    REKEY_RESPONSE = 3

    REKEYS_PER_PASS = 32            # about 2 ms

    GRACE_LEAST_US = 1000000
    GRACE_MOST_US = 5000000
    GRACE_PTOS = 3                  # RFC 9001 6.5

cdef inline void rekey_arm(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """Fresh keys: count from here. The age is shortened by up to a quarter, so that sessions which joined together do
    not rekey together."""
    cdef uint8_t random[4]
    cdef uint64_t age = state.limits.rekey_age_us
    drbg_fill(&state.drbg, random, 4)
    connection.rekey.due_us = now_us + age - ((age >> 2) * get32(random) >> 32)
    connection.rekey.due_packets = connection.packets_out + state.limits.rekey_packets
    connection.rekey.due_bytes = connection.bytes_out + state.limits.rekey_bytes
    connection.rekey.failures = 0
    connection.rekey.wanted = False
    connection.rekey.asked = False

cdef inline uint64_t grace_end(Connection* connection, uint64_t now_us) noexcept nogil:
    """Three probe timeouts without backoff, within GRACE_LEAST_US and GRACE_MOST_US: acks that come late, by chance or
    on purpose, keep no old key alive."""
    cdef uint64_t grace = GRACE_PTOS * recovery_pto_first(&connection.recovery, connection.peer_ack_delay_us)
    if grace < GRACE_LEAST_US:
        grace = GRACE_LEAST_US
    return now_us + (grace if grace < GRACE_MOST_US else GRACE_MOST_US)

cdef inline void rekey_respond(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """Server: answer the request that is held. Without room for the answer it stays held. May close the session."""
    cdef uint8_t secret[32]
    cdef uint8_t public[32]
    cdef int status
    drbg_fill(&state.drbg, secret, 32)
    x25519_public(public, secret)
    if not control_queue(state, connection, REKEY_RESPONSE, public, 32):
        sodium.memzero(secret, 32)
        return
    connection.rekey.held = False
    status = epoch_respond(&connection.epochs, secret, public, connection.rekey.request)
    sodium.memzero(secret, 32)
    if status != 0:
        connection_close(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
        return
    rekey_arm(state, connection, now_us)

cdef inline void rekey_pass(EndpointState* state) noexcept nogil:
    """A pass over all sessions begins. Where the last one answered all that it came to, a new round begins."""
    if state.rekey_budget > 0:
        state.rekey_next = 0
    state.rekey_budget = REKEYS_PER_PASS

cdef inline bint rekey_turn(EndpointState* state, uint32_t slot) noexcept nogil:
    """Whether the session of `slot` is answered in this pass."""
    if state.rekey_budget == 0 or slot < state.rekey_next:
        return False
    state.rekey_budget -= 1
    state.rekey_next = slot + 1
    return True

cdef inline void rekey_begin(EndpointState* state, Connection* connection) noexcept nogil:
    """Client: say the request. Without room for it nothing happens; the next pass tries again."""
    cdef uint8_t secret[32]
    cdef uint8_t public[32]
    drbg_fill(&state.drbg, secret, 32)
    x25519_public(public, secret)
    if control_queue(state, connection, REKEY_REQUEST, public, 32):
        epoch_request(&connection.epochs, secret)
    sodium.memzero(secret, 32)

cdef inline bint rekey_due(const EndpointState* state, const Connection* connection, uint64_t now_us) noexcept nogil:
    """Whether the current keys have served long enough."""
    return (connection.rekey.wanted or now_us >= connection.rekey.due_us
            or connection.packets_out >= connection.rekey.due_packets
            or connection.bytes_out >= connection.rekey.due_bytes
            or connection.rekey.failures >= state.limits.rekey_failures)

cdef inline void rekey_step(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """Once a pass, of a live session: end the grace time, begin what is due. May close the session."""
    if connection.epochs.state == EPOCH_GRACE and now_us >= connection.epochs.grace_us:
        epoch_settle(&connection.epochs)
    if connection.epochs.state != EPOCH_SETTLED:
        return
    if connection.rekey.held:
        if rekey_turn(state, handle_slot(connection.handle)):
            rekey_respond(state, connection, now_us)
        return
    if not rekey_due(state, connection, now_us):
        return
    if state.role == ROLE_CLIENT:
        rekey_begin(state, connection)
    elif not connection.rekey.asked:
        connection.rekey.asked = control_queue(state, connection, REKEY_ASK, NULL, 0)

cdef inline void rekey_opened(EndpointState* state, Connection* connection, uint8_t flags, uint64_t sequence,
                              uint64_t now_us) noexcept nogil:
    """A packet opened while a rekey is under way."""
    if epoch_opened(&connection.epochs, flags, sequence, grace_end(connection, now_us)):
        state.rekeys += 1
        connection_deadline(state, connection)

cdef inline void rekey_failed(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """A packet did not open. Counted per session and epoch (RFC 9001 6.6)."""
    drop(state, DROP_AUTH_FAILED)
    connection.rekey.failures += 1
    if connection.rekey.failures >= state.limits.most_failures:
        connection_close(state, connection, BYE_KEYS_EXHAUSTED, now_us)
    elif connection.rekey.failures == state.limits.rekey_failures:
        mark_dirty(state, connection)

cdef inline int rekey_message(EndpointState* state, Connection* connection, uint8_t kind, const uint8_t* data,
                              uint32_t length, uint64_t now_us) noexcept nogil:
    """A message of ours on the control stream; returns FRAME_ bits."""
    cdef uint32_t i
    cdef bint client = state.role == ROLE_CLIENT
    if kind == REKEY_ASK and client and length == 0:
        # One that crossed our request is served by it: the response stands behind it in the stream, and ends the wish.
        connection.rekey.wanted = True
        mark_dirty(state, connection)
        return FRAME_FINE
    if kind == REKEY_REQUEST and not client and length == 32 and not connection.rekey.held and (
            connection.epochs.state == EPOCH_SETTLED or connection.epochs.state == EPOCH_GRACE):
        for i in range(32):
            connection.rekey.request[i] = data[i]
        connection.rekey.held = True                # also while our grace time runs, if the client's is over
        mark_dirty(state, connection)
        return FRAME_FINE
    if kind == REKEY_RESPONSE and client and length == 32 and epoch_complete(&connection.epochs, data) == 0:
        rekey_arm(state, connection, now_us)
        connection.want |= WANT_PING                # elicits, so it is repeated: the server switches by it
        mark_dirty(state, connection)
        return FRAME_FINE
    return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)

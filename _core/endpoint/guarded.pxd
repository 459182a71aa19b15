"""Where the guard stands in the path of a datagram (docs/guard.md): what it says is done here.

Owner    Works on the endpoint's state and its guard; owns nothing.
Limit    As the guard's rules say. An endpoint without rules passes everything.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from shadowland._core.base.records cimport Datagram
from shadowland._core.base.status cimport (
    BYE_ACK_OF_UNSENT,
    BYE_BANNED,
    BYE_FLOW_VIOLATION,
    BYE_PROTOCOL_VIOLATION,
    BYE_RATE_LIMITED,
    BYE_SEQUENCE_JUMP,
    DROP_BANNED,
    DROP_GUARDED,
    DROP_RATE_LIMITED,
)
from shadowland._core.endpoint.connection cimport STATE_CLOSING, STATE_FREE, Connection
from shadowland._core.endpoint.delivery cimport connection_close
from shadowland._core.endpoint.state cimport EndpointState, drop
from shadowland._core.guard.guard cimport (
    ACTION_BAN,
    ACTION_CLOSE,
    DOOR_EXCHANGE,
    DOOR_HANDSHAKE,
    DOOR_OUTSIDE,
    Rule,
    guard_allowed,
    guard_bad,
    guard_ban,
    guard_banned,
    guard_session,
    guard_shared,
    guard_sources,
    guard_tell,
)
from shadowland._core.guard.waiting cimport (
    WAITING_SIZE,
    Parked,
    Waiting,
    parked_fill,
    waiting_find,
    waiting_key,
    waiting_put,
    waiting_same,
)

cdef enum:
    VIOLATION_SCORE = 10                # a breach that ends the session counts as so many malformed messages

    CONNECT_REFUSED = 0
    CONNECT_WELCOME = 1
    CONNECT_BANNED = 2                  # spend one key exchange on saying so
    CONNECT_WAITS = 3                   # for the budget that all share

cdef inline void punish(EndpointState* state, Connection* connection, const Rule* rule, uint8_t reason,
                        uint64_t now_us) noexcept nogil:
    """What a rule that a session broke asks for."""
    if rule.action == ACTION_BAN:
        if not guard_allowed(state.guard, &connection.remote):
            guard_ban(state.guard, &connection.remote, rule, now_us)
            reason = BYE_BANNED
        connection_close(state, connection, reason, now_us)
    elif rule.action == ACTION_CLOSE:
        connection_close(state, connection, reason, now_us)

cdef inline bint session_admitted(EndpointState* state, Connection* connection, uint32_t length,
                                  uint64_t now_us) noexcept nogil:
    """A packet opened: whether its session may send that much. If not it is dropped, unacknowledged."""
    cdef Rule* rule = guard_session(state.guard, &connection.guarded, length, now_us)
    if rule == NULL:
        return True
    drop(state, DROP_GUARDED)
    punish(state, connection, rule, BYE_RATE_LIMITED, now_us)
    return False

cdef inline bint is_violation(uint8_t reason) noexcept nogil:
    return (reason == BYE_PROTOCOL_VIOLATION or reason == BYE_FLOW_VIOLATION or reason == BYE_ACK_OF_UNSENT
            or reason == BYE_SEQUENCE_JUMP)

cdef inline void session_judged(EndpointState* state, Connection* connection, uint64_t bad,
                                uint64_t now_us) noexcept nogil:
    """A packet that opened was read; before it `state.bad` was `bad`. What was malformed in it is scored.

    Only what opened comes here, so nobody but the holder of the session's key can move its score or its address's.
    """
    cdef uint64_t score = state.bad - bad
    cdef Rule* rule
    if connection.state == STATE_FREE:              # it said CLOSE
        return
    if connection.state == STATE_CLOSING and is_violation(connection.reason):
        score += VIOLATION_SCORE
    if score == 0:
        return
    rule = guard_bad(state.guard, &connection.guarded, &connection.remote, <uint32_t>score, now_us)
    if rule != NULL:
        punish(state, connection, rule, BYE_PROTOCOL_VIOLATION, now_us)

cdef inline bint proven_admitted(EndpointState* state, const Datagram* datagram, uint64_t now_us) noexcept nogil:
    """A datagram outside a session whose source is proven: whether its address and subnet may send that much."""
    cdef Rule* rule = guard_sources(state.guard, DOOR_OUTSIDE, &datagram.remote, datagram.length, now_us)
    if rule == NULL:
        return True
    drop(state, DROP_GUARDED)
    if rule.action == ACTION_BAN:
        guard_ban(state.guard, &datagram.remote, rule, now_us)
    return False

cdef inline void connect_park(EndpointState* state, const uint8_t* data, const Datagram* datagram) noexcept nogil:
    """A CONNECT that its address and subnet may send: it waits for the budget of key exchanges, behind who waits."""
    cdef uint32_t i
    if waiting_put(&state.guard.waiting, data, datagram):
        state.accepted += 1                         # for now: who takes it out counts it anew
        return
    drop(state, DROP_GUARDED)
    for i in range(state.guard.first[DOOR_EXCHANGE], state.guard.first[DOOR_EXCHANGE + 1]):
        state.guard.rules[i].hits += 1

cdef inline bint connect_waits(EndpointState* state, const uint8_t* data, const Datagram* datagram) noexcept nogil:
    """Whether a CONNECT of this client waits already; a fresh one takes its place."""
    cdef Waiting* waiting = &state.guard.waiting
    cdef Parked* parked
    if waiting.count == 0:
        return False
    parked = waiting_find(waiting, waiting_key(waiting, &datagram.remote), &datagram.remote)
    if parked == NULL or datagram.length > WAITING_SIZE:
        return False
    drop(state, DROP_RATE_LIMITED)                  # one of the two
    if not waiting_same(parked, data, datagram.length):
        parked_fill(parked, data, datagram)
    return True

cdef inline int connect_admitted(EndpointState* state, const Datagram* datagram, uint64_t now_us) noexcept nogil:
    """A CONNECT with a valid cookie that would cost a key exchange: one of CONNECT_. Refused ones are counted."""
    cdef Rule* rule
    if guard_banned(state.guard, &datagram.remote, now_us):
        if guard_tell(state.guard, now_us):
            return CONNECT_BANNED
        drop(state, DROP_BANNED)
        return CONNECT_REFUSED
    rule = guard_sources(state.guard, DOOR_HANDSHAKE, &datagram.remote, datagram.length, now_us)
    if rule != NULL:
        drop(state, DROP_GUARDED)
        if rule.action == ACTION_BAN:
            guard_ban(state.guard, &datagram.remote, rule, now_us)
        return CONNECT_REFUSED
    if state.guard.waiting.count > 0:
        return CONNECT_WAITS
    return CONNECT_WELCOME if guard_shared(state.guard, DOOR_EXCHANGE, now_us) == NULL else CONNECT_WAITS

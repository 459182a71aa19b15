"""What may leave now, and who gets how much of it: credit, debts and quarters (docs/states.md, "The rate").

Owner    Works on the connection; owns nothing.
Limit    Reliable data waits for credit, unreliable messages are refused beyond DEBT_US of debt, inputs wait beyond
         BORROW_US; acknowledgments, CLOSE, control frames and probes always leave. No budget is below BUDGET_LEAST.
Threads  One at a time per connection.

A tick's snapshots may go into debt by what the coming tick brings; reliable data takes what is left of the tick after
that, and in any case a quarter of the rate:

    credit   │        ╱‾‾‾ reliable units, paced, then
          0 ─┼──┐───╱────────┐──────────
             │  └─╱ snapshots leave at the tick
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from shadowland._core.endpoint.connection cimport STATE_LIVE, WANT_INPUT, Connection
from shadowland._core.endpoint.state cimport EndpointState
from shadowland._core.session.congestion cimport (
    CREDIT_UNIT,
    FIRST_BURST,
    congestion_due,
    congestion_init,
    congestion_pace,
    congestion_probe,
    congestion_refill,
    congestion_spend,
)
from shadowland._core.session.recovery cimport SENT_POSITIONS, Recovery, recovery_pto_first
from shadowland._core.session.sending cimport reliable_wants

cdef enum:
    PING_FIRST = 20             # of ping_us one of these is the first gap: the clock is to be known soon
    BURST_LEAST_US = 20000
    BORROW_US = 250000          # of the rate: inputs may borrow it
    DEBT_US = 1000000           # of the rate: unreliable messages may
    BUDGET_LEAST = 256          # a smaller budget is saved up
    BUDGET_SAVED = 1500
    DATAGRAM_COST = 64          # header, tag, ack block, frame: what a snapshot costs beside itself
    DATAGRAM_BYTES = 1000       # ... once for each of these
    SILENT_US = 500000          # without an acknowledgment
    SILENT_GAP_US = 250000      # between two snapshots then
    TURNS = 4                   # reliable data gets one of these of the rate whatever else leaves

cdef inline void pace_begin(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """A session begins: what a tick brings must fit into one burst, also if nobody calls between ticks."""
    cdef uint64_t burst_us = <uint64_t>1250000 // state.tick_hz
    congestion_init(&connection.congestion, burst_us if burst_us > BURST_LEAST_US else BURST_LEAST_US, now_us)
    connection.ping_gap_us = state.limits.ping_us // PING_FIRST
    connection.ping_due_us = now_us + connection.ping_gap_us

cdef inline uint64_t flight_limit(const Connection* connection) noexcept nogil:
    """Most bytes under way: twice what the rate carries until a probe timeout would strike. A path that went silent is
    not filled for ever."""
    return 2 * connection.congestion.rate * recovery_pto_first(&connection.recovery, connection.peer_ack_delay_us) \
        // 1000000 + FIRST_BURST

cdef inline bint units_fit(EndpointState* state, Connection* connection) noexcept nogil:
    """Whether reliable data waits that only lacks its turn."""
    return (connection.recovery.eliciting_in_flight < SENT_POSITIONS - 16
            and reliable_wants(&connection.send, &state.slab)
            and connection.recovery.bytes_in_flight < flight_limit(connection))

cdef inline bint units_turn(const Connection* connection, uint64_t now_us) noexcept nogil:
    return connection.congestion.credit > 0 or connection.unit_turn_us <= now_us

cdef inline bint inputs_turn(const Connection* connection) noexcept nogil:
    return connection.congestion.credit > -<int64_t>(connection.congestion.rate * BORROW_US)

cdef inline void pace_sent(Connection* connection, uint32_t size, uint32_t units, bint probe,
                           uint64_t now_us) noexcept nogil:
    """An eliciting packet of `size` bytes leaves; before it is remembered."""
    if connection.recovery.eliciting_in_flight == 0:
        connection.unanswered_us = now_us
    if probe:
        congestion_probe(&connection.congestion, size)
        return
    congestion_spend(&connection.congestion, size)
    if units:
        if connection.unit_turn_us < now_us:
            connection.unit_turn_us = now_us
        connection.unit_turn_us += <uint64_t>size * TURNS * 1000000 // connection.congestion.rate

cdef inline void pace_wait(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """Everything that may leave has left: when is the next one's turn?"""
    cdef uint32_t slot = <uint32_t>connection.handle
    cdef uint64_t due = 0
    if units_fit(state, connection):
        due = congestion_due(&connection.congestion, now_us)
        if connection.unit_turn_us < due:
            due = connection.unit_turn_us
    elif connection.want & WANT_INPUT:
        due = congestion_due(&connection.congestion, now_us)
        due = due - BORROW_US if due > now_us + BORROW_US else now_us + 1000
    state.paces[slot] = due
    if due != 0 and (state.paced_us == 0 or due < state.paced_us):
        state.paced_us = due

cdef inline bint unreliable_admitted(EndpointState* state, Connection* connection) noexcept nogil:
    """Whether one more unreliable message may be queued: they leave at once, so the debt is where they are limited."""
    congestion_refill(&connection.congestion, state.clock_us)
    return (connection.congestion.credit - <int64_t>connection.waiting_bytes * CREDIT_UNIT
            > -<int64_t>(connection.congestion.rate * DEBT_US))

cdef inline uint32_t snapshot_budget(EndpointState* state, Connection* connection, uint32_t most,
                                     uint64_t now_us) noexcept nogil:
    """Bytes of snapshots that may be made for this session in the tick that begins, at most `most`."""
    cdef int64_t tick, budget
    if connection.state != STATE_LIVE:
        return 0
    if connection.recovery.eliciting_in_flight > 0 and now_us >= connection.unanswered_us + SILENT_US:
        if now_us < connection.silent_sent_us + SILENT_GAP_US:
            return 0
        connection.silent_sent_us = now_us
        return most if most < DATAGRAM_BYTES else DATAGRAM_BYTES
    if connection.recovery.bytes_in_flight >= flight_limit(connection):
        return 0
    congestion_refill(&connection.congestion, now_us)
    tick = <int64_t>(congestion_pace(&connection.congestion, now_us) // state.tick_hz)
    budget = connection.congestion.credit // CREDIT_UNIT + tick
    if reliable_wants(&connection.send, &state.slab):
        budget -= tick // TURNS
    connection.saved_bytes += <uint32_t>(tick // TURNS)
    if connection.saved_bytes > BUDGET_SAVED and connection.saved_bytes > tick // TURNS:
        connection.saved_bytes = <uint32_t>(tick // TURNS if tick // TURNS > BUDGET_SAVED else BUDGET_SAVED)
    if budget < connection.saved_bytes:
        budget = connection.saved_bytes
    if budget < BUDGET_LEAST:
        return 0
    connection.saved_bytes = 0
    budget -= (budget // (DATAGRAM_BYTES + DATAGRAM_COST) + 1) * DATAGRAM_COST
    return <uint32_t>budget if budget < most else most

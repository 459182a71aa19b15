"""Half-open slots: clients that were answered and have not confirmed yet, apart from sessions (protocol.md 2).

Owner    The endpoint's array of slots.
Limit    `half_open_capacity` slots for `half_open_us`, `half_open_per_prefix` of them per /24 or /64; when one is
         needed, the oldest of the prefix that is over its cap, or of the heaviest prefix, gives way.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.base.records cimport Address
from shadowland._core.base.status cimport DROP_HALF_OPEN_FULL
from shadowland._core.endpoint.handshake cimport get64
from shadowland._core.endpoint.state cimport HALF_ACCEPTED, HALF_FREE, PREFIX_BUCKETS, EndpointState, HalfOpen
from shadowland._core.endpoint.table cimport TABLE_NONE, table_remove
from shadowland._core.endpoint.trust cimport claim_forget

cdef inline uint64_t prefix_of(const Address* address) noexcept nogil:
    """The /24 of an IPv4 address, the /64 of an IPv6 one."""
    if address.family == 4:
        return (<uint64_t>1 << 63) | <uint64_t>address.ip[12] << 16 | <uint64_t>address.ip[13] << 8 | address.ip[14]
    return get64(address.ip) >> 1 ^ get64(address.ip) << 63

cdef inline uint32_t prefix_bucket(const EndpointState* state, uint64_t prefix) noexcept nogil:
    return <uint32_t>(((prefix ^ state.echoes.secret) * <uint64_t>0x9E3779B97F4A7C15) >> 56) % PREFIX_BUCKETS

cdef inline void half_open_free(EndpointState* state, uint32_t index) noexcept nogil:
    """Forget a half-open slot, keys included."""
    cdef HalfOpen* half = &state.halves[index]
    table_remove(&state.echoes, half.echo)
    if half.state == HALF_ACCEPTED:
        table_remove(&state.sessions, half.id)
        state.promised -= 1
    state.prefix_counts[prefix_bucket(state, half.prefix)] -= 1
    memset(half, 0, sizeof(HalfOpen))
    claim_forget(&state.trust, index)
    state.half_open -= 1
    state.half_hint = index

cdef inline void half_open_sweep(EndpointState* state, uint64_t now_us) noexcept nogil:
    cdef uint32_t i
    if state.half_open == 0:
        return
    for i in range(state.limits.half_open_capacity):
        if state.halves[i].state != HALF_FREE and now_us > state.halves[i].created_us + state.limits.half_open_us:
            half_open_free(state, i)

cdef inline uint32_t half_open_oldest(EndpointState* state, uint64_t prefix, bint whole_bucket) noexcept nogil:
    """The oldest slot of a prefix, or of the bucket that `prefix` names."""
    cdef uint32_t i, found = <uint32_t>TABLE_NONE
    cdef HalfOpen* half
    for i in range(state.limits.half_open_capacity):
        half = &state.halves[i]
        if half.state == HALF_FREE:
            continue
        if (prefix_bucket(state, half.prefix) != <uint32_t>prefix) if whole_bucket else (half.prefix != prefix):
            continue
        if found == <uint32_t>TABLE_NONE or half.created_us < state.halves[found].created_us:
            found = i
    return found

cdef inline HalfOpen* half_open_take(EndpointState* state, uint64_t prefix, uint32_t* index) noexcept nogil:
    """A slot for a new handshake; evicts by the rule above. NULL only when the table holds nothing it may evict."""
    cdef uint32_t i, heaviest = 0, chosen = <uint32_t>TABLE_NONE, own = 0
    cdef uint32_t bucket = prefix_bucket(state, prefix)
    if state.prefix_counts[bucket] >= state.limits.half_open_per_prefix:
        for i in range(state.limits.half_open_capacity):
            if state.halves[i].state != HALF_FREE and state.halves[i].prefix == prefix:
                own += 1
        if own >= state.limits.half_open_per_prefix:
            chosen = half_open_oldest(state, prefix, False)
    if chosen == <uint32_t>TABLE_NONE and state.half_open >= state.limits.half_open_capacity:
        for i in range(1, PREFIX_BUCKETS):
            if state.prefix_counts[i] > state.prefix_counts[heaviest]:
                heaviest = i
        chosen = half_open_oldest(state, heaviest, True)
    if chosen != <uint32_t>TABLE_NONE:
        half_open_free(state, chosen)
        state.message_drops[DROP_HALF_OPEN_FULL] += 1
    for i in range(state.limits.half_open_capacity):
        chosen = (state.half_hint + i) % state.limits.half_open_capacity
        if state.halves[chosen].state == HALF_FREE:
            state.half_hint = chosen + 1
            index[0] = chosen
            return &state.halves[chosen]
    return NULL

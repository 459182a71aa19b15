"""Half-open slots: clients that were answered and have not confirmed yet, apart from sessions (protocol.md 2).

Owner    The endpoint's array of slots.
Limit    `half_open_capacity` slots for `half_open_us`, `half_open_per_prefix` of them per /24 or /64; when one is
         needed, the oldest of the prefix that is over its cap, or of the heaviest prefix, gives way. A new one looks
         at no more slots than are taken by those whose prefixes share its bucket.
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

cdef inline void half_open_return(EndpointState* state, uint32_t index) noexcept nogil:
    """A slot that was taken is free, wiped."""
    memset(&state.halves[index], 0, sizeof(HalfOpen))
    state.halves[index].newer = state.half_free
    state.half_free = index + 1

cdef inline void half_open_keep(EndpointState* state, uint32_t index) noexcept nogil:
    """A slot holds a handshake of its `prefix`, the newest there."""
    cdef HalfOpen* half = &state.halves[index]
    cdef uint32_t bucket = prefix_bucket(state, half.prefix)
    half.older = state.prefix_newest[bucket]
    half.newer = 0
    if half.older:
        state.halves[half.older - 1].newer = index + 1
    else:
        state.prefix_oldest[bucket] = index + 1
    state.prefix_newest[bucket] = index + 1
    state.prefix_counts[bucket] += 1
    state.half_open += 1

cdef inline void half_open_free(EndpointState* state, uint32_t index) noexcept nogil:
    """Forget a half-open slot, keys included."""
    cdef HalfOpen* half = &state.halves[index]
    cdef uint32_t bucket = prefix_bucket(state, half.prefix)
    table_remove(&state.echoes, half.echo)
    if half.state == HALF_ACCEPTED:
        table_remove(&state.sessions, half.id)
        state.promised -= 1
    if half.older:
        state.halves[half.older - 1].newer = half.newer
    else:
        state.prefix_oldest[bucket] = half.newer
    if half.newer:
        state.halves[half.newer - 1].older = half.older
    else:
        state.prefix_newest[bucket] = half.older
    state.prefix_counts[bucket] -= 1
    half_open_return(state, index)
    claim_forget(&state.trust, index)
    state.half_open -= 1

cdef inline void half_open_sweep(EndpointState* state, uint64_t now_us) noexcept nogil:
    cdef uint32_t i
    if state.half_open == 0:
        return
    for i in range(state.limits.half_open_capacity):
        if state.halves[i].state != HALF_FREE and now_us > state.halves[i].created_us + state.limits.half_open_us:
            half_open_free(state, i)

cdef inline uint32_t prefix_full(const EndpointState* state, uint64_t prefix) noexcept nogil:
    """The oldest slot of a prefix that has as many as it may; TABLE_NONE if it has fewer."""
    cdef uint32_t bucket = prefix_bucket(state, prefix), found = <uint32_t>TABLE_NONE, own = 0, at
    if state.prefix_counts[bucket] < state.limits.half_open_per_prefix:
        return found
    at = state.prefix_oldest[bucket]
    while at and own < state.limits.half_open_per_prefix:
        if state.halves[at - 1].prefix == prefix:
            if own == 0:
                found = at - 1
            own += 1
        at = state.halves[at - 1].newer
    return found if own >= state.limits.half_open_per_prefix else <uint32_t>TABLE_NONE

cdef inline HalfOpen* half_open_take(EndpointState* state, uint64_t prefix, uint32_t* index) noexcept nogil:
    """A slot for a new handshake; evicts by the rule above. half_open_keep or half_open_return must follow."""
    cdef uint32_t i, heaviest = 0, chosen = prefix_full(state, prefix)
    if chosen == <uint32_t>TABLE_NONE and state.half_open >= state.limits.half_open_capacity:
        for i in range(1, PREFIX_BUCKETS):
            if state.prefix_counts[i] > state.prefix_counts[heaviest]:
                heaviest = i
        chosen = state.prefix_oldest[heaviest] - 1
    if chosen != <uint32_t>TABLE_NONE:
        half_open_free(state, chosen)
        state.message_drops[DROP_HALF_OPEN_FULL] += 1
    if state.half_free:
        index[0] = state.half_free - 1
        state.half_free = state.halves[index[0]].newer
        return &state.halves[index[0]]
    if state.half_fresh >= state.limits.half_open_capacity:
        return NULL
    index[0] = state.half_fresh
    state.half_fresh += 1
    return &state.halves[index[0]]

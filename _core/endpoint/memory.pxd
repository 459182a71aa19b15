"""All memory of an endpoint that NumPy does not own: taken once, wiped and given back once.

Owner    The EndpointState; Endpoint (endpoint.pyx) calls both.
Limit    As the state's limits say; nothing is taken afterwards.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from shadowland._core.base.pages cimport pages_free, pages_zeroed
from shadowland._core.base.slab cimport slab_free, slab_init
from shadowland._core.compress.packer cimport packer_free, packer_init
from shadowland._core.crypto.drbg cimport drbg_u64
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.endpoint.connection cimport NODE_NONE, Connection
from shadowland._core.endpoint.integrity cimport integrity_free
from shadowland._core.endpoint.join cimport SPENT_POSITIONS
from shadowland._core.endpoint.state cimport ROLE_SERVER, Attempt, EndpointState, HalfOpen, OutboxNode
from shadowland._core.endpoint.table cimport table_free, table_init
from shadowland._core.endpoint.trust cimport joining_free, trust_free
from shadowland._core.session.channel cimport BLOCKS_RESERVED, RELIABLE_MESSAGE_LIMIT
from shadowland._core.session.fragment cimport fragments_init

cdef inline bint state_allocate(EndpointState* state) noexcept nogil:
    """Take everything that the limits ask for; False when memory is short (state_free gives back what was taken)."""
    cdef uint32_t capacity = state.limits.capacity, handshakes = capacity + state.limits.half_open_capacity, i
    cdef bint fine
    state.connections = <Connection*>pages_zeroed(capacity * sizeof(Connection))
    state.next_free = <uint32_t*>calloc(capacity, sizeof(uint32_t))
    state.deadlines = <uint64_t*>calloc(capacity, sizeof(uint64_t))
    state.dirty = <uint8_t*>calloc(capacity, 1)
    state.paces = <uint64_t*>calloc(capacity, sizeof(uint64_t))
    state.nodes = <OutboxNode*>calloc(state.limits.outbox_nodes, sizeof(OutboxNode))
    fine = (state.connections != NULL and state.next_free != NULL and state.deadlines != NULL
            and state.dirty != NULL and state.paces != NULL and state.nodes != NULL)
    if state.role == ROLE_SERVER:
        state.halves = <HalfOpen*>calloc(state.limits.half_open_capacity, sizeof(HalfOpen))
        state.spent_ring = <uint64_t*>calloc(SPENT_POSITIONS, sizeof(uint64_t))
        fine = (fine and state.halves != NULL and state.spent_ring != NULL
                and table_init(&state.spent, SPENT_POSITIONS, drbg_u64(&state.drbg)))
    else:
        state.attempts = <Attempt*>calloc(capacity, sizeof(Attempt))
        fine = fine and state.attempts != NULL
    fine = (fine and table_init(&state.sessions, handshakes, drbg_u64(&state.drbg))
            and table_init(&state.echoes, handshakes, drbg_u64(&state.drbg))
            and packer_init(&state.packer, RELIABLE_MESSAGE_LIMIT)
            and slab_init(&state.slab, state.limits.blocks))
    if not fine:
        return False
    state.slab.shared -= capacity * BLOCKS_RESERVED
    fragments_init(&state.fragments)
    for i in range(capacity):
        state.next_free[i] = i + 1 if i + 1 < capacity else <uint32_t>NODE_NONE
    return True

cdef inline void state_free(EndpointState* state) noexcept nogil:
    """Wipe keys and give everything back. Also right after a state_allocate that failed half way."""
    if state.connections != NULL:
        sodium.memzero(state.connections, state.high_water * sizeof(Connection))    # others were never used
    if state.halves != NULL:
        sodium.memzero(state.halves, state.limits.half_open_capacity * sizeof(HalfOpen))
    if state.attempts != NULL:
        sodium.memzero(state.attempts, state.limits.capacity * sizeof(Attempt))
    pages_free(state.connections, state.limits.capacity * sizeof(Connection))
    free(state.next_free)
    free(state.deadlines)
    free(state.dirty)
    free(state.paces)
    free(state.nodes)
    free(state.halves)
    free(state.spent_ring)
    free(state.attempts)
    table_free(&state.sessions)
    table_free(&state.echoes)
    table_free(&state.spent)
    slab_free(&state.slab)
    packer_free(&state.packer)
    trust_free(&state.trust)
    joining_free(&state.joining)
    integrity_free(&state.integrity)
    sodium.memzero(state, sizeof(EndpointState))

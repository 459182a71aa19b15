"""Truth: each tick's quantized state, written apart from replication, for other processes to hold views against.

Owner    The bytes are a memory-mapped file; the door class Truth holds the mapping.
Limit    RING ticks, the world's slots; a reader that is more than RING ticks behind finds nothing.
Threads  One writer, any number of reading processes: a tick's number is written last and looked at twice.

    file    TruthHeader | RING x { u64 tick | slots x TruthSlot | slots x stride x i32 quanta }
"""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from shadowland._core.world.columns cimport (
    KIND_OFFSET, KIND_QUADRANT, Component, EntityKind, difference, is_shown, pair_apart, place_of, quantize,
    quantize_pair)
from shadowland._core.world.state cimport WorldState, column_value, first_quanta
from shadowland._core.world.view cimport Seat, ViewSet, in_view, kept_at, view_seat, view_state

cdef extern from *:
    """
    #define truth_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    """
    void truth_fence() noexcept nogil

cdef enum:
    RING = 64
    RING_MASK = RING - 1
    TRUTH_MAGIC = 0x544C5331            # "1SLT"
    EPISODE_COUNTED = 0x80000000        # bit of Truth.since: this episode was counted

cdef struct TruthHeader:                # 64 bytes
    uint32_t magic
    uint32_t hz
    uint32_t slots
    uint32_t stride
    uint8_t reserved[48]

cdef struct TruthSlot:
    uint32_t generation                 # 0: nobody
    uint32_t kind
    uint64_t visible_to                 # masks: the entity's, and that of the observer whose avatar it is
    uint64_t sees

cdef struct TruthTick:                  # pointers into one tick of the ring
    uint64_t* tick
    TruthSlot* slot
    int32_t* state

cdef struct VerifyStats:
    uint64_t checked                    # (view, entity) pairs looked at
    uint64_t off                        # pairs off by more than the tolerance, now
    uint64_t missing                    # pairs inside radius - hysteresis and not in view, now
    uint64_t ghosts                     # pairs in view beyond radius + hysteresis, or dead, now
    uint64_t hidden                     # pairs inside radius - hysteresis that masks keep apart
    uint64_t leaked                     # pairs in view although masks keep them apart: no tick of that is right
    uint64_t mismatches                 # episodes of off, missing or ghosts that lasted over half a second, and leaks
    uint64_t unchecked                  # views whose tick the ring does not hold, or that have no avatar

cdef inline size_t truth_tick_size(uint32_t slots, uint32_t stride) noexcept nogil:
    return (8 + slots * (sizeof(TruthSlot) + stride * sizeof(int32_t)) + 7) & ~<size_t>7

cdef inline TruthTick truth_at(uint8_t* base, uint32_t slots, uint32_t stride, uint64_t tick) noexcept nogil:
    cdef uint8_t* begin = base + sizeof(TruthHeader) + (tick & RING_MASK) * truth_tick_size(slots, stride)
    cdef TruthTick at
    at.tick = <uint64_t*>begin
    at.slot = <TruthSlot*>(begin + 8)
    at.state = <int32_t*>(begin + 8 + slots * sizeof(TruthSlot))
    return at

cdef inline void truth_write_row(const WorldState* world, const TruthTick* now, const TruthTick* before,
                                 uint32_t number, uint32_t row) noexcept nogil:
    """One row of the columns, quantized here and not taken from what was published. No number: what was before."""
    cdef const EntityKind* kind = &world.kinds[number]
    cdef uint32_t slot = world.rows[number].slots[row], f, i
    cdef int32_t* state = &now.state[slot * world.stride]
    cdef const int32_t* old = &before.state[slot * world.stride]
    cdef bint known = before.slot[slot].generation == world.slot[slot].generation
    cdef uint64_t saturated = 0
    cdef double value
    now.slot[slot].generation = world.slot[slot].generation
    now.slot[slot].kind = number
    now.slot[slot].visible_to = world.slot[slot].visible_to
    for i in range(kind.components):
        state[i] = old[i] if known else first_quanta(kind, i)
    for f in range(kind.fields):
        for i in range(kind.first[f], kind.first[f + 1]):
            value = column_value(&world.rows[number].column[f],
                                 <size_t>row * world.rows[number].column[f].lanes + i - kind.first[f])
            if kind.component[i].kind == KIND_OFFSET:
                quantize_pair(kind, i, value, state, &saturated)
            elif kind.component[i].kind != KIND_QUADRANT:
                quantize(&kind.component[i], value, &state[i], &saturated)

cdef inline double truth_distance2(const EntityKind* kind, const int32_t* state, const double* centre) noexcept nogil:
    cdef double total = 0.0, apart
    cdef uint32_t axis
    for axis in range(3):
        apart = centre[axis]
        if kind.position[axis] >= 0:
            apart -= place_of(kind, kind.position[axis], state)
        total += apart * apart
    return total

cdef inline bint truth_is_off(const EntityKind* kind, const int32_t* truth, const int32_t* seen,
                              uint32_t audience) noexcept nogil:
    """True if `seen` is off by more than the tolerance. Fields with a rate lag by design and are left out."""
    cdef uint32_t i
    cdef int64_t apart, tolerance
    cdef const Component* c
    for i in range(kind.components):
        c = &kind.component[i]
        if c.rate_ticks or not is_shown(c, audience) or c.kind == KIND_QUADRANT:
            continue
        apart = difference(c, truth[i], seen[i])
        if c.kind == KIND_OFFSET:
            apart = pair_apart(c, truth[i], truth[c.pair], seen[i], seen[c.pair])
        tolerance = c.tolerance if c.predict >= 0 else 0
        if apart > tolerance or apart < -tolerance:
            return True
    return False

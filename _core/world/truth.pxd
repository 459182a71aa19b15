"""Truth: each tick's quantized state, written apart from replication, for other processes to hold views against.

Owner    The bytes are a memory-mapped file; the door class Truth holds the mapping.
Limit    RING ticks, the world's slots and observers; a reader that is more than RING ticks behind finds nothing.
Threads  One writer, any number of reading processes: a tick's number is written last and looked at twice.

    file    TruthHeader | RING x { u64 tick | observers x TruthObserver | slots x TruthSlot | slots x stride x i32 }
"""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from shadowland._core.world.chosen cimport MAX_OWNED
from shadowland._core.world.columns cimport (
    KIND_OFFSET, KIND_QUADRANT, Component, EntityKind, difference, is_shown, pair_apart, place_of, quantize,
    quantize_pair)
from shadowland._core.world.reference cimport Observer
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
    FAR_MARGIN = 16                     # of farness: who has come nearer was far when it was told last
    EPISODE_COUNTED = 0x80000000        # bit of Truth.since: this episode was counted

cdef struct TruthHeader:                # 64 bytes
    uint32_t magic
    uint32_t hz
    uint32_t slots
    uint32_t stride
    uint32_t observers
    uint8_t reserved[44]

cdef enum:                              # TruthSlot.chosen
    TRUTH_ALWAYS = 1                    # always relevant
    TRUTH_OWNED = 2                     # among those that its owner sees at any distance

cdef struct TruthSlot:                  # 32 bytes
    uint32_t generation                 # 0: nobody
    uint32_t kind
    uint64_t owner
    uint64_t visible_to
    uint32_t chosen
    uint32_t reserved

cdef struct TruthObserver:              # 24 bytes
    uint64_t handle                     # 0: nobody
    uint64_t avatar
    uint64_t sees

cdef struct TruthTick:                  # pointers into one tick of the ring
    uint64_t* tick
    TruthObserver* observer
    TruthSlot* slot
    int32_t* state

cdef struct VerifyStats:
    uint64_t checked                    # (view, entity) pairs looked at
    uint64_t off                        # pairs off by more than the tolerance, now
    uint64_t missing                    # pairs that must be in view and are not, now
    uint64_t ghosts                     # pairs that may not be in view and are, or dead, now
    uint64_t hidden                     # pairs that masks alone keep apart
    uint64_t leaked                     # pairs in view although masks keep them apart: no tick of that is right
    uint64_t mismatches                 # episodes of off, missing or ghosts that lasted over half a second, and leaks
    uint64_t unchecked                  # views whose tick the ring does not hold, or that own nothing

cdef inline size_t truth_tick_size(const TruthHeader* header) noexcept nogil:
    return (8 + header.observers * sizeof(TruthObserver)
            + header.slots * (sizeof(TruthSlot) + header.stride * sizeof(int32_t)) + 7) & ~<size_t>7

cdef inline TruthTick truth_at(uint8_t* base, uint64_t tick) noexcept nogil:
    cdef const TruthHeader* header = <const TruthHeader*>base
    cdef TruthTick at
    base += sizeof(TruthHeader) + (tick & RING_MASK) * truth_tick_size(header)
    at.tick = <uint64_t*>base
    at.observer = <TruthObserver*>(base + 8)
    at.slot = <TruthSlot*>(base + 8 + header.observers * sizeof(TruthObserver))
    at.state = <int32_t*>(<uint8_t*>at.slot + header.slots * sizeof(TruthSlot))
    return at

cdef inline void truth_write_observer(const WorldState* world, const Observer* observer, uint32_t number,
                                      const TruthTick* now) noexcept nogil:
    """One observer, and which of its own it sees at any distance. The rows are written already."""
    cdef uint32_t slot, at = world.chosen.first[number], owned = 0
    now.observer[number].handle, now.observer[number].avatar = observer.handle, observer.avatar
    now.observer[number].sees = observer.sees
    while at != 0 and owned < MAX_OWNED:
        slot = at - 1
        if observer.handle != 0 and now.slot[slot].generation != 0 and now.slot[slot].owner == observer.handle:
            now.slot[slot].chosen |= TRUTH_OWNED
            owned += 1
        at = world.chosen.link[slot].next

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
    now.slot[slot].owner, now.slot[slot].visible_to = world.slot[slot].owner, world.slot[slot].visible_to
    now.slot[slot].chosen = TRUTH_ALWAYS if world.chosen.always_at[slot] else 0
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

cdef struct TruthLook:                  # whose view it is
    const TruthObserver* who
    bint looks                          # from its avatar, which stands at `centre`
    double centre[3]

cdef inline void truth_place(const EntityKind* kind, const int32_t* state, double* place) noexcept nogil:
    cdef uint32_t axis
    for axis in range(3):
        place[axis] = 0.0
        if kind.position[axis] >= 0:
            place[axis] = place_of(kind, kind.position[axis], state)

cdef inline bint truth_may_see(const TruthObserver* who, const TruthSlot* slot) noexcept nogil:
    return slot.visible_to & who.sees != 0 or slot.owner == who.handle

cdef inline bint truth_reaches(const TruthLook* look, const TruthTick* at, uint32_t slot, const EntityKind* kind,
                               const int32_t* state, double radius) noexcept nogil:
    """True if the entity is seen at any distance, or stands within `radius` of the avatar."""
    cdef const TruthSlot* entity = &at.slot[slot]
    cdef double place[3]
    cdef double dx, dy, dz
    if entity.chosen & TRUTH_ALWAYS or (entity.chosen & TRUTH_OWNED and entity.owner == look.who.handle) or \
            look.who.avatar == (<uint64_t>entity.generation << 32 | slot):
        return True
    if not look.looks or radius <= 0.0:
        return False
    truth_place(kind, state, place)
    dx, dy, dz = place[0] - look.centre[0], place[1] - look.centre[1], place[2] - look.centre[2]
    return dx * dx + dy * dy + dz * dz <= radius * radius

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

"""Unreliable messages in parts: cutting is trivial, putting together is where an attacker would like to live.

Owner    One Fragments belongs to one endpoint; its sets hold chains of the endpoint's slab.
Limit    FRAGMENT_SETS sets in all and FRAGMENT_SETS_PER_SESSION per session (the oldest gives way), FRAGMENT_PARTS
         parts of FRAGMENT_SIZE bytes, FRAGMENT_LIFE_US of patience. Declared sizes are never trusted: only what
         arrived is stored.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.base.slab cimport SLAB_NONE, Slab, slab_load, slab_release, slab_store

cdef enum:
    FRAGMENT_SETS = 256
    FRAGMENT_SETS_PER_SESSION = 4
    FRAGMENT_PARTS = 16
    FRAGMENT_SIZE = 960                             # fits beside the largest ack block into the smallest MTU
    FRAGMENT_LIFE_US = 10000000

    FRAGMENT_STORED = 0
    FRAGMENT_COMPLETE = 1
    FRAGMENT_DUPLICATE = 2
    FRAGMENT_BAD = 3
    FRAGMENT_NO_ROOM = 4

cdef struct FragmentSet:
    uint64_t connection                             # 0: free
    uint64_t started_us
    uint32_t chains[FRAGMENT_PARTS]
    uint16_t id
    uint16_t received                               # one bit a part
    uint16_t last_length
    uint8_t count
    uint8_t head                                    # bits of the frames' heads, the same in all parts

cdef struct Fragments:
    FragmentSet sets[FRAGMENT_SETS]
    uint64_t expired                                # sets given up, by age and by need
    uint64_t evicted
    uint32_t live

cdef inline void fragments_init(Fragments* fragments) noexcept nogil:
    memset(fragments, 0, sizeof(Fragments))

cdef inline void fragment_drop(Fragments* fragments, Slab* slab, FragmentSet* chosen) noexcept nogil:
    cdef uint32_t i
    for i in range(chosen.count):
        if chosen.received >> i & 1:
            slab_release(slab, chosen.chains[i])
    memset(chosen, 0, sizeof(FragmentSet))
    fragments.live -= 1

cdef inline FragmentSet* fragment_find(Fragments* fragments, Slab* slab, uint64_t connection, uint16_t id,
                                       uint64_t now_us) noexcept nogil:
    """The set of (connection, id), a new one if there is none; sets that are too old go on the way."""
    cdef FragmentSet* candidate
    cdef FragmentSet* empty = NULL
    cdef FragmentSet* oldest = NULL
    cdef FragmentSet* oldest_own = NULL
    cdef FragmentSet* found = NULL              # no return from inside the loop: sets after it may be too old
    cdef uint32_t i, own = 0
    for i in range(FRAGMENT_SETS):
        candidate = &fragments.sets[i]
        if candidate.connection != 0 and now_us > candidate.started_us + FRAGMENT_LIFE_US:
            fragment_drop(fragments, slab, candidate)
            fragments.expired += 1
        if candidate.connection == 0:
            if empty == NULL:
                empty = candidate
            continue
        if candidate.connection == connection:
            if candidate.id == id:
                found = candidate
            own += 1
            if oldest_own == NULL or candidate.started_us < oldest_own.started_us:
                oldest_own = candidate
        if oldest == NULL or candidate.started_us < oldest.started_us:
            oldest = candidate
    if found != NULL:
        return found
    if own >= FRAGMENT_SETS_PER_SESSION:
        fragment_drop(fragments, slab, oldest_own)
        fragments.evicted += 1
        empty = oldest_own
    elif empty == NULL:
        fragment_drop(fragments, slab, oldest)
        fragments.evicted += 1
        empty = oldest
    empty.connection = connection
    empty.id = id
    empty.started_us = now_us
    fragments.live += 1
    return empty

cdef inline int fragment_add(Fragments* fragments, Slab* slab, uint64_t connection, uint16_t id, uint8_t index,
                             uint8_t count, uint8_t head, const uint8_t* data, uint32_t length, uint64_t now_us,
                             FragmentSet** out) noexcept nogil:
    """Keep one part; returns a FRAGMENT_ code, and with FRAGMENT_COMPLETE the set in `out` (drop it when it was
    read)."""
    cdef FragmentSet* chosen
    if count < 2 or count > FRAGMENT_PARTS or index >= count:
        return FRAGMENT_BAD
    # All but the last are full, so that the place of a part follows from its index alone.
    if (index + 1 < count and length != FRAGMENT_SIZE) or length == 0 or length > FRAGMENT_SIZE:
        return FRAGMENT_BAD
    chosen = fragment_find(fragments, slab, connection, id, now_us)
    if chosen.count == 0:
        chosen.count = count
        chosen.head = head
    elif chosen.count != count or chosen.head != head:
        return FRAGMENT_BAD
    if chosen.received >> index & 1:
        return FRAGMENT_DUPLICATE
    chosen.chains[index] = slab_store(slab, data, length)
    if chosen.chains[index] == <uint32_t>SLAB_NONE:
        if chosen.received == 0:
            fragment_drop(fragments, slab, chosen)
        return FRAGMENT_NO_ROOM
    chosen.received |= <uint16_t>(1 << index)
    if index + 1 == count:
        chosen.last_length = <uint16_t>length
    if chosen.received != (1 << count) - 1:
        return FRAGMENT_STORED
    out[0] = chosen
    return FRAGMENT_COMPLETE

cdef inline uint32_t fragment_length(const FragmentSet* complete) noexcept nogil:
    return <uint32_t>(complete.count - 1) * FRAGMENT_SIZE + complete.last_length

cdef inline void fragment_read(const FragmentSet* complete, const Slab* slab, uint8_t* out) noexcept nogil:
    cdef uint32_t i, length
    for i in range(complete.count):
        length = complete.last_length if i + 1 == complete.count else FRAGMENT_SIZE
        slab_load(slab, complete.chains[i], out + i * FRAGMENT_SIZE, length)

cdef inline void fragments_forget(Fragments* fragments, Slab* slab, uint64_t connection) noexcept nogil:
    """The session ended: its sets go."""
    cdef uint32_t i
    if fragments.live == 0:
        return
    for i in range(FRAGMENT_SETS):
        if fragments.sets[i].connection == connection:
            fragment_drop(fragments, slab, &fragments.sets[i])

cdef inline void fragments_sweep(Fragments* fragments, Slab* slab, uint64_t now_us) noexcept nogil:
    """Drop what is too old, so that memory returns without further traffic."""
    cdef uint32_t i
    if fragments.live == 0:
        return
    for i in range(FRAGMENT_SETS):
        if fragments.sets[i].connection != 0 and now_us > fragments.sets[i].started_us + FRAGMENT_LIFE_US:
            fragment_drop(fragments, slab, &fragments.sets[i])
            fragments.expired += 1

"""Audiences: which of an entity's components an observer is sent.

Owner    The world's group numbers are the door class World's; kernels only read them.
Limit    CLASS_GROUPS groups a class, so that a set fits the head of a record; MAX_GROUPS sorts of them a world.
Threads  The game thread.

A set is bits: SHOW_OWNER for the components that are the owner's alone, SHOW_OWNER << 1 + g for those of the class's
group g. The owner is in all of them. Encodings are shared by all who are in the same set.
"""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

from shadowland._core.world.columns cimport NOBODY, SHOW_OWNER, EntityKind
from shadowland._core.world.reference cimport Entry, Observer
from shadowland._core.world.state cimport Slot, WorldState

cdef inline uint32_t audience_of(const WorldState* world, const Observer* observer, uint32_t index) noexcept nogil:
    """Audience set of the observer for entity `index`: its owner's, or that of the groups its avatar is of."""
    cdef const Slot* slot = &world.slot[index]
    cdef const EntityKind* kind = &world.kinds[slot.kind]
    cdef uint32_t g, number, avatar = <uint32_t>observer.avatar, audience = 0
    cdef const uint32_t* numbers
    if slot.owner != 0 and slot.owner == observer.handle:
        return kind.shows_all
    if kind.groups == 0 or observer.avatar == 0 or avatar >= world.slots \
            or world.slot[avatar].kind == NOBODY or world.slot[avatar].generation != <uint32_t>(observer.avatar >> 32):
        return 0
    for g in range(kind.groups):
        numbers = &world.group_of[<size_t>kind.group[g] * world.slots]
        number = numbers[index]
        if number != 0 and number == numbers[avatar]:
            audience |= SHOW_OWNER << (1 + g)
    return audience

cdef inline bint settle_audience(const WorldState* world, const Observer* observer,
                                 Entry* entry) noexcept nogil:
    """Which components the observer is shown from now on. In another audience than before it begins with a whole
    record; False if one of this tick is on its way still: two of a tick must not differ in what they hold."""
    cdef uint32_t audience = audience_of(world, observer, entry.slot)
    if audience == entry.audience:
        return True
    if entry.sent == world.tick or entry.reference == world.tick:
        return False
    entry.audience = <uint8_t>audience
    entry.since, entry.reference, entry.sent = world.tick, 0, 0
    return True

"""Chosen: entities that are seen at any distance, the always relevant ones by everybody, and one's own by their owner.

Owner    The door class Entities allocates the arrays; kernels fill them and never allocate.
Limit    MAX_ALWAYS always relevant entities a world; of an observer's own the MAX_OWNED that it has had longest. Both
         together are half of the usual 256 seats, so that what is near is seen in every case.
Threads  The game thread.

What is chosen stands in lists, so that an observer costs what it is shown, not what there is: one of the always
relevant ones, and for each observer slot one of those it owns, linked by slots, in the order in which they were given.
Who left its entities behind still has them in the list of its slot; the next one there takes them out as it comes by.
Links and places count from 1; 0 is none, so that zeroed memory is empty.
"""
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    MAX_ALWAYS = 64
    MAX_OWNED = 64

cdef struct Link:                       # by slot
    uint32_t next
    uint32_t previous
    uint32_t observer                   # in whose list; 0: in none

cdef struct Chosen:
    uint32_t always[MAX_ALWAYS]         # slots
    uint32_t* always_at                 # by slot: its place in `always`
    Link* link
    uint32_t* first                     # by observer slot
    uint32_t* last
    uint32_t always_count
    uint32_t observers

cdef inline void disown(Chosen* chosen, uint32_t slot) noexcept nogil:
    """Take an entity out of its owner's list, if it is in one."""
    cdef Link* link = &chosen.link[slot]
    cdef uint32_t observer
    if link.observer == 0:
        return
    observer = link.observer - 1
    if link.previous:
        chosen.link[link.previous - 1].next = link.next
    else:
        chosen.first[observer] = link.next
    if link.next:
        chosen.link[link.next - 1].previous = link.previous
    else:
        chosen.last[observer] = link.previous
    link.next = link.previous = link.observer = 0

cdef inline void own(Chosen* chosen, uint32_t slot, uint64_t owner) noexcept nogil:
    """Give an entity to the observer with this handle, as the last of its own; 0, or a slot that is none: nobody."""
    cdef Link* link = &chosen.link[slot]
    cdef uint32_t observer = <uint32_t>owner
    disown(chosen, slot)
    if owner == 0 or observer >= chosen.observers:
        return
    link.observer, link.previous = observer + 1, chosen.last[observer]
    if link.previous:
        chosen.link[link.previous - 1].next = slot + 1
    else:
        chosen.first[observer] = slot + 1
    chosen.last[observer] = slot + 1

cdef inline bint choose_always(Chosen* chosen, uint32_t slot, bint on) noexcept nogil:
    """Make an entity always relevant, or no more; False if there are MAX_ALWAYS already."""
    cdef uint32_t at = chosen.always_at[slot], moved
    if on and at == 0:
        if chosen.always_count == MAX_ALWAYS:
            return False
        chosen.always[chosen.always_count] = slot
        chosen.always_count += 1
        chosen.always_at[slot] = chosen.always_count
    elif not on and at != 0:
        chosen.always_count -= 1
        moved = chosen.always[chosen.always_count]
        chosen.always[at - 1], chosen.always_at[moved] = moved, at
        chosen.always_at[slot] = 0
    return True

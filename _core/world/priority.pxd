"""Priority: what goes first when an observer's bytes do not suffice, and what need not be told each tick.

Owner    Pure functions of the world's state and an observer's seats.
Limit    A record that waits for OVERDUE_S goes before all that is only important: no weight starves anybody.
Threads  The game thread.

    gain        class weight (sixteenths) x 4 beside the avatar .. 1 at the edge of view x 4 for one's own
    priority    gain x ticks waited, set back when it is sent (a priority accumulator)
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from shadowland._core.world.columns cimport SHOW_OWNER, EntityKind
from shadowland._core.world.reference cimport Entry, Observer
from shadowland._core.world.state cimport WorldState

cdef enum:
    OVERDUE_S = 2

cdef inline uint8_t farness_of(const EntityKind* kind, double apart) noexcept nogil:
    """Squared distance as a number of 0 to 255, which is where the entity goes out of view."""
    cdef double scaled = apart * kind.farness_scale
    return <uint8_t>scaled if scaled < 255.0 else 255

cdef inline bint is_far(const WorldState* world, const Entry* entry) noexcept nogil:
    return entry.farness > world.kinds[world.slot[entry.slot].kind].far_from

cdef inline uint64_t priority_of(const WorldState* world, const Observer* observer, const Entry* entry) noexcept nogil:
    """Rank of a due record, least first: the avatar, what waits for OVERDUE_S or longer, then by gain x wait.

    The gain is the class's weight, times 4 beside the avatar and 1 at the edge of view, times 4 for one's own.
    """
    cdef uint64_t wait = world.tick - entry.wanted, gain
    if entry.slot == <uint32_t>observer.avatar:
        return 1
    if wait >= OVERDUE_S * world.hz:
        return 2 + <uint64_t>entry.wanted
    gain = world.kinds[world.slot[entry.slot].kind].weight * (1024 - 3 * <uint64_t>entry.farness)
    if entry.audience & SHOW_OWNER:
        gain *= 4
    return (<uint64_t>1 << 63) - gain * (wait + 1)

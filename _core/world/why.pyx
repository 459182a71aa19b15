"""Python door to the question why an observer is told of an entity, or is not. Asked by people, not in each tick."""
from libc.math cimport sqrt
from libc.stdint cimport uint32_t, uint64_t

from shadowland._core.world.chosen cimport MAX_OWNED
from shadowland._core.world.interest cimport distance2
from shadowland._core.world.priority cimport is_far
from shadowland._core.world.reference cimport (
    LOST, SEAT_ENTERING, SEAT_FREE, SEAT_KNOWN, SEAT_LEAVING, TOLD, Entry, Observer)
from shadowland._core.world.replicate cimport World, is_stalled
from shadowland._core.world.state cimport Place, Slot, WorldState, may_see

ENTERING = SEAT_ENTERING
KNOWN = SEAT_KNOWN
LEAVING = SEAT_LEAVING


cdef inline bint is_among_own(const WorldState* world, const Observer* who, uint32_t slot) noexcept nogil:
    """True if the observer owns the entity and sees it at any distance."""
    cdef uint32_t at = world.chosen.first[<uint32_t>who.handle], owned = 0
    while at != 0 and owned < MAX_OWNED:
        if world.slot[at - 1].owner == who.handle and world.place[at - 1].generation != 0:
            if at - 1 == slot:
                return True
            owned += 1
        at = world.chosen.link[at - 1].next
    return False


def standing(World world, observer: int, entity: int) -> dict[str, object]:
    """All that decides what the observer in slot `observer` is told of `entity` (a handle), as it is now.

    handle: of its session, 0 nobody. watching (its avatar is published), alive, published, masks (they let it be seen),
    chosen (it is seen at any distance), stalled: bool. distance, radius, leave: user units, where both are published.
    seat: None, or state (ENTERING, KNOWN, LEAVING), reference and sent (ticks, 0 none), wanted (tick since which a
    record waits, 0 none), told, lost, far: bool, audience: set. taken, seats: how many. ValueError for a slot that is
    none.
    """
    cdef const Observer* who
    cdef const Place* centre
    cdef const Place* place
    cdef const Slot* slot
    cdef const Entry* entry
    cdef uint32_t index = <uint32_t><uint64_t>entity, avatar, seat, taken = 0
    if not 0 <= observer < world.r.observer_count:
        raise ValueError(f"there is no observer slot {observer}")
    who = &world.r.observers[observer]
    avatar = <uint32_t>who.avatar
    facts = {"handle": who.handle, "stalled": bool(is_stalled(&world.r, who)), "seats": world.r.interest.seats,
             "seat": None}
    facts["watching"] = who.avatar != 0 and avatar < world.state.slots and \
        world.state.place[avatar].generation == who.avatar >> 32
    facts["alive"] = world.kind_of(entity) >= 0
    facts["published"] = facts["alive"] and world.state.place[index].generation == <uint64_t>entity >> 32
    if facts["alive"]:
        slot = &world.state.slot[index]
        facts["masks"] = bool(may_see(slot, who.sees, who.handle))
        facts["chosen"] = who.avatar == <uint64_t>entity or world.state.chosen.always_at[index] != 0 or \
            is_among_own(&world.state, who, index)
    if facts["watching"] and facts["published"]:
        centre, place = &world.state.place[avatar], &world.state.place[index]
        facts["distance"] = sqrt(distance2(centre, place))
        facts["radius"] = sqrt(world.r.interest.radius2[place.kind])
        facts["leave"] = sqrt(world.r.interest.leave2[place.kind])
    for seat in range(who.high):
        entry = &who.entries[seat]
        taken += entry.state != SEAT_FREE
        if entry.state != SEAT_FREE and entry.slot == index and entry.generation == <uint64_t>entity >> 32:
            facts["seat"] = {
                "state": entry.state, "reference": entry.reference, "sent": entry.sent, "wanted": entry.wanted,
                "told": entry.flags & TOLD != 0, "lost": entry.flags & LOST != 0, "audience": entry.audience,
                "far": facts["published"] and bool(is_far(&world.state, entry))}
    facts["taken"] = taken
    return facts

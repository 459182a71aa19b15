"""Interest: which entities an observer sees, and the seats that those who come into view are given.

Owner    The door class World allocates the scratch arrays at start-up; they hold nothing between two calls.
Limit    `seats` entities an observer; beyond that the nearest get them, and the rest are counted.
Threads  The game thread.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.pages cimport prefetch
from shadowland._core.world.columns cimport MAX_KINDS, NO_SLOT
from shadowland._core.world.grid cimport GridHit, grid_query
from shadowland._core.world.priority cimport farness_of
from shadowland._core.world.rank cimport Ranked, rank_sort
from shadowland._core.world.reference cimport (
    SEAT_ENTERING, SEAT_FREE, SEAT_LEAVING, TOLD, Entry, Observer, take_seat)
from shadowland._core.world.state cimport Place, WorldState, may_see

cdef struct Interest:
    GridHit* hits                       # slots
    Ranked* ranks                       # the greater of slots and seats
    uint64_t* marks                     # by slot: last visit that knew it
    double radius2[MAX_KINDS]
    double leave2[MAX_KINDS]
    double reach                        # the largest radius
    uint64_t visit
    uint64_t unseated                   # observers whose seats were all taken, summed over ticks
    uint32_t seats
    bint masked                         # some mask was set: until then nobody pays for them

cdef inline double distance2(const Place* a, const Place* b) noexcept nogil:
    cdef double dx = b.x - a.x, dy = b.y - a.y, dz = b.z - a.z
    return dx * dx + dy * dy + dz * dz

cdef inline void seat_newcomers(Interest* look, const WorldState* world, Observer* observer,
                                uint32_t count) noexcept nogil:
    """Seats for the `count` slots in look.ranks, as far as there are any."""
    cdef uint32_t i, seat = take_seat(observer, 0, look.seats)
    cdef double apart
    cdef Entry* entry
    if seat != NO_SLOT:
        rank_sort(look.ranks, count)
    for i in range(count):
        if seat == NO_SLOT:
            look.unseated += 1
            return
        entry = &observer.entries[seat]
        entry.slot = look.ranks[i].index
        entry.generation = world.slot[entry.slot].generation
        entry.since = world.tick
        entry.reference = entry.sent = entry.wanted = 0
        entry.state, entry.flags, entry.audience = SEAT_ENTERING, 0, 0
        memcpy(&apart, &look.ranks[i].key, 8)
        entry.farness = farness_of(&world.kinds[world.place[entry.slot].kind], apart)
        if seat >= observer.high:
            observer.high = seat + 1
        seat = take_seat(observer, seat + 1, look.seats)

cdef inline void update_interest(Interest* look, const WorldState* world, Observer* observer) noexcept nogil:
    """Move what is out of view to leaving, and give seats to what came into view, the nearest first."""
    cdef uint32_t avatar = <uint32_t>observer.avatar, seat, i, count = 0, found
    cdef const Place* centre = &world.place[avatar if avatar < world.slots else 0]
    cdef const Place* place
    cdef double apart
    cdef bint sees = observer.avatar != 0 and centre.generation == <uint32_t>(observer.avatar >> 32)
    cdef Entry* entry
    look.visit += 1
    for seat in range(observer.high):
        entry = &observer.entries[seat]
        if entry.state == SEAT_FREE or entry.state == SEAT_LEAVING:
            continue
        place = &world.place[entry.slot]
        prefetch(&world.slot[entry.slot])       # for fill_queue()
        apart = distance2(centre, place)
        if sees and place.generation == entry.generation and apart <= look.leave2[place.kind] and \
                (not look.masked or may_see(&world.slot[entry.slot], observer.sees, observer.handle)):
            look.marks[entry.slot] = look.visit
            entry.farness = farness_of(&world.kinds[place.kind], apart)
        else:
            entry.state = SEAT_LEAVING if entry.flags & TOLD else SEAT_FREE
    while observer.high and observer.entries[observer.high - 1].state == SEAT_FREE:
        observer.high -= 1
    if not sees:
        return
    if observer.high == look.seats and take_seat(observer, 0, look.seats) == NO_SLOT:
        look.unseated += 1
        return                          # whoever is near finds no seat: a crowd is not worth looking at
    found = grid_query(&world.grid, centre.x, centre.y, centre.z, look.reach, look.radius2, look.hits)
    for i in range(found):
        if look.marks[look.hits[i].slot] != look.visit and \
                (not look.masked or may_see(&world.slot[look.hits[i].slot], observer.sees, observer.handle)):
            # Squares are not negative, so their bits compare as the numbers do.
            memcpy(&look.ranks[count].key, &look.hits[i].distance2, 8)
            look.ranks[count].tie = look.ranks[count].index = look.hits[i].slot
            count += 1
    if count:
        seat_newcomers(look, world, observer, count)

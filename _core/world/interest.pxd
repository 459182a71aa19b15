"""Interest: which entities an observer sees, and the seats that those who come into view are given.

Owner    The door class World allocates the scratch arrays at start-up; they hold nothing between two calls.
Limit    `seats` entities an observer: its avatar, then its own, then what is always relevant, then the nearest get
         them, and the rest are counted.
Threads  The game thread.

Looked at are the observer's seats, what is chosen for it (chosen.pxd), and the cells around its avatar: nothing of it
grows with the world.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.pages cimport prefetch
from shadowland._core.world.chosen cimport MAX_OWNED, Chosen, disown
from shadowland._core.world.columns cimport MAX_KINDS, NO_SLOT
from shadowland._core.world.grid cimport GridHit, grid_query
from shadowland._core.world.priority cimport farness_of
from shadowland._core.world.rank cimport Ranked, rank_front, rank_sort
from shadowland._core.world.reference cimport (
    SEAT_ENTERING, SEAT_FREE, SEAT_LEAVING, TOLD, Entry, Observer, take_seat)
from shadowland._core.world.state cimport Place, WorldState, may_see

cdef enum:                              # of a mark, above the visit
    MARK_CHOSEN = 1
    MARK_SEATED = 2                     # or about to be
    MARKS = 4

cdef enum:                              # keys of newcomers' ranks
    KEY_AVATAR = 0
    KEY_OWN = 1
    KEY_ALWAYS = 2
    KEY_NEAR = 3                        # and from here on by distance

    TRADE_TICKS = 16                    # so often an observer without a free seat is looked round for,
    TRADES = 4                          # and at most so many seats go to somebody nearer
    FEW = 8                             # seats that are found faster one by one than by sorting all who want them

cdef struct Interest:
    GridHit* hits                       # slots
    Ranked* ranks                       # the greater of slots and seats
    uint64_t* marks                     # by slot: visit + what it was marked as then
    uint32_t* chosen                    # slots of this visit's: MAX_ALWAYS + MAX_OWNED + 1
    double radius2[MAX_KINDS]
    double leave2[MAX_KINDS]
    double reach                        # the largest radius
    uint64_t visit                      # a multiple of MARKS
    uint64_t unseated                   # observers whose seats were all taken, summed over ticks
    uint32_t seats
    bint masked                         # some mask was set: until then nobody pays for them

cdef inline double distance2(const Place* a, const Place* b) noexcept nogil:
    cdef double dx = b.x - a.x, dy = b.y - a.y, dz = b.z - a.z
    return dx * dx + dy * dy + dz * dz

cdef inline uint32_t mark_of(const Interest* look, uint32_t slot) noexcept nogil:
    return <uint32_t>(look.marks[slot] - look.visit) if look.marks[slot] > look.visit else 0

cdef inline const Place* centre_of(const WorldState* world, const Observer* observer) noexcept nogil:
    """Where the observer looks from; NULL: from nowhere, as it has no avatar or that is not published."""
    cdef uint32_t avatar = <uint32_t>observer.avatar
    if observer.avatar == 0 or avatar >= world.slots or \
            world.place[avatar].generation != <uint32_t>(observer.avatar >> 32):
        return NULL
    return &world.place[avatar]

cdef inline uint32_t choose(Interest* look, WorldState* world, const Observer* observer, bint looks) noexcept nogil:
    """What the observer sees at any distance: slots in look.chosen, marked; their number. `looks`: it has an avatar."""
    cdef Chosen* chosen = &world.chosen
    cdef uint32_t count = 0, owned = 0, i, slot, at = chosen.first[<uint32_t>observer.handle]
    if looks:
        slot = <uint32_t>observer.avatar
        if not look.masked or may_see(&world.slot[slot], observer.sees, observer.handle):
            look.marks[slot] = look.visit + MARK_CHOSEN
            look.chosen[count] = slot
            count += 1
    while at != 0 and owned < MAX_OWNED:
        slot = at - 1
        at = chosen.link[slot].next
        if world.slot[slot].owner != observer.handle:
            disown(chosen, slot)        # of somebody who had this observer slot before
        elif world.place[slot].generation != 0:
            owned += 1
            if mark_of(look, slot) == 0:
                look.marks[slot] = look.visit + MARK_CHOSEN
                look.chosen[count] = slot
                count += 1
    for i in range(chosen.always_count):
        slot = chosen.always[i]
        if world.place[slot].generation != 0 and mark_of(look, slot) == 0 and \
                (not look.masked or may_see(&world.slot[slot], observer.sees, observer.handle)):
            look.marks[slot] = look.visit + MARK_CHOSEN
            look.chosen[count] = slot
            count += 1
    return count

cdef inline uint32_t seat_newcomers(Interest* look, const WorldState* world, Observer* observer, const Place* centre,
                                    uint32_t count) noexcept nogil:
    """Seats for the `count` slots in look.ranks, as far as there are any; how many chosen ones were left without."""
    cdef uint32_t i, k, seat = take_seat(observer, 0, look.seats), left = 0, free = 0
    cdef const Place* place
    cdef Entry* entry
    for i in range(seat, look.seats if seat != NO_SLOT else 0):
        free += observer.entries[i].state == SEAT_FREE
    if free > FEW:
        rank_sort(look.ranks, count)
    else:                               # a crowd, and few seats
        rank_front(look.ranks, count, free)
    for i in range(count):
        if seat == NO_SLOT:
            look.unseated += i != 0     # at 0 it is counted already
            for k in range(i, count):
                left += look.ranks[k].key < KEY_NEAR
            return left
        entry = &observer.entries[seat]
        entry.slot = look.ranks[i].index
        place = &world.place[entry.slot]
        entry.generation = place.generation
        entry.since = world.tick
        entry.reference = entry.sent = entry.wanted = 0
        entry.state, entry.flags, entry.audience = SEAT_ENTERING, 0, 0
        entry.farness = 0 if centre == NULL else farness_of(&world.kinds[place.kind], distance2(centre, place))
        if seat >= observer.high:
            observer.high = seat + 1
        seat = take_seat(observer, seat + 1, look.seats)
    return 0

cdef inline void make_room(Interest* look, const WorldState* world, Observer* observer, const Place* centre,
                           uint32_t wanted, const double* near, uint32_t nearer) noexcept nogil:
    """Have the farthest leave for `wanted` chosen ones that found no seat, and for those of the `nearer` others, at the
    squared distances `near`, who are nearer by a third (1/sqrt(2)). Seats that are being left count too."""
    cdef uint32_t seat, count = 0, given = 0
    cdef double apart
    cdef Entry* entry
    for seat in range(observer.high):
        entry = &observer.entries[seat]
        if entry.state == SEAT_LEAVING:
            given += wanted == 0
            wanted -= wanted != 0
        elif entry.state != SEAT_FREE and not mark_of(look, entry.slot) & MARK_CHOSEN:
            apart = distance2(centre, &world.place[entry.slot])
            memcpy(&look.ranks[count].key, &apart, 8)
            look.ranks[count].tie, look.ranks[count].index = entry.slot, seat
            count += 1
    rank_sort(look.ranks, count)
    while count and wanted:
        count -= 1
        wanted -= 1
        entry = &observer.entries[look.ranks[count].index]
        entry.state = SEAT_LEAVING if entry.flags & TOLD else SEAT_FREE
    while count and given < nearer:
        count -= 1
        entry = &observer.entries[look.ranks[count].index]
        if not 2.0 * near[given] < distance2(centre, &world.place[entry.slot]):
            break
        entry.state = SEAT_LEAVING if entry.flags & TOLD else SEAT_FREE
        given += 1

cdef inline uint32_t nearest_of(const Interest* look, const WorldState* world, const Place* centre, uint32_t count,
                                double* near) noexcept nogil:
    """Squared distances of the nearest of the `count` in look.ranks who are there by distance; how many, up to TRADES.
    They are picked: sorting a crowd would cost more than all the rest."""
    cdef uint32_t i, at, found = 0
    cdef double apart
    for i in range(count):
        if look.ranks[i].key < KEY_NEAR:
            continue
        apart = distance2(centre, &world.place[look.ranks[i].index])
        if found == TRADES and apart >= near[TRADES - 1]:
            continue
        at = found if found < TRADES else TRADES - 1
        while at and near[at - 1] > apart:
            near[at] = near[at - 1]
            at -= 1
        near[at] = apart
        found += found < TRADES
    return found

cdef inline uint32_t find_newcomers(Interest* look, const WorldState* world, const Observer* observer,
                                    const Place* centre, uint32_t chosen, bint around) noexcept nogil:
    """Slots that may be seen and have no seat, into look.ranks; their number. `around`: also those near the centre."""
    cdef uint32_t i, slot, found, count = 0
    for i in range(chosen):
        slot = look.chosen[i]
        if mark_of(look, slot) & MARK_SEATED:
            continue
        look.marks[slot] += MARK_SEATED
        look.ranks[count].key = KEY_AVATAR if centre == &world.place[slot] else \
            KEY_OWN if world.slot[slot].owner == observer.handle else KEY_ALWAYS
        look.ranks[count].tie = look.ranks[count].index = slot
        count += 1
    if centre == NULL or not around:
        return count
    found = grid_query(&world.grid, centre.x, centre.y, centre.z, look.reach, look.radius2, look.hits)
    for i in range(found):
        slot = look.hits[i].slot
        if not mark_of(look, slot) & MARK_SEATED and world.place[slot].generation != 0 and \
                (not look.masked or may_see(&world.slot[slot], observer.sees, observer.handle)):
            # Squares are not negative, so their bits compare as the numbers do.
            memcpy(&look.ranks[count].key, &look.hits[i].distance2, 8)
            look.ranks[count].key += KEY_NEAR
            look.ranks[count].tie = look.ranks[count].index = slot
            count += 1
    return count

cdef inline void update_interest(Interest* look, WorldState* world, Observer* observer) noexcept nogil:
    """Move what is out of view to leaving, and give seats to what came into view."""
    cdef const Place* centre = centre_of(world, observer)
    cdef const Place* place
    cdef uint32_t seat, mark, chosen, count, nearer
    cdef double apart = 0.0
    cdef double near[TRADES]
    cdef bint full, trade
    cdef Entry* entry
    look.visit += MARKS
    chosen = choose(look, world, observer, centre != NULL)
    for seat in range(observer.high):
        entry = &observer.entries[seat]
        if entry.state == SEAT_FREE or entry.state == SEAT_LEAVING:
            continue
        place = &world.place[entry.slot]
        prefetch(&world.slot[entry.slot])       # for fill_queue()
        mark = mark_of(look, entry.slot)
        if centre != NULL:
            apart = distance2(centre, place)
        if place.generation == entry.generation and (mark & MARK_CHOSEN or (
                centre != NULL and apart <= look.leave2[place.kind] and
                (not look.masked or may_see(&world.slot[entry.slot], observer.sees, observer.handle)))):
            look.marks[entry.slot] = look.visit + (mark | MARK_SEATED)
            entry.farness = 0 if centre == NULL else farness_of(&world.kinds[place.kind], apart)
        else:
            entry.state = SEAT_LEAVING if entry.flags & TOLD else SEAT_FREE
    while observer.high and observer.entries[observer.high - 1].state == SEAT_FREE:
        observer.high -= 1
    full = observer.high == look.seats and take_seat(observer, 0, look.seats) == NO_SLOT
    look.unseated += full               # whoever is near finds no seat: a crowd is worth a look only now and then
    trade = full and centre != NULL and (world.tick + <uint32_t>observer.handle) % TRADE_TICKS == 0
    count = find_newcomers(look, world, observer, centre, chosen, not full or trade)
    if count:
        nearer = nearest_of(look, world, centre, count, near) if trade else 0
        count = seat_newcomers(look, world, observer, centre, count)
        if (count or nearer) and centre != NULL:
            make_room(look, world, observer, centre, count, near, nearer)

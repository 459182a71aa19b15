"""Replication: for each observer who is in view, what it must be told this tick, and the datagrams that tell it.

Owner    The door class World allocates every array at start-up; kernels fill them and never allocate.
Limit    Seats per observer, bytes and datagrams per observer and tick, encodings per tick, room of the outbox; what
         does not fit waits, oldest first, and is counted.
Threads  The game thread.

Encodings are made once a tick for each (entity, reference, audience) and copied to all who need them; whether a
prediction still holds is likewise asked once for each (entity, base).
"""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.pages cimport prefetch
from shadowland._core.base.records cimport MessageRecord
from shadowland._core.world.columns cimport (
    HISTORY_MASK, MAX_KINDS, NO_SLOT, WINDOW, EntityKind, KindTable, within_tolerance)
from shadowland._core.world.grid cimport GridHit, grid_query
from shadowland._core.world.rank cimport Ranked, rank_sort
from shadowland._core.world.record cimport (
    RECORD_ABSOLUTE, RECORD_BYTES, RECORD_ENTER, RECORD_LEAVE, RECORD_LONG, RECORD_UPDATE,
    encode_absolute, encode_delta, put_uvarint, uvarint_size)
from shadowland._core.world.reference cimport (
    HELD_LEAVE, HELD_MASK, HELD_MINE, LOST, REFERENCE_MINE, SEAT_ENTERING, SEAT_FREE, SEAT_LEAVING, SENT_MINE, TOLD,
    TOKEN_MASK, Entry, Observer, take_seat, token_begin)
from shadowland._core.world.state cimport Place, Slot, WorldState, may_see, reference_state, state_at

cdef enum:
    REFRESH = 56                        # a reference of this age is renewed while its entity moves,
    REFRESH_EARLY = 48                  # or of this age at every eighth tick: then many observers share what they hold
    REFRESH_MASK = 7
    REPEAT_S = 5                        # every entity is told at least this often
    DATAGRAMS = 4                       # per observer and tick
    HEAD_BYTES = 12                     # head, kind, slot, generation
    SNAPSHOT_HEAD = 2                   # tick

cdef struct Encoding:
    uint32_t next                       # of the same entity
    uint32_t at                         # tick at which the reference stands, 0: absolute
    uint32_t offset
    uint16_t length
    uint16_t mine

cdef struct QueueItem:
    uint64_t priority                   # least first
    uint32_t seat
    uint32_t offset                     # of its body
    uint16_t length
    uint8_t head_length
    uint8_t mine
    uint8_t head[HEAD_BYTES]

cdef struct ReplicateStats:             # totals since the start, but for the last two
    uint64_t records
    uint64_t record_bytes               # seat, head and body
    uint64_t payload_bytes
    uint64_t datagrams
    uint64_t visible                    # entities in view, summed over observers and ticks
    uint64_t enters
    uint64_t leaves
    uint64_t encoded                    # bodies made; the rest of the records copied one
    uint64_t deferred                   # records that waited for room
    uint64_t given_up                   # tokens given up because too many were open
    uint64_t unseated                   # entities in view for which there was no seat
    uint64_t stalled                    # observers not sent to, as they acknowledged nothing for half a second
    uint64_t full                       # records or datagrams for which the tick's memory did not suffice
    uint64_t entering                   # now
    uint64_t leaving                    # now
    uint64_t oldest_wait_ticks          # of this tick's deferred records

cdef struct Replication:
    WorldState world
    Observer* observers
    Encoding* encodings
    uint8_t* bodies
    GridHit* hits                       # slots
    Ranked* ranks                       # the greater of slots and seats
    QueueItem* queue                    # seats
    uint64_t* marks                     # by slot: last visit that knew it
    MessageRecord* out
    uint8_t* arena
    double radius2[MAX_KINDS]
    double leave2[MAX_KINDS]
    double reach
    uint64_t visit
    size_t bodies_used
    size_t bodies_capacity
    size_t arena_used
    size_t arena_capacity
    uint32_t encoding_count
    uint32_t encoding_capacity
    uint32_t out_count
    uint32_t out_capacity
    uint32_t observer_count
    uint32_t seats
    uint32_t max_payload
    uint32_t round                      # counts calls: what slots remember of an earlier one is void
    uint8_t channel
    bint masked                         # some mask was set: until then nobody pays for them
    uint64_t now_us
    ReplicateStats stats

cdef inline double distance2(const Place* a, const Place* b) noexcept nogil:
    cdef double dx = b.x - a.x, dy = b.y - a.y, dz = b.z - a.z
    return dx * dx + dy * dy + dz * dz

cdef inline void seat_newcomers(Replication* r, Observer* observer, uint32_t count) noexcept nogil:
    """Seats for the `count` slots in r.ranks, as far as there are any."""
    cdef uint32_t i, seat = take_seat(observer, 0, r.seats)
    cdef Entry* entry
    if seat != NO_SLOT:
        rank_sort(r.ranks, count)
    for i in range(count):
        if seat == NO_SLOT:
            r.stats.unseated += count - i
            return
        entry = &observer.entries[seat]
        entry.slot = r.ranks[i].index
        entry.generation = r.world.slot[entry.slot].generation
        entry.since = r.world.tick
        entry.reference = entry.sent = entry.wanted = 0
        entry.state, entry.flags = SEAT_ENTERING, 0
        if seat >= observer.high:
            observer.high = seat + 1
        seat = take_seat(observer, seat + 1, r.seats)

cdef inline void update_interest(Replication* r, Observer* observer) noexcept nogil:
    """Move what is out of view to leaving, and give seats to what came into view, the nearest first."""
    cdef WorldState* world = &r.world
    cdef uint32_t avatar = <uint32_t>observer.avatar, seat, i, count = 0, found
    cdef const Place* centre = &world.place[avatar if avatar < world.slots else 0]
    cdef const Place* place
    cdef bint sees = observer.avatar != 0 and centre.generation == <uint32_t>(observer.avatar >> 32)
    cdef Entry* entry
    r.visit += 1
    for seat in range(observer.high):
        entry = &observer.entries[seat]
        if entry.state == SEAT_FREE or entry.state == SEAT_LEAVING:
            continue
        place = &world.place[entry.slot]
        prefetch(&world.slot[entry.slot])       # for fill_queue()
        if sees and place.generation == entry.generation and distance2(centre, place) <= r.leave2[place.kind] and \
                (not r.masked or may_see(&world.slot[entry.slot], observer.sees, observer.handle)):
            r.marks[entry.slot] = r.visit
        else:
            entry.state = SEAT_LEAVING if entry.flags & TOLD else SEAT_FREE
    while observer.high and observer.entries[observer.high - 1].state == SEAT_FREE:
        observer.high -= 1
    if not sees:
        return
    found = grid_query(&world.grid, centre.x, centre.y, centre.z, r.reach, r.radius2, r.hits)
    for i in range(found):
        if r.marks[r.hits[i].slot] != r.visit and \
                (not r.masked or may_see(&world.slot[r.hits[i].slot], observer.sees, observer.handle)):
            # Squares are not negative, so their bits compare as the numbers do.
            memcpy(&r.ranks[count].key, &r.hits[i].distance2, 8)
            r.ranks[count].tie = r.ranks[count].index = r.hits[i].slot
            count += 1
    if count:
        seat_newcomers(r, observer, count)

cdef inline bint prediction_fails(Replication* r, const Entry* entry, uint32_t base, bint mine) noexcept nogil:
    """True if the observer, who predicts from `base`, is wrong by more than the tolerance. Asked once for all."""
    cdef WorldState* world = &r.world
    cdef Slot* slot = &world.slot[entry.slot]
    cdef const EntityKind* kind = &world.kinds[slot.kind]
    cdef uint64_t bit = <uint64_t>1 << (base & HISTORY_MASK)
    cdef bint fails
    if not mine and slot.checked & bit:
        return (slot.wanting & bit) != 0
    fails = not within_tolerance(kind, state_at(world, base, entry.slot), world.tick - base,
                                 state_at(world, world.tick, entry.slot), mine)
    if not mine:
        slot.checked |= bit
        if fails:
            slot.wanting |= bit
    return fails

cdef inline bint record_needed(Replication* r, const Entry* entry, bint mine) noexcept nogil:
    """True if this observer must be told of the entity now."""
    cdef uint32_t tick = r.world.tick, age
    cdef uint32_t base = entry.sent if entry.sent > entry.reference else entry.reference
    cdef uint8_t base_mine = entry.flags & (SENT_MINE if entry.sent >= entry.reference else REFERENCE_MINE)
    if base == 0 or entry.flags & LOST or mine != (base_mine != 0):
        return True
    age = tick - base
    if age >= REPEAT_S * r.world.hz:
        return True
    if entry.state == SEAT_ENTERING and age >= (r.world.hz // 4 if r.world.hz >= 4 else 1):
        return True
    if r.world.slot[entry.slot].last_change <= base:
        return False                    # it rests, and the observer has seen it do so
    if age >= REFRESH or (age >= REFRESH_EARLY and (tick + entry.slot) & REFRESH_MASK == 0):
        return True
    return prediction_fails(r, entry, base, mine)

cdef inline Encoding* encoding_of(Replication* r, uint32_t index, uint32_t at, bint mine) noexcept nogil:
    """Body of entity `index` against its state at tick `at` (0: absolute), made now or before. NULL: no memory left."""
    cdef WorldState* world = &r.world
    cdef Slot* slot = &world.slot[index]
    cdef const EntityKind* kind = &world.kinds[slot.kind]
    cdef const int32_t* state = state_at(world, world.tick, index)
    cdef uint32_t i = slot.encodings
    cdef Encoding* encoding
    cdef uint8_t* body
    while i != NO_SLOT:
        encoding = &r.encodings[i]
        if encoding.at == at and encoding.mine == mine:
            return encoding
        i = encoding.next
    if r.encoding_count == r.encoding_capacity or r.bodies_capacity - r.bodies_used < RECORD_BYTES:
        r.stats.full += 1
        return NULL
    encoding = &r.encodings[r.encoding_count]
    body = &r.bodies[r.bodies_used]
    encoding.next, encoding.at, encoding.offset, encoding.mine = slot.encodings, at, <uint32_t>r.bodies_used, mine
    if at == 0:
        encoding.length = <uint16_t>encode_absolute(kind, state, mine, body)
    else:
        encoding.length = <uint16_t>encode_delta(kind, state, state_at(world, at, index), world.tick - at, mine, body)
    slot.encodings = r.encoding_count
    r.encoding_count += 1
    r.bodies_used += encoding.length
    r.stats.encoded += 1
    return encoding

cdef inline bint fill_record(Replication* r, const Entry* entry, bint mine, QueueItem* item) noexcept nogil:
    """Head and body of an entering or known entity: against the acknowledged reference while its state is known."""
    cdef Slot* slot = &r.world.slot[entry.slot]
    cdef Encoding* delta = NULL
    cdef Encoding* full
    cdef uint32_t at, age = r.world.tick - entry.reference, tail = 0
    if entry.state != SEAT_ENTERING and mine == (entry.flags & REFERENCE_MINE != 0) and age <= 0xFFFF:
        if reference_state(&r.world, entry.slot, entry.reference, &at) != NULL:
            delta = encoding_of(r, entry.slot, at, mine)
            if delta == NULL:
                return False
            item.head[0] = RECORD_UPDATE | <uint8_t>(age if age <= WINDOW else RECORD_LONG) << 2
            if age > WINDOW:
                item.head[1], item.head[2] = <uint8_t>entry.reference, <uint8_t>(entry.reference >> 8)
                tail = 2
            item.head_length = 1 + tail
            item.offset, item.length = delta.offset, delta.length
            return True
    full = encoding_of(r, entry.slot, 0, mine)
    if full == NULL:
        return False
    item.offset, item.length = full.offset, full.length
    item.head_length = 1
    if entry.state == SEAT_ENTERING:
        item.head[0] = RECORD_ENTER | mine << 2
        item.head[1] = slot.kind
        tail = 2 + put_uvarint(&item.head[2], entry.slot)
        item.head_length = <uint8_t>(tail + put_uvarint(&item.head[tail], entry.generation))
    else:
        item.head[0] = RECORD_ABSOLUTE | mine << 2
    return True

cdef inline void fetch_bases(Replication* r, const Observer* observer) noexcept nogil:
    """Ask the memory for the states that fill_queue() will compare: they lie far apart, and it would wait for each."""
    cdef uint32_t seat, base
    cdef const Entry* entry
    cdef const Slot* slot
    for seat in range(observer.high):
        entry = &observer.entries[seat]
        if entry.state == SEAT_FREE or entry.state == SEAT_LEAVING:
            continue
        slot = &r.world.slot[entry.slot]
        base = entry.sent if entry.sent > entry.reference else entry.reference
        if slot.last_change > base and r.world.tick - base < REFRESH and \
                (slot.stamp != r.round or not slot.checked >> (base & HISTORY_MASK) & 1):
            prefetch(state_at(&r.world, base, entry.slot))
            prefetch(state_at(&r.world, r.world.tick, entry.slot))

cdef inline uint32_t fill_queue(Replication* r, Observer* observer, size_t* bytes) noexcept nogil:
    """What this observer must be told, by seat; the number of records and, in `bytes`, an upper bound of their size."""
    cdef uint32_t seat, count = 0
    cdef Entry* entry
    cdef Slot* slot
    cdef QueueItem* item
    bytes[0] = 0
    for seat in range(observer.high):
        entry = &observer.entries[seat]
        if entry.state == SEAT_FREE:
            continue
        item = &r.queue[count]
        item.seat = seat
        if entry.state == SEAT_LEAVING:
            r.stats.leaving += 1
            item.head[0], item.head_length, item.length, item.mine, item.offset = RECORD_LEAVE, 1, 0, 0, 0
            item.priority = 0
        else:
            r.stats.visible += 1
            r.stats.entering += entry.state == SEAT_ENTERING
            slot = &r.world.slot[entry.slot]
            if slot.stamp != r.round:
                slot.stamp, slot.encodings, slot.checked, slot.wanting = r.round, NO_SLOT, 0, 0
            item.mine = slot.owner != 0 and slot.owner == observer.handle
            if not record_needed(r, entry, item.mine):
                continue
            if entry.wanted == 0:
                entry.wanted = r.world.tick
            item.priority = 1 if entry.slot == <uint32_t>observer.avatar else <uint64_t>entry.wanted + 1
            if not fill_record(r, entry, item.mine, item):
                continue
        bytes[0] += uvarint_size(seat) + item.head_length + item.length
        count += 1
    return count

cdef inline void write_datagram(Replication* r, Observer* observer, const Ranked* chosen,
                                uint32_t count) noexcept nogil:
    """One payload with the queue items in `chosen`, which is in order of seats."""
    cdef uint8_t* payload = &r.arena[r.arena_used]
    cdef uint32_t tick = r.world.tick, i, previous = NO_SLOT, length = SNAPSHOT_HEAD, first
    cdef uint32_t given_up = 0, token = token_begin(observer, tick, count, &given_up)
    cdef const QueueItem* item
    cdef Entry* entry
    cdef MessageRecord* out = &r.out[r.out_count]
    r.stats.given_up += given_up
    first = observer.tokens[token & TOKEN_MASK].first
    payload[0], payload[1] = <uint8_t>tick, <uint8_t>(tick >> 8)
    for i in range(count):
        item = &r.queue[chosen[i].index]
        entry = &observer.entries[item.seat]
        length += put_uvarint(&payload[length], item.seat - previous - 1)
        memcpy(&payload[length], item.head, item.head_length)
        length += item.head_length
        memcpy(&payload[length], &r.bodies[item.offset], item.length)
        length += item.length
        previous = item.seat
        observer.held[(first + i) & HELD_MASK] = <uint16_t>(
            item.seat | (HELD_MINE if item.mine else 0) | (HELD_LEAVE if entry.state == SEAT_LEAVING else 0))
        if entry.state == SEAT_LEAVING:
            r.stats.leaves += 1
        else:
            r.stats.enters += entry.state == SEAT_ENTERING
            entry.sent, entry.wanted = tick, 0
            entry.flags = (entry.flags & ~(LOST | SENT_MINE)) | TOLD | (SENT_MINE if item.mine else 0)
    out.connection, out.time_us = observer.handle, r.now_us
    out.offset, out.length, out.number = <uint32_t>r.arena_used, length, token
    out.channel, out.kind, out.flags = r.channel, 0, 0
    r.out_count += 1
    r.arena_used += length
    r.stats.records += count
    r.stats.record_bytes += length - SNAPSHOT_HEAD
    r.stats.payload_bytes += length
    r.stats.datagrams += 1

cdef inline void note_wait(Replication* r, const Entry* entry) noexcept nogil:
    if entry.wanted and r.world.tick - entry.wanted > r.stats.oldest_wait_ticks:
        r.stats.oldest_wait_ticks = r.world.tick - entry.wanted

cdef inline bint has_room(Replication* r) noexcept nogil:
    """True if the outbox holds one more datagram of any size."""
    if r.out_count < r.out_capacity and r.arena_capacity - r.arena_used >= r.max_payload:
        return True
    r.stats.full += 1
    return False

cdef inline void pack(Replication* r, Observer* observer, uint32_t count, size_t bytes,
                      uint32_t budget) noexcept nogil:
    """Datagrams for the queue, in order of priority as far as budget and datagrams go."""
    cdef uint32_t number, i, at = 0, taken, room, used, cost, before
    cdef QueueItem* item
    if SNAPSHOT_HEAD + bytes <= (r.max_payload if r.max_payload < budget else budget):
        for i in range(count):          # the ordinary case: all of it in one, and the queue is in order of seats
            r.ranks[i].index = i
        if has_room(r):
            write_datagram(r, observer, r.ranks, count)
        return
    for i in range(count):
        r.ranks[i].key, r.ranks[i].tie, r.ranks[i].index = r.queue[i].priority, r.queue[i].seat, i
    rank_sort(r.ranks, count)
    for number in range(DATAGRAMS):
        room = r.max_payload if r.max_payload < budget else budget
        used, taken = SNAPSHOT_HEAD, 0
        while at + taken < count:
            item = &r.queue[r.ranks[at + taken].index]
            cost = uvarint_size(item.seat) + item.head_length + item.length
            # One record always goes, or a small budget would starve it for ever.
            if used + cost > (r.max_payload if number == 0 and taken == 0 else room):
                break
            used += cost
            taken += 1
        if (number and taken == 0) or not has_room(r):
            break
        for i in range(at, at + taken):
            r.ranks[i].key = r.queue[r.ranks[i].index].seat
        rank_sort(&r.ranks[at], taken)
        before = <uint32_t>r.arena_used
        write_datagram(r, observer, &r.ranks[at], taken)
        at += taken
        before = <uint32_t>r.arena_used - before
        budget = budget - before if budget > before else 0
    r.stats.deferred += count - at
    for i in range(at, count):
        note_wait(r, &observer.entries[r.queue[r.ranks[i].index].seat])

cdef inline bint is_stalled(const Replication* r, const Observer* observer) noexcept nogil:
    """Nothing acknowledged for half a second: a datagram each quarter, until something is."""
    cdef uint32_t tick = r.world.tick, since
    if observer.oldest_token == observer.next_token:
        return False
    since = observer.tokens[observer.oldest_token & TOKEN_MASK].tick
    if observer.last_ack > since:
        since = observer.last_ack
    return tick - since > r.world.hz // 2 and tick - observer.last_send < r.world.hz // 4

cdef inline bint may_send(const Replication* r, const Observer* observer, uint32_t budget) noexcept nogil:
    return budget != 0 and observer.handle != 0 and not is_stalled(r, observer)

cdef inline void send_snapshot(Replication* r, Observer* observer, uint32_t budget) noexcept nogil:
    """The observer's datagrams of this tick; its interest is up to date."""
    cdef size_t bytes
    cdef uint32_t count
    fetch_bases(r, observer)
    count = fill_queue(r, observer, &bytes)
    pack(r, observer, count, bytes, budget)
    observer.last_send = r.world.tick

cdef class World:
    cdef Replication r
    cdef KindTable table
    cdef uint32_t* free_slots           # ring
    cdef size_t free_first
    cdef size_t free_count
    cdef uint32_t* slot_row             # row of each slot in its kind
    cdef object columns                 # keeps the user's arrays alive
    cdef object out_records
    cdef object out_arena
    cdef readonly dict timing_ns        # last tick: publish, grid, interest, encode
    cdef public object clock            # None: nothing is timed. The world knows no clock of its own
    cdef list memory                    # (address, size if in pages of its own) of all that _take() took
    cdef object _clock(self)
    cdef void* _take(self, size_t count, size_t size) except NULL
    cdef int _make_state(self, uint32_t hz, uint32_t entities, double cell, double layer) except -1
    cdef int _make_outbox(self, size_t observers, size_t max_payload) except -1
    cdef Slot* _slot(self, uint64_t handle) noexcept

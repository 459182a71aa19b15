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
from shadowland._core.world.audience cimport settle_audience
from shadowland._core.world.columns cimport (
    HISTORY_MASK, NO_SLOT, WINDOW, EntityKind, within_tolerance)
from shadowland._core.world.entities cimport Entities
from shadowland._core.world.interest cimport Interest
from shadowland._core.world.priority cimport is_far, priority_of
from shadowland._core.world.rank cimport Ranked, rank_sort
from shadowland._core.world.record cimport (
    RECORD_ABSOLUTE, RECORD_BYTES, RECORD_ENTER, RECORD_LEAVE, RECORD_LONG, RECORD_UPDATE,
    encode_absolute, encode_delta, put_uvarint, uvarint_size)
from shadowland._core.world.reference cimport (
    HELD_LEAVE, HELD_MASK, LOST, SEAT_ENTERING, SEAT_FREE, SEAT_LEAVING, TOLD, TOKEN_MASK, Entry, Observer,
    token_begin)
from shadowland._core.world.state cimport Slot, WorldState, reference_state, state_at

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
    uint16_t audience

cdef struct QueueItem:
    uint64_t priority                   # least first
    uint32_t seat
    uint32_t offset                     # of its body
    uint16_t length
    uint8_t head_length
    uint8_t reserved
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
    uint64_t stalled                    # observers not sent to, as they acknowledged nothing for half a second
    uint64_t full                       # records or datagrams for which the tick's memory did not suffice
    uint64_t entering                   # now
    uint64_t leaving                    # now
    uint64_t oldest_wait_ticks          # of this tick's deferred records

cdef struct Replication:
    WorldState* world
    Interest interest
    Observer* observers
    Encoding* encodings
    uint8_t* bodies
    QueueItem* queue                    # seats
    MessageRecord* out
    uint8_t* arena
    size_t bodies_used
    size_t bodies_capacity
    size_t arena_used
    size_t arena_capacity
    uint32_t encoding_count
    uint32_t encoding_capacity
    uint32_t out_count
    uint32_t out_capacity
    uint32_t observer_count
    uint32_t max_payload
    uint32_t round                      # counts calls: what slots remember of an earlier one is void
    uint8_t channel
    uint64_t now_us
    ReplicateStats stats

cdef inline bint prediction_fails(Replication* r, const Entry* entry, uint32_t base) noexcept nogil:
    """True if the observer, who predicts from `base`, is wrong by more than the tolerance. Asked once for all."""
    cdef WorldState* world = r.world
    cdef Slot* slot = &world.slot[entry.slot]
    cdef const EntityKind* kind = &world.kinds[slot.kind]
    cdef uint64_t bit = <uint64_t>1 << (base & HISTORY_MASK)
    cdef bint fails
    if not entry.audience and slot.checked & bit:
        return (slot.wanting & bit) != 0
    fails = not within_tolerance(kind, state_at(world, base, entry.slot), world.tick - base,
                                 state_at(world, world.tick, entry.slot), entry.audience)
    if not entry.audience:
        slot.checked |= bit
        if fails:
            slot.wanting |= bit
    return fails

cdef inline bint record_needed(Replication* r, const Entry* entry) noexcept nogil:
    """True if this observer must be told of the entity now."""
    cdef uint32_t tick = r.world.tick, age
    cdef uint32_t base = entry.sent if entry.sent > entry.reference else entry.reference
    if base == 0 or entry.flags & LOST:
        return True
    age = tick - base
    if age >= REPEAT_S * r.world.hz:
        return True
    if entry.state == SEAT_ENTERING and age >= (r.world.hz // 4 if r.world.hz >= 4 else 1):
        return True
    if r.world.slot[entry.slot].last_change <= base:
        return False                    # it rests, and the observer has seen it do so
    if is_far(r.world, entry) and (tick + entry.slot) % r.world.kinds[r.world.slot[entry.slot].kind].far_ticks:
        return False                    # all who see it from afar are told at the same ticks, and share what is made
    if age >= REFRESH or (age >= REFRESH_EARLY and (tick + entry.slot) & REFRESH_MASK == 0):
        return True
    return prediction_fails(r, entry, base)

cdef inline Encoding* encoding_of(Replication* r, uint32_t index, uint32_t at,
                                   uint32_t audience) noexcept nogil:
    """Body of entity `index` against its state at tick `at` (0: absolute), made now or before. NULL: no memory left."""
    cdef WorldState* world = r.world
    cdef Slot* slot = &world.slot[index]
    cdef const EntityKind* kind = &world.kinds[slot.kind]
    cdef const int32_t* state = state_at(world, world.tick, index)
    cdef uint32_t i = slot.encodings
    cdef Encoding* encoding
    cdef uint8_t* body
    while i != NO_SLOT:
        encoding = &r.encodings[i]
        if encoding.at == at and encoding.audience == audience:
            return encoding
        i = encoding.next
    if r.encoding_count == r.encoding_capacity or r.bodies_capacity - r.bodies_used < RECORD_BYTES:
        r.stats.full += 1
        return NULL
    encoding = &r.encodings[r.encoding_count]
    body = &r.bodies[r.bodies_used]
    encoding.next, encoding.at, encoding.offset = slot.encodings, at, <uint32_t>r.bodies_used
    encoding.audience = <uint16_t>audience
    if at == 0:
        encoding.length = <uint16_t>encode_absolute(kind, state, audience, body)
    else:
        encoding.length = <uint16_t>encode_delta(kind, state, state_at(world, at, index), world.tick - at,
                                                 audience, body)
    slot.encodings = r.encoding_count
    r.encoding_count += 1
    r.bodies_used += encoding.length
    r.stats.encoded += 1
    return encoding

cdef inline bint fill_record(Replication* r, const Entry* entry, QueueItem* item) noexcept nogil:
    """Head and body of an entering or known entity: against the acknowledged reference while its state is known."""
    cdef Slot* slot = &r.world.slot[entry.slot]
    cdef Encoding* delta = NULL
    cdef Encoding* full
    cdef uint32_t at, age = r.world.tick - entry.reference, tail = 0
    if entry.state != SEAT_ENTERING and entry.reference and age <= 0xFFFF:
        if reference_state(r.world, entry.slot, entry.reference, &at) != NULL:
            delta = encoding_of(r, entry.slot, at, entry.audience)
            if delta == NULL:
                return False
            item.head[0] = RECORD_UPDATE | <uint8_t>(age if age <= WINDOW else RECORD_LONG) << 2
            if age > WINDOW:
                item.head[1], item.head[2] = <uint8_t>entry.reference, <uint8_t>(entry.reference >> 8)
                tail = 2
            item.head_length = 1 + tail
            item.offset, item.length = delta.offset, delta.length
            return True
    full = encoding_of(r, entry.slot, 0, entry.audience)
    if full == NULL:
        return False
    item.offset, item.length = full.offset, full.length
    item.head_length = 1
    if entry.state == SEAT_ENTERING:
        item.head[0] = RECORD_ENTER | entry.audience << 2
        item.head[1] = slot.kind
        tail = 2 + put_uvarint(&item.head[2], entry.slot)
        item.head_length = <uint8_t>(tail + put_uvarint(&item.head[tail], entry.generation))
    else:
        item.head[0] = RECORD_ABSOLUTE | entry.audience << 2
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
            prefetch(state_at(r.world, base, entry.slot))
            prefetch(state_at(r.world, r.world.tick, entry.slot))

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
            item.head[0], item.head_length, item.length, item.offset = RECORD_LEAVE, 1, 0, 0
            item.priority = 0
        else:
            r.stats.visible += 1
            r.stats.entering += entry.state == SEAT_ENTERING
            slot = &r.world.slot[entry.slot]
            if slot.stamp != r.round:
                slot.stamp, slot.encodings, slot.checked, slot.wanting = r.round, NO_SLOT, 0, 0
            if not settle_audience(r.world, observer, entry) or not record_needed(r, entry):
                continue
            if entry.wanted == 0:
                entry.wanted = r.world.tick
            item.priority = priority_of(r.world, observer, entry)
            if not fill_record(r, entry, item):
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
            item.seat | (HELD_LEAVE if entry.state == SEAT_LEAVING else 0))
        if entry.state == SEAT_LEAVING:
            r.stats.leaves += 1
        else:
            r.stats.enters += entry.state == SEAT_ENTERING
            entry.sent, entry.wanted = tick, 0
            entry.flags = (entry.flags & ~LOST) | TOLD
    out.connection, out.time_us = observer.handle, r.now_us
    out.offset, out.length, out.number = <uint32_t>r.arena_used, length, token
    out.channel, out.kind, out.flags = r.channel, 0, 0
    r.out_count += 1
    r.arena_used += length
    r.stats.records += count
    r.stats.record_bytes += length - SNAPSHOT_HEAD
    r.stats.payload_bytes += length
    r.stats.datagrams += 1

cdef inline void note_wait(Replication* r, Observer* observer, const Entry* entry) noexcept nogil:
    if entry.wanted and r.world.tick - entry.wanted > observer.oldest_wait:
        observer.oldest_wait = r.world.tick - entry.wanted
        if observer.oldest_wait > r.stats.oldest_wait_ticks:
            r.stats.oldest_wait_ticks = observer.oldest_wait

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
    cdef Ranked* ranks = r.interest.ranks
    if SNAPSHOT_HEAD + bytes <= (r.max_payload if r.max_payload < budget else budget):
        for i in range(count):          # the ordinary case: all of it in one, and the queue is in order of seats
            ranks[i].index = i
        if has_room(r):
            write_datagram(r, observer, ranks, count)
        return
    for i in range(count):
        ranks[i].key, ranks[i].tie, ranks[i].index = r.queue[i].priority, r.queue[i].seat, i
    rank_sort(ranks, count)
    for number in range(DATAGRAMS):
        room = r.max_payload if r.max_payload < budget else budget
        used, taken = SNAPSHOT_HEAD, 0
        while at + taken < count:
            item = &r.queue[ranks[at + taken].index]
            cost = uvarint_size(item.seat) + item.head_length + item.length
            # One record always goes, or a small budget would starve it for ever.
            if used + cost > (r.max_payload if number == 0 and taken == 0 else room):
                break
            used += cost
            taken += 1
        if (number and taken == 0) or not has_room(r):
            break
        for i in range(at, at + taken):
            ranks[i].key = r.queue[ranks[i].index].seat
        rank_sort(&ranks[at], taken)
        before = <uint32_t>r.arena_used
        write_datagram(r, observer, &ranks[at], taken)
        at += taken
        before = <uint32_t>r.arena_used - before
        budget = budget - before if budget > before else 0
    r.stats.deferred += count - at
    for i in range(at, count):
        note_wait(r, observer, &observer.entries[r.queue[ranks[i].index].seat])

cdef inline bint is_stalled(const Replication* r, const Observer* observer) noexcept nogil:
    """Nothing acknowledged for half a second: a datagram each quarter, until something is."""
    cdef uint32_t tick = r.world.tick, since
    if observer.oldest_token == observer.next_token or tick - observer.last_ack <= r.world.hz // 2:
        return False                    # the ordinary case, which asks for no token
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
    observer.oldest_wait = 0
    pack(r, observer, count, bytes, budget)
    observer.last_send = r.world.tick

cdef class World(Entities):
    cdef Replication r
    cdef object out_records
    cdef object out_arena
    cdef readonly dict timing_ns        # last tick: publish, grid, interest, encode
    cdef public object clock            # None: nothing is timed. The world knows no clock of its own
    cdef object _clock(self)
    cdef int _make_interest(self, double cell, double layer) except -1
    cdef int _make_outbox(self, size_t observers, size_t max_payload) except -1

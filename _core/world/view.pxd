"""View: what an observer knows, from the snapshots it was sent. Many observers may share one set of tables.

Owner    The door class Views allocates everything at start-up.
Limit    `seats` entities a view, `depth` kept states an entity; a payload that wants more is refused. Nothing in a
         payload can reach beyond, and a refused payload changes nothing.
Threads  One at a time.

Each entity keeps the states that its newest records gave, in no order, each with its tick: a record names one of them
as its reference. What lies between two records is predicted from the newest.
"""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.world.columns cimport EntityKind, KindTable, predict_component
from shadowland._core.world.record cimport (
    RECORD_ENTER, RECORD_LEAVE, RECORD_LONG, RECORD_UPDATE, RecordReader, decode_absolute, decode_delta, take_bits,
    take_uvarint)

cdef enum:                              # status of a payload: values of DropReason
    VIEW_OK = 0
    VIEW_BAD_MESSAGE = 23               # not what the format allows
    VIEW_UNDECODABLE = 34               # the state it refers to is not here

cdef struct Seat:                       # 32 bytes
    uint32_t slot
    uint32_t generation
    uint32_t entered                    # oldest tick at which it is known to be in view
    uint32_t left                       # newest leave of this seat, whoever sat there; 0 none
    uint32_t count                      # states kept
    uint32_t newest                     # index of the newest of them
    uint8_t used                        # somebody sat here at some time
    uint8_t kind
    uint8_t reserved[6]

cdef struct Parsed:                     # a record that was read and not yet taken over
    uint32_t seat
    uint32_t slot
    uint32_t generation
    uint8_t what                        # RECORD_*
    uint8_t kind
    uint8_t audience
    uint8_t reserved

cdef struct ViewSet:
    const EntityKind* kinds
    Seat* table                         # views x seats
    uint32_t* ticks                     # views x seats x depth
    uint8_t* audience                   # the same: the audience set whose components the state holds
    int32_t* states                     # the same, x stride
    uint32_t* newest                    # by view: tick of the newest snapshot, 0 none
    Parsed* parsed                      # seats
    int32_t* parsed_states              # seats x stride
    size_t stride
    uint32_t kind_count
    uint32_t views
    uint32_t seats
    uint32_t depth

cdef inline Seat* view_seat(const ViewSet* v, uint32_t view, uint32_t seat) noexcept nogil:
    return &v.table[<size_t>view * v.seats + seat]

cdef inline bint in_view(const Seat* sitting) noexcept nogil:
    """True if somebody sits there who has not left since."""
    return sitting.used and sitting.entered > sitting.left

cdef inline size_t kept_at(const ViewSet* v, uint32_t view, uint32_t seat) noexcept nogil:
    """Index of the first kept state of a seat in `ticks` and `audience`."""
    return (<size_t>view * v.seats + seat) * v.depth

cdef inline uint32_t find_kept(const ViewSet* v, uint32_t view, uint32_t seat, uint32_t tick) noexcept nogil:
    """Index of the state kept for `tick`; v.depth if there is none."""
    cdef const uint32_t* ticks = &v.ticks[kept_at(v, view, seat)]
    cdef uint32_t i
    for i in range(view_seat(v, view, seat).count):
        if ticks[i] == tick:
            return i
    return v.depth

cdef inline uint32_t oldest_kept(const ViewSet* v, uint32_t view, uint32_t seat) noexcept nogil:
    cdef const uint32_t* ticks = &v.ticks[kept_at(v, view, seat)]
    cdef uint32_t i, oldest = 0
    for i in range(1, view_seat(v, view, seat).count):
        if ticks[i] < ticks[oldest]:
            oldest = i
    return oldest

cdef inline bint can_keep(const ViewSet* v, uint32_t view, uint32_t seat, uint32_t tick) noexcept nogil:
    """Acknowledged means kept: False if the seat's states are full and all newer than `tick`."""
    if view_seat(v, view, seat).count < v.depth:
        return True
    return tick >= v.ticks[kept_at(v, view, seat) + oldest_kept(v, view, seat)]

cdef inline void keep_state(ViewSet* v, uint32_t view, uint32_t seat, uint32_t tick, uint8_t audience,
                            const int32_t* state) noexcept nogil:
    """Keep `state`, in place of the oldest if there is no room. can_keep() was asked before."""
    cdef Seat* sitting = view_seat(v, view, seat)
    cdef size_t base = kept_at(v, view, seat)
    cdef uint32_t i = find_kept(v, view, seat, tick)
    if i == v.depth:
        if sitting.count < v.depth:
            i = sitting.count
            sitting.count += 1
        else:
            i = oldest_kept(v, view, seat)
    v.ticks[base + i], v.audience[base + i] = tick, audience
    memcpy(&v.states[(base + i) * v.stride], state, v.kinds[sitting.kind].components * sizeof(int32_t))
    if sitting.count == 1 or tick >= v.ticks[base + sitting.newest]:
        sitting.newest = i

cdef inline int parse_update(ViewSet* v, uint32_t view, uint32_t tick, uint32_t age, RecordReader* r, Parsed* out,
                             int32_t* state) noexcept nogil:
    cdef Seat* sitting = view_seat(v, view, out.seat)
    cdef uint32_t reference
    cdef size_t at
    if age == 0:
        return VIEW_BAD_MESSAGE
    if age == RECORD_LONG:
        reference = take_bits(r, 16)
        age = (tick - reference) & 0xFFFF
        if r.failed or age < RECORD_LONG:
            return VIEW_BAD_MESSAGE
    if not sitting.used or age >= tick:
        return VIEW_UNDECODABLE
    reference = find_kept(v, view, out.seat, tick - age)
    if reference == v.depth:
        return VIEW_UNDECODABLE
    at = kept_at(v, view, out.seat) + reference
    out.audience = v.audience[at]
    decode_delta(&v.kinds[sitting.kind], r, &v.states[at * v.stride], age, out.audience, state)
    if r.failed:
        return VIEW_BAD_MESSAGE
    return VIEW_OK if can_keep(v, view, out.seat, tick) else VIEW_UNDECODABLE

cdef inline int parse_enter(ViewSet* v, uint32_t view, uint32_t tick, RecordReader* r, Parsed* out,
                            int32_t* state) noexcept nogil:
    cdef Seat* sitting = view_seat(v, view, out.seat)
    cdef uint32_t kind = take_bits(r, 8)
    if r.failed or kind >= v.kind_count or out.audience & ~v.kinds[kind].shows_all:
        return VIEW_BAD_MESSAGE
    out.kind = <uint8_t>kind
    out.slot = take_uvarint(r, 0xFFFFFFFF)
    out.generation = take_uvarint(r, 0xFFFFFFFF)
    decode_absolute(&v.kinds[kind], r, out.audience, state)
    if r.failed:
        return VIEW_BAD_MESSAGE
    if tick > sitting.left and in_view(sitting) and sitting.slot == out.slot and sitting.generation == out.generation:
        if sitting.kind != kind:
            return VIEW_BAD_MESSAGE
        if not can_keep(v, view, out.seat, tick):
            return VIEW_UNDECODABLE
    return VIEW_OK

cdef inline int parse_record(ViewSet* v, uint32_t view, uint32_t tick, RecordReader* r, Parsed* out,
                             int32_t* state) noexcept nogil:
    """Read one record of seat out.seat; VIEW_*. Changes nothing but `out` and `state`."""
    cdef Seat* sitting = view_seat(v, view, out.seat)
    cdef uint32_t head = take_bits(r, 8), value = head >> 2
    if r.failed:
        return VIEW_BAD_MESSAGE
    out.what, out.audience = head & 3, <uint8_t>value
    if out.what == RECORD_UPDATE:
        return parse_update(v, view, tick, value, r, out, state)
    if out.what == RECORD_LEAVE:
        return VIEW_BAD_MESSAGE if value else VIEW_OK
    if out.what == RECORD_ENTER:
        return parse_enter(v, view, tick, r, out, state)
    if not sitting.used or tick < sitting.entered:
        return VIEW_UNDECODABLE         # perhaps of the one who sat there before
    if value & ~v.kinds[sitting.kind].shows_all:
        return VIEW_BAD_MESSAGE
    decode_absolute(&v.kinds[sitting.kind], r, out.audience, state)
    if r.failed:
        return VIEW_BAD_MESSAGE
    return VIEW_OK if can_keep(v, view, out.seat, tick) else VIEW_UNDECODABLE

cdef inline void commit_record(ViewSet* v, uint32_t view, uint32_t tick, const Parsed* p,
                               const int32_t* state) noexcept nogil:
    cdef Seat* sitting = view_seat(v, view, p.seat)
    if p.what == RECORD_LEAVE:
        if tick > sitting.left:         # kept for an empty seat too: the enter may come after its leave
            sitting.left = tick
        return
    if p.what == RECORD_ENTER:
        if tick <= sitting.left:
            return                      # it came late, and whoever it was has left
        if not (in_view(sitting) and sitting.slot == p.slot and sitting.generation == p.generation):
            if sitting.used and tick <= v.ticks[kept_at(v, view, p.seat) + sitting.newest]:
                return                  # of somebody who sat there before
            sitting.slot, sitting.generation, sitting.kind = p.slot, p.generation, p.kind
            sitting.entered, sitting.count, sitting.newest, sitting.used = tick, 0, 0, 1
        elif tick < sitting.entered:
            sitting.entered = tick
    keep_state(v, view, p.seat, tick, p.audience, state)

cdef inline int view_apply(ViewSet* v, uint32_t view, const uint8_t* data, size_t length, uint32_t hint) noexcept nogil:
    """Take one snapshot payload, all of it or nothing; VIEW_*.

    `hint`: about the tick of a view's first snapshot, whose upper bits are not sent.
    """
    cdef RecordReader r
    cdef int64_t near = v.newest[view] if v.newest[view] else hint, tick, seat = -1
    cdef uint32_t count = 0, i
    cdef int status
    r.data, r.length, r.position, r.pending, r.count, r.failed = data, length, 0, 0, 0, False
    tick = near + (<int64_t>((take_bits(&r, 16) - near + 0x8000) & 0xFFFF) - 0x8000)
    if tick <= 0:
        tick += 0x10000
    if r.failed or tick > <int64_t>0xFFFFFFFF:
        return VIEW_BAD_MESSAGE
    while r.position < r.length:
        seat += <int64_t>take_uvarint(&r, v.seats) + 1
        if r.failed or seat >= v.seats:
            return VIEW_BAD_MESSAGE
        v.parsed[count].seat = <uint32_t>seat
        status = parse_record(v, view, <uint32_t>tick, &r, &v.parsed[count], &v.parsed_states[count * v.stride])
        if status != VIEW_OK:
            return status
        count += 1
    for i in range(count):
        commit_record(v, view, <uint32_t>tick, &v.parsed[i], &v.parsed_states[i * v.stride])
    if tick > v.newest[view]:
        v.newest[view] = <uint32_t>tick
    return VIEW_OK

cdef inline bint view_state(const ViewSet* v, uint32_t view, uint32_t seat, uint32_t tick, int32_t* out) noexcept nogil:
    """State of a seat as the view sees it at `tick`; False if nobody in view sits there."""
    cdef const Seat* sitting = view_seat(v, view, seat)
    cdef size_t at
    cdef uint32_t i, age
    if not in_view(sitting):
        return False
    at = kept_at(v, view, seat) + sitting.newest
    age = tick - v.ticks[at] if tick > v.ticks[at] else 0
    for i in range(v.kinds[sitting.kind].components):
        out[i] = predict_component(&v.kinds[sitting.kind], i, &v.states[at * v.stride], age)
    return True

cdef class Views:
    cdef ViewSet v
    cdef KindTable table
    cdef uint32_t _view(self, object view) except? 0xFFFFFFFF

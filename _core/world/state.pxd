"""Published state: the quantized numbers of every entity at each of the last 64 ticks, made from the columns.

Owner    The door class World (replicate.pyx) allocates every array once; kernels only fill them.
Limit    `slots` entities of at most `stride` components, HISTORY ticks.
Threads  The game thread.

    history    [tick & 63][slot][component]     int32 of quanta; a reference points in here

An entity is at rest at a tick when its state is that of the tick before and no velocity predicts anything else. While
it rests, its state is a reference however old it is: that is what last_change and the rest before it are kept for.
"""
from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.world.chosen cimport Chosen
from shadowland._core.world.columns cimport (
    HISTORY_MASK, KIND_OFFSET, KIND_QUADRANT, MAX_COMPONENTS, WINDOW, EntityKind, is_moving, place_of, quantize,
    quantize_pair)
from shadowland._core.world.grid cimport Grid

cdef enum:                              # ColumnSource.type
    COLUMN_FLOAT32 = 0
    COLUMN_FLOAT64 = 1
    COLUMN_BOOL = 2
    COLUMN_INT8 = 3
    COLUMN_INT16 = 4
    COLUMN_INT32 = 5
    COLUMN_INT64 = 6
    COLUMN_UINT8 = 7
    COLUMN_UINT16 = 8
    COLUMN_UINT32 = 9

cdef struct ColumnSource:               # the user's values of one field, rows x lanes, dense
    void* data
    uint32_t lanes
    uint32_t type

cdef struct KindRows:
    ColumnSource column[MAX_COMPONENTS] # one a field that travels, in the order of the components
    uint32_t* slots                     # of each row
    uint32_t count                      # rows alive
    uint32_t capacity

cdef struct Slot:                       # one cache line: all that a tick asks about an entity
    uint32_t generation
    uint32_t last                       # newest published tick, 0 none
    uint32_t last_change                # newest tick at which it was not at rest
    uint32_t rest_first                 # the rest before that
    uint32_t rest_last
    uint32_t encodings                  # first of its encodings in this round of replication
    uint32_t stamp                      # round of `encodings`, `checked`, `wanting`
    uint8_t kind
    uint8_t alive
    uint16_t reserved
    uint64_t checked                    # bit base & 63: `wanting` is known for that base, for everybody's components
    uint64_t wanting                    # bit base & 63: who sees the prediction from there is wrong by too much
    uint64_t owner                      # handle of the observer that owns it, 0 nobody
    uint64_t visible_to                 # it is shown to observers whose `sees` has one of these bits, and to its owner

cdef struct Place:                      # 32 bytes: all that interest asks about an entity
    double x                            # of the published state, in user units
    double y
    double z
    uint32_t generation                 # 0: nobody, or not published yet
    uint32_t kind

cdef struct PublishStats:
    uint64_t refused                    # values that were no numbers: the previous one stayed
    uint64_t saturated                  # values beyond their range

cdef struct WorldState:
    EntityKind* kinds                   # MAX_KINDS
    KindRows* rows                      # MAX_KINDS
    Slot* slot
    Place* place                        # by slot
    int32_t* history
    uint32_t* group_of                  # groups x slots: number of the group that each entity is of, 0 none
    uint32_t* field_changed             # slots x stride: tick of the last change, by first component, of rated fields
    size_t stride
    uint32_t slots
    uint32_t kind_count
    uint32_t tick
    uint32_t hz
    Grid grid
    Chosen chosen
    PublishStats stats

cdef inline int32_t* state_at(const WorldState* world, uint32_t tick, uint32_t slot) noexcept nogil:
    """State of `slot` at `tick`, which must be one of the last 64 published."""
    return &world.history[(<size_t>(tick & HISTORY_MASK) * world.slots + slot) * world.stride]

cdef inline bint may_see(const Slot* slot, uint64_t sees, uint64_t observer) noexcept nogil:
    """True if who sees `sees` may be shown the entity at any distance: their masks meet, or it is the observer's."""
    return slot.visible_to & sees != 0 or (slot.owner != 0 and slot.owner == observer)

cdef inline double column_value(const ColumnSource* column, size_t i) noexcept nogil:
    if column.type == COLUMN_FLOAT32:
        return (<const float*>column.data)[i]
    if column.type == COLUMN_FLOAT64:
        return (<const double*>column.data)[i]
    if column.type == COLUMN_INT64:     # beyond 2**53 it rounds, and saturates anyway
        return <double>(<const int64_t*>column.data)[i]
    if column.type == COLUMN_BOOL:
        return 1.0 if (<const uint8_t*>column.data)[i] else 0.0
    if column.type == COLUMN_INT32:
        return (<const int32_t*>column.data)[i]
    if column.type == COLUMN_INT16:
        return (<const int16_t*>column.data)[i]
    if column.type == COLUMN_INT8:
        return (<const int8_t*>column.data)[i]
    if column.type == COLUMN_UINT32:
        return (<const uint32_t*>column.data)[i]
    if column.type == COLUMN_UINT16:
        return (<const uint16_t*>column.data)[i]
    return (<const uint8_t*>column.data)[i]

cdef inline int32_t first_quanta(const EntityKind* kind, uint32_t i) noexcept nogil:
    """What stands where the very first value is no number: the nearest to 0 that there is."""
    if kind.component[i].low > 0:
        return kind.component[i].low
    return kind.component[i].high if kind.component[i].high < 0 else 0

cdef inline void quantize_pairs(const EntityKind* kind, const KindRows* rows, uint32_t f, uint32_t row,
                                const int32_t* old, uint32_t tick, uint32_t* field_changed, int32_t* new,
                                PublishStats* stats) noexcept nogil:
    """Field f of a row where that has quadrants, which come with their offsets; else as quantize_row()."""
    cdef uint32_t first = kind.first[f], i, pair
    cdef const ColumnSource* column = &rows.column[f]
    cdef bint changed = old == NULL, held
    if kind.component[first].kind == KIND_QUADRANT:
        return
    held = old != NULL and kind.component[first].rate_ticks and \
        tick - field_changed[first] < kind.component[first].rate_ticks
    for i in range(first, kind.first[f + 1]):
        pair = kind.component[i].pair
        new[i] = old[i] if old != NULL else first_quanta(kind, i)
        new[pair] = old[pair] if old != NULL else first_quanta(kind, pair)
        if not held and not quantize_pair(kind, i, column_value(column, <size_t>row * column.lanes + i - first), new,
                                          &stats.saturated):
            stats.refused += 1
        if old != NULL and (new[i] != old[i] or new[pair] != old[pair]):
            changed = True
    if changed:
        field_changed[first] = tick

cdef inline void quantize_row(const EntityKind* kind, const KindRows* rows, uint32_t row, const int32_t* old,
                              uint32_t tick, uint32_t* field_changed, int32_t* new, PublishStats* stats) noexcept nogil:
    """State of one row. `old`: the state before, or NULL for the first time, when rates do not hold anything back."""
    cdef uint32_t f, i, lane
    cdef bint changed
    cdef const ColumnSource* column
    for f in range(kind.fields):
        column = &rows.column[f]
        i = kind.first[f]
        if kind.component[i].kind >= KIND_OFFSET:
            quantize_pairs(kind, rows, f, row, old, tick, field_changed, new, stats)
            continue
        if old != NULL and kind.component[i].rate_ticks and tick - field_changed[i] < kind.component[i].rate_ticks:
            for i in range(kind.first[f], kind.first[f + 1]):
                new[i] = old[i]
            continue
        changed = old == NULL
        for lane in range(kind.first[f + 1] - kind.first[f]):
            i = kind.first[f] + lane
            new[i] = old[i] if old != NULL else first_quanta(kind, i)
            if not quantize(&kind.component[i], column_value(column, <size_t>row * column.lanes + lane), &new[i],
                            &stats.saturated):
                stats.refused += 1
            if old != NULL and new[i] != old[i]:
                changed = True
        if changed:
            field_changed[kind.first[f]] = tick

cdef inline void publish_row(WorldState* world, uint32_t number, uint32_t row, uint32_t tick) noexcept nogil:
    """Publish one row at `tick`: state, whether it rested, where it stands."""
    cdef const EntityKind* kind = &world.kinds[number]
    cdef uint32_t index = world.rows[number].slots[row], i
    cdef Slot* slot = &world.slot[index]
    cdef int32_t* new = state_at(world, tick, index)
    cdef const int32_t* old = NULL
    cdef double* place = &world.place[index].x
    cdef bint moved
    if slot.last:
        old = state_at(world, slot.last, index)
    quantize_row(kind, &world.rows[number], row, old, tick, &world.field_changed[index * world.stride], new,
                 &world.stats)
    if old == NULL:
        slot.last_change = tick
        slot.rest_first = slot.rest_last = 0
    else:
        moved = is_moving(kind, new)
        for i in range(kind.components):
            moved = moved or new[i] != old[i]
        if moved:
            if slot.last > slot.last_change:
                slot.rest_first, slot.rest_last = slot.last_change, slot.last
            slot.last_change = tick
    slot.last = tick
    world.place[index].generation, world.place[index].kind = slot.generation, number
    for i in range(3):
        if kind.position[i] >= 0:
            place[i] = place_of(kind, kind.position[i], new)

cdef inline const int32_t* reference_state(const WorldState* world, uint32_t index, uint32_t at,
                                           uint32_t* found) noexcept nogil:
    """State that `index` had at tick `at`, if it is still here (else NULL). `found`: the tick it stands at.

    A reference within the window stands at its own tick. An older one is the state of a rest, which no prediction
    moves.
    """
    cdef const Slot* slot = &world.slot[index]
    if world.tick - at <= WINDOW:
        found[0] = at
    elif slot.last_change <= at:
        found[0] = slot.last
    elif slot.rest_first <= at <= slot.rest_last and world.tick - slot.rest_last <= WINDOW:
        found[0] = slot.rest_last
    else:
        return NULL
    return state_at(world, found[0], index)

"""Where entities were at the last ticks: positions in a ring, those of a tick in the order of a grid.

Owner    The History class (history.pyx) allocates everything at start-up.
Limit    `depth` ticks of at most `slots` entities, 28 bytes each; when it is full the oldest tick goes.
Threads  One at a time.

    ticks[place]  12 ─ 13 ─ 14 ─ 16          place of the newest = (recorded - 1) % depth; ticks may be left out
    x, y, z, handles [place][row]            dense: whoever lived then, sorted by the bucket of its cell
    starts [place][bucket]                   row of the bucket's first; a bucket ends where the next begins
    rows [place][slot]                       an entity's row then; true only if handles[row] is the entity

A time is a number of ticks with a fraction. At `time` those are there who are recorded at the tick below it, between
their places at that tick and the next; who is not recorded at the next (it was despawned) or went too far (it was
teleported) stays where it was until then.

Cells hash to buckets as in grid.pxd. A tick is found by where its entities were at it, so that whoever looks between it
and the next looks further by what they moved (`steps`). Those that moved more than `pace` would widen this for all: up
to HISTORY_HASTY of them are kept in a list (`hasty`) and looked at one by one; if they are more, everybody looks
further by what they moved (`leaps`), at most `teleport`.
"""
from libc.math cimport isfinite
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint32_t, uint64_t

from shadowland._core.world.grid cimport grid_row

cdef enum:
    HISTORY_HASTY = 64
    HISTORY_BUCKETS = 64            # the fewest

cdef struct HistoryState:
    uint64_t* ticks                 # by place
    uint32_t* counts                # by place: rows
    uint32_t* masks                 # by place: buckets - 1
    uint32_t* hasty_counts          # by place: who moved further than `pace`, but was not teleported
    uint32_t* hasty                 # [place][HISTORY_HASTY]: their rows at the tick before
    double* steps                   # by place: the furthest that all others moved from the tick before, squared
    double* leaps                   # by place: likewise of the hasty ones
    float* x
    float* y
    float* z
    uint64_t* handles
    uint32_t* rows
    uint32_t* starts                # [place][buckets + 2]
    float* new_x                    # the newest tick as it was added, from which it is sorted
    float* new_y
    float* new_z
    uint64_t* new_handles
    uint32_t* new_buckets           # without the mask
    double teleport2                # further than this, squared, from one tick to the next nobody walks
    double pace2
    double inverse_cell             # 1 / edge of a cell
    double inverse_layer            # along z; 0: one layer
    uint64_t recorded               # ticks so far
    uint64_t left_out               # places that were no numbers and had none before
    uint32_t slots
    uint32_t depth
    uint32_t buckets                # at most, a power of two
    uint32_t added                  # entities of the newest tick

cdef struct Moment:                 # a time in the ring
    uint32_t before                 # place of the tick at or below it
    uint32_t after                  # place of the next, == before where there is none to go to
    double part                     # 0 to 1 of the way

cdef inline double dot(const double* a, const double* b) noexcept nogil:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]

cdef inline size_t history_at(const HistoryState* history, uint32_t place) noexcept nogil:
    """Index of the place's row 0 (and of its slot 0 in `rows`)."""
    return <size_t>place * history.slots

cdef inline uint32_t* history_starts(const HistoryState* history, uint32_t place) noexcept nogil:
    return history.starts + <size_t>place * (history.buckets + 2)

cdef inline uint32_t history_row(const HistoryState* history, uint32_t place, uint64_t handle) noexcept nogil:
    """The entity's row at that place; at least counts[place] if it was not there."""
    cdef uint32_t slot = <uint32_t>handle, row
    if slot >= history.slots:
        return history.counts[place]
    row = history.rows[history_at(history, place) + slot]
    if row < history.counts[place] and history.handles[history_at(history, place) + row] == handle:
        return row
    return history.counts[place]

cdef inline int32_t history_cell(double position, double inverse) noexcept nogil:
    """Cell of a coordinate, rounded down; it never falls where the coordinate rises. Far away is the last cell."""
    cdef double cell = position * inverse
    cdef int32_t whole
    cell = -1073741824.0 if cell < -1073741824.0 else 1073741824.0 if cell > 1073741824.0 else cell
    whole = <int32_t>cell
    return whole - (whole > cell)

# Recording ------------------------------------------------------------------------------------------------------------

cdef inline void history_begin(HistoryState* history, uint64_t tick) noexcept nogil:
    cdef uint32_t place = <uint32_t>(history.recorded % history.depth)
    history.ticks[place] = tick
    history.counts[place], history.hasty_counts[place] = 0, 0
    history.steps[place], history.leaps[place] = 0.0, 0.0
    history.recorded += 1
    history.added = 0

cdef inline void history_moved(HistoryState* history, uint32_t place, uint32_t old, double far2) noexcept nogil:
    """The entity in row `old` of the tick before is `far2` (squared) away from there at the tick at `place`."""
    if not far2 <= history.teleport2:
        return
    if far2 <= history.pace2:
        history.steps[place] = far2 if far2 > history.steps[place] else history.steps[place]
        return
    if history.hasty_counts[place] < HISTORY_HASTY:
        history.hasty[<size_t>place * HISTORY_HASTY + history.hasty_counts[place]] = old
    history.hasty_counts[place] += 1
    history.leaps[place] = far2 if far2 > history.leaps[place] else history.leaps[place]

cdef inline void history_add(HistoryState* history, uint64_t handle, double x, double y, double z) noexcept nogil:
    """One entity of the tick begun last, before history_finish. A place that is no number (as a float) is taken for the
    one before."""
    cdef uint32_t place = <uint32_t>((history.recorded - 1) % history.depth), before = place, old, row = history.added
    cdef size_t last = 0
    cdef bint known = False
    cdef double far[3]
    if history.recorded > 1:
        before = <uint32_t>((history.recorded - 2) % history.depth)
        old = history_row(history, before, handle)
        known = old < history.counts[before]
        last = history_at(history, before) + old
    x, y, z = <float>x, <float>y, <float>z
    if not (isfinite(x) and isfinite(y) and isfinite(z)):
        if not known:
            history.left_out += 1
            return
        x, y, z = history.x[last], history.y[last], history.z[last]
    if row >= history.slots or <uint32_t>handle >= history.slots:
        return
    history.added = row + 1
    history.new_x[row], history.new_y[row], history.new_z[row] = <float>x, <float>y, <float>z
    history.new_handles[row] = handle
    history.new_buckets[row] = (
        grid_row(history_cell(y, history.inverse_cell), history_cell(z, history.inverse_layer))
        + <uint32_t>history_cell(x, history.inverse_cell))
    if known:
        far[0], far[1], far[2] = x - history.x[last], y - history.y[last], z - history.z[last]
        history_moved(history, place, old, dot(far, far))

cdef inline void history_finish(HistoryState* history) noexcept nogil:
    """Sort what was added since history_begin into its place: bucket b is then rows starts[b] to starts[b + 1] - 1.
    What is added later is added by sorting once more."""
    cdef uint32_t place = <uint32_t>((history.recorded - 1) % history.depth), mask = HISTORY_BUCKETS - 1, i, bucket, row
    cdef uint32_t at = 0, size
    cdef uint32_t* starts = history_starts(history, place)
    cdef size_t first = history_at(history, place)
    while mask + 1 < history.added and mask + 1 < history.buckets:
        mask = 2 * mask + 1
    history.counts[place], history.masks[place] = history.added, mask
    for i in range(mask + 2):
        starts[i] = 0
    for i in range(history.added):
        starts[(history.new_buckets[i] & mask) + 1] += 1
    for i in range(mask + 1):           # starts[b + 1] held the size of bucket b: make it the row of its next entity
        size = starts[i + 1]
        starts[i + 1] = at
        at += size
    for i in range(history.added):
        bucket = (history.new_buckets[i] & mask) + 1
        row = starts[bucket]
        starts[bucket] = row + 1
        history.x[first + row], history.y[first + row] = history.new_x[i], history.new_y[i]
        history.z[first + row] = history.new_z[i]
        history.handles[first + row] = history.new_handles[i]
        history.rows[first + <uint32_t>history.new_handles[i]] = row

# Times ----------------------------------------------------------------------------------------------------------------

cdef inline Moment history_moment(const HistoryState* history, double time) noexcept nogil:
    """Where `time` is in the ring, which is not empty: at most the newest tick, at least the oldest that is kept."""
    cdef Moment moment
    cdef uint64_t kept = history.recorded if history.recorded < history.depth else history.depth, back = 0
    cdef uint64_t newest = history.recorded - 1
    cdef uint32_t place = <uint32_t>(newest % history.depth)
    moment.before, moment.after, moment.part = place, place, 0.0
    while back + 1 < kept and time < <double>history.ticks[place]:
        back += 1
        moment.after = place
        place = <uint32_t>((newest - back) % history.depth)
    moment.before = place
    if moment.after != place and time > <double>history.ticks[place]:
        moment.part = (time - history.ticks[place]) / <double>(history.ticks[moment.after] - history.ticks[place])
    else:
        moment.after = place
    return moment

cdef inline double history_where(const HistoryState* history, const Moment* moment, uint32_t row,
                                 double* out) noexcept nogil:
    """Where the entity in `row` of the moment's tick was; how far it moved to the next tick, squared (0: it stays)."""
    cdef size_t here = history_at(history, moment.before) + row, there
    cdef uint32_t next_row
    cdef double far2
    cdef double step[3]
    out[0], out[1], out[2] = history.x[here], history.y[here], history.z[here]
    if moment.after == moment.before:
        return 0.0
    next_row = history_row(history, moment.after, history.handles[here])
    if next_row >= history.counts[moment.after]:
        return 0.0
    there = history_at(history, moment.after) + next_row
    step[0] = history.x[there] - out[0]
    step[1] = history.y[there] - out[1]
    step[2] = history.z[there] - out[2]
    far2 = dot(step, step)
    if not far2 <= history.teleport2:
        return 0.0
    out[0] += step[0] * moment.part
    out[1] += step[1] * moment.part
    out[2] += step[2] * moment.part
    return far2

"""What a shot of back then hits: the runs of rows that a segment passes, and the first that it meets there.

Owner    Nothing: it reads a HistoryState.
Limit    A shot looks at no more than twice the entities of its tick, however long it is.
Threads  Any number, while nobody records.

A shot walks the rows of cells that it passes, widened by a target's extent and by what anybody can have moved; of each
row of cells it looks at one run of the dense columns (float32), and computes exactly only for those this leaves.

    row 2   .  .  .  .  . [.  .]/.  .        from where the shot comes within `reach` of the row of cells
    row 1   .  .  . [.  .  ./.] .  .         to where it leaves it; along x as far as it gets in between
    row 0   . [.  ./ .] .  .  .  .  .

Where that would be more work than a look at everybody, it is one run of all. Of what is found first only what comes
before it can be nearer, so that rows beyond it are not walked.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from shadowland._core.world.grid cimport grid_row
from shadowland._core.world.history cimport (
    HISTORY_HASTY, HistoryState, Moment, dot, history_at, history_cell, history_moment, history_starts, history_where,
)
from shadowland._core.world.history_shape cimport (
    Body, Segment, Shape, axis_distance2, body_entry, shape_body, sizes,
)

cdef enum:
    SWEEP_BLOCK = 256               # rows whose coarse distances are computed at once
    SWEEP_COST = 8                  # entities that can be looked at in the time that one row of cells takes

cdef struct Hit:
    uint64_t handle                 # 0: nobody
    double part                     # of the segment, where it enters

cdef struct Sweep:                  # which runs of a tick's rows have to be looked at, one after the other
    double start[3]                 # of the segment, moved so that it would meet places instead of bodies' middles
    double way[3]
    double reach                    # who stands further from the segment is not met
    double until                    # part of the way behind which nobody is of interest
    double first                    # part of the way that is within reach of the row of cells
    double last
    int64_t row                     # the row of cells (y) and its layer (z)
    int64_t layer
    int64_t toward                  # 1 or -1: rows in the order in which the segment passes them
    uint32_t rows_left
    uint32_t layers_left
    uint32_t begin                  # the run
    uint32_t end
    uint32_t more                   # a run that goes on at the first bucket: where it ends; 0: it does not
    bint all                        # one run of everybody,
    bint begun                      # which was given out
    bint wide                       # `reach` has what the hasty ones moved in it
    float limit                     # reach, squared
    float inverse                   # 1 / squared length
    float coarse_start[3]
    float coarse_way[3]

# Runs -----------------------------------------------------------------------------------------------------------------

cdef inline void clip(double at, double way, double low, double high, double* first, double* last) noexcept nogil:
    """Of the parts from `first` to `last` those at which at + part * way is between `low` and `high`."""
    cdef double enters, leaves
    if way == 0.0:
        return                          # it is: the cells in question are those that it is within reach of
    enters, leaves = (low - at) / way, (high - at) / way
    if enters > leaves:
        enters, leaves = leaves, enters
    first[0] = enters if enters > first[0] else first[0]
    last[0] = leaves if leaves < last[0] else last[0]

cdef inline int64_t span(const Sweep* sweep, int axis, double first, double last, double inverse,
                         int64_t* low) noexcept nogil:
    """How many cells along an axis are within reach of the segment between two parts of it, from `low` on."""
    cdef double one = sweep.start[axis] + first * sweep.way[axis], other = sweep.start[axis] + last * sweep.way[axis]
    if one > other:
        one, other = other, one
    low[0] = history_cell(one - sweep.reach, inverse)
    return history_cell(other + sweep.reach, inverse) - low[0] + 1

cdef inline Sweep sweep_begin(const HistoryState* history, const Moment* moment, const Segment* shot, const Body* body,
                              double radius, double size) noexcept nogil:
    """All whose body can come within `radius` of a segment at a moment; `size`: as sizes(), with the radius."""
    cdef Sweep sweep
    cdef double way2 = dot(shot.way, shot.way), step = 0.0
    cdef int64_t rows, layers = 1, band, low
    cdef int i
    sweep.wide = history.hasty_counts[moment.after] > HISTORY_HASTY
    if moment.after != moment.before:
        step = sqrt(history.leaps[moment.after] if sweep.wide else history.steps[moment.after])
    # What a body's entry is allowed, what float32 can be wrong by out here and over this length, and as much again.
    sweep.reach = body.extent + radius + step + 4e-6 * (size + step) + 1e-15
    if sweep.reach < 0.0:
        sweep.reach = 0.0
    sweep.limit = <float>(sweep.reach * sweep.reach * (1.0 + 1e-6))
    sweep.inverse = <float>(1.0 / way2) if way2 > 0.0 else <float>0.0
    for i in range(3):
        sweep.start[i], sweep.way[i] = shot.start[i] - body.middle[i], shot.way[i]
        sweep.coarse_start[i], sweep.coarse_way[i] = <float>sweep.start[i], <float>sweep.way[i]
    sweep.until, sweep.more, sweep.begin, sweep.end = 1.0, 0, 0, history.counts[moment.before]
    sweep.row, sweep.layer, sweep.toward, sweep.rows_left, sweep.layers_left = 0, 0, 1, 0, 0
    sweep.all, sweep.begun = True, False
    if not size < 1e9:
        return sweep
    rows = span(&sweep, 1, 0.0, 1.0, history.inverse_cell, &low)
    sweep.row = low
    if history.inverse_layer > 0.0:
        layers = span(&sweep, 2, 0.0, 1.0, history.inverse_layer, &low)
    band = <int64_t>(2.0 * sweep.reach * history.inverse_cell) + 2
    sweep.all = (SWEEP_COST * (rows * (band if layers > band else layers) + layers) > history.counts[moment.before]
                 or span(&sweep, 0, 0.0, 1.0, history.inverse_cell, &low) > history.masks[moment.before])
    if not sweep.all:
        sweep.rows_left = <uint32_t>rows
        if shot.way[1] < 0.0:
            sweep.row, sweep.toward = sweep.row + rows - 1, -1
        sweep.row -= sweep.toward       # sweep_row goes on to the first
    return sweep

cdef inline bint sweep_row(const HistoryState* history, Sweep* sweep) noexcept nogil:
    """Go on to the next row of cells: which part of the segment and which layers are within reach of it."""
    cdef double edge = 1.0 / history.inverse_cell
    cdef int64_t low = 0
    while sweep.rows_left > 0:
        sweep.rows_left -= 1
        sweep.row += sweep.toward
        sweep.first, sweep.last = 0.0, sweep.until
        clip(sweep.start[1], sweep.way[1], sweep.row * edge - sweep.reach, (sweep.row + 1) * edge + sweep.reach,
             &sweep.first, &sweep.last)
        if sweep.first <= sweep.last:
            sweep.layers_left = 1
            if history.inverse_layer > 0.0:
                sweep.layers_left = <uint32_t>span(sweep, 2, sweep.first, sweep.last, history.inverse_layer, &low)
            sweep.layer = low - 1       # sweep_next goes on to the first
            return True
    return False

cdef inline bint sweep_next(const HistoryState* history, uint32_t place, Sweep* sweep) noexcept nogil:
    """The next run: rows `begin` to `end` - 1 of the columns at `place`. False: that was all."""
    cdef const uint32_t* starts = history_starts(history, place)
    cdef uint32_t mask = history.masks[place], bucket, size
    cdef double first, last, edge
    cdef int64_t low
    if sweep.all:
        if sweep.begun:
            return False
        sweep.begun = True
        return True
    if sweep.more:
        sweep.begin, sweep.end, sweep.more = 0, starts[sweep.more], 0
        return True
    while sweep.layers_left > 0 or sweep_row(history, sweep):
        first, last = sweep.first, sweep.last
        sweep.layers_left -= 1
        sweep.layer += 1
        if history.inverse_layer > 0.0:
            edge = 1.0 / history.inverse_layer
            clip(sweep.start[2], sweep.way[2], sweep.layer * edge - sweep.reach,
                 (sweep.layer + 1) * edge + sweep.reach, &first, &last)
        if not first <= last:
            continue
        size = <uint32_t>span(sweep, 0, first, last, history.inverse_cell, &low)
        bucket = (grid_row(<int32_t>sweep.row, <int32_t>sweep.layer) + <uint32_t>low) & mask
        sweep.begin = starts[bucket]
        if bucket + size <= mask + 1:
            sweep.end = starts[bucket + size]
        else:
            sweep.end = starts[mask + 1]
            sweep.more = bucket + size - mask - 1
        if sweep.end > sweep.begin or sweep.more:
            return True
    return False

cdef inline bint sweep_own(const HistoryState* history, const Sweep* sweep, size_t at) noexcept nogil:
    """Whether an entity of the run stands in the row of cells that was asked for, not in one that shares buckets."""
    return sweep.all or (history_cell(history.y[at], history.inverse_cell) == sweep.row
                         and history_cell(history.z[at], history.inverse_layer) == sweep.layer)

cdef inline void coarse(const float* x, const float* y, const float* z, uint32_t count, const float* start,
                        const float* way, float inverse, float* out) noexcept nogil:
    """Squared distances of `count` places from a segment."""
    cdef uint32_t i
    cdef float dx, dy, dz, part, zero = 0.0, one = 1.0      # literals would be doubles
    for i in range(count):
        dx, dy, dz = x[i] - start[0], y[i] - start[1], z[i] - start[2]
        part = (dx * way[0] + dy * way[1] + dz * way[2]) * inverse
        part = part if part > zero else zero
        part = part if part < one else one
        dx, dy, dz = dx - part * way[0], dy - part * way[1], dz - part * way[2]
        out[i] = dx * dx + dy * dy + dz * dz

# Hits -----------------------------------------------------------------------------------------------------------------

cdef inline void shoot_one(const HistoryState* history, const Moment* moment, const Segment* shot, const Body* body,
                           double rounding, uint32_t row, Hit* hit) noexcept nogil:
    cdef double place[3]
    cdef double entry
    cdef uint64_t handle = history.handles[history_at(history, moment.before) + row]
    history_where(history, moment, row, place)
    entry = body_entry(shot, body, place, rounding)
    if entry < hit.part or (entry == hit.part and handle < hit.handle):
        hit.part, hit.handle = entry, handle

cdef inline Hit history_shoot(const HistoryState* history, const Segment* shot, double time, const Body* body,
                              uint64_t ignore) noexcept nogil:
    """The first that a segment meets at `time`; of two that it meets at once, the one with the lower handle."""
    cdef Hit hit
    cdef Moment moment
    cdef Sweep sweep
    cdef float distances[SWEEP_BLOCK]
    cdef double size = sizes(shot, body), rounding = 1e-6 * size
    cdef uint32_t first, count, i, row
    cdef size_t at
    hit.handle, hit.part = 0, INFINITY
    if history.recorded == 0:
        return hit
    moment = history_moment(history, time)
    sweep = sweep_begin(history, &moment, shot, body, 0.0, size)
    while sweep_next(history, moment.before, &sweep):
        first = sweep.begin
        while first < sweep.end:
            at = history_at(history, moment.before) + first
            count = sweep.end - first
            count = count if count < SWEEP_BLOCK else SWEEP_BLOCK
            coarse(history.x + at, history.y + at, history.z + at, count, sweep.coarse_start, sweep.coarse_way,
                   sweep.inverse, distances)
            for i in range(count):
                if not distances[i] > sweep.limit and history.handles[at + i] != ignore:
                    shoot_one(history, &moment, shot, body, rounding, first + i, &hit)
            first += count
        sweep.until = hit.part if hit.part < 1.0 else 1.0
    if moment.after != moment.before and not sweep.wide:
        for i in range(history.hasty_counts[moment.after]):
            row = history.hasty[<size_t>moment.after * HISTORY_HASTY + i]
            if history.handles[history_at(history, moment.before) + row] != ignore:
                shoot_one(history, &moment, shot, body, rounding, row, &hit)
    return hit

cdef struct Blast:                  # everybody within `radius` of the surface, up to `room` of them written
    const double* centre
    double radius
    uint64_t* handles
    double* distances
    size_t room
    size_t found

cdef inline void blast_one(const HistoryState* history, const Moment* moment, const Body* body, uint32_t row,
                           bint listed, bint wide, Blast* blast) noexcept nogil:
    """`listed`: it is looked at because it is hasty; all who are not `wide`ly looked for are so once."""
    cdef double place[3]
    cdef double apart
    cdef int i
    if (history_where(history, moment, row, place) > history.pace2) != listed and not wide:
        return
    for i in range(3):
        place[i] += body.foot[i]
    apart = sqrt(axis_distance2(blast.centre, place, body.axis, dot(body.axis, body.axis))) - body.radius
    if apart <= blast.radius:
        if blast.found < blast.room:
            blast.handles[blast.found] = history.handles[history_at(history, moment.before) + row]
            blast.distances[blast.found] = apart if apart > 0.0 else 0.0
        blast.found += 1

cdef inline size_t history_within(const HistoryState* history, const double* centre, double radius, double time,
                                  const Body* body, uint64_t ignore, uint64_t* handles, double* distances,
                                  size_t room) noexcept nogil:
    """All whose body comes within `radius` of a point at `time`; how many there are, the first `room` of them written.

    Distances are from the point to the body's surface, 0 inside it.
    """
    cdef Moment moment
    cdef Segment point
    cdef Sweep sweep
    cdef Blast blast
    cdef float squares[SWEEP_BLOCK]
    cdef uint32_t first, count, i, row
    cdef size_t at
    if history.recorded == 0:
        return 0
    blast.centre, blast.radius, blast.found = centre, radius, 0
    blast.handles, blast.distances, blast.room = handles, distances, room
    moment = history_moment(history, time)
    for i in range(3):
        point.start[i], point.way[i] = centre[i], 0.0
    sweep = sweep_begin(history, &moment, &point, body, radius, sizes(&point, body) + fabs(radius))
    while sweep_next(history, moment.before, &sweep):
        first = sweep.begin
        while first < sweep.end:
            at = history_at(history, moment.before) + first
            count = sweep.end - first
            count = count if count < SWEEP_BLOCK else SWEEP_BLOCK
            coarse(history.x + at, history.y + at, history.z + at, count, sweep.coarse_start, sweep.coarse_way, 0.0,
                   squares)
            for i in range(count):
                if (not squares[i] > sweep.limit and history.handles[at + i] != ignore
                        and sweep_own(history, &sweep, at + i)):
                    blast_one(history, &moment, body, first + i, False, sweep.wide, &blast)
            first += count
    if moment.after != moment.before and not sweep.wide:
        for i in range(history.hasty_counts[moment.after]):
            row = history.hasty[<size_t>moment.after * HISTORY_HASTY + i]
            if history.handles[history_at(history, moment.before) + row] != ignore:
                blast_one(history, &moment, body, row, True, False, &blast)
    return blast.found

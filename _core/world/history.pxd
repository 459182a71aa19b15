"""Where entities were at the last ticks, and what a shot of back then hits: positions in a ring, hit tests in batches.

Owner    The History class (history.pyx) allocates everything at start-up.
Limit    `depth` ticks of at most `slots` entities, 24 bytes each; when it is full the oldest tick goes.
Threads  One at a time.

    ticks[place]  12 ─ 13 ─ 14 ─ 16          place of the newest = (recorded - 1) % depth; ticks may be left out
    x, y, z, handles [place][row]            dense: whoever lived then, in the order of the columns
    rows [place][slot]                       its row then; true only if handles[row] is the entity

A time is a number of ticks with a fraction. At `time` those are there who are recorded at the tick below it, between
their places at that tick and the next; who is not recorded at the next (it was despawned) or went too far (it was
teleported) stays where it was until then.

A shot looks at the dense columns of one tick first (float32), with a margin for what anybody moved to the
next tick, and computes exactly only for those that this leaves.
"""
from libc.math cimport INFINITY, fabs, isfinite, sqrt
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    HISTORY_BLOCK = 256             # rows whose coarse distances are computed at once

cdef struct HistoryState:
    uint64_t* ticks                 # by place
    uint32_t* counts                # by place: rows
    double* steps                   # by place: the furthest that anybody moved from the tick before, teleports left out
    float* x
    float* y
    float* z
    uint64_t* handles
    uint32_t* rows
    double teleport                 # further than this from one tick to the next nobody walks
    uint64_t recorded               # ticks so far
    uint64_t left_out               # places that were no numbers and had none before
    uint32_t slots
    uint32_t depth

cdef struct Shape:                  # of every target: within `radius` of the line from place + foot to place + head
    double radius
    double foot[3]
    double head[3]

cdef struct Moment:                 # a time in the ring
    uint32_t before                 # place of the tick at or below it
    uint32_t after                  # place of the next, == before where there is none to go to
    double part                     # 0 to 1 of the way

cdef struct Segment:
    double start[3]
    double way[3]                   # end - start

cdef struct Hit:
    uint64_t handle                 # 0: nobody
    double part                     # of the segment, where it enters

cdef inline double dot(const double* a, const double* b) noexcept nogil:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]

cdef inline size_t history_at(const HistoryState* history, uint32_t place) noexcept nogil:
    """Index of the place's row 0 (and of its slot 0 in `rows`)."""
    return <size_t>place * history.slots

cdef inline uint32_t history_row(const HistoryState* history, uint32_t place, uint64_t handle) noexcept nogil:
    """The entity's row at that place; at least counts[place] if it was not there."""
    cdef uint32_t slot = <uint32_t>handle, row
    if slot >= history.slots:
        return history.counts[place]
    row = history.rows[history_at(history, place) + slot]
    if row < history.counts[place] and history.handles[history_at(history, place) + row] == handle:
        return row
    return history.counts[place]

# Recording ------------------------------------------------------------------------------------------------------------

cdef inline void history_begin(HistoryState* history, uint64_t tick) noexcept nogil:
    cdef uint32_t place = <uint32_t>(history.recorded % history.depth)
    history.ticks[place] = tick
    history.counts[place] = 0
    history.steps[place] = 0.0
    history.recorded += 1

cdef inline void history_add(HistoryState* history, uint64_t handle, double x, double y, double z) noexcept nogil:
    """One entity of the tick begun last. A place that is no number is taken for the one before."""
    cdef uint32_t place = <uint32_t>((history.recorded - 1) % history.depth), before = place, row, old
    cdef size_t at = history_at(history, place), last = 0
    cdef bint known = False
    cdef double far
    if history.recorded > 1 and history.depth > 1:
        before = <uint32_t>((history.recorded - 2) % history.depth)
        old = history_row(history, before, handle)
        known = old < history.counts[before]
        last = history_at(history, before) + old
    if not (isfinite(x) and isfinite(y) and isfinite(z)):
        if not known:
            history.left_out += 1
            return
        x, y, z = history.x[last], history.y[last], history.z[last]
    row = history.counts[place]
    if row >= history.slots or <uint32_t>handle >= history.slots:
        return
    history.counts[place] = row + 1
    history.x[at + row], history.y[at + row], history.z[at + row] = <float>x, <float>y, <float>z
    history.handles[at + row] = handle
    history.rows[at + <uint32_t>handle] = row
    if known:
        x, y, z = x - history.x[last], y - history.y[last], z - history.z[last]
        far = sqrt(x * x + y * y + z * z)
        if far <= history.teleport and far > history.steps[place]:
            history.steps[place] = far

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

cdef inline void history_where(const HistoryState* history, const Moment* moment, uint32_t row,
                               double* out) noexcept nogil:
    """Where the entity in `row` of the moment's tick was."""
    cdef size_t here = history_at(history, moment.before) + row, there
    cdef uint32_t next_row
    cdef double far
    cdef double step[3]
    out[0], out[1], out[2] = history.x[here], history.y[here], history.z[here]
    if moment.after == moment.before:
        return
    next_row = history_row(history, moment.after, history.handles[here])
    if next_row >= history.counts[moment.after]:
        return
    there = history_at(history, moment.after) + next_row
    step[0] = history.x[there] - out[0]
    step[1] = history.y[there] - out[1]
    step[2] = history.z[there] - out[2]
    far = dot(step, step)
    if far <= history.teleport * history.teleport:
        out[0] += step[0] * moment.part
        out[1] += step[1] * moment.part
        out[2] += step[2] * moment.part

# Geometry -------------------------------------------------------------------------------------------------------------

cdef inline double axis_distance2(const double* point, const double* foot, const double* axis,
                                  double axis2) noexcept nogil:
    """Squared distance of a point from the line from `foot` to `foot + axis`."""
    cdef double off[3]
    cdef double part = 0.0
    off[0], off[1], off[2] = point[0] - foot[0], point[1] - foot[1], point[2] - foot[2]
    if axis2 > 0.0:
        part = dot(off, axis) / axis2
        part = 0.0 if part < 0.0 else 1.0 if part > 1.0 else part
    off[0] -= part * axis[0]
    off[1] -= part * axis[1]
    off[2] -= part * axis[2]
    return dot(off, off)

cdef inline double sphere_entry(const double* off, const double* way, double way2, double radius) noexcept nogil:
    """Part of the way at which it enters the sphere round 0, from `off` outside it; infinity if it does not."""
    cdef double along = dot(off, way), root = along * along - way2 * (dot(off, off) - radius * radius)
    if root < 0.0 or along >= 0.0 or way2 <= 0.0:
        return INFINITY
    return (-along - sqrt(root)) / way2

cdef inline double capsule_entry(const Segment* shot, const double* foot, const double* axis,
                                 double radius) noexcept nogil:
    """Part of the segment at which it enters a capsule (0 to 1), infinity if it does not; 0 where it begins inside.

    A capsule is two spheres and the cylinder between them: the earliest entry of the three.
    """
    cdef double axis2 = dot(axis, axis), way2 = dot(shot.way, shot.way)
    cdef double off[3]
    cdef double top[3]
    cdef double a, b, c, along, above, entry, other, root
    if axis_distance2(shot.start, foot, axis, axis2) <= radius * radius:
        return 0.0
    off[0], off[1], off[2] = shot.start[0] - foot[0], shot.start[1] - foot[1], shot.start[2] - foot[2]
    entry = sphere_entry(off, shot.way, way2, radius)
    if axis2 > 0.0:
        top[0], top[1], top[2] = off[0] - axis[0], off[1] - axis[1], off[2] - axis[2]
        other = sphere_entry(top, shot.way, way2, radius)
        entry = other if other < entry else entry
        along, above = dot(axis, shot.way), dot(axis, off)
        a = axis2 * way2 - along * along
        if a > 1e-12 * axis2 * way2:                # else it runs along the axis and meets a sphere first
            b = axis2 * dot(off, shot.way) - above * along
            c = axis2 * dot(off, off) - above * above - radius * radius * axis2
            root = b * b - a * c
            if root >= 0.0:
                other = (-b - sqrt(root)) / a
                if 0.0 <= other < entry and 0.0 <= above + other * along <= axis2:
                    entry = other
    return entry if entry <= 1.0 else INFINITY

# Hits -----------------------------------------------------------------------------------------------------------------

cdef inline void coarse(const float* x, const float* y, const float* z, uint32_t count, const float* middle,
                        const float* way, float inverse, float* out) noexcept nogil:
    """Squared distances of `count` places from a segment that begins at `middle`."""
    cdef uint32_t i
    cdef float dx, dy, dz, part, zero = 0.0, one = 1.0      # literals would be doubles
    for i in range(count):
        dx, dy, dz = x[i] - middle[0], y[i] - middle[1], z[i] - middle[2]
        part = (dx * way[0] + dy * way[1] + dz * way[2]) * inverse
        part = part if part > zero else zero
        part = part if part < one else one
        dx, dy, dz = dx - part * way[0], dy - part * way[1], dz - part * way[2]
        out[i] = dx * dx + dy * dy + dz * dz

cdef inline float reach2(const HistoryState* history, const Moment* moment, const Segment* shot, const double* middle,
                         double radius) noexcept nogil:
    """Squared distance within which a place of the moment's tick has to be looked at: a target's extent, what it can
    have moved, and what float32 can be wrong by, out here and over this length."""
    cdef double size = sqrt(dot(shot.way, shot.way)), far = radius
    size += fabs(middle[0]) + fabs(middle[1]) + fabs(middle[2])
    if moment.after != moment.before:
        far += history.steps[moment.after]
    far += 1e-6 * (size + far)
    return <float>(far * far * (1.0 + 1e-6))

cdef inline void shape_axis(const Shape* shape, double* axis, double* middle, double* extent) noexcept nogil:
    """The axis of a shape, its middle, and how far from there it reaches."""
    cdef int i
    for i in range(3):
        axis[i] = shape.head[i] - shape.foot[i]
        middle[i] = 0.5 * (shape.head[i] + shape.foot[i])
    extent[0] = shape.radius + 0.5 * sqrt(dot(axis, axis))

cdef inline Hit history_shoot(const HistoryState* history, const Segment* shot, double time, const Shape* shape,
                              uint64_t ignore) noexcept nogil:
    """The first that a segment meets at `time`; of two that it meets at once, the one with the lower handle."""
    cdef Hit hit
    cdef Moment moment
    cdef float distances[HISTORY_BLOCK]
    cdef float begin[3]
    cdef float way[3]
    cdef double axis[3]
    cdef double middle[3]
    cdef double foot[3]
    cdef double extent, entry, way2 = dot(shot.way, shot.way)
    cdef float limit, inverse = <float>(1.0 / way2) if way2 > 0.0 else 0.0
    cdef uint32_t first, count, i, k
    cdef uint64_t handle
    cdef size_t at
    hit.handle, hit.part = 0, INFINITY
    if history.recorded == 0:
        return hit
    moment = history_moment(history, time)
    shape_axis(shape, axis, middle, &extent)
    for k in range(3):
        middle[k] = shot.start[k] - middle[k]
        begin[k], way[k] = <float>middle[k], <float>shot.way[k]
    limit = reach2(history, &moment, shot, middle, extent)
    first = 0
    while first < history.counts[moment.before]:
        at = history_at(history, moment.before) + first
        count = history.counts[moment.before] - first
        count = count if count < HISTORY_BLOCK else HISTORY_BLOCK
        coarse(history.x + at, history.y + at, history.z + at, count, begin, way, inverse, distances)
        for i in range(count):
            handle = history.handles[at + i]
            if distances[i] > limit or handle == ignore:
                continue
            history_where(history, &moment, first + i, foot)
            for k in range(3):
                foot[k] += shape.foot[k]
            entry = capsule_entry(shot, foot, axis, shape.radius)
            if entry < hit.part or (entry == hit.part and handle < hit.handle):
                hit.part, hit.handle = entry, handle
        first += count
    return hit

cdef inline size_t history_within(const HistoryState* history, const double* centre, double radius, double time,
                                  const Shape* shape, uint64_t ignore, uint64_t* handles, double* distances,
                                  size_t room) noexcept nogil:
    """All whose shape comes within `radius` of a point at `time`; how many there are, the first `room` of them written.

    Distances are from the point to the shape's surface, 0 inside it.
    """
    cdef Moment moment
    cdef Segment point
    cdef float squares[HISTORY_BLOCK]
    cdef float begin[3]
    cdef float way[3]
    cdef double axis[3]
    cdef double middle[3]
    cdef double foot[3]
    cdef double extent, apart
    cdef float limit
    cdef uint32_t first = 0, count, i, k
    cdef size_t at, found = 0
    if history.recorded == 0:
        return 0
    moment = history_moment(history, time)
    shape_axis(shape, axis, middle, &extent)
    for k in range(3):
        point.start[k], point.way[k] = centre[k], 0.0
        middle[k] = centre[k] - middle[k]
        begin[k], way[k] = <float>middle[k], 0.0
    limit = reach2(history, &moment, &point, middle, extent + radius)
    while first < history.counts[moment.before]:
        at = history_at(history, moment.before) + first
        count = history.counts[moment.before] - first
        count = count if count < HISTORY_BLOCK else HISTORY_BLOCK
        coarse(history.x + at, history.y + at, history.z + at, count, begin, way, 0.0, squares)
        for i in range(count):
            if squares[i] > limit or history.handles[at + i] == ignore:
                continue
            history_where(history, &moment, first + i, foot)
            for k in range(3):
                foot[k] += shape.foot[k]
            apart = sqrt(axis_distance2(centre, foot, axis, dot(axis, axis))) - shape.radius
            if apart <= radius:
                if found < room:
                    handles[found] = history.handles[at + i]
                    distances[found] = apart if apart > 0.0 else 0.0
                found += 1
        first += count
    return found

"""Python door to the history of positions: arrays in, arrays out, one call a batch."""
from cython cimport final
from libc.math cimport INFINITY
from libc.stdlib cimport calloc, free

from shadowland._core.world.history_hits cimport Hit, history_shoot, history_within
from shadowland._core.world.history_shape cimport Body, Segment, Shape, shape_body

import numpy as np

ctypedef fused real:
    float
    double

MOST_DEPTH = 1024
LEAST_CELL, MOST_CELL = 1e-3, 1e6


cdef Body _body(double radius, foot, head):
    cdef Shape shape
    cdef int i
    if not 0.0 <= radius < INFINITY:
        raise ValueError(f"radius is {radius}; it must be a finite distance of at least 0")
    shape.radius = radius
    for i in range(3):
        shape.foot[i], shape.head[i] = foot[i], head[i]
        if not (isfinite(shape.foot[i]) and isfinite(shape.head[i])):
            raise ValueError("foot and head must be finite")
    return shape_body(&shape)


@final
cdef class History:
    """Positions of at most `slots` entities at the last `depth` ticks; who moves further than `teleport` between two of
    them is not seen in between. Shots look through cells `cell` wide and `layer` high (0: one layer)."""
    cdef HistoryState state
    cdef bint finished

    def __init__(self, slots: int, depth: int, teleport: float, cell: float, layer: float) -> None:
        cdef HistoryState* state = &self.state
        cdef size_t places
        cdef double pace = cell / 4
        if state.ticks != NULL:
            raise ValueError("History is initialised once")
        if not (1 <= slots <= 1 << 24 and 2 <= depth <= MOST_DEPTH and 0 <= teleport < INFINITY):
            raise ValueError(f"slots must be 1 to {1 << 24}, depth 2 to {MOST_DEPTH}, teleport finite")
        if not (LEAST_CELL <= cell <= MOST_CELL and (layer == 0 or LEAST_CELL <= layer <= MOST_CELL)):
            raise ValueError(f"cell and layer must be {LEAST_CELL:g} to {MOST_CELL:g}, layer also 0")
        places = <size_t>slots * <size_t>depth
        state.slots, state.depth, state.teleport2, state.pace2 = slots, depth, teleport * teleport, pace * pace
        state.inverse_cell, state.inverse_layer = 1 / cell, 1 / layer if layer else 0.0
        state.buckets = HISTORY_BUCKETS
        while 2 * state.buckets <= state.slots:
            state.buckets *= 2
        state.ticks = <uint64_t*>calloc(depth, sizeof(uint64_t))
        state.counts = <uint32_t*>calloc(depth, sizeof(uint32_t))
        state.masks = <uint32_t*>calloc(depth, sizeof(uint32_t))
        state.hasty_counts = <uint32_t*>calloc(depth, sizeof(uint32_t))
        state.hasty = <uint32_t*>calloc(<size_t>depth * HISTORY_HASTY, sizeof(uint32_t))
        state.steps = <double*>calloc(depth, sizeof(double))
        state.leaps = <double*>calloc(depth, sizeof(double))
        state.x = <float*>calloc(places, sizeof(float))
        state.y = <float*>calloc(places, sizeof(float))
        state.z = <float*>calloc(places, sizeof(float))
        state.handles = <uint64_t*>calloc(places, sizeof(uint64_t))
        state.rows = <uint32_t*>calloc(places, sizeof(uint32_t))
        state.starts = <uint32_t*>calloc(<size_t>depth * (state.buckets + 2), sizeof(uint32_t))
        state.new_x = <float*>calloc(slots, sizeof(float))
        state.new_y = <float*>calloc(slots, sizeof(float))
        state.new_z = <float*>calloc(slots, sizeof(float))
        state.new_handles = <uint64_t*>calloc(slots, sizeof(uint64_t))
        state.new_buckets = <uint32_t*>calloc(slots, sizeof(uint32_t))
        if (state.ticks == NULL or state.counts == NULL or state.masks == NULL or state.hasty_counts == NULL
                or state.hasty == NULL or state.steps == NULL or state.leaps == NULL or state.x == NULL
                or state.y == NULL or state.z == NULL or state.handles == NULL or state.rows == NULL
                or state.starts == NULL or state.new_x == NULL or state.new_y == NULL or state.new_z == NULL
                or state.new_handles == NULL or state.new_buckets == NULL):
            raise MemoryError(f"History: no memory for {depth} ticks of {slots} entities")
        self.finished = True

    def __dealloc__(self):
        free(self.state.ticks)
        free(self.state.counts)
        free(self.state.masks)
        free(self.state.hasty_counts)
        free(self.state.hasty)
        free(self.state.steps)
        free(self.state.leaps)
        free(self.state.x)
        free(self.state.y)
        free(self.state.z)
        free(self.state.handles)
        free(self.state.rows)
        free(self.state.starts)
        free(self.state.new_x)
        free(self.state.new_y)
        free(self.state.new_z)
        free(self.state.new_handles)
        free(self.state.new_buckets)

    cdef void _finish(self) noexcept nogil:
        if not self.finished:
            history_finish(&self.state)
            self.finished = True

    @property
    def newest(self) -> int:
        """The tick recorded last, 0 before the first."""
        return self.state.ticks[(self.state.recorded - 1) % self.state.depth] if self.state.recorded else 0

    @property
    def oldest(self) -> int:
        """The oldest tick that is kept, 0 before the first."""
        cdef uint64_t kept = min(self.state.recorded, self.state.depth)
        return self.state.ticks[(self.state.recorded - kept) % self.state.depth] if kept else 0

    @property
    def left_out(self) -> int:
        """Places that were no finite numbers, of entities that had none the tick before."""
        return self.state.left_out

    def begin(self, tick: int) -> None:
        """A tick, later than the one before; the oldest gives way. `add` says who is where at it."""
        if tick <= self.newest or tick < 1:
            raise ValueError(f"tick {tick} is not after {self.newest}")
        self._finish()
        history_begin(&self.state, tick)
        self.finished = False

    def finish(self) -> None:
        """All of the tick are added: sort them. Asking for somebody does it too, if it was not done."""
        with nogil:
            self._finish()

    def add(self, const uint64_t[::1] handles, const real[:, ::1] places) -> None:
        """Entities of the tick and their places, (n, 1 to 3); lanes that are not there are 0."""
        cdef Py_ssize_t i, lanes = places.shape[1]
        if handles.shape[0] != places.shape[0] or not 1 <= lanes <= 3:
            raise ValueError("handles and places differ in length, or places have more than 3 lanes")
        if self.state.recorded == 0:
            raise ValueError("begin a tick first")
        self.finished = False
        with nogil:
            for i in range(handles.shape[0]):
                history_add(&self.state, handles[i], places[i, 0], places[i, 1] if lanes > 1 else 0.0,
                            places[i, 2] if lanes > 2 else 0.0)

    def where(self, const uint64_t[::1] handles, const double[::1] times, double[:, ::1] out) -> None:
        """Where these entities were, (n, 3); NaN where they were not there."""
        cdef Py_ssize_t i
        cdef uint32_t row
        cdef Moment moment
        cdef double nothing = np.nan
        if not handles.shape[0] == times.shape[0] == out.shape[0] or out.shape[1] != 3:
            raise ValueError("columns differ in length, or out has not 3 lanes")
        with nogil:
            self._finish()
            for i in range(handles.shape[0]):
                out[i, 0] = out[i, 1] = out[i, 2] = nothing
                if self.state.recorded == 0:
                    continue
                moment = history_moment(&self.state, times[i])
                row = history_row(&self.state, moment.before, handles[i])
                if row < self.state.counts[moment.before]:
                    history_where(&self.state, &moment, row, &out[i, 0])

    def shoot(self, const double[:, ::1] starts, const double[:, ::1] ways, const double[::1] times,
              const uint64_t[::1] ignore, double radius, foot, head, uint64_t[::1] handles, double[::1] parts) -> None:
        """What each segment (start and way, (n, 3)) meets first at its time: `handles` (0 nobody), `parts` of it."""
        cdef Body body = _body(radius, foot, head)
        cdef Segment segment
        cdef Hit hit
        cdef Py_ssize_t i, k, count = starts.shape[0]
        if not count == ways.shape[0] == times.shape[0] == ignore.shape[0] == handles.shape[0] == parts.shape[0] \
                or starts.shape[1] != 3 or ways.shape[1] != 3:
            raise ValueError("columns differ in length, or starts and ways have not 3 lanes")
        with nogil:
            self._finish()
            for i in range(count):
                for k in range(3):
                    segment.start[k], segment.way[k] = starts[i, k], ways[i, k]
                hit = history_shoot(&self.state, &segment, times[i], &body, ignore[i])
                handles[i], parts[i] = hit.handle, hit.part

    def within(self, const double[:, ::1] centres, const double[::1] radii, const double[::1] times,
               const uint64_t[::1] ignore, double radius, foot, head):
        """Who is within `radii` of `centres` (n, 3) at `times`: (index of the centre, handle, distance) in columns."""
        cdef Body body = _body(radius, foot, head)
        cdef Py_ssize_t i, count = centres.shape[0]
        cdef size_t total = 0, written = 0
        if not count == radii.shape[0] == times.shape[0] == ignore.shape[0] or centres.shape[1] != 3:
            raise ValueError("columns differ in length, or centres have not 3 lanes")
        found = np.zeros(count, np.uint64)
        cdef uint64_t[::1] each = found
        with nogil:
            self._finish()
            for i in range(count):
                each[i] = history_within(&self.state, &centres[i, 0], radii[i], times[i], &body, ignore[i], NULL, NULL,
                                         0)
                total += each[i]
        handles, distances = np.zeros(total, np.uint64), np.zeros(total, np.float64)
        if total == 0:
            return np.zeros(0, np.intp), handles, distances
        cdef uint64_t[::1] out = handles
        cdef double[::1] apart = distances
        with nogil:
            for i in range(count):
                if each[i]:
                    written += history_within(&self.state, &centres[i, 0], radii[i], times[i], &body, ignore[i],
                                              &out[written], &apart[written], total - written)
        return np.repeat(np.arange(count), found.astype(np.intp)), handles, distances

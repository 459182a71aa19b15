"""Python door to movement: columns in, columns changed in place, a verdict for each row."""
import numpy as np

from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.world.authority_claim cimport claim_turn, move_claim
from shadowland._core.world.authority_map cimport AreaMap

KINDS = MOVER_KINDS
OLD, BAD, LONG, HURRIED, FAST, ACCELERATED = MOVE_OLD, MOVE_BAD, MOVE_LONG, MOVE_HURRIED, MOVE_FAST, MOVE_ACCELERATED
TELEPORTED, TURNED, OUTSIDE, BLOCKED = MOVE_TELEPORTED, MOVE_TURNED, MOVE_OUTSIDE, MOVE_BLOCKED
AIRBORNE, LATE, ADRIFT, GAP = MOVE_AIRBORNE, MOVE_LATE, MOVE_ADRIFT, MOVE_GAP
MOVER_DTYPE = np.dtype([
    ("claim", np.float64, 3), ("credit", np.float64), ("lag", np.float64), ("carry", np.float64),
    ("turn", np.float64), ("pace", np.float64), ("air", np.float64), ("seen_us", np.uint64), ("slowed_us", np.uint64),
    ("corrected_us", np.uint64), ("ground_us", np.uint64), ("number", np.uint32), ("last", np.uint32),
    ("scale", np.float32),
    ("scale_seen", np.float32), ("scale_was", np.float32),
    ("kind", np.uint8), ("claimed", np.uint8), ("numbered", np.uint8), ("used", np.uint8),
], align=True)

if MOVER_DTYPE.itemsize != sizeof(Mover):
    raise ImportError(f"MOVER_DTYPE has {MOVER_DTYPE.itemsize} bytes and Mover {sizeof(Mover)}")


cdef struct Lanes:                      # a column of float64 or float32, one row an entity
    char* data
    Py_ssize_t rows
    Py_ssize_t lanes
    bint narrow


cdef object _lanes(object column, Lanes* lanes, str name):
    """Point `lanes` at a writable column; returns what keeps it alive."""
    cdef double[:, ::1] wide
    cdef float[:, ::1] narrow
    if not isinstance(column, np.ndarray) or column.dtype.char not in "fd":
        raise TypeError(f"{name} must be an array of float32 or float64")
    if column.ndim == 1:
        column = column.reshape(-1, 1)
    lanes.rows, lanes.lanes, lanes.narrow = column.shape[0], column.shape[1], column.dtype.char == "f"
    lanes.data = NULL
    if lanes.rows == 0:
        return column
    if lanes.narrow:
        narrow = column
        lanes.data = <char*>&narrow[0, 0]
        return narrow
    wide = column
    lanes.data = <char*>&wide[0, 0]
    return wide


cdef inline double _get(const Lanes* lanes, Py_ssize_t row, Py_ssize_t lane) noexcept nogil:
    cdef Py_ssize_t at = row * lanes.lanes + lane
    return (<float*>lanes.data)[at] if lanes.narrow else (<double*>lanes.data)[at]


cdef inline void _set(const Lanes* lanes, Py_ssize_t row, Py_ssize_t lane, double value) noexcept nogil:
    cdef Py_ssize_t at = row * lanes.lanes + lane
    if lanes.narrow:
        (<float*>lanes.data)[at] = <float>value
    else:
        (<double*>lanes.data)[at] = value


cdef struct Columns:
    Lanes position
    Lanes velocity
    Lanes yaw                           # rows 0: there is none


cdef inline void _load(const Columns* columns, Py_ssize_t row, Moving* moving) noexcept nogil:
    cdef int i
    moving.axes, moving.narrow = <int>columns.position.lanes, columns.position.narrow
    moving.at[2] = moving.velocity[2] = 0
    for i in range(moving.axes):
        moving.at[i] = _get(&columns.position, row, i)
        moving.velocity[i] = _get(&columns.velocity, row, i) if i < columns.velocity.lanes else 0
    moving.yaw = _get(&columns.yaw, row, 0) if columns.yaw.rows else 0


cdef inline void _store(const Columns* columns, Py_ssize_t row, const Moving* moving) noexcept nogil:
    cdef int i
    for i in range(moving.axes):
        _set(&columns.position, row, i, moving.at[i])
        if i < columns.velocity.lanes:
            _set(&columns.velocity, row, i, moving.velocity[i])
    if columns.yaw.rows:
        _set(&columns.yaw, row, 0, moving.yaw)


cdef object _columns(Columns* columns, position, velocity, yaw):
    held = [_lanes(position, &columns.position, "position"), _lanes(velocity, &columns.velocity, "velocity")]
    columns.yaw.rows = 0
    if yaw is not None:
        held.append(_lanes(yaw, &columns.yaw, "yaw"))
        if columns.yaw.rows != columns.position.rows or columns.yaw.lanes != 1:
            raise ValueError("yaw must have one number for each row of position")
    if columns.velocity.rows != columns.position.rows:
        raise ValueError("position and velocity differ in length")
    if not 2 <= columns.position.lanes <= 3 or not 2 <= columns.velocity.lanes <= 3:
        raise ValueError("position and velocity must have 2 or 3 axes")
    return held


@final
cdef class Movers:
    """What is kept for each of `slots` sessions, and the rules of each kind of mover, over one map."""
    cdef MoveRule rules[MOVER_KINDS]
    cdef readonly AreaMap area
    cdef readonly object state
    cdef Mover[::1] movers
    cdef double dt

    def __init__(self, AreaMap area not None, slots: int, dt: float) -> None:
        if not 1 <= slots <= 1 << 24 or not 0 < dt <= 10:
            raise ValueError(f"slots is {slots} and dt {dt}; they must be 1 to {1 << 24}, and up to 10 seconds")
        memset(self.rules, 0, sizeof(self.rules))
        self.area, self.dt = area, dt
        self.state = np.zeros(slots, MOVER_DTYPE)
        self.movers = self.state

    def define(self, kind: int, *, speed: float, acceleration: float, turn_rate: float, step_height: float,
               jump_height: float, jump_s: float, velocity_step: float, tolerance: float, claim_step: float,
               allowance_s: float, lag_s: float, fly: bool, blocked_by: int) -> None:
        """Say how movers of `kind` (0 to 255) may move; again with other numbers: from now on."""
        cdef MoveRule* rule
        cdef uint8_t place
        if not 0 <= kind < MOVER_KINDS:
            raise ValueError(f"kind must be 0 to {MOVER_KINDS - 1}")
        place = kind
        rule = &self.rules[place]
        rule.speed, rule.acceleration, rule.turn_rate, rule.step_height = speed, acceleration, turn_rate, step_height
        rule.jump_height, rule.jump_s, rule.velocity_step = jump_height, jump_s, velocity_step
        rule.tolerance, rule.claim_step, rule.allowance_s, rule.lag_s = tolerance, claim_step, allowance_s, lag_s
        rule.fly, rule.blocked_by, rule.known = fly, blocked_by, True

    def reset(self, slot: int, kind: int, now_us: int) -> None:
        """A new mover has the slot."""
        cdef Mover* mover = self._mover(slot, kind)
        cdef uint8_t place = kind
        memset(mover, 0, sizeof(Mover))
        mover_reset(mover, &self.rules[place], place, now_us)

    def change(self, slot: int, kind: int) -> None:
        """The mover in the slot goes by another rule from now on; what it has saved up stays."""
        self._mover(slot, kind).kind = kind

    cdef Mover* _mover(self, slot, kind) except NULL:
        cdef Py_ssize_t place
        cdef uint8_t which
        if not 0 <= slot < self.movers.shape[0]:
            raise IndexError(f"there is no slot {slot}; they are 0 to {self.movers.shape[0] - 1}")
        if not 0 <= kind < MOVER_KINDS:
            raise ValueError(f"kind must be 0 to {MOVER_KINDS - 1}")
        place, which = slot, kind
        if not self.rules[which].known:
            raise ValueError(f"kind {kind} was never defined")
        return &self.movers[place]

    def run(self, position, velocity, yaw, const int64_t[::1] rows, const int64_t[::1] slots,
            const double[:, ::1] wanted, const double[::1] facings, const uint32_t[::1] numbers,
            const uint64_t[::1] times_us, claims: bool, uint16_t[::1] verdicts) -> None:
        """Inputs in their order: `wanted` are directions, or with `claims` positions. facings and numbers may be None.

        IndexError for a row or slot that is not there; those before it have been done.
        """
        cdef Columns columns
        cdef Moving moving
        cdef Mover* mover
        cdef const MoveRule* rule
        cdef double want[3]
        cdef double spent
        cdef uint32_t count
        cdef uint16_t verdict
        cdef bint claiming = claims, facing = facings is not None, numbered = numbers is not None
        cdef Py_ssize_t i, n = rows.shape[0], bad = -1
        cdef int axis
        _held = _columns(&columns, position, velocity, yaw)
        if not n == slots.shape[0] == wanted.shape[0] == times_us.shape[0] == verdicts.shape[0] \
                or (facing and facings.shape[0] != n) or (numbered and numbers.shape[0] != n):
            raise ValueError("the columns of inputs differ in length")
        if not 2 <= wanted.shape[1] <= 3 or (claiming and wanted.shape[1] < columns.position.lanes):
            raise ValueError("what is wanted must have 2 or 3 axes, a claim as many as a position")
        with nogil:
            for i in range(n):
                if not (0 <= rows[i] < columns.position.rows and 0 <= slots[i] < self.movers.shape[0]) \
                        or not self.movers[slots[i]].used:
                    bad = i
                    break
                mover = &self.movers[slots[i]]
                rule = &self.rules[mover.kind]
                count = 1
                if numbered and not mover_takes(mover, numbers[i], &count):
                    verdicts[i] = MOVE_OLD
                    continue
                want[2] = 0
                for axis in range(<int>wanted.shape[1]):
                    want[axis] = wanted[i, axis]
                _load(&columns, rows[i], &moving)
                if claiming:
                    verdict = move_claim(&self.area.area, rule, mover, self.dt, count, want, times_us[i], &spent,
                                         &moving)
                    if facing:
                        verdict |= claim_turn(rule, mover, spent, facings[i], verdict, &moving)
                else:
                    verdict = move_steer(&self.area.area, rule, mover, self.dt, want, times_us[i], &moving)
                    if facing and not verdict & MOVE_HURRIED:
                        verdict |= move_turn(rule, mover, self.dt, facings[i], &moving)
                    if count > 1:
                        verdict |= MOVE_GAP
                _store(&columns, rows[i], &moving)
                verdicts[i] = verdict
        if bad >= 0:
            raise IndexError(f"input {bad}: there is no row {rows[bad]} or slot {slots[bad]} was never reset")

    def walk(self, kind: int, position, velocity, const int64_t[::1] rows, const double[:, ::1] wanted,
             const double[::1] scales, uint16_t[::1] verdicts) -> None:
        """A tick of moving for each row, without budgets: what a client simulates, and what a server's own creatures
        do. Each row once or several times, in order."""
        cdef Columns columns
        cdef Moving moving
        cdef double want[3]
        cdef const MoveRule* rule
        cdef uint8_t which
        cdef Py_ssize_t i, n = rows.shape[0], bad = -1
        cdef int axis
        _held = _columns(&columns, position, velocity, None)
        self._mover(0, kind)
        which = kind
        if not n == wanted.shape[0] == scales.shape[0] == verdicts.shape[0] or not 2 <= wanted.shape[1] <= 3:
            raise ValueError("the columns differ in length, or what is wanted has not 2 or 3 axes")
        rule = &self.rules[which]
        with nogil:
            for i in range(n):
                if not 0 <= rows[i] < columns.position.rows:
                    bad = i
                    break
                want[2] = 0
                for axis in range(<int>wanted.shape[1]):
                    want[axis] = wanted[i, axis]
                _load(&columns, rows[i], &moving)
                verdicts[i] = move_walk(&self.area.area, rule, scales[i], self.dt, want, &moving)
                _store(&columns, rows[i], &moving)
        if bad >= 0:
            raise IndexError(f"row {rows[bad]} is not there")

    def wrong(self, position, const int64_t[::1] rows, const int64_t[::1] slots, const double[:, ::1] claims,
              tolerance: float, gap_us: int, now_us: int, int64_t[::1] out) -> int:
        """Indices of inputs whose session must be corrected now go to `out`, in order; returns how many. Of each
        session the last input counts."""
        cdef Lanes lanes
        cdef double claim[3]
        cdef double at[3]
        cdef double apart = tolerance
        cdef uint64_t gap = gap_us, now = now_us
        cdef Py_ssize_t i, n = rows.shape[0], found = 0
        cdef int axis, axes
        _held = _lanes(position, &lanes, "position")
        axes = <int>min(claims.shape[1], lanes.lanes)
        if not n == slots.shape[0] == claims.shape[0] == out.shape[0] or not 2 <= axes <= 3:
            raise ValueError("the columns differ in length, or positions have not 2 or 3 axes")
        for i in range(n):
            if not (0 <= rows[i] < lanes.rows and 0 <= slots[i] < self.movers.shape[0]):
                raise IndexError(f"input {i}: there is no row {rows[i]} or slot {slots[i]}")
        with nogil:
            for i in range(n):
                self.movers[slots[i]].last = <uint32_t>i
            for i in range(n):
                if self.movers[slots[i]].last != <uint32_t>i:
                    continue
                for axis in range(axes):
                    claim[axis], at[axis] = claims[i, axis], _get(&lanes, rows[i], axis)
                if mover_wrong(&self.movers[slots[i]], claim, at, axes, apart, gap, now):
                    out[found] = i
                    found += 1
        return found

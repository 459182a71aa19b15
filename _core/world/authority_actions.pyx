"""Python door to actions: columns in, a result for each row; what is done is paid for in place."""
import numpy as np

from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.world.authority_map cimport AreaMap

KINDS, COSTS = ACTION_KINDS, ACTION_COSTS
DONE, UNKNOWN, BAD, STATE, COOLDOWN = ACTION_DONE, ACTION_UNKNOWN, ACTION_BAD, ACTION_STATE, ACTION_COOLDOWN
RESOURCES, RANGE, SIGHT = ACTION_RESOURCES, ACTION_RANGE, ACTION_SIGHT


@final
cdef class Actions:
    """When each of `slots` sessions may do each of `kinds` actions again, and their rules, over one map."""
    cdef ActionRule rules[ACTION_KINDS]
    cdef readonly AreaMap area
    cdef readonly object full_us
    cdef uint64_t[:, ::1] full

    def __init__(self, AreaMap area not None, slots: int, kinds: int) -> None:
        if not 1 <= slots <= 1 << 24 or not 1 <= kinds <= ACTION_KINDS:
            raise ValueError(f"slots is {slots} and kinds {kinds}; they must be 1 to {1 << 24} and 1 to {ACTION_KINDS}")
        memset(self.rules, 0, sizeof(self.rules))
        self.area = area
        self.full_us = np.zeros((slots, kinds), np.uint64)
        self.full = self.full_us

    def define(self, kind: int, *, cooldown_us: int, grace_us: int, range: float, eye: float, costs: tuple[int, ...],
               forbidden: int, needed: int, charges: int, needs_sight: bool) -> None:
        """Say what action `kind` needs; again with other numbers: from now on."""
        cdef ActionRule* rule
        cdef uint8_t place
        cdef int i
        if not 0 <= kind < self.full.shape[1] or len(costs) > ACTION_COSTS:
            raise ValueError(f"there is no action {kind}, or it costs more than {ACTION_COSTS} things")
        place = kind
        rule = &self.rules[place]
        rule.cooldown_us, rule.grace_us, rule.range, rule.eye = cooldown_us, grace_us, range, eye
        memset(rule.cost, 0, sizeof(rule.cost))
        for i, cost in enumerate(costs):
            rule.cost[i] = cost
        rule.forbidden, rule.needed, rule.charges = forbidden, needed, charges
        rule.needs_sight, rule.known = needs_sight, True

    def run(self, const uint32_t[::1] kinds, const int64_t[::1] slots, const uint64_t[::1] times_us,
            const uint32_t[::1] flags, const double[:, ::1] sources, const double[:, ::1] targets,
            const int64_t[::1] rows, list resources, uint8_t[::1] results) -> None:
        """Actions in their order. `resources` are int64 columns, one a cost, or None; `rows` say which row pays.

        IndexError for a slot or row that is not there, before anything is done.
        """
        cdef int64_t[::1] column
        cdef int64_t* has[ACTION_COSTS]
        cdef int64_t mine[ACTION_COSTS]
        cdef ActionPlaces places
        cdef const ActionRule* rule
        cdef uint64_t* full
        cdef uint64_t now
        cdef Py_ssize_t i, n = kinds.shape[0], least = 1 << 62
        cdef int axis, j, costs = len(resources)
        _held = []
        if costs > ACTION_COSTS or not n == slots.shape[0] == times_us.shape[0] == flags.shape[0] \
                == sources.shape[0] == targets.shape[0] == rows.shape[0] == results.shape[0]:
            raise ValueError("the columns of actions differ in length")
        if not 2 <= sources.shape[1] <= 3 or sources.shape[1] != targets.shape[1]:
            raise ValueError("sources and targets must have 2 or 3 axes, both the same")
        for j in range(costs):
            has[j] = NULL
            if resources[j] is not None and len(resources[j]):
                column = resources[j]
                _held.append(column)
                has[j] = &column[0]
                least = min(least, column.shape[0])
            elif resources[j] is not None:
                least = 0
        for i in range(n):
            if not 0 <= slots[i] < self.full.shape[0] or not (0 <= rows[i] < least):
                raise IndexError(f"action {i}: there is no slot {slots[i]} or row {rows[i]}")
        with nogil:
            memset(&places, 0, sizeof(places))
            places.axes = <int>sources.shape[1]
            for i in range(n):
                if kinds[i] >= self.full.shape[1]:
                    results[i] = ACTION_UNKNOWN
                    continue
                rule = &self.rules[<uint8_t>kinds[i]]
                for axis in range(places.axes):
                    places.source[axis], places.target[axis] = sources[i, axis], targets[i, axis]
                for j in range(costs):
                    mine[j] = has[j][rows[i]] if has[j] != NULL else 0
                full = &self.full[slots[i], kinds[i]]
                now = times_us[i]
                results[i] = action_judge(&self.area.area, rule, full[0], now, flags[i], mine, costs, &places)
                if results[i] != ACTION_DONE:
                    continue
                full[0] = (full[0] if full[0] > now else now) + rule.cooldown_us
                for j in range(costs):
                    if has[j] != NULL:
                        has[j][rows[i]] -= rule.cost[j]

"""Actions by the server's authority: state, cooldown, charges, resources, range, sight; one that fails is free.

Owner    The Actions class (authority_actions.pyx) owns rules and times; columns are the caller's.
Limit    ACTION_KINDS actions, ACTION_COSTS resources, a time for each slot and action.
Threads  One at a time.

Charges and cooldown are one number for each slot and action, the time at which all charges are there again:

    now ........ full            each use moves `full` on by one cooldown, from now at the earliest;
     |-- c --|-- c --|           there is a charge while full - now <= (charges - 1) * c + grace.
"""
from libc.math cimport fabs, isfinite
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from shadowland._core.world.authority_map cimport AREA_HEIGHTS, AREA_HIGHEST, Area, area_clamp, area_ground, area_line

cdef enum:
    ACTION_KINDS = 256
    ACTION_COSTS = 8

    ACTION_DONE = 0
    ACTION_UNKNOWN = 1                  # there is no such action
    ACTION_BAD = 2                      # a place that is no number, or absurdly far
    ACTION_STATE = 3                    # a flag forbids it, or one that it needs is not set
    ACTION_COOLDOWN = 4                 # used too short a time ago, or no charge is left
    ACTION_RESOURCES = 5                # not enough of something
    ACTION_RANGE = 6
    ACTION_SIGHT = 7

cdef struct ActionRule:
    uint64_t cooldown_us
    uint64_t grace_us                   # so much earlier is in time: what jitter takes from an honest client
    double range                        # metres; below 0: any
    double eye                          # metres above their places that both ends of a line of sight stand
    int64_t cost[ACTION_COSTS]
    uint32_t forbidden                  # flags
    uint32_t needed
    uint32_t charges
    uint8_t needs_sight
    uint8_t known

cdef struct ActionPlaces:
    double source[3]
    double target[3]
    int axes

cdef inline bint action_near(const ActionRule* rule, const ActionPlaces* places) noexcept nogil:
    """Within range; exactly at it is within."""
    cdef double sum = 0
    cdef int i
    for i in range(places.axes):
        sum += (places.target[i] - places.source[i]) * (places.target[i] - places.source[i])
    return sum <= rule.range * rule.range

cdef inline bint action_sees(const Area* area, const ActionRule* rule, const ActionPlaces* places) noexcept nogil:
    cdef double a[3]
    cdef double b[3]
    cdef int i
    for i in range(3):
        a[i], b[i] = places.source[i], places.target[i]
    area_clamp(area, a, 3, 0)
    area_clamp(area, b, 3, 0)
    if places.axes == 2 and area.ground != NULL:
        a[2], b[2] = <double>area_ground(area, a) / AREA_HEIGHTS, <double>area_ground(area, b) / AREA_HEIGHTS
    a[2] += rule.eye
    b[2] += rule.eye
    return area_line(area, area.opaque, False, a, b)

cdef inline bint action_sane(const ActionPlaces* places) noexcept nogil:
    cdef int i
    for i in range(places.axes):
        if not (isfinite(places.source[i]) and isfinite(places.target[i])):
            return False
        if fabs(places.source[i]) > AREA_HIGHEST or fabs(places.target[i]) > AREA_HIGHEST:
            return False
    return True

cdef inline bint action_ready(const ActionRule* rule, uint64_t full_us, uint64_t now_us) noexcept nogil:
    return full_us <= now_us or full_us - now_us <= (rule.charges - 1) * rule.cooldown_us + rule.grace_us

cdef inline uint8_t action_judge(const Area* area, const ActionRule* rule, uint64_t full_us, uint64_t now_us,
                                 uint32_t flags, const int64_t* has, int costs,
                                 const ActionPlaces* places) noexcept nogil:
    """The first thing that is wrong, cheap ones first; ACTION_DONE if nothing is."""
    cdef int i
    if not rule.known:
        return ACTION_UNKNOWN
    if not action_sane(places):
        return ACTION_BAD
    if flags & rule.forbidden or flags & rule.needed != rule.needed:
        return ACTION_STATE
    if not action_ready(rule, full_us, now_us):
        return ACTION_COOLDOWN
    for i in range(costs):
        if has[i] < rule.cost[i]:
            return ACTION_RESOURCES
    if rule.range >= 0 and not action_near(rule, places):
        return ACTION_RANGE
    if rule.needs_sight and not action_sees(area, rule, places):
        return ACTION_SIGHT
    return ACTION_DONE

"""Movement by the server's authority: what a client wishes or claims, held against the rules of its mover and the map.

Owner    The Movers class (authority.pyx) owns rules and what is kept per session; columns are the caller's.
Limit    MOVER_KINDS rules, a mover for each slot; time saved up is bounded by each rule's allowance.
Threads  One at a time for Movers; move_walk and move_fly read only what they are given.

Time is the server's: a mover's `credit` grows by the time between receptions and each input spends the time it stands
for, so that a burst after a pause is taken up to the allowance, and nobody is faster by what his clock says.

                 allowance                        lag
    credit  |-----------------|  forgiven |-----------------------------|
    both grow with the server's clock and are spent together; only credit moves anybody. What the second covers was time
    that really passed: it is corrected and not held against the session.

All numbers are doubles in metres, seconds and radians; the same operations in the same order everywhere, without fused
multiplication (setup.py): a client that simulates with move_walk gets the server's result to the last bit.
"""
from libc.math cimport M_PI, fabs, floor, isfinite, remainder, sqrt
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from shadowland._core.world.authority_map cimport (
    AREA_HEIGHTS,
    AREA_HIGHEST,
    Area,
    area_clamp,
    area_climb,
    area_ground,
    area_line,
    area_walk,
)

cdef enum:
    MOVER_KINDS = 256

    MOVE_OLD = 0x0001                   # its number is not newer than the last one taken: nothing changed
    MOVE_BAD = 0x0002                   # not a number, infinite or absurdly far
    MOVE_LONG = 0x0004                  # a direction longer than 1
    MOVE_HURRIED = 0x0008               # more inputs than time
    MOVE_FAST = 0x0010                  # further than the speed allows
    MOVE_ACCELERATED = 0x0020           # further than the acceleration allows
    MOVE_TELEPORTED = 0x0040            # further than a whole allowance would lead
    MOVE_TURNED = 0x0080                # turned faster than allowed
    MOVE_OUTSIDE = 0x0100               # beyond the bounds
    MOVE_BLOCKED = 0x0200               # a blocked cell or too high a step was in the way
    MOVE_AIRBORNE = 0x0400              # above or below the ground without leave
    MOVE_LATE = 0x0800                  # what was too much is covered by time that passed without inputs: lag
    MOVE_ADRIFT = 0x1000                # it moves rightly, from a place where it is not: its correction is under way
    MOVE_GAP = 0x2000                   # inputs before it never came

cdef extern from *:
    """
    #define CLOCK_SLACK 1.02            /* a client's clock may run so much faster than ours */
    #define WAY_SLACK 1.01              /* claims are rounded: a zigzag along a straight way is longer than the way */
    #define FARTHEST 1e9                /* metres; beyond is no place */
    #define TURN_CARRY 0.05             /* radians that rounding may add up to */
    #define MOST_INPUTS 4096            /* that one claim can stand for */
    """
    const double CLOCK_SLACK
    const double WAY_SLACK
    const double FARTHEST
    const double TURN_CARRY
    const uint32_t MOST_INPUTS

cdef struct MoveRule:
    double speed                        # metres a second
    double acceleration                 # 0: at once
    double turn_rate                    # radians a second; 0: at once
    double step_height                  # metres
    double jump_height                  # metres above the ground that a claim may be; 0: none
    double jump_s                       # seconds that it may be so
    double velocity_step                # velocities are whole steps of it; 0: as they come
    double tolerance                    # metres that rounding may add up to
    double claim_step                   # claims are whole steps of it on each axis; 0: exact
    double allowance_s                  # seconds that can be saved up
    double lag_s                        # seconds beyond them that are forgiven
    uint8_t fly
    uint8_t blocked_by                  # bits of cells
    uint8_t known

cdef struct Mover:                      # 136 bytes, seen by Python as MOVER_DTYPE
    double claim[3]                     # the last
    double credit                       # seconds
    double lag                          # seconds: credit and what is forgiven
    double carry                        # metres that were allowed and not used, at most the tolerance
    double turn                         # radians, likewise
    double pace                         # metres a second that it claims to move
    double air                          # seconds off the ground, by its inputs
    uint64_t seen_us                    # newest reception
    uint64_t slowed_us                  # until when claims may follow `scale_was`: not everybody has heard
    uint64_t corrected_us               # when it was last told where it is
    uint64_t ground_us                  # reception of the last claim on the ground
    uint32_t number                     # of the last input taken
    uint32_t last                       # index of its last input in the batch that is looked through
    float scale                         # of its speed: slowed, hasted; 0 stands
    float scale_seen                    # at the last claim
    float scale_was                     # before it fell
    uint8_t kind
    uint8_t claimed                     # whether `claim` says anything
    uint8_t numbered                    # whether `number` does
    uint8_t used

cdef struct Moving:                     # what a move works on
    double at[3]
    double velocity[3]
    double yaw
    int axes
    bint narrow                         # places are kept as floats of 32 bits

cdef inline void mover_reset(Mover* mover, const MoveRule* rule, uint8_t kind, uint64_t now_us) noexcept nogil:
    """A new session, or another rule: it may move at once."""
    mover.credit = rule.allowance_s
    mover.lag = rule.allowance_s + rule.lag_s
    mover.carry = rule.tolerance
    mover.turn = TURN_CARRY
    mover.pace = mover.air = 0
    mover.seen_us = mover.ground_us = now_us
    mover.number = 0
    mover.scale = mover.scale_seen = mover.scale_was = 1
    mover.slowed_us = 0
    mover.kind = kind
    mover.claimed = mover.numbered = False
    mover.used = True

cdef inline void mover_refill(Mover* mover, const MoveRule* rule, uint64_t time_us) noexcept nogil:
    """Time has passed on the server's clock; an older reception adds nothing."""
    cdef double passed
    if time_us <= mover.seen_us:
        return
    passed = <double>(time_us - mover.seen_us) * 1e-6 * CLOCK_SLACK
    mover.seen_us = time_us
    mover.credit += passed
    if mover.credit > rule.allowance_s:
        mover.credit = rule.allowance_s
    mover.lag += passed
    if mover.lag > rule.allowance_s + rule.lag_s:
        mover.lag = rule.allowance_s + rule.lag_s

cdef inline bint mover_takes(Mover* mover, uint32_t number, uint32_t* count) noexcept nogil:
    """Whether an input is newer than the last, and how many inputs it stands for (those before it that never came)."""
    cdef uint32_t ahead = number - mover.number
    count[0] = 1
    if mover.numbered:
        if ahead == 0 or ahead >= <uint32_t>0x80000000:
            return False
        count[0] = ahead if ahead < MOST_INPUTS else MOST_INPUTS
    mover.number = number
    mover.numbered = True
    return True

cdef inline double length(const double* v, int axes) noexcept nogil:
    cdef double sum = v[0] * v[0] + v[1] * v[1]
    if axes == 3:
        sum += v[2] * v[2]
    return sqrt(sum)

cdef inline bint sane(const double* v, int axes) noexcept nogil:
    """Finite and on this planet."""
    cdef int i
    for i in range(axes):
        if not (isfinite(v[i]) and fabs(v[i]) <= FARTHEST):
            return False
    return True

cdef inline void kept(const Moving* moving, double* place, int axes) noexcept nogil:
    """A place as its column will hold it: what is rounded only afterwards may stand on the other side of a border."""
    cdef int i
    if moving.narrow:
        for i in range(axes):
            place[i] = <float>place[i]

cdef inline bint open_way(const Area* area, const MoveRule* rule, const double* a, const double* b) noexcept nogil:
    cdef int64_t height = -(<int64_t>AREA_HIGHEST * AREA_HEIGHTS), step = area_climb(rule.step_height)
    if rule.fly:
        return area_line(area, rule.blocked_by, True, a, b)
    if rule.jump_height > 0:            # a claim may say that it is in the air
        height = <int64_t>floor(a[2] * AREA_HEIGHTS)
    return area_walk(area, rule.blocked_by, step, height, a, b)

cdef inline bint slide(const Area* area, const MoveRule* rule, double* at, const double* to,
                       int axes) noexcept nogil:
    """Move `at` to `to` if the way is open, else along one axis after the other as far as those are; whether it was
    open. `to` is inside the bounds."""
    cdef double next[3]
    cdef int i
    if open_way(area, rule, at, to):
        for i in range(axes):
            at[i] = to[i]
        return True
    for i in range(axes):
        next[0], next[1], next[2] = at[0], at[1], at[2]
        next[i] = to[i]
        if open_way(area, rule, at, next):
            at[i] = to[i]
    return False

cdef inline double ground_at(const Area* area, const double* at) noexcept nogil:
    """Metres; without a height field the ground is at 0."""
    return <double>area_ground(area, at) / AREA_HEIGHTS if area.ground != NULL else 0.0

cdef inline void settle(const Area* area, const MoveRule* rule, double* at, int axes) noexcept nogil:
    """A walker stands on the ground, a flyer not below that of a height field."""
    cdef double ground
    if axes < 3 or (rule.fly and area.ground == NULL):
        return
    ground = ground_at(area, at)
    if not rule.fly or at[2] < ground:
        at[2] = ground

cdef inline double whole(double value, double step) noexcept nogil:
    return floor(value / step + 0.5) * step if step > 0 else value

cdef inline uint16_t move_walk(const Area* area, const MoveRule* rule, double scale, double dt, const double* wish,
                               Moving* moving) noexcept nogil:
    """One tick of moving in the direction `wish` (at most length 1): what server and client both compute."""
    cdef double want[3]
    cdef double change[3]
    cdef double to[3]
    cdef double straight[3]
    cdef double far, most
    cdef uint16_t verdict = 0
    cdef int i, axes = 3 if rule.fly and moving.axes == 3 else 2
    want[0] = want[1] = want[2] = 0
    if sane(wish, axes):
        far = length(wish, axes)
        if far > 1 + 1e-6:
            verdict |= MOVE_LONG
        for i in range(axes):
            want[i] = (wish[i] / far if far > 1 + 1e-6 else wish[i]) * (rule.speed * scale)
    else:
        verdict |= MOVE_BAD
    if rule.acceleration > 0:
        for i in range(axes):
            change[i] = want[i] - moving.velocity[i]
        far, most = length(change, axes), rule.acceleration * dt
        if far > most:
            for i in range(axes):
                want[i] = moving.velocity[i] + change[i] * (most / far)
    to[0], to[1], to[2] = moving.at[0], moving.at[1], moving.at[2]
    for i in range(axes):
        want[i] = whole(want[i], rule.velocity_step)
        to[i] += want[i] * dt
    kept(moving, to, axes)
    for i in range(axes):
        straight[i] = to[i]
    if area_clamp(area, to, moving.axes, 0):
        verdict |= MOVE_OUTSIDE
    if not slide(area, rule, moving.at, to, axes):
        verdict |= MOVE_BLOCKED
    for i in range(axes):               # along an axis on which it did not go on it has no speed
        if moving.at[i] != straight[i]:
            want[i] = 0
    settle(area, rule, moving.at, moving.axes)
    for i in range(moving.axes):
        moving.velocity[i] = want[i]
    return verdict

cdef inline uint16_t move_turn(const MoveRule* rule, Mover* mover, double dt, double facing,
                               Moving* moving) noexcept nogil:
    """Turn towards `facing` as far as `dt` allows."""
    cdef double change, most
    if not (isfinite(facing) and fabs(facing) <= FARTHEST):
        return MOVE_BAD
    change = remainder(facing - moving.yaw, 2 * M_PI)
    if rule.turn_rate > 0:
        most = mover.turn + rule.turn_rate * dt
        if fabs(change) > most:
            moving.yaw = remainder(moving.yaw + (most if change > 0 else -most), 2 * M_PI)
            mover.turn = 0
            return MOVE_TURNED
        mover.turn = most - fabs(change)
        if mover.turn > TURN_CARRY:
            mover.turn = TURN_CARRY
    moving.yaw = remainder(facing, 2 * M_PI)
    return 0

cdef inline uint16_t move_steer(const Area* area, const MoveRule* rule, Mover* mover, double dt, const double* wish,
                                uint64_t time_us, Moving* moving) noexcept nogil:
    """One input that is a wish: a tick of moving, if there is time for it."""
    mover_refill(mover, rule, time_us)
    if mover.credit < dt:
        if mover.lag < dt:
            return MOVE_HURRIED
        mover.lag -= dt
        return MOVE_HURRIED | MOVE_LATE
    mover.credit -= dt
    mover.lag = mover.lag - dt if mover.lag > dt else 0
    return move_walk(area, rule, mover.scale, dt, wish, moving)

cdef inline bint mover_wrong(Mover* mover, const double* claim, const double* at, int axes, double tolerance,
                             uint64_t gap_us, uint64_t now_us) noexcept nogil:
    """Whether a client that thinks it is at `claim` must be told that it is at `at`, now and not a moment ago."""
    cdef double sum = 0
    cdef int i
    if mover.corrected_us and now_us < mover.corrected_us + gap_us:
        return False
    for i in range(axes):
        sum += (claim[i] - at[i]) * (claim[i] - at[i])
    if sum <= tolerance * tolerance:                # False for what is no number
        return False
    mover.corrected_us = now_us
    return True

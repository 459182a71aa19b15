"""Claims: a client says where it is, and the server lets it be there as far as time, speed and map allow.

Owner    Works on what it is given; owns nothing.
Limit    As authority.pxd.
Threads  One at a time.

    before ---- reach ----+ - - - - claim       a claim that is too far leads as far as it may, swept over the map
      \
       last claim --- step --- claim            one whose own step is right moves by that step: it has not heard yet
                                                that it stands elsewhere, and must not pay for one mistake at each input
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from shadowland._core.world.authority cimport (
    MOVE_ACCELERATED,
    MOVE_ADRIFT,
    MOVE_AIRBORNE,
    MOVE_BAD,
    MOVE_BLOCKED,
    MOVE_FAST,
    MOVE_GAP,
    MOVE_LATE,
    MOVE_OUTSIDE,
    MOVE_TELEPORTED,
    MOVE_TURNED,
    WAY_SLACK,
    MoveRule,
    Mover,
    Moving,
    ground_at,
    length,
    move_turn,
    mover_refill,
    sane,
    settle,
    slide,
    whole,
)
from shadowland._core.world.authority_map cimport Area, area_clamp

cdef enum:
    SLOWED_US = 1000000                 # for so long a claim may follow the speed that its mover had before

cdef inline double apart(const double* a, const double* b, int axes) noexcept nogil:
    cdef double change[3]
    cdef int i
    for i in range(axes):
        change[i] = a[i] - b[i]
    return length(change, axes)

cdef inline double claim_reach(const MoveRule* rule, Mover* mover, double want, double time,
                               double* full) noexcept nogil:
    """How far a claim may lead in `time` seconds; `full` likewise, if it were at full speed already."""
    cdef double top = rule.speed * mover.scale, now = mover.pace + rule.acceleration * want
    full[0] = mover.carry + top * WAY_SLACK * time
    if rule.acceleration > 0 and now < top:
        return mover.carry + now * WAY_SLACK * time
    return full[0]

cdef inline bint claim_slowed(const MoveRule* rule, Mover* mover, double time, double far) noexcept nogil:
    """Whether a way is right for the speed before a change that the client may not have heard of."""
    if mover.scale < mover.scale_seen:
        mover.scale_was = mover.scale_seen
        mover.slowed_us = mover.seen_us + SLOWED_US
    mover.scale_seen = mover.scale
    return mover.seen_us < mover.slowed_us and far <= mover.carry + rule.speed * mover.scale_was * WAY_SLACK * time

cdef inline uint16_t claim_excess(const MoveRule* rule, Mover* mover, double far, double reach, double full,
                                  bint late) noexcept nogil:
    """A way that was too far. If there was too little time for its inputs (`late`) time that passed may cover it."""
    cdef double top = rule.speed * mover.scale
    if far <= full:
        return MOVE_ACCELERATED
    if late and top > 0 and (far - reach) / top <= mover.lag:
        mover.lag -= (far - reach) / top
        return MOVE_LATE
    if far > top * rule.allowance_s + rule.tolerance:
        return MOVE_TELEPORTED
    return MOVE_FAST

cdef inline uint16_t claim_height(const Area* area, const MoveRule* rule, Mover* mover, double want, double claimed,
                                  double before, Moving* moving) noexcept nogil:
    """Where between ground and sky a mover is: a walker on the ground, or above it for as long as it may jump."""
    cdef double ground, low, high, most
    cdef bint right
    if moving.axes < 3:
        return 0
    if rule.fly:
        low = moving.at[2]
        settle(area, rule, moving.at, 3)
        return MOVE_AIRBORNE if moving.at[2] - low > rule.tolerance else 0
    ground = ground_at(area, moving.at)
    low, high = ground - rule.step_height - rule.tolerance, ground + rule.step_height + rule.tolerance
    if rule.jump_height > 0:
        # Who falls may be higher than a jump, as long as he does not rise.
        most = ground + rule.jump_height if ground + rule.jump_height > before else before
        mover.air = mover.air + want if claimed > ground + rule.tolerance else 0
        right = low <= claimed <= most + rule.tolerance and mover.air <= rule.jump_s
        moving.at[2] = claimed if right and claimed > ground else ground
    else:
        right = low <= claimed <= high
        moving.at[2] = ground
    return 0 if right else MOVE_AIRBORNE

cdef inline uint16_t move_claim(const Area* area, const MoveRule* rule, Mover* mover, double dt, uint32_t count,
                                const double* claim, uint64_t time_us, Moving* moving) noexcept nogil:
    """A client says that `count` inputs have led it to `claim`: move it there, or as far as it may be."""
    cdef uint16_t verdict = MOVE_GAP if count > 1 else 0
    cdef double want = count * dt, time, full, reach, far, own, moved, fastest
    cdef double to[3]
    cdef double at_first[3]
    cdef double step[3]
    cdef bint slowed, late
    cdef int i, axes = 3 if rule.fly and moving.axes == 3 else 2
    mover_refill(mover, rule, time_us)
    time = want if want < mover.credit else mover.credit
    mover.credit -= time
    mover.lag = mover.lag - time if mover.lag > time else 0
    if not sane(claim, moving.axes):
        for i in range(moving.axes):
            moving.velocity[i] = 0
        return verdict | MOVE_BAD
    for i in range(moving.axes):
        to[i], at_first[i] = claim[i], moving.at[i]
    if area_clamp(area, to, moving.axes, rule.tolerance):
        verdict |= MOVE_OUTSIDE
    reach = claim_reach(rule, mover, want, time, &full)
    far = apart(to, moving.at, axes)
    own = apart(to, mover.claim, axes) if mover.claimed else far
    slowed = claim_slowed(rule, mover, time, own)
    # Without numbers, and before the first claim, nobody knows how many inputs never came.
    late = time < want or not mover.numbered or not mover.claimed
    for i in range(moving.axes):
        step[i] = to[i] - mover.claim[i]
        mover.claim[i] = to[i]
    if far > reach and own <= reach:
        verdict |= MOVE_ADRIFT
        for i in range(axes):
            to[i] = moving.at[i] + step[i]
        area_clamp(area, to, axes, 0)
    elif far > reach:
        if slowed:
            verdict |= MOVE_LATE
        else:
            verdict |= claim_excess(rule, mover, far if far < own else own, reach, full, late)
        for i in range(axes):
            to[i] = moving.at[i] + (to[i] - moving.at[i]) * (reach / far)
    mover.claimed = True
    # The speed he moves at, wherever he thinks he is; what rounding adds must not become speed.
    fastest = rule.speed * mover.scale
    if rule.acceleration > 0 and mover.pace + rule.acceleration * want < fastest:
        fastest = mover.pace + rule.acceleration * want
    mover.pace = own / want if own / want < fastest else fastest
    if not slide(area, rule, moving.at, to, axes):
        verdict |= MOVE_BLOCKED
    moved = reach - apart(moving.at, at_first, axes)
    mover.carry = 0 if moved < 0 else moved if moved < rule.tolerance else rule.tolerance
    verdict |= claim_height(area, rule, mover, want, claim[2], at_first[2], moving)
    for i in range(moving.axes):
        moving.velocity[i] = whole((moving.at[i] - at_first[i]) / want, rule.velocity_step)
    return verdict

cdef inline uint16_t claim_turn(const MoveRule* rule, Mover* mover, double dt, uint32_t count, double facing,
                                uint16_t verdict, Moving* moving) noexcept nogil:
    """The way it looks, after move_claim gave `verdict`: what lag cost in time it may not be blamed for."""
    cdef uint16_t turned = move_turn(rule, mover, count * dt, facing, moving)
    return MOVE_LATE if turned == MOVE_TURNED and verdict & MOVE_LATE else turned

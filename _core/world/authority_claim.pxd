"""Claims: a client says where it is, and the server lets it be there as far as time, speed and map allow.

Owner    Works on what it is given; owns nothing.
Limit    As authority.pxd.
Threads  One at a time.

    before ---- reach ----+ - - - - claim       a claim that is too far leads as far as it may, swept over the map
      \
       last claim --- step --- claim            one whose own step is right moves by that step: it has not heard yet
                                                that it stands elsewhere, and must not pay for one mistake at each input

A claim is a place that was rounded: half a `claim_step` on each axis, no more. That may have put it into a wall, round
a corner or over an edge, where it never was. So a way counts as open if one is that lies no further beside it, and a
place just across a border may be meant. Nobody is ever put where he cannot stand, and what such a way is longer is
paid for.
"""
from libc.math cimport fabs
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
    kept,
    length,
    move_turn,
    mover_refill,
    open_way,
    sane,
    settle,
    slide,
    whole,
)
from shadowland._core.world.authority_map cimport AREA_HEIGHTS, AREA_HIGHEST, AREA_STEPS, Area, area_beside, area_clamp

cdef enum:
    SLOWED_US = 1000000                 # for so long a claim may follow the speed that its mover had before

cdef inline double apart(const double* a, const double* b, int axes) noexcept nogil:
    cdef double change[3]
    cdef int i
    for i in range(axes):
        change[i] = a[i] - b[i]
    return length(change, axes)

cdef inline double claim_reach(const MoveRule* rule, Mover* mover, double time, double* full) noexcept nogil:
    """How far a claim may lead in `time` seconds; `full` likewise, if it were at full speed already."""
    cdef double top = rule.speed * mover.scale, now = mover.pace + rule.acceleration * time
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

cdef inline bint claim_open(const Area* area, const MoveRule* rule, const double* a, const double* b,
                            double reach) noexcept nogil:
    """Whether one can walk from a to b: straight, along x and then y as one slides along a wall, or the other way round
    if that is no longer than `reach`: inputs that never came may have led round a corner."""
    cdef double corner[3]
    if open_way(area, rule, a, b):
        return True
    corner[0], corner[1], corner[2] = b[0], a[1], a[2]
    if open_way(area, rule, a, corner) and open_way(area, rule, corner, b):
        return True
    corner[0], corner[1] = a[0], b[1]
    return fabs(b[0] - a[0]) + fabs(b[1] - a[1]) <= reach and open_way(area, rule, a, corner) \
        and open_way(area, rule, corner, b)

cdef inline bint claim_aside(const Area* area, const MoveRule* rule, const Moving* moving, const double* b,
                             double reach) noexcept nogil:
    """Whether the way to b, half a step of claims beside where it is, is open, and so are those to it and from it."""
    cdef double start[3]
    cdef double end[3]
    cdef double aside = rule.claim_step * 0.5 + area.cell / AREA_STEPS
    cdef int side
    for side in range(4):
        start[0] = moving.at[0] + (aside if side & 1 else -aside)
        start[1] = moving.at[1] + (aside if side & 2 else -aside)
        end[0], end[1] = b[0] + (aside if side & 1 else -aside), b[1] + (aside if side & 2 else -aside)
        start[2], end[2] = moving.at[2] + aside, b[2] + aside      # flyers: over what they skim
        area_clamp(area, start, 3, 0)
        area_clamp(area, end, 3, 0)
        if open_way(area, rule, moving.at, start) and claim_open(area, rule, start, end, reach) \
                and open_way(area, rule, end, b):
            return True
    return False

cdef inline double claim_misfit(const Area* area, const MoveRule* rule, const double* at, double claimed,
                                int axes) noexcept nogil:
    """How far the ground of a place is from where a walker says that it is; without a third axis, from the sky."""
    cdef double off
    if area.ground == NULL or rule.fly or rule.jump_height > 0:
        return 0
    if axes < 3:
        return <double>AREA_HIGHEST - ground_at(area, at)
    off = fabs(ground_at(area, at) - claimed)
    return 0 if off <= rule.claim_step * 0.5 + 2.0 / AREA_HEIGHTS else off

cdef inline bint claim_way(const Area* area, const MoveRule* rule, Moving* moving, const double* to, double claimed,
                           double reach, int axes) noexcept nogil:
    """Move to `to`, or across the borders of cells that rounding may have put it over: where there is a way, and of
    such places to where the ground fits best; else as slide does. Whether there was a way."""
    cdef double end[3]
    cdef double best[3]
    cdef double misfit, least = 0, half = rule.claim_step * 0.5 if reach > 0 else 0
    cdef bint found = False
    cdef int i, which
    for which in range(4 if half > 0 and area.width else 1):
        end[0], end[1], end[2] = to[0], to[1], to[2]
        if (which & 1 and not area_beside(area, end, 0, half, moving.narrow)) \
                or (which & 2 and not area_beside(area, end, 1, half, moving.narrow)):
            continue
        misfit = claim_misfit(area, rule, end, claimed, moving.axes)
        if found and misfit >= least:
            continue
        if claim_open(area, rule, moving.at, end, reach) or (
                half > 0 and claim_aside(area, rule, moving, end, reach)):
            found, least = True, misfit
            best[0], best[1], best[2] = end[0], end[1], end[2]
            if misfit == 0:
                break
    if not found:
        return slide(area, rule, moving.at, to, axes)
    for i in range(axes):
        moving.at[i] = best[i]
    return True

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
        if claimed > ground + rule.tolerance:
            mover.air += want
        else:
            mover.air, mover.ground_us = 0, mover.seen_us
        # By inputs, so that lag is nobody's fault; by the server's clock, so that nobody hovers who sends few.
        right = low <= claimed <= most + rule.tolerance and mover.air <= rule.jump_s \
            and <double>(mover.seen_us - mover.ground_us) * 1e-6 <= rule.jump_s + rule.allowance_s + rule.lag_s
        moving.at[2] = claimed if right and claimed > ground else ground
    else:
        right = low <= claimed <= high
        moving.at[2] = ground
    return 0 if right else MOVE_AIRBORNE

cdef inline uint16_t move_claim(const Area* area, const MoveRule* rule, Mover* mover, double dt, uint32_t count,
                                const double* claim, uint64_t time_us, double* spent, Moving* moving) noexcept nogil:
    """A client says that `count` inputs have led it to `claim`: move it there, or as far as it may be in the time that
    the server's clock has for them: `spent` seconds."""
    cdef uint16_t verdict = MOVE_GAP if count > 1 else 0
    cdef double want = count * dt, time, full, reach, paid, far, own, fastest
    cdef double to[3]
    cdef double at_first[3]
    cdef double step[3]
    cdef bint slowed, late
    cdef int i, axes = 3 if rule.fly and moving.axes == 3 else 2
    mover_refill(mover, rule, time_us)
    time = want if want < mover.credit else mover.credit
    mover.credit -= time
    spent[0] = time
    mover.lag = mover.lag - time if mover.lag > time else 0
    if not sane(claim, moving.axes):
        for i in range(moving.axes):
            moving.velocity[i] = 0
        return verdict | MOVE_BAD
    to[2] = at_first[2] = 0             # without a third axis all is at 0
    for i in range(moving.axes):
        to[i], at_first[i] = claim[i], moving.at[i]
    if area_clamp(area, to, moving.axes, rule.tolerance):
        verdict |= MOVE_OUTSIDE
    paid = claim_reach(rule, mover, time, &full)
    reach = paid if paid > 0 else 0
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
    if rule.acceleration > 0 and mover.pace + rule.acceleration * time < fastest:
        fastest = mover.pace + rule.acceleration * time
    mover.pace = own / want if own / want < fastest else fastest
    kept(moving, to, axes)
    if not claim_way(area, rule, moving, to, claim[2], reach, axes):
        verdict |= MOVE_BLOCKED
    mover.carry = paid - apart(moving.at, at_first, axes)      # below 0 where it was put across a border
    if mover.carry > rule.tolerance:
        mover.carry = rule.tolerance
    verdict |= claim_height(area, rule, mover, want, claim[2], at_first[2], moving)
    for i in range(moving.axes):
        moving.velocity[i] = whole((moving.at[i] - at_first[i]) / want, rule.velocity_step)
    return verdict

cdef inline uint16_t claim_turn(const MoveRule* rule, Mover* mover, double spent, double facing, uint16_t verdict,
                                Moving* moving) noexcept nogil:
    """The way it looks, after move_claim gave `verdict` and `spent`: what lag cost in time it may not be blamed for."""
    cdef uint16_t turned = move_turn(rule, mover, spent, facing, moving)
    return MOVE_LATE if turned == MOVE_TURNED and verdict & MOVE_LATE else turned

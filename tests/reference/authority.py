"""Movement as docs/authority.md says it: movers as dictionaries of floats, one at a time."""
import itertools
import math
from dataclasses import dataclass, field

from tests.reference.authority_map import HEIGHTS, HIGHEST, STEPS, Area, Point, climb, narrowed

(OLD, BAD, LONG, HURRIED, FAST, ACCELERATED, TELEPORTED, TURNED, OUTSIDE, BLOCKED, AIRBORNE, LATE, ADRIFT,
 GAP) = (1 << bit for bit in range(14))
CLOCK_SLACK, WAY_SLACK, FARTHEST, TURN_CARRY, MOST_INPUTS = 1.02, 1.01, 1e9, 0.05, 4096


@dataclass
class Rule:
    speed: float = 5.0
    acceleration: float = 0.0
    turn_rate: float = 0.0
    step_height: float = 0.5
    jump_height: float = 0.0
    jump_s: float = 1.0
    fly: bool = False
    blocked_by: int = 255
    velocity_step: float = 0.0
    tolerance: float = 0.05
    claim_step: float = 0.0
    allowance_s: float = 0.5
    lag_s: float = 3.0


@dataclass
class Body:
    """What the columns hold of one entity."""

    at: Point
    velocity: Point
    yaw: float = 0.0
    narrow: bool = False                # the column of places is of 32-bit floats

    def kept(self, place: Point, axes: int) -> None:
        if self.narrow:
            place[:axes] = [narrowed(x) for x in place[:axes]]


@dataclass
class Mover:
    rule: Rule
    seen_us: int
    credit: float = 0.0
    lag: float = 0.0
    carry: float = 0.0
    turn: float = TURN_CARRY
    pace: float = 0.0
    air: float = 0.0
    spent: float = 0.0
    ground_us: int = 0
    number: int | None = None
    claim: Point | None = None
    scale: float = 1.0
    scale_seen: float = 1.0
    scale_was: float = 1.0
    slowed_us: int = 0

    def __post_init__(self) -> None:
        self.credit = self.rule.allowance_s
        self.lag = self.rule.allowance_s + self.rule.lag_s
        self.carry = self.rule.tolerance
        self.ground_us = self.seen_us

    def refill(self, time_us: int) -> None:
        if time_us > self.seen_us:
            passed = (time_us - self.seen_us) * 1e-6 * CLOCK_SLACK
            self.seen_us = time_us
            self.credit = min(self.credit + passed, self.rule.allowance_s)
            self.lag = min(self.lag + passed, self.rule.allowance_s + self.rule.lag_s)

    def takes(self, number: int) -> int:
        """How many inputs this one stands for; 0 if it is old."""
        ahead = 1 if self.number is None else (number - self.number) % (1 << 32)
        if ahead == 0 or ahead >= 1 << 31:
            return 0
        self.number = number
        return min(ahead, MOST_INPUTS)


@dataclass
class World:
    area: Area
    dt: float
    movers: dict[int, Mover] = field(default_factory=dict)

    def open(self, rule: Rule, a: Point, b: Point) -> bool:
        if rule.fly:
            return self.area.line(rule.blocked_by, True, a, b)
        height = math.floor(a[2] * HEIGHTS) if rule.jump_height > 0 else -HIGHEST * HEIGHTS
        return self.area.walk(rule.blocked_by, climb(rule.step_height), height, a, b)

    def slide(self, rule: Rule, at: Point, to: Point, axes: int) -> bool:
        if self.open(rule, at, to):
            at[:axes] = to[:axes]
            return True
        for axis in range(axes):
            next_ = list(at)
            next_[axis] = to[axis]
            if self.open(rule, at, next_):
                at[axis] = to[axis]
        return False

    def claim_open(self, rule: Rule, a: Point, b: Point, reach: float) -> bool:
        ways = [[a, b], [a, [b[0], *a[1:]], b]]
        if abs(b[0] - a[0]) + abs(b[1] - a[1]) <= reach:
            ways.append([a, [a[0], b[1], a[2]], b])
        return any(all(self.open(rule, *leg) for leg in zip(way, way[1:], strict=False)) for way in ways)

    def claim_aside(self, rule: Rule, at: Point, b: Point, reach: float) -> bool:
        aside = rule.claim_step * 0.5 + self.area.cell / STEPS
        for dx, dy in itertools.product((-aside, aside), repeat=2):
            start, end = ([place[0] + dx, place[1] + dy, place[2] + aside] for place in (at, b))
            self.area.clamp(start, 3, 0)
            self.area.clamp(end, 3, 0)
            if self.open(rule, at, start) and self.claim_open(rule, start, end, reach) and self.open(rule, end, b):
                return True
        return False

    def claim_misfit(self, rule: Rule, at: Point, claimed: float, axes: int) -> float:
        if self.area.ground is None or rule.fly or rule.jump_height > 0:
            return 0.0
        if axes < 3:
            return HIGHEST - self.area.ground_at(at)
        off = abs(self.area.ground_at(at) - claimed)
        return 0.0 if off <= rule.claim_step * 0.5 + 2 / HEIGHTS else off

    def claim_way(self, rule: Rule, body: Body, to: Point, claimed: float, reach: float, axes: int,
                  active: int) -> bool:
        """The first of the places that a rounded one may be and that fits best, of those to which there is a way."""
        half, ends = rule.claim_step * 0.5 if reach > 0 else 0.0, [list(to)]
        if half > 0 and self.area.size != (0, 0):
            x = self.area.beside(to, 0, half, body.narrow)
            y = self.area.beside(to, 1, half, body.narrow)
            both = self.area.beside(x, 1, half, body.narrow) if x else None
            ends += [end for end in (x, y, both) if end]
        ends = [end for end in ends if self.claim_open(rule, body.at, end, reach)
                or (half > 0 and self.claim_aside(rule, body.at, end, reach))]
        if not ends:
            return self.slide(rule, body.at, to, active)
        best = min(ends, key=lambda end: self.claim_misfit(rule, end, claimed, axes))
        body.at[:active] = best[:active]
        return True

    def settle(self, rule: Rule, at: Point, axes: int) -> None:
        if axes == 3 and not (rule.fly and self.area.ground is None):
            ground = self.area.ground_at(at)
            at[2] = max(at[2], ground) if rule.fly else ground

    def walk(self, rule: Rule, scale: float, wish: Point, body: Body, axes: int) -> int:
        verdict, active = 0, 3 if rule.fly and axes == 3 else 2
        want = [0.0, 0.0, 0.0]
        if sane(wish, active):
            far = length(wish, active)
            verdict |= LONG if far > 1 + 1e-6 else 0
            for i in range(active):
                want[i] = (wish[i] / far if far > 1 + 1e-6 else wish[i]) * (rule.speed * scale)
        else:
            verdict |= BAD
        if rule.acceleration > 0:
            change = [want[i] - body.velocity[i] for i in range(active)]
            far, most = length(change, active), rule.acceleration * self.dt
            if far > most:
                for i in range(active):
                    want[i] = body.velocity[i] + change[i] * (most / far)
        to = list(body.at)
        for i in range(active):
            want[i] = whole(want[i], rule.velocity_step)
            to[i] += want[i] * self.dt
        body.kept(to, active)
        straight = list(to)
        verdict |= OUTSIDE if self.area.clamp(to, axes, 0) else 0
        verdict |= 0 if self.slide(rule, body.at, to, active) else BLOCKED
        for i in range(active):
            if body.at[i] != straight[i]:
                want[i] = 0.0
        self.settle(rule, body.at, axes)
        body.velocity[:axes] = want[:axes]
        return verdict

    def turn(self, mover: Mover, dt: float, facing: float, body: Body) -> int:
        if not sane([facing], 1):
            return BAD
        change = math.remainder(facing - body.yaw, 2 * math.pi)
        if mover.rule.turn_rate > 0:
            most = mover.turn + mover.rule.turn_rate * dt
            if abs(change) > most:
                body.yaw = math.remainder(body.yaw + math.copysign(most, change), 2 * math.pi)
                mover.turn = 0.0
                return TURNED
            mover.turn = min(most - abs(change), TURN_CARRY)
        body.yaw = math.remainder(facing, 2 * math.pi)
        return 0

    def steer(self, mover: Mover, wish: Point, time_us: int, body: Body, axes: int, *, facing: float | None = None,
              number: int | None = None) -> int:
        count = 1 if number is None else mover.takes(number)
        if count == 0:
            return OLD
        gap = GAP if count > 1 else 0
        mover.refill(time_us)
        if mover.credit < self.dt:
            if mover.lag < self.dt:
                return gap | HURRIED
            mover.lag -= self.dt
            return gap | HURRIED | LATE
        mover.credit -= self.dt
        mover.lag = max(mover.lag - self.dt, 0.0)
        verdict = self.walk(mover.rule, mover.scale, wish, body, axes)
        body.kept(body.at, 3)
        return gap | verdict | (self.turn(mover, self.dt, facing, body) if facing is not None else 0)

    def claim(self, mover: Mover, claim: Point, time_us: int, body: Body, axes: int, *, facing: float | None = None,
              number: int | None = None) -> int:
        count = 1 if number is None else mover.takes(number)
        if count == 0:
            return OLD
        verdict = self._claim(mover, count * self.dt, claim, time_us, body, axes) | (GAP if count > 1 else 0)
        body.kept(body.at, 3)
        if facing is not None:
            turned = self.turn(mover, mover.spent, facing, body)
            verdict |= LATE if turned == TURNED and verdict & LATE else turned
        return verdict

    def _claim(self, mover: Mover, want: float, claim: Point, time_us: int, body: Body, axes: int) -> int:
        rule, verdict, active = mover.rule, 0, 3 if mover.rule.fly and axes == 3 else 2
        mover.refill(time_us)
        mover.spent = time = min(want, mover.credit)
        mover.credit -= time
        mover.lag = max(mover.lag - time, 0.0)
        if not sane(claim, axes):
            body.velocity[:axes] = [0.0] * axes
            return BAD
        to, first = list(claim), list(body.at)
        verdict |= OUTSIDE if self.area.clamp(to, axes, rule.tolerance) else 0
        top = rule.speed * mover.scale
        full = mover.carry + top * WAY_SLACK * time
        paid, now = full, mover.pace + rule.acceleration * time
        if rule.acceleration > 0 and now < top:
            paid = mover.carry + now * WAY_SLACK * time
        reach = max(paid, 0.0)
        far = apart(to, body.at, active)
        own = far if mover.claim is None else apart(to, mover.claim, active)
        if mover.scale < mover.scale_seen:
            mover.scale_was, mover.slowed_us = mover.scale_seen, mover.seen_us + 1_000_000
        mover.scale_seen = mover.scale
        before = mover.carry + rule.speed * mover.scale_was * WAY_SLACK * time
        slowed = mover.seen_us < mover.slowed_us and own <= before
        late = time < want or mover.number is None or mover.claim is None
        last, mover.claim = mover.claim, list(to)
        if far > reach and own <= reach:
            assert last is not None
            verdict |= ADRIFT
            for i in range(active):
                to[i] = body.at[i] + (to[i] - last[i])
            self.area.clamp(to, active, 0)
        elif far > reach:
            verdict |= LATE if slowed else self._excess(mover, top, min(far, own), reach, full, late)
            for i in range(active):
                to[i] = body.at[i] + (to[i] - body.at[i]) * (reach / far)
        mover.pace = min(own / want, top, now if rule.acceleration > 0 else top)
        body.kept(to, active)
        verdict |= 0 if self.claim_way(rule, body, to, claim[2], reach, axes, active) else BLOCKED
        mover.carry = min(paid - apart(body.at, first, active), rule.tolerance)
        verdict |= self._height(mover, want, claim[2], first[2], body, axes)
        for i in range(axes):
            body.velocity[i] = whole((body.at[i] - first[i]) / want, rule.velocity_step)
        return verdict

    def _excess(self, mover: Mover, top: float, far: float, reach: float, full: float, late: bool) -> int:
        if far <= full:
            return ACCELERATED
        if late and top > 0 and (far - reach) / top <= mover.lag:
            mover.lag -= (far - reach) / top
            return LATE
        if far > top * mover.rule.allowance_s + mover.rule.tolerance:
            return TELEPORTED
        return FAST

    def _height(self, mover: Mover, want: float, claimed: float, before: float, body: Body, axes: int) -> int:
        rule = mover.rule
        if axes < 3:
            return 0
        if rule.fly:
            low = body.at[2]
            self.settle(rule, body.at, 3)
            return AIRBORNE if body.at[2] - low > rule.tolerance else 0
        ground = self.area.ground_at(body.at)
        low, high = ground - rule.step_height - rule.tolerance, ground + rule.step_height + rule.tolerance
        if rule.jump_height <= 0:
            body.at[2] = ground
            return 0 if low <= claimed <= high else AIRBORNE
        if claimed > ground + rule.tolerance:
            mover.air += want
        else:
            mover.air, mover.ground_us = 0.0, mover.seen_us
        off_s = (mover.seen_us - mover.ground_us) * 1e-6
        most = max(ground + rule.jump_height, before)
        right = low <= claimed <= most + rule.tolerance and mover.air <= rule.jump_s \
            and off_s <= rule.jump_s + rule.allowance_s + rule.lag_s
        body.at[2] = max(claimed, ground) if right else ground
        return 0 if right else AIRBORNE


def sane(v: Point, axes: int) -> bool:
    return all(math.isfinite(v[i]) and abs(v[i]) <= FARTHEST for i in range(axes))


def length(v: Point, axes: int) -> float:
    total = v[0] * v[0] + v[1] * v[1]
    return math.sqrt(total + v[2] * v[2] if axes == 3 else total)


def apart(a: Point, b: Point, axes: int) -> float:
    return length([x - y for x, y in zip(a, b, strict=True)], axes)


def whole(value: float, step: float) -> float:
    return math.floor(value / step + 0.5) * step if step > 0 else value

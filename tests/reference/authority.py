"""Authority as docs/authority.md says it: ways as sorted fractions, movers as dictionaries of floats, one at a time."""
import math
from dataclasses import dataclass, field, replace
from fractions import Fraction

STEPS, HEIGHTS, REACH, HIGHEST = 65536, 1024, 4096, 1 << 20
(OLD, BAD, LONG, HURRIED, FAST, ACCELERATED, TELEPORTED, TURNED, OUTSIDE, BLOCKED, AIRBORNE, LATE, ADRIFT,
 GAP) = (1 << bit for bit in range(14))
CLOCK_SLACK, WAY_SLACK, FARTHEST, TURN_CARRY, MOST_INPUTS = 1.02, 1.01, 1e9, 0.05, 4096
Point = list[float]
Cell = tuple[int, int]


@dataclass
class Area:
    """cells[y][x] are bits, ground[y][x] metres * 1024; both None: a box without a grid."""

    low: tuple[float, float, float] = (-math.inf, -math.inf, -math.inf)
    high: tuple[float, float, float] = (math.inf, math.inf, math.inf)
    cell: float = 1.0
    cells: list[list[int]] | None = None
    ground: list[list[int]] | None = None

    @property
    def size(self) -> tuple[int, int]:
        grid = self.cells or self.ground or []
        return (len(grid[0]), len(grid)) if grid else (0, 0)

    def steps(self, at: Point) -> tuple[int, int]:
        x, y = (math.floor((at[axis] - self.low[axis]) / self.cell * STEPS + 0.5) for axis in (0, 1))
        width, height = self.size
        return min(max(x, 0), width * STEPS), min(max(y, 0), height * STEPS)

    def cell_of(self, steps: tuple[int, int]) -> Cell:
        width, height = self.size
        return min(max(steps[0] // STEPS, 0), width - 1), min(max(steps[1] // STEPS, 0), height - 1)

    def ground_at(self, at: Point) -> float:
        if self.ground is None:
            return 0.0
        x, y = self.cell_of(self.steps(at))
        return self.ground[y][x] / HEIGHTS

    def bits(self, cell: Cell) -> int:
        return self.cells[cell[1]][cell[0]] if self.cells is not None else 0

    def clamp(self, at: Point, axes: int, slack: float) -> bool:
        outside = any(at[i] < self.low[i] - slack or at[i] > self.high[i] + slack for i in range(axes))
        for i in range(axes):
            at[i] = min(max(at[i], self.low[i]), self.high[i])
        return outside

    def borders(self, a: Point, b: Point) -> list[tuple[Fraction, Cell, list[Cell], Cell]] | None:
        """(where on the way, 0 to 1; the cell it leaves; the cells beside a corner; the cell it enters), in order."""
        start, end = self.steps(a), self.steps(b)
        here, last = self.cell_of(start), self.cell_of(end)
        if any(abs(last[axis] - here[axis]) > REACH for axis in (0, 1)):
            return None
        crossed: dict[Fraction, list[int]] = {}
        for axis in (0, 1):
            first, final = here[axis], last[axis]
            lines = range(first + 1, final + 1) if final > first else range(first, final, -1)
            for line in lines:
                where = Fraction(line * STEPS - start[axis], end[axis] - start[axis])
                crossed.setdefault(where, []).append(axis)
        found = []
        for where in sorted(crossed):
            axes = crossed[where]
            beside = []
            there = list(here)
            for axis in axes:
                toward = 1 if last[axis] > here[axis] else -1
                there[axis] += toward
                if len(axes) == 2:
                    side = list(here)
                    side[axis] += toward
                    beside.append((side[0], side[1]))
            entered = (there[0], there[1])
            found.append((where, here, beside, entered))
            here = entered
        return found

    def enters(self, mask: int, step: int, height: int, here: Cell, there: Cell) -> bool:
        if self.bits(there) & mask:
            return False
        if self.ground is None:
            return True
        return self.ground[there[1]][there[0]] - max(self.ground[here[1]][here[0]], height) <= step

    def walk(self, mask: int, step: int, height: int, a: Point, b: Point) -> bool:
        if self.size == (0, 0):
            return True
        borders = self.borders(a, b)
        if borders is None:
            return False
        for _, here, beside, there in borders:
            ways: list[tuple[Cell, ...]] = [(here, side, there) for side in beside] or [(here, there)]
            for way in ways:
                if not all(self.enters(mask, step, height, *pair) for pair in zip(way, way[1:], strict=False)):
                    return False
        return True

    def line(self, mask: int, enters: bool, a: Point, b: Point) -> bool:
        if self.size == (0, 0):
            return True
        borders = self.borders(a, b)
        if borders is None:
            return False
        low, high = rise(a[2]), rise(b[2])
        for number, (where, here, beside, there) in enumerate(borders):
            z = low + (high - low) * where
            if self.ground is not None and any(z < self.ground[y][x] for x, y in (here, *beside, there)):
                return False
            last = number == len(borders) - 1
            if any(self.bits(side) & mask for side in beside) or (self.bits(there) & mask and (enters or not last)):
                return False
        return True


def climb(height: float) -> int:
    return rise(height) + 1


def rise(height: float) -> int:
    most = HIGHEST * HEIGHTS
    return math.floor(min(max(math.floor(height * HEIGHTS + 0.5), -most), most))


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
    allowance_s: float = 0.5
    lag_s: float = 3.0


@dataclass
class Body:
    """What the columns hold of one entity."""

    at: Point
    velocity: Point
    yaw: float = 0.0


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
        before, to = list(body.at), list(body.at)
        for i in range(active):
            want[i] = whole(want[i], rule.velocity_step)
            to[i] += want[i] * self.dt
        verdict |= OUTSIDE if self.area.clamp(to, axes, 0) else 0
        verdict |= 0 if self.slide(rule, body.at, to, active) else BLOCKED
        for i in range(active):
            if body.at[i] != before[i] + want[i] * self.dt:
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
        return gap | verdict | (self.turn(mover, self.dt, facing, body) if facing is not None else 0)

    def claim(self, mover: Mover, claim: Point, time_us: int, body: Body, axes: int, *, facing: float | None = None,
              number: int | None = None) -> int:
        count = 1 if number is None else mover.takes(number)
        if count == 0:
            return OLD
        verdict = self._claim(mover, count * self.dt, claim, time_us, body, axes) | (GAP if count > 1 else 0)
        if facing is not None:
            turned = self.turn(mover, count * self.dt, facing, body)
            verdict |= LATE if turned == TURNED and verdict & LATE else turned
        return verdict

    def _claim(self, mover: Mover, want: float, claim: Point, time_us: int, body: Body, axes: int) -> int:
        rule, verdict, active = mover.rule, 0, 3 if mover.rule.fly and axes == 3 else 2
        mover.refill(time_us)
        time = min(want, mover.credit)
        mover.credit -= time
        mover.lag = max(mover.lag - time, 0.0)
        if not sane(claim, axes):
            body.velocity[:axes] = [0.0] * axes
            return BAD
        to, first = list(claim), list(body.at)
        verdict |= OUTSIDE if self.area.clamp(to, axes, rule.tolerance) else 0
        top = rule.speed * mover.scale
        full = mover.carry + top * WAY_SLACK * time
        reach, now = full, mover.pace + rule.acceleration * want
        if rule.acceleration > 0 and now < top:
            reach = mover.carry + now * WAY_SLACK * time
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
        verdict |= 0 if self.slide(rule, body.at, to, active) else BLOCKED
        mover.carry = min(max(reach - apart(body.at, first, active), 0.0), rule.tolerance)
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
        mover.air = mover.air + want if claimed > ground + rule.tolerance else 0.0
        most = max(ground + rule.jump_height, before)
        right = low <= claimed <= most + rule.tolerance and mover.air <= rule.jump_s
        body.at[2] = max(claimed, ground) if right else ground
        return 0 if right else AIRBORNE


(DONE, UNKNOWN, BAD_PLACE, STATE, COOLDOWN, RESOURCES, RANGE, SIGHT) = range(8)


@dataclass
class ActionRule:
    cooldown_us: int = 0
    grace_us: int = 0
    charges: int = 1
    range: float | None = None
    needs_sight: bool = False
    eye: float = 1.6
    cost: int = 0
    forbidden: int = 0
    needed: int = 0


@dataclass
class Actions:
    """`full` is when all charges are there again, by (slot, action); `purse` what each row has."""

    area: Area
    rules: list[ActionRule]
    purse: list[int]
    full: dict[tuple[int, int], int] = field(default_factory=dict)

    def do(self, kind: int, slot: int, time_us: int, flags: int, source: Point, target: Point, row: int) -> int:
        if not 0 <= kind < len(self.rules):
            return UNKNOWN
        rule, places = self.rules[kind], [*source, *target]
        if not all(math.isfinite(one) and abs(one) <= HIGHEST for one in places):
            return BAD_PLACE
        if flags & rule.forbidden or flags & rule.needed != rule.needed:
            return STATE
        full = max(self.full.get((slot, kind), 0), time_us)
        if full - time_us > (rule.charges - 1) * rule.cooldown_us + rule.grace_us:
            return COOLDOWN
        if self.purse[row] < rule.cost:
            return RESOURCES
        apart2 = sum((t - s) * (t - s) for s, t in zip(source, target, strict=True))
        if rule.range is not None and apart2 > rule.range * rule.range:
            return RANGE
        if rule.needs_sight:
            ends = []
            for place in (source, target):
                end = [*place, 0.0][:3]
                self.area.clamp(end, 3, 0)
                height = end[2] if len(place) == 3 else self.area.ground_at(end)
                ends.append([end[0], end[1], height + rule.eye])
            if not self.area.line(255, False, *ends):
                return SIGHT
        self.full[slot, kind] = full + rule.cooldown_us
        self.purse[row] -= rule.cost
        return DONE


def sane(v: Point, axes: int) -> bool:
    return all(math.isfinite(v[i]) and abs(v[i]) <= FARTHEST for i in range(axes))


def length(v: Point, axes: int) -> float:
    total = v[0] * v[0] + v[1] * v[1]
    return math.sqrt(total + v[2] * v[2] if axes == 3 else total)


def apart(a: Point, b: Point, axes: int) -> float:
    return length([x - y for x, y in zip(a, b, strict=True)], axes)


def whole(value: float, step: float) -> float:
    return math.floor(value / step + 0.5) * step if step > 0 else value


def copy_of(body: Body) -> Body:
    return replace(body, at=list(body.at), velocity=list(body.velocity))

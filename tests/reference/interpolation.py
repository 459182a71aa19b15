"""Interpolation as docs/prediction.md says it: a list of snapshots, entities as dictionaries, one at a time."""
import math
from dataclasses import dataclass, field

Value = tuple[float, ...]
Entity = dict[str, Value]               # the lanes of each field

KEPT, NEW, OLD = 64, 64, 512
PACE, LEAP_S, SHARE, SET_S = 0.1, 0.5, 1 / 16, 0.1


@dataclass
class Interpolation:
    """`numbers`: fields that go straight from one value to the next, and the velocity that predicts each, or "";
    `angles` go the short way round; all others stay."""

    tick_hz: float
    numbers: dict[str, str]
    angles: tuple[str, ...]
    least_ms: float = 20.0
    most_ms: float = 250.0
    extrapolate_ms: float = 250.0
    teleport: float = 10.0
    snapshots: list[tuple[int, dict[int, Entity]]] = field(default_factory=list)
    ahead_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    clock_s: float | None = None
    heard_s: float = 0.0
    delay_ms: float = 0.0
    extrapolations: int = 0
    frame_s: float = -math.inf
    shown_s: float = -math.inf

    def add(self, tick: int, entities: dict[int, Entity], now_s: float, offset_s: float = 0.0) -> bool:
        if offset_s:
            if self.clock_s is None or abs(offset_s - self.clock_s) > SET_S:
                self.ahead_s = [one - (offset_s - (self.clock_s or 0.0)) for one in self.ahead_s]
                self.clock_s = offset_s
            elif offset_s != self.heard_s:
                self.clock_s += SHARE * (offset_s - self.clock_s)
            self.heard_s = offset_s
        before = self.snapshots[-1][0] if self.snapshots else None
        if before is not None and tick <= before:
            return False
        self.snapshots = [*self.snapshots, (tick, entities)][-KEPT:]
        self.ahead_s.append(tick / self.tick_hz - now_s - (self.clock_s or 0.0))
        self.gaps_s.append(0.0 if before is None else (tick - before) / self.tick_hz)
        earliest = max(self.counted())
        late = max(most_of([earliest - one for one in some]) for some in (self.counted(), self.ahead_s[-NEW:]))
        delay_ms = 1000 * (late + most_of(self.gaps_s[-NEW:]))
        self.delay_ms = min(max(delay_ms, self.least_ms), self.most_ms)
        return True

    def counted(self) -> list[float]:
        return self.ahead_s[-(NEW if self.clock_s is None else OLD):]

    def at(self, now_s: float, tick: float | None = None) -> tuple[float, bool, dict[int, Entity]]:
        """(tick that is shown, whether it is extrapolated, entities)."""
        if not self.snapshots:
            self.frame_s = now_s
            return math.nan, False, {}
        if tick is None:
            tick = self.paced(now_s) * self.tick_hz
        self.frame_s = now_s
        if tick < self.snapshots[0][0]:
            tick = self.snapshots[0][0]
        before, entities = max(one for one in self.snapshots if one[0] <= tick)
        later = [one for one in self.snapshots if one[0] > tick]
        if later:
            after, following = later[0]
            part, seconds = (tick - before) / (after - before), (after - before) / self.tick_hz
            return tick, False, {who: self.between(one, following.get(who), part, seconds)
                                 for who, one in entities.items()}
        self.extrapolations += tick > before
        seconds = min((tick - before) / self.tick_hz, self.extrapolate_ms / 1000)
        return tick, seconds > 0, {who: self.carried(one, seconds) for who, one in entities.items()}

    def paced(self, now_s: float) -> float:
        target = now_s + (self.clock_s or 0.0) + max(self.counted()) - self.delay_ms / 1000
        passed = now_s - self.frame_s
        if not abs(target - self.shown_s - passed) < LEAP_S:
            self.shown_s = max(target, self.shown_s)
        else:
            self.shown_s += passed + min(max(target - self.shown_s - passed, -PACE * passed), PACE * passed)
        return self.shown_s

    def carried(self, one: Entity, seconds: float) -> Entity:
        return one | {name: tuple(a + v * seconds for a, v in zip(one[name], one[by], strict=True))
                      for name, by in self.numbers.items() if by}

    def between(self, one: Entity, other: Entity | None, part: float, seconds: float) -> Entity:
        if other is None or math.dist(one["position"], other["position"]) > self.teleport:
            return one
        moved = dict(one)
        for name, by in self.numbers.items():
            if by:
                ends = zip(one[name], other[name], one[by], other[by], strict=True)
                moved[name] = tuple(hermite(a, b, part, seconds * begin, seconds * end) for a, b, begin, end in ends)
            else:
                moved[name] = tuple(a + part * (b - a) for a, b in zip(one[name], other[name], strict=True))
        for name in self.angles:
            a, b = one[name][0], other[name][0]
            moved[name] = (a + part * math.remainder(b - a, math.tau),)
        return moved


def hermite(a: float, b: float, t: float, begin: float, end: float) -> float:
    """The cubic from a to b with the slopes `begin` and `end`, in its basis."""
    return ((2 * t**3 - 3 * t**2 + 1) * a + (t**3 - 2 * t**2 + t) * begin + (3 * t**2 - 2 * t**3) * b
            + (t**3 - t**2) * end)


def most_of(values: list[float]) -> float:
    """What 95 of 100 are at most; between two of them as far along as it is between their places."""
    ranked = sorted(values)
    place = 0.95 * (len(ranked) - 1)
    low = math.floor(place)
    return ranked[low] + (place - low) * (ranked[min(low + 1, len(ranked) - 1)] - ranked[low])

"""Rewinding as docs/rewind.md says it: a dictionary of places for each tick, and distances by trying."""
import math
from dataclasses import dataclass, field

Point = tuple[float, float, float]


def plus(a: Point, b: Point, times: float = 1.0) -> Point:
    return a[0] + times * b[0], a[1] + times * b[1], a[2] + times * b[2]


def distance(a: Point, b: Point) -> float:
    return math.dist(a, b)


def to_line(point: Point, foot: Point, head: Point) -> float:
    """Distance of a point from the line between two others."""
    way, off = plus(head, foot, -1.0), plus(point, foot, -1.0)
    length2 = sum(lane * lane for lane in way)
    along = sum(p * q for p, q in zip(off, way, strict=True)) / length2 if length2 else 0.0
    return distance(point, plus(foot, way, min(max(along, 0.0), 1.0)))


@dataclass
class History:
    depth: int
    teleport: float
    ticks: dict[int, dict[int, Point]] = field(default_factory=dict)

    def record(self, tick: int, places: dict[int, Point]) -> None:
        self.ticks[tick] = dict(places)
        for old in sorted(self.ticks)[:-self.depth]:
            del self.ticks[old]

    def at(self, time: float) -> dict[int, Point]:
        """Who was where."""
        known = sorted(self.ticks)
        time = min(max(time, known[0]), known[-1])
        before = max(tick for tick in known if tick <= time)
        after = min((tick for tick in known if tick > before), default=before)
        there = {}
        for who, place in self.ticks[before].items():
            next_place = self.ticks[after].get(who, place)
            if distance(place, next_place) <= self.teleport and after > before:
                place = plus(place, plus(next_place, place, -1.0), (time - before) / (after - before))
            there[who] = place
        return there

    def shoot(self, start: Point, way: Point, time: float, radius: float, foot: Point,
              head: Point) -> dict[int, tuple[float, float]]:
        """For each: (least distance of the segment from its axis, part at which it first is within radius)."""
        result = {}
        for who, place in self.at(time).items():
            low_end, high_end = plus(place, foot), plus(place, head)

            def apart(part: float, low_end: Point = low_end, high_end: Point = high_end) -> float:
                return to_line(plus(start, way, part), low_end, high_end)

            low, high = 0.0, 1.0
            for _ in range(80):                         # convex along it, so thirds close in on the least
                left, right = low + (high - low) / 3, high - (high - low) / 3
                if apart(left) <= apart(right):
                    high = right
                else:
                    low = left
            nearest = min((0.0, 1.0, (low + high) / 2), key=apart)
            least, first, inside = apart(nearest), 0.0, nearest
            for _ in range(60):
                middle = (first + inside) / 2
                if apart(middle) <= radius:
                    inside = middle
                else:
                    first = middle
            result[who] = least, 0.0 if apart(0.0) <= radius else inside
        return result

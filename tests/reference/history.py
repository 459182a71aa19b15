"""Rewinding as docs/rewind.md says it: a dictionary of places for each tick, and everybody looked at for each shot.

Twice: distances by trying, which know no formula (`shoot`), and the compiled history's own formulas one after the other
for everybody, which it must match to the last bit whichever of them its grid looks at (`first`, `blast`).
"""
import math
import struct
from dataclasses import dataclass, field

from tests.reference.authority_map import Area

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
        last = self.ticks[max(self.ticks)] if self.ticks else {}
        self.ticks[tick] = {}
        for who, place in places.items():
            kept = single(place) or last.get(who)               # what is no number is where it was
            if kept is not None:
                self.ticks[tick][who] = kept
        for old in sorted(self.ticks)[:-self.depth]:
            del self.ticks[old]

    def at(self, time: float) -> dict[int, Point]:
        """Who was where."""
        known = sorted(self.ticks)
        time = min(max(known[0], time), known[-1]) if time == time else known[-1]
        before = max(tick for tick in known if tick <= time)
        after = min((tick for tick in known if tick > before), default=before)
        there = {}
        for who, place in self.ticks[before].items():
            next_place = self.ticks[after].get(who, place)
            way = plus(next_place, place, -1.0)
            if dot(way, way) <= self.teleport * self.teleport and after > before:
                place = plus(place, way, (time - before) / (after - before))
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

    def first(self, start: Point, way: Point, time: float, radius: float, foot: Point, head: Point,
              ignore: int = 0) -> tuple[int, float]:
        """Whom the segment meets first, and at which part of it; (0, infinity): nobody."""
        entries = [(entry(start, way, place, radius, foot, head), who)
                   for who, place in self.at(time).items() if who != ignore]
        part, who = min(entries, default=(math.inf, 0))
        return (who, part) if part < math.inf else (0, math.inf)

    def first_in_sight(self, area: Area, opaque: int, start: Point, way: Point, time: float, radius: float, foot: Point,
                       head: Point) -> tuple[int, float]:
        """As `first`, but a wall or the ground ends the segment where it enters it."""
        who, part = self.first(start, way, time, radius, foot, head)
        return (who, part) if not who or reaches(area, opaque, start, plus(start, way, part)) else (0, math.inf)

    def blast_in_sight(self, area: Area, opaque: int, centre: Point, reach: float, time: float, radius: float,
                       foot: Point, head: Point) -> dict[int, float]:
        """As `blast`, of those whose axis has its nearest point in sight."""
        found, there = self.blast(centre, reach, time, radius, foot, head), self.at(time)
        axis = plus(head, foot, -1.0)
        for who in list(found):
            bottom = plus(there[who], foot)
            part = dot(plus(centre, bottom, -1.0), axis) / (dot(axis, axis) or 1.0)
            if not reaches(area, opaque, centre, plus(bottom, axis, min(max(part, 0.0), 1.0))):
                del found[who]
        return found

    def blast(self, centre: Point, reach: float, time: float, radius: float, foot: Point, head: Point,
              ignore: int = 0) -> dict[int, float]:
        """All whose surface is within `reach` of a point, and how far they are."""
        apart = {who: math.sqrt(axis_distance2(centre, plus(place, foot), plus(head, foot, -1.0))) - radius
                 for who, place in self.at(time).items() if who != ignore}
        return {who: max(0.0, distance) for who, distance in apart.items() if distance <= reach}


def reaches(area: Area, opaque: int, a: Point, b: Point) -> bool:
    one, other = list(a), list(b)
    area.clamp(one, 3, 0.0)
    area.clamp(other, 3, 0.0)
    return area.line(opaque, True, one, other)


def single(place: Point) -> Point | None:
    """As float32; None if it is none."""
    try:
        rounded: Point = struct.unpack("3f", struct.pack("3f", *place))
    except OverflowError:
        return None
    return rounded if all(map(math.isfinite, rounded)) else None


def dot(a: Point, b: Point) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def axis_distance2(point: Point, foot: Point, axis: Point) -> float:
    """Squared distance of a point from the line from `foot` to foot + axis."""
    off, part = plus(point, foot, -1.0), 0.0
    if dot(axis, axis) > 0:
        part = dot(off, axis) / dot(axis, axis)
        part = 0.0 if part < 0 else 1.0 if part > 1 else part
    off = plus(off, axis, -part)
    return dot(off, off)


def sphere_entry(off: Point, way: Point, radius: float) -> float:
    """Part of the way from `off` at which it enters a sphere round 0 that it begins outside of."""
    along, way2 = dot(off, way), dot(way, way)
    root = along * along - way2 * (dot(off, off) - radius * radius)
    if root < 0 or along >= 0 or way2 <= 0:
        return math.inf
    return (-along - math.sqrt(root)) / way2


def cylinder_entry(off: Point, way: Point, axis: Point, radius: float) -> float:
    """Likewise of the cylinder round the axis from 0, between its ends; none if it runs along it."""
    axis2, way2, along, above = dot(axis, axis), dot(way, way), dot(axis, way), dot(axis, off)
    a = axis2 * way2 - along * along
    if not a > 1e-12 * axis2 * way2:
        return math.inf
    b = axis2 * dot(off, way) - above * along
    c = axis2 * dot(off, off) - above * above - radius * radius * axis2
    root = b * b - a * c
    if not root >= 0:
        return math.inf
    part = (-b - math.sqrt(root)) / a
    return part if part >= 0 and 0 <= above + part * along <= axis2 else math.inf


def entry(start: Point, way: Point, place: Point, radius: float, foot: Point, head: Point) -> float:
    """Part of a segment at which it enters the capsule of who stands at `place`, infinity if it does not.

    An entry that is not at the body, but for a millionth of all lengths, is an error of rounding and none.
    """
    axis, bottom = plus(head, foot, -1.0), plus(place, foot)
    middle = (0.5 * (head[0] + foot[0]), 0.5 * (head[1] + foot[1]), 0.5 * (head[2] + foot[2]))
    extent = radius + 0.5 * math.sqrt(dot(axis, axis))
    size = math.sqrt(dot(way, way))
    for lane in (*start, *middle):
        size += abs(lane)
    size += extent
    off = plus(start, bottom, -1.0)
    part = sphere_entry(off, way, radius)
    if dot(axis, axis) > 0:
        part = min(part, sphere_entry(plus(off, axis, -1.0), way, radius), cylinder_entry(off, way, axis, radius))
    if axis_distance2(start, bottom, axis) <= radius * radius:
        part = 0.0
    if not part <= 1:
        return math.inf
    apart, far = plus(plus(start, way, part), plus(place, middle), -1.0), extent + 1e-6 * size
    return part if dot(apart, apart) <= far * far else math.inf

"""The map as docs/authority.md says it: cells as rows of numbers, ways over them as sorted fractions."""
import math
import struct
from dataclasses import dataclass
from fractions import Fraction

STEPS, HEIGHTS, REACH, HIGHEST = 65536, 1024, 4096, 1 << 20
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

    def beside(self, at: Point, axis: int, most: float, narrow: bool) -> Point | None:
        """The place across the nearest border along an axis, if it is near enough and there is a cell."""
        steps = self.steps(at)
        step, cell = steps[axis], self.cell_of(steps)[axis]
        up = step - cell * STEPS > STEPS // 2
        to = (cell + 1) * STEPS if up else cell * STEPS - 1
        if not 0 <= to < self.size[axis] * STEPS or abs(to - step) > math.floor(most / self.cell * STEPS) + 1:
            return None
        place = list(at)
        place[axis] = self.low[axis] + to / STEPS * self.cell
        if narrow:
            place[axis] = narrowed(place[axis])
            if not up and self.steps(place)[axis] > to:
                place[axis] = narrow_below(place[axis])
        return place

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


def narrowed(value: float) -> float:
    near: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return near


def narrow_below(value: float) -> float:
    """The next smaller of 32 bits."""
    bits = struct.unpack("<i", struct.pack("<f", value))[0]
    lower: float = -1e-45 if value == 0 else struct.unpack("<f", struct.pack("<i", bits + (1 if value < 0 else -1)))[0]
    return lower

"""Lag compensation: a shot is judged where its target was when the player saw it, half a second back at most.

    history = History(app.world, Player)                        # remembers where everybody was; nothing else to call
    BODY = Shape(radius=0.4, foot=(0, 0, 0.4), head=(0, 0, 1.4))

    @app.tick
    def step(t):
        shots = t[Shoot]
        shooters = players.handles[shots.rows]
        when = history.when(shots.seen, rtt_ms)                 # what they say that they saw, as far as it is believed
        hits = history.rays(players.position[shots.rows], shots.direction, 50.0, when, BODY, ignore=shooters)
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland._core.world import history as _core
from shadowland.authority import Map
from shadowland.errors import ConfigError, UsageError
from shadowland.schema import Entity
from shadowland.world import World

__all__ = ["Blocked", "History", "Hits", "Shape"]

Floats = NDArray[np.float64]
Blocked = Callable[[Floats, Floats], NDArray[np.bool_]]
"""(starts (n, 3), ends (n, 3)) → for each whether something stands between them."""

MOST_MS: Final = 500.0
FARTHEST: Final = 1e6               # user units; beyond, a segment is cut
LEAST_CELL: Final = _core.LEAST_CELL
MOST_CELL: Final = _core.MOST_CELL


@dataclass(frozen=True, slots=True)
class Shape:
    """What a target consists of: all within `radius` of the line from its position + `foot` to its position + `head`.

    One point for both is a sphere; ConfigError for what is not finite or a radius below 0.
    """

    radius: float
    foot: tuple[float, ...] = (0.0, 0.0, 0.0)
    head: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        ends = (self.foot, self.foot if self.head is None else self.head)
        if not 0 <= self.radius < float("inf"):
            raise ConfigError(f"Shape: radius is {self.radius}; it must be a finite distance of at least 0")
        for name, end in zip(("foot", "head"), ends, strict=True):
            if not 1 <= len(end) <= 3 or not all(isfinite(lane) for lane in end):
                raise ConfigError(f"Shape: {name} is {end}; give up to three finite numbers")

    @property
    def ends(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """foot and head with three numbers each."""
        head = self.foot if self.head is None else self.head
        return tuple((*self.foot, 0.0, 0.0)[:3]), tuple((*head, 0.0, 0.0)[:3])


@dataclass(frozen=True, slots=True)
class Hits:
    """What n segments met first, in columns.

    handles   entities, uint64; 0: nobody. An entity can be gone by now: it was there then.
    parts     of the segment up to where it met, 0 to 1; infinity where it met nobody.
    points    where, (n, 3); NaN where it met nobody.
    """

    handles: NDArray[np.uint64]
    parts: Floats
    points: Floats

    def __len__(self) -> int:
        return len(self.handles)


class History:
    """Where the entities of these classes (one at least, each with a position) were in the last `keep_ms`.

    keep_ms    how far back a shot is believed to lie, at most 500: with more, players would be shot behind corners.
    delay_ms   what a player may be behind the state that its round trip explains: interpolation, a frame, the server's
               buffer of inputs.
    teleport   who moves further than this from one tick to the next is not between the two places on the way.
    cell       edge of the cells through which shots look for targets: a few targets in each work well. By default half
               a cell of the world's interest.

    It records by itself whenever the world publishes a tick. Places are float32: 8 km from the middle that is half a
    millimetre. Memory: 28 bytes × entities of the world × ticks. ConfigError for what cannot be.
    """

    def __init__(self, world: World, *classes: type[Entity], keep_ms: float = 500.0, delay_ms: float = 250.0,
                 teleport: float = 10.0, cell: float | None = None) -> None:
        cell = min(max(world.aoi.cell / 2, LEAST_CELL), MOST_CELL) if cell is None else cell
        for name, value, low, high in (("keep_ms", keep_ms, 1.0, MOST_MS), ("delay_ms", delay_ms, 0.0, MOST_MS),
                                       ("teleport", teleport, 0.0, FARTHEST), ("cell", cell, LEAST_CELL, MOST_CELL)):
            if not low <= value <= high:
                raise ConfigError(f"History: {name} is {value}; it must be {low:g} to {high:g}")
        if not classes:
            raise ConfigError("History: name the classes whose entities can be hit")
        for cls in classes:
            if cls not in world.layouts or "position" not in world.layouts[cls].names:
                raise ConfigError(f"History: {cls.__name__} is no class of this world with a position")
        self.keep_ms, self.delay_ms, self.tick_hz = keep_ms, delay_ms, world.tick_hz
        self._world, self._classes = world, classes
        layers = any(world[cls].position.shape[1:] == (3,) for cls in classes)
        self._core = _core.History(world.capacity, ceil(keep_ms * world.tick_hz / 1000) + 2, teleport, cell,
                                   cell if layers else 0.0)
        world.on_publish(self._record)

    def _record(self, tick: int) -> None:
        self._core.begin(tick)
        for cls in self._classes:
            columns = self._world[cls]
            place = columns.position
            self._core.add(columns.handles, place if place.ndim == 2 else place.reshape(-1, 1))
        self._core.finish()

    @property
    def newest(self) -> int:
        """The tick recorded last, 0 before the first."""
        return self._core.newest

    def when(self, seen: ArrayLike, rtt_ms: ArrayLike) -> Floats:
        """The ticks, with fractions, at which shots of this tick are to be judged.

        seen     what each player says that it was shown: a tick, with a fraction (`Interpolated.tick`).
        rtt_ms   round trips as the server measured them (`session.rtt_ms`), never what a client claims.

        Never later than the newest tick; never earlier than the round trip and `delay_ms` explain, nor than `keep_ms`
        ago. What is no number is the newest tick.
        """
        now = float(self.newest)
        claims, trips = np.broadcast_arrays(np.asarray(seen, np.float64), np.asarray(rtt_ms, np.float64))
        back_ms = np.minimum(np.where(trips >= 0, trips, 0.0) + self.delay_ms, self.keep_ms)
        claims = np.where(np.isnan(claims), now, claims)
        result: Floats = np.clip(claims, now - back_ms * self.tick_hz / 1000, now)
        return np.maximum(result, float(self._core.oldest))

    def where(self, entities: ArrayLike, ticks: ArrayLike) -> Floats:
        """Where entities were at `ticks`, (n, 3); NaN for those that were not there."""
        wanted = np.ascontiguousarray(np.atleast_1d(np.asarray(entities, np.uint64)))
        out = np.zeros((len(wanted), 3))
        self._core.where(wanted, _each(ticks, len(wanted), "ticks"), out)
        return out

    def segments(self, starts: ArrayLike, ends: ArrayLike, ticks: ArrayLike, shape: Shape, *, ignore: ArrayLike = 0,
                 map: Map | None = None, blocked: Blocked | None = None) -> Hits:
        """What each segment from start to end, (n, 2 or 3), meets first at its tick (from `when`).

        ignore    an entity that each passes through: the shooter. Of two met at once the lower handle counts.
        map       its opaque cells and ground end a segment (`Map.reaches`); places of two numbers are on the ground.
        blocked   looks once at (starts, where they met): who stands behind something is not met.
        """
        first, last = _points(starts, "starts"), _points(ends, "ends")
        if first.shape != last.shape:
            raise UsageError(f"{len(first)} starts and {len(last)} ends; give each segment both")
        with np.errstate(over="ignore", invalid="ignore"):          # who comes from nowhere meets nobody
            ways = last - first
        return self._shoot(first, ways, ticks, shape, ignore, _walls(map, starts, blocked))

    def rays(self, starts: ArrayLike, directions: ArrayLike, reach: ArrayLike, ticks: ArrayLike, shape: Shape, *,
             ignore: ArrayLike = 0, map: Map | None = None, blocked: Blocked | None = None) -> Hits:
        """As `segments`, in directions of any length but 0, for `reach`. Who aims nowhere meets whom it stands in."""
        first, ways = _points(starts, "starts"), _points(directions, "directions")
        if first.shape != ways.shape:
            raise UsageError(f"{len(first)} starts and {len(ways)} directions; give each ray both")
        with np.errstate(over="ignore", invalid="ignore"):
            largest = np.abs(ways).max(axis=1, initial=0.0)[:, None]     # so that no square is lost to underflow
            ways = np.where(largest > 0, ways / np.where(largest > 0, largest, 1.0), 0.0)
            lengths = np.sqrt((ways * ways).sum(axis=1))
            ways *= np.where(lengths > 0, _each(reach, len(first), "reach") / np.maximum(lengths, 1.0), 0.0)[:, None]
        return self._shoot(first, ways, ticks, shape, ignore, _walls(map, starts, blocked))

    def _shoot(self, starts: Floats, ways: Floats, ticks: ArrayLike, shape: Shape, ignore: ArrayLike,
               walls: Sequence[Blocked]) -> Hits:
        count = len(starts)
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt((ways * ways).sum(axis=1))
            ways = np.where(lengths[:, None] > FARTHEST, ways * (FARTHEST / np.maximum(lengths, 1.0))[:, None], ways)
        handles, parts = np.zeros(count, np.uint64), np.zeros(count)
        self._core.shoot(starts, np.ascontiguousarray(ways), _each(ticks, count, "ticks"), _entities(ignore, count),
                         shape.radius, *shape.ends, handles, parts)
        points = np.full((count, 3), np.nan)
        met = np.flatnonzero(handles)
        points[met] = starts[met] + ways[met] * parts[met, None]
        for blocked in walls if len(met) else ():
            met = np.flatnonzero(handles)
            hidden = met[np.asarray(blocked(starts[met], points[met]), np.bool_)]
            handles[hidden], parts[hidden] = 0, np.inf
        points[handles == 0] = np.nan
        return Hits(handles, parts, points)

    def within(self, centres: ArrayLike, radii: ArrayLike, ticks: ArrayLike, shape: Shape, *, ignore: ArrayLike = 0,
               map: Map | None = None) -> tuple[NDArray[np.intp], NDArray[np.uint64], Floats]:
        """All whose shape was within `radii` of `centres` at their ticks: (index of the centre, entity, distance to its
        surface), in order of centre, distance, entity. With a map those whose nearest point of their axis (from foot to
        head) nothing hides from the centre."""
        middle = _points(centres, "centres")
        count, when = len(middle), _each(ticks, len(middle), "ticks")
        which, handles, apart = self._core.within(
            middle, _each(radii, count, "radii"), when, _entities(ignore, count), shape.radius, *shape.ends)
        for blocked in _walls(map, centres, None) if len(which) else ():
            foot, head = np.array(shape.ends)
            feet = self.where(handles, when[which]) + foot
            along = ((middle[which] - feet) * (head - foot)).sum(axis=1) / (np.square(head - foot).sum() or 1.0)
            free = ~blocked(middle[which], feet + np.clip(along, 0.0, 1.0)[:, None] * (head - foot))
            which, handles, apart = which[free], handles[free], apart[free]
        order = np.lexsort((handles, apart, which))
        return which[order], handles[order], apart[order]


def _walls(map: Map | None, places: ArrayLike, blocked: Blocked | None) -> Sequence[Blocked]:
    """All that can stand in the way; of a map with the axes that the places were given with."""
    def hides(starts: Floats, ends: Floats) -> NDArray[np.bool_]:
        assert map is not None
        return ~map.reaches(starts[:, :axes], ends[:, :axes])
    axes = 3 if np.asarray(places).shape[-1] == 3 else 2
    return [*([hides] if map is not None else []), *([blocked] if blocked is not None else [])]


def _points(values: ArrayLike, what: str) -> Floats:
    points = np.asarray(values, np.float64)
    if points.ndim == 1 and points.size:
        points = points[None, :]
    if points.size == 0:
        return np.zeros((0, 3))
    if points.ndim != 2 or not 1 <= points.shape[1] <= 3:
        raise UsageError(f"{what} have shape {points.shape}; give (n, 2) or (n, 3)")
    out = np.zeros((len(points), 3))
    out[:, :points.shape[1]] = points
    return out


def _each(values: ArrayLike, count: int, what: str) -> Floats:
    try:
        return np.ascontiguousarray(np.broadcast_to(np.asarray(values, np.float64), (count,)))
    except ValueError:
        raise UsageError(f"{what}: give one number, or {count}") from None


def _entities(values: ArrayLike, count: int) -> NDArray[np.uint64]:
    try:
        return np.ascontiguousarray(np.broadcast_to(np.asarray(values, np.uint64), (count,)))
    except ValueError:
        raise UsageError(f"ignore: give one entity, or {count}") from None

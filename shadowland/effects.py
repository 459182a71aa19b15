"""Effects: buffs and debuffs with duration, stacking and periods, in columns; flags that follow from what is live.

    FROZEN = 1
    frost = Kind("frost", flags=FROZEN, duration_s=4)
    poison = Kind("poison", duration_s=10, period_s=1, amount=-3, stacking=Stacking.COUNT, most=5, group=2)
    effects = Effects(app.world, [frost, poison])

    @app.tick
    def step(t):
        for part in effects.step(t.number):                     # what is due, as columns
            hurt = part.periods
            rows = app.world.rows_of(hurt.targets)              # -1: gone meanwhile
            np.add.at(app.world[Player].health, rows[rows >= 0], hurt.amounts[rows >= 0])
        effects.apply(frost, targets, sources=casters)
        players.flags[:] = effects.flags(players.handles)
"""
import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland._core.world import effects as _core
from shadowland.errors import CapacityError, ConfigError, UsageError
from shadowland.world import World

__all__ = ["Applied", "Effects", "Happenings", "Kind", "Live", "Stacking"]

GROUPS: Final = 32
LONGEST_TICKS: Final = 1 << 31
FLAGS: Final = 0xFFFFFFFF


class Stacking(enum.IntEnum):
    """What happens when a kind is applied to an entity that has it."""

    REFRESH = _core.REFRESH         # it starts anew; the greater intensity stays
    COUNT = _core.COUNT             # it counts up to `most` and starts anew; amounts are multiplied
    APART = _core.APART             # up to `most` live side by side, each with its own time; the next to end gives way
    LONGEST = _core.LONGEST         # the one that ends later stays


class Applied(enum.IntEnum):
    """What became of one application."""

    REFUSED = _core.REFUSED         # a flag of the target blocks the kind, or the target is no entity
    NEW = _core.NEW
    REFRESHED = _core.REFRESHED
    STACKED = _core.STACKED
    REPLACED = _core.REPLACED
    IGNORED = _core.IGNORED         # LONGEST: what is there lasts longer
    NO_ROOM = _core.NO_ROOM         # all `capacity` effects are live


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fields:
    flags: int = 0
    blocked_by: int = 0
    duration_s: float = 0.0
    period_s: float = 0.0
    amount: int = 0
    stacking: Stacking = Stacking.REFRESH
    most: int = 1
    group: int = 0
    per_source: bool = False


@dataclass(frozen=True, slots=True)
class Kind(_Fields):
    """One sort of effect.

    flags        bits (32) that it sets on its target while it lives; those of two effects never clear each other.
    blocked_by   flags of a target on which it cannot be put.
    duration_s   seconds; 0: until it is dispelled.
    period_s     seconds between its periods; 0: none. A period that falls on the end still happens.
    amount       of each period, times intensity and stacks: negative harms, positive heals, as the game reads it.
    stacking     what applying it again does; `most`: how many stacks or effects side by side.
    group        0 to 31, for `dispel`.
    per_source   effects of two sources do not stack with each other.

    ConfigError names the kind, the field and what it may be.
    """

    name: str

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float, float]] = {
            "flags": (self.flags, 0, FLAGS), "blocked_by": (self.blocked_by, 0, FLAGS),
            "duration_s": (self.duration_s, 0, 1e6), "period_s": (self.period_s, 0, 1e6),
            "amount": (self.amount, -(1 << 31), (1 << 31) - 1), "most": (self.most, 1, 65535),
            "group": (self.group, 0, GROUPS - 1),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:                # so that NaN is refused too
                raise ConfigError(f"Kind {self.name!r}: {name} is {value}; it must be {low:,} to {high:,}")
        if self.most > 1 and self.stacking not in (Stacking.COUNT, Stacking.APART):
            raise ConfigError(f"Kind {self.name!r}: most is {self.most}, but {self.stacking.name} keeps one; "
                              "take stacking=Stacking.COUNT or Stacking.APART")
        if self.amount and not self.period_s:
            raise ConfigError(f"Kind {self.name!r}: it has an amount and no period; give period_s above 0")


@dataclass(frozen=True, slots=True)
class Happenings:
    """What happened to effects, in columns of one length.

    targets, sources   entities, uint64; source 0: nobody.     kinds    indices into `Effects.kinds`, uint8.
    amounts            of periods, int64; 0 for ends.           stacks   uint16.
    ticks              for which each was due, low 32 bits, uint32.
    """

    targets: NDArray[np.uint64]
    sources: NDArray[np.uint64]
    kinds: NDArray[np.uint8]
    amounts: NDArray[np.int64]
    stacks: NDArray[np.uint16]
    ticks: NDArray[np.uint32]
    _what: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.targets)

    def _only(self, what: int) -> "Happenings":
        chosen = self._what == what
        return Happenings(self.targets[chosen], self.sources[chosen], self.kinds[chosen], self.amounts[chosen],
                          self.stacks[chosen], self.ticks[chosen], self._what[chosen])

    @property
    def periods(self) -> "Happenings":
        """Those that are a period of an effect: damage, healing."""
        return self._only(_core.PERIOD)

    @property
    def ends(self) -> "Happenings":
        """Those that are the end of an effect's time."""
        return self._only(_core.END)


@dataclass(frozen=True, slots=True)
class Live:
    """One live effect of an entity. `seconds` are left; None: until it is dispelled."""

    kind: Kind
    source: int
    seconds: float | None
    stacks: int
    intensity: int


class Effects:
    """The effects of a world's entities. Entities that are despawned lose theirs without a happening.

    kinds        all sorts there are, at most 256.
    capacity     effects that live at once.
    happenings   rows of one part of a step.

    ConfigError for kinds that cannot be.
    """

    def __init__(self, world: World, kinds: Sequence[Kind], *, capacity: int = 100_000,
                 happenings: int = 16_384) -> None:
        if len(kinds) > _core.KINDS:
            raise ConfigError(f"{len(kinds)} kinds of effects; there can be {_core.KINDS}")
        names = [kind.name for kind in kinds]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f"two kinds of effects are called {min(twice)!r}; give each a name of its own")
        self.kinds, self.tick_hz = tuple(kinds), world.tick_hz
        try:
            self._core = _core.Effects(capacity, world.capacity, happenings)
        except ValueError as error:
            raise ConfigError(f"Effects: {error}") from None
        self._numbers = {kind.name: number for number, kind in enumerate(kinds)}
        self._tick = 0
        for number, kind in enumerate(kinds):
            self._core.define(
                number, flags=kind.flags, blocked_by=kind.blocked_by, duration=self._ticks(kind.duration_s),
                period=self._ticks(kind.period_s), amount=kind.amount, most=kind.most, stacking=int(kind.stacking),
                group=kind.group, per_source=kind.per_source)
        world.on_despawn(self._core.forget)

    def __len__(self) -> int:
        """Effects that are live."""
        return self._core.live

    def _ticks(self, seconds: float) -> int:
        """Seconds in ticks, at least one for what is not nothing."""
        return max(1, min(round(seconds * self.tick_hz), LONGEST_TICKS)) if seconds > 0 else 0

    def _number(self, kind: Kind) -> int:
        number = self._numbers.get(kind.name, -1)
        if number < 0 or self.kinds[number] != kind:
            raise UsageError(f"{kind.name!r} is none of these effects' kinds: {', '.join(self._numbers)}")
        return number

    def step(self, tick: int) -> Iterator[Happenings]:
        """Once a tick, with its number: let time pass and give what is due, in parts of at most `happenings` rows.

        Columns are copies: keep them, apply and dispel while you read. Ticks that were skipped are caught up.
        """
        self._tick = tick
        done = False
        while not done:
            done = self._core.step(tick)
            rows = self._core.happenings
            if len(rows):
                names = ("target", "source", "kind", "amount", "stacks", "tick", "what")
                # From a list: arguments from a generator, tick by tick, fill the interpreter's list of free tuples.
                yield Happenings(*[rows[name].copy() for name in names])

    def apply(self, kind: Kind, targets: ArrayLike, *, sources: ArrayLike = 0, intensity: ArrayLike = 1,
              duration_s: ArrayLike | None = None) -> NDArray[np.uint8]:
        """Put `kind` on each of `targets` (entities), in order; one result (Applied) for each.

        sources, intensity, duration_s   one value for all, or one each; duration: the kind's own unless given, 0 until
                                         dispelled.

        UsageError for a kind that is not one of these, or columns of different lengths.
        """
        number = self._number(kind)
        wanted = np.atleast_1d(np.asarray(targets, np.uint64))
        if duration_s is None:
            ticks = np.full(len(wanted), self._ticks(kind.duration_s), np.uint32)
        else:
            seconds = np.asarray(duration_s, np.float64)
            if not ((seconds >= 0) & (seconds <= 1e6)).all():
                raise UsageError(f"{kind.name!r}: duration_s must be 0 to 1,000,000 seconds")
            least = np.where(seconds > 0, 1, 0)
            ticks = np.clip(np.round(seconds * self.tick_hz), least, LONGEST_TICKS).astype(np.uint32)
        results = np.zeros(len(wanted), np.uint8)
        try:
            from_whom = np.broadcast_to(np.asarray(sources, np.uint64), wanted.shape)
            how_much = np.broadcast_to(np.asarray(intensity, np.int32), wanted.shape)
            how_long = np.broadcast_to(ticks, wanted.shape)
        except ValueError:
            problem = f"{kind.name!r}: sources, intensity and duration_s must be one value or {len(wanted)}"
            raise UsageError(problem) from None
        flat = np.ascontiguousarray
        self._core.apply(number, flat(wanted), flat(from_whom), flat(how_much), flat(how_long), self._tick, results)
        return results

    def apply_one(self, kind: Kind, target: int, *, source: int = 0, intensity: int = 1,
                  duration_s: float | None = None) -> Applied:
        """As `apply`, for one entity. CapacityError when there is no room."""
        result = Applied(int(self.apply(kind, [target], sources=source, intensity=intensity, duration_s=duration_s)[0]))
        if result == Applied.NO_ROOM:
            raise CapacityError(f"{kind.name!r} finds no room: {len(self)} effects are live; raise capacity=")
        return result

    def dispel(self, targets: ArrayLike, *, groups: Sequence[int] = (), most: int = 65535) -> int:
        """End effects of these groups (all groups if none is named) on each target, at most `most` on each, newest
        first, without a happening; returns how many in all."""
        if wrong := [group for group in groups if not 0 <= group < GROUPS]:
            raise UsageError(f"there is no group {wrong[0]}; groups are 0 to {GROUPS - 1}")
        bits = sum(1 << group for group in set(groups)) if groups else FLAGS
        wanted = np.ascontiguousarray(np.atleast_1d(np.asarray(targets, np.uint64)))
        return self._core.dispel(wanted, bits, min(max(most, 0), 65535))

    def flags(self, entities: ArrayLike) -> NDArray[np.uint32]:
        """For each entity the union of the flags of its live effects."""
        wanted = np.ascontiguousarray(np.atleast_1d(np.asarray(entities, np.uint64)))
        out = np.zeros(len(wanted), np.uint32)
        self._core.flags(wanted, out)
        return out

    def of(self, entity: int) -> list[Live]:
        """The live effects of one entity, newest first: for a tooltip, not for the hot path."""
        return [Live(self.kinds[kind], source, None if ends < 0 else max(0, ends - self._tick) / self.tick_hz, stacks,
                     intensity)
                for kind, source, ends, stacks, intensity in self._core.of(entity)]

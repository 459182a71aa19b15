"""Actions: what each needs, as data, and the batch that holds them against it."""
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland._core.world import authority_actions as _core
from shadowland.authority.map import Map, number
from shadowland.errors import ConfigError, UsageError

FLAGS: Final = 0xFFFFFFFF
NOBODYS: Final = 0xFFFFFFFF             # the number of no action


class Outcome(enum.IntEnum):
    """What became of one action. All but DONE cost nothing: no resources, no charge, no cooldown."""

    DONE = _core.DONE
    UNKNOWN = _core.UNKNOWN             # there is no action of that number
    BAD = _core.BAD                     # a place that is not a number, infinite or absurdly far
    STATE = _core.STATE                 # a flag forbids it, or one that it needs is not set
    COOLDOWN = _core.COOLDOWN           # too soon, or no charge is left
    RESOURCES = _core.RESOURCES         # not enough of something
    RANGE = _core.RANGE
    SIGHT = _core.SIGHT


RANGES: Final[dict[str, tuple[float, float, str]]] = {
    "cooldown_ms": (0, 1e8, "milliseconds"), "grace_ms": (0, 1e4, "milliseconds"), "eye": (0, 100, "metres"),
    "charges": (1, 1000, "uses"), "forbidden": (0, FLAGS, "flags"), "needed": (0, FLAGS, "flags"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What one sort of action needs.

    cooldown_ms   until it can be used again: exactly then it can. With charges, until the next charge is there.
    charges       uses that are saved up at most; all are there at first.
    grace_ms      so much earlier is in time: what jitter takes from an honest client. It makes nobody faster for long.
    range         metres between the places; exactly that far is within. None: any.
    needs_sight   the line between the places, both `eye` metres higher, must be free.
    cost          whole numbers of resources by name; exactly enough is enough.
    forbidden     flags of who acts that forbid it; needed: flags that must all be set.

    ConfigError names the field, its value and what it may be.
    """

    cooldown_ms: float = 0.0
    charges: int = 1
    grace_ms: float = 0.0
    range: float | None = None
    needs_sight: bool = False
    eye: float = 1.6
    cost: Mapping[str, int] = field(default_factory=dict)
    forbidden: int = 0
    needed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high, unit) in RANGES.items():
            value = getattr(self, name)
            whole = name in ("charges", "forbidden", "needed")
            if not number(value, low, high) or (whole and not isinstance(value, int)):
                raise ConfigError(f"Action: {name} is {value!r}; it must be {low:,} to {high:,.0f} ({unit})")
        if self.range is not None and not number(self.range, 0, 1e6):
            raise ConfigError(f"Action: range is {self.range!r}; it must be 0 to 1,000,000 (metres), or left out: any")
        if not isinstance(self.needs_sight, bool):
            raise ConfigError(f"Action: needs_sight is {self.needs_sight!r}; give true or false")
        if not isinstance(self.cost, Mapping) or any(
                not number(one, 0, 1 << 62) or not isinstance(one, int) for one in self.cost.values()):
            raise ConfigError(f"Action: cost is {self.cost!r}; give whole numbers by name, each 0 or more")


class Actions:
    """Holds actions against their rules, by the server's clock.

    actions     the rules by name, at most 256; their order gives the numbers that messages can carry.
    capacity    sessions.
    resources   names of what actions cost, at most 8; by default all that a cost names.
    map         for lines of sight; by default everything is seen.
    """

    def __init__(self, actions: Mapping[str, Action], *, capacity: int, resources: Sequence[str] | None = None,
                 map: Map | None = None) -> None:
        self.actions = dict(actions)
        self.map = map or Map()
        named = dict.fromkeys(name for action in self.actions.values() for name in action.cost)
        self.resources = tuple(named if resources is None else resources)
        if not 1 <= len(self.actions) <= _core.KINDS:
            raise ConfigError(f"Actions: {len(self.actions)} actions; give 1 to {_core.KINDS}")
        if len(self.resources) > _core.COSTS:
            raise ConfigError(f"Actions: {len(self.resources)} resources; at most {_core.COSTS} fit")
        if not number(capacity, 1, 1 << 24):
            raise ConfigError(f"Actions: capacity is {capacity!r}; give 1 to {1 << 24:,}")
        self._core = _core.Actions(self.map.core, capacity, len(self.actions))
        self._numbers = {name: index for index, name in enumerate(self.actions)}
        for name, action in self.actions.items():
            self.define(name, action)

    def number(self, name: str) -> int:
        """The number of an action, for messages."""
        if name not in self._numbers:
            raise UsageError(f"there is no action {name!r}; there are {', '.join(self._numbers)}")
        return self._numbers[name]

    def define(self, name: str, action: Action) -> None:
        """Change the rules of an action, from now on."""
        index = self.number(name)
        for cost in action.cost:
            if cost not in self.resources:
                raise ConfigError(f"Actions: {name} costs {cost!r}; the resources are {', '.join(self.resources)}")
        self._core.define(
            index, cooldown_us=round(action.cooldown_ms * 1000), grace_us=round(action.grace_ms * 1000),
            range=-1.0 if action.range is None else action.range, eye=action.eye,
            costs=tuple(action.cost.get(name, 0) for name in self.resources), forbidden=action.forbidden,
            needed=action.needed, charges=action.charges, needs_sight=action.needs_sight)
        self.actions[name] = action

    def reset(self, slot: int) -> None:
        """A new session has the slot: everything can be used."""
        self._core.full_us[slot] = 0

    def run(self, kinds: ArrayLike, *, slots: ArrayLike, times_us: ArrayLike, sources: ArrayLike, targets: ArrayLike,
            flags: ArrayLike = 0, rows: ArrayLike = 0,
            resources: Mapping[str, NDArray[Any]] | None = None) -> NDArray[np.uint8]:
        """Actions in their order; those that are DONE are paid for. Returns an Outcome each.

        kinds             numbers of actions, as the client sent them: one that is not there is UNKNOWN.
        slots, times_us   the session's slot, and when the server received it.
        sources, targets  (n, 2 or 3), the server's own places of who acts and of what it aims at.
        flags             of who acts, as shadowland.effects gives them; one for all, or one each.
        rows, resources   row of who acts in the columns of resources (int64), which are written.

        UsageError for a resource without column, IndexError for a slot or row that is not there.
        """
        given = np.atleast_1d(np.asarray(kinds))
        numbers = np.where((given >= 0) & (given < len(self.actions)), given, NOBODYS).astype(np.uint32)
        columns = [(resources or {}).get(name) for name in self.resources]
        for name, column in zip(self.resources, columns, strict=True):
            if column is None and any(action.cost.get(name) for action in self.actions.values()):
                raise UsageError(f"actions cost {name!r}; give resources={{{name!r}: its column}}")
        results = np.zeros(len(numbers), np.uint8)
        spread = np.broadcast_to
        flat = np.ascontiguousarray
        self._core.run(
            numbers, flat(slots, np.int64), flat(times_us, np.uint64), flat(spread(flags, numbers.shape), np.uint32),
            flat(sources, np.float64), flat(targets, np.float64), flat(spread(rows, numbers.shape), np.int64),
            columns, results)
        return results

"""Movement: rules of each class of mover as data, and the batch that holds inputs against them."""
import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland._core.world import authority as _core
from shadowland.authority.map import ALL, Map, number
from shadowland.errors import ConfigError, UsageError

Floats = NDArray[np.float64]


class Verdict(enum.IntFlag):
    """What was found about one input; 0: nothing."""

    OLD = _core.OLD                     # its number is not newer than the last one taken: nothing changed
    BAD = _core.BAD                     # not a number, infinite or absurdly far: it stands still
    LONG = _core.LONG                   # a direction longer than 1: cut
    HURRIED = _core.HURRIED             # more inputs than time: not simulated
    FAST = _core.FAST                   # further than the speed allows: moved as far as that
    ACCELERATED = _core.ACCELERATED     # further than the acceleration allows: likewise
    TELEPORTED = _core.TELEPORTED       # further than a whole allowance would lead: likewise
    TURNED = _core.TURNED               # turned faster than allowed: turned as far as that
    OUTSIDE = _core.OUTSIDE             # beyond the bounds: at them
    BLOCKED = _core.BLOCKED             # a blocked cell or too high a step in the way: slid along it, or stood
    AIRBORNE = _core.AIRBORNE           # above the ground without leave, or below it: on the ground
    LATE = _core.LATE                   # too much, but time that passed without inputs covers it: lag, no fault
    ADRIFT = _core.ADRIFT               # moves rightly from a place where it is not: it has not been corrected yet
    GAP = _core.GAP                     # inputs before it never came


# Field: lowest and highest value that it may have, and its unit.
RANGES: Final[dict[str, tuple[float, float, str]]] = {
    "speed": (0, 1e5, "metres a second"), "acceleration": (0, 1e6, "metres a second squared, 0: at once"),
    "turn_rate": (0, 1e4, "radians a second, 0: at once"), "step_height": (0, 1e4, "metres"),
    "jump_height": (0, 1e4, "metres, 0: none"), "jump_s": (0, 60, "seconds"),
    "velocity_step": (0, 1e3, "metres a second, 0: as they come"), "tolerance": (0, 100, "metres"),
    "claim_step": (0, 1, "metres, 0: exact"),
    "allowance_s": (0.01, 10, "seconds"), "lag_s": (0, 60, "seconds"), "blocked_by": (0, ALL, "bits"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How a class of movers may move.

    speed          metres a second; of walkers along the ground.
    acceleration   metres a second squared; 0: full speed at once.
    turn_rate      radians a second; 0: at once.
    step_height    metres that a walker can step up from cell to cell.
    jump_height    metres above the ground that a claim may be, for jump_s seconds at a time; 0: it stays on it.
    fly            moves along three axes; a height field is in its way where it is below it.
    blocked_by     bits of the map's cells that it cannot enter.
    velocity_step  velocities are whole steps of this, as the field's Quantized(step) has them: then what observers
                   predict is what happens. 0: as they come.
    tolerance      metres that the rounding of claims may add up to: two or three steps of what travels.
    claim_step     metres; the step of what travels, as the field's Quantized(step): half of it on each axis may have
                   put a claim into a wall or round a corner. 0: claims are exact.
    allowance_s    seconds of inputs that can be saved up, for bursts after a pause.
    lag_s          seconds beyond those that move nobody, but are forgiven.

    ConfigError names the field, its value and what it may be.
    """

    speed: float
    acceleration: float = 0.0
    turn_rate: float = 0.0
    step_height: float = 0.5
    jump_height: float = 0.0
    jump_s: float = 1.0
    fly: bool = False
    blocked_by: int = ALL
    velocity_step: float = 0.0
    tolerance: float = 0.05
    claim_step: float = 0.0
    allowance_s: float = 0.5
    lag_s: float = 3.0

    def __post_init__(self) -> None:
        for name, (low, high, unit) in RANGES.items():
            value = getattr(self, name)
            if not number(value, low, high) or (name == "blocked_by" and not isinstance(value, int)):
                raise ConfigError(f"Movement: {name} is {value!r}; it must be {low:,} to {high:,.0f} ({unit})")
        if not isinstance(self.fly, bool):
            raise ConfigError(f"Movement: fly is {self.fly!r}; give true or false")


class Movers:
    """Holds the inputs of a tick against the rules, and moves whom they let move.

    movements   the rules by name, or one for all.
    capacity    sessions; tick_hz: each input is one tick.
    map         where one can be; by default everywhere.

    inputs      input rows that moved somebody, hurried and old ones left out; `hurried`: those that did not for want of
                time; `corrections`: rows that `wrong` gave. Since the start.
    """

    def __init__(self, movements: Movement | Mapping[str, Movement], *, capacity: int, tick_hz: float,
                 map: Map | None = None) -> None:
        self.map = map or Map()
        self.movements = {"": movements} if isinstance(movements, Movement) else dict(movements)
        if not 1 <= len(self.movements) <= _core.KINDS:
            raise ConfigError(f"Movers: {len(self.movements)} movements; give 1 to {_core.KINDS}")
        if not number(tick_hz, 1, 1000) or not number(capacity, 1, 1 << 24):
            raise ConfigError(f"Movers: tick_hz is {tick_hz!r} and capacity {capacity!r}; "
                              f"give 1 to 1,000 and 1 to {1 << 24:,}")
        self.inputs = self.hurried = self.corrections = 0
        self._core = _core.Movers(self.map.core, capacity, 1.0 / tick_hz)
        self._kinds = {name: kind for kind, name in enumerate(self.movements)}
        for name, movement in self.movements.items():
            self.define(name, movement)
        self._found: NDArray[np.int64] = np.zeros(0, np.int64)

    def define(self, name: str, movement: Movement) -> None:
        """Change the rules of a class of movers, from now on."""
        self._core.define(self._kind(name), **{one.name: getattr(movement, one.name) for one in fields(Movement)})
        self.movements[name] = movement

    def _kind(self, name: str | None) -> int:
        if name is None:
            return 0
        if name not in self._kinds:
            raise UsageError(f"there is no movement {name!r}; there are {', '.join(map(repr, self._kinds))}")
        return self._kinds[name]

    def reset(self, slot: int, now_us: int, movement: str | None = None) -> None:
        """A new session has the slot: it may move at once. By default the first movement."""
        self._core.reset(slot, self._kind(movement), now_us)

    def change(self, slot: int, movement: str) -> None:
        """The session mounts a horse, or gets off it."""
        self._core.change(slot, self._kind(movement))

    @property
    def scale(self) -> NDArray[np.float32]:
        """A factor of each slot's speed, to be written: 0.5 slowed, 0 rooted, 1 after `reset`."""
        column: NDArray[np.float32] = self._core.state["scale"]
        return column

    @property
    def numbers(self) -> NDArray[np.uint32]:
        """The number of the last input of each slot that was taken."""
        column: NDArray[np.uint32] = self._core.state["number"]
        return column

    def steer(self, position: NDArray[Any], velocity: NDArray[Any], yaw: NDArray[Any] | None = None, *,
              rows: ArrayLike, slots: ArrayLike, directions: ArrayLike, times_us: ArrayLike,
              facings: ArrayLike | None = None, numbers: ArrayLike | None = None) -> NDArray[np.uint16]:
        """Inputs that are wishes, in their order: each is a tick of moving in its direction. Returns their verdicts.

        position, velocity   columns (n, 2 or 3) of the movers, float32 or float64: written. `yaw` (n,) likewise.
        rows, slots          of each input: the mover's row, its session's slot.
        directions           (m, 2 or 3), at most 1 long.
        times_us             when the server received each.
        facings              where each wants to look, in radians.
        numbers              of the inputs: an older one than before is not taken again.
        """
        return self._run(position, velocity, yaw, rows, slots, directions, times_us, facings, numbers, False)

    def claim(self, position: NDArray[Any], velocity: NDArray[Any], yaw: NDArray[Any] | None = None, *,
              rows: ArrayLike, slots: ArrayLike, positions: ArrayLike, times_us: ArrayLike,
              facings: ArrayLike | None = None, numbers: ArrayLike | None = None) -> NDArray[np.uint16]:
        """Inputs that say where the client is, in their order: each moves it there, or as far as it may. As `steer`
        otherwise. With `numbers` an input stands for those before it that never came."""
        return self._run(position, velocity, yaw, rows, slots, positions, times_us, facings, numbers, True)

    def _run(self, position: NDArray[Any], velocity: NDArray[Any], yaw: NDArray[Any] | None, rows: ArrayLike,
             slots: ArrayLike, wanted: ArrayLike, times_us: ArrayLike, facings: ArrayLike | None,
             numbers: ArrayLike | None, claims: bool) -> NDArray[np.uint16]:
        where = np.ascontiguousarray(rows, np.int64)
        verdicts = np.zeros(len(where), np.uint16)
        self._core.run(
            position, velocity, yaw, where, np.ascontiguousarray(slots, np.int64),
            np.ascontiguousarray(wanted, np.float64),
            None if facings is None else np.ascontiguousarray(facings, np.float64),
            None if numbers is None else np.ascontiguousarray(numbers, np.uint32),
            np.ascontiguousarray(times_us, np.uint64), claims, verdicts)
        hurried = int(np.count_nonzero(verdicts & Verdict.HURRIED))
        self.hurried += hurried
        self.inputs += len(verdicts) - hurried - int(np.count_nonzero(verdicts & Verdict.OLD))
        return verdicts

    def simulate(self, position: NDArray[Any], velocity: NDArray[Any], directions: ArrayLike, *,
                 rows: ArrayLike | None = None, scale: ArrayLike = 1.0,
                 movement: str | None = None) -> NDArray[np.uint16]:
        """One tick of moving in these directions, without a budget: what a client does to be where the server will
        have it, to the last bit, and a server with its own creatures. By default one direction for each row."""
        wanted = np.ascontiguousarray(directions, np.float64)
        where = np.arange(len(wanted)) if rows is None else np.ascontiguousarray(rows, np.int64)
        scales = np.ascontiguousarray(np.broadcast_to(np.asarray(scale, np.float64), (len(where),)))
        verdicts = np.zeros(len(where), np.uint16)
        self._core.walk(self._kind(movement), position, velocity, where, wanted, scales, verdicts)
        return verdicts

    def wrong(self, position: NDArray[Any], claims: ArrayLike, *, rows: ArrayLike, slots: ArrayLike, now_us: int,
              tolerance: float = 0.5, gap_s: float = 0.25) -> NDArray[np.int64]:
        """Indices of the inputs whose session is to be told where it is: the last of each session, if the place that
        it claims is more than `tolerance` metres from the truth (or is none) and it was not told within `gap_s`."""
        where = np.ascontiguousarray(rows, np.int64)
        if len(self._found) < len(where):
            self._found = np.zeros(2 * len(where), np.int64)
        found = self._found[:len(where)]
        count = self._core.wrong(position, where, np.ascontiguousarray(slots, np.int64),
                                 np.ascontiguousarray(claims, np.float64), tolerance, round(gap_s * 1e6), now_us, found)
        self.corrections += count
        return found[:count].copy()

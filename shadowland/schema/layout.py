"""Layout of an entity class for the world: its columns, and one row of numbers per component."""
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from shadowland._core.world.columns import COMPONENT_DTYPE
from shadowland.errors import ConfigError
from shadowland.schema.classes import Entity, contract_of
from shadowland.schema.fields import INT32_HIGH, Field, Kind

PREDICTED_TICKS: Final = 64
"""Longest prediction; a reference that is older has left the history."""

OFFSET, QUADRANT = 4, 5         # kinds of component that a field with quadrants has
KINDS: Final = {Kind.FLOAT: 0, Kind.INT: 1, Kind.ANGLE: 2, Kind.BOOL: 3, Kind.ENUM: 3, Kind.FLAGS: 3}
Some = TypeVar("Some", bound=Entity)


@dataclass(frozen=True, slots=True)
class Column:
    """One field as a column of the world: shape (n,) or, with several lanes, (n, lanes)."""

    name: str
    dtype: np.dtype[Any]
    lanes: int
    default: Any                    # what instances hold; None where the constructor must be given a value
    first: int                      # index of its first component; -1: Local, it has none
    field: Field

    @property
    def numbers(self) -> slice:
        """Where its components stand among those of the class."""
        return slice(self.first, self.first + len(self.field.widths))


@dataclass(frozen=True, slots=True, eq=False)
class Layout(Generic[Some]):
    """What the world needs to know of an entity class at one tick rate."""

    entity: type[Some]
    tick_hz: float
    components: NDArray[np.void]    # COMPONENT_DTYPE, read-only
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, Local ones included."""
        return tuple(column.name for column in self.columns)

    @property
    def record_bits(self) -> int:
        """Bits of all components as absolute values."""
        return int(self.components["bits"].sum())


def layout(cls: type[Some], tick_hz: float) -> Layout[Some]:
    """The layout of an Entity class when the world ticks `tick_hz` times a second.

    ConfigError for a tick rate that is no finite number above 0, and for a prediction whose steps lie too far apart.
    """
    if isinstance(tick_hz, bool) or not isinstance(tick_hz, (int, float)) or not 0 < tick_hz < math.inf:
        raise ConfigError(f"tick_hz is {tick_hz!r}; give a finite number above 0")
    if not (isinstance(cls, type) and issubclass(cls, Entity)):
        raise ConfigError(f"{cls!r} is not an entity class; derive it from sl.Entity")
    contract = contract_of(cls)
    rows: list[dict[str, float]] = []
    first: dict[str, int] = {}
    for index, field in enumerate(contract.fields.values()):
        first[field.name] = len(rows) if field.bits else -1
        if field.bits:
            rows += _components(field, index, len(rows), tick_hz)
    for field in contract.fields.values():
        if field.predicted_by:
            by = contract.fields[field.predicted_by]
            constants = _predicted(contract.name, field, by, tick_hz)
            for number in range(len(field.widths)):
                row = rows[first[field.name] + number]
                row |= constants | {"predict": first[by.name] + number % field.lanes}
                if row["kind"] != QUADRANT:
                    row |= _classes(field, int(row["bits"]), int(row["tolerance"]))
    components = np.zeros(len(rows), COMPONENT_DTYPE)
    for component, row in zip(components, rows, strict=True):
        for name, value in row.items():
            component[name] = value
    components.flags.writeable = False
    columns = tuple(
        Column(field.name, field.dtype, field.lanes, getattr(cls, field.name, None), first[field.name], field)
        for field in contract.fields.values())
    return Layout(cls, float(tick_hz), components, columns)


def _components(field: Field, column: int, first: int, tick_hz: float) -> list[dict[str, float]]:
    """Those of one field, the first of which is number `first` of the class."""
    common = {"predict": -1, "column": column, "lanes": field.lanes, "audience": field.audience,
              "rate_ticks": _rate_ticks(field.rate_hz, tick_hz)}
    rows = [common | {"lane": lane, "step": field.step, "low": field.low, "high": field.high, "bits": field.bits,
                      "kind": KINDS[field.kind]} | _classes(field, field.bits, 0) for lane in range(field.lanes)]
    if not field.edge:
        return rows
    offsets = [row | {"kind": OFFSET, "low": 0, "high": span - 1, "bits": bits, "pair": first + field.lanes + lane}
               | _classes(field, bits, 0)
               for lane, (row, span, bits) in enumerate(zip(rows, field.spans, field.widths, strict=False))]
    return offsets + [row | {"kind": QUADRANT, "step": edge, "pair": first + lane}
                      for lane, (row, edge) in enumerate(zip(rows, field.edge, strict=True))]


def _rate_ticks(rate_hz: float, tick_hz: float) -> int:
    """Least whole ticks between changes so that there are never more than `rate_hz` a second; 0: each tick."""
    if not rate_hz or rate_hz >= tick_hz:
        return 0
    return min(math.ceil(Fraction(str(tick_hz)) / Fraction(str(rate_hz))), 2**16 - 1)


def _classes(field: Field, bits: int, tolerance: int) -> dict[str, int]:
    """Widths of the two middle residual classes, in bits of the zigzag number.

    A residual of b-bit values needs b + 1 bits, of an angle b. `medium` covers what a walker's velocity or a turning
    walker's position changes by (511 steps); `small` what just outgrew the tolerance, or a small change of a number.
    """
    full = bits if field.kind is Kind.ANGLE else bits + 1
    small = (4 * tolerance).bit_length() if tolerance else 4
    medium = max(2, min(full, max(10, small + 4), 31))
    return {"small": max(1, min(small, medium - 1)), "medium": medium}


def prediction(step: float, velocity_step: float, velocity_limit: int, tick_hz: float) -> tuple[int, int]:
    """(num, s) so that after `dt` ticks a position has moved by (v * dt * num + 2**(s - 1)) >> s of its steps.

    step, velocity_step: in units, and units per second. velocity_limit: greatest |v| in velocity steps.

    s is the largest (at most 62) with velocity_limit * 64 * num + 2**(s - 1) <= 2**62: nothing overflows 64 bits for
    any v in range and dt <= 64, not even with a 32-bit position added. The displacement is off by at most
    1/2 + |v| * dt / 2**(s + 1) steps: half a step of rounding, and half a unit of num. As num is then 2**23 or more
    (unless s is 62), the second term is below one part in 2**24 of the way. Steps and rates are taken as the decimals
    they are written as. ValueError if one step of velocity would move the position too far for this within a tick
    (2**24 steps, for a velocity of 32 bits), or by nothing at all.
    """
    ratio = Fraction(repr(float(velocity_step))) / (Fraction(repr(float(step))) * Fraction(repr(float(tick_hz))))
    for shift in range(62, 0, -1):
        num = math.floor(ratio * 2**shift + Fraction(1, 2))
        if velocity_limit * PREDICTED_TICKS * num + 2 ** (shift - 1) <= 2**62:
            if num == 0:
                raise ValueError("one step of the velocity moves it by nothing")
            return num, shift
    raise ValueError("one step of the velocity moves it too far")


def _predicted(owner: str, field: Field, by: Field, tick_hz: float) -> dict[str, int]:
    try:
        num, shift = prediction(field.step, by.step, max(-by.low, by.high), tick_hz)
    except ValueError as error:
        raise ConfigError(f"{owner}.{field.name}: {error} ({by.step!r} a second against steps of {field.step!r}); "
                          f"bring the steps of {field.name!r} and {by.name!r} closer together") from None
    if field.tolerance is None:
        tolerance = max(1, math.ceil(by.step / (2 * field.step) - 1e-6))
    else:
        tolerance = math.floor(field.tolerance / field.step + 1e-6)
    most = INT32_HIGH if field.edge else field.high - field.low
    return {"num": num, "shift": shift, "tolerance": min(tolerance, most)}

"""What a field is once its annotation is understood: the one record that layouts, codecs and the hash are made from."""
import enum
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

INT32_LOW: Final = -(2**31)
INT32_HIGH: Final = 2**31 - 1


class Kind(enum.Enum):
    """How a value becomes quanta; the words stand in the canonical schema, so they are part of its hash."""

    FLOAT = "float"         # whole steps
    FLOAT32 = "float32"     # its own bits; messages only
    ANGLE = "angle"         # fractions of a turn, wraps
    INT = "int"
    BOOL = "bool"
    ENUM = "enum"           # IntEnum
    FLAGS = "flags"         # IntFlag
    TEXT = "text"           # UTF-8; messages only


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an Entity or a Message.

    `low` and `high` are in quanta (steps), `bits` is the width of `value - low`. A Local field has no bits. With `edge`
    they are those of a quadrant's number; its offsets are 0 to span - 1.
    """

    name: str
    kind: Kind
    lanes: int = 1
    step: float = 1.0
    low: int = 0
    high: int = 0
    bits: int = 0
    edge: tuple[float, ...] = ()            # of a quadrant, for each lane; () if the field has no quadrants
    audience: int = 0                       # 0 everybody, 1 the owner, 255 nobody; from 2 on as `group` says
    group: str = ""                         # GroupOnly: name of the sort of group
    rate_hz: float = 0.0                    # 0: each tick
    predicted_by: str = ""                  # name of the velocity field
    tolerance: float | None = None          # in units; None: from the velocity's step
    unit: bool = False
    max_length: int = 0                     # characters
    most: int = 0                           # elements of a list; 0: it is none, and all else speaks of one element
    members: tuple[int, ...] = ()           # of an enum, or (mask,) of flags
    enumeration: type[enum.IntEnum | enum.IntFlag] | None = None

    @property
    def local(self) -> bool:
        """True if the field never leaves the server."""
        return self.audience == 255

    @property
    def spans(self) -> tuple[int, ...]:
        """Steps along a quadrant's edge, for each lane."""
        return tuple(round(edge / self.step) for edge in self.edge)

    @property
    def widths(self) -> tuple[int, ...]:
        """Bits of each of its numbers, in the order in which they travel: with quadrants, first all offsets."""
        return (*((span - 1).bit_length() for span in self.spans), *(self.bits,) * self.lanes)

    @property
    def shape(self) -> str:
        """Its Python type in words."""
        if self.most:
            return "a list"
        if self.enumeration is not None:
            return self.enumeration.__name__
        if self.lanes > 1:
            return f"a Vec{self.lanes}"
        return {Kind.TEXT: "a text", Kind.ANGLE: "an angle", Kind.BOOL: "a bool", Kind.INT: "an int"}.get(
            self.kind, "a float")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a column of this field.

        Integers and enums are 64 bits wide, so that arithmetic in a system saturates when published and does not wrap
        before. A float column has 32 bits only when that resolves at least 16 parts of a step, never with quadrants.
        """
        if self.kind is Kind.BOOL:
            return np.dtype(np.bool_)
        if self.kind is Kind.TEXT or self.most:
            return np.dtype(np.object_)
        if self.kind in (Kind.INT, Kind.ENUM, Kind.FLAGS):
            return np.dtype(np.int64)
        few = self.bits <= 20 and max(-self.low, self.high) < 2**20        # and not far from 0
        narrow = self.kind in (Kind.FLOAT32, Kind.ANGLE) or few
        return np.dtype(np.float32 if narrow and not self.local and not self.edge else np.float64)

    def canonical(self) -> dict[str, object]:
        """Everything of the field that both sides must agree on, for the schema's hash. Defaults are not: each side
        has its own, and a field that travels always travels with its value."""
        entries: dict[str, object] = {"name": self.name, "kind": self.kind.value, "lanes": self.lanes}
        if self.most:
            entries["most"] = self.most
        if self.kind is Kind.TEXT:
            return {**entries, "max_length": self.max_length}
        entries |= {"step": self.step, "low": self.low, "high": self.high, "bits": self.bits}
        optional = {
            "audience": self.audience, "group": self.group, "rate_hz": self.rate_hz, "predicted_by": self.predicted_by,
            "unit": self.unit, "members": list(self.members), "edge": list(self.edge),
        }
        entries |= {key: value for key, value in optional.items() if value}
        if self.tolerance is not None:              # a tolerance of 0 is another thing than none
            entries["tolerance"] = self.tolerance
        return entries

"""The words of a class body: what a field is on the wire, beside its Python type.

They are plain records without checks of their own: a wrong one is refused when the class is created, where the error
can name the class and the field. `docs/schema.md` shows each one at work.
"""
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, final

from numpy.typing import NDArray


@final
@dataclass(frozen=True, slots=True)
class Lanes:
    """Marks Vec2 and Vec3; not for class bodies."""

    count: int


@final
@dataclass(frozen=True, slots=True)
class Turn:
    """Marks Angle; not for class bodies."""


Vec2: TypeAlias = Annotated[tuple[float, float] | NDArray[Any], Lanes(2)]
"""Two floats. Instances take a tuple or an array of length 2; columns are arrays of shape (n, 2)."""

Vec3: TypeAlias = Annotated[tuple[float, float, float] | NDArray[Any], Lanes(3)]
"""Three floats. Instances take a tuple or an array of length 3; columns are arrays of shape (n, 3)."""

Angle: TypeAlias = Annotated[float, Turn()]
"""Radians, any finite number; travels as a fraction of a turn and comes back in [-pi, pi).

A turn has 256 steps (1.4 degrees). `A[sl.Angle, sl.Quantized(step=0.001)]` takes the smallest power of two of steps
that are no longer than the one named.
"""


@final
@dataclass(frozen=True, slots=True)
class Quantized:
    """A float travels as a whole number of steps, rounded to the nearest (half a step upwards).

    `step` is in the field's own unit and above 0. Without a Range the number has 32 bits.
    """

    step: float


@final
@dataclass(frozen=True, slots=True)
class Quadrants:
    """A Quantized position in a world wider than 2**32 steps: the world is cut into quadrants, and what travels is the
    quadrant and the steps from its lower corner. Columns hold world units all the same, as float64.

    edge: of a quadrant, in the field's unit; one number, or one for each lane. A whole number of steps, 2 to 2**31.
    bits: width of a quadrant's number, 1 to 32: -2**(bits - 1) to 2**(bits - 1) - 1 along each axis.

    float64 resolves the step up to 2**53 steps from the middle; beyond, neighbouring steps are one float.
    """

    edge: float | tuple[float, ...]
    bits: int = 32


@final
@dataclass(frozen=True, slots=True)
class Predicted:
    """Between records both sides move the field by its velocity, and only what strays further is sent.

    by: name of the field that holds the velocity in units per second, with as many lanes as this one.
    tolerance: in this field's unit, how far the prediction may stray while moving. Left out, it is half a step of the
        velocity over one second, at least one step: rounding the velocity alone then asks for at most about one record
        a second. At rest the field is exact.
    """

    by: str
    tolerance: float | None = None


@final
@dataclass(frozen=True, slots=True)
class Range:
    """Least and greatest value, both included; fewer bits on the wire.

    Entities: what lies outside is moved to the bound when published, and counted. Messages: refused on both sides.
    """

    low: float
    high: float


@final
@dataclass(frozen=True, slots=True)
class Rate:
    """At most `hz` published changes a second. Changes between are not lost: the newest value goes when it is due."""

    hz: float


@final
@dataclass(frozen=True, slots=True)
class Unit:
    """A vector (or one float) of length at most 1, `bits` per lane (2 to 16), sign included.

    Encoding takes a length up to 1 + UNIT_TOLERANCE and rounds so that the decoded length is at most 1; decoding
    refuses anything longer, with no tolerance.
    """

    bits: int


@final
@dataclass(frozen=True, slots=True)
class MaxLen:
    """Most characters (Unicode code points) of a text; in UTF-8 it takes up to four bytes for each."""

    characters: int


@final
class Audience:
    """Type of OwnerOnly and Local."""

    __slots__ = ("_name", "code")

    def __init__(self, name: str, code: int) -> None:
        self._name = name
        self.code = code

    def __repr__(self) -> str:
        return self._name


OwnerOnly: Final = Audience("OwnerOnly", 1)
"""Only the owner of the entity is sent this field."""

@final
@dataclass(frozen=True, slots=True)
class GroupOnly:
    """Only the owner, and players whose avatar is of the same group as the entity, are sent this field.

    group: name of a sort of group, such as "party" or "team"; `World.set_group` says who is of which. A class speaks of
        at most five, a schema of sixteen.
    """

    group: str


Local: Final = Audience("Local", 255)
"""The field never leaves the server: any step, no range, no bytes."""

UNIT_TOLERANCE: Final = 1e-6
"""How far above 1 the length of a Unit vector may be when it is encoded: what normalising in float32 leaves."""

"""Values to quanta and back, one at a time and as columns.

Both ways divide and round alike: quanta = floor(value / step + 1/2), value = quanta * step. A value that its field
cannot hold is the caller's mistake: ValueError here, and whoever calls adds the class, field and row.
"""
import math
import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shadowland._core.wire.quantize import join, split
from shadowland.schema.annotations import UNIT_TOLERANCE
from shadowland.schema.fields import Field, Kind

TURN: Final = 2.0 * math.pi


def _number(value: object) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ValueError(f"{value!r} is not a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number!r} is not finite")
    return number


def lanes_of(field: Field, value: object) -> tuple[float, ...]:
    """The finite floats of a number or vector; anything else is a ValueError."""
    if field.lanes == 1:
        return (_number(value),)
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != field.lanes:
        raise ValueError(f"{value!r} is not a tuple of {field.lanes} numbers")
    return tuple(_number(lane) for lane in value)


def _within(field: Field, quantum: int) -> int:
    if not field.low <= quantum <= field.high:
        low, high = field.low * field.step, field.high * field.step
        text = f"{field.low} to {field.high}" if field.step == 1.0 else f"{low:g} to {high:g}"
        raise ValueError(f"it is outside {text}")
    return quantum


def _unit_quanta(field: Field, lanes: tuple[float, ...]) -> list[int]:
    length = math.sqrt(sum(lane * lane for lane in lanes))
    if length > 1.0 + UNIT_TOLERANCE:
        raise ValueError(f"its length is {length:g}, at most 1 is allowed: divide the vector by its length")
    scaled = [lane * field.high / max(length, 1.0) for lane in lanes]
    quanta = [math.floor(lane + 0.5) for lane in scaled]
    if sum(q * q for q in quanta) > field.high * field.high:
        quanta = [math.trunc(lane) for lane in scaled]      # rounding made it longer than 1: towards zero instead
    return quanta


def to_quanta(field: Field, value: object) -> list[int]:
    """The quanta of one value of a field that is not text; for FLOAT32 the bits as a signed integer."""
    if field.kind is Kind.BOOL:
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{value!r} is not True or False")
        return [int(value)]
    if field.kind in (Kind.INT, Kind.ENUM, Kind.FLAGS):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            raise ValueError(f"{value!r} is not an integer")
        number = _within(field, int(value))
        if not is_member(field, number):
            assert field.enumeration is not None
            raise ValueError(f"{number} is not a {field.enumeration.__name__}")
        return [number]
    lanes = lanes_of(field, value)
    if not all(math.isfinite(lane / field.step) for lane in lanes):
        raise ValueError("it is out of range")
    if field.kind is Kind.FLOAT32:
        try:
            return [struct.unpack("<i", struct.pack("<f", lane))[0] for lane in lanes]
        except OverflowError:
            raise ValueError(f"{value!r} is too large for 32 bits") from None
    if field.unit:
        return _unit_quanta(field, lanes)
    if field.kind is Kind.ANGLE:
        count = field.high - field.low + 1
        return [(math.floor(lane / field.step + 0.5) - field.low) % count + field.low for lane in lanes]
    if field.edge:
        pairs, beyond = _pairs(field, np.array([lanes]))
        if beyond.any():
            raise ValueError(f"it is outside the {2**field.bits} quadrants")
        return [int(quantum) for quantum in pairs[0]]
    return [_within(field, math.floor(lane / field.step + 0.5)) for lane in lanes]


def from_quanta(field: Field, quanta: list[int]) -> Any:
    """The value of quanta that the codec accepted."""
    if field.kind is Kind.BOOL:
        return bool(quanta[0])
    if field.enumeration is not None:
        return field.enumeration(quanta[0])
    if field.kind is Kind.INT:
        return quanta[0]
    if field.kind is Kind.FLOAT32:
        lanes = struct.unpack(f"<{len(quanta)}f", struct.pack(f"<{len(quanta)}i", *quanta))
    elif field.unit:
        lanes = tuple(quantum / field.high for quantum in quanta)       # exact at 1, which quantum * step is not
    elif field.edge:
        lanes = tuple(_joined(field, np.array([quanta], np.int32))[0].tolist())
    else:
        lanes = tuple(quantum * field.step for quantum in quanta)
    return lanes if field.lanes > 1 else lanes[0]


def is_member(field: Field, number: int) -> bool:
    """False if an enum or flags value inside the range has no name."""
    if field.kind is Kind.ENUM:
        return number in field.members
    return field.kind is not Kind.FLAGS or number & ~field.members[0] == 0


def checked_text(field: Field, value: object) -> str:
    """`value` if it is a text that fits the field."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    if len(value) > field.max_length:
        raise ValueError(f"it has {len(value)} characters, at most {field.max_length} are allowed")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds a lone surrogate, which UTF-8 cannot carry") from None
    return value


def _first(bad: NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(bad if bad.ndim == 1 else bad.any(axis=1))[0])


def _refuse(bad: NDArray[np.bool_], problem: str) -> None:
    if bad.any():
        raise ValueError(f"row {_first(bad)} {problem}")


def column_to_quanta(field: Field, values: object, count: int) -> NDArray[np.int32]:
    """A matrix of quanta from n values, or from one value for all rows: (n, lanes), with quadrants (n, 2 × lanes)."""
    shape = (count,) if field.lanes == 1 else (count, field.lanes)
    array = np.asarray(values)
    if array.dtype.kind not in ("b" if field.kind is Kind.BOOL else "iu" if field.dtype.kind == "i" else "iuf"):
        raise ValueError(f"an array of {array.dtype} does not fit, {field.dtype} is needed")
    try:
        array = np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"its shape is {array.shape}, {shape} is needed") from None
    matrix = array.reshape(count, field.lanes)
    if field.dtype.kind != "f":
        _refuse((matrix < field.low) | (matrix > field.high), f"is outside {field.low} to {field.high}")
        if field.kind is Kind.ENUM:
            _refuse(~np.isin(matrix, field.members), "has a value without a name")
        if field.kind is Kind.FLAGS:
            _refuse(matrix & ~field.members[0] != 0, "has a flag without a name")
        return matrix.astype(np.int32)
    floats = matrix.astype(np.float64)
    _refuse(~np.isfinite(floats), "is not finite")
    if field.kind is Kind.FLOAT32:
        with np.errstate(over="ignore"):
            narrow = floats.astype(np.float32)
        _refuse(~np.isfinite(narrow), "is too large for 32 bits")
        return narrow.view(np.int32)
    if field.unit:
        return _unit_column(field, floats)
    if field.edge:
        pairs, beyond = _pairs(field, floats)
        _refuse(beyond, "is out of range")
        return pairs
    with np.errstate(over="ignore", invalid="ignore"):
        quanta = np.floor(floats / field.step + 0.5)
        if field.kind is Kind.ANGLE:
            quanta = (quanta - field.low) % (field.high - field.low + 1) + field.low
    _refuse(~((quanta >= field.low) & (quanta <= field.high)), "is out of range")      # so that NaN is refused too
    return quanta.astype(np.int32)


def _pairs(field: Field, places: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Offsets and quadrants (n, 2 × lanes) of finite places (n, lanes), and which of these the world does not reach."""
    count, lanes = places.shape
    pairs, beyond = np.zeros((count, 2 * lanes), np.int32), np.zeros(places.shape, np.bool_)
    for lane, (edge, span) in enumerate(zip(field.edge, field.spans, strict=True)):
        quadrants, offsets = np.zeros(count, np.int32), np.zeros(count, np.int64)
        column = np.ascontiguousarray(places[:, lane])
        split(column, edge, field.step, quadrants, offsets)
        border = offsets >= span                            # rounded up to it: the next quadrant begins there
        numbers = quadrants.astype(np.int64) + border
        beyond[:, lane] = (numbers < field.low) | (numbers > field.high) | (column < field.low * edge - field.step / 2)
        pairs[:, lane] = np.where(border, 0, offsets)
        pairs[:, lanes + lane] = np.clip(numbers, field.low, field.high)
    return pairs, beyond


def _joined(field: Field, pairs: NDArray[np.int32]) -> NDArray[np.float64]:
    """The places (n, lanes) of such pairs."""
    lanes = field.lanes
    return np.column_stack([
        join(np.ascontiguousarray(pairs[:, lanes + lane]), pairs[:, lane].astype(np.int64), edge, field.step)
        for lane, edge in enumerate(field.edge)])


def _unit_column(field: Field, lanes: NDArray[np.float64]) -> NDArray[np.int32]:
    with np.errstate(over="ignore"):
        lengths = np.sqrt((lanes * lanes).sum(axis=1))
    _refuse(lengths > 1.0 + UNIT_TOLERANCE, "has a length above 1: divide the vectors by their lengths")
    scaled = lanes * field.high / np.maximum(lengths, 1.0)[:, None]
    quanta: NDArray[np.float64] = np.floor(scaled + 0.5)
    longer = (quanta * quanta).sum(axis=1) > field.high * field.high
    quanta[longer] = np.trunc(scaled[longer])
    return quanta.astype(np.int32)


def column_from_quanta(field: Field, matrix: NDArray[np.int32]) -> NDArray[Any]:
    """The column of such a matrix of quanta: shape (n,) or (n, lanes), type `field.dtype`."""
    if field.kind is Kind.FLOAT32:
        column: NDArray[Any] = np.ascontiguousarray(matrix).view(np.float32)
    elif field.unit:
        column = (matrix / np.float64(field.high)).astype(field.dtype)
    elif field.edge:
        column = _joined(field, matrix)
    elif field.dtype.kind == "f":
        column = (matrix * np.float64(field.step)).astype(field.dtype)
    else:
        column = matrix.astype(field.dtype)
    return column.reshape(-1) if field.lanes == 1 else column


def checked_list(field: Field, value: object) -> list[Any]:
    """`value` as a list whose every element fits the field."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise ValueError(f"{value!r} is not a list")
    if len(value) > field.most:
        raise ValueError(f"it has {len(value)} elements, at most {field.most} are allowed")
    for index, element in enumerate(value):
        try:
            checked_text(field, element) if field.kind is Kind.TEXT else to_quanta(field, element)
        except ValueError as error:
            raise ValueError(f"element {index}: {error}") from None
    return list(value)


def list_to_quanta(field: Field, value: object) -> list[Any]:
    """The elements of a list as the codec takes them: quanta, lane after lane, or UTF-8."""
    elements = checked_list(field, value)
    if field.kind is Kind.TEXT:
        return [text.encode() for text in elements]
    return [quantum for element in elements for quantum in to_quanta(field, element)]


def list_from_quanta(field: Field, found: Any) -> list[Any]:
    """A list from what the codec found."""
    if field.kind is Kind.TEXT:
        return list(found)
    numbers = found.tolist()
    return [from_quanta(field, numbers[at:at + field.lanes]) for at in range(0, len(numbers), field.lanes)]


def plain_list(field: Field, value: Any) -> list[Any]:
    """A list that can be compared: vectors as tuples."""
    return [tuple(element) for element in value] if field.lanes > 1 else list(value)

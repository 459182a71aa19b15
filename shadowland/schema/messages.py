"""Messages as columns and as instances, to payload bytes and back.

Decoding never raises, whatever the bytes: each payload is a message of the class or it is not. Encoding what a field
cannot hold is the caller's mistake: UsageError that names class, field and row.
"""
import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland._core.world.codec import ENUM, FLAGS, FLOAT32, RANGE, MessageCodec
from shadowland.errors import UsageError
from shadowland.schema.classes import Message, contract_of
from shadowland.schema.fields import Field, Kind
from shadowland.schema.values import (
    checked_text,
    column_from_quanta,
    column_to_quanta,
    from_quanta,
    list_from_quanta,
    list_to_quanta,
    to_quanta,
)

Some = TypeVar("Some", bound=Message)
KINDS: Final = {Kind.FLOAT32: FLOAT32, Kind.ENUM: ENUM, Kind.FLAGS: FLAGS}


class Packing:
    """The compiled codec of a message class and where each field stands in it."""

    def __init__(self, cls: type[Message]) -> None:
        contract = contract_of(cls)
        self.name = cls.__name__
        self.numbers: list[tuple[Field, slice]] = []
        self.texts = contract.texts
        codes: list[tuple[int, int, int, int, int, int, int]] = []
        for field in contract.components:
            self.numbers.append((field, slice(len(codes), len(codes) + len(field.widths))))
            codes += component_codes(field)
        self.width = len(codes)
        self.lists = contract.lists
        self.codec = MessageCodec(codes, [field.max_length for field in self.texts], list_codes(self.lists))


def component_codes(field: Field) -> list[tuple[int, int, int, int, int, int, int]]:
    """(kind, low, high, bits, lanes, unit_squared, members) of each component, as MessageCodec takes them."""
    kind, members = KINDS.get(field.kind, RANGE), 0
    if field.edge:
        offsets = [(RANGE, 0, span - 1, bits, 1, 0, 0) for span, bits in zip(field.spans, field.widths, strict=False)]
        return offsets + [(RANGE, field.low, field.high, field.bits, 1, 0, 0)] * field.lanes
    if field.kind is Kind.FLAGS:
        members = field.members[0]
    elif field.kind is Kind.ENUM:
        if len(field.members) == field.high - field.low + 1:
            kind = RANGE                                    # without gaps, and then it may span more than 64 values
        else:
            members = sum(1 << (member - field.low) for member in field.members)
    squared = field.high * field.high if field.unit else 0
    return [(kind, field.low, field.high, field.bits, 1 if lane else field.lanes, 0 if lane else squared, members)
            for lane in range(field.lanes)]


def list_codes(lists: list[Field]) -> list[tuple[tuple[int, int, int, int, int, int, int], int, int]]:
    """What MessageCodec takes for each list: its element, most elements, most characters of each."""
    text = (RANGE, 0, 1, 1, 1, 0, 0)                        # of a list of texts the element is not looked at
    return [(text if field.kind is Kind.TEXT else component_codes(field)[0], field.most, field.max_length)
            for field in lists]


def packing_of(cls: type[Message]) -> Packing:
    """The packing of a message class, made on first use."""
    packing = cls.__dict__.get("_packing")
    if not isinstance(packing, Packing):
        packing = Packing(cls)
        type.__setattr__(cls, "_packing", packing)
    return packing


class MessageColumns(Generic[Some]):
    """Many messages of one class: each field an array of n rows, in the order in which they came.

    Numbers have shape (n,), vectors (n, lanes), texts are arrays of str objects; of a list each row is an array of its
    own, (k,) or (k, lanes), or a list of str. A misspelt name is an AttributeError
    with a suggestion.
    """

    def __init__(self, cls: type[Some], columns: dict[str, NDArray[Any]], count: int) -> None:
        self._class, self._names, self._count = cls, tuple(columns), count
        self.__dict__.update(columns)

    def __len__(self) -> int:
        return self._count

    def __getattr__(self, name: str) -> NDArray[Any]:
        names = self.__dict__.get("_names", ())
        close = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names) or 'no fields'}"
        owner = self.__dict__["_class"].__name__ if "_class" in self.__dict__ else "columns"
        raise AttributeError(f"{owner} has no field {name!r}; {hint}", name=name, obj=self)

    def select(self, which: NDArray[Any]) -> "MessageColumns[Some]":
        """The rows that a mask or an array of indices names, copied."""
        columns = {name: self.__dict__[name][which] for name in self._names}
        return MessageColumns(self._class, columns, int(np.arange(self._count)[which].size))

    def row(self, index: int) -> Some:
        """Row `index` as an instance."""
        values: dict[str, Any] = {}
        for name, field in contract_of(self._class).fields.items():
            value = self.__dict__[name][index]
            if field.most:
                plain = value if field.kind is Kind.TEXT else value.tolist()
                values[name] = [field.enumeration(element) if field.enumeration else
                                tuple(element) if field.lanes > 1 else element for element in plain]
                continue
            if field.lanes > 1:
                value = tuple(value.tolist())
            elif field.kind is not Kind.TEXT:
                value = value.item()
            values[name] = field.enumeration(value) if field.enumeration else value
        return self._class(**values)

    def __iter__(self) -> Iterator[Some]:
        return (self.row(index) for index in range(self._count))

    def __repr__(self) -> str:
        return f"<{self._count} {self._class.__name__}: {', '.join(self._names)}>"


def _indices(values: ArrayLike) -> NDArray[np.uint32]:
    return np.ascontiguousarray(values, np.uint32)          # records of the inbox are strided; no copy if already plain


def decode_columns(cls: type[Some], arena: bytes | NDArray[np.uint8], offsets: ArrayLike,
                   lengths: ArrayLike) -> tuple[MessageColumns[Some], NDArray[np.bool_]]:
    """Decode payload i at arena[offsets[i]:][:lengths[i]]; the columns of all n rows, and which of them are messages.

    Rows that are not (wrong length, out of range, a Unit too long, a float that is not finite, a text that is not UTF-8
    or too long) are False in the mask and hold zeros, or empty texts.
    """
    packing = packing_of(cls)
    starts, sizes = _indices(offsets), _indices(lengths)
    count = len(starts)
    matrix = np.empty((count, packing.width), np.int32)
    spans = np.empty((count, len(packing.texts) + len(packing.lists), 2), np.uint32)
    ok = np.empty(count, np.bool_)
    packing.codec.decode(arena, starts, sizes, matrix.reshape(-1), spans.reshape(-1), ok.view(np.uint8))
    found = {field.name: column_from_quanta(field, matrix[:, where]) for field, where in packing.numbers}
    for index, field in enumerate(packing.texts):
        data = memoryview(arena)  # type: ignore[arg-type]  # ndarray has the buffer protocol; 3.11 cannot say so
        texts = np.empty(count, np.object_)
        for row, (offset, size) in enumerate(spans[:, index].tolist()):
            texts[row] = str(data[offset:offset + size], "utf-8")
        found[field.name] = texts
    for index, field in enumerate(packing.lists):
        rows = np.empty(count, np.object_)
        for row, (offset, size) in enumerate(spans[:, len(packing.texts) + index].tolist()):
            elements = packing.codec.list_at(index, arena, offset, size)
            rows[row] = elements if field.kind is Kind.TEXT else column_from_quanta(
                dataclasses.replace(field, most=0), elements.reshape(-1, field.lanes))
        found[field.name] = rows
    return MessageColumns(cls, {name: found[name] for name in contract_of(cls).fields}, count), ok


def _count(cls: type[Message], arrays: dict[str, ArrayLike]) -> int:
    fields = contract_of(cls).fields
    for name, values in arrays.items():
        shape = np.shape(values)
        if len(shape) == (2 if fields[name].lanes > 1 else 1):
            return int(shape[0])
    raise UsageError(f"{cls.__name__}: none of the arguments is a column; give the count of messages before them")


def encode_columns(cls: type[Message], count: int | None = None, /,
                   **arrays: ArrayLike) -> tuple[NDArray[np.uint8], NDArray[np.uint32], NDArray[np.uint32]]:
    """Encode n messages: (arena, offsets, lengths), payload i at arena[offsets[i]:][:lengths[i]].

    arrays: by field, n rows or one value for all; a field left out takes its default. count: n, needed only when no
    argument has rows. UsageError names the first row that does not fit.
    """
    packing, fields = packing_of(cls), contract_of(cls).fields
    for name in arrays:
        if name not in fields:
            close = difflib.get_close_matches(name, fields, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{cls.__name__} has no field {name!r}{hint}")
    for name in fields:
        if name not in arrays and not hasattr(cls, name):
            raise UsageError(f"{cls.__name__}.{name} has no default; give its column")
    n = _count(cls, arrays) if count is None else count
    if packing.lists:
        return _encode_each(cls, n, arrays)
    values: dict[str, Any] = {name: arrays.get(name, getattr(cls, name, None)) for name in fields}
    matrix = np.empty((n, packing.width), np.int32)
    spans = np.empty((n, len(packing.texts), 2), np.uint32)
    field = None
    try:
        for field, where in packing.numbers:
            matrix[:, where] = column_to_quanta(field, values[field.name], n)
        texts: list[bytes] = []
        start = 0
        for index, field in enumerate(packing.texts):
            column = values[field.name]
            rows = [column] * n if isinstance(column, str) else list(column)
            if len(rows) != n:
                raise ValueError(f"it has {len(rows)} rows, {n} are needed")
            for row, text in enumerate(rows):
                encoded = checked_text(field, text).encode()
                spans[row, index] = start, len(encoded)
                texts.append(encoded)
                start += len(encoded)
    except ValueError as error:
        assert field is not None
        raise UsageError(f"{cls.__name__}.{field.name}: {error}") from None
    arena = np.empty(n * (packing.codec.fixed_bytes + 3 * len(packing.texts)) + start, np.uint8)
    offsets, lengths = np.empty(n, np.uint32), np.empty(n, np.uint32)
    used = packing.codec.encode(matrix.reshape(-1), b"".join(texts), spans.reshape(-1), arena, offsets, lengths)
    if used < 0:                                            # what was checked above, checked again by the kernel
        raise UsageError(f"{cls.__name__}: row {-1 - used} does not fit")
    return arena[:used], offsets, lengths


def _encode_each(cls: type[Message], count: int, arrays: dict[str, ArrayLike]) -> tuple[
        NDArray[np.uint8], NDArray[np.uint32], NDArray[np.uint32]]:
    """A class with lists: as `encode_one` of each row, at its cost. Lists and arrays have rows, all else is for all."""
    fields = contract_of(cls).fields
    columns: dict[str, list[Any]] = {}
    for name, values in arrays.items():
        least = 2 if fields[name].lanes > 1 or fields[name].most else 1
        shared = values.ndim < least if isinstance(values, np.ndarray) else not isinstance(values, list)
        columns[name] = [values] * count if shared else list(values)  # type: ignore[arg-type]
        if len(columns[name]) != count:
            raise UsageError(f"{cls.__name__}.{name}: it has {len(columns[name])} rows, {count} are needed")
    payloads = [encode_one(cls(**{name: values[row] for name, values in columns.items()})) for row in range(count)]
    lengths = np.array([len(payload) for payload in payloads], np.uint32)
    offsets = (np.cumsum(lengths) - lengths).astype(np.uint32)
    return np.frombuffer(b"".join(payloads), np.uint8), offsets, lengths


def decode_one(cls: type[Some], payload: bytes) -> Some | None:
    """The message in `payload`; None if it is not exactly one message of this class."""
    packing = packing_of(cls)
    found = packing.codec.decode_one(payload)
    if found is None:
        return None
    numbers, tails = found
    values: dict[str, Any] = {field.name: from_quanta(field, numbers[where]) for field, where in packing.numbers}
    for field, tail in zip(packing.texts + packing.lists, tails, strict=True):
        values[field.name] = list_from_quanta(field, tail) if field.most else tail
    return cls(**values)


def encode_one(message: Message) -> bytes:
    """The payload of a message. UsageError names the field that does not fit."""
    packing = packing_of(type(message))
    numbers: list[int] = []
    texts: list[bytes] = []
    lists: list[list[Any]] = []
    field = None
    try:
        for field, _ in packing.numbers:
            numbers += to_quanta(field, getattr(message, field.name))
        for field in packing.texts:
            texts.append(checked_text(field, getattr(message, field.name)).encode())
        for field in packing.lists:
            lists.append(list_to_quanta(field, getattr(message, field.name)))
    except ValueError as error:
        assert field is not None
        raise UsageError(f"{packing.name}.{field.name}: {error}") from None
    payload = packing.codec.encode_one(numbers, texts, lists)
    if payload is None:
        raise UsageError(f"{packing.name}: it does not fit")
    return payload

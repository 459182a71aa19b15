"""Invariant: whatever is read or written in any order, values, positions and failures are the reference's."""
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.wire.cursor import FlatBuffer
from shadowland.errors import UsageError
from tests.reference import cursor as reference

KINDS = [*reference.LAYOUTS, "uvarint", "varint", "bytes"]


def value_of(kind: str) -> st.SearchStrategy[int | float | bytes]:
    if kind == "bytes":
        return st.binary(max_size=6)
    if kind in ("f32", "f64"):
        return st.floats(width=32 if kind == "f32" else 64)
    if kind in ("i64", "varint"):
        return st.integers(-2**63, 2**63 - 1)
    return st.integers(0, 2 ** (64 if kind == "uvarint" else int(kind[1:])) - 1)


writes = st.lists(st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), value_of(kind))), max_size=12)


def same(left: object, right: object) -> bool:
    """Equal, or floats of the same bits (NaN is not equal to itself)."""
    if isinstance(left, float) and isinstance(right, float):
        return struct.pack("<d", left) == struct.pack("<d", right) or (math.isnan(left) and math.isnan(right))
    return left == right


@given(writes, st.integers(0, 60))
def test_writing_and_reading_back(steps: list[tuple[str, int | float | bytes]], capacity: int) -> None:
    buffer, writer = FlatBuffer(bytearray(capacity)), reference.Writer(capacity)
    for kind, value in steps:
        getattr(buffer, f"write_{kind}")(value)
        writer.write(kind, value)
        assert bytes(buffer.written) == writer.written
        assert buffer.failed == writer.failed
        assert buffer.room == capacity - len(writer.written)
    if not writer.failed:
        buffer.rewind()
        for kind, value in steps:
            size = (len(value),) if isinstance(value, bytes) else ()
            assert same(getattr(buffer, f"read_{kind}")(*size), value)
        assert buffer.left == 0 and not buffer.failed


# Small bytes make canonical, over-long and cut-off varints all common.
streams = st.lists(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]), max_size=30).map(bytes)


@given(streams, st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 40)), max_size=12), st.integers(0, 12))
def test_reading_anything(data: bytes, steps: list[tuple[str, int]], stale: int) -> None:
    """`stale` bytes lie behind those received, as in a slot of an arena that is used again; they never show."""
    buffer, reader = FlatBuffer(data + b"\x55" * stale, len(data)), reference.Reader(data)
    for kind, size in steps:
        arguments = (size,) if kind == "bytes" else ()
        assert same(getattr(buffer, f"read_{kind}")(*arguments), reader.read(kind, size))
        assert (buffer.failed, buffer.left) == (reader.failed, len(reader.left))
        assert buffer.position == len(data) - len(reader.left)


def test_a_size_near_the_top_does_not_wrap_around() -> None:
    buffer = FlatBuffer(b"abcdef")
    buffer.read_u16()
    assert buffer.read_bytes(2**64 - 1) == b"" and buffer.failed      # position + size would be 1


def test_read_only_memory_has_room_for_nothing() -> None:
    memory = b"abc"
    buffer = FlatBuffer(memory)
    buffer.write_u8(0)
    assert buffer.failed and memory == b"abc"


def test_a_length_beyond_the_memory_is_refused() -> None:
    for length in (4, -1):
        with pytest.raises(UsageError, match="not within the memory of 3 bytes"):
            FlatBuffer(b"abc", length)


def test_the_memory_is_the_callers_and_cannot_shrink_meanwhile() -> None:
    memory = bytearray(4)
    buffer = FlatBuffer(memory)
    buffer.write_u16(0x0201)
    assert memory == b"\x01\x02\0\0"
    with pytest.raises(BufferError):
        memory.clear()


def test_a_number_that_is_too_large_is_the_callers_mistake() -> None:
    with pytest.raises(OverflowError):
        FlatBuffer(bytearray(4)).write_u8(256)

"""Invariant: bits, positions and the moment of failure are the reference's, and a class-coded number has one form."""
import enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.wire import bits
from shadowland._core.wire.bits import BitBuffer
from shadowland.errors import UsageError
from tests.reference import bits as reference
from tests.reference.varint import unzigzag

counts = st.one_of(st.integers(0, 57), st.sampled_from([1, 7, 8, 9, 56, 57]))
numbers = st.integers(0, 2**64 - 1)
widths = st.integers(1, 31).flatmap(lambda small: st.tuples(st.just(small), st.integers(small + 1, 32)))
residuals = st.builds(lambda power, off: unzigzag(min(max(2**power + off, 0), 2**32 - 1)),
                      st.integers(0, 32), st.integers(-1, 1))


@given(st.lists(st.tuples(numbers, counts), max_size=20), st.integers(0, 40), st.integers(0, 255))
def test_writing_over_whatever_lay_there(steps: list[tuple[int, int]], capacity: int, dirt: int) -> None:
    memory = bytearray([dirt]) * capacity
    buffer, writer = BitBuffer(memory), reference.Writer(capacity)
    for value, count in steps:
        buffer.write(value, count)
        writer.write(value, count)
        assert (buffer.write_position, buffer.failed) == (len(writer.bits), writer.failed)
        assert buffer.written == writer.written


@given(st.binary(max_size=40), st.lists(counts, max_size=30))
def test_reading_anything(data: bytes, steps: list[int]) -> None:
    buffer, reader = BitBuffer(bytearray(data)), reference.Reader(data)
    for count in steps:
        assert buffer.read(count) == reader.read(count)
        assert (buffer.read_position, buffer.failed) == (reader.position, reader.failed)


@given(st.integers(0, 7), st.integers(1, 9), st.integers(-1, 2))
def test_the_last_bit_fits_and_the_next_does_not(offset: int, size: int, beyond: int) -> None:
    """From any place in a byte to the end, one less, up to two more: only what is there can be read or written."""
    count = 8 * size - offset + beyond
    parts = [offset, *[7] * (count // 7), count % 7]
    data = b"\xa7" * size
    buffer, reader, writer = BitBuffer(bytearray(data)), reference.Reader(data), reference.Writer(size)
    for part in (parts if count > 57 else [offset, max(count, 0)]):
        assert buffer.read(part) == reader.read(part)
    assert (buffer.read_position, buffer.failed) == (reader.position, reader.failed)
    buffer = BitBuffer(bytearray(data))
    for part in (parts if count > 57 else [offset, max(count, 0)]):
        buffer.write(2**57 - 1, part)
        writer.write(2**57 - 1, part)
    assert (buffer.write_position, buffer.failed) == (len(writer.bits), writer.failed)
    assert buffer.written == writer.written


def test_more_than_the_most_bits_fails() -> None:
    for count in (58, 64, 2**32 - 1):
        buffer = BitBuffer(bytearray(20))
        assert buffer.read(count) == 0 and buffer.failed
        buffer = BitBuffer(bytearray(20))
        buffer.write(0, count)
        assert buffer.failed and buffer.write_position == 0


@given(st.lists(st.tuples(residuals, widths), min_size=1, max_size=12))
def test_class_coded_numbers_there_and_back(steps: list[tuple[int, tuple[int, int]]]) -> None:
    buffer, writer = BitBuffer(bytearray(60)), reference.Writer(60)
    for value, (small, medium) in steps:
        before = len(writer.bits)
        buffer.write_class(value, small, medium)
        writer.write_class(value, small, medium)
        assert bits.class_size(value, small, medium) == len(writer.bits) - before
    assert buffer.written == writer.written
    assert [buffer.read_class(small, medium) for _, (small, medium) in steps] == [value for value, _ in steps]


@given(st.integers(0, 2**40 - 1), widths)
def test_class_coded_bits_are_accepted_or_refused_alike(pattern: int, width: tuple[int, int]) -> None:
    data = pattern.to_bytes(5, "little")
    buffer, reader = BitBuffer(bytearray(data)), reference.Reader(data)
    assert buffer.read_class(*width) == reader.read_class(*width)
    assert (buffer.failed, buffer.read_position) == (reader.failed, reader.position)


@given(st.sampled_from([1, 2, 3]), st.integers(0, 2**33), widths)
def test_a_class_larger_than_needed_is_refused(kind: int, value: int, width: tuple[int, int]) -> None:
    """Payloads around the borders of the classes: random bits hardly ever hold a small number in a wide class."""
    payload = value % 2 ** min(33, (width[0] + 1, width[1] + 1, 33)[kind - 1])
    data = (payload << 2 | kind).to_bytes(8, "little")
    buffer, reader = BitBuffer(bytearray(data)), reference.Reader(data)
    assert (buffer.read_class(*width), buffer.failed) == (reader.read_class(*width), reader.failed)


@given(st.binary(min_size=1, max_size=3), st.integers(0, 24))
def test_padding_must_be_zero(data: bytes, count: int) -> None:
    buffer, reader = BitBuffer(bytearray(data)), reference.Reader(data)
    assert buffer.read(count) == reader.read(count)
    assert buffer.read_padding() == reader.read_padding()
    assert buffer.read_position == reader.position


def test_flags_are_numbers() -> None:
    class State(enum.IntFlag):
        ALIVE = 1
        MOVING = 4
        FALLING = 0x40

    buffer = BitBuffer(bytearray(2))
    buffer.write(1, 1)
    buffer.write(State.ALIVE | State.FALLING, 7)
    assert buffer.read(1) == 1 and State(buffer.read(7)) == State.ALIVE | State.FALLING


def test_class_widths_that_cannot_be_are_named() -> None:
    for small, medium in ((0, 4), (4, 4), (8, 4), (4, 33)):
        with pytest.raises(UsageError, match="1 <= small < medium <= 32"):
            bits.class_size(0, small, medium)

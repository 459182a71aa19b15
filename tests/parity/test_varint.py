"""Invariant: every number has the reference's bytes, and exactly the bytes that the reference accepts are read."""
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.wire import varint
from tests.reference import varint as reference

# Around every power of two: there the number of bytes changes. Uniform numbers nearly all take nine or ten.
edges = st.builds(lambda power, off: min(max(2**power + off, 0), 2**64 - 1), st.integers(0, 64), st.integers(-2, 2))
signed = edges.map(reference.unzigzag)
# Bytes in which groups, continuations and zeros at the end are all likely.
short = st.lists(st.sampled_from([0x00, 0x01, 0x02, 0x7F, 0x80, 0x81, 0xFF]), max_size=12).map(bytes)
# The tenth byte holds one bit only: whether it is refused in time shows nowhere else.
long = st.builds(lambda more, size, last: bytes([more]) * size + bytes([last]),
                 st.sampled_from([0x80, 0x81, 0xFF]), st.integers(8, 10), st.sampled_from([0, 1, 2, 3, 0x40, 0x7F]))
stream = short | long


@given(edges)
def test_unsigned_numbers(value: int) -> None:
    data = varint.encode_unsigned(value)
    assert data == reference.encode_unsigned(value)
    assert varint.decode_unsigned(data + b"\xff") == (value, len(data))


@given(signed)
def test_signed_numbers(value: int) -> None:
    data = varint.encode(value)
    assert data == reference.encode(value)
    assert varint.decode(data) == (value, len(data))


@given(stream)
def test_any_bytes_are_read_or_refused_alike(data: bytes) -> None:
    assert varint.decode_unsigned(data) == reference.decode_unsigned(data)
    assert varint.decode(data) == reference.decode(data)


@given(st.lists(signed, max_size=40))
def test_arrays_there_and_back(values: list[int]) -> None:
    data = varint.encode_array(np.array(values, dtype=np.int64))
    assert data == b"".join(map(reference.encode, values))
    decoded, used = varint.decode_array(data, len(values))
    assert decoded.tolist() == values and used == len(data)


@given(st.lists(stream, max_size=6).map(b"".join), st.integers(0, 30))
def test_arrays_stop_where_the_reference_stops(data: bytes, count: int) -> None:
    decoded, used = varint.decode_array(data, count)
    assert (decoded.tolist(), used) == reference.decode_array(data, count)


@given(st.lists(signed, max_size=12), st.integers(0, 60))
def test_arrays_fill_the_callers_memory_as_far_as_whole_numbers_fit(values: list[int], capacity: int) -> None:
    encoded = [reference.encode(value) for value in values]
    good = max(count for count in range(len(values) + 1) if len(b"".join(encoded[:count])) <= capacity)
    memory = bytearray(b"\x55" * (capacity + 12))
    used = len(b"".join(encoded[:good]))
    assert varint.encode_into(np.array(values, dtype=np.int64), memoryview(memory)[:capacity]) == (good, used)
    assert memory == b"".join(encoded[:good]) + b"\x55" * (capacity + 12 - used)


def test_a_count_from_a_peer_costs_no_memory() -> None:
    decoded, used = varint.decode_array(b"\x02", 2**62)
    assert decoded.tolist() == [1] and used == 1

"""Invariant: fields and bytes of the header are the reference's, at any address, and never of less than 14 bytes."""
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.wire import header
from tests.reference import header as reference


@given(st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**64 - 1))
def test_bytes_of_fields(connection_id: int, channel: int, flags: int, sequence: int) -> None:
    packed = header.pack(connection_id, channel, flags, sequence)
    assert packed == reference.pack(connection_id, channel, flags, sequence)


@given(st.binary(max_size=40), st.integers(0, 8))
def test_fields_of_bytes_at_any_address(datagram: bytes, shift: int) -> None:
    moved = memoryview(bytes(shift) + datagram)[shift:]
    assert header.parse(moved) == reference.parse(datagram)

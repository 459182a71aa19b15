"""Invariant: however the bytes are asked for, they are the reference's stream, and none of them stays in memory."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.crypto import drbg
from tests.reference import drbg as reference

seeds = st.binary(min_size=32, max_size=32)
sizes = st.lists(st.sampled_from([0, 1, 4, 8, 32, 448, 479, 480, 481, 960, 1000]), max_size=8)


@given(seeds, sizes)
def test_stream_is_the_references(seed: bytes, asked: list[int]) -> None:
    ours, model = drbg.Generator(seed), reference.Generator(seed)
    for size in asked:
        assert ours.fill(size) == model.fill(size)
    assert ours.u32() == int.from_bytes(model.fill(4), "little")
    assert ours.u64() == int.from_bytes(model.fill(8), "little")


@given(seeds, sizes)
def test_what_was_given_is_erased(seed: bytes, asked: list[int]) -> None:
    ours = drbg.Generator(seed)
    assert ours.remembers(seed)                             # not used yet: the seed is the key
    for size in asked:
        given_bytes = ours.fill(size)
        for at in range(0, size - 8, 8):
            chunk = given_bytes[at:at + 8]
            assert not any(chunk) or not ours.remembers(chunk)
    ours.fill(1)
    assert not any(seed) or not ours.remembers(seed)        # key erasure: no way back


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        drbg.Generator(bytes(31))

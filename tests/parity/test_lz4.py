"""LZ4 against the lz4 package, another door to the same library, and against a reader written from the description."""
import lz4.block
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shadowland._core.compress import lz4 as compiled
from shadowland._core.crypto import keys
from tests.reference import lz4 as reference
from tests.reference.protocol import uvarint

LIMIT = 1 << 18
TEXT = st.lists(st.sampled_from([b"the dragon ", b"sleeps ", b"a", b"\0\0\0\0", bytes(range(40)), b"xyxyxyxy"]),
                max_size=300).map(b"".join)
DATA = st.binary(max_size=400) | TEXT


@given(DATA)
def test_what_is_packed_is_unpacked_by_all_three(data: bytes) -> None:
    packed = compiled.pack(data)
    if packed is None:
        assert len(uvarint(len(data))) + len(lz4.block.compress(data, store_size=False)) >= len(data)
        return
    head = uvarint(len(data))
    assert packed.startswith(head) and len(packed) < len(data)
    assert lz4.block.decompress(packed[len(head):], uncompressed_size=len(data)) == data
    assert reference.unpack(packed, LIMIT) == compiled.unpack(packed, LIMIT) == data


@given(DATA.filter(bool), st.sampled_from(["default", "fast", "high_compression"]))
def test_every_mode_of_another_compressor_is_read(data: bytes, mode: str) -> None:
    block = lz4.block.compress(data, mode=mode, store_size=False)
    packed = uvarint(len(data)) + block
    assert compiled.unpack(packed, LIMIT) == reference.unpack(packed, LIMIT) == data


def foreign(packed: bytes, head: int, declared: int) -> bytes | None:
    try:
        found = lz4.block.decompress(packed[head:], uncompressed_size=declared)
    except (lz4.block.LZ4BlockError, ValueError):
        return None
    return found if len(found) == declared else None


@given(DATA, st.data())
def test_spoilt_bytes_are_read_alike_or_not_at_all(data: bytes, drawn: st.DataObject) -> None:
    """What is accepted is what the description makes of it. LZ4 also refuses blocks that end against its own rules for
    compressors (the last five bytes are literals), which the plain reader takes."""
    declared = drawn.draw(st.integers(1, 600) | st.just(max(len(data), 1)))
    block = bytearray(lz4.block.compress(data, store_size=False))
    for _ in range(drawn.draw(st.integers(0, 4))):
        block[drawn.draw(st.integers(0, len(block) - 1))] = drawn.draw(st.integers(0, 255))
    head = uvarint(declared)
    packed = head + bytes(block[:drawn.draw(st.integers(1, len(block)))])
    found = compiled.unpack(packed, LIMIT)
    assert found == foreign(packed, len(head), declared)
    if found is not None:
        assert found == reference.unpack(packed, LIMIT)


@given(st.binary(max_size=60), st.integers(0, 300))
@example(b"\x80\x00\x10a", 300)                             # an over-long declared size
@example(b"", 300)
@example(b"\x01", 300)
def test_any_bytes_whatsoever(packed: bytes, limit: int) -> None:
    found = compiled.unpack(packed, limit)
    if found is not None:
        assert 0 < len(found) <= limit and found == reference.unpack(packed, limit)


def test_the_declared_size_is_the_limit() -> None:
    """At the limit, one more, and absurd; nothing is believed, and nothing is allocated for a size beyond the limit."""
    data = b"all work and no play " * 50
    packed = compiled.pack(data)
    assert packed is not None and compiled.unpack(packed, len(data)) == data
    assert compiled.unpack(packed, len(data) - 1) is None
    block = packed[len(uvarint(len(data))):]
    for declared in (0, 1, len(data) - 1, len(data) + 1, LIMIT, 1 << 24, (1 << 24) + 1, 1 << 32, (1 << 64) - 1):
        assert compiled.unpack(uvarint(declared) + block, 1 << 40) is None
    for cut in range(len(packed)):
        assert compiled.unpack(packed[:cut], LIMIT) is None
    assert compiled.unpack(packed + b"\0", LIMIT) is None


def test_a_bomb_costs_no_more_than_it_declares() -> None:
    bomb = compiled.pack(bytes(LIMIT))
    assert bomb is not None and len(bomb) < 1100
    assert compiled.unpack(bomb, LIMIT) == bytes(LIMIT)
    assert compiled.unpack(bomb, LIMIT - 1) is None


@given(st.integers(0, 40))
def test_what_does_not_shrink_is_left_as_it_is(length: int) -> None:
    """Random bytes, and all that is too short to gain anything."""
    assert compiled.pack(keys.hash256(bytes([length]))) is None
    assert compiled.pack(bytes(range(length))) is None
    assert compiled.pack(bytes(min(length, 11))) is None


def test_a_library_that_is_not_lz4_gives_one_clear_error() -> None:
    with pytest.raises(ImportError, match="cannot load LZ4 from /nowhere/lib.so.*reinstall it with"):
        compiled.probe("/nowhere/lib.so")
    with pytest.raises(ImportError, match="has no function LZ4_sizeofState.*reinstall it with"):
        compiled.probe(keys.__file__)                       # any shared library without LZ4's functions
    compiled.probe(compiled.LIBRARY)


def test_its_version_is_the_wheels() -> None:
    assert compiled.version() == lz4.library_version_string()

"""Invariants of acknowledgments: blocks are read as the reference reads them; what was stored is said until the peer is
known to have heard of it, whatever comes late, is lost or is withdrawn; nothing that was not stored is ever said."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.session import ack
from tests.reference import ack as reference


def parsed(data: bytes, largest_acked: int) -> reference.Block | None:
    """The compiled reading, with the reference's words."""
    found = ack.parse(data, largest_acked)
    if found is None:
        return None
    length, newest, delay_us, bitfield = found
    if newest is None:
        return reference.Block(length)
    bits = int.from_bytes(bitfield, "little")
    named = frozenset([newest] + [newest - 1 - i for i in range(8 * len(bitfield)) if bits >> i & 1])
    return reference.Block(length, newest, delay_us, named)


def expected(data: bytes, largest_acked: int) -> reference.Block | None:
    try:
        return reference.parse(data, largest_acked)
    except reference.Malformed:
        return None


large = st.sampled_from([0, 1, 100, 127, 128, 255, 256, 32767, 32768, 65535, 2**31, 2**32 - 1, 2**40, 2**63])


@given(st.binary(max_size=80), large)
def test_any_bytes_are_read_as_the_reference_reads_them(data: bytes, largest_acked: int) -> None:
    assert parsed(data, largest_acked) == expected(data, largest_acked)


@given(st.integers(1, 3), st.integers(0, 70), st.binary(min_size=75, max_size=75), large)
def test_blocks_of_every_shape_are_read_alike(code: int, n: int, rest: bytes, largest_acked: int) -> None:
    head = bytes([code | n << 2]) if n < 63 else bytes([code | 63 << 2, n])
    for length in (len(rest), n, n + 4, n + 5):
        data = head + rest[:length]
        assert parsed(data, largest_acked) == expected(data, largest_acked)


@given(large, st.integers(-3, 2**31 - 2))
def test_a_truncated_number_comes_back_whole(confirmed: int, ahead: int) -> None:
    """RFC 9000 A.2 and A.3: as long as the reader knows at least what the writer thinks it knows."""
    newest = max(confirmed + ahead, 0)
    acks = ack.Acks()
    acks.note(newest, 0)
    acks.confirm(0, confirmed)
    block = acks.pack(0)
    for largest_acked in {confirmed, (confirmed + newest) // 2, newest}:
        found = ack.parse(block, largest_acked)
        assert found is not None and found[1] == newest


def test_the_example_of_rfc_9000_a_3() -> None:
    """largest_acked 0xa82f30ea and the two bytes 0x9b32 give 0xa82f9b32."""
    found = ack.parse(bytes([2]) + (0x9B32).to_bytes(2, "little") + b"\0", 0xA82F30EA)
    assert found is not None and found[1] == 0xA82F9B32


steps = st.lists(st.tuples(
    st.integers(0, 4),                          # how far the next packet is ahead: the ones between are late or lost
    st.sampled_from(["", "", "late", "late", "withdraw"]),
    st.sampled_from(["send", "send", "hold"]),
    st.sampled_from(["arrives", "arrives", "is lost"]),
), min_size=5, max_size=80)


@given(steps, st.integers(0, 6))
def test_what_is_stored_is_said_until_it_is_known_to_be_heard(plan: list[tuple[int, str, str, str]], trip: int) -> None:
    acks, model = ack.Acks(), reference.Receiver()
    newest, own, largest_acked = -1, 0, 0
    open_gaps: list[int] = []
    confirmations: list[tuple[int, int]] = []   # own sequence, and when its acknowledgment comes
    said: dict[int, int] = {}
    heard: set[int] = set()
    for time, (ahead, sort, act, fate) in enumerate(plan):
        open_gaps += range(newest + 1, newest + 1 + ahead)
        newest += ahead + 1
        arriving = [newest] + ([open_gaps.pop(0)] if sort == "late" and open_gaps else [])
        for sequence in arriving:
            acks.note(sequence, time, next_own_sequence=own)
            model.note(sequence)
        if sort == "withdraw":
            acks.withdraw(newest)
            model.withdraw(newest)
        while confirmations and confirmations[0][1] <= time:
            confirmed = confirmations.pop(0)[0]
            acks.confirm(confirmed, said[confirmed])
            model.confirm(confirmed)
        if act == "hold":
            continue
        due = model.due()
        model.block(own, 0)
        block = parsed(acks.pack(time), largest_acked)
        assert block is not None
        assert due <= block.received <= model.stored
        if block.newest >= 0:                   # when all was heard and the rest withdrawn, nothing need be said
            said[own] = block.newest
            if fate == "arrives":
                heard |= block.received
                largest_acked = max(largest_acked, block.newest)
                confirmations.append((own, time + trip))
        own += 1
        assert model.heard <= heard


def test_in_the_steady_state_a_block_is_as_short_as_the_reference_makes_it() -> None:
    acks, model = ack.Acks(), reference.Receiver()
    for sequence in range(400):
        acks.note(sequence, sequence * 1000, next_own_sequence=sequence)
        model.note(sequence)
        block = acks.pack(sequence * 1000)
        assert block == model.block(sequence, 0)
        assert sequence < 10 or len(block) <= 5
        if sequence >= 6:                       # the peer answers six packets later
            acks.confirm(sequence - 6, sequence - 6)
            model.confirm(sequence - 6)


def test_late_packets_without_end_do_not_let_the_field_grow() -> None:
    """One packet in four comes three packets late, for ever; acknowledgments take twenty packets."""
    acks = ack.Acks()
    said: dict[int, int] = {}
    lengths = []
    for sequence in range(4000):
        if sequence % 4 != 1:
            acks.note(sequence, 0, next_own_sequence=sequence)
        if sequence % 4 == 0 and sequence:
            acks.note(sequence - 3, 0, next_own_sequence=sequence)
        lengths.append(len(acks.pack(0)))
        said[sequence] = acks.newest or 0
        if sequence >= 20:
            acks.confirm(sequence - 20, said[sequence - 20])
    assert max(lengths[100:]) <= 3 + 8


@pytest.mark.parametrize("reach", [511, 512, 513, 600, 1500])
def test_the_field_reaches_back_512_positions_and_no_further(reach: int) -> None:
    acks = ack.Acks()
    acks.note(0, 0)
    acks.note(reach, 0)
    block = parsed(acks.pack(0), 0)
    assert block is not None and (0 in block.received) == (reach <= 512) and block.newest == reach


def test_a_field_of_63_and_of_64_bytes_has_its_length_in_a_byte_of_its_own() -> None:
    for reach, n in ((496, 62), (497, 63), (504, 63), (505, 64), (512, 64)):
        acks = ack.Acks()
        acks.note(0, 0)
        acks.note(reach, 0)
        block = acks.pack(0)
        assert block[0] >> 2 == min(n, 63) and len(block) == (1 if n < 63 else 2) + 2 + 1 + n


def test_when_an_acknowledgment_is_due() -> None:
    acks = ack.Acks()
    acks.note(0, 1000, eliciting=False)
    assert acks.deadline_us == 0
    acks.note(1, 2000)
    assert acks.deadline_us == 27_000
    acks.note(2, 3000)
    assert acks.deadline_us == 1
    acks.pack(3000)
    assert acks.deadline_us == 0


def test_the_delay_is_said_in_units_of_256_us_and_saturates() -> None:
    acks = ack.Acks()
    acks.note(5, 1000)
    for now_us, delay in ((1000, 0), (1255, 0), (1256, 256), (66_279, 65_024), (66_280, 65_280), (10**9, 65_280),
                          (0, 0)):
        found = ack.parse(acks.pack(now_us), 0)
        assert found is not None and found[2] == delay

"""The limits of docs/config.md that the protocol fixes, of datagrams and of what goes unreliably: one test a row, named
for it. Each at the limit, one beyond and far beyond: what is taken, what is dropped and why, and nobody else harmed."""
import struct

import pytest

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.status import DisconnectReason, DropReason
from tests.reference import lz4, protocol
from tests.unit.desk import SECOND, joined, reference_client
from tests.unit.limits import INPUT, LATEST, NONE, UNRELIABLE, Two, fragments, inputs, parts


def block(newest: int, n: int, width: int = 4) -> bytes:
    """An ack block with a field of n bytes, all ones."""
    first = bytes([3 | n << 2]) if n < 63 else bytes([3 | 63 << 2, n])
    return first + struct.pack("<I", newest)[:width] + b"\0" + b"\xff" * n


def test_length_of_a_datagram() -> None:
    two = Two()
    two.desk.batch = DatagramBatch(4, 9000)
    stranger = protocol.header(77, 0, 3, 0)
    for data, reason in ((b"", DropReason.TRUNCATED), (stranger[:13], DropReason.TRUNCATED),
                         (stranger, DropReason.UNKNOWN_CONNECTION)):
        assert two.desk.give(data) == (reason, [])
    for length, reason in ((1499, NONE), (1500, NONE), (1501, DropReason.OVERSIZED), (9000, DropReason.OVERSIZED)):
        body = b"\0" + protocol.frame(b"\0\5" + bytes(1)) + bytes(length - 14 - 16 - 1 - 4)
        datagram = two.leaning.seal(body)
        assert len(datagram) == length and two.desk.give(datagram) == (reason, [])
    assert two.desk.messages == [(UNRELIABLE, 5, b"\0")] * 2 and two.alive()


@pytest.mark.parametrize("ahead, fine", [(1 << 20, True), ((1 << 20) + 1, False), (1 << 62, False)])
def test_how_far_a_sequence_may_be_ahead_of_the_newest(ahead: int, fine: bool) -> None:
    two = Two()
    newest = two.leaning.sequence - 1
    reason = two.desk.give(two.leaning.seal(b"\0" + protocol.frame(b"\0\5far"), newest + ahead))[0]
    if fine:
        two.leaning.sequence = newest + ahead + 1
        assert reason == NONE and two.desk.messages == [(UNRELIABLE, 5, b"far")] and two.alive()
    else:
        assert reason == DropReason.SEQUENCE_JUMP and two.ended() == DisconnectReason.SEQUENCE_JUMP
        assert (UNRELIABLE, 5, b"far") not in two.desk.messages


def told(two: Two) -> int:
    """The server sends 600 packets, each acknowledged; how many there were in all."""
    for _ in range(600):
        two.desk.endpoint.send(two.handle, UNRELIABLE, 9, b"x")
        for datagram in two.desk.wait(10_000):
            if int.from_bytes(datagram[:4], "little") == two.leaning.connection_id:
                two.leaning.receive(datagram)
        two.say()
    return int(two.desk.endpoint.stats(two.handle)["packets_out"][0])


def test_ack_block() -> None:
    assert len(block(600, 64)) == 71
    for n, fine in ((63, True), (64, True), (65, False), (255, False)):
        two = Two()
        body = block(told(two) - 1, n) + protocol.frame(b"\0\5body")
        reason = two.desk.give(two.leaning.seal(body))[0]
        assert reason == (NONE if fine else DropReason.BAD_ACK_BLOCK)
        assert two.desk.messages == ([(UNRELIABLE, 5, b"body")] if fine else []) and two.alive()
    for beyond in (1, 2, 1 << 30):
        two = Two()
        assert two.desk.give(two.leaning.seal(block(told(two) - 1 + beyond, 0)))[0] == NONE
        assert two.ended() == DisconnectReason.ACK_OF_UNSENT


def test_unreliable_message() -> None:
    two = Two()
    for length, fine in ((15_359, True), (15_360, False), (16_384, False)):
        message = b"\5" + bytes(range(256)) * 64
        two.desk.messages.clear()
        for part in fragments(message[:1 + length], length & 0xFFFF):
            two.say(part)
        assert two.desk.messages == ([(UNRELIABLE, 5, message[1:1 + length])] if fine else [])
    assert two.dropped() == {DropReason.BAD_FRAGMENT: 17 + 18}          # every part of what has more than 16
    for wrong in (struct.pack("<HBB", 9, 0, 17) + bytes(960), struct.pack("<HBB", 9, 0, 255) + bytes(960),
                  struct.pack("<HBB", 9, 0, 16) + bytes(961), struct.pack("<HBB", 9, 15, 16) + bytes(961),
                  struct.pack("<HBB", 9, 16, 16) + bytes(960), struct.pack("<HBB", 9, 255, 16) + bytes(960)):
        two.say(bytes([protocol.FRAGMENT]) + wrong)
    assert two.dropped() == {DropReason.BAD_FRAGMENT: 35 + 6}
    assert two.desk.endpoint.counters["blocks_used"] == 0 and two.alive()


@pytest.mark.parametrize("age_us, whole", [(10 * SECOND, True), (10 * SECOND + 1, False), (14 * SECOND, False)])
def test_unreliable_message_that_waits_for_its_parts(age_us: int, whole: bool) -> None:
    two = Two()
    first, second = fragments(b"\5" + bytes(1000))
    two.say(first)
    two.desk.now_us += age_us
    two.say(second)
    assert two.desk.messages == ([(UNRELIABLE, 5, bytes(1000))] if whole else [])
    assert two.dropped() == ({} if whole else {DropReason.FRAGMENT_EXPIRED: 1}) and two.alive()


def test_unreliable_message_sets_of_a_session() -> None:
    two = Two()
    begun = [fragments(bytes([5, number]) + bytes(1000), number) for number in range(40)]
    for number in range(4):
        two.say(begun[number][0])
        two.desk.now_us += 1000
    assert two.dropped() == {}
    two.say(begun[4][0])
    assert two.dropped() == {DropReason.FRAGMENTS_FULL: 1} and two.desk.endpoint.counters["fragment_sets"] == 4
    for number in (4, 3, 2, 1):                                         # the oldest went, the others are whole
        two.say(begun[number][1])
    assert [payload[0] for _, _, payload in two.desk.messages] == [4, 3, 2, 1]
    for number in range(5, 40):
        two.say(begun[number][0])
    assert two.desk.endpoint.counters["fragment_sets"] == 4
    assert two.dropped() == {DropReason.FRAGMENTS_FULL: 1 + 31} and two.alive()


def test_unreliable_message_sets_in_all() -> None:
    two = Two(capacity=70, half_open=128, half_open_per_prefix=128)
    others = [joined(two.desk, reference_client(number), ("10.0.1.1", 1000 + number)) for number in range(64)]
    two.say(fragments(b"\5the oldest" + bytes(1000))[0])
    for i, session in enumerate(others):
        for number in range(4):
            two.desk.now_us += 100
            part = fragments(bytes([5, i]) + bytes(1000), number)[0]
            assert two.desk.give(session.packet(part), ("10.0.1.1", 1000 + i)) == (NONE, [])
            full = max(0, 4 * i + number + 2 - 256)
            assert two.dropped().get(DropReason.FRAGMENTS_FULL, 0) == full
    assert two.desk.endpoint.counters["fragment_sets"] == 256
    two.say(fragments(b"\5the oldest" + bytes(1000))[1])                # it is gone: this begins a set of its own
    assert not two.desk.messages and two.desk.endpoint.counters["fragment_sets"] == 256
    second = others[63].packet(fragments(bytes([5, 63]) + bytes(1000), 3)[1])
    assert two.desk.give(second, ("10.0.1.1", 1063)) == (NONE, [])
    assert two.desk.messages == [(UNRELIABLE, 5, bytes([63]) + bytes(1000))]
    two.unharmed()


@pytest.mark.parametrize("length, fine", [(995, True), (996, True), (997, False), (1400, False)])
def test_latest_message(length: int, fine: bool) -> None:
    two = Two()
    two.say(bytes([LATEST, 5]) + bytes(length), b"\0\6beside it")
    assert two.desk.messages == [(LATEST, 5, bytes(length))] * fine + [(UNRELIABLE, 6, b"beside it")]
    assert two.dropped() == ({} if fine else {DropReason.BAD_FRAME: 1}) and two.alive()


def test_input() -> None:
    for payloads, fine in (([bytes(60)], True), ([bytes(61)], False), ([bytes(255)], False),
                           ([b"x"] * 8, True), ([b"x"] * 9, False), ([b"x"] * 255, False), ([], False)):
        two = Two()
        two.say(inputs(len(payloads), payloads))
        for _ in range(12):
            two.desk.read()
        came = [payload for channel, _, payload in two.desk.messages if channel == INPUT]
        assert len(came) == (len(payloads) if fine else 0)
        assert two.dropped() == ({} if fine else {DropReason.BAD_FRAME: 1}) and two.alive()


@pytest.mark.parametrize("count", [8, 9, 40])
def test_input_that_waits_for_its_tick(count: int) -> None:
    """Beyond eight the oldest goes, so that a client that floods plays its newest inputs and nobody else's are late."""
    two = Two()
    said = [inputs(number, [bytes([number])]) for number in range(1, count + 1)]
    for at in range(0, count, 16):
        two.desk.batch.clear()
        for content in said[at:at + 16]:
            two.desk.batch.append(two.leaning.packet(content), ("10.0.0.2", 40000))
        two.desk.endpoint.inbound(two.desk.batch, two.desk.replies, two.desk.now_us)
    assert int(two.desk.endpoint.stats(two.handle)["inputs_waiting"][0]) == 8
    for _ in range(12):
        two.desk.read()
    assert [payload[0] for _, _, payload in two.desk.messages] == list(range(count - 7, count + 1))
    assert two.dropped() == ({DropReason.STALE: count - 8} if count > 8 else {}) and two.alive()


def packed(size: int) -> bytes:
    """kind ‖ declared size ‖ block of `size` zeros."""
    run = size - 5 - 1 - 19
    block = b"\x1f\0\1\0" + b"\xff" * (run // 255) + bytes([run % 255]) + b"\x50" + bytes(5)
    assert lz4.decompress(block, size) == bytes(size)
    return b"\5" + protocol.uvarint(size) + block


@pytest.mark.parametrize("size, fine", [(15_359, True), (15_360, False), (262_143, False)])
def test_what_a_compressed_message_unfolds_to(size: int, fine: bool) -> None:
    two = Two()
    two.say(bytes([protocol.COMPRESSED]) + packed(size), b"\0\6beside it")
    expected = [(UNRELIABLE, 5, bytes(size))] if fine else []
    assert two.desk.messages == [*expected, (UNRELIABLE, 6, b"beside it")]
    assert two.dropped() == ({} if fine else {DropReason.BAD_COMPRESSION: 1}) and two.alive()
    two.say(bytes([protocol.COMPRESSED, 5]) + protocol.uvarint((1 << 32) - 1) + packed(100)[2:])
    assert two.dropped()[DropReason.BAD_COMPRESSION] == 2 - fine and two.alive()


@pytest.mark.parametrize("size, fine", [(996, True), (997, False), (15_359, False)])
def test_what_a_compressed_message_unfolds_to_as_latest(size: int, fine: bool) -> None:
    two = Two()
    two.say(bytes([protocol.COMPRESSED | LATEST]) + packed(size), b"\0\6beside it")
    assert two.desk.messages == [(LATEST, 5, bytes(size))] * fine + [(UNRELIABLE, 6, b"beside it")]
    assert two.dropped() == ({} if fine else {DropReason.BAD_COMPRESSION: 1}) and two.alive()


@pytest.mark.parametrize("size, fine", [(262_143, True), (262_144, False), ((1 << 32) - 1, False)])
def test_what_a_compressed_message_unfolds_to_where_it_is_reliable(size: int, fine: bool) -> None:
    two = Two()
    message = packed(size) if size < 1 << 20 else b"\5" + protocol.uvarint(size) + packed(100)[2:]
    for unit in parts(message, head=protocol.COMPRESSED):
        two.say(unit)
    assert two.desk.messages == ([(1, 5, bytes(size))] if fine else [])
    if fine:
        assert two.alive()
    else:
        assert two.ended() == DisconnectReason.PROTOCOL_VIOLATION


@pytest.mark.parametrize("length, ends", [(64, True), (65, False), (1000, False)])
def test_text_beside_a_close_reason(length: int, ends: bool) -> None:
    two = Two()
    two.say(bytes([protocol.CONTROL, protocol.CLOSE, DisconnectReason.CLIENT_LEFT]) + bytes(length))
    if ends:
        assert two.ended() == DisconnectReason.CLIENT_LEFT
    else:
        assert two.dropped() == {DropReason.BAD_FRAME: 1} and two.alive()

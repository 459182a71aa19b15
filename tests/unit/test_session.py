"""Bad input on a live session: dropped and counted, or the session ends for the reason that the document names."""
import random
import struct
from collections.abc import Callable

import pytest

from shadowland._core.base.status import DisconnectReason, DropReason
from tests.reference import ack, protocol
from tests.unit.desk import CLIENT, LEFT, SECOND, STRANGER, Desk, joined, reference_client, server_desk

NONE = DropReason.NONE
UNRELIABLE, RELIABLE, LATEST, INPUT, SNAPSHOT, CONTROL = 0, 1, 3, 4, 5, 7


@pytest.fixture
def live() -> tuple[Desk, protocol.Sealed]:
    desk = server_desk()
    return desk, joined(desk, reference_client())


Live = tuple[Desk, protocol.Sealed]


def unit(number: int, payload: bytes, index: int = 0, count: int = 0, stream: int | None = 0,
         message: int | None = None) -> bytes:
    """A reliable frame; left out, the message has the number of the unit."""
    return protocol.unit(number, number if message is None else message, payload, index, count, stream)


def inputs(newest: int, payloads: list[bytes], kind: int = 1) -> bytes:
    return (bytes([INPUT, kind]) + struct.pack("<HB", newest, len(payloads))
            + b"".join(bytes([len(payload)]) + payload for payload in payloads))


def ended(desk: Desk) -> DisconnectReason | None:
    """The reason this side ended the session for; its CLOSE must name it."""
    desk.wait(SECOND)
    reasons = [reason for kind, _, reason in desk.events if kind == LEFT]
    return DisconnectReason(reasons[0]) if reasons else None


def unharmed(desk: Desk, session: protocol.Sealed) -> bool:
    """It still takes a message."""
    before = len(desk.messages)
    assert desk.give(session.packet(b"\0\x09alive"))[0] == NONE
    return desk.messages[before:] == [(UNRELIABLE, 9, b"alive")]


def test_every_byte_of_a_sealed_datagram_is_authenticated(live: Live) -> None:
    desk, session = live
    datagram = session.packet(b"\0\1" + bytes(range(200)))
    for position in range(len(datagram)):
        for bit in (0, 7):
            changed = datagram[:position] + bytes([datagram[position] ^ 1 << bit]) + datagram[position + 1:]
            reason, replies = desk.give(changed)
            expected = {DropReason.UNKNOWN_CONNECTION} if position < 4 else {DropReason.BAD_FLAGS}
            if position >= 6:
                expected = {DropReason.AUTH_FAILED} | ({DropReason.REPLAYED} if position < 14 else set())
            assert reason in expected and not replies, (position, bit)
    assert not desk.messages and unharmed(desk, session)
    assert desk.give(datagram)[0] == NONE                               # the true one still counts


def test_a_sealed_datagram_is_dropped_at_every_other_length(live: Live) -> None:
    desk, session = live
    datagram = session.packet(b"\0\1" + bytes(50))
    for length in range(len(datagram)):
        assert desk.give(datagram[:length])[0] == (DropReason.TRUNCATED if length < 31 else DropReason.AUTH_FAILED)
    for more in (1, 20, 300):
        assert desk.give(datagram + bytes(more))[0] == DropReason.AUTH_FAILED
    assert unharmed(desk, session)


def test_a_replayed_datagram_is_dropped_also_twice_in_one_batch(live: Live) -> None:
    desk, session = live
    datagram = session.packet(b"\0\1once")
    assert desk.give_all([datagram, datagram, datagram])[0] == [DropReason.REPLAYED] * 2
    assert desk.give(datagram)[0] == DropReason.REPLAYED
    assert desk.messages == [(UNRELIABLE, 1, b"once")]


def test_what_comes_from_another_address_and_does_not_open_changes_nothing(live: Live) -> None:
    desk, session = live
    datagram = session.packet(b"\0\1hello")
    for source in (STRANGER, (CLIENT[0], 1)):
        assert desk.give(datagram[:-1] + bytes([datagram[-1] ^ 1]), source)[0] == DropReason.AUTH_FAILED
    assert not desk.messages and not desk.outbound() and unharmed(desk, session)


@pytest.mark.parametrize("channel, flags", [(0, 0), (0, 1), (0, 2), (0, 0x0B), (0, 0x13), (0, 0x23), (1, 3),
                                            (7, 3), (255, 3)])
def test_no_plaintext_and_no_other_flag_is_accepted_on_a_session(live: Live, channel: int, flags: int) -> None:
    """origin.md: plaintext acks, pongs, disconnects and fragments ended sessions with one spoofed byte."""
    desk, session = live
    for body in (b"\0\2\7\3", b"\0\3\7\3\1", b"\0" + protocol.frame(b"\0\1text")):
        plain = protocol.header(session.connection_id, channel, flags, session.sequence) + body
        sealed = session.seal(body, session.sequence, channel, flags)   # even under the right key
        for datagram in (plain, plain + bytes(16), sealed):
            assert desk.give(datagram) == (DropReason.BAD_FLAGS, [])
    assert ended(desk) is None and unharmed(desk, session)


def test_what_fails_to_open_is_not_read_again_as_plaintext(live: Live) -> None:
    desk, session = live
    for body in (b"\0\3\7\3\1", b"\0" + protocol.frame(unit(0, b"\1text")), b"\0" + protocol.frame(b"\0\1text")):
        plain = protocol.header(session.connection_id, 0, 3, session.sequence) + body + bytes(32)
        assert desk.give(plain) == (DropReason.AUTH_FAILED, [])
    assert not desk.messages and ended(desk) is None and unharmed(desk, session)


def test_an_unknown_connection_gets_nothing(live: Live) -> None:
    desk, session = live
    for number in (1, 2**32 - 1, session.connection_id ^ 16):
        datagram = protocol.header(number, 0, 3, 0) + bytes(60)
        assert desk.give(datagram) == (DropReason.UNKNOWN_CONNECTION, [])


def test_a_sequence_far_ahead_ends_the_session(live: Live) -> None:
    desk, session = live
    assert desk.give(session.seal(b"\0", 1 + 1_048_576 - 1))[0] == NONE     # as far as allowed
    datagram = session.seal(b"\0\2\7\0", 1_048_576 * 2 + 1)
    assert desk.give(datagram)[0] == DropReason.SEQUENCE_JUMP
    assert ended(desk) == DisconnectReason.SEQUENCE_JUMP


def test_the_last_sequence_of_all_neither_bricks_the_window_nor_overflows(live: Live) -> None:
    """origin.md: an authenticated 2**64 - 1 bricked the window."""
    desk, session = live
    assert desk.give(session.seal(b"\0", 2**64 - 1))[0] == DropReason.SEQUENCE_JUMP
    assert ended(desk) == DisconnectReason.SEQUENCE_JUMP
    assert desk.endpoint.live == 0


def test_an_ack_of_what_was_never_sent_ends_the_session(live: Live) -> None:
    desk, session = live
    assert desk.give(session.seal(ack.pack(40, 1, 0, set(), 40)))[0] == NONE
    assert ended(desk) == DisconnectReason.ACK_OF_UNSENT


@pytest.mark.parametrize("block", [b"", b"\x04", b"\xfc", b"\x01", b"\x01\0", b"\x02\0", b"\x03\0\0\0", b"\x05\0\0",
                                   b"\x05\0\0\0", b"\x05\0\0\1", b"\xfd\x3e\0\0" + bytes(62),
                                   b"\xfd\x41\0\0" + bytes(65)])
def test_a_malformed_ack_block_drops_the_whole_body(live: Live, block: bytes) -> None:
    desk, session = live
    reason = desk.give(session.seal(block))[0]
    assert reason == (DropReason.BAD_ACK_BLOCK if block else DropReason.TRUNCATED)
    assert ended(desk) is None and unharmed(desk, session)


def test_a_bad_message_never_harms_the_next_one(live: Live) -> None:
    """origin.md: markers collided with payload; here each message has a length."""
    desk, session = live
    bad = [b"\6", b"\6abc", b"\x08", b"\x08\1\0\0", b"\x10\1x", b"\x80\1x", b"\0", b"\0\0x", b"\0\xc9x", b"\3", b"\3\0",
           b"\4", b"\5x", b"\7", b"\7\0x", b"\7\1", b"\7\2\0", b"\7\3", b"\7\x09", inputs(1, []), inputs(1, [b"x"] * 9),
           inputs(1, [b"x"], kind=0), inputs(1, [bytes(61)]), inputs(1, [b"x"]) + b"y", inputs(1, [b"xyz"])[:-1]]
    for content in bad:
        assert desk.give(session.packet(content, b"\0\5fine"))[0] == NONE
    assert desk.messages == [(UNRELIABLE, 5, b"fine")] * len(bad)
    assert sum(desk.dropped_messages().values()) == len(bad)
    assert ended(desk) is None


@pytest.mark.parametrize("content, reason", [
    (b"\6", DropReason.UNKNOWN_CHANNEL), (b"\x14\1", DropReason.BAD_FRAME),
    (b"\x10\1", DropReason.BAD_COMPRESSION),
    (b"\0\0", DropReason.UNKNOWN_MESSAGE), (b"\0\xc9", DropReason.UNKNOWN_MESSAGE), (b"\5x", DropReason.UNEXPECTED),
    (b"\x08\1\0\0\2", DropReason.BAD_FRAGMENT), (b"\7\x09", DropReason.BAD_FRAME),
    (b"\3\0", DropReason.UNKNOWN_MESSAGE),
    (b"\x08\1\0\0\0x", DropReason.BAD_FRAGMENT), (b"\x08\1\0\0\1x", DropReason.BAD_FRAGMENT),
    (b"\x08\1\0\0\x11" + bytes(960), DropReason.BAD_FRAGMENT), (b"\x08\1\0\2\2" + bytes(960), DropReason.BAD_FRAGMENT),
    (b"\x08\1\0\0\2" + bytes(959), DropReason.BAD_FRAGMENT), (b"\x08\1\0\1\2" + bytes(961), DropReason.BAD_FRAGMENT),
    (b"\x08\1\0\1\2", DropReason.BAD_FRAGMENT),
])
def test_a_bad_message_is_counted_under_its_reason(live: Live, content: bytes, reason: DropReason) -> None:
    desk, session = live
    desk.give(session.packet(content))
    assert desk.dropped_messages() == {reason: 1}
    assert desk.endpoint.counters["fragment_sets"] == desk.endpoint.counters["blocks_used"] == 0


@pytest.mark.parametrize("rest", [b"\x05\0\1", b"\x80", b"\x80\0", b"\x81\x80\1\0", b"\xff\x7f"])
def test_a_frame_longer_than_the_body_ends_the_reading(live: Live, rest: bytes) -> None:
    desk, session = live
    body = session.acks.block(session.sequence, 0) + protocol.frame(b"\0\5before") + rest
    assert desk.give(session.seal(body))[0] == NONE
    assert desk.messages == [(UNRELIABLE, 5, b"before")] and desk.dropped_messages() == {DropReason.BAD_FRAME: 1}


def test_padding_is_passed_over(live: Live) -> None:
    desk, session = live
    body = session.acks.block(session.sequence, 0) + bytes(9) + protocol.frame(b"\0\5x") + bytes(100)
    desk.give(session.seal(body))
    assert desk.messages == [(UNRELIABLE, 5, b"x")] and not desk.dropped_messages()


@pytest.mark.parametrize("content, reason", [
    (unit(256, b"\1x"), DisconnectReason.FLOW_VIOLATION), (unit(30000, b"\1x"), DisconnectReason.FLOW_VIOLATION),
    (unit(65535, b"\1x"), DisconnectReason.FLOW_VIOLATION), (b"\1", DisconnectReason.PROTOCOL_VIOLATION),
    (b"\1\0\0\0\0", DisconnectReason.PROTOCOL_VIOLATION), (b"\2\0", DisconnectReason.PROTOCOL_VIOLATION),
    (b"\x11\0\0\0\0\0\1x", DisconnectReason.PROTOCOL_VIOLATION), (b"\x12\0\0\1x", DisconnectReason.PROTOCOL_VIOLATION),
    (b"\x21\0\0\0\0\0\1x", DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, b"\1x", 0, 1), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, b"\1x", 0, 1, stream=None), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, b"\1x", 2, 2), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, bytes(960), 0, 275), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, bytes(65), 273, 274), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, bytes(960), 0, 65535), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, bytes(959), 0, 2), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, b"", 1, 2), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, bytes(961)), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, bytes(961), stream=None), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, b"\1x", message=256), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, b"\1x", message=65535), DisconnectReason.PROTOCOL_VIOLATION),
    (b"\x09\0\0\0\0\0\0\0\2", DisconnectReason.PROTOCOL_VIOLATION),
    (b"\x0a\0\0\0\0\0\0\2", DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, bytes(960), 0, 6, stream=8), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, b"\xc8no such control message", stream=8), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, b"", stream=8), DisconnectReason.PROTOCOL_VIOLATION),
    (unit(0, b"\1x", stream=9), DisconnectReason.PROTOCOL_VIOLATION),
])
def test_a_bad_reliable_head_ends_the_session(live: Live, content: bytes, reason: DisconnectReason) -> None:
    desk, session = live
    desk.give(session.packet(content))
    closing = [session.open(datagram) for datagram in desk.outbound()]
    assert closing[0] is not None and closing[0][1].endswith(bytes([3, CONTROL, protocol.CLOSE, reason]))
    assert ended(desk) == reason
    assert desk.endpoint.counters["blocks_used"] == 0


@pytest.mark.parametrize("second", [unit(1, bytes(960), 0, 2, message=0), unit(1, bytes(960), 1, 3, message=0),
                                    unit(1, b"\1x", message=0)])
def test_fragments_that_do_not_belong_together_end_the_session(live: Live, second: bytes) -> None:
    desk, session = live
    desk.give(session.packet(unit(0, b"\1" + bytes(959), 0, 2)))
    desk.give(session.packet(second))
    assert ended(desk) == DisconnectReason.PROTOCOL_VIOLATION and not desk.messages


def test_a_declared_size_allocates_nothing_and_duplicates_are_no_progress(live: Live) -> None:
    """origin.md: the total of a fragment was trusted, and duplicates counted as progress."""
    desk, session = live
    part = b"\x08\1\0" + bytes([0, 16]) + b"\1" + bytes(959)
    for _ in range(16):
        desk.give(session.packet(part))
    assert desk.endpoint.counters["blocks_used"] == 4 and not desk.messages
    assert desk.dropped_messages() == {DropReason.DUPLICATE: 15}


def test_a_session_ends_when_the_peer_says_so_and_forgets_at_once(live: Live) -> None:
    desk, session = live
    close = bytes([CONTROL, protocol.CLOSE, DisconnectReason.CLIENT_LEFT])
    desk.give(session.packet(unit(0, b"\1" + bytes(959), 0, 2), close))
    assert desk.events[-1][::2] == (LEFT, DisconnectReason.CLIENT_LEFT)
    assert desk.endpoint.live == desk.endpoint.counters["blocks_used"] == 0
    assert desk.give(session.packet(b"\0\1x"))[0] == DropReason.UNKNOWN_CONNECTION


@pytest.mark.parametrize("reason", [0, len(DisconnectReason), 200, 255])
def test_a_close_reason_that_does_not_exist_becomes_a_protocol_violation(live: Live, reason: int) -> None:
    desk, session = live
    desk.give(session.packet(bytes([CONTROL, protocol.CLOSE, reason])))
    assert desk.events[-1][::2] == (LEFT, DisconnectReason.PROTOCOL_VIOLATION)


def test_while_it_closes_nothing_is_accepted_any_more(live: Live) -> None:
    desk, session = live
    desk.endpoint.close(desk.events[0][1], DisconnectReason.KICKED, desk.now_us)
    assert desk.give(session.packet(b"\0\1late"))[0] == DropReason.CLOSED
    said = desk.outbound() + desk.wait(290_000)
    assert len(said) == 3                                               # 0, 50 and 100 ms
    for datagram in said:
        opened = session.open(datagram)
        assert opened is not None and opened[1].endswith(bytes([3, CONTROL, protocol.CLOSE, DisconnectReason.KICKED]))
    desk.wait(20_000)
    assert desk.endpoint.live == 0
    assert desk.give(session.packet(b"\0\1late"))[0] == DropReason.UNKNOWN_CONNECTION


def test_a_retransmission_is_a_new_packet(live: Live) -> None:
    """origin.md: it was byte-identical, so the replay window rejected it and it was never acknowledged again."""
    desk, session = live
    desk.endpoint.send(desk.events[0][1], RELIABLE, 5, b"again and again")
    seen = [session.open(datagram) for datagram in desk.outbound() + desk.wait(5 * SECOND)]
    carrying = [opened for opened in seen if opened is not None and b"again and again" in opened[1]]
    assert len(carrying) >= 3 and len({sequence for sequence, _ in carrying}) == len(carrying)


def test_no_sequence_is_ever_used_twice(live: Live) -> None:
    """origin.md: two threads read the same number. Taking it and sealing are one operation, CLOSE included."""
    desk, session = live
    handle, seen = desk.events[0][1], []
    for i in range(40):
        desk.endpoint.send(handle, RELIABLE, 5, random.Random(i).randbytes(700))
        desk.endpoint.send(handle, UNRELIABLE, 5, random.Random(i).randbytes(3000))
        seen += desk.wait(10_000)
    desk.endpoint.close(handle, 1, desk.now_us)
    seen += desk.wait(400_000)
    sequences = [datagram[6:14] for datagram in seen]
    assert len(sequences) > 100 and len(set(sequences)) == len(sequences)
    assert all(session.open(datagram) is not None for datagram in seen)


def test_what_is_sealed_is_what_was_said(live: Live) -> None:
    """origin.md: the encrypt routine wrote into a temporary copy and sent zeros."""
    desk, session = live
    desk.endpoint.send(desk.events[0][1], UNRELIABLE, 5, b"the very words")
    (datagram,) = desk.outbound()
    assert b"the very words" not in datagram
    assert session.receive(datagram) == [b"\0\5the very words"]


def test_reliable_order_is_not_held_up_by_other_traffic(live: Live) -> None:
    """origin.md: the order shared the packet counter with unreliable traffic, so gaps stalled it for ever."""
    desk, session = live
    for number in range(20):
        session.packet(b"\0\1lost on the way")
        desk.give(session.packet(unit(number, bytes([7, number]))))
    assert desk.messages == [(RELIABLE, 7, bytes([number])) for number in range(20)]


@pytest.mark.parametrize("make", [lambda: b"\0\1text", lambda: unit(0, b"\1x"), lambda: inputs(1, [b"x"])])
def test_eliciting_packets_are_acknowledged_within_the_delay(live: Live, make: Callable[[], bytes]) -> None:
    desk, session = live
    desk.give(session.packet(make()))
    assert not desk.outbound()                                          # not yet
    said = desk.wait(25_000, 5_000)
    assert len(said) == 1
    session.receive(said[0])
    assert session.sequence - 1 in session.acked


def test_two_eliciting_packets_are_acknowledged_at_once(live: Live) -> None:
    desk, session = live
    desk.give_all([session.packet(b"\0\1a"), session.packet(b"\0\1b")])
    (said,) = desk.outbound()
    session.receive(said)
    assert {session.sequence - 1, session.sequence - 2} <= session.acked


def test_acks_close_and_padding_elicit_nothing(live: Live) -> None:
    desk, session = live
    for _ in range(5):
        desk.give(session.packet())
        desk.give(session.seal(session.acks.block(session.sequence, 0) + bytes(7)))
    assert not desk.wait(100_000)


def test_pings_are_answered_with_both_times(live: Live) -> None:
    desk, session = live
    desk.give(session.packet(bytes([CONTROL, protocol.PING]) + (77).to_bytes(8, "little")))
    (said,) = desk.outbound()
    pong = bytes([CONTROL, protocol.PONG]) + (77).to_bytes(8, "little") + desk.now_us.to_bytes(8, "little")
    assert session.receive(said) == [pong]


def test_the_ack_block_stays_small_in_the_steady_state(live: Live) -> None:
    desk, session = live
    lengths = []
    for _ in range(200):
        desk.endpoint.send(desk.events[0][1], UNRELIABLE, 5, b"x")
        desk.give(session.packet(b"\0\1x"))
        for datagram in desk.wait(16_000, 16_000):
            opened = session.open(datagram)
            assert opened is not None
            lengths.append(ack.parse(opened[1], session.largest_acked).length)
            session.receive(datagram)
    assert max(lengths[20:]) <= 5


def test_forged_traffic_moves_nothing_but_counters(live: Live) -> None:
    """Whoever cannot seal cannot end, slow or fill a session, nor keep it alive."""
    desk, session = live
    before = desk.endpoint.stats()[0].copy()
    for i in range(300):
        desk.give(protocol.header(session.connection_id, 0, 3, i * 1000) + bytes(200 + i))
    assert desk.endpoint.stats()[0] == before and not desk.outbound()
    for _ in range(160):
        desk.give(protocol.header(session.connection_id, 0, 3, 5) + bytes(60))
        desk.wait(100_000, 50_000)
    assert ended(desk) == DisconnectReason.IDLE_TIMEOUT


@pytest.mark.parametrize("positions", [64, 1024, 4096])
def test_the_replay_window_is_as_wide_as_configured(positions: int) -> None:
    desk = server_desk(replay_positions=positions)
    session = joined(desk, reference_client())
    body = b"\0" + protocol.frame(b"\0\x09x")
    assert desk.give(session.seal(body, positions + 10))[0] == DropReason.NONE
    assert desk.give(session.seal(body, 10))[0] == DropReason.REPLAYED          # one too old
    assert desk.give(session.seal(body, 11))[0] == DropReason.NONE              # the oldest that is taken
    assert desk.give(session.seal(body, 11))[0] == DropReason.REPLAYED

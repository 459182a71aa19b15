"""Compressed messages between two endpoints: fewer bytes, the same messages, and what a peer can make of them."""
import random

import pytest

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland._core.compress import lz4
from shadowland._core.endpoint import packing
from shadowland.errors import UsageError
from shadowland.testing import Link
from tests.reference import lz4 as slow_lz4
from tests.reference.protocol import COMPRESSED, FRAGMENT, uvarint
from tests.sim.peers import LEFT, Pair, new_client, new_server
from tests.unit import desk as desks

UNRELIABLE, RELIABLE, UNORDERED, LATEST = 0, 1, 2, 3
SONG = b"all work and no play makes jack a dull boy, " * 20
LIMITS = {UNRELIABLE: 15359, RELIABLE: 262_143, UNORDERED: 262_143, LATEST: 996}


def sent_for(channel: int, payload: bytes, *, least: int = packing.LEAST) -> tuple[int, list[bytes]]:
    """Bytes on the wire for one message, and what arrived."""
    pair = Pair(client=new_client(mtu_limit=1200)).join()               # no probes of the MTU among what is counted
    pair.run(500_000)
    packing.configure(pair.client.endpoint, least)
    before = pair.client.endpoint.counters["bytes_out"]
    pair.client.endpoint.send(pair.handle, channel, 9, payload)
    pair.run(500_000)
    return pair.client.endpoint.counters["bytes_out"] - before, pair.server.payloads(pair.session, channel)


@pytest.mark.parametrize("channel", LIMITS)
def test_a_long_message_takes_fewer_bytes_and_arrives_as_it_was(channel: int) -> None:
    plain, got = sent_for(channel, SONG, least=0)
    packed, same = sent_for(channel, SONG)
    assert got == same == [SONG] and packed < plain - len(SONG) // 2


@pytest.mark.parametrize("channel", LIMITS)
def test_what_is_short_or_does_not_shrink_travels_as_it_is(channel: int) -> None:
    noise = random.Random(1).randbytes(600)
    for payload in (noise, bytes(packing.LEAST - 1)):
        assert sent_for(channel, payload) == sent_for(channel, payload, least=0)
    assert sent_for(channel, bytes(packing.LEAST))[0] < sent_for(channel, bytes(packing.LEAST), least=0)[0]


@pytest.mark.parametrize("channel", LIMITS)
def test_the_longest_message_of_a_channel_may_be_compressed(channel: int) -> None:
    """At the limit; one more is the caller's mistake, however well it shrinks."""
    longest = bytes(LIMITS[channel])
    packed, got = sent_for(channel, longest)
    assert got == [longest] and packed < 400 + len(longest) // 240
    with pytest.raises(UsageError, match="too long"):
        sent_for(channel, bytes(LIMITS[channel] + 1))


def test_a_message_that_shrinks_too_little_for_one_packet_goes_in_compressed_parts() -> None:
    half = random.Random(2).randbytes(3000) + bytes(3000)
    packed, got = sent_for(UNRELIABLE, half)
    assert got == [half] and 3000 < packed < 4000


@pytest.mark.parametrize("channel", [RELIABLE, 0x51, UNORDERED])
def test_reliable_messages_arrive_once_compressed_or_not_whatever_is_lost(channel: int) -> None:
    pair = Pair(5, Link(loss=0.3, delay_us=20_000, jitter_us=20_000, duplicate=0.2, reorder=0.2, reorder_us=50_000))
    pair.join()
    chance = random.Random(4)
    said = [chance.randbytes(chance.randrange(1500)) + b"the same words " * chance.randrange(300) for _ in range(40)]
    for payload in said:
        pair.client.endpoint.send(pair.handle, channel, 9, payload)
        pair.run(32_000)
    pair.run(20_000_000, 20_000)
    got = pair.server.payloads(pair.session, channel)
    assert got == said if channel != UNORDERED else sorted(got) == sorted(said)


def test_a_compressed_reliable_message_waits_for_an_inbox_with_room() -> None:
    pair = Pair(server=new_server(inbox_bytes=262_144)).join()
    for i in range(3):
        pair.client.endpoint.send(pair.handle, RELIABLE, 9, bytes([i]) * 200_000)
    pair.run(3_000_000)
    assert pair.server.payloads(pair.session, RELIABLE) == [bytes([i]) * 200_000 for i in range(3)]


def test_a_reliable_message_of_a_class_that_is_never_compressed_closes() -> None:
    pair = Pair().join()
    packing.configure(pair.server.endpoint, plain=[9])
    pair.client.endpoint.send(pair.handle, RELIABLE, 9, SONG)
    pair.run(500_000)
    assert [event.reason for event in pair.client.heard(LEFT)] == [DisconnectReason.PROTOCOL_VIOLATION]


def test_compressed_messages_through_loss_and_reordering_are_all_or_nothing() -> None:
    pair = Pair(7, Link(loss=0.2, delay_us=20_000, jitter_us=20_000, reorder=0.3, reorder_us=50_000, duplicate=0.2))
    pair.join()
    chance = random.Random(3)
    said = []
    for _ in range(120):
        payload = chance.randbytes(chance.randrange(2000)) + b"the same words " * chance.randrange(200)
        said.append(payload)
        pair.client.endpoint.send(pair.handle, UNRELIABLE, 9, payload)
        pair.run(16_000)
    pair.run(1_000_000)
    got = pair.server.payloads(pair.session, UNRELIABLE)
    assert 40 < len(got) <= 120 and set(got) <= set(said) and len(set(got)) == len(got)
    assert not pair.server.endpoint.message_drops[DropReason.BAD_COMPRESSION]


@pytest.mark.parametrize("channel", [RELIABLE, UNORDERED])
def test_a_reliable_bomb_is_bounded_by_the_channel_and_by_the_inbox(channel: int) -> None:
    """A kilobyte that stands for 256: one at a time is written, the others wait packed, and one that claims more
    closes."""
    longest = bytes(LIMITS[channel])
    pair = Pair(server=new_server(inbox_bytes=262_144)).join()
    for _ in range(5):
        pair.client.endpoint.send(pair.handle, channel, 9, longest)
    for _ in range(50):
        pair.run(20_000)
        assert pair.server.endpoint.counters["blocks_used"] <= 5 * 8
    assert pair.server.payloads(pair.session, channel) == [longest] * 5
    assert pair.server.endpoint.counters["blocks_used"] == 0
    for declared in (LIMITS[channel] + 1, 1 << 24, 1 << 32, (1 << 64) - 1):
        desk = desks.server_desk()
        session = desks.joined(desk, desks.reference_client())
        block = (lz4.pack(bytes(4000)) or b"")[2:]
        head = bytes([channel | COMPRESSED]) + bytes(5 if channel == RELIABLE else 2) + b"\x09"
        desk.give(session.packet(head + uvarint(4000) + block))
        assert [len(payload) for *_, payload in desk.messages] == [4000]
        other = bytes([channel | COMPRESSED]) + (b"\0\1\0\1\0" if channel == RELIABLE else b"\1\0") + b"\x09"
        desk.give(session.packet(other + uvarint(declared) + block))
        desk.wait(desks.SECOND)
        assert len(desk.messages) == 1
        assert [event[2] for event in desk.events if event[0] == LEFT] == [DisconnectReason.PROTOCOL_VIOLATION]


@pytest.mark.parametrize("channel", LIMITS)
def test_a_class_that_is_never_compressed_is_sent_as_it_is(channel: int) -> None:
    pair = Pair().join()
    packing.configure(pair.client.endpoint, plain=[9])
    packing.configure(pair.server.endpoint, plain=[9])
    before = pair.client.endpoint.counters["bytes_out"]
    pair.client.endpoint.send(pair.handle, channel, 9, SONG)
    pair.run(500_000)
    assert pair.server.payloads(pair.session, channel) == [SONG]
    assert pair.client.endpoint.counters["bytes_out"] - before > len(SONG)


def test_a_class_that_is_never_compressed_is_not_sent_so_and_not_taken_so() -> None:
    pair = Pair().join()
    for peer in (pair.client, pair.server):
        packing.configure(peer.endpoint, plain=[9])
    before = pair.client.endpoint.counters["bytes_out"]
    pair.client.endpoint.send(pair.handle, UNRELIABLE, 9, SONG)
    pair.run(500_000)
    assert pair.server.payloads(pair.session, UNRELIABLE) == [SONG]
    assert pair.client.endpoint.counters["bytes_out"] - before > len(SONG)
    packing.configure(pair.client.endpoint)                 # a client that does not keep to it
    pair.client.endpoint.send(pair.handle, UNRELIABLE, 9, SONG)
    pair.client.endpoint.send(pair.handle, UNRELIABLE, 8, SONG)
    pair.run(500_000)
    assert pair.server.payloads(pair.session, UNRELIABLE) == [SONG, SONG]
    assert pair.server.endpoint.message_drops[DropReason.BAD_COMPRESSION] == 1


def test_a_bomb_is_bounded_by_the_channel_and_by_the_inbox() -> None:
    """A hundred bytes that stand for the most that the channel carries; declared or not, no more is written."""
    bomb = lz4.pack(bytes(LIMITS[UNRELIABLE]))
    assert bomb is not None and len(bomb) < 100
    desk = desks.Desk(new_server(inbox_bytes=262_144))
    client = desks.reference_client()
    session = desks.joined(desk, client)
    for _ in range(18):                                     # the inbox has room for 17
        desk.endpoint.inbound(_one(desk, session.packet(bytes([COMPRESSED, 9]) + bomb)), desk.replies, desk.now_us)
    assert len(desk.endpoint.inbox) == 17
    assert desk.endpoint.message_drops[DropReason.INBOX_FULL] == 1
    desk.endpoint.clear()
    for declared in (LIMITS[UNRELIABLE] + 1, 1 << 18, 1 << 32, (1 << 64) - 1):
        block = lz4.pack(bytes(1 << 18)) or b""
        frame = bytes([COMPRESSED, 9]) + uvarint(declared) + block[3:]
        desk.endpoint.inbound(_one(desk, session.packet(frame)), desk.replies, desk.now_us)
    assert len(desk.endpoint.inbox) == 0 and desk.endpoint.message_drops[DropReason.BAD_COMPRESSION] == 4


def _one(desk: desks.Desk, datagram: bytes) -> DatagramBatch:
    desk.batch.clear()
    assert desk.batch.append(datagram, desks.CLIENT)
    return desk.batch


def test_what_bombs_unfold_to_counts_against_their_sessions_share_of_the_inbox() -> None:
    """In an inbox with room for sixty, one session's bombs take what 262,144 bytes hold; the next is refused."""
    bomb = lz4.pack(bytes(LIMITS[UNRELIABLE]))
    assert bomb is not None
    desk = desks.Desk(new_server(inbox_bytes=1 << 20))
    session = desks.joined(desk, desks.reference_client())
    for _ in range(18):
        desk.endpoint.inbound(_one(desk, session.packet(bytes([COMPRESSED, 9]) + bomb)), desk.replies, desk.now_us)
    assert len(desk.endpoint.inbox) == 17
    assert desk.endpoint.message_drops[DropReason.INBOX_FULL] == 1


def test_parts_that_do_not_open_are_given_back() -> None:
    """A set of compressed parts is complete and its block is none: dropped, counted, its blocks free again."""
    desk = desks.server_desk()
    session = desks.joined(desk, desks.reference_client())
    packed = uvarint(1000) + slow_lz4.literals(bytes(999))
    data = b"\x09" + packed
    head = bytes([UNRELIABLE | FRAGMENT | COMPRESSED])
    desk.give_all([session.packet(head + b"\5\0\0\2" + data[:960]), session.packet(head + b"\5\0\1\2" + data[960:])])
    assert desk.dropped_messages() == {DropReason.BAD_COMPRESSION: 1} and desk.messages == []
    assert desk.endpoint.counters["blocks_used"] == desk.endpoint.counters["fragment_sets"] == 0


def test_mistakes_of_the_caller_are_named() -> None:
    endpoint = new_server()
    for words, sentence in (({"least": -1}, "least is -1"), ({"least": 1 << 21}, "0 .nothing is compressed."),
                            ({"plain": [0]}, "no message kind 0"), ({"plain": [201]}, "no message kind 201")):
        with pytest.raises(UsageError, match=sentence):
            packing.configure(endpoint, **words)

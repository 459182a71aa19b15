"""Invariants of reliable delivery over a bad network: streams, unordered messages, what becomes of each, memory."""
import hashlib
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadowland._core.base.records import DELIVERED, MESSAGE_DTYPE, UNDELIVERED
from shadowland._core.base.status import DisconnectReason
from shadowland._core.endpoint.endpoint import RELIABLE_LIMIT, Endpoint
from shadowland.errors import CapacityError
from shadowland.testing import Link
from tests.sim.peers import LEFT, TICK_US, Pair, Peer, new_client, new_server

UNORDERED, KIND = 2, 9
STREAMS = [1 + 16 * stream for stream in range(8)]
WORST = Link(loss=0.4, delay_us=30_000, jitter_us=20_000, duplicate=0.2, reorder=0.3, reorder_us=80_000, corrupt=0.1)
links = st.sampled_from([Link(), Link(loss=0.1, delay_us=20_000), WORST])
few = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
plans = st.lists(st.tuples(st.sampled_from([*STREAMS, UNORDERED, UNORDERED]),
                           st.sampled_from([0, 1, 300, 959, 960, 5000, 40_000, RELIABLE_LIMIT])),
                 min_size=1, max_size=30)


def content(number: int, length: int) -> bytes:
    return hashlib.shake_128(bytes([number])).digest(length)


def settle(pair: Pair, done: int, seconds: int = 120) -> None:
    """Run until each side was told of the end of `done` messages."""
    for _ in range(seconds * 10):
        if all(len(peer.heard(DELIVERED)) == done for peer in (pair.client, pair.server)):
            return
        pair.run(100_000)


@few
@given(st.integers(0, 200), links, plans)
def test_every_stream_arrives_exactly_once_and_in_order_and_unordered_ones_exactly_once(
        seed: int, link: Link, plan: list[tuple[int, int]]) -> None:
    pair = Pair(seed).join()
    pair.link(link)
    sides = [(pair.client, pair.handle, pair.server, pair.session),
             (pair.server, pair.session, pair.client, pair.handle)]
    for peer, handle, _, _ in sides:
        waiting = [(channel, content(i, length), i + 1) for i, (channel, length) in enumerate(plan)]
        while waiting:
            channel, payload, ticket = waiting[0]
            try:
                peer.endpoint.send(handle, channel, KIND, payload, ticket)
                waiting.pop(0)
            except CapacityError:
                pair.run(TICK_US)
    settle(pair, len(plan))
    for peer, handle, other, theirs in sides:
        for channel in {channel for channel, _ in plan}:
            said = [content(i, length) for i, (of, length) in enumerate(plan) if of == channel]
            heard = other.payloads(theirs, channel)
            assert sorted(heard) == sorted(said) and (channel == UNORDERED or heard == said)
        assert sorted(event.token for event in peer.heard(DELIVERED)) == list(range(1, len(plan) + 1))
        assert not peer.heard(UNDELIVERED) and not peer.heard(LEFT)
        assert peer.endpoint.counters["blocks_used"] == 0 and peer.endpoint.stats(handle)["units_waiting"] == 0


@pytest.mark.parametrize("seed", [1, 9, 38])
def test_a_path_that_loses_four_in_ten_is_not_left_at_the_floor(seed: int) -> None:
    """Half a megabyte each way in 80 s; with losses alone to hold the rate down it took 100 to 120."""
    pair = Pair(seed).join()
    pair.link(WORST)
    for peer, handle in ((pair.client, pair.handle), (pair.server, pair.session)):
        for ticket, channel in enumerate((STREAMS[0], UNORDERED), 1):
            peer.endpoint.send(handle, channel, KIND, content(ticket, RELIABLE_LIMIT), ticket)
    settle(pair, 2, seconds=80)
    assert [len(peer.heard(DELIVERED)) for peer in (pair.client, pair.server)] == [2, 2]


def test_an_urgent_message_overtakes_long_transfers() -> None:
    """While 768 KiB are under way on less urgent streams, a message on stream 0 arrives as on an idle session."""
    pair = Pair(link=Link(delay_us=20_000)).join()
    for stream in (4, 5, 6):
        pair.client.endpoint.send(pair.handle, STREAMS[stream], KIND, content(stream, RELIABLE_LIMIT))
    pair.run(2 * TICK_US)
    assert not pair.server.messages
    pair.client.endpoint.send(pair.handle, STREAMS[0], KIND, b"urgent")
    pair.client.endpoint.send(pair.handle, UNORDERED, KIND, b"urgent too")
    pair.run(5 * TICK_US)
    assert {message.payload for message in pair.server.messages[pair.session]} == {b"urgent", b"urgent too"}
    pair.run(5_000_000)
    assert [message.channel for message in pair.server.messages[pair.session][2:]] == STREAMS[4:7]


def test_a_stream_that_waits_holds_up_no_other() -> None:
    """The packets of stream 0 are lost for a while; what is said on stream 1 and without order meanwhile arrives."""
    pair = Pair(link=Link(delay_us=10_000)).join()
    pair.network.set_link(pair.client.port, pair.server.port, Link(loss=1.0))
    pair.client.endpoint.send(pair.handle, STREAMS[0], KIND, b"first")
    pair.run(2 * TICK_US)
    pair.network.set_link(pair.client.port, pair.server.port, Link(delay_us=10_000))
    pair.client.endpoint.send(pair.handle, STREAMS[0], KIND, b"second")
    pair.client.endpoint.send(pair.handle, STREAMS[1], KIND, b"other stream")
    pair.client.endpoint.send(pair.handle, UNORDERED, KIND, b"no order")
    pair.run(2 * TICK_US)
    assert [message.payload for message in pair.server.messages[pair.session]] == [b"no order", b"other stream"]
    pair.run(3_000_000)
    assert pair.server.payloads(pair.session, STREAMS[0]) == [b"first", b"second"]


@pytest.mark.parametrize("how", ["close", "silence"])
def test_a_session_that_ends_tells_of_every_message_first(how: str) -> None:
    """More than the event queue holds beside joins and leaves: none is lost, LEFT is last, all memory returns."""
    pair = Pair(server=new_server(capacity=1), client=new_client(capacity=1)).join()
    pair.run(200_000)
    pair.client.endpoint.send(pair.handle, 1, KIND, b"arrives", 1)
    pair.run(500_000)
    pair.link(Link(loss=1.0))
    ticket = 1
    for ticket in count(2):
        try:
            pair.client.endpoint.send(pair.handle, STREAMS[ticket % 8], KIND, bytes(ticket % 3), ticket)
        except CapacityError:
            break
    assert ticket > 3000
    if how == "close":
        pair.client.endpoint.close(pair.handle, DisconnectReason.CLIENT_LEFT, pair.network.now_us)
    pair.run(16_000_000, 100_000)
    assert [event.token for event in pair.client.heard(DELIVERED)] == [1]
    assert sorted(event.token for event in pair.client.heard(UNDELIVERED)) == list(range(2, ticket))
    assert pair.client.events[-1].kind == LEFT
    assert pair.client.endpoint.live == pair.client.endpoint.counters["blocks_used"] == 0


def test_a_full_event_queue_delays_what_is_told_and_loses_nothing() -> None:
    pair = Pair(server=new_server(capacity=1), client=new_client(capacity=1)).join()
    read, pair.client.read = pair.client.read, lambda: None      # type: ignore[method-assign]
    for ticket in range(1, 2001):
        pair.client.endpoint.send(pair.handle, UNORDERED, KIND, bytes(4), ticket)
    pair.run(3_000_000)
    assert len(pair.server.payloads(pair.session, UNORDERED)) == 2000
    assert pair.client.endpoint.counters["blocks_used"] > 900           # those that are still to be told
    pair.client.read = read                                             # type: ignore[method-assign]
    pair.run(100_000)
    assert sorted(event.token for event in pair.client.heard(DELIVERED)) == list(range(1, 2001))
    assert pair.client.endpoint.counters["blocks_used"] == 0


def test_tickets_come_in_columns_too() -> None:
    pair = Pair(clients=3).join()
    sessions = np.array([event.handle for event in pair.server.heard(1)], np.uint64)
    records = np.zeros(6, MESSAGE_DTYPE)
    records["connection"] = np.tile(sessions, 2)
    records["channel"], records["kind"], records["length"] = [1, 1, 1, 0x71, 2, 0], KIND, 4
    records["number"] = [10, 11, 12, 13, 14, 15]
    assert pair.server.endpoint.queue(records, np.arange(4, dtype=np.uint8)) == 0
    pair.run(300_000)
    assert sorted(event.token for event in pair.server.heard(DELIVERED)) == [10, 11, 12, 13, 14]


def test_sessions_that_hold_all_they_can_get_leave_the_others_their_reserve() -> None:
    """Messages to clients that never acknowledge them fill all that is shared; small ones to the others still go."""
    server = Endpoint("server", capacity=8, seed=b"t" * 32, identity_secret=b"k" * 32, schema_hash=7,
                      blocks=2720 + 8 * 16, session_blocks=2720)
    pair = Pair(server=server, clients=4).join()
    pair.run(500_000)
    greedy = [event.handle for event in pair.server.heard(1)][:3]
    for handle in greedy:
        with pytest.raises(CapacityError):
            for _ in range(10_000):
                server.send(handle, 1, KIND, bytes(100))
    last = pair.server.heard(1)[3].handle
    for i in range(6):
        server.send(last, STREAMS[i], KIND, bytes([i]) + content(i, 399))
    with pytest.raises(CapacityError):
        server.send(last, 1, KIND, content(9, 400))
    pair.run(400_000)
    heard = sorted(message.payload[:1] for messages in pair.client.messages.values() for message in messages
                   if len(message.payload) == 400)
    assert heard == [bytes([i]) for i in range(6)]


def receive_all(peer: Peer, handle: int) -> int:
    return len(peer.messages[handle])


def test_an_application_that_does_not_read_holds_its_peer_back_and_loses_nothing() -> None:
    """The inbox holds one message. Long messages of all streams are whole and wait; each comes out in its turn."""
    pair = Pair(server=new_server(inbox_bytes=262_144), client=new_client()).join()
    plan = [(STREAMS[i % 8], content(i, 100_000 + i)) for i in range(16)]
    waiting = list(plan)
    for _ in range(3000):
        try:
            while waiting:
                pair.client.endpoint.send(pair.handle, waiting[0][0], KIND, waiting[0][1])
                waiting.pop(0)
        except CapacityError:
            pass
        pair.run(TICK_US)
        if receive_all(pair.server, pair.session) == 16:
            break
    for channel in STREAMS:
        assert pair.server.payloads(pair.session, channel) == [payload for of, payload in plan if of == channel]
    pair.run(500_000)
    assert pair.server.endpoint.counters["blocks_used"] == pair.client.endpoint.counters["blocks_used"] == 0

"""Invariants over a bad network: what each channel promises holds whatever is lost, late, doubled or corrupted."""
import hashlib
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadowland._core.base.records import MESSAGE_DTYPE
from shadowland._core.base.status import DropReason
from shadowland._core.endpoint.endpoint import RELIABLE_LIMIT, UNRELIABLE_LIMIT
from shadowland.errors import CapacityError
from shadowland.testing import Link
from tests.sim.peers import LEFT, SNAPSHOT_ACKED, SNAPSHOT_LOST, Pair, Peer, new_client, new_server

UNRELIABLE, RELIABLE, LATEST, INPUT, SNAPSHOT = 0, 1, 3, 4, 5
KIND = 9

bad_links = st.builds(
    Link,
    loss=st.sampled_from([0.0, 0.1, 0.4]), delay_us=st.sampled_from([0, 5_000, 60_000]),
    jitter_us=st.sampled_from([0, 30_000]), duplicate=st.sampled_from([0.0, 0.3]),
    reorder=st.sampled_from([0.0, 0.3]), reorder_us=st.just(80_000), corrupt=st.sampled_from([0.0, 0.1]),
)
seeds = st.integers(min_value=0, max_value=250)
WORST = Link(loss=0.4, delay_us=30_000, jitter_us=20_000, duplicate=0.2, reorder=0.3, reorder_us=80_000, corrupt=0.1)
few = settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])


def push(peer: Peer, handle: int, channel: int, payload: bytes) -> bool:
    """Queue a message; False when a buffer is full and it must be tried again."""
    try:
        peer.endpoint.send(handle, channel, KIND, payload)
    except CapacityError:
        return False
    return True


def numbered(count: int, size: int = 0) -> list[bytes]:
    return [i.to_bytes(4, "little") + bytes([i & 0xFF]) * size for i in range(count)]


def talk(pair: Pair, channel: int, payloads: list[bytes], *, both_ways: bool = True, per_tick: int = 1) -> None:
    """Say `payloads` from the client (and from the server), a few a tick, and let the last ones arrive."""
    sides = [(pair.client, pair.handle), (pair.server, pair.session)][:2 if both_ways else 1]
    waiting = [list(payloads) for _ in sides]
    for _ in range(4000):
        for (peer, handle), queue in zip(sides, waiting, strict=True):
            for _ in range(per_tick):
                if queue and push(peer, handle, channel, queue[0]):
                    queue.pop(0)
        pair.run(16_000)
        if not any(waiting):
            break
    assert not any(waiting)

def noise(seed: int, length: int) -> bytes:
    """What no compression makes shorter."""
    return random.Random(seed).randbytes(length)


@few
@given(seeds, bad_links, st.integers(min_value=1, max_value=120), st.sampled_from([0, 300, 2500]))
def test_reliable_messages_arrive_exactly_once_and_in_order(seed: int, link: Link, count: int, size: int) -> None:
    pair = Pair(seed).join()
    pair.link(link)
    payloads = numbered(count, size)
    talk(pair, RELIABLE, payloads, per_tick=3)
    for _ in range(2000):
        if pair.client.payloads(pair.handle, RELIABLE) == payloads == pair.server.payloads(pair.session, RELIABLE):
            break
        pair.run(32_000)
    assert pair.server.payloads(pair.session, RELIABLE) == payloads
    assert pair.client.payloads(pair.handle, RELIABLE) == payloads
    pair.link(Link(delay_us=10_000))
    pair.run(15_000_000)
    for peer, handle in ((pair.client, pair.handle), (pair.server, pair.session)):
        assert peer.endpoint.counters["blocks_used"] == 0
        assert peer.endpoint.stats(handle)["units_waiting"] == 0


def test_messages_of_every_length_up_to_256_kib_survive_forty_percent_loss() -> None:
    pair = Pair(3).join()
    pair.link(WORST)
    lengths = [0, 1, 958, 959, 960, 961, 1919, 1920, 5000, RELIABLE_LIMIT]
    payloads = [hashlib.shake_128(bytes([i])).digest(length) for i, length in enumerate(lengths)]
    talk(pair, RELIABLE, payloads)
    for _ in range(60):
        pair.run(1_000_000)
        if len(pair.server.messages[pair.session]) == len(payloads) == len(pair.client.messages[pair.handle]):
            break
    assert pair.server.payloads(pair.session, RELIABLE) == payloads == pair.client.payloads(pair.handle, RELIABLE)


def test_more_units_than_their_sixteen_bit_numbers_can_count() -> None:
    """Numbers wrap at 65,536: 70,000 messages, some of them lost on the way and sent again."""
    pair = Pair(5, client=new_client(5, inbox_records=8192), server=new_server(5, inbox_records=8192), batch=256).join()
    pair.link(Link(loss=0.02, delay_us=1_000))
    payloads = numbered(70_000)
    said = 0
    for _ in range(9000):
        while said < len(payloads) and push(pair.client, pair.handle, RELIABLE, payloads[said]):
            said += 1
        pair.run(16_000)
        if len(pair.server.messages[pair.session]) == len(payloads):
            break
    assert pair.server.payloads(pair.session, RELIABLE) == payloads


@few
@given(seeds, bad_links)
def test_unreliable_messages_arrive_at_most_once_and_unchanged(seed: int, link: Link) -> None:
    pair = Pair(seed).join()
    pair.link(link)
    payloads = numbered(60, 40)
    talk(pair, UNRELIABLE, payloads)
    pair.run(400_000)
    for got in (pair.server.payloads(pair.session, UNRELIABLE), pair.client.payloads(pair.handle, UNRELIABLE)):
        assert len(got) == len(set(got)) and set(got) <= set(payloads)
        if link.loss == link.corrupt == 0:
            assert sorted(got) == payloads


@few
@given(seeds, bad_links)
def test_the_latest_message_wins_and_none_goes_back(seed: int, link: Link) -> None:
    pair = Pair(seed).join()
    pair.link(link)
    talk(pair, LATEST, numbered(60))
    pair.link(Link(delay_us=10_000))
    pair.run(400_000)
    talk(pair, LATEST, [b"\xff\xff\xff\xff"])
    pair.run(100_000)
    for got in (pair.server.payloads(pair.session, LATEST), pair.client.payloads(pair.handle, LATEST)):
        order = [int.from_bytes(payload, "little") for payload in got]
        assert order == sorted(set(order)) and got[-1] == b"\xff\xff\xff\xff"


def test_of_several_latest_messages_in_one_tick_only_the_last_is_sent() -> None:
    pair = Pair().join()
    for payload in (b"first", b"second", b"third"):
        pair.client.endpoint.send(pair.handle, LATEST, KIND, payload)
    pair.client.endpoint.send(pair.handle, LATEST, KIND + 1, b"another kind")
    pair.run(100_000)
    assert pair.server.payloads(pair.session, LATEST) == [b"third", b"another kind"]


def test_every_kind_of_message_may_be_latest() -> None:
    """There is room for all 200 kinds: none is dropped for coming after others."""
    pair = Pair().join()
    for kind in range(1, 201):
        pair.client.endpoint.send(pair.handle, LATEST, kind, bytes([kind]))
    pair.run(100_000)
    assert pair.server.payloads(pair.session, LATEST) == [bytes([kind]) for kind in range(1, 201)]
    assert not pair.server.endpoint.message_drops.any()


@few
@given(seeds, bad_links)
def test_inputs_arrive_once_each_and_in_order(seed: int, link: Link) -> None:
    pair = Pair(seed).join()
    pair.link(link)
    talk(pair, INPUT, numbered(80, 4), both_ways=False)
    pair.run(1_000_000)
    got = [message for message in pair.server.messages[pair.session] if message.channel == INPUT]
    numbers = [message.number for message in got]
    assert numbers == sorted(set(numbers))
    assert all(message.payload == numbered(80, 4)[message.number - 1] for message in got)


def test_inputs_are_all_there_although_a_third_of_the_packets_is_lost() -> None:
    pair = Pair(7).join()
    pair.link(Link(loss=0.3, delay_us=20_000))
    talk(pair, INPUT, numbered(300), both_ways=False)
    pair.run(1_000_000)
    got = pair.server.payloads(pair.session, INPUT)
    order = [int.from_bytes(payload, "little") for payload in got]
    assert order == sorted(order) and len(got) >= 297       # a few are overtaken in the buffer


def test_inputs_of_two_kinds_keep_their_order() -> None:
    pair = Pair(7).join()
    pair.link(Link(loss=0.2, delay_us=20_000))
    for i in range(100):
        pair.client.endpoint.send(pair.handle, INPUT, 1 + i % 3 % 2, bytes([i]))
        pair.run(16_000)
    pair.run(500_000)
    got = [message for message in pair.server.messages[pair.session] if message.channel == INPUT]
    assert [message.payload[0] + 1 for message in got] == [message.number for message in got]
    assert all(message.kind == 1 + message.payload[0] % 3 % 2 for message in got) and len(got) >= 97


@few
@given(seeds, bad_links, st.integers(min_value=1000, max_value=UNRELIABLE_LIMIT))
def test_fragmented_messages_arrive_whole_or_not_at_all(seed: int, link: Link, length: int) -> None:
    pair = Pair(seed).join()
    pair.link(link)
    payloads = [bytes([i]) * length for i in range(12)]
    talk(pair, UNRELIABLE, payloads)
    pair.run(500_000)
    for got in (pair.server.payloads(pair.session, UNRELIABLE), pair.client.payloads(pair.handle, UNRELIABLE)):
        assert len(got) == len(set(got)) and set(got) <= set(payloads)
        if link.loss == link.corrupt == 0 and not link.reorder:
            assert got == payloads
    pair.link(Link())
    pair.run(11_000_000, 500_000)
    for endpoint in (pair.server.endpoint, pair.client.endpoint):
        assert endpoint.counters["fragment_sets"] == endpoint.counters["blocks_used"] == 0


def test_incomplete_messages_are_given_up_after_ten_seconds_and_counted() -> None:
    pair = Pair().join()
    pair.link(Link(loss=0.5))
    for i in range(3):
        pair.client.endpoint.send(pair.handle, UNRELIABLE, KIND, noise(i, 9000))
        pair.run(16_000)
    pair.link(Link())
    held = pair.server.endpoint.counters["fragment_sets"]
    assert held > 0 and pair.server.endpoint.counters["blocks_used"] > 0
    pair.run(9_500_000, 100_000)
    assert pair.server.endpoint.counters["fragment_sets"] == held
    pair.run(1_000_000, 100_000)
    assert pair.server.endpoint.counters["fragment_sets"] == pair.server.endpoint.counters["blocks_used"] == 0
    assert pair.server.endpoint.message_drops[DropReason.FRAGMENT_EXPIRED] == held


def test_of_too_many_incomplete_messages_the_oldest_gives_way_and_is_counted() -> None:
    pair = Pair(8).join()
    pair.link(Link(loss=0.5))
    for i in range(12):
        pair.client.endpoint.send(pair.handle, UNRELIABLE, KIND, noise(i, 9000))
        pair.run(16_000)
    assert pair.server.endpoint.counters["fragment_sets"] <= 4
    assert pair.server.endpoint.message_drops[DropReason.FRAGMENTS_FULL] >= 4


@few
@given(seeds, bad_links)
def test_snapshots_are_told_acked_or_lost_and_acked_ones_arrived(seed: int, link: Link) -> None:
    pair = Pair(seed).join()
    pair.link(link)
    snapshots(pair, 60)
    pair.link(Link(delay_us=10_000))
    snapshots(pair, 10, first=61)
    pair.run(3_000_000)
    arrived = {int.from_bytes(payload[:4], "little") for payload in pair.client.payloads(pair.handle, SNAPSHOT)}
    acked = {event.token for event in pair.server.heard(SNAPSHOT_ACKED)}
    lost = {event.token for event in pair.server.heard(SNAPSHOT_LOST)}
    assert acked <= arrived
    assert not acked & lost and acked | lost == set(range(1, 71))
    if link.loss == link.corrupt == link.reorder == 0:
        assert acked == set(range(1, 71))


def snapshots(pair: Pair, count: int, first: int = 1) -> None:
    """One snapshot a tick from the server, its token in its first four bytes."""
    records = np.zeros(1, MESSAGE_DTYPE)
    for token in range(first, first + count):
        payload = np.frombuffer(token.to_bytes(4, "little") + bytes(200), np.uint8).copy()
        records[0] = (pair.session, 0, 0, len(payload), token, SNAPSHOT, 0, 0)
        assert pair.server.endpoint.queue(records, payload) == 0
        pair.run(16_000)


def test_a_snapshot_that_the_world_cannot_decode_is_never_acknowledged() -> None:
    pair = Pair().join()
    bad = {5, 6, 20}
    pair.client.undecodable = {token.to_bytes(4, "little") + bytes(200) for token in bad}
    snapshots(pair, 30)
    pair.run(2_000_000)
    assert {event.token for event in pair.server.heard(SNAPSHOT_ACKED)} == set(range(1, 31)) - bad
    assert {event.token for event in pair.server.heard(SNAPSHOT_LOST)} == bad
    assert pair.client.endpoint.message_drops[DropReason.UNDECODABLE] == len(bad)


def test_the_same_seed_gives_the_same_run() -> None:
    def run(seed: int) -> tuple[str, list[bytes]]:
        pair = Pair(seed, Link(delay_us=20_000, loss=0.1)).join()
        pair.link(WORST)
        talk(pair, RELIABLE, numbered(40, 500))
        pair.run(2_000_000)
        return pair.network.event_hash, pair.server.payloads(pair.session, RELIABLE)

    assert run(11) == run(11)
    assert run(11)[0] != run(12)[0]


@pytest.mark.parametrize("loss", [0.0, 0.4])
def test_everything_returns_when_sessions_end(loss: float) -> None:
    """Slots, blocks, fragment sets: none stays behind, however a session ended and whatever it had under way."""
    pair = Pair(9, clients=8).join()
    pair.link(Link(loss=loss, delay_us=30_000))
    server, client = pair.server.endpoint, pair.client.endpoint
    for handle in pair.handles:
        client.send(handle, RELIABLE, KIND, noise(2, 20_000))
        client.send(handle, UNRELIABLE, KIND, noise(1, 9000))
    for session in list(pair.server.endpoint.stats()["connection"]):
        server.send(int(session), RELIABLE, KIND, noise(2, 20_000))
    pair.run(48_000)
    for i, handle in enumerate(pair.handles):
        if i % 2:
            client.close(handle, 1, pair.network.now_us)
    server.close_all(2, pair.network.now_us)
    pair.run(20_000_000, 100_000)
    for peer in (pair.server, pair.client):
        assert peer.endpoint.live == 0 and peer.endpoint.half_open == 0
        assert peer.endpoint.counters["blocks_used"] == peer.endpoint.counters["fragment_sets"] == 0
        assert len(peer.heard(LEFT)) == 8

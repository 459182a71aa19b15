"""Invariants: keys change on a bad network without a message lost, doubled or late for it, however often."""
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.status import DropReason
from shadowland.testing import Link
from tests.sim.peers import LEFT, Pair, Peer, new_client, new_server
from tests.sim.test_delivery import bad_links, numbered, push, seeds

RELIABLE, UNRELIABLE = 1, 0
SECOND = 1_000_000
WORST = Link(loss=0.4, delay_us=30_000, jitter_us=20_000, duplicate=0.2, reorder=0.3, reorder_us=80_000, corrupt=0.1)


class Tap:
    """A port that keeps the headers of what is sent, and whole datagrams for those who replay them."""

    def __init__(self, port: Any) -> None:
        self.port, self.sent = port, list[bytes]()

    def send(self, batch: DatagramBatch) -> Any:
        self.sent += [batch[i] for i in range(batch.count)]
        return self.port.send(batch)

    def receive(self, batch: DatagramBatch, now_us: int) -> Any:
        return self.port.receive(batch, now_us)

    @property
    def sessions(self) -> list[bytes]:
        return [datagram for datagram in self.sent if datagram[:4] != bytes(4)]


def tap(peer: Peer) -> Tap:
    peer.port = Tap(peer.port)      # type: ignore[assignment]
    return peer.port                # type: ignore[return-value]


def epochs(pair: Pair) -> tuple[int, int]:
    return tuple(int(peer.endpoint.stats()["epoch"][0]) for peer in (pair.server, pair.client))     # type: ignore


def fresh_nonces(*taps: Tap) -> None:
    """Sequences count up by one in each direction, whatever happens to the keys: no nonce occurs twice."""
    for each in taps:
        sequences = [int.from_bytes(datagram[6:14], "little") for datagram in each.sessions]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def converse(pair: Pair, messages: list[bytes], force: tuple[bool, bool], every: int = 5) -> None:
    """Reliable messages both ways, one a tick, while one side or both force a rekey every few ticks."""
    sides = [(pair.client, pair.handle), (pair.server, pair.session)]
    waiting = [list(messages) for _ in sides]
    for turn in range(6000):
        for (peer, handle), queue, forces in zip(sides, waiting, force, strict=True):
            if queue and push(peer, handle, RELIABLE, queue[0]):
                queue.pop(0)
            if forces and turn % every == 0:
                peer.endpoint.rekey(handle)
        pair.run(16_000)
        if not any(waiting) and all(len(peer.payloads(handle, RELIABLE)) >= len(messages) for peer, handle in sides):
            break
    for peer, handle in sides:
        assert peer.payloads(handle, RELIABLE) == messages
        assert not peer.heard(LEFT)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(seeds, bad_links, st.tuples(st.booleans(), st.booleans()))
def test_reliable_streams_run_through_rekeys_on_any_network(seed: int, link: Link, force: tuple[bool, bool]) -> None:
    pair = Pair(seed, server=new_server(seed, rekey_packets=16), client=new_client(seed)).join()
    taps = tap(pair.client), tap(pair.server)
    pair.link(link)
    converse(pair, numbered(150), force)
    pair.link(Link(delay_us=5_000))
    pair.run(2 * SECOND)
    assert min(epochs(pair)) >= 1 and max(epochs(pair)) - min(epochs(pair)) <= 1
    fresh_nonces(*taps)


@pytest.mark.parametrize("force", [(True, False), (False, True), (True, True)])
def test_forced_back_to_back_on_the_worst_link(force: tuple[bool, bool]) -> None:
    pair = Pair(3).join()
    pair.link(WORST)
    converse(pair, numbered(600), force, every=1)
    assert min(epochs(pair)) >= 3


def test_nothing_is_lost_because_of_a_rekey() -> None:
    """On a link that only reorders and delays, every unreliable packet arrives, of whatever epoch it is."""
    link = Link(delay_us=40_000, jitter_us=30_000, reorder=0.3, reorder_us=60_000)
    pair = Pair(5, link).join()
    client, server = tap(pair.client), tap(pair.server)
    for number in range(600):
        pair.client.endpoint.send(pair.handle, UNRELIABLE, 9, number.to_bytes(4, "little"))
        pair.server.endpoint.send(pair.session, UNRELIABLE, 9, number.to_bytes(4, "little"))
        pair.client.endpoint.rekey(pair.handle)
        pair.server.endpoint.rekey(pair.session)
        pair.run(16_000)
    pair.run(SECOND)
    assert min(epochs(pair)) >= 5
    for peer, handle in ((pair.client, pair.handle), (pair.server, pair.session)):
        assert sorted(peer.payloads(handle, UNRELIABLE)) == sorted(n.to_bytes(4, "little") for n in range(600))
        drops = {DropReason(i).name: int(n) for i, n in enumerate(peer.endpoint.drops) if n}
        assert not drops
    assert {datagram[5] for each in (client, server) for datagram in each.sessions} == {3, 7}
    fresh_nonces(client, server)


def test_old_packets_replayed_and_phases_turned_change_nothing() -> None:
    pair = Pair(7).join()
    client = tap(pair.client)
    converse(pair, numbered(40), (True, False))
    pair.run(3 * SECOND)
    recorded = client.sessions
    before, peer = pair.server.endpoint.drops, pair.server
    attack, replies = DatagramBatch(2 * len(recorded)), DatagramBatch(8)
    for datagram in recorded:
        attack.append(datagram, ("10.0.0.2", 40000))
        attack.append(datagram[:5] + bytes([datagram[5] ^ 4]) + datagram[6:], ("10.0.0.2", 40000))
    peer.endpoint.inbound(attack, replies, pair.network.now_us)
    difference = peer.endpoint.drops - before
    assert int(difference.sum()) == 2 * len(recorded)
    assert {DropReason(i) for i, n in enumerate(difference) if n} <= {DropReason.REPLAYED, DropReason.NO_KEYS}
    peer.read()
    pair.run(SECOND)
    assert not pair.server.heard(LEFT) and peer.payloads(pair.session, RELIABLE) == numbered(40)


def test_a_partition_in_the_middle_of_a_rekey_heals() -> None:
    for cut in range(1, 9):                                     # after so many ticks of the exchange
        pair = Pair(cut).join()
        pair.server.endpoint.rekey(pair.session)
        pair.run(cut * 16_000)
        pair.link(Link(loss=1.0))
        pair.run(2 * SECOND)
        pair.link(Link(delay_us=20_000))
        converse(pair, numbered(30), (False, False))
        pair.run(3 * SECOND)
        assert epochs(pair) == (1, 1), cut


def test_a_quiet_session_rekeys_by_age_alone() -> None:
    pair = Pair(9, server=new_server(9, rekey_age_us=10 * SECOND), client=new_client(9)).join()
    pair.run(100 * SECOND, tick_us=100_000)
    assert 5 <= min(epochs(pair)) <= 13
    assert pair.server.endpoint.counters["rekeys"] == epochs(pair)[0]


def test_sessions_of_one_endpoint_have_epochs_of_their_own() -> None:
    pair = Pair(11, clients=4).join()
    for number, event in enumerate(pair.server.heard(1)):
        for _ in range(number):
            pair.server.endpoint.rekey(event.handle)
            pair.run(1_500_000)
    assert sorted(pair.server.endpoint.stats()["epoch"].tolist()) == [0, 1, 2, 3]
    assert sorted(pair.client.endpoint.stats()["epoch"].tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("tick_us", [16_000, 200_000])
def test_many_that_want_new_keys_at_once_get_them_by_turns(tick_us: int) -> None:
    """A server computes 32 answers in a pass; whoever asks in every pass cannot take the turns of others."""
    sessions = 250                                      # more than have their turn while a grace time runs
    server = new_server(13, capacity=256, half_open=256, half_open_per_prefix=256)
    pair = Pair(13, clients=sessions, batch=256, server=server, client=new_client(13, capacity=256)).join()
    most, before = 0, 0
    for _ in range(0, 12 * SECOND, tick_us):
        for handle in pair.handles:
            pair.client.endpoint.rekey(handle)
        pair.run(tick_us, tick_us)
        offered = int(pair.server.endpoint.stats()["epoch"].sum())
        most, before = max(most, offered - before), offered
    assert most == 32
    found = pair.server.endpoint.stats()["epoch"]
    assert len(found) == sessions and found.min() >= 5 and found.max() - found.min() <= 2

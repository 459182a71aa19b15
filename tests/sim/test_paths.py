"""Sessions whose client moves: nothing is lost or doubled, and nobody else can move them (protocol.md 8)."""
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import MESSAGE_DTYPE, MIGRATED
from shadowland.testing import Link
from tests.reference.congestion import FIRST
from tests.sim.peers import LEFT, SERVER_ADDRESS, TICK_US, Pair
from tests.sim.test_delivery import INPUT, RELIABLE, UNRELIABLE, noise, numbered, push

HOME, OTHER_PORT, ELSEWHERE = ("10.0.0.2", 40000), ("10.0.0.2", 40001), ("192.0.2.9", 7)
WORST = Link(loss=0.4, delay_us=30_000, jitter_us=20_000, duplicate=0.2, reorder=0.3, reorder_us=80_000, corrupt=0.1)
few = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])


def rebind(pair: Pair, address: tuple[str, int]) -> None:
    """The NAT gives the client another address: what is under way to the old one is lost."""
    pair.client.port.close()
    pair.client.port = pair.network.attach(address)


def migrations(pair: Pair) -> int:
    return len(pair.server.heard(MIGRATED))


def where(pair: Pair) -> tuple[str, int] | None:
    return pair.server.endpoint.remote(pair.session)


def say(pair: Pair, ticks: int) -> None:
    """A client that plays: an input every tick."""
    for _ in range(ticks):
        pair.client.endpoint.send(pair.handle, INPUT, 1, b"step")
        pair.run(TICK_US)


@pytest.mark.parametrize("address", [OTHER_PORT, ELSEWHERE])
def test_a_session_goes_on_from_another_address(address: tuple[str, int]) -> None:
    pair = Pair().join()
    say(pair, 60)
    rtt_us = int(pair.server.endpoint.stats(pair.session)["rtt_us"][0])
    rebind(pair, address)
    pair.network.link = Link(delay_us=60_000)                           # the new path is a longer one
    say(pair, 14)
    assert [(event.handle, event.token) for event in pair.server.heard(MIGRATED)] == [(pair.session, 1)]
    assert where(pair) == address
    if address == ELSEWHERE:                                            # measured anew, nothing left of the old one
        assert pair.server.endpoint.stats(pair.session)["min_rtt_us"][0] >= 120_000
    else:
        assert pair.server.endpoint.stats(pair.session)["min_rtt_us"][0] <= rtt_us
    push(pair.server, pair.session, RELIABLE, b"still there?")
    pair.run(500_000)
    assert pair.client.payloads(pair.handle, RELIABLE) == [b"still there?"]
    assert not pair.server.heard(LEFT) and not pair.client.heard(LEFT)


def test_a_client_that_only_listens_is_found_again_by_its_next_acknowledgment_or_ping() -> None:
    pair = Pair().join()
    pair.run(1_000_000)
    rebind(pair, ELSEWHERE)
    push(pair.server, pair.session, RELIABLE, b"late")
    pair.run(9_000_000)
    assert where(pair) == ELSEWHERE and pair.client.payloads(pair.handle, RELIABLE) == [b"late"]


def transfer(pair: Pair, payloads: list[bytes], moves: list[tuple[str, int]], gap_ticks: int) -> None:
    """Bulk in both directions while the client moves again and again."""
    waiting = [list(payloads), list(payloads)]
    for tick in range(6000):
        if moves and tick % gap_ticks == gap_ticks - 1:
            rebind(pair, moves.pop(0))
        for (peer, handle), queue in zip(((pair.client, pair.handle), (pair.server, pair.session)), waiting,
                                         strict=True):
            for _ in range(3):
                if queue and push(peer, handle, RELIABLE, queue[0]):
                    queue.pop(0)
        pair.run(TICK_US)
        if (not moves and len(pair.server.payloads(pair.session, RELIABLE)) == len(payloads)
                == len(pair.client.payloads(pair.handle, RELIABLE))):
            break
    assert pair.server.payloads(pair.session, RELIABLE) == payloads
    assert pair.client.payloads(pair.handle, RELIABLE) == payloads


def test_bulk_transfers_in_both_directions_survive_a_walk_back_and_forth() -> None:
    pair = Pair(4).join()
    payloads = numbered(2000, 700)
    moves = [OTHER_PORT, HOME, ELSEWHERE, HOME, OTHER_PORT, ELSEWHERE]
    transfer(pair, payloads, moves, gap_ticks=100)
    pair.run(3_000_000)
    assert where(pair) == ELSEWHERE and migrations(pair) == 6
    pair.run(15_000_000)
    for peer in (pair.client, pair.server):
        assert peer.endpoint.counters["blocks_used"] == 0


@few
@given(st.integers(0, 250), st.lists(st.sampled_from([HOME, OTHER_PORT, ELSEWHERE]), min_size=1, max_size=4),
       st.sampled_from([20, 70, 130]))
def test_moving_through_the_worst_network_loses_and_doubles_nothing(seed: int, moves: list[tuple[str, int]],
                                                                    gap_ticks: int) -> None:
    pair = Pair(seed).join()
    pair.link(WORST)
    transfer(pair, numbered(150, 100), moves, gap_ticks)
    assert not pair.server.heard(LEFT) and not pair.client.heard(LEFT)


def test_many_clients_behind_one_nat_move_at_once() -> None:
    pair = Pair(6, clients=16).join()
    rebind(pair, ELSEWHERE)
    for _ in range(100):
        for handle in pair.handles:
            pair.client.endpoint.send(handle, INPUT, 1, b"step")
        pair.run(TICK_US)
    assert {pair.server.endpoint.remote(event.handle) for event in pair.server.heard(MIGRATED)} == {ELSEWHERE}
    assert len(pair.server.heard(MIGRATED)) == 16


class Racer:
    """A port of the client's whose datagrams an attacker copies: the copy leaves at once from the attacker's address,
    the true one `late_us` later, so that the copy is the newer one at the server."""

    def __init__(self, pair: Pair, late_us: int) -> None:
        self.pair, self.port, self.late_us = pair, pair.client.port, late_us
        self.attacker = pair.network.attach(("203.0.113.66", 6666))
        self.held: list[tuple[int, bytes]] = []
        self.copied = self.heard = 0

    def send(self, batch: DatagramBatch) -> int:
        copies = DatagramBatch(64)
        for i in range(batch.count):
            if batch[i][:4] != bytes(4):                                # of a session
                copies.append(batch[i], SERVER_ADDRESS)
                self.copied += len(batch[i])
            self.held.append((self.pair.network.now_us + self.late_us, batch[i]))
        batch.clear()
        self.attacker.send(copies)
        return copies.count

    def receive(self, batch: DatagramBatch, now_us: int) -> int:
        due = DatagramBatch(64)
        while self.held and self.held[0][0] <= now_us:
            due.append(self.held.pop(0)[1], SERVER_ADDRESS)
        self.port.send(due)
        heard = DatagramBatch(64)
        self.attacker.receive(heard, now_us)
        self.heard += sum(len(heard[i]) for i in range(heard.count))
        return self.port.receive(batch, now_us)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)


def test_an_attacker_who_is_faster_than_the_client_neither_moves_the_session_nor_gets_three_times_the_bytes() -> None:
    """It copies everything and its copies always come first; it cannot answer a challenge."""
    pair = Pair(7).join()
    racer = Racer(pair, late_us=TICK_US)
    pair.client.port = racer                                            # type: ignore[assignment]
    payloads = numbered(300, 50)
    for i in range(900):
        if i % 3 == 0:
            push(pair.client, pair.handle, RELIABLE, payloads[i // 3])
            push(pair.server, pair.session, UNRELIABLE, bytes(500))
        pair.run(TICK_US)
    pair.run(2_000_000)
    assert migrations(pair) == 0 and where(pair) == HOME
    assert pair.server.payloads(pair.session, RELIABLE) == payloads
    assert 0 < racer.heard <= 3 * racer.copied
    assert racer.heard < 100 * 42                                       # five challenges, each time it is tried
    # The copies came first, so the true ones were replays; the client was served all the same.
    assert len(pair.client.payloads(pair.handle, UNRELIABLE)) >= 295


def test_a_path_that_swallows_everything_is_given_up_and_the_old_one_serves_on() -> None:
    """One packet strays (a copy from an address where nobody is); the client itself never moved."""
    pair = Pair(8).join()
    say(pair, 10)
    stray = Racer(pair, late_us=0)
    home, pair.client.port = pair.client.port, stray                    # type: ignore[assignment]
    pair.client.endpoint.send(pair.handle, INPUT, 1, b"stray")
    pair.client.step()
    pair.client.port = home
    stray.attacker.close()
    records = np.zeros(1, MESSAGE_DTYPE)
    records[0] = (pair.session, 0, 0, 4, 1, 5, 0, 0)
    for _ in range(300):
        pair.server.endpoint.queue(records, np.zeros(4, np.uint8))
        say(pair, 1)
    assert migrations(pair) == 0 and where(pair) == HOME
    assert pair.server.endpoint.counters["paths_refused"] == 1
    assert len(pair.client.payloads(pair.handle, 5)) >= 298


def test_nobody_is_reached_where_the_client_was_and_where_it_is_then_the_session_ends_by_silence() -> None:
    pair = Pair().join()
    say(pair, 20)
    pair.client.port.close()
    pair.client.port = pair.network.attach(ELSEWHERE)
    pair.network.set_link(pair.server.port, pair.client.port, Link(loss=1.0))
    for _ in range(1200):
        if pair.client.endpoint.is_live(pair.handle):
            say(pair, 1)
    assert migrations(pair) == 0 and where(pair) == HOME
    assert [event.reason for event in pair.client.heard(LEFT)] == [3]


def loaded(pair: Pair) -> None:
    """The server's rate grows far above the first one: it says as much as it may for a second."""
    payload = noise(1, 1000)
    for _ in range(60):
        while push(pair.server, pair.session, RELIABLE, payload):
            pass
        pair.run(TICK_US)


@pytest.mark.parametrize(("address", "anew"), [(ELSEWHERE, True), (OTHER_PORT, False)])
def test_the_rate_of_another_path_is_found_anew(address: tuple[str, int], anew: bool) -> None:
    pair = Pair(batch=512).join()
    loaded(pair)
    before = int(pair.server.endpoint.stats(pair.session)["rate_bytes_per_s"][0])
    assert before > 4 * FIRST
    rebind(pair, address)
    while migrations(pair) == 0:
        pair.client.endpoint.send(pair.handle, INPUT, 1, b"step")
        pair.run(TICK_US)
    after = int(pair.server.endpoint.stats(pair.session)["rate_bytes_per_s"][0])
    assert (after <= 2 * FIRST) == anew


def test_what_the_old_path_lost_does_not_slow_the_new_one() -> None:
    """Half a second of the rate was under way to where nobody is any more when the session moved."""
    pair = Pair(link=Link(delay_us=100_000), batch=512).join()
    loaded(pair)
    rebind(pair, ELSEWHERE)
    payload = noise(1, 1000)
    for _ in range(20):
        while push(pair.server, pair.session, RELIABLE, payload):
            pass
        pair.client.endpoint.send(pair.handle, INPUT, 1, b"step")
        pair.run(TICK_US)
    assert migrations(pair) == 1
    rates = []
    for _ in range(60):
        while push(pair.server, pair.session, RELIABLE, payload):
            pass
        pair.run(TICK_US)
        rates.append(int(pair.server.endpoint.stats(pair.session)["rate_bytes_per_s"][0]))
    assert min(rates) >= FIRST and rates[-1] > 2 * FIRST

"""Floods over the simulated network: only what proves nothing is shed, players play on, newcomers come in."""
import os

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland._core.crypto import cookie
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland.guard import DEFAULT_RULES, Guard, Policy, Rule
from shadowland.testing import Link
from tests.reference import protocol
from tests.sim.peers import IDENTITY, JOINED, LEFT, SERVER_ADDRESS, TICK_US, Pair, Peer, new_client

A_TICK = 500                            # forged datagrams: 31,000 a second
HELLOS = Rule(name="hellos", scope="all", what="hellos", per_second=2_000, burst=200)


def guarded(*rules: Rule) -> tuple[Pair, Guard]:
    """A pair whose server has the built-in rules, these in place of those of the same name."""
    known = {rule.name: rule for rule in DEFAULT_RULES} | {rule.name: rule for rule in rules}
    guard = Guard(Policy(rules=tuple(known.values())))
    server = Endpoint("server", capacity=16, seed=b"s" * 32, identity_secret=IDENTITY, schema_hash=7,
                      schema_classes=((1, 11), (2, 22)), half_open=64, half_open_per_prefix=64, guard=guard.core)
    return Pair(3, Link(delay_us=20_000), server=server, batch=256), guard


class Forger:
    """Sends in the name of a thousand addresses, the player's among them, and hears nothing."""

    def __init__(self, pair: Pair, victim: tuple[str, int]) -> None:
        self.port = pair.network.attach(("0.0.0.0", 666))
        self.batch = DatagramBatch(A_TICK)
        self.names = [victim, *((f"10.{i >> 8}.{i & 255}.9", 40000) for i in range(1000))]
        self.turn = 0

    def send(self, data: bytes) -> None:
        for _ in range(A_TICK):
            host, _ = self.names[self.turn % len(self.names)]
            self.batch.append(data, SERVER_ADDRESS, (host, 666))
            self.turn += 1
        self.port.send(self.batch)


def test_a_flood_of_forged_hellos_sheds_hellos_and_nothing_else() -> None:
    pair, guard = guarded(HELLOS)
    pair.join()
    server, before = pair.server.endpoint, pair.server.endpoint.counters
    forger = Forger(pair, ("10.0.0.200", 666))
    newcomer = Peer(pair.network, new_client(9), ("10.0.9.9", 40000))
    key = server.public_key
    newcomer.endpoint.connect(SERVER_ADDRESS, key, pair.network.now_us)
    hello = protocol.Client(key, bytes(range(32))).hello()
    for turn in range(180):
        forger.send(hello)
        if turn < 100:
            pair.client.endpoint.send(pair.handle, 1, 1, turn.to_bytes(2, "little"))
        pair.run(TICK_US)
        newcomer.step()
    assert pair.server.payloads(pair.session, 1) == [turn.to_bytes(2, "little") for turn in range(100)]
    assert newcomer.heard(JOINED) and not pair.server.heard(LEFT)
    refused = next(one.hits for one in guard.rules() if one.rule.name == "hellos")
    assert refused == int(server.drops[DropReason.GUARDED]) > 30_000
    assert server.counters["handshakes"] == before["handshakes"] + 1        # the newcomer's
    assert guard.bans() == [] and {one.rule.name for one in guard.rules() if one.hits} == {"hellos"}


def test_connects_with_cookies_that_nobody_gave_out_cost_no_key_exchange_and_move_nothing() -> None:
    pair, guard = guarded()
    pair.join()
    server = pair.server.endpoint
    forger = Forger(pair, ("10.0.0.2", 666))
    client = protocol.Client(server.public_key, bytes(range(32)), schema_hash=7)
    address = bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 2])
    stamp = cookie.Secrets(os.urandom(32)).make(address, 666, client.public, pair.network.now_us // 10**6, bytes(8))
    connect = client.connect_with(stamp)
    exchanges = server.counters["handshakes"]
    for _ in range(20):
        forger.send(connect)
        pair.run(TICK_US)
    assert server.counters["handshakes"] == exchanges and server.half_open == 0
    assert int(server.drops[DropReason.BAD_COOKIE]) > 9_000
    assert all(one.hits == 0 for one in guard.rules()) and guard.bans() == []


def test_a_member_at_a_hundred_times_its_allowance_is_closed_and_its_neighbours_are_not() -> None:
    allowance = Rule(name="packets", scope="session", what="packets", per_second=100, burst=50)
    flood = Rule(name="packets-flood", scope="session", what="packets", per_second=500, burst=500, action="close")
    pair, guard = guarded(allowance, flood)
    pair.join()
    honest = Peer(pair.network, new_client(9), ("10.0.0.3", 40000))
    handle = honest.endpoint.connect(SERVER_ADDRESS, pair.server.endpoint.public_key, pair.network.now_us)
    greedy = Peer(pair.network, new_client(5), ("10.0.0.4", 40000))
    loud = greedy.endpoint.connect(SERVER_ADDRESS, pair.server.endpoint.public_key, pair.network.now_us)
    for _ in range(20):
        pair.run(TICK_US)
        honest.step()
        greedy.step()
    assert greedy.heard(JOINED) and honest.heard(JOINED)
    for turn in range(100):
        for _ in range(160):                                # 10,000 packets a second, each of its own
            if greedy.heard(LEFT):
                break
            greedy.endpoint.send(loud, 0, 1, b"more")
            greedy.endpoint.outbound(greedy.outgoing, pair.network.now_us)
            greedy.port.send(greedy.outgoing)
        honest.endpoint.send(handle, 1, 1, bytes([turn]))
        pair.run(TICK_US)
        honest.step()
        greedy.step()
    for _ in range(20):
        pair.run(TICK_US)
        honest.step()
        greedy.step()
    assert [event.reason for event in greedy.heard(LEFT)] == [DisconnectReason.RATE_LIMITED]
    assert len(pair.server.heard(LEFT)) == 1 and not honest.heard(LEFT) and not pair.client.heard(LEFT)
    sessions = [event.handle for event in pair.server.heard(JOINED)]
    assert any(pair.server.payloads(session, 1) == [bytes([turn]) for turn in range(100)] for session in sessions)
    assert {one.rule.name for one in guard.rules() if one.hits} == {"packets", "packets-flood"}


def test_everybody_comes_at_once_and_is_let_in_at_the_pace_of_the_budget() -> None:
    pair, guard = guarded(Rule(name="handshakes", scope="all", what="handshakes", per_second=20, burst=2))
    crowd = [Peer(pair.network, new_client(20 + i), (f"10.1.{i}.1", 40000)) for i in range(12)]
    for peer in crowd:
        peer.endpoint.connect(SERVER_ADDRESS, pair.server.endpoint.public_key, pair.network.now_us)
    most = before = turns = 0
    while turns < 250 and not all(peer.heard(JOINED) for peer in crowd):
        turns += 1
        pair.run(TICK_US)
        for peer in crowd:
            peer.step()
        done = pair.server.endpoint.counters["handshakes"]
        most, before = max(most, done - before), done
    assert most <= 3                                        # burst, and what one tick earns
    assert all(peer.heard(JOINED) for peer in crowd) and guard.bans() == []
    assert turns * TICK_US < 1_000_000                      # 15 in all at 20 a second: nobody had to ask again
    assert all(one.hits == 0 for one in guard.rules())

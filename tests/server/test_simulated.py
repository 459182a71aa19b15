"""A server and its clients on a simulated network: whole games in milliseconds, the same ones for the same seed."""
from typing import Annotated as A

import pytest

import shadowland as sl
from shadowland.testing import Link, Network, Port

TICK_US = 50_000


class Walker(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.1)] = (0.0, 0.0)


class Step(sl.Message, channel="input"):
    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0, 0)


class Say(sl.Message, channel="reliable"):
    text: A[str, sl.MaxLen(40)] = ""


SCHEMA = sl.Schema([Walker], [Step, Say])
IDENTITY = sl.Identity.generate()
WORSE = Link(loss=0.2, delay_us=30_000, jitter_us=20_000, duplicate=0.1, reorder=0.1, reorder_us=60_000, corrupt=0.05)


class Game:
    """A server and two clients; everybody repeats what is said."""

    def __init__(self, seed: int, link: Link) -> None:
        self.network = Network(seed, link)
        self.app = sl.Server(schema=SCHEMA, identity=IDENTITY, tick_hz=20, capacity=4, entities=16)

        @self.app.on_join
        def join(session: sl.Session) -> None:
            session.avatar = self.app.world.spawn(Walker(), owner=session)

        @self.app.on(Say)
        def say(session: sl.Session, message: Say) -> None:
            self.app.world.broadcast(message)

        @self.app.tick
        def step(t: sl.Tick) -> None:
            steps = t[Step]
            self.app.world[Walker].position[steps.rows] += steps.direction

        self.app.open(simulated=self.port("10.0.0.1", 3565))
        url, key = self.app.connect_line.split()
        self.clients = [sl.Client(url, key, schema=SCHEMA, simulated=self.port(f"10.0.0.{i}", 0)) for i in (2, 3)]
        self.heard: list[list[str]] = [[], []]

    def port(self, host: str, number: int) -> Port:
        return self.network.attach((host, number))

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.network.advance(TICK_US)
            self.app.step()
            for client, heard in zip(self.clients, self.heard, strict=True):
                heard += [message.text for message in client.poll() if isinstance(message, Say)]

    def play(self) -> None:
        self.run(40)
        assert all(client.connected for client in self.clients) and len(self.app.sessions) == 2
        for i in range(30):
            self.clients[0].send(Say(text=f"line {i}"))
            self.clients[1].send(Step(direction=(1, 0)))
            self.run(2)
        self.run(60)


def test_a_game_over_a_bad_network_is_played_to_its_end() -> None:
    game = Game(5, WORSE)
    began_us = game.network.now_us
    game.play()
    assert game.heard == [[f"line {i}" for i in range(30)]] * 2
    snapshot = game.clients[0].snapshot
    assert snapshot is not None and sorted(snapshot[Walker].position[:, 0].round(3).tolist()) == [0.0, 30.0]
    assert game.network.now_us - began_us == 160 * TICK_US and game.network.counters["lost"] > 50
    for client in game.clients:
        client.close()
    for _ in range(10):
        game.network.advance(TICK_US)
        game.app.step()
    assert not game.app.sessions
    game.app.close()


def test_the_same_seed_is_the_same_game() -> None:
    def played(seed: int) -> str:
        game = Game(seed, WORSE)
        game.play()
        return game.network.event_hash

    assert played(7) == played(7) != played(8)


def test_a_server_that_ends_tells_its_clients_in_virtual_time() -> None:
    game = Game(1, Link(delay_us=10_000))
    game.run(10)
    game.app.close()
    for client in game.clients:
        try:
            client.poll()
        except sl.errors.ConnectionLost as lost:
            assert lost.reason is sl.errors.DisconnectReason.SERVER_SHUTDOWN
        else:
            raise AssertionError("nobody told it")


def test_both_promise_to_answer_within_a_tick_and_a_quarter_and_a_client_is_polled_thirty_times_a_second() -> None:
    game = Game(1, Link(delay_us=5_000))
    game.run(20)
    assert game.app.endpoint.stats()["peer_ack_delay_us"].tolist() == [42_000, 42_000]
    assert [client._endpoint.stats()["peer_ack_delay_us"].tolist() for client in game.clients] == [[63_000], [63_000]]


def test_what_a_session_sees_is_its_own_and_ends_with_it() -> None:
    """A session that is over may not reach who has its slot now."""
    game = Game(6, Link())
    game.run(20)
    first, second = game.app.sessions.values()
    assert first.sees == 2**64 - 1
    first.sees = 1
    game.app.world.set_visible_to(second.avatar, 2)
    game.run(10)
    snapshots = [client.snapshot for client in game.clients]
    assert [len(snapshot) for snapshot in snapshots if snapshot] == [1, 2] and first.sees == 1
    del game.clients[0], game.heard[0]
    first.close()
    game.run(400)                               # until nothing of it is left
    url, key = game.app.connect_line.split()
    game.clients.append(sl.Client(url, key, schema=SCHEMA, simulated=game.port("10.0.0.9", 0)))
    game.heard.append([])
    game.run(20)
    third = list(game.app.sessions.values())[1]
    assert third.slot == first.slot and third.avatar
    for name in ("avatar", "sees"):
        with pytest.raises(sl.UsageError, match="the session is over"):
            setattr(first, name, 1)
    first.avatar = 0
    game.run(5)
    assert first.sees == 0 and first.avatar == 0 and third.sees == 2**64 - 1
    seen = game.clients[1].snapshot
    assert seen is not None and third.avatar in seen[Walker].handles.tolist()

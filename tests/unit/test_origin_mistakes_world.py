"""Mistakes of the original's world that have no test elsewhere; docs/testing.md says where each of them is."""
import struct
from typing import Annotated as A
from typing import Any

import pytest

import shadowland as sl
from shadowland.testing import Link, Network

HZ = 20
TICK_US = 1_000_000 // HZ
IDENTITY = sl.Identity.generate()


class Thing(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-500, 500)] = (0.0, 0.0)
    health: A[int, sl.Range(0, 255)] = 0
    armour: A[int, sl.Range(0, 255)] = 0


class Words(sl.Message, channel="reliable"):
    raw: sl.Vec3 = (0.0, 0.0, 0.0)


SCHEMA = sl.Schema([Thing], [Words])


class Game:
    """A server and two clients, each with an avatar at (0, 0)."""

    def __init__(self, link: Link) -> None:
        self.network = Network(5, link)
        self.app = app = sl.Server(schema=SCHEMA, identity=IDENTITY, tick_hz=HZ, capacity=4, entities=16,
                                   aoi=sl.Grid(cell=10, radius=20))
        self.heard: list[Any] = []

        @app.on_join
        def join(session: sl.Session) -> None:
            session.avatar = app.world.spawn(Thing(), owner=session)

        app.on(Words)(lambda session, message: self.heard.append(message))
        app.open(simulated=self.network.attach(("10.0.0.1", 3565)))
        url, key = app.connect_line.split()
        self.clients = [sl.Client(url, key, schema=SCHEMA, simulated=self.network.attach((host, 0)))
                        for host in ("10.0.0.2", "10.0.0.3")]

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.network.advance(TICK_US)
            self.app.step()
            for client in self.clients:
                client.poll()

    def things(self, client: int) -> dict[int, tuple[int, int]]:
        """What a client sees: (health, armour) by handle."""
        snapshot = self.clients[client].snapshot
        assert snapshot is not None
        seen = snapshot[Thing]
        return {int(handle): (int(health), int(armour)) for handle, health, armour in zip(
            seen.handles, seen.health, seen.armour, strict=True)}

    def end(self) -> None:
        for client in self.clients:
            client.close()


def test_every_change_is_sent_and_not_only_the_last() -> None:
    game = Game(Link(delay_us=20_000))
    game.run(20)
    rows = game.app.world[Thing]
    rows.health[0] = 7
    rows.armour[0] = 9                                      # the original overwrote its base before each of the two
    rows.health[1] = 11
    game.run(3)
    assert sorted(game.things(0).values()) == sorted(game.things(1).values()) == [(7, 9), (11, 0)]
    game.end()


def test_a_lost_delta_is_made_good() -> None:
    game = Game(Link(delay_us=20_000))
    game.run(20)
    game.network.link = Link(delay_us=20_000, loss=1.0)     # this change is lost, whatever carries it
    game.app.world[Thing].health[0] = 42
    game.run(2)
    game.network.link = Link(delay_us=20_000)
    game.app.world[Thing].armour[0] = 1                     # ... and this one comes
    game.run(10)
    assert (42, 1) in game.things(0).values() and (42, 1) in game.things(1).values()
    game.end()


def test_visibility_is_both_sides_and_leaves_no_ghosts() -> None:
    game = Game(Link(delay_us=20_000, loss=0.2))
    game.run(40)
    assert len(game.things(0)) == len(game.things(1)) == 2
    game.app.world[Thing].position[1] = (200.0, 0.0)
    game.run(40)
    assert len(game.things(0)) == len(game.things(1)) == 1
    game.app.world[Thing].position[1] = (5.0, 0.0)
    game.run(40)
    assert game.things(0).keys() == game.things(1).keys() and len(game.things(0)) == 2
    game.end()


@pytest.mark.parametrize("place", [(1e9, -1e9), (500.01, 0.0), (-500.01, -500.01)])
def test_leaving_the_grid_ends_nothing(place: tuple[float, float]) -> None:
    game = Game(Link())
    game.run(20)
    game.app.world[Thing].position[1] = place
    game.run(20)
    assert game.app.stats().handler_errors == 0 and all(client.connected for client in game.clients)
    own = game.clients[1].snapshot
    assert own is not None and abs(own.own(Thing).position).max() <= 500
    game.end()


def test_a_session_outlives_120_seconds_without_challenges() -> None:
    game = Game(Link(delay_us=20_000))
    game.run(130 * HZ)
    assert len(game.app.sessions) == 2 and all(client.connected for client in game.clients)
    game.end()


def test_four_bytes_of_fe_are_payload_like_any_other() -> None:
    game = Game(Link())
    game.run(10)
    marker = struct.unpack("<f", b"\xfe" * 4)[0]
    for _ in range(3):
        game.clients[0].send(Words(raw=(marker, 1.0, marker)))
    game.run(10)
    assert [tuple(map(float, message.raw)) for message in game.heard] == [(marker, 1.0, marker)] * 3
    game.end()

"""What clients answer about friend and enemy is what the server answers, and nobody is told what concerns others."""
from typing import Annotated as A

import numpy as np
import pytest

import shadowland as sl
from shadowland.errors import CapacityError
from shadowland.relations import Relations, Stance
from shadowland.standing import About, Feed, Standing, Standings
from shadowland.testing import Link, Network

TICK_US = 50_000
PLAYERS, MONSTERS = 4, 3


class Being(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.1)] = (0.0, 0.0)
    faction: A[int, sl.Range(0, 63)] = 0
    guild: A[int, sl.Range(0, 9999)] = 0


class Rock(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.1)] = (0.0, 0.0)


SCHEMA = sl.Schema([Being, Rock], [Standing])
IDENTITY = sl.Identity.generate()


class Game:
    def __init__(self, seed: int, link: Link) -> None:
        self.network = Network(seed, link)
        self.app = sl.Server(schema=SCHEMA, identity=IDENTITY, tick_hz=20, capacity=PLAYERS + 1, entities=32)
        self.relations = Relations(self.app.world, factions=["nobody", "wolves", "sheep"], words=40)
        self.feed = Feed(self.app, self.relations)
        self.monsters = [self.app.world.spawn(Being()) for _ in range(MONSTERS)]
        self.app.world.spawn(Rock())

        @self.app.on_join
        def join(session: sl.Session) -> None:
            session.avatar = self.app.world.spawn(Being(), owner=session)

        @self.app.on_leave
        def leave(session: sl.Session, reason: sl.DisconnectReason) -> None:
            self.app.world.despawn(session.avatar)

        @self.app.tick
        def step(t: sl.Tick) -> None:
            beings = self.app.world[Being]
            beings.faction, beings.guild = self.relations.places_of(beings.handles)
            self.feed.step()

        self.app.open(simulated=self.network.attach(("10.0.0.1", 3565)))
        self.clients: list[sl.Client] = []
        self.standings: list[Standings] = []
        self.heard: list[list[Standing]] = []

    def connect(self) -> None:
        url, key = self.app.connect_line.split()
        port = self.network.attach((f"10.0.0.{2 + len(self.clients)}", 0))
        self.clients.append(sl.Client(url, key, schema=SCHEMA, simulated=port))
        self.standings.append(Standings())
        self.heard.append([])

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.network.advance(TICK_US)
            self.app.step()
            for client, standings, heard in zip(self.clients, self.standings, self.heard, strict=True):
                for message in client.poll() if client.ended is None else []:
                    assert isinstance(message, Standing)
                    heard.append(message)
                    standings.take(message)

    def avatars(self) -> list[int]:
        return [session.avatar for session in self.app.sessions.values()]

    def check(self) -> None:
        """Every client, every entity in sight, against the server."""
        for client, standings in zip(self.clients, self.standings, strict=True):
            if client.ended is not None:
                continue
            snapshot = client.snapshot
            assert snapshot is not None and snapshot.mine in self.avatars()
            seen = snapshot[Being]
            assert len(seen) == MONSTERS + len(self.app.sessions)
            expected = self.relations.stances(snapshot.mine, seen.handles).tolist()
            assert standings.stances(snapshot, Being).tolist() == expected
            assert [standings.stance(int(handle), faction=int(seen.faction[i]), guild=int(seen.guild[i]),
                                     mine=snapshot.mine) for i, handle in enumerate(seen.handles)] == expected
            assert standings.stances(snapshot, Rock).tolist() == self.relations.stances(
                snapshot.mine, snapshot[Rock].handles).tolist()


@pytest.mark.parametrize("seed", range(12))
def test_clients_and_server_agree_after_anything_was_said(seed: int) -> None:
    game = Game(seed, Link(loss=0.2, delay_us=30_000, jitter_us=20_000, duplicate=0.1, reorder=0.1, reorder_us=60_000))
    luck = np.random.default_rng(seed)
    game.connect()
    game.connect()
    game.run(40)
    relations, said = game.relations, 0
    for move in range(60):
        beings = game.avatars() + game.monsters
        a, b = luck.choice(beings, 2, replace=False).tolist()
        match luck.integers(0, 8):
            case 0:
                one, other = luck.choice(relations.factions, 2).tolist()
                relations.declare(one, other, Stance(int(luck.integers(0, 3))), both=bool(luck.integers(0, 2)))
            case 1:
                relations.place(a, faction=str(luck.choice(relations.factions)), guild=int(luck.integers(0, 3)))
            case 2 | 3:
                relations.place(a, party=int(luck.integers(0, 3)))
            case 4 | 5:
                try:
                    relations.say(a, b, [None, *Stance][int(luck.integers(0, 4))])
                    said += 1
                except CapacityError:
                    pass
            case 6:
                if relations.opponent(a) or relations.opponent(b):
                    relations.end_duel(a)
                else:
                    relations.duel(a, b)
            case 7 if move in (20, 21, 22, 23, 24, 25) and len(game.clients) < PLAYERS:
                game.connect()
        if move == 40:
            game.clients[0].close()
        game.run(int(luck.integers(0, 3)))
    game.run(100)
    assert said > 5
    game.check()


def test_a_change_is_known_a_tick_and_the_latency_later() -> None:
    game = Game(1, Link(delay_us=10_000))
    game.connect()
    game.connect()
    game.run(20)
    a, b = game.avatars()
    game.relations.duel(a, b)
    game.run(1)
    game.run(1)
    assert [standings.opponent for standings in game.standings] == [b, a]
    game.check()


def test_nobody_is_told_what_concerns_others() -> None:
    game = Game(1, Link(delay_us=10_000))
    for _ in range(3):
        game.connect()
    game.run(20)
    a, b, c = game.avatars()
    spoken = [len(heard) for heard in game.heard]
    game.relations.say(a, b, Stance.ENEMY)
    game.relations.place(a, party=5)
    game.relations.place(b, party=5)
    game.relations.duel(a, game.monsters[0])
    game.run(5)
    news = [heard[count:] for heard, count in zip(game.heard, spoken, strict=True)]
    assert news[2] == []
    assert [message.about for message in news[1]] == [About.PARTY_IN]   # not that it was called an enemy
    assert sorted(message.about for message in news[0]) == [About.PARTY_IN, About.WORD, About.DUEL]
    assert c in game.avatars()


def test_another_avatar_is_another_standing() -> None:
    game = Game(1, Link(delay_us=10_000))
    game.connect()
    game.run(20)
    session = next(iter(game.app.sessions.values()))
    game.relations.place(session.avatar, party=1, guild=4)
    game.relations.place(game.monsters[0], party=1)
    game.run(5)
    assert game.standings[0].party == {game.monsters[0]} and game.standings[0].guild == 4
    game.app.world.despawn(session.avatar)
    session.avatar = game.app.world.spawn(Being(), owner=session)
    game.run(10)
    assert game.standings[0].party == set() and game.standings[0].guild == 0
    game.check()


def test_a_player_whose_buffer_is_full_is_told_everything_later() -> None:
    game = Game(1, Link(delay_us=10_000))
    game.connect()
    game.run(20)
    me = game.avatars()[0]
    session = next(iter(game.app.sessions.values()))
    fills = 0
    with pytest.raises(CapacityError):
        while True:                                     # nothing leaves before the next tick
            session.send(Standing(about=About.NO_WORD))
            fills += 1
    game.relations.say(me, game.monsters[1], Stance.ENEMY)
    game.run(1)
    assert game.feed.behind >= 1
    for _ in range(100):
        game.run(10)
        if game.standings[0].words:
            break
    assert game.standings[0].words == {game.monsters[1]: Stance.ENEMY} and fills > 100
    game.check()


def test_who_has_left_an_avatar_hears_no_more_of_it() -> None:
    game = Game(1, Link(delay_us=10_000))
    game.connect()
    game.run(20)
    session = next(iter(game.app.sessions.values()))
    before = session.avatar
    session.avatar = game.app.world.spawn(Being(), owner=session)       # the old one stays in the world
    game.run(10)
    game.relations.say(before, game.monsters[0], Stance.ENEMY)
    game.relations.say(session.avatar, game.monsters[1], Stance.ENEMY)
    game.run(10)
    assert game.standings[0].words == {game.monsters[1]: Stance.ENEMY}

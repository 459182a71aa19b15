"""What players of the demo's world are shown and told over a bad network: nobody in a cloak of the other side, what
concerns them of parties, guilds and duels, and corrections that a prediction takes."""
import numpy as np
import pytest

import shadowland as sl
from server_app.config import Settings
from server_app.demo.ailments import CLOAK
from server_app.demo.movement import WALK_SPEED
from server_app.demo.schema import SCHEMA, Challenge, Correction, Move, Player, Status, Team, Welcome
from server_app.demo.walkers import Walkers
from server_app.demo.world import DemoWorld
from shadowland.relations import Stance
from shadowland.standing import Standing, Standings
from shadowland.testing import Link, Network

HZ = 30
BAD = Link(loss=0.1, delay_us=30_000, jitter_us=15_000, duplicate=0.05)


class Game:
    """Four players, two of each side, beside each other in the wild."""

    def __init__(self, seed: int, link: Link) -> None:
        self.network = Network(seed, link)
        self.demo = DemoWorld(Settings(bots=4, hz=HZ, capacity=8, monsters_per_bot=0, npcs_per_bot=0),
                              sl.Identity.generate())
        self.app = self.demo.app
        self.app.open(simulated=self.network.attach(("10.0.0.1", 3565)))
        url, key = self.app.connect_line.split()
        self.clients = [sl.Client(url, key, schema=SCHEMA, simulated=self.network.attach((f"10.0.0.{2 + i}", 0)))
                        for i in range(4)]
        self.standings = [Standings() for _ in self.clients]
        self.heard: list[list[sl.Message]] = [[] for _ in self.clients]
        self.run(3 * HZ)
        assert len(self.app.sessions) == 4
        self.avatars = [int(client.snapshot.mine) for client in self.clients if client.snapshot is not None]
        self.gather()
        self.run(10)

    @property
    def rows(self) -> list[int]:
        return [self.app.world.row_of(avatar) for avatar in self.avatars]

    def gather(self) -> None:
        place = np.array((-0.6, 0.6)) * self.demo.bound
        self.app.world[Player].position[self.rows, :2] = place + [(0, 0), (1, 0), (2, 0), (3, 0)]

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.network.advance(1_000_000 // HZ)
            self.app.step()
            for client, standings, heard in zip(self.clients, self.standings, self.heard, strict=True):
                for message in client.poll():
                    heard.append(message)
                    if isinstance(message, Standing):
                        standings.take(message)
                assert client.ended is None

    def seen(self, one: int) -> set[int]:
        snapshot = self.clients[one].snapshot
        assert snapshot is not None
        return {self.avatars.index(handle) for handle in snapshot[Player].handles.tolist()}

    def factions(self) -> list[int]:
        return [int(faction) for faction in self.app.world[Player].faction[self.rows]]


@pytest.mark.parametrize("seed", range(3))
def test_who_wears_a_cloak_is_never_sent_to_the_other_side(seed: int) -> None:
    game = Game(seed, BAD)
    factions = game.factions()
    assert sorted(factions) == [1, 1, 2, 2] and all(game.seen(one) == {0, 1, 2, 3} for one in range(4))
    game.demo._ailments.put(CLOAK, np.array([game.avatars[0]], np.uint64))
    game.run(1)
    hidden_from = game.app.tick_number
    looks = 0
    for _ in range(6 * HZ):
        game.run(1)
        for one in range(1, 4):
            snapshot = game.clients[one].snapshot
            if snapshot is not None and snapshot.tick >= hidden_from:
                assert (0 in game.seen(one)) == (factions[one] == factions[0])
                looks += 1
    assert looks > 3 * 5 * HZ
    assert game.app.world[Player].status[game.rows[0]] == Status.HIDDEN
    game.run(4 * HZ)
    assert all(game.seen(one) == {0, 1, 2, 3} for one in range(4)) and game.demo.deeds.hidden == 1


def test_parties_guilds_and_duels_are_known_to_those_whom_they_concern() -> None:
    game = Game(5, BAD)
    factions = game.factions()
    asking = game.avatars.index(max(game.avatars))
    mate = next(one for one in range(4) if one != asking and factions[one] == factions[asking])
    others = [one for one in range(4) if one not in (asking, mate)]
    while game.demo.deeds.parties == 0:                         # it may be lost; who is in one leaves it
        game.clients[asking].send(Team())
        game.run(8)
    game.app.world[Player].gold[game.rows[asking]] = 77
    game.run(20)
    assert game.standings[asking].party == {game.avatars[mate]} and game.standings[mate].party == {game.avatars[asking]}
    assert all(not game.standings[one].party for one in others)
    for one in range(4):                                        # its gold is shown to its party
        snapshot = game.clients[one].snapshot
        assert snapshot is not None
        players = snapshot[Player]
        row = players.handles.tolist().index(game.avatars[asking])
        assert bool(players.shown("gold")[row]) == (one in (asking, mate))
        assert not players.shown("gold")[row] or players.gold[row] == 77
        assert set(players.guild.tolist()) <= set(range(1, 7)) and game.standings[one].guild == players.guild[
            players.handles.tolist().index(game.avatars[one])]
    while game.demo.deeds.duels == 0:
        game.clients[asking].send(Challenge())
        game.run(8)
    game.run(10)
    opponent = game.standings[asking].opponent
    assert opponent in game.avatars and game.standings[game.avatars.index(opponent)].opponent == game.avatars[asking]
    assert sum(standings.opponent != 0 for standings in game.standings) == 2
    snapshot = game.clients[asking].snapshot
    assert snapshot is not None
    foes = game.standings[asking].stances(snapshot, Player) == Stance.ENEMY
    assert opponent in snapshot[Player].handles[foes]


def test_a_bot_that_was_moved_walks_on_from_where_it_is_told_that_it_was() -> None:
    game = Game(1, Link(delay_us=40_000))
    client, avatar = game.clients[0], game.avatars[0]
    walkers = Walkers(1, HZ, seed=1)
    bot = np.array([0])
    welcome = next(message for message in game.heard[0] if isinstance(message, Welcome))
    walkers.place(bot, np.array([game.app.world[Player].position[game.rows[0], :2]]), welcome.bound)
    walkers.direction[0] = (1.0, 0.0)
    for tick in range(3 * HZ):
        moved = walkers.plan(bot)
        client.send(Move(direction=(1.0, 0.0), position=tuple(moved[0].tolist())))
        walkers.commit(bot, moved)
        if tick == HZ:
            game.app.world[Player].position[game.rows[0], 1] += 2.0     # thrown aside
        told = len(game.heard[0])
        game.run(1)
        for message in game.heard[0][told:]:
            if isinstance(message, Correction):
                walkers.correct(bot, np.array([message.number]), np.array([message.position]))
    assert walkers.corrected == 1 and game.demo.authority.corrections >= 1
    # What is on its way apart, the two agree to what a correction is rounded to.
    apart = walkers.position[0] - game.app.world[Player].position[game.app.world.row_of(avatar), :2]
    assert abs(apart[1]) < 0.006 and 0 <= apart[0] < 5 * WALK_SPEED / HZ

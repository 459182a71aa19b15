"""Invariant: who claims what cannot be is warned, then sent away with CHEATING or banned; who lags is not."""
from typing import Annotated as A

import numpy as np
import pytest

import shadowland as sl
from shadowland.authority import Conduct, Level, Movement, Movers, Scores
from shadowland.errors import ConnectionLost, DisconnectReason
from shadowland.testing import Link, Network

HZ = 20
TICK_US = 1_000_000 // HZ


class Runner(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-500, 500), sl.Predicted(by="velocity")] = (0.0, 0.0)
    velocity: A[sl.Vec2, sl.Quantized(step=0.05), sl.Range(-20, 20)] = (0.0, 0.0)


class Claim(sl.Message, channel="input"):
    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-500, 500)] = (0.0, 0.0)


class Correction(sl.Message, channel="latest"):
    number: A[int, sl.Range(0, 2**31 - 1)] = 0
    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-500, 500)] = (0.0, 0.0)


SCHEMA = sl.Schema([Runner], [Claim, Correction])
IDENTITY = sl.Identity.generate()


class Game:
    """A server whose players say where they are, an honest client and a cheat."""

    def __init__(self, link: Link, conduct: Conduct) -> None:
        self.network = Network(1, link)
        self.app = app = sl.Server(schema=SCHEMA, identity=IDENTITY, tick_hz=HZ, capacity=4, entities=16)
        self.movers = Movers(Movement(speed=5, tolerance=0.03), capacity=app.capacity, tick_hz=HZ)
        self.scores = Scores(conduct, capacity=app.capacity)
        self.levels: list[Level] = []

        @app.on_join
        def join(session: sl.Session) -> None:
            self.movers.reset(session.slot, app.now_us)
            self.scores.reset(session.slot)
            session.avatar = app.world.spawn(Runner(), owner=session)

        app.tick(self.step)
        app.open(simulated=self.network.attach(("10.0.0.1", 3565)))
        url, key = app.connect_line.split()
        self.honest, self.cheat = (sl.Client(url, key, schema=SCHEMA, simulated=self.network.attach((host, 0)))
                                   for host in ("10.0.0.2", "10.0.0.3"))
        self.corrections = 0
        self.x = self.y = 0.0
        self.sent = [0.0]               # where the honest one claimed to be, by number

    def step(self, t: sl.Tick) -> None:
        runners, claims = self.app.world[Runner], t[Claim]
        verdicts = self.movers.claim(runners.position, runners.velocity, rows=claims.rows, slots=claims.slots,
                                     positions=claims.position, numbers=claims.numbers, times_us=claims.times_us)
        self.scores.moves(claims.slots, verdicts, t.now_us)
        for index in self.movers.wrong(runners.position, claims.position, rows=claims.rows, slots=claims.slots,
                                       now_us=t.now_us).tolist():
            x, y = runners.position[claims.rows[index]].tolist()
            message = Correction(number=int(claims.numbers[index]), position=(x, y))
            self.app.sessions[int(claims.sessions[index])].send(message)
        self.levels += [level for _, level in self.scores.judge(self.app)]

    def run(self, seconds: float, gain: float) -> DisconnectReason | None:
        """The honest one runs at 5 m/s and obeys corrections, the cheat `gain` times as fast; why the cheat left."""
        reason = None
        for _ in range(round(seconds * HZ)):
            self.network.advance(TICK_US)
            self.app.step()
            for message in self.honest.poll():
                if isinstance(message, Correction):
                    self.corrections += 1
                    wrong = message.position[0] - self.sent[message.number]
                    self.x, self.sent = self.x + wrong, [place + wrong for place in self.sent]
            if self.honest.connected:
                self.x += 5 / HZ
                self.sent.append(self.x)
                self.honest.send(Claim(position=(round(self.x, 2), 0.0)))
            if reason is None:
                try:
                    self.cheat.poll()
                    if self.cheat.connected:
                        self.y = min(self.y + 5 / HZ * gain, 499.0)
                        self.cheat.send(Claim(position=(0.0, self.y)))
                except ConnectionLost as lost:
                    reason = lost.reason
        return reason


CALM = Link(delay_us=20_000)
WORSE = Link(loss=0.1, delay_us=60_000, jitter_us=60_000, duplicate=0.1, reorder=0.1, reorder_us=100_000)


@pytest.mark.parametrize(("link", "gain"), [(CALM, 2.0), (WORSE, 2.0), (WORSE, 30.0)])
def test_position_a_speed_cheat_gains_nothing_and_is_sent_away(link: Link, gain: float) -> None:
    game = Game(link, Conduct(warn=10, kick=40))
    assert game.run(12, gain) == DisconnectReason.CHEATING
    assert game.levels[:2] == [Level.WARN, Level.KICK] and (game.scores.warned, game.scores.kicked) == (1, 1)
    runners = game.app.world[Runner]
    assert len(game.app.sessions) == 1 and (runners.position[:, 1] <= 12 * 5 * 1.04 + 3).all()


def test_a_ban_goes_to_the_guard() -> None:
    game = Game(CALM, Conduct(warn=0, kick=0, ban=20, ban_s=60))
    assert game.run(12, 3.0) == DisconnectReason.BANNED
    assert [ban.network for ban in game.app.guard.bans()] == ["10.0.0.3/32"]


@pytest.mark.parametrize("link", [CALM, WORSE, Link(loss=0.3, delay_us=200_000, jitter_us=150_000)])
def test_honest_players_are_never_blamed(link: Link) -> None:
    game = Game(link, Conduct(warn=1, kick=40))
    assert game.run(60, 1.0) is None
    assert game.levels == [] and float(np.max(game.scores.scores)) < 1 and len(game.app.sessions) == 2


def test_an_honest_player_is_where_it_thinks_after_a_pause_of_the_network() -> None:
    game = Game(CALM, Conduct(warn=1, kick=40))
    game.run(5, 1.0)
    game.network.advance(2_000_000)
    game.run(5, 1.0)
    assert game.levels == []

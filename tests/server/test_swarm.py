"""Invariant: a swarm's bots are sessions like any client's: each has its own messages, view, address, and end."""
import time
from collections.abc import Callable
from typing import Annotated as A
from typing import Any

import numpy as np
import pytest

import shadowland as sl
from shadowland._core.base.batch import DatagramBatch
from shadowland.swarm import IDLE, LIVE, OVER, Swarm
from shadowland.tokens import Issuer, parse_token
from tests.server.running import running

HZ = 60


class Sheep(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.1), sl.Range(-1000.0, 1000.0)] = (0.0, 0.0)
    number: A[int, sl.Range(0, 1000)] = 0


class Bleat(sl.Message, channel="reliable"):
    number: A[int, sl.Range(0, 1000)] = 0


class Step(sl.Message, channel="input"):
    number: A[int, sl.Range(0, 1000)] = 0


SCHEMA = sl.Schema([Sheep], [Bleat, Step])


def meadow(capacity: int = 64, **options: Any) -> sl.Server:
    """Every session gets a sheep that holds the sum of its inputs; who bleats hears its number doubled."""
    app = sl.Server(tick_hz=HZ, schema=SCHEMA, capacity=capacity, **options)

    @app.on_join
    def join(session: sl.Session) -> None:
        session.avatar = app.world.spawn(Sheep(position=(float(len(app.sessions)), 0.0)), owner=session)

    @app.on(Bleat)
    def bleat(session: sl.Session, message: Bleat) -> None:
        session.send(Bleat(number=2 * message.number))

    @app.tick
    def step(t: sl.Tick) -> None:
        steps = t[Step]
        np.add.at(app.world[Sheep].number, steps.rows, steps.number)

    return app


def drive(swarm: Swarm, until: Callable[[], bool]) -> None:
    """Ticks of a hundredth of a second until `until()`; at most ten seconds."""
    end = time.monotonic() + 10
    while True:
        swarm.drain(time.monotonic_ns() // 1000 + 10_000)
        swarm.take()
        if until():
            return
        swarm.flush()
        assert time.monotonic() < end, (swarm.state, swarm.reasons, swarm.stats())


def test_bots_see_the_world_and_get_their_own_answers() -> None:
    app = meadow()
    with running(app) as url:
        swarm = Swarm(url, app.identity.public_text, 12, schema=SCHEMA, tick_hz=HZ)
        try:
            swarm.connect(range(12))
            drive(swarm, lambda: bool((swarm.state == LIVE).all()) and len(app.sessions) == 12)
            remotes = {session.remote for session in list(app.sessions.values())}
            assert len({remote[0] for remote in remotes if remote is not None}) == 12
            drive(swarm, lambda: all(len(swarm.views.known(bot)) == 12 for bot in range(12)))
            for bot in range(12):
                assert swarm.views.known(bot)["mine"].sum() == 1

            for bot in (0, 11):                                 # through the eyes of each: all, and its own as its own
                snapshot = swarm.snapshot(bot)
                assert snapshot is not None and snapshot.tick == swarm.views.tick(bot)
                sheep = snapshot[Sheep]
                avatars = {session.remote[0]: session.avatar for session in list(app.sessions.values())
                           if session.remote is not None}
                assert snapshot.mine == avatars[f"127.1.0.{bot + 2}"]
                assert sorted(sheep.position[:, 0].tolist()) == list(range(1, 13)) and snapshot.mine in sheep.handles

            bots = np.arange(12)
            assert swarm.send(Bleat, bots, number=bots).all()
            assert swarm.send(Step, bots[3:5], number=np.array([7, 9])).all()
            assert swarm.send(Step, bots[3:5], number=np.array([0, 0])).all()
            answers: dict[int, int] = {}

            def all_answered() -> bool:
                heard, messages = swarm.messages(Bleat)
                answers.update(zip(heard.tolist(), messages.number.tolist(), strict=True))
                return len(answers) == 12
            drive(swarm, all_answered)
            assert answers == {bot: 2 * bot for bot in range(12)}
            drive(swarm, lambda: sorted(_numbers(swarm, 0))[-2:] == [7, 9])
            stats = swarm.stats()
            assert stats.live == 12 and stats.snapshots > 12 and 0 < stats.rtt_ms[0] <= stats.rtt_ms[1]
            assert stats.drops == {}
            nowhere = DatagramBatch(2, 16)
            nowhere.append(b"x", ("127.0.0.1", 0))              # port 0: EINVAL
            swarm._socket.send(nowhere)
            assert swarm.stats().drops == {"SEND_FAILED": 1}
        finally:
            swarm.close()
        swarm.close()                       # twice is fine
        end = time.monotonic() + 10
        while app.sessions and time.monotonic() < end:
            pass
        assert not app.sessions             # all said goodbye


@pytest.mark.parametrize(("tick_hz", "us"), [(20, 63_000), (60, 25_000)])
def test_bots_promise_to_answer_within_a_tick_of_theirs_and_a_quarter(tick_hz: int, us: int) -> None:
    app = meadow()
    with running(app) as url:
        swarm = Swarm(url, app.identity.public_text, 2, schema=SCHEMA, tick_hz=tick_hz)
        try:
            swarm.connect(range(2))
            drive(swarm, lambda: len(app.sessions) == 2)
            assert app.endpoint.stats()["peer_ack_delay_us"].tolist() == [us, us]
        finally:
            swarm.close()


def _numbers(swarm: Swarm, bot: int) -> list[int]:
    known = swarm.views.known(bot)
    states = swarm.views.states(np.ascontiguousarray(known["seat"]), 0, bot)
    return [int(number) for number in states[:, -1]]


def test_bots_that_find_no_room_are_over_with_the_reason() -> None:
    app = meadow(capacity=4)
    with running(app) as url:
        swarm = Swarm(url, app.identity.public_text, 6, schema=SCHEMA, tick_hz=HZ)
        try:
            swarm.connect(range(6))
            drive(swarm, lambda: bool(np.isin(swarm.state, (LIVE, OVER)).all()))
            assert np.count_nonzero(swarm.state == LIVE) == 4
            assert set(swarm.reasons[swarm.state == OVER].tolist()) == {sl.DisconnectReason.SERVER_FULL}
        finally:
            swarm.close()


def test_each_bot_joins_as_the_player_of_its_token() -> None:
    issuer = Issuer.generate()
    app = meadow(token_keys=[issuer.public_text], tokens_required=True)
    with running(app) as url:
        key = app.identity.public_text
        swarm = Swarm(url, key, 5, schema=SCHEMA, tick_hz=HZ)
        try:
            tokens = [issuer.issue(700 + bot, key) for bot in range(4)]
            swarm.connect([3, 1, 0], [tokens[3], parse_token(tokens[1]), tokens[0]])
            swarm.connect([4])                                  # without one
            drive(swarm, lambda: bool((swarm.state[[3, 1, 0]] == LIVE).all()) and len(app.sessions) == 3
                  and swarm.state[4] == OVER)
            assert {session.player_id for session in app.sessions.values()} == {703, 701, 700}
            assert swarm.reasons[4] == sl.DisconnectReason.BAD_TOKEN
            swarm.connect([2], [tokens[3]])                     # spent
            drive(swarm, lambda: swarm.state[2] == OVER)
            assert swarm.reasons[2] == sl.DisconnectReason.BAD_TOKEN
        finally:
            swarm.close()


def test_mistakes() -> None:
    key = sl.Identity.generate().public_text
    with pytest.raises(sl.ConfigError, match="a swarm of 0 bots"):
        Swarm("sl://127.0.0.1:1", key, 0, schema=SCHEMA, tick_hz=HZ)
    with pytest.raises(sl.ConfigError, match="is no address"):
        Swarm("127.0.0.1", key, 1, schema=SCHEMA, tick_hz=HZ)
    swarm = Swarm("sl://127.0.0.1:1", key, 2, schema=SCHEMA, tick_hz=HZ)
    swarm.connect([1])
    with pytest.raises(sl.UsageError, match="bot 1 has connected before"):
        swarm.connect([0, 1])
    with pytest.raises(sl.UsageError, match="bot 0 has connected before"):
        swarm.connect([0, 0])
    with pytest.raises(sl.UsageError, match="2 tokens for 1 bots"):
        swarm.connect([0], ["a", "b"])
    with pytest.raises(sl.ConfigError, match="no connect token"):
        swarm.connect([0], ["slt1nonsense"])
    assert swarm.state[0] == IDLE                               # nobody began
    swarm.close()

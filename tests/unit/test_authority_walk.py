"""Walk: what a client predicts with it is what `Movers.steer` does on the server, through the wire's rounding."""
from typing import Annotated as A
from typing import Any

import numpy as np
import pytest

import shadowland as sl
from shadowland.authority import Map, Movement, Movers, Verdict, Walk
from shadowland.errors import ConfigError, UsageError
from shadowland.prediction import Prediction, Predictions
from shadowland.testing import Network

HZ = 30
TICK_US = 1_000_000 // HZ
INPUTS = 10_000
IDENTITY = sl.Identity.generate()


class Avatar(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Range(-40, 40), sl.Predicted(by="velocity")] = (0.0, 0.0, 0.0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05), sl.Range(-20, 20)] = (0.0, 0.0, 0.0)
    exact: A[sl.Vec3, sl.Local] = (0.0, 0.0, 0.0)       # a float64 column


class Wish(sl.Message, channel="input"):
    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0.0, 0.0)


class Told(sl.Message, channel="reliable"):
    """The server's own numbers, unrounded."""

    number: A[int, sl.Range(0, 2**31 - 1)] = 0
    position: sl.Vec3 = (0.0, 0.0, 0.0)
    velocity: sl.Vec3 = (0.0, 0.0, 0.0)


SCHEMA = sl.Schema([Avatar], [Wish, Told])


def town() -> Map:
    rng = np.random.default_rng(7)
    blocked = (rng.random((40, 40)) < 0.15).astype(np.uint8)
    blocked[20, 20] = 0
    return Map(low=(-20.5, -20.5), blocked=blocked, heights=rng.choice([0.0, 0.2, 0.4, 3.0], (40, 40)))


RULES = [
    Movement(speed=5.0, step_height=0.3), Movement(speed=7.3, acceleration=11.0, velocity_step=0.05),
    Movement(speed=4.0, fly=True), Movement(speed=60.0, acceleration=400.0, step_height=1.0),
]


class Game:
    """A server that steers and tells its own numbers after every tick, and a client that predicts with Walk."""

    def __init__(self, rule: Movement) -> None:
        self.network, self.map = Network(1), town()
        self.app = app = sl.Server(schema=SCHEMA, identity=IDENTITY, tick_hz=HZ, capacity=2, entities=8)
        self.movers = Movers(rule, capacity=app.capacity, tick_hz=HZ, map=self.map)

        @app.on_join
        def join(session: sl.Session) -> None:
            self.movers.reset(session.slot, app.now_us)
            session.avatar = app.world.spawn(Avatar(), owner=session)

        @app.tick
        def step(t: sl.Tick) -> None:
            avatars, wishes = app.world[Avatar], t[Wish]
            verdicts = self.movers.steer(avatars.position, avatars.velocity, rows=wishes.rows, slots=wishes.slots,
                                         directions=wishes.direction, numbers=wishes.numbers, times_us=wishes.times_us)
            self.verdicts.update(verdicts.tolist())
            for session in app.sessions.values():
                if len(wishes):
                    session.send(Told(number=int(wishes.numbers[-1]), position=tuple(avatars.position[0].tolist()),
                                      velocity=tuple(avatars.velocity[0].tolist())))

        app.open(simulated=self.network.attach(("10.0.0.1", 3565)))
        url, key = app.connect_line.split()
        self.client = sl.Client(url, key, schema=SCHEMA, simulated=self.network.attach(("10.0.0.2", 0)))
        self.walk = Walk(Avatar, rule, tick_hz=HZ, map=self.map, message=Wish)
        self.me = Prediction(self.walk, self.walk.state((0.0, 0.0, 0.0)), inputs=2, dt=self.walk.dt, tolerance=0.0)
        self.verdicts: set[int] = set()
        self.settled = self.wrong = 0

    def frame(self, direction: tuple[float, float] | None) -> None:
        self.network.advance(TICK_US)
        self.app.step()
        for message in self.client.poll():
            if isinstance(message, Told):
                self.settled += 1
                self.wrong += self.me.correct((*message.position, *message.velocity), message.number)
        if direction is not None:
            self.client.send(Wish(direction=direction))
            self.me.predict(direction)


def test_prediction_10000_random_inputs_need_no_correction() -> None:
    game, rng = Game(RULES[0]), np.random.default_rng(3)
    while not game.client.connected:
        game.frame(None)
    places = set()
    for tick in range(INPUTS):
        if tick % 7 == 0:
            angle, length = rng.uniform(-np.pi, np.pi), rng.choice([0.0, 0.5, 1.0, 1.0])
            direction = float(length * np.cos(angle)), float(length * np.sin(angle))
        game.frame(direction)
        places.add(tuple(game.me.state[:2].round(1).tolist()))
    for _ in range(5):
        game.frame(None)
    assert game.settled > INPUTS * 0.9 and game.wrong == 0 and game.me.pending == 0
    assert game.me.counters["refused"] == 0 and len(places) > 100
    assert game.verdicts - {0}                              # it met walls and steps
    game.client.close()


def test_another_rule_on_the_server_is_corrected() -> None:
    game = Game(RULES[0])
    game.walk = Walk(Avatar, Movement(speed=5.5, step_height=0.3), tick_hz=HZ, map=game.map, message=Wish)
    game.me = Prediction(game.walk, game.walk.state((0.0, 0.0, 0.0)), inputs=2, dt=game.walk.dt)
    while not game.client.connected:
        game.frame(None)
    for _ in range(20):
        game.frame((0.0, 1.0))
    assert game.wrong > 0
    game.client.close()


def test_inputs_under_old_numbers_or_too_early_move_nobody() -> None:
    movers = Movers(Movement(speed=5.0, allowance_s=0.1, lag_s=0.0), capacity=1, tick_hz=HZ)
    movers.reset(0, 1)
    place, speed = np.zeros((1, 2)), np.zeros((1, 2))

    def wish(number: int, tick: int) -> Verdict:
        found = movers.steer(place, speed, rows=[0], slots=[0], directions=[(1.0, 0.0)], numbers=[number],
                             times_us=[1 + tick * TICK_US])
        return Verdict(int(found[0]))

    assert [wish(number, number) for number in (10, 11)] == [Verdict(0)] * 2
    there = place.tolist()
    assert [wish(number, 12) for number in (11, 10, 1, 11 - 2**31 & 0xFFFFFFFF)] == [Verdict.OLD] * 4
    assert place.tolist() == there
    ahead = [wish(number, 12) for number in range(1000, 1100)]      # a hundred ticks of inputs in one
    assert ahead.count(Verdict.HURRIED) >= 96 and place[0, 0] - there[0][0] <= 5 * (0.1 + 1 / HZ) + 1e-9


@pytest.mark.parametrize("position", ["position", "exact"])
@pytest.mark.parametrize("rule", RULES, ids=["walker", "sprinter", "flyer", "blur"])
@pytest.mark.parametrize("scale", [0.0, 0.3, 1.7])
def test_every_rule_slowed_or_hasted_and_both_widths_of_columns(rule: Movement, scale: float, position: str) -> None:
    movers = Movers(rule, capacity=1, tick_hz=HZ, map=town())
    movers.reset(0, 1)
    movers.scale[0] = scale
    walk = Walk(Avatar, rule, tick_hz=HZ, map=town(), position=position)
    walk.scale = scale
    me = Predictions(walk, 1, state=walk.lanes, inputs=walk.inputs, dt=walk.dt)
    place = np.zeros((1, 3), np.float32 if position == "position" else np.float64)
    speed = np.zeros((1, 3), np.float32)
    rng = np.random.default_rng(5)
    for tick in range(400):
        wish = rng.uniform(-0.7, 0.7, (1, walk.inputs))
        movers.steer(place, speed, rows=[0], slots=[0], directions=wish, times_us=[1 + tick * TICK_US])
        assert not me.correct([0], me.predict([0], wish), np.concatenate((place, speed), axis=1))[0]
    assert place[0, :2].any() == (scale > 0)


def test_states_of_many() -> None:
    walk = Walk(Avatar, RULES[0], tick_hz=HZ)
    assert walk.state([(1, 2, 3), (4, 5, 6)], (7, 8, 9)).tolist() == [[1, 2, 3, 7, 8, 9], [4, 5, 6, 7, 8, 9]]
    assert (walk.lanes, walk.inputs, walk.dt) == (6, 2, 1 / HZ)
    assert Walk(Avatar, RULES[2], tick_hz=HZ).inputs == 3


@pytest.mark.parametrize(("words", "text"), [
    ({"position": "place"}, "Avatar.place must be an sl.Vec2 or an sl.Vec3"),
    ({"message": Told, "direction": "number"}, "Told.number must be an sl.Vec2 or an sl.Vec3"),
])
def test_a_class_without_such_a_field_is_refused(words: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Walk(Avatar, RULES[0], tick_hz=HZ, **words)
    assert text in str(caught.value)


def test_another_dt_is_refused() -> None:
    walk = Walk(Avatar, RULES[0], tick_hz=HZ)
    with pytest.raises(UsageError, match="dt=walk.dt"):
        Prediction(walk, walk.state((0, 0, 0)), inputs=2, dt=1 / 60).predict((1, 0))

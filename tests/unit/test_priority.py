"""Invariant: where bytes are short, weight, nearness and ownership decide who goes first, and nobody waits for ever."""
from dataclasses import dataclass
from typing import Annotated as A
from typing import Any

import numpy as np
import pytest

import shadowland as sl
from shadowland._core.base.records import EVENT_DTYPE, JOINED, SNAPSHOT_ACKED
from shadowland.errors import ConfigError
from shadowland.why import why
from shadowland.world import World

BUDGET = 36                             # bytes a tick: some records, where many are due


class Boss(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0, 0)
    rage: A[int, sl.Range(0, 10**6)] = 0


class Rat(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0, 0)
    rage: A[int, sl.Range(0, 10**6)] = 0


@dataclass
class Player:
    handle: int = 1 << 32


class Stage:
    """An observer in the middle of entities that all change in each tick, each datagram acknowledged at once."""

    def __init__(self, **grid: Any) -> None:
        self.world = World(sl.Schema([Boss, Rat]), tick_hz=20, aoi=sl.Grid(cell=30, radius=100, **grid), capacity=300,
                           observers=1)
        self.player, self.tick = Player(), 0
        self.event(JOINED)
        self.avatar = self.world.spawn(Boss(), owner=self.player)
        self.world.set_avatar(0, self.avatar)

    def event(self, kind: int, token: int = 0) -> None:
        events = np.zeros(1, EVENT_DTYPE)
        events["connection"], events["kind"], events["token"] = self.player.handle, kind, token
        self.world.events(events)

    def told(self, ticks: int, budget: int = BUDGET) -> dict[int, int]:
        """How often each entity was told of."""
        told: dict[int, int] = {}
        for _ in range(ticks):
            self.tick += 1
            for cls in (Boss, Rat):
                self.world[cls].rage = self.tick
            self.world.publish(self.tick)
            records, _ = self.world.replicate(np.zeros(1, np.uint32), 0, np.array([budget], np.uint32))
            for token in records["number"].tolist():
                self.event(SNAPSHOT_ACKED, token)
            for entity in self.world:
                answer = why(self.world, 0, entity)
                told[entity] = told.get(entity, 0) + (answer.acknowledged == self.tick)
        return told


def mean(told: dict[int, int], entities: list[int]) -> float:
    return float(np.mean([told[entity] for entity in entities]))


def test_a_heavier_class_is_told_more_often() -> None:
    stage = Stage(weights={Boss: 8})
    bosses = [stage.world.spawn(Boss(position=(10, i))) for i in range(20)]
    rats = [stage.world.spawn(Rat(position=(-10, i))) for i in range(20)]
    stage.told(40, budget=4000)
    told = stage.told(200)
    assert mean(told, bosses) > 4 * mean(told, rats) > 0
    assert told[stage.avatar] == 200                    # one's own avatar goes first, each tick


def test_the_nearer_is_told_more_often() -> None:
    stage = Stage(far=1.0)
    near = [stage.world.spawn(Rat(position=(5, i / 10))) for i in range(20)]
    edge = [stage.world.spawn(Rat(position=(95, i / 10))) for i in range(20)]
    stage.told(40, budget=4000)
    told = stage.told(200)
    assert mean(told, near) > 2 * mean(told, edge) > 0


def test_ones_own_is_told_more_often() -> None:
    stage = Stage()
    own = [stage.world.spawn(Rat(position=(5, i / 10)), owner=stage.player) for i in range(10)]
    others = [stage.world.spawn(Rat(position=(5, i / 10))) for i in range(20)]
    stage.told(40, budget=4000)
    told = stage.told(200)
    assert mean(told, own) > 3 * mean(told, others) > 0


def test_no_weight_starves_anybody() -> None:
    """Sixty bosses with fifteen times the weight, two rats with a sixteenth: two seconds, and the queue before them."""
    stage = Stage(weights={Boss: 15, Rat: 1 / 16})
    for i in range(60):
        stage.world.spawn(Boss(position=(1, i / 10)))
    rats = [stage.world.spawn(Rat(position=(99, i))) for i in range(2)]
    stage.told(60, budget=4000)
    waits = []
    for _ in range(300):
        told = stage.told(1, budget=40)
        waits.append(stage.world.oldest_unsent_ms)
        assert sum(told.values()) > 0
    assert 1000 < max(waits) < 4000
    assert mean(stage.told(200, budget=40), rats) >= 2


def test_what_is_far_is_told_at_a_part_of_the_ticks_and_what_rests_not_at_all() -> None:
    stage = Stage(far=0.5, far_rate=0.25)
    near, far = stage.world.spawn(Rat(position=(45, 0))), stage.world.spawn(Rat(position=(60, 0)))
    stage.told(8, budget=4000)
    told = stage.told(100, budget=4000)
    assert (told[near], told[far]) == (100, 25)
    stage.told(4, budget=4000)
    before = stage.world.core.stats["records"]
    for _ in range(50):
        stage.tick += 1
        stage.world.publish(stage.tick)
        stage.world.replicate(np.zeros(1, np.uint32))
    assert stage.world.core.stats["records"] - before <= 3       # what the last tick changed, for those whose turn came


@pytest.mark.parametrize(("words", "text"), [
    ({"weights": {Rat: 0}}, "the weight of Rat is 0; it must be 1/16 to 15"),
    ({"weights": {Rat: 15.1}}, "the weight of Rat is 15.1"),
    ({"weights": {Rat: float("nan")}}, "the weight of Rat is nan"),
    ({"far": 0}, "far is 0; it must be above 0"),
    ({"far": 1.01}, "far is 1.01"),
    ({"far": float("nan")}, "far is nan"),
    ({"far_rate": 0}, "far_rate is 0; it must be 1/255 to 1"),
    ({"far_rate": 1.5}, "far_rate is 1.5"),
])
def test_a_grid_that_cannot_be_is_refused(words: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Stage(**words)

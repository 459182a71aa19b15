"""Starvation: what is visible and changed is told in time, however small the observer's byte budget."""
from typing import Annotated as A

import numpy as np
import pytest

import shadowland as sl
from shadowland._core.base.records import EVENT_DTYPE, JOINED, SNAPSHOT_ACKED
from shadowland.world import World

HZ = 30
CROWD = 300
FLOOR = 16_000 // 8 // HZ               # bytes a tick at 16 kbit/s
HANDLE = 1 << 32                        # of the connection in slot 0


class Walker(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)
    velocity: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)


class Crowd:
    """Everybody is in view of one observer and turns about once a second; all datagrams arrive at once."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.world = World(sl.Schema([Walker], []), tick_hz=HZ, aoi=sl.Grid(cell=50, radius=200), capacity=CROWD,
                           observers=1)
        places = self.random.uniform(-50, 50, (CROWD, 2)).tolist()
        handles = [self.world.spawn(Walker(position=(x, y))) for x, y in places]
        self.tell(JOINED, [0])
        self.world.set_avatar(0, handles[0])
        self.tick = 0

    def tell(self, kind: int, tokens: list[int]) -> None:
        events = np.zeros(len(tokens), EVENT_DTYPE)
        events["connection"], events["kind"], events["token"] = HANDLE, kind, tokens
        self.world.events(events)

    def step(self, budget: int) -> float:
        """One tick; the oldest wait in ms."""
        self.tick += 1
        walkers = self.world[Walker]
        turning = self.random.random(len(walkers)) < 1 / HZ
        walkers.velocity[turning] = self.random.uniform(-5, 5, (int(turning.sum()), 2))
        walkers.position += walkers.velocity / HZ
        self.world.publish(self.tick)
        self.world.core.replicate(np.zeros(1, np.uint32), np.array([budget], np.uint32))
        records, _ = self.world.core.outbox
        self.tell(SNAPSHOT_ACKED, records["number"].tolist())
        return self.world.oldest_unsent_ms


@pytest.mark.parametrize(("budget", "bound_ms"), [(997, 1000), (FLOOR, 5000)])
def test_the_oldest_unsent_change_in_a_crowd_is_bounded(budget: int, bound_ms: float) -> None:
    crowd = Crowd(4)
    for _ in range(40):                 # everybody enters, at the full budget
        crowd.step(997)
    waits = [crowd.step(budget) for _ in range(20 * HZ)]
    assert max(waits) <= bound_ms
    if budget == FLOOR:
        assert max(waits) > 1000        # else the floor was not felt, and the bound says nothing


def test_the_wait_grows_by_the_tick_while_nothing_fits_and_is_none_when_all_was_sent() -> None:
    crowd = Crowd(5)
    waits = [crowd.step(1) for _ in range(5)]
    assert waits == pytest.approx([0.0, 1000 / HZ, 2000 / HZ, 3000 / HZ, 4000 / HZ])
    for _ in range(60):
        last = crowd.step(8000)
    assert last == 0.0

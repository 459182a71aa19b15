"""What happens in the worlds that benchmarks.world measures: a walking crowd, a town, a battle, a place where all rest.

A scene owns its entity classes, spawns its people and moves their columns once a tick, by its seed alone.
"""
from __future__ import annotations

import math
from typing import Annotated as A
from typing import Any

import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from shadowland.effects import Effects, Kind, Stacking
from shadowland.world import World

RADIUS = 30.0


class Walker(sl.Entity):
    """The README's player, as everybody sees it."""

    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05)] = (0, 0, 0)
    yaw: sl.Angle = 0.0
    health: A[int, sl.Range(0, 100), sl.Rate(hz=5)] = 100


class Citizen(Walker):
    """Who lives in a town."""

    pose: A[int, sl.Range(0, 15)] = 0
    talking: bool = False
    guild: A[int, sl.Range(0, 65535)] = 0


class Fighter(Walker):
    """Who fights: what is on it comes from effects."""

    flags: A[int, sl.Range(0, 255)] = 0
    target: A[int, sl.Range(0, 65535)] = 0
    action: A[int, sl.Range(0, 31)] = 0
    gold: A[int, sl.OwnerOnly] = 0


class Arrow(sl.Entity):
    """Flies straight on until its time is over."""

    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05)] = (0, 0, 0)
    until: A[int, sl.Local] = 0


def edge_for(count: int, visible: float, radius: float = RADIUS) -> float:
    """Edge of a square where each of `count` sees `visible` others within `radius`, on average and borders included."""
    def seen(edge: float) -> float:
        part = radius / edge
        near = math.pi * part**2 - 8 / 3 * part**3 + part**4 / 2    # chance that two points of a square are so near
        return (count - 1) * near
    low, high = radius, radius * math.sqrt(math.pi * count / visible)
    for _ in range(60):
        low, high = ((low + high) / 2, high) if seen((low + high) / 2) > visible else (low, (low + high) / 2)
    return high


class Owner:
    """A session as the world knows it: the handle of its connection."""

    def __init__(self, observer: int) -> None:
        self.handle = 1 << 32 | observer


class Scene:
    """People who walk: `moving` of them at `speed`, each thinking again about every `turn_s` seconds."""

    person: type[Walker] = Walker
    others: tuple[type[sl.Entity], ...] = ()
    moving, speed, turn_s = 0.7, 5.0, 3.0

    def __init__(self, people: int, edge: float, hz: int, seed: int) -> None:
        self.people, self.edge, self.hz, self.tick = people, edge, hz, 0
        self.random = np.random.default_rng(seed)
        self.schema = sl.Schema([self.person, *self.others])

    def spawn(self, world: World, observers: int) -> list[int]:
        """Put everybody anywhere; the first `observers` are theirs. Returns their handles."""
        self.world = world
        places = self.random.uniform(0, self.edge, (self.people, 2)).tolist()
        return [world.spawn(self.person(position=(x, y, 0.0)), Owner(i) if i < observers else None)
                for i, (x, y) in enumerate(places)]

    def some(self, count: int, each_s: float) -> NDArray[np.intp]:
        """Rows of those to whom something happens now that happens to each about every `each_s` seconds."""
        return np.flatnonzero(self.random.random(count) < 1 / (each_s * self.hz))

    def walk(self, people: Any) -> None:
        turning = self.some(len(people), self.turn_s) if self.tick > 1 else np.arange(len(people))
        angle = self.random.uniform(0, 2 * np.pi, len(turning))
        speed = np.where(self.random.random(len(turning)) < self.moving, self.speed, 0.0)
        people.velocity[turning, 0] = speed * np.cos(angle)
        people.velocity[turning, 1] = speed * np.sin(angle)
        people.yaw[turning] = angle
        people.position += people.velocity / self.hz
        place, velocity = people.position[:, :2], people.velocity[:, :2]
        velocity[:] = np.where(place < 0, np.abs(velocity), np.where(place > self.edge, -np.abs(velocity), velocity))

    def step(self, tick: int) -> None:
        """Everything that happens in `tick`, before it is published."""
        self.tick = tick
        self.walk(self.world[self.person])


class Town(Scene):
    """Most stand and talk; one in six strolls."""

    person = Citizen
    moving, speed, turn_s = 1 / 6, 1.4, 5.0

    def step(self, tick: int) -> None:
        super().step(tick)
        people = self.world[Citizen]
        for name, most, each_s in (("pose", 16, 12.0), ("talking", 2, 5.0), ("guild", 65536, 600.0)):
            rows = self.some(len(people), each_s)
            getattr(people, name)[rows] = self.random.integers(0, most, len(rows))


class Battle(Scene):
    """All run, hit and are hit: health, what is on them, targets, actions; arrows that live about a second."""

    person = Fighter
    others = (Arrow,)
    moving, speed, turn_s = 0.7, 5.0, 1.5
    shot_s, flight_s, arrow_speed = 4.0, (0.4, 1.5), 20.0

    def spawn(self, world: World, observers: int) -> list[int]:
        handles = super().spawn(world, observers)
        self.kinds = [Kind(f"kind {i}", flags=1 << i, duration_s=3, period_s=1 - i % 2, amount=-5 * (1 - i % 2),
                           stacking=Stacking.REFRESH) for i in range(8)]
        self.effects = Effects(world, self.kinds)
        return handles

    def step(self, tick: int) -> None:
        super().step(tick)
        people = self.world[Fighter]
        for name, most, each_s in (("target", self.people, 2.0), ("action", 32, 0.8), ("gold", 1_000_000, 10.0)):
            rows = self.some(len(people), each_s)
            getattr(people, name)[rows] = self.random.integers(0, most, len(rows))
        hit = self.some(len(people), 1.0)
        people.health[hit] -= 7
        for part in self.effects.step(tick):
            rows = self.world.rows_of(part.periods.targets)
            np.add.at(people.health, rows, part.periods.amounts)
        for number in range(8):
            self.effects.apply(self.kinds[number], people.handles[self.some(len(people), 16.0)])
        people.flags[:] = self.effects.flags(people.handles)
        people.health[people.health <= 0] = 100
        self.shoot(tick, people)

    def shoot(self, tick: int, people: Any) -> None:
        arrows = self.world[Arrow]
        arrows.position += arrows.velocity / self.hz
        for handle in arrows.handles[arrows.until <= tick].tolist():
            self.world.despawn(handle)
        for row in self.some(len(people), self.shot_s).tolist():
            angle = self.random.uniform(0, 2 * np.pi)
            velocity = self.arrow_speed * np.cos(angle), self.arrow_speed * np.sin(angle), 0.0
            x, y, _ = people.position[row].tolist()
            self.world.spawn(Arrow(position=(x, y, 1.5), velocity=velocity,
                                   until=tick + round(self.hz * self.random.uniform(*self.flight_s))))


class Idle(Scene):
    """Nothing happens."""

    person = Citizen

    def step(self, tick: int) -> None:
        self.tick = tick


SCENES: dict[str, type[Scene]] = {"walk": Scene, "town": Town, "battle": Battle, "idle": Idle}

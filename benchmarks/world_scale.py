"""What a tick of the world costs as it grows: more players, more world around them, a crowd in one place, effects.

CPU time of the thread, medians over ticks. Worlds that are compared tick in turn, ten ticks each, so that a slow moment
of the machine falls on all of them.
"""
from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from benchmarks import harness
from benchmarks.world_path import Path, joined
from benchmarks.world_scenes import RADIUS, Scene, edge_for
from shadowland.world import Grid, World

HZ, DELAY_MS, LOSS = 30, 50.0, 0.02
WARM_TICKS = 90                         # references are renewed after 56: what is measured is steady
IN_TURN, TICKS = 10, 30
STAGES = ("publish", "grid", "interest", "encode")
PLAYERS, DENSITIES = (1_000, 5_000, 10_000), (28, 49)
ENTITIES, AMONG = (1_000, 10_000, 100_000), 1_000
CROWD, CROWD_EDGE = 2_000, 20.0         # everybody stands within everybody's radius
AIMS = {"exponent": 1.15, "ratio": 1.5}


class Walkers:
    """A walking crowd; `observers` of them are players: the first ones, or those next to a corner (`together`)."""

    def __init__(self, people: int, observers: int, edge: float, together: bool = False, seed: int = 1) -> None:
        self.scene = Scene(people, edge, HZ, seed)
        grid = Grid(cell=RADIUS / 2, radius=RADIUS)
        self.world = World(self.scene.schema, tick_hz=HZ, aoi=grid, capacity=people, observers=observers)
        self.world.core.clock = time.thread_time_ns
        self.path = Path(HZ, DELAY_MS, LOSS, np.random.default_rng(seed))
        self.observers = np.arange(observers, dtype=np.uint32)
        self.people, self.tick = people, 0
        handles = self.scene.spawn(self.world, 0)
        self.world.events(joined(observers))
        self.step(False)
        if together:
            place = self.world[self.scene.person].position
            nearest = np.argsort(place[:, :2].max(axis=1))[:observers]
            handles = self.world[self.scene.person].handles[nearest].tolist()
        for observer in range(observers):
            self.world.set_avatar(observer, handles[observer])
        for _ in range(WARM_TICKS):
            self.step()
        self.spent: list[list[int]] = []
        self.waits: list[float] = []
        self.before = self.world.core.stats

    def step(self, moving: bool = True) -> None:
        self.tick += 1
        for events in self.path.due(self.tick):
            self.world.events(events)
        if moving:
            self.scene.step(self.tick)
        self.world.publish(self.tick)
        records, _ = self.world.replicate(self.observers)
        self.path.send(records, self.tick)

    def measured(self, ticks: int) -> None:
        for _ in range(ticks):
            self.step()
            self.spent.append([self.world.core.timing_ns[stage] for stage in STAGES])
            self.waits.append(self.world.oldest_unsent_ms)

    def ns(self) -> dict[str, float]:
        """ns a tick of each stage."""
        return dict(zip(STAGES, np.median(np.array(self.spent, np.float64), axis=0).tolist(), strict=True))

    def counted(self, name: str) -> float:
        """What a statistic grew by, a player and tick."""
        grown: int = self.world.core.stats[name] - self.before[name]
        return grown / len(self.spent) / len(self.observers)


def in_turn(worlds: Sequence[Walkers], ticks: int) -> None:
    for _ in range(max(1, round(ticks / IN_TURN))):
        for world in worlds:
            world.measured(IN_TURN)


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Power of the size with which costs grow, by least squares over the logarithms: 1 is in proportion."""
    return round(float(np.polyfit(np.log(sizes), np.log(costs), 1)[0]), 3)


def players(counts: Sequence[int], ticks: int) -> list[harness.Row]:
    """ns a player and tick among more players at equal density; a row of exponents after those of each density."""
    rows: list[harness.Row] = []
    for visible in DENSITIES:
        worlds = [Walkers(count, count, edge_for(count, visible)) for count in counts]
        in_turn(worlds, ticks)
        taken = [world.ns() for world in worlds]
        for world, spent in zip(worlds, taken, strict=True):
            rows.append({
                "density": visible, "players": str(world.people), "visible": round(world.counted("visible") - 1, 1),
                **{stage: round(spent[stage] / world.people) for stage in STAGES},
                "all": round(sum(spent.values()) / world.people),
                "records": round(world.counted("records"), 2), "encoded": round(world.counted("encoded"), 2)})
        fitted = {stage: exponent(counts, [spent[stage] for spent in taken]) for stage in STAGES}
        fitted["all"] = exponent(counts, [sum(spent.values()) for spent in taken])
        rows.append({"density": visible, "players": "exponent", **fitted,
                     "missed": "exponent" if fitted["all"] > AIMS["exponent"] else ""})
    return rows


def among(counts: Sequence[int], observers: int, ticks: int) -> list[harness.Row]:
    """What a player costs where there is more and more world around what it sees, at equal density.

    together: the players stand in one place, however large the world. spread: all over it, so that in a large one
    nobody sees what another sees, and nothing that was encoded is used twice.
    """
    rows: list[harness.Row] = []
    for together in (True, False):
        worlds = [Walkers(count, observers, edge_for(count, DENSITIES[0]), together) for count in counts]
        in_turn(worlds, ticks)
        first = 0.0
        for world in worlds:
            spent = world.ns()
            cost = (spent["interest"] + spent["encode"]) / observers
            first = first or cost
            rows.append({
                "players": "together" if together else "spread", "entities": world.people,
                "visible": round(world.counted("visible") - 1, 1),
                "publish ns/entity": round(spent["publish"] / world.people, 1),
                "grid ns/entity": round(spent["grid"] / world.people, 1),
                "interest ns": round(spent["interest"] / observers), "encode ns": round(spent["encode"] / observers),
                "a player ns": round(cost), "ratio": round(cost / first, 3),
                "records": round(world.counted("records"), 2), "encoded": round(world.counted("encoded"), 2),
                "missed": "ratio" if cost / first > AIMS["ratio"] else ""})
    return rows


def crowd(count: int, ticks: int) -> harness.Row:
    """Everybody within sight of everybody: ms a tick, bytes a player and tick, how long the oldest change waits."""
    world = Walkers(count, count, CROWD_EDGE)
    world.measured(ticks)
    spent = world.ns()
    return {
        "players": count, "shown": round(world.counted("visible") - 1, 1),
        **{f"{stage} ms": round(spent[stage] / 1e6, 2) for stage in STAGES},
        "tick ms": round(sum(spent.values()) / 1e6, 2),
        "bytes": round(world.counted("payload_bytes"), 1), "datagrams": round(world.counted("datagrams"), 2),
        "bytes/visible": round(world.counted("payload_bytes") / world.counted("visible"), 3),
        "records": round(world.counted("records"), 2), "deferred": round(world.counted("deferred"), 2),
        "oldest_unsent_ms": round(max(world.waits), 1)}

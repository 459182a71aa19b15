"""What relations cost: python -m benchmarks.relations

Nanoseconds for what one entity is to another, 10,000 players and the 49 that each sees, a third of them in parties, a
third in guilds, one in four with 8 personal words. The floor: as many look-ups in a table of NumPy.
"""
from __future__ import annotations

import time
from typing import Annotated as A

import numpy as np

import shadowland as sl
from benchmarks.harness import Busyness, arguments, median, report
from shadowland.relations import Relations, Stance
from shadowland.world import World

PLAYERS, SEEN = 10_000, 49


class Being(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)


def main() -> None:
    options = arguments(__doc__).parse_args()
    luck = np.random.default_rng(1)
    world = World(sl.Schema([Being], []), tick_hz=60, aoi=sl.Grid(cell=10, radius=30), capacity=PLAYERS, observers=1)
    for _ in range(PLAYERS):
        world.spawn(Being())
    world.publish(1)
    everybody = np.array(list(world), np.uint64)
    relations = Relations(world, factions=[f"faction {i}" for i in range(8)])
    for number, entity in enumerate(everybody.tolist()):
        relations.place(entity, faction=f"faction {number % 8}", party=number // 24 + 1 if number % 3 == 0 else 0,
                        guild=number % 40 + 1 if number % 3 == 1 else 0)
        for other in luck.choice(everybody, 8).tolist() if number % 4 == 0 else ():
            if other != entity:
                relations.say(entity, other, Stance.ENEMY)
    observers = np.repeat(everybody, SEEN)
    subjects = everybody[(np.arange(PLAYERS)[:, None] + np.arange(1, SEEN + 1)).ravel() % PLAYERS]
    table, at = np.zeros(1 << 20, np.uint8), luck.integers(0, 1 << 20, len(subjects))
    times: dict[str, list[float]] = {"pair_ns": [], "floor_ns": []}
    busy = Busyness()
    for _ in range(options.rounds):
        began = time.perf_counter()
        relations.stances(observers, subjects)
        times["pair_ns"].append((time.perf_counter() - began) * 1e9 / len(subjects))
        began = time.perf_counter()
        table[at]
        times["floor_ns"].append((time.perf_counter() - began) * 1e9 / len(subjects))
    pair, floor = (median(taken, 2) for taken in times.values())
    report("relations", [{"players": PLAYERS, "pair_ns": pair, "player_ns": round(pair * SEEN, 1), "floor_ns": floor}],
           keys=["players"], settings={"seen": SEEN}, busy=busy, json_only=options.json)


if __name__ == "__main__":
    main()

"""What lag compensation costs: python -m benchmarks.rewind

Targets walk at 6 m/s, 20 ticks a second, one on 10 m² however many they are; half a second is remembered. Nanoseconds
to record one entity of a tick; microseconds of one shot of 50 m and of one blast of 5 m, in batches of 256 at times
spread over what is remembered, each batch of other shots; and of a shot where one cell in fifty of a map is a wall. The
floor: one pass of NumPy over the distances of all targets, for one blast.
"""
from __future__ import annotations

import time
from typing import Annotated as A

import numpy as np

import shadowland as sl
from benchmarks.harness import Busyness, Row, arguments, median, report
from shadowland.authority import Map
from shadowland.rewind import History, Shape
from shadowland.world import World

HZ, SPEED, BATCH, REACH, BLAST, AREA = 20, 6.0, 256, 50.0, 5.0, 10.0
BODY = Shape(0.4, (0.0, 0.0, 0.4), (0.0, 0.0, 1.4))


class Target(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=0.01)] = (0.0, 0.0, 0.0)


def measure(targets: int, rounds: int) -> Row:
    luck = np.random.default_rng(1)
    side = (targets * AREA) ** 0.5
    world = World(sl.Schema([Target], []), tick_hz=HZ, aoi=sl.Grid(cell=32, radius=96), capacity=targets, observers=1)
    marks: list[float] = []
    world.on_publish(lambda _: marks.append(time.perf_counter()))
    history = History(world, Target)
    world.on_publish(lambda _: marks.append(time.perf_counter()))
    for x, y in luck.uniform(0, side, (targets, 2)).tolist():
        world.spawn(Target(position=(x, y, 0.0)))
    walls = Map(low=(0.0, 0.0), blocked=(luck.random((int(side) + 1, int(side) + 1)) < 0.02).astype(np.uint8))
    times: dict[str, list[float]] = {"shot_us": [], "walls_us": [], "blast_us": [], "floor_us": []}
    tick, hits, behind = 0, 0, 0
    for _ in range(rounds):
        for _ in range(HZ):
            tick += 1
            angles = luck.uniform(-np.pi, np.pi, len(world[Target]))
            world[Target].position[:, :2] += SPEED / HZ * np.column_stack((np.cos(angles), np.sin(angles)))
            world.publish(tick)
        place = world[Target].position
        when = tick - luck.uniform(0, HZ / 2, BATCH)
        starts = np.column_stack((luck.uniform(0, side, (BATCH, 2)), np.full(BATCH, 1.2)))
        angles = luck.uniform(-np.pi, np.pi, BATCH)
        ends = starts + REACH * np.column_stack((np.cos(angles), np.sin(angles), np.zeros(BATCH)))
        taken = [time.perf_counter()]
        shots = history.segments(starts, ends, when, BODY)
        taken.append(time.perf_counter())
        walled = history.segments(starts, ends, when, BODY, map=walls)
        taken.append(time.perf_counter())
        history.within(starts, BLAST, when, BODY)
        taken.append(time.perf_counter())
        np.flatnonzero(np.square(place - starts[0]).sum(axis=1) <= BLAST**2)
        taken.append(time.perf_counter())
        for name, begin, end, each in zip(times, taken, taken[1:], (BATCH, BATCH, BATCH, 1), strict=False):
            times[name].append((end - begin) * 1e6 / each)
        hits += int(np.count_nonzero(shots.handles))
        behind += int(np.count_nonzero(shots.handles) - np.count_nonzero(walled.handles))
    record = [(end - begin) * 1e9 / targets for begin, end in zip(marks[2::2], marks[3::2], strict=True)]
    return {"targets": targets, "record_ns": median(record, 1), **{name: median(all_) for name, all_ in times.items()},
            "hit": round(hits / rounds / BATCH, 3), "walled": round(behind / rounds / BATCH, 3)}


def main() -> None:
    options = arguments(__doc__).parse_args()
    busy = Busyness()
    rows = [measure(targets, options.rounds) for targets in (1_000, 10_000)]
    report("rewind", rows, keys=["targets"], settings={"hz": HZ, "batch": BATCH, "reach": REACH, "blast": BLAST},
           busy=busy, json_only=options.json)


if __name__ == "__main__":
    main()

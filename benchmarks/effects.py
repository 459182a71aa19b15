"""What live effects cost a tick: python -m benchmarks.effects

100,000 effects on 10,000 entities at 60 Hz, one in three with a period of a second, lasting 2 to 60 seconds; what ends
is applied again, so that the number stays. Milliseconds of a tick for `step` (with its columns), for applying again
what ended, and for reading the flags of all entities. The floor: one pass of NumPy over as many wake times.
"""
from __future__ import annotations

import time
from typing import Annotated as A

import numpy as np

import shadowland as sl
from benchmarks.harness import Busyness, Row, arguments, median, report
from shadowland.effects import Effects, Kind, Stacking
from shadowland.world import World

HZ = 60
ENTITIES = 10_000


class Creature(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)


def measure(count: int, ticks: int) -> Row:
    """`count` live effects for `ticks` ticks: ms of each part, medians, and the 99th percentile of a step."""
    luck = np.random.default_rng(1)
    world = World(sl.Schema([Creature], []), tick_hz=HZ, aoi=sl.Grid(cell=10, radius=30), capacity=ENTITIES,
                  observers=1)
    for _ in range(ENTITIES):
        world.spawn(Creature())
    world.publish(1)
    everybody = np.array(list(world), np.uint64)
    kinds = [Kind(f"kind {i}", flags=1 << i, duration_s=10, period_s=float(i % 3 == 0), amount=-(i % 3 == 0),
                  stacking=Stacking.APART, most=1000) for i in range(30)]
    effects = Effects(world, kinds, capacity=count)
    for kind in kinds:
        share = count // len(kinds)
        effects.apply(kind, luck.choice(everybody, share), duration_s=luck.uniform(2, 60, share))
    live = len(effects)
    wake = np.full(live, 1 << 40, np.uint64)
    times: dict[str, list[float]] = {"step_ms": [], "apply_ms": [], "flags_ms": [], "floor_ms": []}
    happened = 0
    for tick in range(1, ticks + 1):
        marks = [time.perf_counter()]
        parts = list(effects.step(tick))
        marks.append(time.perf_counter())
        for part in parts:
            happened += len(part)
            ends = part.ends
            for number in np.unique(ends.kinds).tolist():
                targets = ends.targets[ends.kinds == number]
                effects.apply(kinds[number], targets, duration_s=luck.uniform(2, 60, len(targets)))
        marks.append(time.perf_counter())
        effects.flags(everybody)
        marks.append(time.perf_counter())
        np.flatnonzero(wake <= tick)
        marks.append(time.perf_counter())
        for name, begin, end in zip(times, marks, marks[1:], strict=False):
            times[name].append((end - begin) * 1000)
    return {"effects": live, "happenings_per_tick": round(happened / ticks, 1),
            **{name: median(taken, 4) for name, taken in times.items()},
            "step_p99_ms": round(float(np.percentile(times["step_ms"], 99)), 3)}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--effects", type=int, default=100_000, help="that are live (default 100,000)")
    options = parser.parse_args()
    ticks, busy = round(options.rounds * options.seconds * HZ), Busyness()
    report("effects", [measure(options.effects, ticks)], keys=["effects"],
           settings={"entities": ENTITIES, "hz": HZ, "ticks": ticks}, busy=busy, json_only=options.json)


if __name__ == "__main__":
    main()

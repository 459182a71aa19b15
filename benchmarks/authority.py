"""What it costs to hold inputs against the rules: python -m benchmarks.authority

Nanoseconds a row, 10,000 players with an input each and tick: wishes (`steer`), places that the client claims
(`claim`), actions with a cooldown, a range, a cost and a state, and on the map with a line of sight of 5 m. Without a
map and on one of 512 × 512 cells with heights, one in fifty blocked. The floor: a pass of NumPy that moves everybody.
`held`: claims that were not followed; `done`: actions that were.
"""
from __future__ import annotations

import time

import numpy as np

from benchmarks.harness import Busyness, Row, arguments, median, report
from shadowland.authority import Action, Actions, Map, Movement, Movers, Outcome, Verdict

HZ, PLAYERS, SIDE = 30, 10_000, 512


def town(luck: np.random.Generator) -> Map:
    blocked = (luck.random((SIDE, SIDE)) < 0.02).astype(np.uint8)
    return Map(low=(0.0, 0.0), blocked=blocked, heights=np.round(luck.uniform(0, 0.2, (SIDE, SIDE)), 2))


def measure(name: str, area: Map | None, seconds: float, rounds: int) -> Row:
    luck = np.random.default_rng(2)
    rules = Movement(speed=6.0, acceleration=40.0, turn_rate=12.0)
    wishers, claimers = (Movers(rules, capacity=PLAYERS, tick_hz=HZ, map=area) for _ in range(2))
    heal = Action(cooldown_ms=30, range=8.0, cost={"mana": 1}, forbidden=2, needs_sight=area is not None, eye=1.6)
    actions = Actions({"heal": heal}, capacity=PLAYERS, map=area)
    everybody = np.arange(PLAYERS)
    for slot in range(PLAYERS):
        wishers.reset(slot, 0)
        claimers.reset(slot, 0)
        actions.reset(slot)
    begin = np.column_stack((luck.uniform(1, SIDE - 1, (PLAYERS, 2)), np.zeros(PLAYERS)))
    if area is not None:
        begin[:, 2] = area.ground(begin)
    wished, claimed = begin.copy(), begin.copy()
    going, coming = np.zeros_like(begin), np.zeros_like(begin)
    facing, faced = np.zeros(PLAYERS), np.zeros(PLAYERS)
    angles = luck.uniform(-np.pi, np.pi, PLAYERS)
    mana = np.full(PLAYERS, 1 << 40, np.int64)
    times: dict[str, list[float]] = {"steer_ns": [], "claim_ns": [], "action_ns": [], "floor_ns": []}
    faults, done, ticks = 0, 0, 0
    for tick in range(1, 1 + max(round(rounds * seconds * HZ), 1)):
        now = np.full(PLAYERS, tick * 1_000_000 // HZ)
        angles += luck.uniform(-0.1, 0.1, PLAYERS)
        wishes = np.column_stack((np.cos(angles), np.sin(angles), np.zeros(PLAYERS)))
        claims = claimed + 5.0 / HZ * wishes
        if area is not None:
            claims[:, 2] = area.ground(claims)
        targets = wished + 5.0 * wishes
        kinds = np.zeros(PLAYERS, np.int64)
        taken = [time.perf_counter()]
        wishers.steer(wished, going, facing, rows=everybody, slots=everybody, directions=wishes, times_us=now,
                      facings=angles)
        taken.append(time.perf_counter())
        verdicts = claimers.claim(claimed, coming, faced, rows=everybody, slots=everybody, positions=claims,
                                  times_us=now, facings=angles)
        taken.append(time.perf_counter())
        outcomes = actions.run(kinds, slots=everybody, times_us=now, sources=wished, targets=targets, flags=1,
                               rows=everybody, resources={"mana": mana})
        taken.append(time.perf_counter())
        wished + going / HZ
        taken.append(time.perf_counter())
        for key, first, last in zip(times, taken, taken[1:], strict=False):
            times[key].append((last - first) * 1e9 / PLAYERS)
        faults += int(np.count_nonzero(verdicts & (Verdict.BLOCKED | Verdict.FAST)))
        done += int(np.count_nonzero(outcomes == Outcome.DONE))
        ticks += 1
    return {"map": name, **{key: median(all_, 1) for key, all_ in times.items()},
            "held": round(faults / ticks / PLAYERS, 3), "done": round(done / ticks / PLAYERS, 3)}


def main() -> None:
    options = arguments(__doc__).parse_args()
    busy = Busyness()
    rows = [measure("none", None, options.seconds, options.rounds),
            measure("town", town(np.random.default_rng(1)), options.seconds, options.rounds)]
    report("authority", rows, keys=["map"], settings={"players": PLAYERS, "hz": HZ, "side": SIDE}, busy=busy,
           json_only=options.json)


if __name__ == "__main__":
    main()

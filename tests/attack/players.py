"""Honest players beside an attack: python -m tests.attack.players URL KEY COUNT

They walk and send thirty inputs a second. Prints one JSON line when all are in, then one for each line of stdin; ends
with it. Round trips are the 99th percentile of all players, looked at every tenth of a second.
"""
import json
import math
import select
import statistics
import sys

import numpy as np

from server_app.loop import Frozen, Loop
from shadowland.swarm import LIVE, Swarm
from tests.attack.victim import HZ, SCHEMA, Move

JOIN_S = 20
A_TICK = 32                             # that begin to connect in one tick


def main() -> None:
    url, key, text = sys.argv[1:]
    count = int(text)
    swarm = Swarm(url, key, count, schema=SCHEMA, tick_hz=HZ)
    everybody = np.arange(count)
    trips: list[float] = []
    asked = ticks = 0

    def step() -> None:
        nonlocal asked, ticks
        ticks += 1
        if asked < count:
            swarm.connect(range(asked, min(asked + A_TICK, count)))
            asked = min(asked + A_TICK, count)
        swarm.take()
        walking = everybody[swarm.state == LIVE]
        angles = walking + ticks / HZ
        swarm.send(Move, walking, direction=np.stack([np.cos(angles), np.sin(angles)], 1))
        swarm.flush()
        if ticks % 3 == 0:
            trips.append(swarm.stats().rtt_ms[1])

    loop = Loop(HZ, swarm.drain, step)
    with Frozen():
        while (swarm.state != LIVE).any():
            loop.turn()
            if ticks > JOIN_S * HZ:
                sys.exit(f"players: {int((swarm.state == LIVE).sum())} of {count} are in after {JOIN_S} s")
        print(json.dumps({"live": count}), flush=True)
        while True:
            loop.turn()
            if select.select([sys.stdin], [], [], 0)[0]:
                if not sys.stdin.readline():
                    break
                live = int((swarm.state == LIVE).sum())
                print(json.dumps({"live": live, "lost": count - live,
                                  "rtt_p99_ms": statistics.median(trips) if trips else math.nan,
                                  "rtt_worst_ms": max(trips, default=math.nan)}), flush=True)
                trips.clear()
    swarm.close()


if __name__ == "__main__":
    main()

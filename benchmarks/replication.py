"""Replication of a walking crowd: bytes on the wire and CPU per player, in simulated time.

    python -m benchmarks.replication [--players 1000 5000] [--visible 28] [--hz 30] [--rtt 100] [--loss 2] [--json]

Everybody is a player and an observer: 70 % walk at 5 m/s and turn about every 3 s, positions are kept to 1 cm.
Snapshots and acknowledgments take half a round trip each; a share of the snapshots is lost, noticed after 1.25 round
trips. Bytes: the whole payload, as the snapshot's message would hold it, without frame, acks, header and tag.
`saving` is against 46 bytes for each visible entity and snapshot (id 4, position 12, rotation 12, velocity 12,
animation 2, flags 4).
Times are CPU, medians over the measured ticks, in ns per player and tick; `apply` is what an observer pays.
"""
import time
from typing import Annotated as A
from typing import Any

import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from benchmarks import harness
from shadowland._core.base.records import EVENT_DTYPE, JOINED, SNAPSHOT_ACKED, SNAPSHOT_LOST
from shadowland._core.world.view import Views
from shadowland.world import World

FULL_STATE = 46
RADIUS = 30.0


class Walker(sl.Entity):
    """Who walks: the fields of the README's player that everybody sees."""

    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05)] = (0, 0, 0)
    yaw: sl.Angle = 0.0
    health: A[int, sl.Range(0, 100), sl.Rate(hz=5)] = 100


class Crowd:
    """The world, what is on its way, and who walks where."""

    def __init__(self, players: int, visible: int, hz: int, rtt_ms: float, loss: float) -> None:
        self.players, self.hz, self.loss = players, hz, loss
        self.edge = RADIUS * (np.pi * players / (visible + 1)) ** 0.5   # oneself is seen too and not counted
        self.delay = max(1, round(rtt_ms / 1000 * hz))
        self.notice = max(1, round(1.25 * rtt_ms / 1000 * hz))
        schema = sl.Schema([Walker])
        self.world = World(schema, tick_hz=hz, aoi=sl.Grid(cell=RADIUS / 2, radius=RADIUS), capacity=players,
                           observers=players)
        self.world.core.clock = time.thread_time_ns
        self.views = Views(self.world.table, players, 256, 16)
        self.random = np.random.default_rng(1)
        self.handles = (np.uint64(1) << np.uint64(32)) | np.arange(players, dtype=np.uint64)
        self.world.events(self.event(self.handles, JOINED))
        for observer in range(players):
            x, y = self.random.uniform(0, self.edge, 2).tolist()
            self.world.set_avatar(observer, self.world.spawn(Walker(position=(x, y, 0.0))))
        self.observers = np.arange(players, dtype=np.uint32)
        self.later: dict[int, list[NDArray[Any]]] = {}
        self.tick, self.apply_ns = 0, 0

    @staticmethod
    def event(connections: NDArray[np.uint64], kind: int, tokens: NDArray[np.uint32] | int = 0) -> NDArray[Any]:
        events = np.zeros(len(connections), EVENT_DTYPE)
        events["connection"], events["kind"], events["token"] = connections, kind, tokens
        return events

    def walk(self) -> None:
        walkers = self.world[Walker]
        turning = self.random.random(len(walkers)) < (1 / (3 * self.hz) if self.tick > 1 else 1)
        angle = self.random.uniform(0, 2 * np.pi, turning.sum())
        speed = np.where(self.random.random(len(angle)) < 0.7, 5.0, 0.0)
        walkers.velocity[turning, 0] = speed * np.cos(angle)
        walkers.velocity[turning, 1] = speed * np.sin(angle)
        walkers.yaw[turning] = angle
        walkers.position += walkers.velocity / self.hz
        out = (walkers.position[:, :2] < 0) | (walkers.position[:, :2] > self.edge)
        inward = np.where(walkers.position[:, :2] < 0, 1, -1) * np.abs(walkers.velocity[:, :2])
        walkers.velocity[:, :2] = np.where(out, inward, walkers.velocity[:, :2])

    def step(self) -> None:
        self.tick += 1
        for events in self.later.pop(self.tick, []):
            self.world.events(events)
        self.world.publish(self.tick)
        records, arena = self.world.replicate(self.observers)
        lost = self.random.random(len(records)) < self.loss
        arrived = np.ascontiguousarray(records[~lost])
        started = time.thread_time_ns()
        slots = (arrived["connection"] & np.uint64(0xFFFFFFFF)).astype(np.int32)
        taken = self.views.apply_records(arrived, arena, slots)
        self.apply_ns = time.thread_time_ns() - started
        assert taken == len(arrived)
        verdicts = self.later.setdefault(self.tick + self.delay, [])
        verdicts.append(self.event(arrived["connection"], SNAPSHOT_ACKED, arrived["number"]))
        verdicts = self.later.setdefault(self.tick + self.notice, [])
        verdicts.append(self.event(records["connection"][lost], SNAPSHOT_LOST, records["number"][lost]))
        self.walk()


def measure(crowd: Crowd, seconds: float) -> harness.Row:
    """One row: a warm-up of five seconds of game time, then `seconds` of it."""
    for _ in range(5 * crowd.hz):
        crowd.step()
    before, spent = crowd.world.core.stats, []
    ticks = round(seconds * crowd.hz)
    for _ in range(ticks):
        crowd.step()
        spent.append([*crowd.world.core.timing_ns.values(), crowd.apply_ns])
    after = crowd.world.core.stats
    grown = {name: after[name] - before[name] for name in after}
    snapshots = ticks * crowd.players
    visible = grown["visible"] - snapshots                  # oneself is no news
    bytes_ = grown["payload_bytes"]
    times = np.median(np.array(spent, np.float64), axis=0) / crowd.players
    names = [*crowd.world.core.timing_ns, "apply"]
    return {
        "players": crowd.players, "visible": round(visible / snapshots, 1),
        "bytes/visible": round(bytes_ / visible, 3),
        "record bytes": round(grown["record_bytes"] / grown["records"], 2),
        "records/snapshot": round(grown["records"] / snapshots, 3),
        "enters": round(grown["enters"] / snapshots, 3), "encoded": round(grown["encoded"] / grown["records"], 3),
        "saving %": round(100 * (1 - bytes_ / (FULL_STATE * visible)), 2),
        **{f"{name} ns": round(value) for name, value in zip(names, times.tolist(), strict=True)},
    }


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--players", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--visible", type=int, default=28)
    parser.add_argument("--hz", type=int, default=30)
    parser.add_argument("--rtt", type=float, default=100, help="round trip in ms")
    parser.add_argument("--loss", type=float, default=2, help="lost snapshots in %%")
    options = parser.parse_args()
    busy = harness.Busyness()
    rows = []
    for players in options.players:
        taken = [measure(Crowd(players, options.visible, options.hz, options.rtt, options.loss / 100), options.seconds)
                 for _ in range(options.rounds)]
        rows.append({name: harness.median(row[name] for row in taken) for name in taken[0]})
    harness.report("replication", rows, keys=["players"], packages=["numpy"], busy=busy, json_only=options.json,
                   settings={"visible": options.visible, "hz": options.hz, "rtt_ms": options.rtt,
                             "loss_percent": options.loss, "seconds": options.seconds, "rounds": options.rounds})


if __name__ == "__main__":
    main()

"""Nanoseconds per packet of each stage, in and out, and per player of the world's: everything but the kernel.

    python -m benchmarks.pipeline [--sessions 1000] [--size 64] [--json]

Two endpoints exchange packets in memory. Stages inside a call are told apart by packets that end there: a replayed one
costs parsing, lookup and the replay test; one that was tampered with costs the opening too; an honest one everything.
`cores at 600,000/s` is ns x rate, the share of a core that this stage takes of the aim.
"""
import time
from typing import Annotated as A
from typing import Any

import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from benchmarks import harness
from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import EVENT_DTYPE, JOINED, MESSAGE_DTYPE, SNAPSHOT_ACKED
from shadowland._core.crypto import sodium
from shadowland._core.endpoint.endpoint import CIPHERS, Endpoint
from shadowland.world import World

SERVER = ("127.0.0.1", 3565)
RATE = 600_000
TICK_US = 16_667
WARM = 5


class Walker(sl.Entity):
    """Who walks in the measured world: the fields of the README's player."""

    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05)] = (0, 0, 0)
    yaw: sl.Angle = 0.0
    health: A[int, sl.Range(0, 100), sl.Rate(hz=5)] = 100


class Wire:
    """A server and a client endpoint with `sessions` sessions between them, and time that only we move."""

    def __init__(self, sessions: int, cipher: str) -> None:
        self.server = Endpoint("server", capacity=sessions, seed=b"s" * 32, identity_secret=b"k" * 32,
                               half_open=min(65536, sessions), half_open_per_prefix=min(65536, sessions),
                               cipher=cipher)
        self.client = Endpoint("client", capacity=sessions, seed=b"c" * 32)
        self.now = 1_000_000
        self.batch, self.replies = DatagramBatch(2 * sessions), DatagramBatch(2 * sessions)
        local = [(f"127.{1 + i // 60000}.{i // 250 % 240}.{1 + i % 250}", 5000) for i in range(sessions)]
        handles = [self.client.connect(SERVER, self.server.public_key, self.now, place) for place in local]
        for _ in range(8):
            self.now += TICK_US
            self.carry(self.client, self.server)
            self.carry(self.server, self.client)
        joined = self.server.events
        self.server_handles = joined["connection"][joined["kind"] == JOINED].copy()
        self.client_handles = np.array(handles, np.uint64)
        assert len(self.server_handles) == sessions
        self.server.clear()
        self.client.clear()

    def collected(self, sender: Endpoint) -> DatagramBatch:
        """What `sender` has to send, turned round so that the other side can take it."""
        self.batch.clear()
        sender.outbound(self.batch, self.now)
        return self.turned(self.batch, sender)

    def turned(self, batch: DatagramBatch, sender: Endpoint) -> DatagramBatch:
        out = DatagramBatch(max(1, batch.count))
        for i in range(batch.count):
            if sender is self.client:
                out.append(batch[i], batch.local(i) or SERVER, None, self.now)
            else:
                out.append(batch[i], SERVER, batch.remote(i), self.now)
        return out

    def carry(self, sender: Endpoint, receiver: Endpoint) -> None:
        self.replies.clear()
        receiver.inbound(self.collected(sender), self.replies, self.now)
        if self.replies.count:
            sender.inbound(self.turned(self.replies, receiver), DatagramBatch(1), self.now)


def ns(call: Any, *arguments: Any) -> int:
    """Thread CPU time of one call."""
    before = time.thread_time_ns()
    call(*arguments)
    return time.thread_time_ns() - before


def copied(batch: DatagramBatch, tamper: bool) -> DatagramBatch:
    """The same datagrams again (opening works in place), or with a bit of each tag turned."""
    out = DatagramBatch(batch.capacity)
    for i in range(batch.count):
        data = bytearray(batch[i])
        data[-1] ^= tamper
        out.append(bytes(data), batch.remote(i), batch.local(i), 0)
    return out


def packets(wire: Wire, size: int, rounds: int) -> dict[str, list[float]]:
    """ns per packet of each stage, a list of rounds."""
    sessions = len(wire.client_handles)
    arena = np.zeros(max(size, 1), np.uint8)
    up, down = np.zeros(sessions, MESSAGE_DTYPE), np.zeros(sessions, MESSAGE_DTYPE)
    for records, handles in ((up, wire.client_handles), (down, wire.server_handles)):
        records["connection"], records["kind"], records["length"] = handles, 1, size
    found: dict[str, list[float]] = {}
    for turn in range(WARM + rounds):
        wire.now += TICK_US
        wire.client.queue(up, arena)
        fresh = wire.collected(wire.client)
        again, forged = copied(fresh, False), copied(fresh, True)
        wire.now += 100
        taken = {
            "in: parse, look up, open, refuse": ns(wire.server.inbound, forged, wire.replies, wire.now),
            "in: everything": ns(wire.server.inbound, fresh, wire.replies, wire.now),
            "in: parse, look up, replay test": ns(wire.server.inbound, again, wire.replies, wire.now),
            "out: queue": ns(wire.server.queue, down, arena),
        }
        wire.batch.clear()
        taken["out: frame, ack block, seal"] = ns(wire.server.outbound, wire.batch, wire.now)
        assert wire.batch.count == sessions == len(wire.server.inbox)
        wire.client.inbound(wire.turned(wire.batch, wire.server), wire.replies, wire.now)
        wire.server.clear()
        wire.client.clear()
        if turn >= WARM:
            for stage, spent in taken.items():
                found.setdefault(stage, []).append(spent / sessions)
    return found


def players(count: int, rounds: int) -> dict[str, list[float]]:
    """ns per player of publish, grid, interest and encode: a walking crowd, about 28 in sight."""
    schema = sl.Schema([Walker])
    edge = 10.0 * count ** 0.5                                  # radius 30 then holds 28 walkers
    world = World(schema, tick_hz=30, aoi=sl.Grid(cell=15, radius=30), capacity=count, observers=count)
    random = np.random.default_rng(1)
    events: NDArray[Any] = np.zeros(count, EVENT_DTYPE)
    events["connection"] = (np.uint64(1) << np.uint64(32)) | np.arange(count, dtype=np.uint64)
    events["kind"] = JOINED
    world.events(events)
    world.core.clock = time.perf_counter_ns
    for observer in range(count):
        place = (float(random.uniform(0, edge)), float(random.uniform(0, edge)), 0.0)
        world.set_avatar(observer, world.spawn(Walker(position=place)))
    observers = np.arange(count, dtype=np.uint32)
    found: dict[str, list[float]] = {}
    walkers = None
    for tick in range(1, 60 + rounds):
        if walkers is not None:
            turning = np.flatnonzero(random.random(count) < 1 / 90)
            angle = np.round(random.uniform(0, 6.28, len(turning)), 2)
            speed = np.where(random.random(len(turning)) < 0.7, 5.0, 0.0)
            walkers.velocity[turning, 0] = np.round(speed * np.cos(angle) / 0.05) * 0.05
            walkers.velocity[turning, 1] = np.round(speed * np.sin(angle) / 0.05) * 0.05
            walkers.position += walkers.velocity / 30
        world.publish(tick)
        walkers = world[Walker]
        records, _ = world.replicate(observers)
        acked: NDArray[Any] = np.zeros(len(records), EVENT_DTYPE)
        acked["connection"], acked["token"], acked["kind"] = records["connection"], records["number"], SNAPSHOT_ACKED
        world.events(acked)
        if tick >= 60:
            for stage, spent in world.core.timing_ns.items():
                found.setdefault(f"world: {stage}", []).append(spent / count)
    return found


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--sessions", type=int, default=1000, help="sessions and players (default 1000)")
    parser.add_argument("--size", type=int, default=64, help="bytes of each message (default 64)")
    parser.add_argument("--suite", default="auto", choices=CIPHERS, help="what packets are sealed with (default auto)")
    options = parser.parse_args()
    busy = harness.Busyness()
    rounds = max(options.rounds, 5)
    rows: list[harness.Row] = []
    for stage, spent in packets(Wire(options.sessions, options.suite), options.size, rounds).items():
        value = harness.median(spent, 0)
        rows.append({"stage": stage, "ns": value, "cores at 600,000/s": round(value * RATE / 1e9, 3)})
    for stage, spent in players(options.sessions, rounds).items():
        rows.append({"stage": stage, "ns": harness.median(spent, 0)})
    harness.report("pipeline", rows, keys=["stage"], busy=busy, packages=["pynacl", "cython"],
                   settings={"sessions": options.sessions, "size": options.size, "rounds": rounds,
                             "suite": options.suite, "aes": sodium.has_aes()},
                   json_only=options.json)


if __name__ == "__main__":
    main()

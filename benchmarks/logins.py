"""Logins a second of a server at 60 ticks a second when everybody comes at once.

    python -m benchmarks.logins [--clients 10000] [--hz 60] [--json]

The clients are one swarm of endpoints in a second process, each on a loopback address of its own. All of them begin in
the same moment, and leave as soon as they are in, so that logins are measured and not play. The server is an ordinary
sl.Server with the built-in rules of the guard, whose budget of key exchanges is what keeps the storm from stretching
ticks. `floor_us` is the CPU of the three X25519 operations that a login costs a server; `cpu_us` all of the server's
CPU during the storm, ticks included, per login.
"""
import json
import os
import subprocess
import sys
import time
from typing import Annotated as A

import shadowland as sl
from benchmarks import harness
from server_app.loop import Frozen, Loop
from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import JOINED
from shadowland._core.crypto import keys
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland._core.udp.socket import UdpSocket, monotonic_us
from shadowland.identity import parse_public

GIVE_UP_S = 60


class Guest(sl.Entity):
    """Somebody has to be in the schema."""

    place: A[sl.Vec2, sl.Quantized(step=0.1)] = (0.0, 0.0)


SCHEMA = sl.Schema([Guest], [])


def floor_us() -> float:
    """CPU of one key pair and two exchanges, the least that message 1 and 2 cost."""
    private, public = os.urandom(32), keys.public_key(os.urandom(32))
    taken = []
    for _ in range(5):
        before = time.thread_time_ns()
        for _ in range(200):
            keys.public_key(private)
            keys.exchange(private, public)
            keys.exchange(private, public)
        taken.append((time.thread_time_ns() - before) / 200e3)
    return harness.median(taken, 1)


def crowd(port: int, key: str, clients: int) -> None:
    """The second process: everybody connects; a line of JSON when all are in or time is up."""
    socket = UdpSocket("0.0.0.0", 0)
    endpoint = Endpoint("client", capacity=clients, seed=os.urandom(32), schema_hash=SCHEMA.hash,
                        connect_timeout_us=GIVE_UP_S * 1_000_000)
    come, out, pinned = DatagramBatch(1024), DatagramBatch(1024), parse_public(key)
    for number in range(clients):
        local = f"127.{40 + (number >> 16)}.{number >> 8 & 255}.{number & 255}", 0
        endpoint.connect(("127.0.0.1", port), pinned, monotonic_us(), local)
    start, joined = time.monotonic(), 0
    while joined < clients and time.monotonic() - start < GIVE_UP_S:
        now = monotonic_us()
        while socket.receive(come, now):
            endpoint.inbound(come, out, now)
        events = endpoint.events
        for handle in events["connection"][events["kind"] == JOINED].tolist():
            endpoint.close(handle, int(sl.DisconnectReason.CLIENT_LEFT), now)
            joined += 1
        endpoint.clear()
        done = False
        while not done or out.count:
            done = endpoint.outbound(out, now)
            socket.send(out)
        socket.wait(1000)
    print(json.dumps({"joined": joined, "seconds": time.monotonic() - start}), flush=True)
    sys.stdin.readline()


def storm(clients: int, hz: int) -> harness.Row:
    """One storm against a fresh server."""
    app = sl.Server(tick_hz=hz, schema=SCHEMA, capacity=clients, half_open=min(clients, 65_536))
    app.open("127.0.0.1", 0)
    loop = Loop(hz, app.drain, app.step)
    url, key = app.connect_line.split()
    with app.closing(), Frozen():
        for _ in range(hz):
            loop.turn()
        calm = loop.times.milliseconds(99)[0]
        skipped = loop.skipped
        words = [sys.executable, "-m", "benchmarks.logins", "--crowd", str(app.address[1]), key, str(clients)]
        load = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=harness.ROOT)
        first = last = cpu = 0.0
        inside = 0

        def come(session: sl.Session) -> None:
            nonlocal inside
            inside += 1

        app.on_join(come)
        loop.times.clear()
        while inside < clients and load.poll() is None and (not first or last - first < GIVE_UP_S):
            before = time.monotonic(), time.process_time()
            loop.turn()
            last = time.monotonic()
            if not first and app.endpoint.counters["received"]:
                first, cpu = before                     # the storm began within this turn
        spent = time.process_time() - cpu
        p50, p99, worst = loop.times.milliseconds(50, 99, 100)
        stats = app.stats()
        assert load.stdin is not None and load.stdout is not None
        load.stdin.close()
        load.wait()
        load.stdout.close()
    seconds = max(last - first, 1e-9)
    return {"clients": clients, "joined": inside, "seconds": round(seconds, 2), "logins_per_s": round(inside / seconds),
            "cpu_us": round(spent / max(inside, 1) * 1e6, 1), "calm_p99_ms": calm, "tick_p50_ms": p50,
            "tick_p99_ms": p99, "tick_max_ms": worst, "skipped": loop.skipped - skipped,
            "shed": stats.rules.get("handshakes", 0)}


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--clients", type=int, default=10_000, help="who come at once (default 10,000)")
    parser.add_argument("--hz", type=int, default=60, help="ticks per second (default 60)")
    parser.add_argument("--crowd", nargs=3, metavar=("PORT", "KEY", "CLIENTS"), help="(the second process)")
    options = parser.parse_args()
    if options.crowd:
        crowd(int(options.crowd[0]), options.crowd[1], int(options.crowd[2]))
        return
    busy, floor = harness.Busyness(), floor_us()
    row = storm(options.clients, options.hz)
    row |= {"floor_us": floor, "ratio": round(row["cpu_us"] / floor, 2)}
    harness.report("logins", [row], keys=["clients"], busy=busy, packages=["pynacl"], json_only=options.json,
                   settings={"clients": options.clients, "hz": options.hz})


if __name__ == "__main__":
    main()

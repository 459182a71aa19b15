"""The server that the attacks of tests/attack go against: python -m tests.attack.victim HALF_OPEN CAPACITY HALF_OPEN_S

Prints one JSON line (url, port, key), then answers each line of stdin with one JSON line of its counters; ends with
stdin. What it runs is an ordinary sl.Server under the ordinary loop.
"""
import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Annotated as A
from typing import Any

import shadowland as sl
from server_app.loop import Frozen, Loop

HZ = 30
FIELD = 400.0


class Walker(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Predicted(by="velocity")] = (0.0, 0.0)
    velocity: A[sl.Vec2, sl.Quantized(step=0.05)] = (0.0, 0.0)


class Move(sl.Message, channel="input"):
    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0.0, 0.0)


class Say(sl.Message, channel="reliable", per_second=50):
    text: A[str, sl.MaxLen(200)] = ""


class Shout(sl.Message, channel="unreliable", per_second=50):
    text: A[str, sl.MaxLen(200)] = ""


SCHEMA = sl.Schema([Walker], [Move, Say, Shout])


def server(capacity: int, half_open: int, half_open_s: int) -> sl.Server:
    app = sl.Server(tick_hz=HZ, aoi=sl.Grid(cell=16, radius=40), schema=SCHEMA, capacity=capacity, half_open=half_open,
                    half_open_per_prefix=half_open, half_open_us=half_open_s * 1_000_000)

    @app.on_join
    def join(session: sl.Session) -> None:
        place = session.slot * 17 % FIELD, session.slot * 29 % FIELD
        session.avatar = app.world.spawn(Walker(position=place), owner=session)

    @app.on_leave
    def leave(session: sl.Session, reason: sl.DisconnectReason) -> None:
        app.world.despawn(session.avatar)

    @app.on(Say)
    def say(session: sl.Session, message: Say) -> None:
        session.send(message)

    @app.on(Shout)
    def shout(session: sl.Session, message: Shout) -> None:
        session.data["heard"] = session.data.get("heard", 0) + 1

    @app.tick
    def step(t: sl.Tick) -> None:
        walkers, moves = app.world[Walker], t[Move]
        walkers.velocity[moves.rows] = 5 * moves.direction
        walkers.position[:] = (walkers.position + walkers.velocity * t.dt) % FIELD

    return app


def counters(app: sl.Server, loop: Loop) -> dict[str, Any]:
    """What an attack is judged by. Tick times are those since the last call."""
    stats, inner = app.stats(), app.endpoint.counters
    p99, worst = loop.times.milliseconds(99, 100)
    loop.times.clear()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    return {
        "rss_kib": resident >> 10, "cpu_s": time.process_time(), "sessions": stats.sessions,
        "half_open": stats.half_open, "handshakes": inner["handshakes"], "blocks_used": inner["blocks_used"],
        "received": inner["received"], "accepted": inner["accepted"], "bytes_in": stats.bytes_in,
        "bytes_out": stats.bytes_out, "sent": inner["sent"], "drops": stats.drops,
        "message_drops": stats.message_drops, "rules": stats.rules, "bans": len(app.guard.bans()),
        "ticks": loop.ticks, "skipped": loop.skipped, "tick_p99_ms": p99,
        "tick_max_ms": worst, "handler_errors": stats.handler_errors,
    }


def main() -> None:
    half_open, capacity, half_open_s = map(int, sys.argv[1:])
    app = server(capacity, half_open, half_open_s)
    app.open("127.0.0.1", 0)
    url, key = app.connect_line.split()
    print(json.dumps({"url": url, "port": app.address[1], "key": key}), flush=True)
    loop = Loop(HZ, app.drain, app.step)
    with app.closing(), Frozen():
        while True:
            loop.turn()
            if select.select([sys.stdin], [], [], 0)[0]:
                if not sys.stdin.readline():
                    return
                print(json.dumps(counters(app, loop)), flush=True)


if __name__ == "__main__":
    main()

"""Nanoseconds of each check of the guard, with the built-in rules.

    python -m benchmarks.guard [--json] [--rounds 5]

hello: the budget of all hellos. session: the rules of an opened packet, the only ones on the hot path. handshake: the
rules before a key exchange. banned: whether an address is banned, beside 2,000 bans. bad: the score of a malformed
packet.
"""
import time

from benchmarks import harness
from shadowland._core.guard.guard import measure
from shadowland.guard import DEFAULT_RULES, Guard

COUNT = 200_000
CHECKS = ("session", "hello", "banned", "handshake", "bad")
RATE = 600_000


def spent(what: str) -> float:
    """ns of one check."""
    guard = Guard()
    for number in range(2_000):
        guard.ban(f"10.{number >> 8}.{number & 255}.0/24", 1e6)
    core = guard.core
    measure(core, what, "192.0.2.7", COUNT // 10)
    before = time.thread_time_ns()
    measure(core, what, "192.0.2.7", COUNT)
    return (time.thread_time_ns() - before) / COUNT


def main() -> None:
    options = harness.arguments(__doc__).parse_args()
    busy = harness.Busyness()
    rows: list[harness.Row] = []
    for what, taken in zip(CHECKS, harness.in_turn(CHECKS, max(options.rounds, 5), spent), strict=True):
        value = harness.median(taken, 1)
        rows.append({"check": what, "ns": value, "cores at 600,000/s": round(value * RATE / 1e9, 4)})
    harness.report("guard", rows, keys=["check"], busy=busy, json_only=options.json,
                   settings={"rules": len(DEFAULT_RULES), "count": COUNT})


if __name__ == "__main__":
    main()

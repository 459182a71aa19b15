"""Sessions that send as much as they may over a slow line: `python -m benchmarks.congestion`

Endpoints on the simulated network, 2 Mbit/s with a buffer of 200 ms, a server with 60 ticks a second that sends
reliable data without end. After ten seconds, for `--seconds` more: how long datagrams wait before the line (p50 and
p95), the share of it that they use, how equal two sessions are (Jain: 1 the same, 0.5 one has all). Medians over
`--rounds` seeds. Last, what the rate costs a packet: CPU time of the kernels to send it and to read its acknowledgment.
"""
from collections.abc import Callable
from dataclasses import replace

from benchmarks import harness
from shadowland.testing import Link
from tests.sim.bottleneck import SECOND, TICK_US, Line, bulk, snapshots

SETTLED_S = 10
RATE, BUFFER_US = 2_000_000, 200_000
RTTS_MS = (10, 50, 150)
COUNT = 1_000_000
PACKETS = 600_000                               # a second, of one core's aim
AIMS = {"p95_ms": (-1, 50.0), "use": (1, 0.85), "jain": (1, 0.95)}      # not above, not below
Load = Callable[[Line], object]
CASES: list[tuple[str, Load, int, float]] = [
    ("reliable", bulk, 1, 0.0), ("snapshots", snapshots, 1, 0.0), ("reliable, 2 % lost", bulk, 1, 0.02),
    ("two sessions", bulk, 2, 0.0),
]


def run(rtt_ms: int, load: Load, sessions: int, loss: float, seconds: int, seed: int) -> harness.Row:
    """What was seen of one run."""
    way = Link(delay_us=rtt_ms * 500)
    line = Line(replace(way, rate_bits_per_s=RATE, buffer_us=BUFFER_US, loss=loss), way, seed=seed, sessions=sessions)
    line.run((SETTLED_S + seconds) * SECOND // TICK_US * TICK_US, load)
    span = SETTLED_S, SETTLED_S + seconds
    return {"p50_ms": line.queue_ms(*span, 0.5), "p95_ms": line.queue_ms(*span), "use": line.use(*span),
            "jain": line.jain(*span)}


def main() -> int:
    parser = harness.arguments(__doc__)
    parser.set_defaults(seconds=60.0, rounds=3)
    options = parser.parse_args()
    busy, rows = harness.Busyness(), list[harness.Row]()
    for name, load, sessions, loss in CASES:
        for rtt_ms in RTTS_MS:
            taken = [run(rtt_ms, load, sessions, loss, int(options.seconds), seed)
                     for seed in range(1, options.rounds + 1)]
            row: harness.Row = {"case": name, "rtt_ms": rtt_ms, **{key: harness.median((one[key] for one in taken), 3)
                                                     for key in taken[0]}}
            row["missed"] = " ".join(key for key, (sign, aim) in AIMS.items() if sign * row[key] < sign * aim)
            rows.append(row)
    loops = harness.loops("congestion_loops")
    costs = [loops.packet(COUNT) for _ in range(max(options.rounds, 5))]
    send, read = (harness.median(column, 1) for column in zip(*costs, strict=True))
    note = (f"a packet: sending {send} ns, its acknowledgment {read} ns; "
            f"{(send + read) * PACKETS / 1e9:.3f} cores at {PACKETS:,} a second")
    harness.report("congestion", rows, keys=["case", "rtt_ms"], busy=busy, json_only=options.json, notes=[note],
                   settings={"rate_bits_per_s": RATE, "buffer_us": BUFFER_US, "seconds": options.seconds,
                             "rounds": options.rounds, "send_ns": send, "acknowledged_ns": read})
    return any(row["missed"] for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())

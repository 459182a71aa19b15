"""The world's figures in simulated time: bytes by cause and by field, what observers see, and how costs grow.

    python -m benchmarks.world [--part bytes scale] [--scene walk town battle idle] [--seconds 10] [--rounds 1] [--json]

Each table has a JSON line of its own.

bytes: 300 people with about 28 in sight, 24 of them observers, 50 ms to each side and 2 % loss, 30 snapshots a second;
after a warm-up of 8 s, `--seconds` are booked to the last bit, over `--rounds` seeds. Everything but the datagram's own
header and tag counts: `payload` is the snapshot's alone, `bytes/visible` has its frame and the ack block beside it.
`full` is 46 bytes for each visible entity and snapshot (id 4, position 12, rotation 12, velocity 12, animation 2, flags
4); `quantized` its absolute record. Causes are explained in world_bytes.py; errors are in steps, of views that had all
that was sent, and of all. Exit code 1 if an observer sees something farther from what was published than
docs/replication.md 4 allows, or an aim for bytes is missed.

scale: ns of CPU a player and tick, of walking crowds, in medians over 30 ticks for each of `--rounds`. The exponent
is by how much a tick's cost grows with its players. `shown`, `ratio`: see world_scale.py. What misses its aim is named.
"""
from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, field

from benchmarks import effects, harness, world_scale
from benchmarks.world_bytes import CAUSES
from benchmarks.world_scenes import SCENES
from benchmarks.world_traffic import Errors, Traffic, quantile

PEOPLE, OBSERVERS, VISIBLE, HZ, DELAY_MS, LOSS, WARM_S = 300, 24, 28, 30, 50.0, 0.02, 8
FULL_STATE = 46
AIMS = {"bytes/visible": (-1, 1.5), "record bytes": (-1, 6.5), "saved of full %": (1, 96.0)}    # not above, not below


@dataclass
class Tables:
    scenes: list[harness.Row] = field(default_factory=list)
    causes: list[harness.Row] = field(default_factory=list)
    fields: list[harness.Row] = field(default_factory=list)
    errors: list[harness.Row] = field(default_factory=list)


def book(scene: str, taken: list[Traffic], tables: Tables) -> None:
    """The rows of one scene, from all its rounds."""
    visible, snapshots = sum(one.visible for one in taken), sum(one.snapshots for one in taken)
    records = sum(one.ledger.records for one in taken)
    payload = 8 * sum(one.ledger.payload_bytes for one in taken)
    around = sum((one.ledger.around for one in taken), Counter[str]())
    total = payload + around.total()
    bits, causes, cause_bits = Counter[tuple[str, str, str]](), Counter[str](), Counter[str]()
    for one in taken:
        bits += one.ledger.bits
        causes += one.ledger.causes
        cause_bits += one.ledger.cause_bits
    row: harness.Row = {
        "scene": scene, "visible": round(visible / snapshots, 1), "bytes/visible": round(total / 8 / visible, 3),
        "payload/visible": round(payload / 8 / visible, 3), "bytes/snapshot": round(total / 8 / snapshots, 1),
        "empty %": round(100 * sum(one.ledger.empty for one in taken) / snapshots, 1),
        "records/visible": round(records / visible, 4),
        "record bytes": round(sum(cause_bits.values()) / 8 / max(records, 1), 2),
        "saved of full %": round(100 * (1 - total / 8 / visible / FULL_STATE), 2),
        "saved of quantized %": round(100 * (1 - total / 8 / sum(one.whole_bytes for one in taken)), 2),
        "quantized bytes": round(sum(one.whole_bytes for one in taken) / visible, 2),
        "wrong": sum(sum(one.errors.wrong.values()) for one in taken),
    }
    row["missed"] = " ".join(name for name, (sign, aim) in AIMS.items()
                             if scene == "walk" and sign * row[name] < sign * aim)
    tables.scenes.append(row)
    for cause in CAUSES:
        tables.causes.append({
            "scene": scene, "cause": cause, "records": causes[cause],
            "records %": round(100 * causes[cause] / max(records, 1), 2),
            "record bytes": round(cause_bits[cause] / 8 / causes[cause], 2) if causes[cause] else None,
            "bytes/visible": round(cause_bits[cause] / 8 / visible, 4),
            "bytes %": round(100 * cause_bits[cause] / total, 2)})
    parts = {what: Counter({"bits": count}) for what, count in around.items()}
    for (cls, name, what), count in bits.items():
        parts.setdefault(f"{cls}.{name}" if cls else what, Counter())[what if cls else "bits"] += count
    for part, whats in sorted(parts.items(), key=lambda item: -sum(item[1].values())):
        count = sum(whats.values())
        tables.fields.append({
            "scene": scene, "part": part, "bits/record": round(count / max(records, 1), 2),
            "bytes/visible": round(count / 8 / visible, 4), "bytes %": round(100 * count / total, 2),
            **{f"{what} %": round(100 * whats[what] / total, 2) if part.count(".") else None
               for what in ("changed?", "class", "residual", "whole")}})
    tables.errors += errors_of(scene, taken)


def errors_of(scene: str, taken: list[Traffic]) -> list[harness.Row]:
    rows = []
    for at in sorted({at for one in taken for at in one.errors.any}):
        kind, column = at
        layout, found = taken[0].layouts[kind], [one.errors for one in taken]

        def worst(name: str, share: float, at: tuple[int, int] = at, found: list[Errors] = found) -> int:
            return max(quantile(getattr(errors, name)[at], share) for errors in found if at in getattr(errors, name))
        tolerance = int(layout.components["tolerance"][layout.columns[column].first])
        rows.append({
            "scene": scene, "field": f"{layout.entity.__name__}.{layout.columns[column].name}", "tolerance": tolerance,
            "max": worst("held", 1.0), "p99": worst("held", 0.99),
            "max at rest": max(errors.resting[at] for errors in found),
            "wrong": sum(errors.wrong[at] for errors in found),
            "max, far and lost too": worst("any", 1.0), "p99, far and lost too": worst("any", 0.99)})
    return rows


def run(scene: str, seconds: float, seed: int, far: float) -> Traffic:
    traffic = Traffic(scene, PEOPLE, OBSERVERS, VISIBLE, HZ, DELAY_MS, LOSS, seed, far)
    for _ in range(WARM_S * HZ):
        traffic.step()
    traffic.clear()
    for _ in range(round(seconds * HZ)):
        traffic.step()
    return traffic


def bytes_part(options: argparse.Namespace) -> bool:
    """Four tables; True if something is wrong or missed."""
    tables, busy = Tables(), harness.Busyness()
    for scene in options.scene:
        book(scene, [run(scene, options.seconds, seed, options.far) for seed in range(1, options.rounds + 1)], tables)
    settings = {"people": PEOPLE, "observers": OBSERVERS, "hz": HZ, "delay_ms": DELAY_MS, "loss": LOSS,
                "seconds": options.seconds, "rounds": options.rounds, "far": options.far}
    for name, rows, key in (("scenes", tables.scenes, ""), ("causes", tables.causes, "cause"),
                            ("fields", tables.fields, "part"), ("errors", tables.errors, "field")):
        harness.report(f"world, {name}", rows, keys=["scene", key] if key else ["scene"], settings=settings,
                       packages=["numpy"], busy=busy, json_only=options.json)
    return any(row["wrong"] or row["missed"] for row in tables.scenes)


def scale_part(options: argparse.Namespace) -> None:
    """Four tables."""
    ticks, least = world_scale.TICKS * options.rounds, options.smaller
    settings = {"hz": world_scale.HZ, "ticks": ticks, "smaller": least}
    sizes = [[count // least for count in counts] for counts in (world_scale.PLAYERS, world_scale.ENTITIES)]

    def show(name: str, rows: list[harness.Row], keys: list[str], busy: harness.Busyness) -> None:
        harness.report(f"world, {name}", rows, keys=keys, settings=settings, packages=["numpy"], busy=busy,
                       json_only=options.json)
    busy = harness.Busyness()
    show("players", world_scale.players(sizes[0], ticks), ["density", "players"], busy)
    busy = harness.Busyness()
    show("entities", world_scale.among(sizes[1], world_scale.AMONG // least, ticks), ["players", "entities"], busy)
    busy = harness.Busyness()
    show("crowd", [world_scale.crowd(world_scale.CROWD // least, ticks)], ["players"], busy)
    busy = harness.Busyness()
    show("effects", [effects.measure(100_000 // least, 2 * ticks)], ["effects"], busy)


def main() -> int:
    parser = harness.arguments(__doc__)
    parser.add_argument("--part", nargs="+", choices=("bytes", "scale"), default=["bytes", "scale"])
    parser.add_argument("--scene", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--far", type=float, default=0.5,
                        help="part of the radius beyond which entities are told at every third tick (default 0.5)")
    parser.add_argument("--smaller", type=int, default=1, help="scale: all worlds this many times smaller (default 1)")
    parser.set_defaults(seconds=10.0, rounds=1)
    options = parser.parse_args()
    wrong = "bytes" in options.part and bytes_part(options)
    if "scale" in options.part:
        scale_part(options)
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())

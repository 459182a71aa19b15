"""A thousand cheats among honest players over real UDP: python -m tests.cheats --cheats 1000 --honest 200 --seconds 20

The server is a process of its own; honest players and cheats are bots of a swarm here, and some cheats speak the wire
by themselves. What the honest ones see is held against the rules, tick by tick, by plain arithmetic. Prints a table and
a JSON line; exit code 1 if anything was seen that cannot be, an honest player was blamed or left, or more than one in
10,000 of their inputs was corrected. Ends by itself.
"""
import argparse
import enum
import json
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from benchmarks.harness import commit, machine
from server_app.loop import Frozen, Loop
from shadowland.authority import Outcome, Verdict
from shadowland.swarm import CONNECTING, LIVE, OVER, Swarm
from tests.cheats.arena import HZ, RADIUS, SCHEMA, town
from tests.cheats.bots import CHEATS, Players
from tests.cheats.forger import FORGERIES, Forger
from tests.cheats.watch import Watch

ROOT = Path(__file__).parents[2]
CORRECTIONS_PER_INPUT = 1e-4
CONNECTING_PER_TICK = 32
CONNECTING_S = 60.0
ANSWER_S = 20.0
BLAMELESS = 3.0                         # points: bolts that were too late for a stun or a corner, now and then


class Arena:
    """The server's process; gone after the block."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "tests.cheats.arena", *map(str, words)], cwd=ROOT,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None and self.process.stdout is not None
        self._in, self._out = self.process.stdin, self.process.stdout
        self.about = self._read()

    def __enter__(self) -> "Arena":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> dict[str, Any]:
        line = self._out.readline() if select.select([self._out], [], [], ANSWER_S)[0] else ""
        if not line:
            self.process.kill()
            raise SystemExit(f"cheats: the server does not answer; its exit code is {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self) -> dict[str, Any]:
        self._in.write("?\n")
        self._in.flush()
        return self._read()

    def end(self) -> int:
        self._in.close()
        return self.process.wait(ANSWER_S)


def play(swarm: Swarm, players: Players, forgers: list[Forger], watch: Watch, seconds: float) -> int:
    """`seconds` from when all are in; how many ticks were skipped."""
    tick, asked, first = 0, 0, 0

    def step() -> None:
        nonlocal tick, asked
        tick += 1
        if asked < swarm.count:
            some = range(asked, min(asked + CONNECTING_PER_TICK, swarm.count))
            swarm.connect(some)
            asked = some.stop
        swarm.take()
        watch.look()
        players.step(tick)
        swarm.flush()
        for forger in forgers:
            forger.step(tick)

    loop, end = Loop(HZ, swarm.drain, step), time.monotonic() + CONNECTING_S + seconds
    with Frozen():
        while time.monotonic() < end:
            loop.turn()
            if first == 0 and asked == swarm.count and not (swarm.state == CONNECTING).any():
                first = tick
            if first and tick - first >= seconds * HZ:
                return loop.skipped
    raise SystemExit("cheats: the bots did not all come in, or this machine cannot keep up with them")


def counted(names: type[enum.IntEnum] | type[enum.IntFlag], table: NDArray[np.int64],
            slots: NDArray[np.int64]) -> dict[str, int]:
    """How often each of `names` was given to these slots, without the zeros."""
    sums = table[slots].sum(axis=0).tolist()
    return {str(one.name): count for one, count in zip(names, sums, strict=True) if count}


def report(row: dict[str, Any], cheats: dict[str, dict[str, Any]]) -> None:
    """The table, on stderr: what was tried and found, by cheat, then what the honest ones saw."""
    print(f"{'cheat':10} {'bots':>5} {'tried':>8} {'score':>7}  found", file=sys.stderr)
    for name, one in cheats.items():
        found = ", ".join(f"{what} {count:,}" for what, count in one["found"].items())
        print(f"{name:10} {one['bots']:5,} {one['tried']:8,} {one['score']:7,.1f}  {found}", file=sys.stderr)
    for name, value in row.items():
        print(f"{name:22} {value}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cheats", type=int, default=1000, help=f"how many cheat, in {len(CHEATS)} ways (1000)")
    parser.add_argument("--honest", type=int, default=200, help="how many do not, and watch (200)")
    parser.add_argument("--forgers", type=int, default=12, help="of the cheats: who speak the wire themselves (12)")
    parser.add_argument("--seconds", type=float, default=20.0, help="from when all are in (20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lax", action="store_true", help="a server that believes everything: this must fail")
    options = parser.parse_args()
    with Arena(options.seed, options.honest + options.cheats, *(["lax"] if options.lax else [])) as arena:
        return run(arena, options)


def run(arena: Arena, options: argparse.Namespace) -> int:
    url, key, honest = arena.about["url"], arena.about["key"], options.honest
    forgers = [Forger(url, key, number) for number in range(options.forgers)]
    swarm = Swarm(url, key, honest + options.cheats - len(forgers), schema=SCHEMA, tick_hz=HZ,
                  aoi=sl.Grid(cell=8, radius=RADIUS), timeout_s=30.0)
    map, blocked, heights = town(options.seed)
    players = Players(swarm, honest, map, options.seed)
    watch = Watch(swarm, honest, blocked, heights)
    skipped = play(swarm, players, forgers, watch, options.seconds)
    told = arena.ask()
    lost = int((swarm.state[:honest] == OVER).sum())
    scores, verdicts, outcomes = (np.array(told.pop(name)) for name in ("scores", "verdicts", "outcomes"))

    def one(bots: int, tried: int, slots: NDArray[np.int64]) -> dict[str, Any]:
        found = counted(Verdict, verdicts, slots) | counted(Outcome, outcomes, slots)
        score = round(float(np.median(scores[slots])), 1) if len(slots) else 0.0
        return {"bots": bots, "tried": tried, "found": found, "score": score}

    cheats: dict[str, dict[str, Any]] = {}
    for name in CHEATS:
        slots = players.slot[players.of(name)]          # of those that are still there
        cheats[name] = one(int((players.kind == CHEATS.index(name)).sum()), players.tried[name], slots)
    for kind, name in enumerate(FORGERIES):
        some = forgers[kind::len(FORGERIES)]
        slots = np.array([forger.slot for forger in some], np.int64)
        cheats[name] = one(len(some), sum(forger.forged for forger in some), slots)
    live = players.slot[:honest][swarm.state[:honest] == LIVE]
    row = {
        "honest": honest, "cheats": options.cheats, "seconds": options.seconds, "seen": watch.seen,
        "predicted": watch.predicted, "strikes_seen": watch.strikes_seen, "broken": watch.broken,
        "honest_inputs": players.inputs, "honest_corrections": players.corrections, "honest_lost": lost,
        "honest_verdicts": counted(Verdict, verdicts, live), "honest_outcomes": counted(Outcome, outcomes, live),
        "honest_highest_score": round(float(scores[live].max()), 2),
        "cheats_closed": int((swarm.state[honest:] == OVER).sum()), "bots_skipped": skipped, "server": told,
    }
    for forger in forgers:
        forger.close()
    swarm.close()
    code = arena.end()
    held = (not any(watch.broken.values()) and watch.seen > 0 and watch.strikes_seen > 0 and lost == 0
            and players.corrections <= players.inputs * CORRECTIONS_PER_INPUT
            and row["honest_highest_score"] < BLAMELESS and told["handler_errors"] == 0 and code == 0)
    report(row, cheats)
    print(json.dumps({"held": held} | row | {"by_cheat": cheats, "commit": commit(), "machine": machine()}))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

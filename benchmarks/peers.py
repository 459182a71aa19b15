"""Ours beside pyenet and aioquic over one bad network: `make peers` installs them and runs this

Client ── `shadowland-server impair` ── server, 25 ms each way, --rate both ways, loss of 0, 2 and 10 %. For each peer
and loss: goodput of 1,000-byte reliable ordered messages (delivered bytes), CPU of both sides (user + system, the
relay's left out) per delivered message, then the time from send to delivery of a 100-byte reliable message every 10 ms.
A peer that is not installed is named and left out.
"""
from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import Any

from benchmarks.harness import Busyness, Row, arguments, cpu_s, median, report

LOSSES = (0.0, 0.02, 0.10)
MODULES = {"shadowland": "shadowland", "pyenet": "enet", "aioquic": "aioquic"}
SIZES = {"goodput": 1000, "latency": 100}


class Program:
    """A program of ours that prints JSON lines."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"peers: {self.process.args!r} ended with exit code {self.process.wait()}")
        return line

    def read(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.line())
        return answer

    def ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class Line:
    """Server, relay, client of one peer at one loss."""

    def __init__(self, name: str, loss: float, rate: str, seed: int) -> None:
        self.name, self.loss = name, loss
        side = sys.executable, "-m", "benchmarks.peers_side", name
        self.server = Program(*side, "server")
        about = self.server.read()
        self.relay = Program(sys.executable, "-m", "server_app", "impair", "127.0.0.1:0", f"127.0.0.1:{about['port']}",
                             "--delay", "25ms", "--loss", str(loss), "--rate", rate, "--buffer", "100ms",
                             "--seed", str(seed))
        said = re.search(r" port (\d+) to ", self.relay.line())
        assert said is not None
        self.client = Program(*side, "client", said[1], about["key"])
        self.client.read()

    def measure(self, what: str, seconds: float) -> Row:
        pids = self.server.process.pid, self.client.process.pid
        self.server.ask("?")
        before = sum(map(cpu_s, pids))
        self.client.ask(f"{what} {seconds} {SIZES[what]}")
        spent = sum(map(cpu_s, pids)) - before
        if what == "goodput":
            got = self.server.ask("?")
            return {"mbit_s": got["bytes"] * 8 / seconds / 1e6, "cpu_us_per_message": spent * 1e6 / got["messages"]}
        time.sleep(1.0)                             # those that were lost at the end arrive too
        got = self.server.ask("?")
        return {"p50_ms": got["p50_ms"], "p99_ms": got["p99_ms"]}

    def end(self) -> None:
        for program in (self.client, self.relay, self.server):
            program.end()


def measured(name: str, loss: float, rate: str, rounds: int, seconds: float) -> Row:
    taken: dict[str, list[float]] = {}
    for number in range(rounds):
        for what in SIZES:                          # a connection for each: one must not wait behind the other
            line = Line(name, loss, rate, 1 + number)
            try:
                for key, value in line.measure(what, seconds).items():
                    taken.setdefault(key, []).append(value)
            finally:
                line.end()
    return {"peer": name, "loss": loss} | {key: median(values, 2) for key, values in taken.items()}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rate", default="8mbit", help="of the line, each way (default 8mbit)")
    parser.add_argument("--peers", default=",".join(MODULES), help="which of them (default all)")
    options = parser.parse_args()
    names = options.peers.split(",")
    if unknown := [name for name in names if name not in MODULES]:
        parser.error(f"there is no peer {unknown[0]!r}; the peers are {', '.join(MODULES)}")
    missing = [name for name in names if find_spec(MODULES[name]) is None]
    busy = Busyness()
    rows = [measured(name, loss, options.rate, options.rounds, options.seconds)
            for loss in LOSSES for name in names if name not in missing]
    notes = [f"{name} is not installed: make peers brings it" for name in missing]
    report("peers", rows, keys=["peer", "loss"], packages=["pyenet", "aioquic"], busy=busy, notes=notes,
           settings={"rounds": options.rounds, "seconds": options.seconds, "rate": options.rate, "delay_ms": 25},
           json_only=options.json)


if __name__ == "__main__":
    main()

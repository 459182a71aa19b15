"""Server CPU per echoed message: our encrypted endpoint beside the bare kernel, asyncio and uvloop, in one run.

    python -m benchmarks.echo [--json]

    clients (one process) ⇄ loopback ⇄ server (one process, pinned to another core where there are two)

Every client keeps one message under way (--in-flight: more). `cpu_us` is user and system time of the server's process
per message that came back; `ratio` is the median of its ratios to the bare echo of the same round and size. The bare
echo is a C program that does nothing but recvmmsg and sendmmsg; `batches` is our UdpSocket doing the same, unencrypted.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import harness
from shadowland._core.crypto import sodium
from shadowland._core.endpoint.endpoint import CIPHERS

HERE = Path(__file__).resolve().parent
SIZES = "64,1000"
SERVERS = ("bare", "batches", "endpoint", "asyncio", "uvloop")


@dataclass(frozen=True)
class Run:
    """One row: a server and a message size."""

    server: str
    size: int


@dataclass
class Bench:
    """Programs, cores and settings of this invocation."""

    bare: Path
    clients: int
    in_flight: int
    seconds: float
    suite: str
    rates: dict[Run, list[float]] = field(default_factory=dict)
    stalls: dict[Run, int] = field(default_factory=dict)

    def measure(self, run: Run) -> float:
        """Server CPU per message in microseconds, of a fresh server and fresh clients."""
        python = [sys.executable, "-m"]
        command = [str(self.bare)] if run.server == "bare" else [
            *python, "benchmarks.echo_server", run.server, self.suite]
        cores = sorted(os.sched_getaffinity(0))
        server = _start(command, cores[0])
        load = None
        try:
            hello = _answer(server, f"the {run.server} server")
            kind = "endpoint" if run.server == "endpoint" else "plain"
            words = [kind, hello["port"], hello.get("key", "-"), self.clients, run.size, self.in_flight]
            load = _start([*python, "benchmarks.echo_load", *map(str, words)], cores[-1])
            _answer(load, f"the clients of the {run.server} server")
            before = harness.cpu_s(server.pid)
            assert load.stdin is not None
            load.stdin.write(f"{self.seconds}\n")
            load.stdin.flush()
            result = _answer(load, f"the clients of the {run.server} server")
            spent = harness.cpu_s(server.pid) - before
        finally:
            for process in (load, server):
                if process is not None:
                    process.kill()
                    process.communicate()
        self.rates.setdefault(run, []).append(result["messages"] / result["seconds"])
        self.stalls[run] = self.stalls.get(run, 0) + result["stalls"]
        return float(spent / result["messages"] * 1e6)


def _start(command: list[str], core: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=harness.ROOT,
    )
    os.sched_setaffinity(process.pid, {core})       # long before its first message
    return process


def _answer(process: subprocess.Popen[str], who: str) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"echo: {who} ended with status {process.wait()} before it answered")
    return dict(json.loads(line))


def compile_bare(folder: str) -> Path:
    """The C echo, built with what builds the project."""
    program = Path(folder) / "echo_bare"
    compiler = os.environ.get("CC", "gcc")
    if shutil.which(compiler) is None:
        raise SystemExit(f"echo: no C compiler {compiler!r}; install gcc or name one in CC")
    subprocess.run([compiler, "-O2", "-Wall", "-Werror", "-o", program, HERE / "echo_bare.c"], check=True)
    return program


def parse() -> argparse.Namespace:
    parser = harness.arguments(__doc__)
    option = parser.add_argument
    option("--clients", type=int, default=256, help="clients, each with an address of its own (default 256)")
    option("--in-flight", type=int, default=1, help="messages under way per client (default 1)")
    option("--sizes", default=SIZES, help=f"bytes of a message, each measured (default {SIZES})")
    option("--servers", default=",".join(SERVERS), help=f"which ones to measure (default {','.join(SERVERS)})")
    option("--suite", default="auto", choices=CIPHERS, help="what the endpoint seals with (default auto)")
    return parser.parse_args()


def main() -> None:
    options = parse()
    asked = options.servers.split(",")
    if wrong := [server for server in asked if server not in SERVERS]:
        raise SystemExit(f"echo: no server {wrong[0]!r}; there are {', '.join(SERVERS)}")
    notes = []
    if "uvloop" in asked and importlib.util.find_spec("uvloop") is None:
        asked.remove("uvloop")
        notes.append("uvloop is not installed and was left out: pip install uvloop")
    runs = [Run(server, size) for size in map(int, options.sizes.split(",")) for server in asked]
    busy = harness.Busyness()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(compile_bare(folder), options.clients, options.in_flight, options.seconds,
                      options.suite)
        taken = dict(zip(runs, harness.in_turn(runs, options.rounds, bench.measure), strict=True))
    rows = []
    for run, values in taken.items():
        floor = taken.get(Run("bare", run.size))
        rows.append({
            "server": run.server, "size": run.size, "cpu_us": harness.median(values, 2),
            "lowest": round(min(values), 2), "highest": round(max(values), 2),
            "ratio": harness.median((a / b for a, b in zip(values, floor, strict=True)), 2) if floor else None,
            "messages_per_s": round(harness.median(bench.rates[run], 0)), "stalls": bench.stalls[run],
        })
    harness.report(
        "echo", rows, keys=["server", "size"], packages=["numpy", "pynacl", "uvloop"], busy=busy, notes=notes,
        settings={"clients": options.clients, "in_flight": options.in_flight, "rounds": options.rounds,
                  "seconds": options.seconds, "suite": options.suite,
                  "aes": sodium.has_aes()},
        json_only=options.json,
    )


if __name__ == "__main__":
    main()

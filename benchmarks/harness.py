"""What every benchmark shares: the machine it ran on, CPU time of another process, one table and one JSON line.

The JSON line is last on stdout; with --json it is alone there and the table goes to stderr. Rows are dicts; `keys`
names the fields that say what a row measured; all other numbers are results, which benchmarks/compare.py sets side by
side.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5                                      # medians of at least five, says the house: machines are noisy
Row = dict[str, Any]
Side = TypeVar("Side")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have: --json, --rounds, --seconds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = parser.add_argument
    option("--json", action="store_true", help="stdout carries the JSON line alone, the table goes to stderr")
    option("--rounds", type=int, default=ROUNDS, help=f"measurements of each row, medians shown (default {ROUNDS})")
    option("--seconds", type=float, default=1.0, help="how long each measurement lasts (default 1)")
    return parser


def commit() -> str:
    """Short name of the commit that runs; a plus sign if files differ from it, empty outside a repository."""
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine() -> Row:
    """Processor, cores that this process may use, kernel, Python."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


LOOPS = """
from Cython.Build import cythonize
from setuptools import Extension, setup
setup(name="{name}", ext_modules=cythonize(
    [Extension("{name}", ["benchmarks/{name}.pyx"], extra_compile_args=["-O3", "-g0"])],
    include_path=["build/cimport"], build_dir="build/benchmarks",
    compiler_directives={{"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True}}))
"""


def loops(name: str) -> ModuleType:
    """Build and import benchmarks/`name`.pyx, loops around kernels; needs `make build` before."""
    build = ROOT / "build" / "benchmarks"
    command = [sys.executable, "-c", LOOPS.format(name=name), "--quiet", "build_ext", f"--build-lib={build}",
               f"--build-temp={build}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    path = next(build.glob(f"{name}*.so"))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def versions(*packages: str) -> dict[str, str]:
    """Installed version of each package, "missing" where there is none."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def cpu_s(pid: int) -> float:
    """User and system CPU seconds of a process so far, all its threads, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)          # the CPU clock of another process: clock_getcpuclockid(3)


class Busyness:
    """How busy the machine was since this was made: what the hypervisor took (stolen), what was left (idle)."""

    def __init__(self) -> None:
        self._before = self._ticks()

    @staticmethod
    def _ticks() -> list[int]:
        return [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]

    def report(self) -> Row:
        """`stolen` and `idle` as shares of all CPU time, and the load averages of one and five minutes."""
        ticks = [after - before for after, before in zip(self._ticks(), self._before, strict=True)]
        total = sum(ticks) or 1
        load = os.getloadavg()
        return {
            "stolen": round(ticks[7] / total, 4), "idle": round(ticks[3] / total, 4),
            "load_1m": round(load[0], 2), "load_5m": round(load[1], 2),
        }


def in_turn(sides: Sequence[Side], rounds: int, measure: Callable[[Side], float]) -> list[list[float]]:
    """`rounds` measurements of each side, the sides in turn, so that a slow minute of the machine falls on all."""
    taken: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for values, side in zip(taken, sides, strict=True):
            values.append(measure(side))
    return taken


def median(values: Iterable[float], digits: int = 3) -> float:
    """The median, rounded for reading."""
    return round(statistics.median(values), digits)


def table(rows: Sequence[Row]) -> str:
    """Rows as aligned text; columns are the fields of all rows in order of appearance."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names] + [["" if row.get(name) is None else str(row[name]) for name in names] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    numeric = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    )


def report(
    name: str, rows: Sequence[Row], *, keys: Sequence[str], settings: Row, packages: Sequence[str] = (),
    busy: Busyness | None = None, notes: Sequence[str] = (), json_only: bool = False,
) -> None:
    """Print the table of `rows`, then everything as one JSON line."""
    about, state, now = machine(), busy.report() if busy else {}, commit()
    document = {
        "benchmark": name, "commit": now, "machine": about, "versions": versions("shadowland-net", *packages),
        "settings": settings, "busy": state, "notes": list(notes), "keys": list(keys), "rows": list(rows),
    }
    where = sys.stderr if json_only else sys.stdout
    print(f"{name} · {about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, Python {about['python']}, "
          f"commit {now or 'unknown'}", file=where)
    if state:
        print("machine: " + ", ".join(f"{key} {value}" for key, value in state.items()), file=where)
    print(table(rows), *notes, sep="\n", file=where, flush=True)
    print(json.dumps(document, separators=(",", ":")), flush=True)

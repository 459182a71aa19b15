"""make fuzz: coverage-guided fuzzing of everything that reads a peer's bytes, under sanitizers.

    python -m tests.fuzz [--targets acks,server] [--seconds 20] [--runs 0] [--keep] [--json]

Each target runs for so many seconds, or so many executions if --runs is given. It starts from tests/fuzz/corpus, what
it finds beyond stands in build/fuzz/corpus and is where the next run goes on; --keep puts the smallest set of inputs
that reach as much back into tests/fuzz/corpus, where `make test` replays it. An input that breaks something is kept in
build/fuzz/broken and named; the exit status is 1 then.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz.build import BUILD, ROOT, NoCompiler, build, clang, shared_runtime
from tests.fuzz.targets import TARGETS, read_corpus, write_corpus

FOUND, BROKEN = ROOT / BUILD / "corpus", ROOT / BUILD / "broken"
OPTIONS = "detect_leaks=0:abort_on_error=1:handle_abort=1:allocator_may_return_null=1:detect_stack_use_after_return=0"
Row = dict[str, Any]


def environment(compiler: str) -> dict[str, str]:
    return os.environ | {
        "LD_PRELOAD": str(shared_runtime(compiler)), "ASAN_OPTIONS": OPTIONS, "PYTHONMALLOC": "malloc",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }


def start(compiler: str, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tests.fuzz.child", name, *arguments], cwd=ROOT, text=True,
                          env=environment(compiler), capture_output=True, errors="replace")


def fuzz(compiler: str, name: str, seconds: int, runs: int) -> Row:
    """One row of the table."""
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    BROKEN.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(read_corpus(name)):
        (found / f"kept-{i}").write_bytes(data)
    bound = f"-runs={runs}" if runs else f"-max_total_time={seconds}"
    before, started = set(BROKEN.iterdir()), time.monotonic()
    done = start(compiler, name, bound, f"-max_len={TARGETS[name].longest}", "-print_final_stats=1", "-timeout=20",
                 "-rss_limit_mb=4096", f"-artifact_prefix={BROKEN}/{name}-", str(found))
    spent = time.monotonic() - started
    executions = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    coverage = re.findall(r" cov: (\d+) ", done.stderr)
    row: Row = {
        "target": name, "executions": int(executions[1]) if executions else 0, "seconds": round(spent, 1),
        "per_second": 0, "edges": int(coverage[-1]) if coverage else 0, "inputs": len(list(found.iterdir())),
        "broken": "",
    }
    row["per_second"] = round(row["executions"] / spent)
    new = sorted(set(BROKEN.iterdir()) - before)
    if done.returncode or new:
        row["broken"] = reason(done.stderr)
        print(f"{name}: {row['broken']}", *(f"  input: {path}" for path in new), done.stderr[-6000:],
              sep="\n", file=sys.stderr)
    return row


def reason(log: str) -> str:
    for pattern in (r"BROKEN: (.*)", r"runtime error: (.*)", r"SUMMARY: (.*)", r"^\w*Error: (.*)$"):
        match = re.search(pattern, log, re.MULTILINE)
        if match:
            return match[1].strip()
    return "ended with an error"


def keep(compiler: str, name: str) -> int:
    """Put the smallest set of inputs that reaches what all reach into the corpus of the project."""
    with tempfile.TemporaryDirectory() as goal:
        done = start(compiler, name, "-merge=1", f"-max_len={TARGETS[name].longest}", goal, str(FOUND / name))
        if done.returncode:
            print(done.stderr[-3000:], file=sys.stderr)
        else:
            write_corpus(name, [path.read_bytes() for path in Path(goal).iterdir()])
    return done.returncode


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", default=",".join(TARGETS), help="some of: " + ", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=20, help="of each target (default 20)")
    parser.add_argument("--runs", type=int, default=0, help="executions of each target, in place of seconds")
    parser.add_argument("--keep", action="store_true", help="add what was found to tests/fuzz/corpus")
    parser.add_argument("--json", action="store_true", help="stdout carries the JSON line alone")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    names = options.targets.split(",")
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        print(f"there is no target {', '.join(unknown)}; there are: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    try:
        compiler = clang()
    except NoCompiler as error:
        print(error, file=sys.stderr)
        return 2
    for module in dict.fromkeys(TARGETS[name].module for name in names):
        build(module, compiler)
    out = sys.stderr if options.json else sys.stdout
    rows = []
    print(f"{'target':14} {'executions':>11} {'seconds':>8} {'per second':>11} {'edges':>6} {'inputs':>7}  broken",
          file=out)
    for name in names:
        row = fuzz(compiler, name, options.seconds, options.runs)
        rows.append(row)
        print(f"{name:14} {row['executions']:11,} {row['seconds']:8} {row['per_second']:11,} {row['edges']:6} "
              f"{row['inputs']:7}  {row['broken'] or '-'}", file=out, flush=True)
        if options.keep and not row["broken"] and keep(compiler, name):
            return 1
    total = sum(row["executions"] for row in rows)
    broken = [row["target"] for row in rows if row["broken"]]
    print(f"{total:,} executions, {len(broken)} of {len(rows)} targets broken", file=out)
    print(json.dumps({"program": "fuzz", "compiler": compiler, "executions": total, "broken": broken, "rows": rows}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

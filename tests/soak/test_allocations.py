"""Invariant: once it runs, an endpoint allocates nothing: no Python object and no block of the C allocator."""
import gc
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.traffic import Traffic

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def test_the_number_of_python_blocks_stays_flat_over_more_than_a_thousand_ticks() -> None:
    traffic = Traffic()
    for _ in range(300):
        traffic.tick()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(1500):
        traffic.tick()
    gc.collect()
    assert sys.getallocatedblocks() - before <= 50
    assert traffic.server.live == 20


def test_what_waits_is_what_is_in_flight_and_not_more_and_more() -> None:
    traffic = Traffic(lose=41)              # at one in seven the rate carries less than is said, and that waits
    for _ in range(1800):
        traffic.tick()
    assert traffic.server.live == 20
    assert traffic.server.counters["blocks_used"] < 20 * 10


def test_the_batches_never_call_the_allocator(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path / "count_malloc.so"
    subprocess.run([compiler, "-O1", "-fno-builtin", "-shared", "-fPIC", "-o", str(library),
                    str(HERE / "count_malloc.c")], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "tests.soak.traffic"], cwd=ROOT, env=environment, check=True,
                          capture_output=True, text=True)
    counted = json.loads(done.stdout)
    assert counted["probe"] > 0, "the counter counts nothing"
    assert counted["datagrams"] > 20_000
    assert counted["inside"] == 0

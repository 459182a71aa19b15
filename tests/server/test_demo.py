"""Invariant: the demo, end to end over real UDP: nobody is lost, every view is right, and the result says so."""
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server_app.demo.deeds import Deeds
from server_app.report import BotsReport, DemoReport
from shadowland._core.crypto import sodium

ROOT = Path(__file__).parents[2]
BEST = "AEGIS-128L" if sodium.has_aes() else "ChaCha20-Poly1305"
DOCUMENT = ROOT / "docs/demo.md"
DEMO = [sys.executable, "-m", "server_app", "demo", "--bots", "20", "--hz", "30", "--port", "0", "--json"]


def result(stdout: str) -> dict[str, Any]:
    lines = stdout.splitlines()
    assert len(lines) == 1, "all else goes to stderr"
    found: dict[str, Any] = json.loads(lines[0])
    assert tuple(found) == DemoReport.__struct_fields__
    return found


def keys_of(heading: str) -> list[str]:
    text = DOCUMENT.read_text().split(heading)[1].split("\n## ")[0]
    first_cells = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    return [key for cell in first_cells for key in re.findall(r"`(\w+)`", cell)]


def test_twenty_bots_walk_for_three_seconds() -> None:
    done = subprocess.run([*DEMO, "--duration", "3"], cwd=ROOT, text=True, capture_output=True, timeout=120)
    found = result(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (found["sessions"], found["lost_bots"], found["view_mismatches"]) == (20, 0, 0)
    assert found["ticks"] == 90 and found["budget_ms"] == 33.333
    assert 0 < found["tick_ms"]["p50"] <= found["tick_ms"]["p99"] <= found["tick_ms"]["max"]
    assert found["packets_out"] >= 20 * found["ticks"] and found["bytes_out"] > 30 * found["packets_out"]
    assert 0 < found["bytes_per_record"] < 30 and 0 < found["bytes_per_visible_entity"] < 10
    assert 0.5 < found["saving_vs_full_state"] < 1
    assert found["rtt_ms"]["p50"] > 0
    assert tuple(found["deeds"]) == Deeds.__struct_fields__ and min(found["deeds"].values()) >= 0
    assert found["deeds"]["bolts"] and found["deeds"]["bolt_hits"] and found["deeds"]["standings"]
    assert re.search(r"in reach and hidden, 0 of them seen", done.stderr)
    assert found["deeds"]["shots"] and found["deeds"]["chats"] and found["deeds"]["heard"] >= found["deeds"]["chats"]
    assert found["server_cpu_us_per_player_tick"] > 0 and found["bot_cpu_us_per_tick"] > 0
    assert found["allocated_blocks"]["before"] > 0 and found["cipher"] == BEST
    compared = re.search(r"views +([\d,]+) entities in views compared", done.stderr)
    assert compared is not None and int(compared[1].replace(",", "")) > 20 * 90         # the truth was looked at
    assert re.search(r"^ +\d+ s +20 sessions .* packets/s", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(("number", "when"), [
    (signal.SIGINT, " 20 sessions"), (signal.SIGTERM, " 20 sessions"), (signal.SIGTERM, " 0 sessions"),
])
def test_a_signal_ends_it_early_with_the_report_and_zero(number: signal.Signals, when: str) -> None:
    process = subprocess.Popen([*DEMO, "--duration", "600"], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if when in line:
                break
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
        found = result(stdout)
        assert process.returncode == 0, stderr
        assert found["lost_bots"] == 0 and "ended early" in stderr
        assert found["sessions"] == 20 or when == " 0 sessions"
    finally:
        process.kill()
        process.wait()


LIAR = """
from server_app.demo import run
from server_app.demo.schema import Npc

class Liar(run.TruthWriter):
    def __init__(self, path, world):
        super().__init__(path, world)
        self.npcs = world[Npc]

    def write(self, tick):
        self.npcs.position[0, 0] += 1.0
        super().write(tick)
        self.npcs.position[0, 0] -= 1.0

run.TruthWriter = Liar
from server_app.cli import main
main()
"""


def test_a_view_that_differs_from_the_truth_makes_the_exit_code_one() -> None:
    done = subprocess.run([sys.executable, "-c", LIAR, *DEMO[3:], "--duration", "3"], cwd=ROOT, text=True,
                          capture_output=True, timeout=120)
    found = result(done.stdout)
    assert done.returncode == 1, done.stderr
    # One NPC is wrong in the views that have it, for the whole time: once each.
    assert found["lost_bots"] == 0 and 0 < found["view_mismatches"] <= 60


def test_a_lost_bot_makes_the_exit_code_one() -> None:
    process = subprocess.Popen([*DEMO, "--duration", "4"], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if " 20 sessions" in line:
                break
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 1, stderr
        assert result(stdout)["lost_bots"] == 20 and "ended without a report" in stderr
    finally:
        process.kill()
        process.wait()


def test_the_document_lists_exactly_the_keys() -> None:
    assert keys_of("## The result") == list(DemoReport.__struct_fields__)
    assert keys_of("## Bots alone") == list(BotsReport.__struct_fields__)


@pytest.mark.parametrize(("report", "code"), [
    (DemoReport(), 0), (DemoReport(lost_bots=1), 1), (DemoReport(view_mismatches=1), 1),
    (BotsReport(), 0), (BotsReport(lost_bots=1), 1), (BotsReport(view_mismatches=1), 1),
])
def test_exit_codes(report: DemoReport | BotsReport, code: int) -> None:
    assert report.exit_code == code

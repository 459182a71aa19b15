"""The attacks that need no flood run with the tests; the others are for `make attack`."""
import json
import subprocess
import sys

import pytest

from tests.attack.rig import ROOT


def play(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "tests.attack", *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["amplification", "replay_and_tampering", "spoofed_close", "forged_blame"])
def test_what_is_promised_holds_against(name: str) -> None:
    done = play(name, "--seconds", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[0])["held"]
    assert json.loads(done.stdout.splitlines()[-1])["failed"] == []


@pytest.mark.parametrize("words", [["no_such_attack"], ["hello_flood", "--seconds", "1"], ["--seconds", "nan"]])
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str]) -> None:
    done = play(*words)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "the attacks are" in done.stderr

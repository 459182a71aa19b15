"""The cheats of tests/cheats in small: what honest players see keeps to the rules, and a lax server is found out."""
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def play(*words: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.cheats", "--cheats", "54", "--honest", "10", "--forgers", "6", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    row: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, row


def test_position_rotation_actions_cheats_change_nothing_that_honest_players_see() -> None:
    code, row = play("--seconds", "4")
    assert code == 0 and row["held"], row
    assert row["seen"] > 1000 and row["strikes_seen"] > 20
    assert set(row["broken"].values()) == {0} and row["honest_corrections"] == 0
    cheats = row["by_cheat"]
    assert min(cheats[cheat]["score"] for cheat in ("speed", "teleport", "fly", "turn", "spam", "ahead")) \
        > row["honest_highest_score"] + 1
    assert all(one["tried"] > 0 for one in cheats.values())
    assert cheats["replay"]["found"] == {}                  # no old input came as far as the game


def test_a_server_that_believes_everything_is_found_out() -> None:
    code, row = play("--seconds", "3", "--lax")
    assert code == 1 and not row["held"]
    seen = {what for what, count in row["broken"].items() if count}
    assert seen >= {"speed", "jump", "wall", "fly", "turn", "cooldown", "range", "sight", "stunned", "resources",
                    "rewind"}, row

"""Scores: what adds to them, what takes from them, what follows and when; rules from a file."""
import enum
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shadowland.authority import Conduct, Outcome, Rules, Scores, Verdict
from shadowland.errors import ConfigError

SECOND = 1_000_000


class Flags(enum.IntFlag):
    STUNNED = 1
    DEAD = 8


def moves(scores: Scores, *verdicts: int, slot: int = 0, now_us: int = SECOND) -> float:
    scores.moves([slot] * len(verdicts), np.array(verdicts, np.uint16), now_us)
    return float(scores.scores[slot])


def test_points_add_up_and_time_takes_them() -> None:
    scores = Scores(Conduct(), capacity=2)
    assert moves(scores, Verdict.FAST, Verdict.FAST | Verdict.GAP, Verdict.BAD) == 12.0
    assert moves(scores, Verdict.FAST, now_us=6 * SECOND) == 8.0
    assert moves(scores, Verdict.FAST, now_us=1000 * SECOND) == 1.0
    scores.actions([1], np.array([Outcome.UNKNOWN], np.uint8), SECOND)
    scores.add([1, 1], [2.0, 3.0], SECOND)
    assert scores.scores.tolist() == [1.0, 10.0]
    scores.reset(1)
    assert scores.scores.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("verdict", [
    0, Verdict.LATE, Verdict.LATE | Verdict.HURRIED, Verdict.ADRIFT, Verdict.GAP, Verdict.BLOCKED, Verdict.OUTSIDE,
    Verdict.OLD, Verdict.ADRIFT | Verdict.AIRBORNE | Verdict.BLOCKED,
])
def test_honest_lag_is_no_fault(verdict: int) -> None:
    assert moves(Scores(Conduct(), capacity=1), verdict) == 0.0


@pytest.mark.parametrize("verdict", [
    Verdict.BAD, Verdict.LONG, Verdict.HURRIED, Verdict.FAST, Verdict.ACCELERATED, Verdict.TELEPORTED, Verdict.TURNED,
    Verdict.AIRBORNE,
])
def test_each_fault_counts(verdict: int) -> None:
    assert moves(Scores(Conduct(), capacity=1), verdict) > 0


def test_walls_count_where_a_client_must_know_them() -> None:
    scores = Scores(Conduct(moves={"blocked": 2}), capacity=1)
    assert moves(scores, Verdict.BLOCKED, Verdict.BLOCKED | Verdict.GAP, Verdict.BLOCKED | Verdict.ADRIFT) == 2.0


@pytest.mark.parametrize(("values", "words"), [
    ({"moves": {"fats": 1}}, "moves has no 'fats'; there are bad, long"), ({"moves": {"fast": -1}}, "moves.fast is -1"),
    ({"actions": {"range": math.nan}}, "actions.range is nan"), ({"actions": 3}, "actions is 3"),
    ({"warn": -1}, "warn is -1"),
    ({"warn": 50, "kick": 50}, "kick is 50, not above warn"),
    ({"kick": 0, "warn": 50, "ban": 20}, "ban is 20, not above"),
    ({"forgiven_per_s": 0}, "forgiven_per_s is 0"), ({"ban_s": math.inf}, "ban_s is inf"),
])
def test_a_conduct_out_of_range_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"Conduct: {words}"):
        Conduct(**values)


RULES = """
[movement.walk]
speed = 5.0
step_height = 0.4
[movement.horse]
speed = 12
[action.bolt]
cooldown_ms = 1500
range = 20
cost = { mana = 10 }
forbidden = ["STUNNED", "DEAD"]
[conduct]
moves = { fast = 2 }
kick = 60
"""


def test_rules_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    rules = Rules.load(path, Flags)
    assert rules.movements["walk"].step_height == 0.4 and rules.movements["horse"].speed == 12
    assert rules.actions["bolt"].cost == {"mana": 10} and rules.actions["bolt"].forbidden == 9
    assert (rules.conduct.moves, rules.conduct.kick) == ({"fast": 2}, 60)


@pytest.mark.parametrize(("text", "words"), [
    ("[movement.walk]\nspede = 5", r"\[movement.walk\]: there is no key 'spede'; the keys are speed"),
    ("[movement.walk]\nspeed = nan", r"\[movement.walk\]: speed is nan; it must be 0 to 100,000"),
    ("[movement.walk]", "speed is missing"), ("[movement]\nwalk = 5", "no table of tables"),
    ("[action.a]\nforbidden = ['ASLEEP']", r"\[action.a\]: forbidden is \['ASLEEP'\]; give a list of STUNNED, DEAD"),
    ("[action.a]\ncharges = 0", r"\[action.a\]: charges is 0"), ("[conduct]\nkick = -1", r"\[conduct\]: kick is -1"),
    ("[conducts]", "no table 'conducts'"), ("conduct = 3", "is no table"), ("[x", "correct the TOML"),
])
def test_a_mistake_in_the_file_names_table_key_value_and_range(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"rules {path}.*{words}"):
        Rules.load(path, Flags)

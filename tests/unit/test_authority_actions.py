"""Action validation, rule by rule: cooldown, charges, range, sight, resources, state; the boundaries as documented."""
import math
from typing import Any

import numpy as np
import pytest

from shadowland.authority import Action, Actions, Map, Outcome
from shadowland.errors import ConfigError, UsageError

STUNNED, DEAD, ARMED = 1, 2, 4
MS = 1000


class Caster:
    def __init__(self, map: Map | None = None, mana: int = 100, **rule: Any) -> None:
        self.actions = Actions({"bolt": Action(**rule)}, capacity=2, map=map)
        self.mana, self.now = np.array([mana, mana]), 1000 * MS

    def cast(self, *target: float, later_ms: float = 0, flags: int = 0, kind: int = 0, slot: int = 0) -> Outcome:
        self.now += round(later_ms * MS)
        found = self.actions.run([kind], slots=[slot], times_us=[self.now], sources=[(0.0, 0.0)],
                                 targets=[target or (0.0, 0.0)], flags=flags, rows=[slot],
                                 resources={"mana": self.mana})
        return Outcome(int(found[0]))


def test_action_validation_cooldown() -> None:
    one = Caster(cooldown_ms=500)
    assert [one.cast(), one.cast(later_ms=499.999), one.cast(later_ms=0.001), one.cast()] == [
        Outcome.DONE, Outcome.COOLDOWN, Outcome.DONE, Outcome.COOLDOWN]
    assert one.cast(slot=1) == Outcome.DONE                     # each session has its own
    one.actions.reset(0)
    assert one.cast() == Outcome.DONE


def test_spam_does_not_put_the_cooldown_off_nor_shorten_it() -> None:
    one = Caster(cooldown_ms=500, cost={"mana": 1})
    done = [one.cast(later_ms=1) for _ in range(10_000)].count(Outcome.DONE)
    assert done == 20 and one.mana.tolist() == [80, 100]


def test_action_validation_charges() -> None:
    one = Caster(cooldown_ms=100, charges=3)
    assert [one.cast() for _ in range(4)] == [Outcome.DONE] * 3 + [Outcome.COOLDOWN]
    assert [one.cast(later_ms=100), one.cast()] == [Outcome.DONE, Outcome.COOLDOWN]
    assert [one.cast(later_ms=100_000), *(one.cast() for _ in range(3))] == [Outcome.DONE] * 3 + [Outcome.COOLDOWN]


def test_grace_takes_jitter_and_makes_nobody_faster() -> None:
    one = Caster(cooldown_ms=100, grace_ms=30)
    assert [one.cast(), one.cast(later_ms=70), one.cast(later_ms=70)] == [Outcome.DONE, Outcome.DONE, Outcome.COOLDOWN]
    assert sum(one.cast(later_ms=1) == Outcome.DONE for _ in range(10_000)) <= 101


def test_action_validation_range() -> None:
    one = Caster(range=5.0)
    assert [one.cast(3.0, 4.0), one.cast(math.nextafter(5.0, 6), 0.0), one.cast(99.0, 0.0)] == [
        Outcome.DONE, Outcome.RANGE, Outcome.RANGE]
    assert Caster().cast(9e5, 0.0) == Outcome.DONE


def test_action_validation_line_of_sight() -> None:
    town = Map(low=(-0.5, -0.5), blocked=[[0, 2, 0], [0, 0, 0], [0, 0, 0]], opaque=2)
    one = Caster(town, needs_sight=True)
    assert [one.cast(2.0, 0.0), one.cast(0.0, 2.0), one.cast(1.0, 0.0)] == [Outcome.SIGHT, Outcome.DONE, Outcome.DONE]
    hill = Map(low=(-0.5, -0.5), heights=[[0.0, 3.0, 0.0, 3.0]])
    assert Caster(hill, needs_sight=True).cast(2.0, 0.0) == Outcome.SIGHT
    assert Caster(hill, needs_sight=True, eye=4.0).cast(2.0, 0.0) == Outcome.DONE


def test_action_validation_resources() -> None:
    one = Caster(mana=20, cost={"mana": 10})
    assert [one.cast(), one.cast(), one.cast()] == [Outcome.DONE, Outcome.DONE, Outcome.RESOURCES]
    assert one.mana.tolist() == [0, 20]
    twice = one.actions.run([0, 0, 0], slots=[1, 1, 1], times_us=[1, 1, 1], sources=np.zeros((3, 2)),
                            targets=np.zeros((3, 2)), rows=1, resources={"mana": one.mana})
    assert twice.tolist() == [0, 0, Outcome.RESOURCES] and one.mana.tolist() == [0, 0]


def test_action_validation_state_such_as_stunned() -> None:
    one = Caster(forbidden=STUNNED | DEAD, needed=ARMED)
    assert [one.cast(flags=flags) for flags in (0, ARMED, ARMED | STUNNED, ARMED | DEAD, 0xFFFFFFFF)] == [
        Outcome.STATE, Outcome.DONE, Outcome.STATE, Outcome.STATE, Outcome.STATE]


def test_an_action_that_fails_costs_nothing() -> None:
    one = Caster(cooldown_ms=500, cost={"mana": 10}, range=1.0, forbidden=STUNNED)
    assert [one.cast(9.0, 0.0), one.cast(flags=STUNNED), one.cast(math.nan, 0.0), one.cast(kind=7)] == [
        Outcome.RANGE, Outcome.STATE, Outcome.BAD, Outcome.UNKNOWN]
    assert one.mana.tolist() == [100, 100] and one.cast() == Outcome.DONE and one.mana.tolist() == [90, 100]


@pytest.mark.parametrize("kind", [-1, 1, 255, 256, 1 << 31, (1 << 32) - 1])
def test_an_action_that_is_not_there_is_unknown(kind: int) -> None:
    assert Caster().cast(kind=kind) == Outcome.UNKNOWN


def test_with_256_actions_the_last_is_done_and_none_beyond() -> None:
    actions = Actions({str(i): Action(cooldown_ms=i) for i in range(256)}, capacity=1)
    here = np.zeros((3, 2))
    got = actions.run([255, 256, -1], slots=[0] * 3, times_us=[1] * 3, sources=here, targets=here)
    assert got.tolist() == [Outcome.DONE, Outcome.UNKNOWN, Outcome.UNKNOWN]
    assert actions.number("255") == 255


@pytest.mark.parametrize(("name", "value"), [
    ("cooldown_ms", -1), ("cooldown_ms", math.nan), ("charges", 0), ("charges", 1.5), ("range", -1.0),
    ("range", math.nan), ("cost", {"mana": -1}), ("cost", 3), ("forbidden", 1 << 32), ("needs_sight", 1), ("eye", 101),
])
def test_a_rule_out_of_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"Action: {name} is"):
        Action(**{name: value})


def test_mistakes_of_the_caller_are_told() -> None:
    actions = Actions({"a": Action(cost={"mana": 1})}, capacity=1)
    here: dict[str, Any] = {"slots": [0], "times_us": [1], "sources": [(0, 0)], "targets": [(0, 0)]}
    with pytest.raises(UsageError, match="actions cost 'mana'; give resources="):
        actions.run([0], **here)
    with pytest.raises(IndexError, match="no slot 0 or row 5"):
        actions.run([0], rows=5, resources={"mana": np.ones(5, np.int64)}, **here)
    with pytest.raises(IndexError, match="no slot 1"):
        actions.run([0], resources={"mana": np.ones(5, np.int64)}, **here | {"slots": [1]})
    with pytest.raises(ConfigError, match="b costs 'gold'; the resources are mana"):
        Actions({"b": Action(cost={"gold": 1})}, capacity=1, resources=["mana"])
    with pytest.raises(UsageError, match="no action 'c'; there are a"):
        actions.number("c")

"""Invariant: the compiled actions are judged and paid for as the slow model does it; what fails changes nothing."""
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland.authority import Action, Actions, Outcome
from tests.parity.test_authority import both, grids, heights, places
from tests.reference import authority_actions as model

rules = st.builds(
    model.ActionRule, cooldown_us=st.sampled_from([0, 1000, 50_000]), grace_us=st.sampled_from([0, 0, 700]),
    charges=st.integers(1, 3), range=st.sampled_from([None, 0.0, 1.0, 3.0]), needs_sight=st.booleans(),
    eye=st.sampled_from([0.0, 0.6]), cost=st.sampled_from([0, 3, 10]), forbidden=st.sampled_from([0, 0, 5]),
    needed=st.sampled_from([0, 0, 2]))
uses = st.tuples(st.integers(0, 3), st.integers(0, 1), st.sampled_from([0, 1, 300, 1000, 49_000, 50_000, -500]),
                 st.integers(0, 7), places, places, st.integers(0, 1), st.sampled_from([None] * 9 + [math.nan, 2e6]))


@settings(max_examples=300)
@given(st.lists(rules, min_size=3, max_size=3), grids | st.none(), heights | st.none(), st.booleans(),
       st.lists(uses, min_size=1, max_size=20), st.lists(st.integers(0, 25), min_size=2, max_size=2))
def test_actions_are_judged_as_the_slow_model_judges_them(
        kinds: list[model.ActionRule], cells: list[list[int]] | None, ground: list[list[float]] | None, flat: bool,
        script: list[tuple[int, int, int, int, tuple[float, ...], tuple[float, ...], int, float | None]],
        purse: list[int]) -> None:
    area, slow_area = both(cells, ground)
    slow = model.Actions(slow_area, kinds, list(purse))
    fast = Actions({str(i): Action(cooldown_ms=rule.cooldown_us / 1000, grace_ms=rule.grace_us / 1000,
                                   charges=rule.charges, range=rule.range, needs_sight=rule.needs_sight, eye=rule.eye,
                                   cost={"mana": rule.cost}, forbidden=rule.forbidden, needed=rule.needed)
                    for i, rule in enumerate(kinds)}, capacity=2, map=area)
    mana, now, lanes = np.array(purse), 1_000_000, 2 if flat else 3
    columns: list[list[Any]] = [[] for _ in range(7)]
    expected = []
    for kind, slot, later, flags, source, target, row, odd in script:
        now += later
        one, other = list(source[:lanes]), list(target[:lanes])
        if odd is not None:
            other[0] = odd
        expected.append(slow.do(kind, slot, now, flags, one, other, row))
        for column, value in zip(columns, (kind, slot, now, flags, one, other, row), strict=True):
            column.append(value)
    numbers, slots, times, bits, sources, targets, rows = columns
    results = fast.run(numbers, slots=slots, times_us=times, flags=bits, sources=sources, targets=targets, rows=rows,
                       resources={"mana": mana})
    assert [Outcome(int(result)).name for result in results] == [Outcome(one).name for one in expected]
    assert mana.tolist() == slow.purse and (mana >= 0).all()


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_outcomes_are_those_of_the_slow_model(outcome: Outcome) -> None:
    assert outcome == getattr(model, "BAD_PLACE" if outcome is Outcome.BAD else outcome.name)

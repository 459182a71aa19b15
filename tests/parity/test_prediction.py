"""Predictions in columns do what the slow model does for each avatar, whatever comes, in whatever order."""
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shadowland.prediction import Predictions
from tests.reference import prediction as model

BOUND = 6.0
REMEMBERED = 5
BITS = 8
AVATARS = 3

avatars = st.integers(0, AVATARS - 1)
directions = st.tuples(st.integers(-3, 3), st.integers(-3, 3))
truths = st.tuples(avatars, st.integers(-9, 2), directions, st.integers(0, 40))
actions = st.one_of(
    st.tuples(st.just("predict"), st.sets(avatars, min_size=1), directions),
    st.tuples(st.just("correct"), st.lists(truths, min_size=1, max_size=4), st.booleans()),
)


def walk(states: NDArray[np.float64], inputs: NDArray[np.float64], dt: float) -> NDArray[np.float64]:
    """The edge of the world makes the order of inputs matter."""
    return np.clip(states + inputs * dt, -BOUND, BOUND)


def slow_walk(state: model.State, given: model.State) -> model.State:
    return tuple(min(max(a + b, -BOUND), BOUND) for a, b in zip(state, given, strict=True))


def expected(slow: list[model.Prediction], truths: list[tuple[int, int, tuple[int, int], int]],
             ticked: bool) -> list[bool]:
    """Of several states of one avatar in a batch only the newest is looked at; the others are as good as late."""
    results = [False] * len(truths)
    for who, one in enumerate(slow):
        mine = [(i, one.newest + ahead, tuple(map(float, place)), tick)
                for i, (avatar, ahead, place, tick) in enumerate(truths) if avatar == who]
        one.refused += sum(number > one.newest for _, number, _, _ in mine)
        fits = [row for row in mine if row[1] <= one.newest and row[1] >= one.settled
                and (row[3] > one.tick if ticked else row[1] > one.settled)]
        one.stale += sum(row[1] <= one.newest for row in mine) - len(fits[:1])
        if fits:
            last = max(fits, key=lambda row: (row[3] if ticked else row[1], row[0]))
            results[last[0]] = one.correct(last[1] % (1 << BITS), last[2], last[3] if ticked else None)
    return results


@settings(max_examples=300)
@given(st.lists(actions, max_size=60), st.sampled_from([0.0, 1.0]), st.sampled_from([0, 250, 65530]))
def test_every_avatar_ends_where_the_slow_model_has_it(script: list[tuple[object, ...]], tolerance: float,
                                                       first: int) -> None:
    fast = Predictions(walk, AVATARS, state=2, inputs=2, dt=1.0, remembered=REMEMBERED, tolerance=tolerance, bits=BITS)
    slow = [model.Prediction(slow_walk, (0.0, 0.0), REMEMBERED, BITS, tolerance) for _ in range(AVATARS)]
    fast.place(range(AVATARS), (0, 0), first)
    for one in slow:
        one.newest = one.settled = first
        one.after = {first: (0.0, 0.0)}
    for action in script:
        match action:
            case ("predict", set(chosen), tuple(direction)):
                fast.predict(sorted(chosen), direction)
                for who in chosen:
                    slow[who].predict(tuple(map(float, direction)))
            case ("correct", list(batch), bool(ticked)):
                wrong = fast.correct([row[0] for row in batch],
                                     [(slow[row[0]].newest + row[1]) % (1 << BITS) for row in batch],
                                     [row[2] for row in batch], [row[3] for row in batch] if ticked else None)
                assert wrong.tolist() == expected(slow, batch, ticked)
        assert fast.states.tolist() == [list(one.state) for one in slow]
        assert fast.newest.tolist() == [one.newest for one in slow]
        assert fast.settled.tolist() == [one.settled for one in slow]
        for name in ("corrections", "stale", "refused", "overrun"):
            assert getattr(fast, name).tolist() == [getattr(one, name) for one in slow], name

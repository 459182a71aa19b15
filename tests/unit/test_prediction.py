"""Prediction and reconciliation: rows of the issue, limits, and what a person can get wrong."""
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from shadowland.errors import ConfigError, UsageError
from shadowland.prediction import Prediction, Predictions

DT = 1 / 60


def walk(states: NDArray[np.float64], inputs: NDArray[np.float64], dt: float) -> NDArray[np.float64]:
    return np.clip(states + 6.0 * inputs * dt, -100, 100)


def made(**options: float) -> Prediction:
    return Prediction(walk, (0.0, 0.0), inputs=2, dt=DT, **options)  # type: ignore[arg-type]


def test_an_input_is_applied_at_once_and_the_numbers_are_those_of_the_session() -> None:
    me = made()
    assert [me.predict((1, 0)) for _ in range(3)] == [1, 2, 3]
    assert me.state == pytest.approx((0.3, 0.0)) and me.pending == 3


def test_a_state_that_agrees_settles_inputs_and_is_no_correction() -> None:
    me = made()
    for _ in range(5):
        me.predict((1, 0))
    assert not me.correct((0.1 + 0.1 + 0.1, 0.0), 3)
    assert me.pending == 2 and me.counters["corrections"] == 0 and me.state == pytest.approx((0.5, 0.0))


def test_a_correction_replays_what_the_server_has_not_consumed() -> None:
    me = made()
    for _ in range(5):
        me.predict((1, 0))
    assert me.correct((10.0, 3.0), 3)
    assert me.state == pytest.approx((10.2, 3.0)) and me.pending == 2 and me.counters["corrections"] == 1
    assert not me.correct(np.array((10.1, 3.0)), 4)     # from what was replayed, no correction follows


def test_late_duplicate_and_reordered_states_change_nothing() -> None:
    me = made()
    for _ in range(6):
        me.predict((1, 0))
    me.correct((1.0, 1.0), 4)
    before = me.state
    for number in (4, 3, 1, 0):
        assert not me.correct((50.0, 50.0), number)
    assert (me.state == before).all() and me.counters["stale"] == 4


def test_a_newer_tick_counts_where_no_input_was_consumed_since() -> None:
    me = made()
    me.predict((1, 0))
    assert not me.correct((0.1, 0.0), 1, tick=10)
    assert me.correct((0.1, 5.0), 1, tick=11)           # somebody pushed it
    assert not me.correct((0.1, 9.0), 1, tick=11) and not me.correct((0.1, 9.0), 1, tick=10)
    assert me.state == pytest.approx((0.1, 5.0))


def test_numbers_wrap() -> None:
    for bits in (16, 31, 32):
        all_of_them = Predictions(walk, 1, state=2, inputs=2, dt=DT, bits=bits)
        all_of_them.place(0, (0, 0), (1 << bits) - 2)
        for _ in range(5):
            all_of_them.predict(0, (1, 0))
        assert all_of_them.correct(0, 1, (7.0, 0.0)).all()              # three after the last but one
        assert all_of_them.pending.tolist() == [2] and all_of_them.states[0, 0] == pytest.approx(7.2)
        assert not all_of_them.correct(0, (1 << bits) - 1, (9.0, 0.0)).any() and all_of_them.stale.tolist() == [1]


def test_the_number_of_an_input_that_was_not_made_and_a_state_that_is_no_number_are_refused() -> None:
    me = made()
    me.predict((1, 0))
    for state, number in (((9.0, 9.0), 2), ((9.0, 9.0), 2**31), ((float("nan"), 0.0), 1), ((0.0, float("inf")), 1)):
        assert not me.correct(state, number)
    assert me.counters["refused"] == 4 and me.pending == 1 and me.state == pytest.approx((0.1, 0.0))


def test_a_visible_error_fades_in_a_tenth_of_a_second_and_snaps_beyond_its_limit() -> None:
    me = made(snap=2.0, smooth_ms=100.0)
    me.predict((0, 0))
    me.correct((1.0, 0.0), 1)
    assert me.show(0.0) == pytest.approx((0.0, 0.0))    # in this instant nothing jumps
    assert me.show(0.1)[0] == pytest.approx(1.0 - np.exp(-3.0))
    for _ in range(10):
        me.show(0.1)
    assert me.show(0.0) == pytest.approx((1.0, 0.0), abs=1e-9)
    me.predict((0, 0))
    me.correct((3.0 + 1e-6, 0.0), 2)
    assert me.show(0.0)[0] == pytest.approx(3.0) and me.counters["snaps"] == 1
    me.predict((0, 0))
    me.correct((1.1, 0.0), 3)
    assert me.show(0.0)[0] == pytest.approx(3.0) and me.counters["snaps"] == 1


def test_only_what_the_eye_sees_fades_and_angles_go_the_short_way() -> None:
    me = Prediction(lambda states, inputs, dt: states + inputs, (0.0, 3.1, 5.0), inputs=3, dt=DT, smooth=(0, 1),
                    angles=(1,))
    me.predict((0, 0, 0))
    me.correct((1.0, -3.1, 9.0), 1)
    shown = me.show(0.0)
    assert shown[[0, 2]] == pytest.approx((0.0, 9.0)) and np.cos(shown[1] - 3.1) == pytest.approx(1.0)
    assert abs(me._all.errors[0, 1]) < 0.1


def test_an_angle_that_wrapped_is_no_correction() -> None:
    me = Prediction(lambda states, inputs, dt: states + inputs, (3.0,), inputs=1, dt=DT, angles=(0,), tolerance=1e-9)
    me.predict(0.2)
    assert not me.correct((3.2 - 2 * np.pi,), 1)


def test_more_unacknowledged_inputs_than_are_kept() -> None:
    me = made(remembered=4)
    for _ in range(10):
        me.predict((1, 0))
    assert me.correct((0.0, 50.0), 6)                   # the state after it is gone, its successors are not
    assert me.state == pytest.approx((0.4, 50.0)) and me.counters["overrun"] == 1
    for _ in range(10):
        me.predict((1, 0))
    assert me.correct((0.0, 0.0), 7) and me.state == pytest.approx((0.4, 0.0)) and me.counters["overrun"] == 2


def test_rows_of_a_batch_are_independent_and_the_newest_state_of_each_counts() -> None:
    bots = Predictions(walk, 3, state=2, inputs=2, dt=DT, tolerance=1e-9)
    for _ in range(4):
        bots.predict([0, 2], [(1, 0), (0, 1)])
    bots.predict([1], (1, 1))
    wrong = bots.correct([0, 2, 0, 1], [3, 4, 2, 1], [(5, 5), (0, 0.4), (8, 8), (0.1, 0.1)])
    assert wrong.tolist() == [True, False, False, False] and bots.corrections.tolist() == [1, 0, 0]
    assert bots.states[0] == pytest.approx((5.1, 5.0)) and bots.stale.tolist() == [1, 0, 0]
    assert bots.pending.tolist() == [1, 0, 0]


def test_memory_does_not_grow() -> None:
    bots = Predictions(walk, 50, state=2, inputs=2, dt=DT, remembered=16)
    rows = np.arange(50)

    def play(ticks: int) -> None:
        for _ in range(ticks):
            bots.predict(rows, (0.5, 0.5))
            bots.correct(rows, bots.newest - 5, bots.states)
            bots.show(DT)

    play(50)
    tracemalloc.start()
    try:
        play(100)
        first = tracemalloc.get_traced_memory()[0]
        play(400)
        assert tracemalloc.get_traced_memory()[0] - first < 4096
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("options", "words"), [
    ({"count": 0}, "count is 0"), ({"state": 0}, "state is 0"), ({"inputs": 1025}, "inputs is 1025"),
    ({"remembered": 1}, "remembered is 1"), ({"bits": 7}, "bits is 7"), ({"dt": float("nan")}, "dt is nan"),
    ({"smooth_ms": -1}, "smooth_ms is -1"), ({"snap": -1}, "snap is -1"), ({"smooth": (2,)}, "no number 2"),
    ({"angles": (-1,)}, "no number -1"), ({"tolerance": (1, 2, 3)}, "one number, or 2"),
    ({"tolerance": -1}, "at least 0"),
])
def test_a_mistake_is_named(options: dict[str, object], words: str) -> None:
    fine: dict[str, object] = {"count": 1, "state": 2, "inputs": 2, "dt": DT}
    with pytest.raises(ConfigError, match=words):
        Predictions(walk, **(fine | options))  # type: ignore[arg-type]


def test_a_call_that_cannot_be_is_a_usage_error() -> None:
    bots = Predictions(walk, 2, state=2, inputs=2, dt=DT)
    with pytest.raises(UsageError, match="twice"):
        bots.predict([1, 1], (0, 0))
    with pytest.raises(UsageError, match="avatars 0 to 1"):
        bots.predict([2], (0, 0))
    with pytest.raises(UsageError, match=r"shape \(1, 2\)"):
        bots.predict([0], (0, 0, 0))
    with pytest.raises(UsageError, match="does not go back"):
        bots.show(-0.1)
    odd = Predictions(lambda states, inputs, dt: states[:, :1], 1, state=2, inputs=2, dt=DT)
    with pytest.raises(UsageError, match="step was given"):
        odd.predict(0, (0, 0))
    assert bots.newest.tolist() == [0, 0] and odd.newest.tolist() == [0]

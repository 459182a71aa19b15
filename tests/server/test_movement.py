"""Invariant: the server alone says where a player is; whatever clients send, nobody is faster, further or nowhere."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_app.demo.movement import CLAIM_TOLERANCE, WALK_SPEED, Authority, Budget, rounds, simulate, velocity_of
from server_app.demo.schema import VELOCITY_STEP

HZ = 30
BOUND = 100.0
SECOND = 1_000_000


def one(x: float = 0.0, y: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[x, y, 0.0]]), np.zeros((1, 3), np.float32)


def feed(authority: Authority, position: np.ndarray, velocity: np.ndarray, directions: list[tuple[float, float]],
         times_us: list[int], slot: int = 0) -> np.ndarray:
    count = len(directions)
    return authority.apply(
        position, velocity, rows=np.zeros(count, np.intp), slots=np.full(count, slot, np.intp),
        directions=np.array(directions, np.float32).reshape(count, 2), times_us=np.array(times_us, np.uint64))


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=20))
def test_velocities_are_whole_steps(directions: list[tuple[float, float]]) -> None:
    steps = velocity_of(np.array(directions)) / VELOCITY_STEP
    assert np.abs(steps - np.round(steps)).max() < 1e-9


anything = st.floats(width=32) | st.sampled_from([0.0, 1.0, -1.0, float("nan"), float("inf"), 1e30, 1.2])


@given(st.lists(st.tuples(anything, anything), min_size=1, max_size=8), st.floats(-BOUND, BOUND))
def test_no_direction_moves_anybody_faster_or_out_of_the_world(directions: list[tuple[float, float]], x: float) -> None:
    position, _ = one(x)
    places = np.repeat(position[:, :2], len(directions), axis=0)
    with np.errstate(all="ignore"):
        moved, _ = simulate(places, np.array(directions, np.float32), 1 / HZ, BOUND)
    assert np.isfinite(moved).all() and (np.abs(moved) <= BOUND).all()
    far = np.sqrt(np.square(moved - places).sum(axis=1))
    assert far.max() <= 1.02 * WALK_SPEED / HZ + VELOCITY_STEP


def test_the_edge_of_the_world_holds() -> None:
    moved, _ = simulate(np.array([[BOUND, -BOUND + 0.01]]), np.array([[0.6, -0.6]], np.float32), 1 / HZ, BOUND)
    assert moved.tolist() == [[BOUND, -BOUND]]


def test_every_input_counts_once_and_in_order() -> None:
    authority = Authority(4, HZ, BOUND)
    position, velocity = one()
    assert feed(authority, position, velocity, [(1, 0), (0, 1), (0, 1)], [0, 0, 0]).all()
    assert position[0, :2] == pytest.approx([WALK_SPEED / HZ, 2 * WALK_SPEED / HZ])
    assert velocity[0, :2] == pytest.approx([0, WALK_SPEED])
    assert (authority.inputs, authority.refused) == (3, 0)


def test_a_fair_client_is_never_refused_although_its_packets_come_in_bunches() -> None:
    authority = Authority(1, HZ, BOUND)
    position, velocity = one()
    for second in range(20):
        for bunch in range(3):                              # ten at a time
            now = second * SECOND + (bunch + 1) * SECOND // 3
            feed(authority, position, velocity, [(1, 0)] * 10, [now] * 10)
    assert authority.refused == 0


def test_a_client_that_sends_twice_as_many_inputs_is_not_faster() -> None:
    authority = Authority(1, HZ, 10 * BOUND)
    position, velocity = one()
    for tick in range(20 * HZ):
        feed(authority, position, velocity, [(1, 0), (1, 0)], [tick * SECOND // HZ] * 2)
    most = 20 * WALK_SPEED
    assert most <= position[0, 0] <= 1.05 * most            # the slack and what it had saved up


def test_an_old_time_stamp_refills_nothing() -> None:
    budget = Budget(1, HZ)
    slot = np.zeros(1, np.intp)
    while budget.take(slot, np.array([SECOND], np.uint64))[0]:
        pass
    assert not budget.take(slot, np.array([0], np.uint64))[0]
    assert not budget.take(slot, np.array([SECOND], np.uint64))[0]
    assert budget.take(slot, np.array([2 * SECOND], np.uint64))[0]


@given(st.lists(st.integers(0, 5), max_size=30))
def test_rounds_hold_every_input_once_and_keep_each_sessions_order(slots: list[int]) -> None:
    groups = rounds(np.array(slots, np.intp))
    assert sorted(index for group in groups for index in group.tolist()) == list(range(len(slots)))
    for group in groups:
        assert len({slots[index] for index in group}) == len(group)
    place = {index: turn for turn, group in enumerate(groups) for index in group.tolist()}
    for first in range(len(slots)):
        for later in range(first + 1, len(slots)):
            assert slots[first] != slots[later] or place[first] < place[later]


def wrong(authority: Authority, position: np.ndarray, claims: list[tuple[float, float]], now_us: int) -> list[int]:
    count = len(claims)
    found = authority.wrong(position, np.array(claims, np.float64), rows=np.zeros(count, np.intp),
                            slots=np.zeros(count, np.intp), now_us=now_us)
    return [int(index) for index in found]


def test_a_claim_within_tolerance_is_left_alone_and_one_beyond_is_corrected() -> None:
    position, _ = one(10.0)
    assert wrong(Authority(1, HZ, BOUND), position, [(10.0 + CLAIM_TOLERANCE - 0.01, 0.0)], SECOND) == []
    assert wrong(Authority(1, HZ, BOUND), position, [(10.0 + CLAIM_TOLERANCE + 0.01, 0.0)], SECOND) == [0]
    assert wrong(Authority(1, HZ, BOUND), position, [(float("nan"), 0.0)], SECOND) == [0]


def test_only_the_last_claim_of_a_tick_is_judged() -> None:
    position, _ = one(10.0)
    assert wrong(Authority(1, HZ, BOUND), position, [(9.0, 0.0), (10.0, 0.0)], SECOND) == []
    assert wrong(Authority(1, HZ, BOUND), position, [(10.0, 0.0), (9.0, 0.0)], SECOND) == [1]


def test_a_correction_is_given_time_to_arrive_before_the_next() -> None:
    authority, (position, _) = Authority(1, HZ, BOUND), one()
    times = [tick * SECOND // HZ for tick in range(1, HZ + 1)]
    assert sum(len(wrong(authority, position, [(50.0, 0.0)], now)) for now in times) == 4
    assert authority.corrections == 4

"""Invariant: players of the demo walk by its rules; what such rules hold is in tests/unit/test_authority.py."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_app.demo.movement import WALK_SPEED, walkers
from server_app.demo.schema import SPEED_LIMIT, VELOCITY_STEP

HZ = 30
BOUND = 100.0
SECOND = 1_000_000
anything = st.floats(width=32) | st.sampled_from([0.0, 1.0, -1.0, float("nan"), float("inf"), 1e30, 1.2])


@given(st.lists(st.tuples(anything, anything), min_size=1, max_size=8), st.floats(-BOUND, BOUND))
def test_no_direction_moves_anybody_faster_or_out_of_the_world(directions: list[tuple[float, float]], x: float) -> None:
    places = np.array([[x, 0.0, 0.0]] * len(directions))
    moved, velocities = places.copy(), np.zeros((len(directions), 3), np.float32)
    walkers(1, HZ, BOUND).simulate(moved, velocities, directions)
    assert np.isfinite(moved).all() and (np.abs(moved[:, :2]) <= BOUND).all()
    assert np.sqrt(np.square(moved - places).sum(axis=1)).max() <= WALK_SPEED / HZ + VELOCITY_STEP
    assert np.abs(velocities).max() <= SPEED_LIMIT
    steps = velocities.astype(np.float64) / VELOCITY_STEP
    assert np.abs(steps - np.round(steps)).max() < 1e-4             # of what travels: so observers predict exactly


def test_a_fair_client_is_never_refused_although_its_packets_come_in_bunches() -> None:
    movers, position, velocity = walkers(1, HZ, 1000.0), np.zeros((1, 3)), np.zeros((1, 3), np.float32)
    movers.reset(0, 0)
    zeros = np.zeros(10, np.int64)
    for bunch in range(60):                                         # ten at a time
        movers.steer(position, velocity, rows=zeros, slots=zeros, directions=[(1, 0)] * 10,
                     times_us=[(bunch + 1) * SECOND // 3] * 10)
    assert (movers.inputs, movers.hurried) == (600, 0) and position[0, 0] == pytest.approx(20 * WALK_SPEED)


def test_a_client_that_sends_twice_as_many_inputs_is_not_faster() -> None:
    movers, position, velocity = walkers(1, HZ, 1000.0), np.zeros((1, 3)), np.zeros((1, 3), np.float32)
    movers.reset(0, 0)
    for tick in range(20 * HZ):
        movers.steer(position, velocity, rows=[0, 0], slots=[0, 0], directions=[(1, 0)] * 2,
                     times_us=[tick * SECOND // HZ] * 2)
    assert 20 * WALK_SPEED <= position[0, 0] <= 1.05 * 20 * WALK_SPEED      # the slack and what it had saved up

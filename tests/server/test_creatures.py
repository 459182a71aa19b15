"""Invariant: creatures stay in the world, walk whole velocity steps, and monsters chase the nearest player in sight."""
import numpy as np

from server_app.demo.creatures import CHASE_SPEED, REACH, SIGHT, hunt, walk, wander
from server_app.demo.schema import VELOCITY_STEP

HZ = 30


def test_wanderers_stay_in_the_world_for_minutes_and_mostly_walk() -> None:
    rng = np.random.default_rng(7)
    position, velocity = np.zeros((50, 3)), np.zeros((50, 3), np.float32)
    until = np.zeros(50, np.int64)
    walking = 0
    for tick in range(60 * HZ):
        wander(rng, tick, HZ, velocity, until)
        walk(position, velocity, 1 / HZ, 30.0)
        assert np.abs(position[:, :2]).max() <= 30.0
        walking += int(np.count_nonzero(velocity.any(axis=1)))
    assert 0.6 < walking / (50 * 60 * HZ) < 0.8
    steps = velocity / VELOCITY_STEP
    assert np.abs(steps - np.round(steps)).max() < 1e-3          # float32 columns


def test_at_the_edge_they_turn_round() -> None:
    position, velocity = np.array([[29.99, 0.0, 0.0]]), np.array([[5.0, 1.0, 0.0]], np.float32)
    assert walk(position, velocity, 1 / HZ, 30.0).tolist() == [0]
    assert position[0, 0] == 30.0 and velocity[0].tolist() == [-5.0, 1.0, 0.0]
    assert walk(position, velocity, 1 / HZ, 30.0).tolist() == []


def chase(prey: list[tuple[float, float]]) -> tuple[np.ndarray, list[int], float]:
    velocity, anger = np.zeros((1, 3), np.float32), np.zeros(1)
    _, bitten = hunt(np.random.default_rng(1), 10, HZ, np.zeros((1, 3)), velocity, np.zeros(1, np.int64), anger,
                     np.array(prey, np.float64).reshape(-1, 2))
    return velocity[0, :2], bitten.tolist(), float(anger[0])


def test_a_monster_chases_the_nearest_and_bites_whom_it_reaches() -> None:
    velocity, bitten, anger = chase([(0.0, SIGHT - 1), (SIGHT - 2, 0.0)])
    assert velocity.tolist() == [CHASE_SPEED, 0.0] and bitten == [] and anger > 0
    velocity, bitten, _ = chase([(10.0, 0.0), (0.0, REACH / 2)])
    assert velocity.tolist() == [0.0, 0.0] and bitten == [1]
    assert chase([(0.0, SIGHT + 1)])[1:] == ([], 0.0)
    assert chase([])[1] == []


def test_a_monster_decides_again_only_when_its_time_has_come() -> None:
    velocity, until = np.zeros((1, 3), np.float32), np.array([20])
    decided, _ = hunt(np.random.default_rng(1), 19, HZ, np.zeros((1, 3)), velocity, until, np.zeros(1), np.ones((1, 2)))
    assert decided.tolist() == [] and until.tolist() == [20]

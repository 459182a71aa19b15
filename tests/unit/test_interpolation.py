"""Interpolation: rows of the issue, limits, and what a person can get wrong."""
from typing import Annotated as A
from typing import Any, cast

import numpy as np
import pytest

import shadowland as sl
from shadowland.errors import ConfigError, UsageError
from shadowland.interpolation import Interpolation
from shadowland.view import Seen, Snapshot

HZ = 20


class Runner(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.001), sl.Predicted(by="velocity")] = (0.0, 0.0)
    velocity: A[sl.Vec2, sl.Quantized(step=0.001)] = (0.0, 0.0)
    yaw: sl.Angle = 0.0
    health: A[int, sl.Range(0, 100)] = 100


def snapshot(tick: int, *rows: tuple[int, tuple[float, float], tuple[float, float], float, int]) -> Snapshot:
    """Of (handle, position, velocity, yaw, health) each."""
    arrays: dict[str, Any] = {
        "position": np.array([row[1] for row in rows], np.float64).reshape(-1, 2),
        "velocity": np.array([row[2] for row in rows], np.float32).reshape(-1, 2),
        "yaw": np.array([row[3] for row in rows], np.float32), "health": np.array([row[4] for row in rows], np.int64)}
    seen = Seen(Runner, arrays, np.array([row[0] for row in rows], np.uint64))
    return cast(Snapshot, _Fake(tick, seen))


class _Fake:
    def __init__(self, tick: int, seen: Seen[Runner]) -> None:
        self.tick, self.seen = tick, seen

    def __getitem__(self, cls: type[Runner]) -> Seen[Runner]:
        return self.seen


def made(*snapshots: Snapshot, **options: float) -> Interpolation[Runner]:
    buffer = Interpolation(Runner, tick_hz=HZ, **options)
    for number, one in enumerate(snapshots):
        assert buffer.add(one, number / HZ)
    return buffer


def test_between_two_snapshots_positions_velocities_and_angles_the_short_way() -> None:
    others = made(snapshot(10, (7, (0, 0), (2, 0), 3.0, 50)), snapshot(12, (9, (5, 5), (0, 0), 0.0, 1),
                                                                       (7, (0.2, 0), (2, 0), -3.0, 40)))
    seen = others.at(0.0, 11.0)
    assert seen.handles.tolist() == [7] and seen.tick == 11.0 and not seen.extrapolated
    assert seen.position[0] == pytest.approx((0.1, 0.0)) and seen.velocity[0] == pytest.approx((2, 0))
    assert np.cos(seen.yaw[0]) == pytest.approx(-1.0, abs=1e-4) and seen.health.tolist() == [50]


def test_a_curve_follows_the_velocities_at_its_ends() -> None:
    others = made(snapshot(0, (7, (0, 0), (10, 0), 0.0, 1)), snapshot(10, (7, (2.5, 2.5), (0, 10), 0.0, 1)))
    begin, end = others.at(0.0, 0.01).position[0], others.at(0.0, 9.99).position[0]
    assert begin / 0.0005 == pytest.approx((10, 0), abs=0.1)
    assert (np.array((2.5, 2.5)) - end) / 0.0005 == pytest.approx((0, 10), abs=0.1)


def test_enter_and_leave_by_slot_and_generation() -> None:
    old, new = 1 << 32 | 5, 2 << 32 | 5
    others = made(snapshot(1, (old, (0, 0), (1, 0), 0, 1)), snapshot(2, (new, (1, 0), (0, 0), 0, 1)), snapshot(3))
    assert others.at(0.0, 1.9).handles.tolist() == [old] and others.at(0.0, 1.9).position[0, 0] == 0
    assert others.at(0.0, 2.0).handles.tolist() == [new]
    assert len(others.at(0.0, 3.0)) == 0


def test_a_teleport_is_not_drawn_in_between() -> None:
    others = made(snapshot(1, (7, (0, 0), (0, 0), 0, 1)), snapshot(2, (7, (10.5, 0), (0, 0), 0, 1)), teleport=10.0)
    assert others.at(0.0, 1.99).position[0, 0] == 0 and others.at(0.0, 2.0).position[0, 0] == 10.5


def test_extrapolation_ends_after_a_quarter_of_a_second() -> None:
    others = made(snapshot(1, (7, (0, 0), (4, 0), 1.0, 1)))
    for ticks, place in ((2, 0.4), (5, 1.0), (5.1, 1.0), (1000, 1.0)):
        seen = others.at(0.0, 1 + ticks)
        assert seen.position[0, 0] == pytest.approx(place) and seen.extrapolated
    assert others.extrapolations == 4 and others.at(0.0, 1.0).extrapolated is False


def test_the_delay_follows_jitter_and_gaps_within_its_bounds() -> None:
    luck = np.random.default_rng(1)
    delays = []
    for jitter_s in (0.0, 0.04, 2.0):
        others = Interpolation(Runner, tick_hz=HZ, least_ms=20.0, most_ms=250.0)
        for tick in range(1, 65):
            others.add(snapshot(tick), tick / HZ + luck.uniform(0, jitter_s))
        delays.append(others.delay_ms)
    assert delays[0] == pytest.approx(50) and 75 < delays[1] < 95 and delays[2] == 250


def test_time_shown_is_even_and_never_goes_back() -> None:
    luck = np.random.default_rng(2)
    others = Interpolation(Runner, tick_hz=HZ)
    arrivals = sorted((tick / HZ + 0.1 + luck.uniform(0, 0.03), tick) for tick in range(1, 400) if luck.random() > 0.05)
    shown: list[float] = []
    now = 0.0
    while now < 19:
        now += 1 / 60
        while arrivals and arrivals[0][0] <= now:
            at, tick = arrivals.pop(0)
            others.add(snapshot(tick, (7, (tick / HZ, 0), (1, 0), 0, 1)), at)
        seen = others.at(now)
        if len(seen):
            shown.append(seen.tick)
            assert seen.position[0, 0] == pytest.approx(seen.tick / HZ, abs=1e-4) or len(shown) < 30
    steps = np.diff(shown[60:]) * 60 / HZ
    assert 0.89 < steps.min() and steps.max() < 1.11
    assert others.extrapolations < 0.05 * len(shown) and now - shown[-1] / HZ < 0.3


def test_old_twice_and_none_are_not_new_and_memory_is_bounded() -> None:
    others = made(snapshot(5))
    assert not others.add(snapshot(5), 1.0) and not others.add(snapshot(4), 1.0) and not others.add(None, 1.0)
    for tick in range(6, 1000):
        others.add(snapshot(tick, (7, (0, 0), (0, 0), 0, 1)), tick / HZ)
    assert len(others._kept) == 64
    assert others.at(1.0, 3.0).tick == 936.0                    # older than all that is kept


def test_before_the_first_snapshot_there_is_nobody() -> None:
    seen = made().at(0.0)
    assert len(seen) == 0 and seen.position.shape == (0, 2) and np.isnan(seen.tick)
    with pytest.raises(AttributeError, match="did you mean 'position'"):
        _ = seen.positon


def test_mistakes() -> None:
    for options, words in (({"least_ms": -1.0}, "least_ms is -1"), ({"most_ms": 10.0}, "most_ms is 10.0"),
                           ({"extrapolate_ms": 251.0}, "extrapolate_ms is 251"),
                           ({"teleport": -1.0}, "teleport is -1")):
        with pytest.raises(ConfigError, match=words):
            made(**options)
    others = made(snapshot(1))
    others.at(5.0)
    with pytest.raises(UsageError, match="does not go back"):
        others.at(4.0)

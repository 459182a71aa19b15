"""Lag compensation: rows of the issue, limits, and what a person can get wrong."""
from typing import Annotated as A

import numpy as np
import pytest

import shadowland as sl
from shadowland.authority import Map
from shadowland.errors import ConfigError, UsageError
from shadowland.rewind import History, Shape
from shadowland.world import World

HZ = 20
BALL = Shape(0.5)


class Target(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)


class Still(sl.Entity):
    health: int = 1


def world_of(*places: tuple[float, float], **options: float) -> tuple[World, History]:
    world = World(sl.Schema([Target, Still], []), tick_hz=HZ, aoi=sl.Grid(cell=10, radius=30), capacity=64, observers=1)
    history = History(world, Target, **options)
    for place in places:
        world.spawn(Target(position=place))
    world.publish(1)
    return world, history


def test_a_shot_meets_its_target_where_it_was() -> None:
    world, history = world_of((0.0, 0.0))
    target = int(world[Target].handles[0])
    for tick in range(2, 12):
        world[Target].position += (1.0, 0.0)
        world.publish(tick)
    hits = history.segments([(4, -5)] * 3 + [(4.5, -5)], [(4, 5)] * 3 + [(4.5, 5)], [5, 11, 4.4, 5.5], BALL)
    assert hits.handles.tolist() == [target, 0, 0, target] and len(hits) == 4
    assert hits.parts[[0, 3]] == pytest.approx((0.45, 0.45)) and hits.points[0] == pytest.approx((4, -0.5, 0))
    assert np.isinf(hits.parts[1]) and np.isnan(hits.points[1]).all()


def test_a_claim_of_ten_seconds_is_half_a_second_and_never_the_future() -> None:
    world, history = world_of((0.0, 0.0), delay_ms=100.0)
    for tick in range(2, 400):
        world.publish(tick)
    now = history.newest
    claims = [now - 10 * HZ, now - 1e300, now + 1, np.inf, np.nan, now - 3]
    assert history.when(claims, 5000.0).tolist() == [now - 10, now - 10, now, now, now, now - 3]
    # What a client says widens nothing: 50 ms of round trip and 100 of delay are three ticks.
    believed = history.when([now - 10 * HZ] * 4, [50.0, 0.0, -5000.0, np.nan])
    assert (now - believed).tolist() == [3, 2, 2, 2]


def test_who_was_not_there_is_not_met_and_who_is_gone_was() -> None:
    world, history = world_of((0.0, 0.0))
    first = int(world[Target].handles[0])
    world.publish(2)
    world.despawn(first)
    world.publish(3)
    world.spawn(Target(position=(0.0, 0.0)))
    world.publish(4)
    second = int(world[Target].handles[0])
    assert first != second
    hits = history.segments([(-5, 0)] * 5, [(5, 0)] * 5, [1, 2.5, 3, 3.9, 4], BALL)
    assert hits.handles.tolist() == [first, first, 0, 0, second]
    assert np.isnan(history.where([second, first], [2.0, 4.0])).all()


def test_what_is_out_of_memory_is_the_oldest_tick() -> None:
    world, history = world_of((0.0, 0.0), keep_ms=100.0)
    for tick in range(2, 20):
        world[Target].position += (1.0, 0.0)
        world.publish(tick)
    oldest = history.where(world[Target].handles, 1.0)
    assert oldest[0] == pytest.approx((15.0, 0.0, 0.0))         # 2 ticks, and one at each end
    assert history.when(1.0, 1e9) == history.newest - 2


def test_a_teleport_is_nowhere_in_between() -> None:
    world, history = world_of((0.0, 0.0), teleport=5.0)
    for tick, place in ((2, (5.0, 0.0)), (3, (10.1, 0.0))):
        world[Target].position[:] = place
        world.publish(tick)
    handle = world[Target].handles[0]
    assert history.where([handle] * 4, [1.5, 2.5, 2.99, 3])[:, 0] == pytest.approx((2.5, 5.0, 5.0, 10.1))


def test_the_first_is_met_the_shooter_is_not_and_ties_go_to_the_lower_handle() -> None:
    world, history = world_of((0.0, 0.0), (3.0, 0.0), (3.0, 0.0), (6.0, 0.0))
    handles = world[Target].handles
    assert history.rays([(0, 0)], [(9, 0)], 20.0, 1, BALL).handles[0] == handles[0]
    hits = history.rays([(0, 0)] * 2, [(9, 0), (-1, 0)], 20.0, 1, BALL, ignore=handles[0])
    assert hits.handles.tolist() == [int(min(handles[1:3])), 0] and hits.parts[0] * 20 == pytest.approx(2.5)
    assert history.rays([(0, 0)], [(1, 0)], 2.4, 1, BALL, ignore=handles[0]).handles.tolist() == [0]


def test_what_stands_between_hides() -> None:
    world, history = world_of((3.0, 0.0), (3.0, 10.0))
    seen: list[np.ndarray] = []

    def blocked(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        seen.append(ends)
        return starts[:, 1] < 5

    hits = history.rays([(0, 0), (0, 10), (0, 20)], [(1, 0)] * 3, 20.0, 1, BALL, blocked=blocked)
    assert hits.handles.tolist() == [0, int(world[Target].handles[1]), 0] and np.isinf(hits.parts[0])
    assert len(seen) == 1 and seen[0][:, 0] == pytest.approx((2.5, 2.5))


def test_a_wall_of_the_map_ends_a_shot_and_hides_from_a_blast() -> None:
    world, history = world_of((3.5, 0.5), (3.5, 2.5), (0.5, 0.5))
    left, right, near = world[Target].handles.tolist()
    town = Map(low=(0.0, 0.0), blocked=[[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 2, 0]], opaque=1)      # 2: a fence
    shots = [(0.5, 0.5), (0.5, 2.5), (0.5, 1.9), (2.5, 0.5)]
    ends = [(9.0, 0.5), (9.0, 2.5), (3.5, 0.85), (9.0, 0.5)]
    hits = history.segments(shots, ends, 1, Shape(0.4), ignore=near, map=town)
    assert hits.handles.tolist() == [0, right, left, left]      # hidden, past the fence, past the wall, from within
    assert np.isinf(hits.parts[0]) and np.isnan(hits.points[0]).all()
    assert history.rays(shots[:1], [(1, 0)], 9.0, 1, Shape(0.4), ignore=near).handles.tolist() == [left]
    assert history.rays(shots[:1], [(1, 0)], 9.0, 1, Shape(0.4), ignore=near, map=town).handles.tolist() == [0]
    which, who, _ = history.within(shots[:2], 9.0, 1, Shape(0.4), map=town)
    assert set(who[which == 0].tolist()) == set(who[which == 1].tolist()) == {right, near}
    asked: list[int] = []

    def blocked(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        asked.append(len(starts))                               # those that the map leaves
        return starts[:, 1] < 1

    hits = history.segments(shots, ends, 1, Shape(0.4), ignore=near, map=town, blocked=blocked)
    assert asked == [3] and hits.handles.tolist() == [0, right, left, 0]


def test_blasts_reach_all_within_their_radius_nearest_first() -> None:
    world, history = world_of((0.0, 0.0), (3.0, 0.0), (1.0, 0.0), (9.0, 0.0))
    handles = world[Target].handles
    which, who, apart = history.within([(0, 0), (9, 0)], [2.5, 0.0], 1, BALL, ignore=[handles[0], 0])
    assert which.tolist() == [0, 0, 1] and who.tolist() == [handles[2], handles[1], handles[3]]
    assert apart == pytest.approx((0.5, 2.5, 0.0))


def test_a_place_that_is_no_number_is_the_one_before() -> None:
    world, history = world_of((1.0, 2.0))
    world[Target].position[:] = np.nan
    world.publish(2)
    assert history.where(world[Target].handles, 2.0)[0] == pytest.approx((1.0, 2.0, 0.0))


def test_absurd_shots_meet_nobody_and_do_no_harm() -> None:
    world, history = world_of(*[(float(i), 0.0) for i in range(20)])
    worst = [np.nan, np.inf, -np.inf, 1e300, 0.0]
    starts = [(a, b, 1e9) for a in worst for b in worst]
    ways = [(b, a, 1.0) for a in worst for b in worst]
    assert not history.rays(starts, ways, 1e300, np.nan, BALL).handles.any()
    assert not history.segments(starts, ways, -1e300, BALL).handles.any()
    assert history.rays([(-1e5, 0)], [(1e-200, 0)], 1e12, 1, BALL).handles[0] == world[Target].handles[0]
    assert len(history.within(np.zeros((0, 3)), 1.0, 1, BALL)[0]) == 0
    assert len(history.rays(np.zeros((0, 3)), np.zeros((0, 3)), 1.0, 1, BALL)) == 0


def test_before_the_first_tick_nobody_is_met() -> None:
    world = World(sl.Schema([Target], []), tick_hz=HZ, aoi=sl.Grid(cell=10, radius=30), capacity=4, observers=1)
    history = History(world, Target)
    assert history.newest == 0 and history.when(5.0, 10.0) == 0.0
    assert history.rays([(0, 0)], [(1, 0)], 5.0, 0.0, BALL).handles.tolist() == [0]


@pytest.mark.parametrize(("options", "words"), [
    ({"keep_ms": 500.1}, "keep_ms is 500.1"), ({"keep_ms": 0.5}, "keep_ms is 0.5"),
    ({"delay_ms": -1.0}, "delay_ms is -1"), ({"teleport": float("nan")}, "teleport is nan"),
    ({"cell": 0.0}, "cell is 0.0"), ({"cell": 1e7}, "cell is 10000000.0"), ({"cell": float("nan")}, "cell is nan"),
])
def test_a_mistake_is_named(options: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        world_of(**options)


def test_other_mistakes() -> None:
    world, history = world_of((0.0, 0.0))
    with pytest.raises(ConfigError, match="Still is no class of this world with a position"):
        History(world, Still)
    with pytest.raises(ConfigError, match="name the classes"):
        History(world)
    with pytest.raises(ConfigError, match="radius is -1"):
        Shape(-1.0)
    with pytest.raises(ConfigError, match="head is"):
        Shape(1.0, head=(float("nan"),))
    with pytest.raises(UsageError, match="2 starts and 1 ends"):
        history.segments([(0, 0)] * 2, [(1, 1)], 1, BALL)
    with pytest.raises(UsageError, match="ticks: give one number, or 1"):
        history.segments([(0, 0)], [(1, 1)], [1, 2], BALL)
    with pytest.raises(UsageError, match=r"give \(n, 2\) or \(n, 3\)"):
        history.segments(np.zeros((1, 4)), np.zeros((1, 4)), 1, BALL)

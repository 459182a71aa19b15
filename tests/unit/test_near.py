"""World.near and near_many: what they find, of a world that stands as it was published last."""
from typing import Annotated as A

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shadowland as sl
from shadowland.world import World


class Bird(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=0.5)] = (0, 0, 0)


class Ship(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.5)] = (0, 0)


class Weather(sl.Entity):
    rain: A[int, sl.Range(0, 9)] = 0


class Stranger(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.5)] = (0, 0)


def world_with(capacity: int = 64, layer: float = 0.0) -> World:
    return World(sl.Schema([Bird, Ship, Weather]), tick_hz=30, capacity=capacity, observers=1,
                 aoi=sl.Grid(cell=8, radius=32, layer=layer))


halves = st.integers(-80, 80).map(lambda n: n / 2)
far = st.sampled_from([-1e9, 1e9, 8.0 * 2**26, -8.0])
numbers = st.one_of(halves, far)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(numbers, numbers, halves), max_size=20), st.lists(st.tuples(numbers, numbers), max_size=20),
       st.sampled_from([0.0, 0.5, 8.0, 40.0, 512.0, 1e10, float("inf")]), st.sampled_from([0.0, 10.0]))
def test_they_find_whom_brute_force_finds(birds: list[tuple[float, float, float]], ships: list[tuple[float, float]],
                                          radius: float, layer: float) -> None:
    world = world_with(layer=layer)
    where = {world.spawn(Bird(position=place)): place for place in birds}
    where |= {world.spawn(Ship(position=place)): (*place, 0.0) for place in ships}
    where[world.spawn(Weather())] = (0.0, 0.0, 0.0)
    world.publish(1)
    handles, places = np.array(list(where), np.uint64), np.array(list(where.values()))
    apart = ((places[:, None] - places) ** 2).sum(axis=2)
    together, offsets = world.near_many(places, radius)
    by_handle, _ = world.near_many(handles, radius)
    assert by_handle.tolist() == together.tolist()
    of_ships, ends = world.near_many(places, radius, Ship)
    for i, handle in enumerate(handles.tolist()):
        expected = sorted(handles[apart[i] <= radius * radius].tolist())
        assert sorted(world.near(handle, radius).tolist()) == expected
        assert sorted(world.near(places[i], radius).tolist()) == expected
        assert sorted(together[offsets[i]:offsets[i + 1]].tolist()) == expected
        assert sorted(of_ships[ends[i]:ends[i + 1]].tolist()) == [h for h in expected if h in world[Ship].handles]


def test_the_world_is_as_it_was_published() -> None:
    world = world_with()
    bird, ship = world.spawn(Bird(position=(1, 0, 0))), world.spawn(Ship(position=(3, 0)))
    assert world.near(bird, 5).tolist() == []               # nobody is there yet; it is looked from where it will be
    world.publish(1)
    assert sorted(world.near(bird, 2).tolist()) == [bird, ship]
    world[Ship].position[0] = (90, 0)
    assert sorted(world.near(bird, 2).tolist()) == [bird, ship]         # it is there when the tick ends
    world.publish(2)
    assert world.near(bird, 2).tolist() == [bird]
    assert world.near((90.0, 0.0), 0).tolist() == [ship]
    late = world.spawn(Bird(position=(90, 0, 1)))
    assert world.near(late, 1).tolist() == [ship]
    assert world.near_many(np.array([late, bird], np.uint64), 1)[0].tolist() == [ship, bird]
    world.despawn(ship)
    assert world.near(late, 1).tolist() == [ship]           # until the tick ends
    gone: list[list[int]] = []
    world.on_despawn(lambda handles: gone.append(world.near((90, 0), 1e9).tolist()))
    world.publish(3)
    assert gone == [[bird]]                                 # and in on_despawn no more
    assert world.near(late, 1).tolist() == [late]


def test_a_class_without_a_position_stands_at_the_origin() -> None:
    world = world_with()
    rain, ship = world.spawn(Weather()), world.spawn(Ship(position=(0, 2)))
    assert world.near(rain, 3).tolist() == []
    world.publish(1)
    assert sorted(world.near(rain, 2).tolist()) == [rain, ship]
    assert world.near(ship, 2, Weather).tolist() == [rain]


def test_mistakes_say_what_is_wrong() -> None:
    world = world_with()
    bird = world.spawn(Bird())
    world.publish(1)
    world.despawn(bird)
    world.publish(2)
    for entity in (bird, 0, 2**63):
        with pytest.raises(sl.UsageError, match="gone already"):
            world.near(entity, 1)
    with pytest.raises(sl.UsageError, match="gone already"):
        world.near_many(np.array([bird], np.uint64), 1)
    for point in ((1,), (1, 2, 3, 4), ((0, 0), (1, 1)), ((((0, 0),),),), (float("nan"), 0)):
        with pytest.raises(sl.UsageError, match="point|near_many"):
            world.near(point, 1)
    for radius in (-1, float("nan")):
        with pytest.raises(sl.UsageError, match="radius is"):
            world.near((0, 0), radius)
        with pytest.raises(sl.UsageError, match="radius is"):
            world.near_many([(0, 0)], [radius])
    with pytest.raises(sl.UsageError, match="3 radii for 2 points"):
        world.near_many([(0, 0), (1, 1)], [1, 2, 3])
    with pytest.raises(sl.UsageError, match="Stranger is not in"):
        world.near((0, 0), 1, Stranger)
    assert [part.tolist() for part in world.near_many(np.zeros((0, 3)), 1)] == [[], [0]]

"""Invariant: the grid finds exactly whom brute force finds, each once, in a world without borders."""
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from shadowland._core.world.columns import KindTable
from shadowland._core.world.replicate import World
from tests.parity.worlds import component_array
from tests.reference.world_records import FLOAT, INT, Component, Kind

CELL = 8.0
AXIS = Component(-2**31, 2**31 - 1, 0.25, FLOAT, column=0, medium=20)
PLACE = Kind((AXIS, AXIS, AXIS), (0, 1, 2), 16.0, 0.0)
FLAT = Kind((AXIS, AXIS, Component(0, 7, kind=INT, column=1, small=2, medium=3)), (0, 1), 16.0, 0.0)


def world_of(points: NDArray[np.float64], layer: float, kind: Kind = PLACE) -> tuple[World, NDArray[np.uint64]]:
    """A world with an entity at each point, and their handles."""
    table = KindTable()
    table.add(component_array(kind), kind.position, kind.radius, kind.hysteresis, kind.groups)
    world = World(table, 30, len(points), 1, CELL, layer=layer)
    columns = [np.ascontiguousarray(points)]
    if kind is FLAT:
        columns = [np.ascontiguousarray(points[:, :2]), np.zeros(len(points))]
    world.set_columns(0, columns, len(points))
    handles = [world.reserve(0) for _ in points]
    for handle in handles:
        world.place(handle)
    world.publish(1)
    return world, np.array(handles, np.uint64)


# Multiples of a quarter are exact in quanta and in squares, so that the borders are too; some are far from everything.
near = st.integers(-240, 240).map(lambda n: n / 4)
cells = st.integers(-6, 6).map(lambda n: n * CELL)
far = st.sampled_from([-5e8, -1e6 - 0.25, 65536.0 * CELL, 3e8, 5e8])
numbers = st.one_of(near, cells, far)


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers, near), min_size=1, max_size=60), st.sampled_from([0.0, 8.0]),
       st.sampled_from([0.0, 0.25, 8.0, 40.0, 250.0]))
def test_neighbours_are_those_of_brute_force(
        points: list[tuple[float, float, float]], layer: float, radius: float) -> None:
    places = np.array(points)
    world, handles = world_of(places, layer)
    for centre in places:
        apart = ((places - centre) ** 2).sum(axis=1)
        found = world.near(centre[0], centre[1], centre[2], radius)
        assert sorted(found.tolist()) == sorted(handles[apart <= radius * radius].tolist())


def test_ten_thousand_entities_agree_with_a_tree() -> None:
    random = np.random.default_rng(5)
    places = np.round(random.uniform(-2000, 2000, (10_000, 3)) * 4) / 4
    places[:, 2] = np.round(random.uniform(-50, 50, 10_000) * 4) / 4
    places[::100, :2] *= 1e4                                        # some far outside
    tree = cKDTree(places)
    for layer in (0.0, 25.0):
        world, handles = world_of(places, layer)
        for i in range(0, 10_000, 97):
            expected, place = handles[tree.query_ball_point(places[i], 96.0)], places[i]
            assert sorted(world.near(place[0], place[1], place[2], 96.0).tolist()) == sorted(expected.tolist())


def test_entities_without_a_height_stand_at_zero() -> None:
    places = np.array([[0.0, 0.0, 99.0], [3.0, 4.0, -99.0]])
    world, handles = world_of(places, 0.0, FLAT)
    assert sorted(world.near(0, 0, 0, 5.0).tolist()) == handles.tolist()
    assert world.near(0, 0, 3.0, 5.0).tolist() == [handles[0]]


def test_the_four_cells_round_the_origin_are_four() -> None:
    """The original truncated toward zero, which made them one."""
    places = np.array([[x, y, 0.0] for x in (-4.0, 4.0) for y in (-4.0, 4.0)])
    world, handles = world_of(places, 0.0)
    for place, handle in zip(places, handles, strict=True):
        assert world.near(place[0], place[1], 0.0, 7.75).tolist() == [handle]

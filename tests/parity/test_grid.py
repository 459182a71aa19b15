"""Invariant: the grid finds exactly whom brute force finds, each once, in a world without borders."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from shadowland._core.world.columns import KindTable
from shadowland._core.world.near import near, near_many, places
from shadowland._core.world.replicate import World
from tests.parity.worlds import component_array
from tests.reference.world_records import FLOAT, INT, OFFSET, QUADRANT, Component, Kind

CELL = 8.0
AXIS = Component(-2**31, 2**31 - 1, 0.25, FLOAT, column=0, medium=20)
PLACE = Kind((AXIS, AXIS, AXIS), (0, 1, 2), 16.0, 0.0)
FLAT = Kind((AXIS, AXIS, Component(0, 7, kind=INT, column=1, small=2, medium=3)), (0, 1), 16.0, 0.0)


WIDE = Kind((
    *(Component(0, 102400 * 32 - 1, 1 / 32, OFFSET, column=0, medium=20, pair=3 + i) for i in range(3)),
    *(Component(-2**31, 2**31 - 1, 102400.0, QUADRANT, column=1, medium=20, pair=i) for i in range(3)),
), (0, 1, 2), 16.0, 0.0)


def world_of(points: NDArray[np.float64], layer: float, kind: Kind = PLACE,
             cell: float = CELL) -> tuple[World, NDArray[np.uint64]]:
    """A world with an entity at each point, and their handles."""
    table = KindTable()
    table.add(component_array(kind), kind.position, kind.radius, kind.hysteresis, kind.groups)
    world = World(table, 30, len(points), 1, cell, layer=layer)
    columns = [np.ascontiguousarray(points)]
    if kind is FLAT:
        columns = [np.ascontiguousarray(points[:, :2]), np.zeros(len(points))]
    if kind is WIDE:
        columns *= 2
    world.set_columns(0, columns, len(points))
    handles = [world.reserve(0) for _ in points]
    for handle in handles:
        world.place(handle)
    world.publish(1)
    return world, np.array(handles, np.uint64)


# Multiples of a quarter are exact in quanta and in squares, so that the borders are too; some are far from everything.
close = st.integers(-240, 240).map(lambda n: n / 4)
cells = st.integers(-6, 6).map(lambda n: n * CELL)
far = st.sampled_from([-5e8, -1e6 - 0.25, 65536.0 * CELL, 3e8, 5e8])
numbers = st.one_of(close, cells, far)


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers, close), min_size=1, max_size=60), st.sampled_from([0.0, 8.0]),
       st.sampled_from([0.0, 0.25, 8.0, 40.0, 250.0]))
def test_neighbours_are_those_of_brute_force(
        points: list[tuple[float, float, float]], layer: float, radius: float) -> None:
    places = np.array(points)
    world, handles = world_of(places, layer)
    for centre in places:
        apart = ((places - centre) ** 2).sum(axis=1)
        found = near(world, centre[0], centre[1], centre[2], radius)
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
            assert sorted(near(world, place[0], place[1], place[2], 96.0).tolist()) == sorted(expected.tolist())


def test_entities_without_a_height_stand_at_zero() -> None:
    places = np.array([[0.0, 0.0, 99.0], [3.0, 4.0, -99.0]])
    world, handles = world_of(places, 0.0, FLAT)
    assert sorted(near(world, 0, 0, 0, 5.0).tolist()) == handles.tolist()
    assert near(world, 0, 0, 3.0, 5.0).tolist() == [handles[0]]


def test_the_four_cells_round_the_origin_are_four() -> None:
    """The original truncated toward zero, which made them one."""
    places = np.array([[x, y, 0.0] for x in (-4.0, 4.0) for y in (-4.0, 4.0)])
    world, handles = world_of(places, 0.0)
    for place, handle in zip(places, handles, strict=True):
        assert near(world, place[0], place[1], 0.0, 7.75).tolist() == [handle]


EVERYWHERE = float("inf")
radii = st.sampled_from([0.0, 0.25, 8.0, 40.0, 511.75, 512.0, 1e6, 1e9, 1e200, EVERYWHERE])      # 512 is 64 cells


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers, close), min_size=1, max_size=60),
       st.lists(st.tuples(numbers, numbers, close, radii), max_size=8), st.sampled_from([0.0, 8.0]))
def test_a_batch_says_what_single_questions_say_and_both_what_brute_force_says(
        standing: list[tuple[float, float, float]], asked: list[tuple[float, float, float, float]],
        layer: float) -> None:
    places = np.array(standing)
    world, handles = world_of(places, layer)
    points = np.array(asked, np.float64).reshape(-1, 4)
    found, offsets = near_many(world, points[:, :3], points[:, 3])
    assert offsets[0] == 0 and offsets[-1] == len(found)
    for i, (x, y, z, radius) in enumerate(asked):
        apart = ((places - (x, y, z)) ** 2).sum(axis=1)
        expected = sorted(handles[apart <= radius * radius].tolist())
        assert sorted(near(world, x, y, z, radius).tolist()) == expected
        assert sorted(found[offsets[i]:offsets[i + 1]].tolist()) == expected


def test_a_batch_grows_to_what_it_finds() -> None:
    places = np.zeros((500, 3))
    world, handles = world_of(places, 0.0)
    found, offsets = near_many(world, np.zeros((9, 3)), [EVERYWHERE] * 9)
    assert offsets.tolist() == list(range(0, 4501, 500))
    assert sorted(found[2000:2500].tolist()) == handles.tolist()


def test_far_points_and_absurd_radii_end() -> None:
    """Not one cell after the other: a point far away has a border that is wide by rounding."""
    world, _ = world_of(np.zeros((300, 3)), 8.0)
    for far_away in (1e15, -1e100, 1.7e308):
        assert len(near(world, far_away, 0.0, 0.0, 500.0)) == 0
        assert len(near(world, 0.0, far_away, far_away, 500.0)) == 0
        assert len(near(world, 0.0, 0.0, 0.0, abs(far_away))) == 300


def test_one_class_alone_is_found() -> None:
    table = KindTable()
    for kind in (PLACE, FLAT):
        table.add(component_array(kind), kind.position, kind.radius, kind.hysteresis)
    world = World(table, 30, 4, 1, CELL)
    world.set_columns(0, [np.array([[1.0, 0, 0], [2.0, 0, 5.0]])], 2)
    world.set_columns(1, [np.array([[1.0, 0], [2.0, 0]]), np.zeros(2)], 2)
    handles = [world.reserve(kind) for kind in (0, 0, 1, 1)]
    for handle in handles:
        world.place(handle)
    world.publish(1)
    for radius in (4.0, EVERYWHERE):
        assert sorted(near(world, 0, 0, 0, radius, 1).tolist()) == handles[2:]
    assert near(world, 0, 0, 0, 4.0, 0).tolist() == handles[:1]
    with pytest.raises(ValueError, match="no class 2"):
        near(world, 0, 0, 0, 4.0, 2)


def test_who_was_removed_since_the_grid_was_sorted_is_not_found_nor_who_has_the_slot_now() -> None:
    world, handles = world_of(np.zeros((3, 3)), 0.0)
    world.remove(int(handles[1]))
    assert sorted(near(world, 0, 0, 0, 1.0).tolist()) == [handles[0], handles[2]]
    again = world.reserve(0)
    assert again & 0xFFFFFFFF == handles[1] & np.uint64(0xFFFFFFFF)
    world.place(again)
    assert sorted(near(world, 0, 0, 0, EVERYWHERE).tolist()) == [handles[0], handles[2]]
    found, _ = near_many(world, np.zeros((1, 3)), [1.0])
    assert len(found) == 2


def test_places_are_those_that_were_published() -> None:
    world, handles = world_of(np.array([[1.0, -2.0, 3.1], [5e8, 0.0, 0.0]]), 0.0)
    new = np.append(handles, [np.uint64(0), np.uint64(1 << 32), np.uint64(99), np.uint64(2**64 - 1)])
    assert places(world, new)[:2].tolist() == [[1.0, -2.0, 3.0], [5e8, 0.0, 0.0]]
    assert np.isnan(places(world, new)[[2, 4, 5]]).all()


@pytest.mark.parametrize(
    "wrong", [{"x": float("nan")}, {"z": float("inf")}, {"radius": -0.5}, {"radius": float("nan")}])
def test_what_is_no_point_or_radius_is_refused(wrong: dict[str, float]) -> None:
    world, _ = world_of(np.zeros((1, 3)), 0.0)
    x, y, z, radius = {"x": 0.0, "y": 0.0, "z": 0.0, "radius": 1.0, **wrong}.values()
    with pytest.raises(ValueError, match="must be"):
        near(world, x, y, z, radius)
    with pytest.raises(ValueError, match="must be"):
        near_many(world, [[x, y, z]], [radius])
    with pytest.raises(ValueError, match="three axes"):
        near_many(world, [[0.0, 0.0]], [1.0])


def test_a_world_of_two_to_the_31_quadrants_has_neighbours_at_its_ends() -> None:
    """Each is found once. What a coordinate is rounded by, out there, concerns its own axis alone: added to the others
    it would be a row of more cells than there are buckets."""
    end = 102400.0 * 2**31
    around = np.array([[x, y, 0.0] for x in (0.0, 3.0, 16.0) for y in (0.0, 1.0, 2.0, 5.0, 11.0, 15.0)])
    inside = (around**2).sum(axis=1) <= 256
    for cell in (1.0, CELL):
        for x in [*range(-1000, 1000, 77), -end, end - 64]:
            for y in (-end, 0.0, end - 64):
                for centre in ((x, y, 0.0), (y, x, 0.0)):
                    world, handles = world_of(around + centre, 0.0, WIDE, cell)
                    found = near(world, centre[0], centre[1], 0.0, 16.0)
                    assert sorted(found.tolist()) == sorted(handles[inside].tolist())

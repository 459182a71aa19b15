"""A wall ends a shot and hides from a blast exactly where the slow model says, which has lines as fractions."""
from typing import Annotated as A

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import shadowland as sl
from shadowland.authority import Map
from shadowland.rewind import History, Shape
from shadowland.world import World
from tests.reference import authority_map, history

SIDE = 6


class Target(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=0.01)] = (0.0, 0.0, 0.0)


SCHEMA = sl.Schema([Target])
grids = st.lists(st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=SIDE, max_size=SIDE), min_size=SIDE, max_size=SIDE)
heights = st.lists(st.lists(st.sampled_from([0.0, 0.0, 0.5, 2.0]), min_size=SIDE, max_size=SIDE), min_size=SIDE,
                   max_size=SIDE)
lanes = st.one_of(st.integers(-8, 8).map(lambda half: half / 2), st.floats(-4, 4), st.integers(-3, 3).map(float))
points = st.tuples(lanes, lanes, st.sampled_from([0.0, 0.5, 1.0, 1.5, 3.0]))
shapes = st.tuples(st.sampled_from([0.0, 0.3, 0.8]), st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 1.2]))


@settings(max_examples=150, deadline=None)
@given(st.none() | grids, st.none() | heights, st.sampled_from([1, 2, 255]), st.lists(points, min_size=1, max_size=8),
       st.lists(points, min_size=8, max_size=8), st.lists(st.tuples(points, points), min_size=1, max_size=6),
       st.sampled_from([1.0, 1.25, 2.0]), shapes)
def test_the_first_wall_ends_a_shot_and_hides_from_a_blast(
        cells: list[list[int]] | None, ground: list[list[float]] | None, opaque: int, places: list[history.Point],
        moved: list[history.Point], shots: list[tuple[history.Point, history.Point]], time: float,
        shape: tuple[float, float, float]) -> None:
    world = World(SCHEMA, tick_hz=20, aoi=sl.Grid(cell=4, radius=12), capacity=8, observers=1)
    fast, slow = History(world, Target), history.History(12, 10.0)
    handles = [world.spawn(Target(position=place)) for place in places]
    world.publish(1)
    world[Target].position[[world.row_of(handle) for handle in handles]] = moved[:len(handles)]
    world.publish(2)
    for tick, now in ((1, places), (2, moved)):
        slow.record(tick, dict(zip(handles, now, strict=False)))
    area = authority_map.Area(cells=cells, ground=None if ground is None else
                          [[round(height * authority_map.HEIGHTS) for height in row] for row in ground])
    town = Map()
    if cells is not None or ground is not None:
        town = Map(low=(-3, -3), blocked=cells, heights=ground, opaque=opaque)
        area.low, area.high = (-3.0, -3.0, -np.inf), (3.0, 3.0, np.inf)
    radius, foot, head = shape[0], (0.0, 0.0, shape[1]), (0.0, 0.0, shape[2])
    body = Shape(radius, foot, head)
    starts, ends = (np.array([shot[side] for shot in shots]) for side in (0, 1))
    hits = fast.segments(starts, ends, time, body, map=town)
    which, who, apart = fast.within(starts, 3.0, time, body, map=town)
    for i, (start, end) in enumerate(shots):
        way = history.plus(end, start, -1.0)
        met = slow.first_in_sight(area, opaque, start, way, time, radius, foot, head)
        assert (int(hits.handles[i]), hits.parts[i]) == met
        assert np.isnan(hits.points[i]).all() == (not met[0])
        found = dict(zip(who[which == i].tolist(), apart[which == i].tolist(), strict=True))
        assert found == slow.blast_in_sight(area, opaque, start, 3.0, time, radius, foot, head)

"""Whichever entities its grid looks at, the compiled history answers to the last bit as one that looks at everybody.

Every world that could lose somebody between two cells: borders of cells and what is next to them, both sides of zero,
one layer or many, shots along and across borders, of no length and of absurd ones, entities faster than the grid likes
(few of them: listed, many: everybody looks further), teleported, entered, left, and places that are no numbers.
"""
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shadowland._core.world.history import History
from tests.reference import history as model

Places = dict[int, model.Point]
Shot = tuple[model.Point, model.Point, float, int]

SLOTS, DEPTH, CELL = 300, 4, 4.0


def near(values: list[float]) -> list[float]:
    """Values, and the next floats below and above them."""
    return [float(np.nextafter(np.float32(value), np.float32(toward))) if toward is not None else value
            for value in values for toward in (-np.inf, None, np.inf)]


borders = st.sampled_from(near([-8.0, -4.0, 0.0, 4.0, 8.0, 40.0, -400.0]))
lanes = st.one_of(borders, st.floats(-12, 12, width=32), st.floats(-12, 12))
points = st.tuples(lanes, lanes, lanes)
flat = st.tuples(lanes, lanes, st.just(0.0))
wild = st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e30, 1e9, 1e-300, 0.0])
wild_points = st.tuples(st.one_of(lanes, wild), st.one_of(lanes, wild), st.one_of(lanes, wild))
handles = st.tuples(st.integers(0, 9), st.integers(1, 2)).map(lambda both: both[1] << 32 | both[0])
shapes = st.tuples(st.sampled_from([0.0, 0.25, 1.0, 5.0]), st.one_of(st.just((0.0, 0.0, 0.0)), points),
                   st.one_of(st.none(), points))
times = st.integers(-4, 40).map(lambda n: n / 4)


def place(who: st.SearchStrategy[model.Point]) -> st.SearchStrategy[Places]:
    return st.dictionaries(handles, who, max_size=10).map(
        lambda places: {handle: places[handle] for handle in {key & 0xFFFFFFFF: key for key in places}.values()})


def among(seed: int, ticks: list[Places]) -> list[Places]:
    """With so many others around that the grid is worth it (for a dozen everybody is looked at)."""
    luck = np.random.default_rng(seed)
    others = {1 << 32 | slot: tuple(luck.uniform(-60, 60, 3).tolist()) for slot in range(10, SLOTS)}
    return [places | others for places in ticks]


def crowd(seed: int, deep: bool, fast: float) -> list[Places]:
    """A tick of many, who walk for four ticks; a part of them (0 to 1) runs 1 to 12 units in each."""
    luck = np.random.default_rng(seed)
    at = luck.uniform(-40, 40, (SLOTS, 3)) * (1, 1, deep)
    at[luck.random(SLOTS) < 0.2] = np.round(at[luck.random(SLOTS) < 0.2][:1] / CELL) * CELL
    ticks = []
    for _ in range(4):
        ticks.append({(1 << 32 | row): tuple(at[row].tolist()) for row in range(SLOTS) if luck.random() < 0.95})
        size = np.where(luck.random(SLOTS) < fast, luck.uniform(1, 12, SLOTS), luck.uniform(0, 0.9, SLOTS))
        way = luck.normal(size=(SLOTS, 3)) * (1, 1, deep)
        at += way / np.linalg.norm(way, axis=1)[:, None] * size[:, None]
    return ticks


def recorded(ticks: list[Places], layer: float, teleport: float = 8.0,
             cell: float = CELL) -> tuple[History, model.History]:
    fast, slow = History(SLOTS, DEPTH, teleport, cell, layer), model.History(DEPTH, teleport)
    for tick, places in enumerate(ticks, 1):
        fast.begin(tick)
        if places:
            half = len(places) // 2                             # two classes; sorted in between, and not
            who, where = np.array(list(places), np.uint64), np.array(list(places.values()), np.float64)
            fast.add(who[:half], where[:half])
            if tick % 2:
                fast.finish()
            fast.add(who[half:], where[half:])
        slow.record(tick, places)
    return fast, slow


def columns(shots: list[Shot]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64],
                                        NDArray[np.uint64]]:
    return (np.array([shot[0] for shot in shots]), np.array([shot[1] for shot in shots]),
            np.array([shot[2] for shot in shots]), np.array([shot[3] for shot in shots], np.uint64))


def agree(fast: History, slow: model.History, shots: list[Shot],
          shape: tuple[float, model.Point, model.Point | None]) -> int:
    """Both say the same of each shot, and of a blast at its start as wide as its way is along x; how many hit."""
    radius, foot, head = shape[0], shape[1], shape[2] or shape[1]
    starts, ways, times, ignore = columns(shots)
    handles, parts = np.zeros(len(shots), np.uint64), np.zeros(len(shots))
    fast.shoot(starts, ways, times, ignore, radius, foot, head, handles, parts)
    expected = [slow.first(start, way, time, radius, foot, head, mine) for start, way, time, mine in shots]
    assert list(zip(handles.tolist(), parts.tolist(), strict=True)) == expected
    which, who, apart = fast.within(starts, np.ascontiguousarray(ways[:, 0]), times, ignore, radius, foot, head)
    for i, (start, way, time, mine) in enumerate(shots):
        found = list(zip(who[which == i].tolist(), apart[which == i].tolist(), strict=True))
        assert sorted(found) == sorted(slow.blast(start, way[0], time, radius, foot, head, mine).items())
    return int(np.count_nonzero(handles))


@settings(max_examples=200, deadline=None)
@given(st.lists(place(points), min_size=1, max_size=6),
       st.lists(st.tuples(points, points, times, st.one_of(st.just(0), handles)), min_size=1, max_size=6), shapes,
       st.sampled_from([0.0, 3.0, 4.0]), st.sampled_from([0.0, 2.0, 8.0, 100.0]))
@example([{1 << 32: (4.0, 4.0, 0.0)}], [((0.0, 4.0, 0.0), (8.0, 0.0, 0.0), 1.0, 0)], (0.0, (0.0, 0.0, 0.0), None), 4.0,
         8.0)
@example([{1 << 32: (0.0, 0.0, 0.0)}], [((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.0, 0)], (0.0, (0.0, 0.0, 0.0), None), 0.0,
         8.0)
def test_the_grid_loses_nobody(ticks: list[Places], shots: list[Shot],
                               shape: tuple[float, model.Point, model.Point | None], layer: float,
                               teleport: float) -> None:
    agree(*recorded(among(1, ticks), layer, teleport, 2.0), shots, shape)


@settings(max_examples=100, deadline=None)
@given(st.lists(place(wild_points), min_size=1, max_size=6),
       st.lists(st.tuples(wild_points, wild_points, st.one_of(times, wild), st.just(0)), min_size=1, max_size=6),
       shapes)
def test_what_is_no_number_or_far_away_is_the_same_too(ticks: list[Places], shots: list[Shot],
                                                       shape: tuple[float, model.Point, model.Point | None]) -> None:
    agree(*recorded(among(2, ticks), 4.0), shots, shape)


@pytest.mark.parametrize("fast", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("deep", [False, True])
def test_a_crowd_is_met_as_if_everybody_were_looked_at(deep: bool, fast: float) -> None:
    luck = np.random.default_rng(7)
    ticks = crowd(round(fast * 100) + deep, deep, fast)
    history, slow = recorded(ticks, CELL * deep, teleport=10.0)
    shots: list[Shot] = []
    for number in range(120):
        start, way = luck.uniform(-45, 45, 3), luck.normal(size=3) * luck.choice((0, 1, 30, 1e5))
        start[2], way[2] = start[2] * deep, way[2] * deep
        if number % 2:                                          # at somebody
            way = np.array(list(ticks[1].values())[number]) - start
        if number % 3 == 0:                                     # along a border of cells
            axis = luck.integers(0, 2 + deep)
            start = np.round(start / CELL) * CELL
            way = np.eye(3)[axis] * luck.choice((-60, 60))
        time = 2.0 if number % 2 and number % 3 else float(luck.integers(4, 17) / 4)
        shots.append((tuple(start.tolist()), tuple(way.tolist()), time, 1 << 32 | number))
    hits = agree(history, slow, shots, (0.5, (0.0, 0.0, 0.2 * deep), (0.0, 0.0, 1.2 * deep)))
    assert hits > 15
    assert agree(history, slow, shots[:30], (0.0, (0.0, 0.0, 0.0), None)) < hits

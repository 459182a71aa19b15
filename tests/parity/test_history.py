"""The compiled history finds whom trying finds, at every time, whoever came, went, walked and was teleported."""
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland._core.world.history import History
from tests.reference import history as model

SLOTS, DEPTH, TELEPORT, NEAR = 6, 4, 4.0, 1e-5

lanes = st.integers(-24, 24).map(lambda n: n / 4)               # exact in float32
points = st.tuples(lanes, lanes, lanes)
entities = st.tuples(st.integers(0, SLOTS - 1), st.integers(1, 2)).map(lambda both: both[1] << 32 | both[0])
frames = st.tuples(st.integers(1, 3), st.dictionaries(entities, points, max_size=SLOTS))
shots = st.tuples(points, points, st.integers(-8, 80), st.one_of(st.just(0), entities))
shapes = st.tuples(st.sampled_from([0.0, 0.25, 1.0, 3.0]), points, st.one_of(st.none(), points))


def recorded(frames: list[tuple[int, dict[int, model.Point]]]) -> tuple[History, model.History]:
    fast, slow = History(SLOTS, DEPTH, TELEPORT, 1.5, 1.5), model.History(DEPTH, TELEPORT)
    tick = 0
    for gap, places in frames:
        tick += gap
        one_each = {handle & 0xFFFFFFFF: handle for handle in places}       # a slot has one entity at a time
        places = {handle: places[handle] for handle in one_each.values()}
        fast.begin(tick)
        if places:
            fast.add(np.array(list(places), np.uint64), np.array(list(places.values()), np.float64))
        slow.record(tick, places)
    return fast, slow


@settings(max_examples=300, deadline=None)
@given(st.lists(frames, min_size=1, max_size=8), st.lists(shots, min_size=1, max_size=5), shapes)
def test_what_a_shot_meets_first(frames: list[tuple[int, dict[int, model.Point]]],
                                 shots: list[tuple[model.Point, model.Point, int, int]],
                                 shape: tuple[float, model.Point, model.Point | None]) -> None:
    fast, slow = recorded(frames)
    radius, foot, head = shape[0], shape[1], shape[2] or shape[1]
    starts, ways = np.array([shot[0] for shot in shots]), np.array([shot[1] for shot in shots])
    times = np.array([shot[2] / 4 for shot in shots])
    ignore = np.array([shot[3] for shot in shots], np.uint64)
    handles, parts = np.zeros(len(shots), np.uint64), np.zeros(len(shots))
    fast.shoot(starts, ways, times, ignore, radius, foot, head, handles, parts)
    for i, (start, way, _, mine) in enumerate(shots):
        tried = slow.shoot(start, way, float(times[i]), radius, foot, head)
        tried.pop(mine, None)
        sure = [part for least, part in tried.values() if least < radius - NEAR]
        first = min(sure, default=np.inf)
        if handles[i]:
            least, part = tried[int(handles[i])]
            assert least <= radius + NEAR and parts[i] <= first + NEAR
            assert least > radius - NEAR or abs(part - parts[i]) < NEAR
        else:
            assert not sure and parts[i] == np.inf


@settings(max_examples=200, deadline=None)
@given(st.lists(frames, min_size=1, max_size=8), points, st.sampled_from([0.0, 1.0, 5.0]), st.integers(-8, 80), shapes)
def test_who_is_within_a_distance_and_where_everybody_was(
        frames: list[tuple[int, dict[int, model.Point]]], centre: model.Point, radius: float, time: int,
        shape: tuple[float, model.Point, model.Point | None]) -> None:
    fast, slow = recorded(frames)
    there = slow.at(time / 4)
    foot, head = shape[1], shape[2] or shape[1]
    apart = {who: max(0.0, model.to_line(centre, model.plus(place, foot), model.plus(place, head)) - shape[0])
             for who, place in there.items()}
    which, handles, distances = fast.within(
        np.array([centre]), np.array([radius]), np.array([time / 4]), np.zeros(1, np.uint64), shape[0], foot, head)
    found = dict(zip(handles.tolist(), distances.tolist(), strict=True))
    assert which.tolist() == [0] * len(found) and len(handles) == len(found)
    for who, distance in apart.items():
        assert who in found or distance > radius - NEAR
    for who, distance in found.items():
        assert abs(distance - apart[who]) < NEAR and distance <= radius + NEAR
    everybody = np.array([g << 32 | s for g in (1, 2) for s in range(SLOTS)], np.uint64)
    where = np.zeros((len(everybody), 3))
    fast.where(everybody, np.full(len(everybody), time / 4), where)
    for who, place in zip(everybody.tolist(), where, strict=True):
        assert np.isnan(place).all() if who not in there else np.allclose(place, there[who], atol=NEAR)

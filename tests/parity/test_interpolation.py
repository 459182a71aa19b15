"""The buffer shows what the slow model shows, whatever came, when it came, and however frames fall.

Snapshots late, early, out of order and twice, with gaps; clocks that are measured, differently each time, and set;
entities that enter, leave, come back as another, stand on the border of a teleport, and turn through the half circle.
"""
import math
from typing import Annotated as A
from typing import Any, cast

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

import shadowland as sl
from shadowland.interpolation import Interpolation
from shadowland.view import Seen, Snapshot
from tests.reference import interpolation as model

HZ, TELEPORT = 20.0, 10.0
FIELDS = {"position": "velocity", "velocity": "", "size": ""}


class Runner(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.001), sl.Predicted(by="velocity")] = (0.0, 0.0)
    velocity: A[sl.Vec2, sl.Quantized(step=0.001)] = (0.0, 0.0)
    size: A[float, sl.Quantized(step=0.01)] = 1.0
    yaw: sl.Angle = 0.0
    health: A[int, sl.Range(0, 100)] = 100


class Came:
    """A snapshot, as far as the buffer looks at it."""

    def __init__(self, tick: int, entities: dict[int, model.Entity]) -> None:
        self.tick, self.entities = tick, entities

    def __getitem__(self, cls: type[Runner]) -> Seen[Runner]:
        columns = {name: [one[name] for one in self.entities.values()] for name in (*FIELDS, "yaw", "health")}
        arrays: dict[str, Any] = {"health": np.array(columns["health"], np.int64).reshape(-1)}
        arrays |= {name: np.array(columns[name], np.float32).reshape(-1, 2) for name in ("position", "velocity")}
        arrays |= {name: np.array(columns[name], np.float32).reshape(-1) for name in ("size", "yaw")}
        return Seen(Runner, arrays, np.array(list(self.entities), np.uint64))


small = st.integers(-40, 40).map(lambda n: n / 8)
handles = st.tuples(st.integers(1, 2), st.integers(0, 3)).map(lambda both: both[0] << 32 | both[1])
entities = st.builds(
    lambda x, y, u, v, size, yaw, health: {"position": (x, y), "velocity": (u, v), "size": (size,), "yaw": (yaw,),
                                           "health": (health,)},
    st.one_of(small, st.sampled_from([10.0, -10.0, 10.125, 100.0])), small, small, small, small,
    st.one_of(small, st.sampled_from([3.125, -3.125])).filter(lambda yaw: abs(yaw) <= 3.125), st.integers(0, 100))
worlds = st.dictionaries(handles, entities, max_size=4)
passes = st.integers(0, 12).map(lambda n: n / 64)
clocks = st.one_of(st.just(0.0), st.integers(-6, 6).map(lambda n: 5.0 + n / 256), st.sampled_from([5.25, -3.0]))
actions = st.one_of(
    st.tuples(st.just("came"), passes, st.integers(-3, 6), worlds, clocks),
    st.tuples(st.just("burst"), st.integers(1, 40), st.just(1), worlds, clocks),
    st.tuples(st.just("frame"), passes, st.integers(0, 0), worlds, clocks),
    st.tuples(st.just("tick"), passes, st.integers(-80, 160), worlds, clocks),
)


def same(fast: Interpolation[Runner], slow: model.Interpolation, now_s: float, tick: float | None) -> None:
    seen, (shown, extrapolated, expected) = fast.at(now_s, tick), slow.at(now_s, tick)
    assert seen.handles.tolist() == list(expected)
    assert math.isnan(shown) and math.isnan(seen.tick) or abs(shown - seen.tick) < 1e-6
    assert seen.extrapolated == extrapolated and fast.extrapolations == slow.extrapolations
    for row, one in enumerate(expected.values()):
        for name in FIELDS:
            assert np.allclose(np.atleast_1d(getattr(seen, name)[row]), one[name], rtol=1e-5, atol=1e-4), name
        assert abs(math.remainder(float(seen.yaw[row]) - one["yaw"][0], math.tau)) < 1e-5
        assert seen.health[row] == one["health"][0]


@settings(max_examples=300, deadline=None)
@given(st.lists(actions, min_size=1, max_size=30), st.sampled_from([(20.0, 250.0, 250.0), (0.0, 0.0, 0.0),
                                                                    (300.0, 1000.0, 100.0)]))
@example([("came", 0.0, 1, {1 << 32: {"position": (0.0, 0.0), "velocity": (1.0, 0.0), "size": (1.0,), "yaw": (3.125,),
                                      "health": (1,)}}, 0.0),
          ("came", 0.0, 4, {1 << 32: {"position": (10.0, 0.0), "velocity": (0.0, 1.0), "size": (2.0,),
                                      "yaw": (-3.125,), "health": (2,)}}, 0.0),
          ("tick", 0.0, -16, {}, 0.0)], (20.0, 250.0, 250.0))
def test_what_is_shown_is_what_the_slow_model_shows(
        actions: list[tuple[str, float, int, dict[int, model.Entity], float]],
        bounds: tuple[float, float, float]) -> None:
    least, most, extrapolate = bounds
    fast = Interpolation(Runner, tick_hz=HZ, least_ms=least, most_ms=most, extrapolate_ms=extrapolate,
                         teleport=TELEPORT)
    slow = model.Interpolation(HZ, FIELDS, ("yaw",), least, most, extrapolate, TELEPORT)
    now_s, tick = 100.0, 5
    for what, passed, step, world, clock_s in actions:
        if what == "burst":                                     # more than is kept of arrivals, in the end
            for _ in range(int(passed)):
                now_s, tick = now_s + 1 / HZ, tick + 1
                assert fast.add(cast(Snapshot, Came(tick, world)), now_s, clock_s * 1000)
                assert slow.add(tick, world, now_s, clock_s)
            continue
        now_s += passed
        if what == "came":
            taken = fast.add(cast(Snapshot, Came(tick + step, world)), now_s, clock_s * 1000)
            assert taken == slow.add(tick + step, world, now_s, clock_s)
            tick = max(tick, tick + step)
            assert abs(fast.delay_ms - slow.delay_ms) < 1e-6
        else:
            same(fast, slow, now_s, None if what == "frame" else tick + step / 8)


def test_arrivals_are_forgotten_as_the_slow_model_forgets_them() -> None:
    luck = np.random.default_rng(3)
    fast = Interpolation(Runner, tick_hz=HZ, most_ms=1000.0)
    slow = model.Interpolation(HZ, FIELDS, ("yaw",), most_ms=1000.0)
    now_s, delays = 0.0, []
    for tick in range(1, 1500):
        jitter_s = 0.3 if tick < 60 else 0.02
        now_s = max(now_s, tick / HZ + float(luck.uniform(0, jitter_s)))
        clock_s = 0.0 if tick < 200 else 2.0 + float(luck.uniform(-0.01, 0.01)) if tick % 20 == 0 else slow.heard_s
        assert fast.add(cast(Snapshot, Came(tick, {})), now_s, clock_s * 1000) and slow.add(tick, {}, now_s, clock_s)
        same(fast, slow, now_s, None)
        assert abs(fast.delay_ms - slow.delay_ms) < 1e-6
        delays.append(fast.delay_ms)
    assert delays[58] > 200 and delays[150] < 100 and delays[300] > 100 and delays[-1] < 100

"""Invariant: a position with quadrants arrives within half a step wherever it is, and the same on both ends."""
import math
from fractions import Fraction
from pathlib import Path
from typing import Annotated as A

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import shadowland as sl
from shadowland._core.base.records import EVENT_DTYPE, JOINED, SNAPSHOT_ACKED
from shadowland._core.world.truth import Truth
from shadowland.authority import Map
from shadowland.errors import ConfigError, UsageError
from shadowland.schema import Quadrants, decode_columns, decode_one, encode_columns, encode_one, layout
from shadowland.view import Seen, View
from shadowland.world import World

HZ, EDGE, HEIGHT, STEP = 30, 102400.0, 6400.0, 0.01
ENDS = 2**31


class Nomad(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=STEP), Quadrants(edge=(EDGE, EDGE, HEIGHT)),
                sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05), sl.Range(-200, 200)] = (0, 0, 0)


class Far(sl.Entity):
    """As many quadrants as there are, in steps that float64 holds everywhere."""

    position: A[sl.Vec2, sl.Quantized(step=1 / 32), Quadrants(edge=EDGE)] = (0, 0)


class Small(sl.Entity):
    """Four quadrants along each axis."""

    position: A[sl.Vec2, sl.Quantized(step=0.5), Quadrants(edge=64, bits=2)] = (0, 0)
    depth: A[float, sl.Quantized(step=0.25), Quadrants(edge=16.0, bits=1), sl.Rate(hz=HZ / 3)] = 0.0


class Whereabouts(sl.Message):
    place: A[sl.Vec2, sl.Quantized(step=0.5), Quadrants(edge=64, bits=2)] = (0, 0)
    depth: A[float, sl.Quantized(step=0.25), Quadrants(edge=16.0)] = 0.0


SCHEMA = sl.Schema([Nomad, Far, Small], [])


class Told:
    """A world and the view of one observer who is told everything at once; it looks from the first entity."""

    def __init__(self, *entities: sl.Entity) -> None:
        self.world = World(SCHEMA, tick_hz=HZ, aoi=sl.Grid(cell=1000, radius=5000), capacity=64, observers=1)
        self.view = View(SCHEMA, tick_hz=HZ, tick=0)
        self.handles = [self.world.spawn(entity) for entity in entities]
        self.event(JOINED)
        self.world.set_avatar(0, self.handles[0])
        self.tick = self.sent = 0
        self.publish()

    def event(self, kind: int, token: int = 0) -> None:
        events = np.zeros(1, EVENT_DTYPE)
        events["connection"], events["kind"], events["token"] = 1 << 32, kind, token
        self.world.events(events)

    def publish(self) -> None:
        self.tick += 1
        self.world.publish(self.tick)
        records, arena = self.world.replicate(np.zeros(1, np.uint32))
        self.sent = 0
        for record in records:
            payload = arena[int(record["offset"]):][:int(record["length"])].tobytes()
            assert self.view.views.apply(payload, 0) == 0
            self.event(SNAPSHOT_ACKED, int(record["number"]))
            self.sent += len(payload) - 2

    def shown(self, cls: type[sl.Entity]) -> NDArray[np.float64]:
        seen: Seen[sl.Entity] = self.view.snapshot()[cls]
        position: NDArray[np.float64] = seen.position
        assert position.dtype == np.float64
        return position

    def quanta(self) -> tuple[list[int], list[int]]:
        """Of the first entity, as published and as seen."""
        seen = self.view.views.known()
        return (self.world.core.published(self.handles[0]) or [],
                self.view.views.states(seen["seat"][seen["handle"] == self.handles[0]], 1)[0].tolist())


def off(shown: float, place: float) -> Fraction:
    return abs(Fraction(shown) - Fraction(place))


borders = st.builds(lambda quadrant, beside: quadrant * EDGE + beside,
                    st.one_of(st.integers(-3, 3), st.integers(-2**28, 2**28)),
                    st.sampled_from([0.0, STEP / 2, -STEP / 2, 0.004999, -0.004999, 0.005001, -0.005001, 1e-9, -1e-9]))
anywhere = st.one_of(borders, st.floats(-2**44, 2**44))


@given(anywhere, anywhere, st.one_of(st.integers(-3, 3).map(lambda n: n * HEIGHT - 0.0049), st.floats(-1e9, 1e9)))
def test_a_position_arrives_within_half_a_step_at_every_border_and_in_negative_quadrants(
        x: float, y: float, z: float) -> None:
    told = Told(Nomad(position=(x, y, z)))
    for shown, place in zip(told.shown(Nomad)[0].tolist(), (x, y, z), strict=True):
        # Half a step, what step and quotient are rounded by, and what a double out there is.
        assert off(shown, place) <= Fraction(STEP) / 2 * (1 + Fraction(1, 10**6)) + Fraction(math.ulp(place)) / 2
    assert told.world.core.stats["saturated_values"] == 0


@given(st.lists(st.one_of(st.integers(-ENDS, ENDS - 1), st.sampled_from([-ENDS, -1, 0, ENDS - 1])), min_size=2,
                max_size=2), st.tuples(st.integers(0, 32 * 102400 - 1), st.integers(0, 32 * 102400 - 1)))
def test_in_a_world_of_two_to_the_31_quadrants_a_thirty_second_of_a_unit_is_exact(
        quadrants: list[int], offsets: tuple[int, int]) -> None:
    x, y = (quadrant * EDGE + offset / 32 for quadrant, offset in zip(quadrants, offsets, strict=True))
    told = Told(Far(position=(x, y)))
    assert told.shown(Far)[0].tolist() == [x, y]
    published = told.world.core.published(told.handles[0])
    assert published == [*offsets, *quadrants]
    assert told.world.core.stats["saturated_values"] == 0


def test_both_ends_agree_to_the_quantum_while_it_walks_over_borders() -> None:
    """The prediction goes over the border on both ends, so nothing is said there; where it is said, nothing differs."""
    told = Told(Nomad(position=(EDGE - 3.0, 2.0, -1.0), velocity=(7.0, -7.0, 1.0)))
    told.publish()
    said = 0
    for _ in range(60):
        told.world[Nomad].position += told.world[Nomad].velocity / HZ
        told.publish()
        said += told.sent > 0
        published, seen = told.quanta()
        spans = (10_240_000, 10_240_000, 640_000)
        for lane, span in enumerate(spans):
            apart = (published[3 + lane] - seen[3 + lane]) * span + published[lane] - seen[lane]
            assert abs(apart) <= 3
    assert published[3:6] == [1, -1, 0]                 # it crossed all three borders
    assert said <= 2                                    # refreshed at most, not told of borders


def test_a_quadrant_costs_one_bit_while_it_stays_or_follows_its_offset() -> None:
    class Plain(sl.Entity):
        position: A[sl.Vec3, sl.Quantized(step=STEP)] = (0, 0, 0)

    class Cut(sl.Entity):
        position: A[sl.Vec3, sl.Quantized(step=STEP), Quadrants(edge=(EDGE, EDGE, HEIGHT))] = (0, 0, 0)

    def bits(cls: type[sl.Entity], *places: tuple[float, float, float]) -> list[int]:
        schema = sl.Schema([cls], [])
        world = World(schema, tick_hz=HZ, aoi=sl.Grid(cell=1000, radius=5000), capacity=4, observers=1)
        handle = world.spawn(cls(position=places[0]))  # type: ignore[call-arg]
        events = np.zeros(1, EVENT_DTYPE)
        events["connection"], events["kind"] = 1 << 32, JOINED
        world.events(events)
        world.set_avatar(0, handle)
        lengths = []
        for tick, place in enumerate(places, 1):
            if tick > 1:
                world[cls].position[0] = place
            world.publish(tick)
            records, _ = world.replicate(np.zeros(1, np.uint32))
            lengths.append(int(records["length"][0]))
            events["kind"], events["token"] = SNAPSHOT_ACKED, records["number"][0]
            world.events(events)
        return lengths[1:]

    steps = (EDGE - 1.0, 1.0, 1.0), (EDGE + 1.0, -1.0, -1.0), (EDGE - 1.5, 1.0, 2.0)
    plain, cut = bits(Plain, *steps), bits(Cut, *steps)
    assert all(after <= before + 1 for before, after in zip(plain, cut, strict=True))   # a bit, so a byte at most
    jump = bits(Cut, (0, 0, 0), (EDGE * 70_000 + 1.0, 0, 0))
    assert jump[0] > cut[0]


def test_a_jump_of_any_size_arrives() -> None:
    told = Told(Nomad(position=(5.0, 5.0, 5.0)))
    places = [(EDGE / 2, -EDGE / 2, HEIGHT / 2), (-EDGE / 2, EDGE / 2, 0.0), (1e13, -1e13, -3e12), (-1e13, 0.0, 3e12),
              (2**31 * EDGE - 50_000.0, -2**31 * EDGE, 0.0), (-2**31 * EDGE, 2**31 * EDGE - 1.0, 0.0)]
    for place in places:
        told.world[Nomad].position[0] = place
        told.publish()
        for shown, wanted in zip(told.shown(Nomad)[0].tolist(), place, strict=True):
            assert abs(shown - wanted) <= STEP / 2 + math.ulp(wanted)
        assert told.quanta()[0] == told.quanta()[1]


def test_beyond_the_last_quadrant_it_stops_there_and_is_counted() -> None:
    told = Told(Small(position=(127.4, -128.0), depth=-16.0))
    stats = told.world.core.stats
    assert (stats["saturated_values"], stats["refused_values"]) == (0, 0)
    assert told.shown(Small).tolist() == [[127.5, -128.0]]
    for place, shown in (((127.76, -128.26), [127.5, -128.0]), ((1e300, -1e300), [127.5, -128.0]),
                         ((127.75, 128.0), [127.5, 127.5])):
        told.world[Small].position[0] = place
        before = told.world.core.stats["saturated_values"]
        told.publish()
        assert told.world.core.stats["saturated_values"] == before + 2
        assert told.shown(Small).tolist() == [shown]


def test_what_is_no_number_is_refused_and_the_position_before_stays() -> None:
    told = Told(Small(position=(1.0, -1.0)))
    for wrong in (math.nan, math.inf, -math.inf):
        told.world[Small].position[0] = (wrong, -2.0)
        before = told.world.core.stats["refused_values"]
        told.publish()
        assert told.world.core.stats["refused_values"] == before + 1
        assert told.shown(Small).tolist() == [[1.0, -2.0]]


def test_a_rate_holds_back_offset_and_quadrant_together() -> None:
    told = Told(Small(depth=-0.5))
    told.publish()
    told.publish()
    told.publish()
    seen = []
    for depth in (0.5, 15.75, -16.0, -0.25, 1.0, 2.0, 3.0):
        told.world[Small].depth[0] = depth
        told.publish()
        seen.append(float(told.view.snapshot()[Small].depth[0]))
    assert seen == [0.5, 0.5, 0.5, -0.25, -0.25, -0.25, 3.0]


def test_who_is_near_is_asked_in_world_units_across_a_border() -> None:
    told = Told(Nomad(position=(1e12 * EDGE / EDGE, -EDGE, 0.0)), Nomad(position=(1e12 + 10.0, -EDGE - 10.0, -5.0)),
                Nomad(position=(1e12, -EDGE + 5100.0, 0.0)))
    assert len(told.shown(Nomad)) == 2
    near = told.world.near(told.handles[0], 20.0)
    assert sorted(near.tolist()) == sorted(told.handles[:2])


def test_a_column_is_float64_in_world_units() -> None:
    told = Told(Small(position=(1.0, 2.0)))
    assert told.world[Small].position.dtype == np.float64 == told.world[Small].depth.dtype
    kinds = layout(Small, HZ).components
    assert kinds["kind"].tolist() == [4, 4, 5, 5, 4, 5]
    assert kinds["bits"].tolist() == [7, 7, 2, 2, 6, 1]
    assert kinds["pair"].tolist() == [2, 3, 0, 1, 5, 4]
    assert kinds["high"].tolist() == [127, 127, 1, 1, 63, 0]


def test_messages_carry_them() -> None:
    message = Whereabouts(place=(63.8, -0.2), depth=-1e9)
    payload = encode_one(message)
    assert decode_one(Whereabouts, payload) == Whereabouts(place=(64.0, 0.0), depth=-1e9)
    assert len(payload) == (2 * (7 + 2) + 6 + 32 + 7) // 8
    places = np.array([[0.0, 127.5], [-128.0, -0.5], [64.0, 63.5]])
    arena, offsets, lengths = encode_columns(Whereabouts, place=places)
    rows, ok = decode_columns(Whereabouts, arena, offsets, lengths)
    assert ok.all() and rows.place.tolist() == places.tolist() and rows.place.dtype == np.float64
    for wrong in ((128.0, 0.0), (0.0, -128.3), (math.nan, 0.0)):
        with pytest.raises(UsageError, match=r"Whereabouts\.place"):
            encode_one(Whereabouts(place=wrong))
        with pytest.raises(UsageError, match=r"Whereabouts\.place"):
            encode_columns(Whereabouts, place=np.array([wrong]))


@pytest.mark.parametrize(("words", "problem"), [
    ((sl.Quantized(step=0.03), Quadrants(edge=100.0)),
     "an edge of 100.0 is not 2 to 2**31 whole steps of 0.03; give 99.99"),
    ((sl.Quantized(step=1.0), Quadrants(edge=1.0)), "an edge of 1.0 is not 2 to"),
    ((sl.Quantized(step=1e-6), Quadrants(edge=1e6)), "whole steps of 1e-06; give 2147.483648"),
    ((sl.Quantized(step=0.1), Quadrants(edge=(10.0, 10.0))), "Quadrants edge is (10.0, 10.0); give one number, or 3"),
    ((sl.Quantized(step=0.1), Quadrants(edge=-1.0)), "the edge of Quadrants is -1.0; give a finite number above 0"),
    ((sl.Quantized(step=0.1), Quadrants(edge=10.0, bits=33)), "Quadrants bits is 33; give 1 to 32"),
    ((sl.Quantized(step=0.1), Quadrants(edge=10.0), sl.Range(0, 5)), "without Range"),
    ((Quadrants(edge=10.0),), "write `sl.Quantized(step=...), Quadrants(edge=..., bits=...)`"),
])
def test_a_mistake_is_named(words: tuple[object, ...], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        type("Thing", (sl.Entity,), {"__annotations__": {"place": A[(sl.Vec3, *words)]}})
    assert str(caught.value).startswith("Thing.place: ") and problem in str(caught.value)


def test_no_angle_and_no_list_has_quadrants() -> None:
    with pytest.raises(ConfigError, match="Quadrants does not go with angle"):
        type("Thing", (sl.Entity,), {"__annotations__": {"yaw": A[sl.Angle, Quadrants(edge=1.0)]}})
    with pytest.raises(ConfigError, match="elements of a list cannot have Quadrants"):
        type("Route", (sl.Message,), {"__annotations__": {
            "points": A[list[sl.Vec2], sl.Quantized(step=0.5), Quadrants(edge=64), sl.MaxLen(4)]}},
            channel="reliable")


def test_a_class_has_at_most_64_numbers_quadrants_included() -> None:
    words = A[sl.Vec2, sl.Quantized(step=0.5), Quadrants(edge=64)]
    type("Full", (sl.Entity,), {"__annotations__": {f"p{i}": words for i in range(16)},
                                **{f"p{i}": (0, 0) for i in range(16)}})
    with pytest.raises(ConfigError, match="17 fields with 68 numbers"):
        type("Over", (sl.Entity,), {"__annotations__": {f"p{i}": words for i in range(17)}})


def test_a_map_says_how_fine_and_how_wide_positions_are(tmp_path: Path) -> None:
    """Per map: the file is read by both sides, and one with another map has another hash."""
    hashes = set()
    for step, edge, bits in ((0.01, "[102400.0, 102400.0, 6400.0]", 32), (0.25, "64", 4), (0.5, "64", 4)):
        (tmp_path / "town.toml").write_text(f"step = {step}\nquadrant = {edge}\nquadrant_bits = {bits}\n")
        town = Map.load(tmp_path / "town.toml")
        assert town.quantized == sl.Quantized(step=step) and town.quadrants is not None and town.quadrants.bits == bits
        cls = type("Thing", (sl.Entity,), {"__annotations__": {
            "place": A[sl.Vec3, town.quantized, town.quadrants]}, "place": (0, 0, 0)})
        assert layout(cls, HZ).components["bits"][3:].tolist() == [bits] * 3
        hashes.add(sl.Schema([cls], []).hash)
    assert len(hashes) == 3
    assert (Map().quantized, Map().quadrants, Map(step=0.5).quadrants) == (None, None, None)


@pytest.mark.parametrize(("text", "problem"), [
    ("step = 0", "step is 0; give the quantum of positions in metres, 1e-06 to 1e+06"),
    ("step = nan", "step is nan; give"), ("step = true", "step is True; give"),
    ("quadrant = 64", "step is missing; a quadrant is cut into steps"),
    ("step = 1\nquadrant = [1, 2, 3, 4]", "quadrant is [1, 2, 3, 4]; give the edge in metres"),
    ("step = 1\nquadrant = []", "quadrant is []; give the edge"),
    ("step = 1\nquadrant = -1", "quadrant is -1; give the edge"),
    ("step = 1\nquadrant = 64\nquadrant_bits = 33", "quadrant_bits is 33; give a whole number, 1 to 32"),
    ("step = 1\nquadrant = 64\nquadrant_bits = 1.0", "quadrant_bits is 1.0; give a whole number"),
])
def test_a_map_that_says_it_wrongly_is_named(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "town.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Map.load(tmp_path / "town.toml")
    assert str(caught.value).startswith(f"map {tmp_path}") and problem in str(caught.value)


def test_quadrants_are_part_of_hash_and_diff() -> None:
    def schema(edge: float, bits: int) -> sl.Schema:
        cls = type("Thing", (sl.Entity,), {"__annotations__": {
            "place": A[sl.Vec2, sl.Quantized(step=0.5), Quadrants(edge=edge, bits=bits)]}, "place": (0, 0)})
        return sl.Schema([cls], [])
    some, other, third = schema(64, 8), schema(32, 8), schema(64, 6)
    assert len({some.hash, other.hash, third.hash}) == 3
    assert some.diff(other) == ["entity Thing.place: quadrants changed 64 × 64, 8 bits each → 32 × 32, 8 bits each: "
                                "30 → 28 bits"]
    assert some.diff(third)[0].endswith("64 × 64, 6 bits each: 30 → 26 bits")


def test_truth_of_quadrants_is_held_against_views(tmp_path: Path) -> None:
    """A view that is right across a border is no mismatch; one that is a whole quadrant off is, at the same offset."""
    told = Told(Small(position=(63.5, -0.5)), Small(position=(62.0, 1.0)))
    told.world.core.give(told.handles[0], 1 << 32)
    truth = Truth(str(tmp_path / "truth"), told.world.table, told.world.core)
    for _ in range(HZ):
        told.world[Small].position[1] += (0.5, -0.5)
        told.publish()
        truth.write(told.tick)
        assert truth.verify(told.view.views) == 0
    assert truth.stats["checked"] == 2 * HZ and truth.stats["unchecked"] == 0
    assert truth.read(told.tick, told.handles[1]) == told.world.core.published(told.handles[1])
    for _ in range(HZ):
        told.publish()
        told.world[Small].position[1] -= (64.0, 0.0)        # what is written is not what was published
        truth.write(told.tick)
        truth.verify(told.view.views)
        assert (truth.stats["off"], truth.stats["ghosts"]) == (1, 0)
        told.world[Small].position[1] += (64.0, 0.0)
    assert truth.stats["mismatches"] == 1

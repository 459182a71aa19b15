"""Invariant: what an observer has in view is what brute force says of radius and hysteresis, whoever walks where."""
from dataclasses import dataclass
from typing import Annotated as A

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import shadowland as sl
from shadowland._core.base.records import EVENT_DTYPE, JOINED, SNAPSHOT_ACKED
from shadowland._core.world.view import Views
from shadowland.world import World

NEAR, WIDE, EXTRA = 8.0, 20.0, 2.0
STEP = 0.25                             # exact in doubles, and in squares: so borders are too


class Wolf(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=STEP)] = (0, 0, 0)


class Bird(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=STEP)] = (0, 0, 0)


@dataclass
class Player:
    handle: int


class Stage:
    """Two observers among entities of two radii, every datagram delivered at once; and the sets as they should be."""

    def __init__(self, places: NDArray[np.float64], cell: float, layer: float) -> None:
        grid = sl.Grid(cell=cell, radius=NEAR, radii={Bird: WIDE}, hysteresis=EXTRA, layer=layer)
        self.world = World(sl.Schema([Wolf, Bird]), tick_hz=30, aoi=grid, capacity=64, observers=2)
        self.views = Views(self.world.table, 2, 256, 16)
        self.players = [Player(1 << 32 | slot) for slot in range(2)]
        self.tick = 0
        self.places: dict[int, NDArray[np.float64]] = {}
        self.radii: dict[int, float] = {}
        self.shown: list[set[int]] = [set(), set()]
        for slot, player in enumerate(self.players):
            self.event(slot, JOINED)
            self.world.set_avatar(slot, self.spawn(Wolf, places[slot], player))
        for at, place in enumerate(places[2:]):
            self.spawn(Bird if at % 2 else Wolf, place)

    def spawn(self, cls: type[Wolf | Bird], place: NDArray[np.float64], owner: Player | None = None) -> int:
        handle = self.world.spawn(cls(position=tuple(place)), owner=owner)
        self.places[handle], self.radii[handle] = place, NEAR if cls is Wolf else WIDE
        return handle

    def event(self, slot: int, kind: int, token: int = 0) -> None:
        events = np.zeros(1, EVENT_DTYPE)
        events["connection"], events["kind"], events["token"] = self.players[slot].handle, kind, token
        self.world.events(events)

    def step(self) -> None:
        """Publish, deliver, and hold both views against brute force."""
        self.tick += 1
        for cls in (Wolf, Bird):
            columns = self.world[cls]
            for row, handle in enumerate(columns.handles.tolist()):
                columns.position[row] = self.places[handle]
        self.world.publish(self.tick)
        records, arena = self.world.replicate(np.arange(2, dtype=np.uint32), 0, np.full(2, 50_000, np.uint32))
        records = records.copy()
        slots = (records["connection"] & np.uint64(0xFFFFFFFF)).astype(np.int32)
        assert self.views.apply_records(records, arena, slots) == len(records)
        for slot, token in zip(slots.tolist(), records["number"].tolist(), strict=True):
            self.event(slot, SNAPSHOT_ACKED, token)
        for slot in range(2):
            avatar = list(self.places)[slot]
            should = set()
            for handle, place in self.places.items():
                apart = float(((place - self.places[avatar]) ** 2).sum())
                limit = self.radii[handle] + (EXTRA if handle in self.shown[slot] else 0)
                if apart <= limit * limit:
                    should.add(handle)
            self.shown[slot] = should
            assert set(self.views.known(slot)["handle"].tolist()) == should


offsets = st.sampled_from([0.0, -3.0, 65536.0, -5e8, 5e8])
numbers = st.integers(-100, 100).map(lambda n: n * STEP)
walks = st.lists(st.tuples(st.integers(0, 11), st.tuples(numbers, numbers, numbers)), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=4, max_size=12), st.tuples(offsets, offsets, offsets),
       st.sampled_from([1.0, 3.0, 8.0, 50.0]), st.sampled_from([0.0, 1.0, 4.0, 100.0]),
       st.lists(walks, min_size=1, max_size=12))
def test_what_is_in_view_is_what_brute_force_says_at_every_tick(
        places: list[tuple[float, float, float]], offset: tuple[float, float, float], cell: float, layer: float,
        steps: list[list[tuple[int, tuple[float, float, float]]]]) -> None:
    stage = Stage(np.array(places) + offset, cell, layer)
    stage.step()
    for moves in steps:
        handles = list(stage.places)
        for which, place in moves:
            stage.places[handles[which % len(handles)]] = np.array(place) + offset
        stage.step()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("layer", [0.0, 3.0])
def test_who_goes_to_and_fro_between_the_two_radii_comes_once_and_never_leaves(axis: int, layer: float) -> None:
    places = np.zeros((3, 3))
    places[1] += 1000
    stage = Stage(places, 3.0, layer)
    wolf = list(stage.places)[2]
    for tick in range(60):
        place = np.zeros(3)
        place[axis] = NEAR + (EXTRA if tick % 2 else 0)             # both borders belong to it
        stage.places[wolf] = place
        stage.step()
        assert wolf in stage.shown[0]
    before = stage.world.core.stats["enters"], stage.world.core.stats["leaves"]
    place[axis] = NEAR + EXTRA + STEP
    stage.step()
    assert wolf not in stage.shown[0]
    place[axis] = NEAR + STEP                                       # outside the inner one it does not come back
    stage.step()
    assert wolf not in stage.shown[0]
    assert (stage.world.core.stats["enters"], stage.world.core.stats["leaves"]) == (before[0], before[1] + 1)

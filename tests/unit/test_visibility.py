"""Invariant: what an observer may not see by its masks is in none of its snapshots; its owner sees it always."""
from dataclasses import dataclass
from typing import Annotated as A

import numpy as np
import pytest

import shadowland as sl
from shadowland._core.base.records import EVENT_DTYPE, JOINED, SNAPSHOT_ACKED
from shadowland._core.world.view import Views
from shadowland.world import World

RED, BLUE = 1, 1 << 63


class Scout(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0, 0)


@dataclass
class Player:
    handle: int


class Stage:
    """Two players at one place, an entity between them, and what each of them shows."""

    def __init__(self) -> None:
        self.world = World(sl.Schema([Scout]), tick_hz=30, aoi=sl.Grid(cell=5, radius=20), capacity=8, observers=2)
        self.views = Views(self.world.table, 2, 256, 16)
        self.tick = 0
        self.players = [Player(1 << 32), Player(1 << 32 | 1)]
        self.avatars = [self.join(slot) for slot in range(2)]
        self.scout = self.world.spawn(Scout())

    def event(self, slot: int, kind: int, token: int = 0) -> None:
        events = np.zeros(1, EVENT_DTYPE)
        events["connection"], events["kind"], events["token"] = self.players[slot].handle, kind, token
        self.world.events(events)

    def join(self, slot: int) -> int:
        self.event(slot, JOINED)
        avatar = self.world.spawn(Scout())
        self.world.set_avatar(slot, avatar)
        return avatar

    def step(self) -> list[bool]:
        """One tick with nothing lost; for each player, whether it shows the scout."""
        self.tick += 1
        self.world.publish(self.tick)
        records, arena = self.world.replicate(np.arange(2, dtype=np.uint32))
        records = records.copy()
        slots = (records["connection"] & np.uint64(0xFFFFFFFF)).astype(np.int32)
        assert self.views.apply_records(records, arena, slots) == len(records)
        for slot, token in zip(slots.tolist(), records["number"].tolist(), strict=True):
            self.event(slot, SNAPSHOT_ACKED, token)
        return [self.scout in self.views.known(slot)["handle"].tolist() for slot in range(2)]


def test_everybody_sees_everything_until_a_mask_is_set() -> None:
    stage = Stage()
    assert stage.step() == [True, True]
    stage.world.set_visible_to(stage.scout, RED)
    assert stage.step() == [True, True]                 # players see with all bits


def test_teams_see_their_own_and_what_hides_is_gone_with_the_next_snapshot() -> None:
    stage = Stage()
    stage.world.set_sees(0, RED)
    stage.world.set_sees(1, BLUE)
    stage.world.set_visible_to(stage.scout, RED)
    assert stage.step() == [True, False]                # in the tick it was spawned in: it was never shown to blue
    stage.world.set_visible_to([stage.scout, stage.avatars[1]], BLUE)
    assert stage.step() == [False, True]
    assert stage.avatars[1] not in stage.views.known(0)["handle"].tolist()
    stage.world.set_visible_to(np.array([stage.scout], np.uint64), RED | BLUE)
    assert stage.step() == [True, True]
    stage.world.set_visible_to(stage.scout, 0)
    assert stage.step() == [False, False]


def test_the_owner_sees_what_nobody_may_see() -> None:
    stage = Stage()
    mine = stage.world.spawn(Scout(), owner=stage.players[1])
    stage.world.set_visible_to(mine, 0)
    stage.world.set_sees(1, 0)
    stage.step()
    assert mine not in stage.views.known(0)["handle"].tolist()
    assert stage.views.known(1)["handle"].tolist() == [mine]


def test_who_joins_sees_with_all_bits_whoever_had_the_slot_before() -> None:
    stage = Stage()
    stage.world.set_visible_to(stage.scout, RED)
    stage.world.set_sees(0, 0)
    assert stage.step() == [False, True]
    stage.players[0] = Player(2 << 32)
    stage.views.reset(0)
    stage.join(0)
    assert stage.step() == [True, True]


def test_a_new_entity_in_the_slot_of_a_hidden_one_is_visible() -> None:
    stage = Stage()
    stage.world.set_visible_to(stage.scout, 0)
    stage.step()
    hidden = stage.scout
    for _ in range(8):
        stage.world.despawn(stage.scout)
        stage.step()
        stage.scout = stage.world.spawn(Scout())
        assert stage.step() == [True, True]
        if stage.scout & 0xFFFFFFFF == hidden & 0xFFFFFFFF:
            return
    raise AssertionError("the slot was never taken again")


@pytest.mark.parametrize("mask", [-1, 2**64])
def test_a_mask_is_64_bits(mask: int) -> None:
    stage = Stage()
    with pytest.raises(sl.UsageError, match=f"mask is {mask}; it must be 64 bits"):
        stage.world.set_visible_to(stage.scout, mask)
    with pytest.raises(sl.UsageError, match=f"mask is {mask}; it must be 64 bits"):
        stage.world.set_sees(0, mask)


def test_who_is_gone_can_be_shown_to_nobody_and_nothing_changes() -> None:
    stage = Stage()
    stage.step()
    gone = stage.world.spawn(Scout())
    stage.world.despawn(gone)
    stage.step()
    for entity in (gone, 0):
        with pytest.raises(sl.UsageError, match="gone already"):
            stage.world.set_visible_to([stage.scout, entity], 0)
        with pytest.raises(ValueError, match="gone"):
            stage.world.core.set_visible_to(entity, 0)
    assert stage.step() == [True, True]
    for slot in (-1, 2):
        with pytest.raises(ValueError, match="no observer slot"):
            stage.world.set_sees(slot, 0)

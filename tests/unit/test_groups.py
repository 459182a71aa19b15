"""Invariant: a field that is for a group is in the snapshots of its members and of the owner, and in nobody else's."""
from dataclasses import dataclass
from typing import Annotated as A

import numpy as np
import pytest

import shadowland as sl
from shadowland._core.base.records import EVENT_DTYPE, JOINED, SNAPSHOT_ACKED
from shadowland.errors import ConfigError
from shadowland.relations import Relations
from shadowland.schema import GroupOnly, differences, layout
from shadowland.view import View
from shadowland.world import World

GROUPS = ("party", "squad")


class Knight(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0, 0)
    mana: A[int, sl.Range(0, 1000), GroupOnly("party")] = 7
    order: A[int, sl.Range(0, 1000), GroupOnly("squad")] = 8
    gold: A[int, sl.OwnerOnly] = 9
    morale: A[int, sl.Range(0, 1000), GroupOnly("party")] = 10


@dataclass
class Player:
    handle: int


class Stage:
    """Three players at one place, each with a knight, and what each of them shows."""

    def __init__(self) -> None:
        schema = sl.Schema([Knight])
        self.world = World(schema, tick_hz=30, aoi=sl.Grid(cell=5, radius=20), capacity=5, observers=3)
        self.views = [View(schema, tick_hz=30, tick=0) for _ in range(3)]
        self.players = [Player(1 << 32 | slot) for slot in range(3)]
        self.tick = 0
        self.knights = []
        for slot, player in enumerate(self.players):
            self.event(slot, JOINED)
            self.knights.append(self.world.spawn(Knight(), owner=player))
            self.world.set_avatar(slot, self.knights[slot])

    def event(self, slot: int, kind: int, token: int = 0) -> None:
        events = np.zeros(1, EVENT_DTYPE)
        events["connection"], events["kind"], events["token"] = self.players[slot].handle, kind, token
        self.world.events(events)

    def send(self, acked: bool = True, publish: bool = True) -> list[tuple[int, int]]:
        """One tick; (slot, token) of each datagram, all taken and, with `acked`, acknowledged."""
        if publish:
            self.tick += 1
            self.world.publish(self.tick)
        records, arena = self.world.replicate(np.arange(3, dtype=np.uint32))
        sent = []
        for record in records.copy():
            slot = int(record["connection"]) & 0xFFFFFFFF
            payload = arena[int(record["offset"]):int(record["offset"] + record["length"])].tobytes()
            assert self.views[slot].views.apply(payload) == 0
            sent.append((slot, int(record["number"])))
            if acked:
                self.event(slot, SNAPSHOT_ACKED, sent[-1][1])
        return sent

    def shown(self, slot: int, knight: int) -> tuple[int | None, ...]:
        """mana, order, gold, morale of a knight as the player knows them; None: not sent."""
        seen = self.views[slot].snapshot()[Knight]
        at = seen.handles.tolist().index(self.knights[knight])
        return tuple(int(getattr(seen, name)[at]) if seen.shown(name)[at] else None
                     for name in ("mana", "order", "gold", "morale"))


def test_members_see_their_own_groups_fields_and_the_owner_all() -> None:
    stage = Stage()
    stage.world.set_group("party", stage.knights[:2], 5)
    stage.world.set_group("squad", stage.knights, [6, 2**32 - 1, 2**32 - 1])
    stage.send()
    assert [stage.shown(slot, 0) for slot in range(3)] == [(7, 8, 9, 10), (7, None, None, 10), (None,) * 4]
    assert [stage.shown(slot, 2) for slot in range(3)] == [(None,) * 4, (None, 8, None, None), (7, 8, 9, 10)]
    seen = stage.views[2].snapshot()[Knight]
    assert seen.shown("position").all() and seen.mana.tolist().count(0) == 2       # unknown: the smallest value
    with pytest.raises(AttributeError, match="did you mean 'mana'"):
        seen.shown("mena")


def test_who_comes_in_is_sent_the_fields_with_the_next_snapshot_and_who_goes_none_of_them() -> None:
    stage = Stage()
    for _ in range(3):
        stage.send()
    assert stage.shown(1, 0) == (None,) * 4
    stage.world.set_group("party", stage.knights[:2], 1)
    stage.send()
    assert stage.shown(1, 0) == (7, None, None, 10)
    stage.world.set_group("party", stage.knights[0], 2)
    stage.world[Knight].mana = 99
    stage.send()
    assert stage.shown(1, 0) == (None,) * 4 and stage.shown(0, 0) == (99, 8, 9, 10)


def test_an_acknowledgment_of_the_old_audience_is_no_reference_for_the_new() -> None:
    """Else the next update would be read with fields that its reference has not."""
    stage = Stage()
    stage.send()
    stage.world[Knight].position[:] += 1
    late = stage.send(acked=False)
    stage.world.set_group("party", stage.knights[:2], 1)
    stage.world[Knight].position[:] += 1
    newer = stage.send(acked=False)
    for slot, token in late:
        stage.event(slot, SNAPSHOT_ACKED, token)
    for step in range(3):
        stage.world[Knight].position[:] += 1
        stage.world[Knight].mana = 20 + step
        stage.send()
        assert stage.shown(1, 0) == (20 + step, None, None, 10)
    for slot, token in newer:
        stage.event(slot, SNAPSHOT_ACKED, token)
    stage.world.set_group("party", stage.knights[:2], 0)
    stage.send()
    assert stage.shown(1, 0) == (None,) * 4


def test_two_snapshots_of_one_tick_do_not_differ_in_their_audience() -> None:
    stage = Stage()
    stage.send()
    stage.world[Knight].position[:] += 1
    first = stage.send(acked=False)
    stage.world.set_group("party", stage.knights[:2], 1)
    stage.send(acked=False, publish=False)
    assert stage.shown(1, 0) == (None,) * 4
    for slot, token in first:
        stage.event(slot, SNAPSHOT_ACKED, token)
    stage.send(publish=False)
    stage.send()
    assert stage.shown(1, 0) == (7, None, None, 10)


def test_a_new_entity_is_of_no_group_whoever_had_its_slot() -> None:
    stage = Stage()
    ward = stage.world.spawn(Knight())
    stage.world.set_group("party", [ward, *stage.knights], 1)
    stage.send()
    stage.world.despawn(ward)
    stage.send()
    for _ in range(5):
        stage.knights.append(stage.world.spawn(Knight()))
        stage.send()
        assert stage.shown(0, -1) == (None,) * 4
        stage.world.despawn(stage.knights[-1])
        stage.send()


def test_an_observer_whose_avatar_is_gone_is_of_no_group() -> None:
    stage = Stage()
    stage.world.set_group("party", stage.knights, 1)
    stage.send()
    stage.world.despawn(stage.knights[1])
    stage.send()
    assert len(stage.views[1].snapshot()) == 0 and stage.shown(0, 2) == (7, None, None, 10)


def test_a_dead_avatar_is_of_no_group_for_what_is_seen_without_one() -> None:
    stage = Stage()
    stage.world.set_group("party", stage.knights, 1)
    stage.world.set_always(stage.knights[0])
    stage.send()
    assert stage.shown(1, 0) == (7, None, None, 10)
    stage.world.despawn(stage.knights[1])
    stage.send()
    assert len(stage.views[1].snapshot()) == 1 and stage.shown(1, 0) == (None,) * 4


def test_parties_of_relations_are_groups_by_themselves() -> None:
    stage = Stage()
    relations = Relations(stage.world)
    for knight in stage.knights[:2]:
        relations.place(knight, party=3)
    stage.send()
    assert stage.shown(1, 0) == (7, None, None, 10) and stage.shown(2, 0) == (None,) * 4
    relations.place(stage.knights[1], party=0)
    stage.send()
    assert stage.shown(1, 0) == (None,) * 4


@pytest.mark.parametrize(("group", "entity", "number", "text"), [
    ("parti", 0, 1, "'parti' is no group of the schema; did you mean 'party'"),
    ("x", 0, 1, "'x' is no group of the schema; there are party, squad"),
    ("party", 0, -1, "group numbers are -1; they must be whole, 0"),
    ("party", 0, 2**32, "they must be whole, 0"),
    ("party", 0, 2**64, "they must be whole, 0"),
    ("party", 0, 0.5, "they must be whole, 0"),
    ("party", 5 << 32, 1, "is gone already"),
    ("party", 2**64 - 1, 1, "is gone already"),
])
def test_mistakes_are_said_and_change_nothing(group: str, entity: int, number: float, text: str) -> None:
    stage = Stage()
    stage.world.set_group("party", stage.knights[:2], 1)
    with pytest.raises(sl.UsageError, match=text):
        stage.world.set_group(group, [stage.knights[2], entity or stage.knights[0]], number)
    stage.send()
    assert stage.shown(1, 0)[0] == 7 and stage.shown(1, 2) == (None,) * 4


def test_audiences_of_a_class_and_of_a_schema_are_numbered_alike_everywhere() -> None:
    assert layout(Knight, 30).components["audience"].tolist() == [0, 0, 2, 3, 1, 2]
    assert sl.Schema([Knight]).groups == GROUPS
    other = type("Knight", (sl.Entity,), {"__annotations__": {
        **Knight.__annotations__, "mana": A[int, sl.Range(0, 1000), GroupOnly("guild")]}, "position": (0, 0)})
    assert any("mana: seen by changed the owner and his party → the owner and his guild" in line
               for line in differences(sl.Schema([Knight]).json, sl.Schema([other]).json))


def test_a_schema_speaks_of_sixteen_groups() -> None:
    def cls(name: str, groups: range) -> type[sl.Entity]:
        hints = {f"f{n}": A[int, GroupOnly(f"g{n}")] for n in groups}
        return type(name, (sl.Entity,), {"__annotations__": hints})
    most = [cls("A", range(5)), cls("B", range(5, 10)), cls("C", range(10, 15)), cls("D", range(15, 16))]
    World(sl.Schema(most), tick_hz=30, aoi=sl.Grid(cell=5, radius=20), capacity=5, observers=3)
    with pytest.raises(ConfigError, match="speaks of 17 groups"):
        sl.Schema([*most, cls("E", range(16, 17))])

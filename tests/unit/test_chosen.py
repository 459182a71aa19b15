"""What is seen at any distance: the always relevant and one's own, across masks, owners, respawns, lack of seats."""
from dataclasses import dataclass
from typing import Annotated as A

import numpy as np
import pytest

import shadowland as sl
from shadowland._core.base.records import EVENT_DTYPE, JOINED, LEFT, SNAPSHOT_ACKED
from shadowland._core.world.view import Views
from shadowland.errors import CapacityError
from shadowland.why import Verdict, why
from shadowland.world import World

AWAY = (1e6, -1e6, 5e3)


class Scout(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=0.01)] = (0, 0, 0)
    secret: A[int, sl.OwnerOnly] = 0


class Boss(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.1)] = (0, 0)


@dataclass
class Player:
    handle: int


class Stage:
    """Two players at one place, everything delivered at once."""

    def __init__(self, capacity: int = 200, layer: float = 0.0) -> None:
        self.world = World(sl.Schema([Scout, Boss]), tick_hz=30, capacity=capacity, observers=2,
                           aoi=sl.Grid(cell=5, radius=20, layer=layer, always=(Boss,)))
        self.views = Views(self.world.table, 2, 256, 16)
        self.tick = 0
        self.players = [Player(1 << 32), Player(1 << 32 | 1)]
        for slot in range(2):
            self.event(slot, JOINED)
        self.avatars = [self.world.spawn(Scout(), owner=player) for player in self.players]
        for slot in range(2):
            self.world.set_avatar(slot, self.avatars[slot])

    def event(self, slot: int, kind: int, token: int = 0) -> None:
        events = np.zeros(1, EVENT_DTYPE)
        events["connection"], events["kind"], events["token"] = self.players[slot].handle, kind, token
        self.world.events(events)

    def rejoin(self, slot: int) -> None:
        self.event(slot, LEFT)
        self.players[slot] = Player(self.players[slot].handle + (1 << 32))
        self.event(slot, JOINED)
        self.views.reset(slot)

    def step(self, ticks: int = 1) -> list[set[int]]:
        """What each player shows afterwards."""
        for _ in range(ticks):
            self.tick += 1
            self.world.publish(self.tick)
            records, arena = self.world.replicate(np.arange(2, dtype=np.uint32))
            records = records.copy()
            slots = (records["connection"] & np.uint64(0xFFFFFFFF)).astype(np.int32)
            assert self.views.apply_records(records, arena, slots) == len(records)
            for slot, token in zip(slots.tolist(), records["number"].tolist(), strict=True):
                self.event(slot, SNAPSHOT_ACKED, token)
        return [set(self.views.known(slot)["handle"].tolist()) for slot in range(2)]


@pytest.mark.parametrize("layer", [0.0, 8.0])
def test_a_class_or_an_entity_is_always_relevant_and_masks_hide_it_still(layer: float) -> None:
    stage = Stage(layer=layer)
    both = set(stage.avatars)
    boss, scout = stage.world.spawn(Boss(position=AWAY[:2])), stage.world.spawn(Scout(position=AWAY))
    assert stage.step() == [both | {boss}] * 2
    stage.world.set_always(scout)
    assert stage.step() == [both | {boss, scout}] * 2
    stage.world.set_sees(0, 2)
    stage.world.set_visible_to([boss, scout], 1)
    assert stage.step() == [both, both | {boss, scout}]
    stage.world.set_visible_to([boss, scout], 2**64 - 1)
    stage.world.set_always(np.array([boss, scout, boss], np.uint64), False)
    assert stage.step() == [both] * 2
    stage.world[Boss].position[0] = (3, 4)              # no longer so, it is seen like any other
    assert stage.step() == [both | {boss}] * 2


def test_an_owner_sees_its_own_at_any_distance_and_from_nowhere() -> None:
    stage = Stage()
    both = set(stage.avatars)
    pet = stage.world.spawn(Scout(position=AWAY, secret=7), owner=stage.players[0])
    assert stage.step() == [both | {pet}, both]
    stage.world.set_visible_to(pet, 0)
    assert stage.step() == [both | {pet}, both]
    stage.world.give(pet, stage.players[1])
    assert stage.step() == [both, both | {pet}]
    stage.world.give(pet, None)
    assert stage.step() == [both, both]
    stage.world.give(pet, stage.players[0])
    boss = stage.world.spawn(Boss(position=AWAY[:2]))
    stage.world.set_avatar(0, 0)                        # dead: what is near is gone, its own and the boss are not
    assert stage.step() == [{stage.avatars[0], pet, boss}, both | {boss}]
    stage.world.despawn(stage.avatars[0])
    assert stage.step() == [{pet, boss}, {stage.avatars[1], boss}]
    avatar = stage.world.spawn(Scout(position=(50, 0, 0)), owner=stage.players[0])
    stage.world.set_avatar(0, avatar)
    assert stage.step() == [{pet, boss, avatar}, {stage.avatars[1], boss}]


def test_a_chosen_entity_that_is_gone_leaves_and_its_slot_is_ordinary_again() -> None:
    stage = Stage(capacity=4)
    both = set(stage.avatars)
    boss, pet = stage.world.spawn(Boss(position=AWAY[:2])), stage.world.spawn(Scout(position=AWAY), stage.players[0])
    stage.step()
    stage.world.despawn(boss)
    stage.world.despawn(pet)
    assert stage.step() == [both] * 2
    again = [stage.world.spawn(Scout(position=AWAY)) for _ in range(2)]
    assert {entity & 0xFFFFFFFF for entity in again} == {boss & 0xFFFFFFFF, pet & 0xFFFFFFFF}
    assert stage.step() == [both] * 2


def test_who_joins_in_the_slot_of_another_does_not_have_what_was_that_ones() -> None:
    stage = Stage()
    pets = [stage.world.spawn(Scout(position=AWAY), owner=stage.players[0]) for _ in range(100)]
    assert len(stage.step()[0] & set(pets)) == 63           # and the avatar: 64
    stage.rejoin(0)
    stage.world.set_avatar(0, stage.avatars[1])
    assert stage.step()[0] == set(stage.avatars)
    mine = stage.world.spawn(Scout(position=AWAY), owner=stage.players[0])
    assert stage.step()[0] == {*stage.avatars, mine}
    stage.world.give(pets[3], stage.players[0])             # of an owner who is gone
    assert stage.step()[0] == {*stage.avatars, mine, pets[3]}


def test_of_more_than_64_one_sees_those_it_has_had_longest() -> None:
    stage = Stage()
    pets = [stage.world.spawn(Scout(position=AWAY), owner=stage.players[0]) for _ in range(66)]
    assert stage.step()[0] == {*stage.avatars, *pets[:63]}
    assert why(stage.world, 0, pets[63]).verdict is Verdict.FAR
    assert why(stage.world, 0, pets[62]).verdict is Verdict.KNOWN
    stage.world.give(pets[0], stage.players[0])             # its owner already: nothing changes
    stage.world.give(pets[1], None)
    stage.world.give(pets[1], stage.players[0])             # given anew, it is the last
    assert stage.step()[0] == {*stage.avatars, pets[0], *pets[2:64]}
    stage.world.despawn(pets[0])
    assert stage.step()[0] == {*stage.avatars, *pets[2:65]}


def test_64_are_always_relevant_at_most_and_none_more_is_made_so() -> None:
    stage = Stage()
    bosses = [stage.world.spawn(Boss(position=AWAY[:2])) for _ in range(62)]
    scouts = [stage.world.spawn(Scout(position=AWAY)) for _ in range(3)]
    with pytest.raises(CapacityError, match="at most 64"):
        stage.world.set_always(scouts)
    assert stage.step()[0] == {*stage.avatars, *bosses}
    stage.world.set_always([scouts[0], scouts[0], scouts[1], bosses[0]])
    with pytest.raises(CapacityError, match="at most 64"):
        stage.world.spawn(Boss())
    assert stage.step()[0] == {*stage.avatars, *bosses, *scouts[:2]}
    assert len(stage.world) == 67                           # nothing was half made
    stage.world.despawn(bosses[5])
    stage.step()
    boss = stage.world.spawn(Boss(position=AWAY[:2]))
    assert stage.step()[0] == {*stage.avatars, *bosses, boss, *scouts[:2]} - {bosses[5]}
    with pytest.raises(sl.UsageError, match="gone already"):
        stage.world.set_always([scouts[2], bosses[5]])
    stage.world.set_always(scouts[0], False)
    assert scouts[2] not in stage.step()[0]


def test_in_a_crowd_the_farthest_give_their_seats_to_the_chosen() -> None:
    stage = Stage(capacity=400)
    crowd = [stage.world.spawn(Scout(position=(i / 20, 0, 0))) for i in range(1, 320)]
    full = {*stage.avatars, *crowd[:254]}
    assert stage.step(5) == [full] * 2
    boss = stage.world.spawn(Boss(position=AWAY[:2]))
    pet = stage.world.spawn(Scout(position=AWAY), owner=stage.players[1])
    assert stage.step(5) == [full - {crowd[253]} | {boss}, full - {*crowd[252:254]} | {boss, pet}]
    stage.world.set_always(boss, False)
    assert stage.step(5) == [full, full - {crowd[253]} | {pet}]
    far = stage.world.spawn(Scout(position=(-20, 0, 0)))
    stage.world.set_avatar(0, far)                          # not its own; where it looks from takes a seat all the same
    assert far in stage.step(5)[0]


def test_why_knows_what_is_seen_at_any_distance() -> None:
    stage = Stage()
    boss, pet = stage.world.spawn(Boss(position=AWAY[:2])), stage.world.spawn(Scout(position=AWAY), stage.players[0])
    stage.step()
    assert [why(stage.world, slot, boss).verdict for slot in (0, 1)] == [Verdict.KNOWN] * 2
    assert [why(stage.world, slot, pet).verdict for slot in (0, 1)] == [Verdict.KNOWN, Verdict.FAR]
    stage.world.set_avatar(0, 0)
    stage.step(2)
    assert [why(stage.world, 0, entity).verdict for entity in (boss, pet, stage.avatars[1])] == [
        Verdict.KNOWN, Verdict.KNOWN, Verdict.NO_AVATAR]


def test_only_what_is_there_can_be_given() -> None:
    stage = Stage()
    stage.step()
    for entity in (0, stage.avatars[0] + (1 << 32)):
        with pytest.raises(sl.UsageError, match="gone already"):
            stage.world.give(entity, stage.players[0])


def test_who_is_no_longer_always_relevant_leaves_the_others_so() -> None:
    """The last of the list moves into the gap; then it is the last one's turn."""
    stage = Stage()
    scouts = [stage.world.spawn(Scout(position=AWAY)) for _ in range(3)]
    stage.world.set_always(scouts)
    stage.step()
    stage.world.set_always(scouts[0], False)
    stage.world.set_always(scouts[2], False)
    assert stage.step()[0] == {*stage.avatars, scouts[1]}
    stage.world.set_always(scouts[1], False)
    assert stage.step()[0] == set(stage.avatars)


def test_who_comes_near_in_a_crowd_gets_the_seat_of_somebody_far() -> None:
    """All seats are taken; half a second later whoever stands beside the avatar is in view; nobody comes and goes."""
    stage = Stage(capacity=400)
    crowd = [stage.world.spawn(Scout(position=(10 + i / 40, 0, 0))) for i in range(320)]
    stage.step(5)
    assert {*crowd[:250]} <= stage.step()[0] and crowd[-1] not in stage.step()[0]
    for near in range(6):
        stage.world[Scout].position[stage.world.row_of(crowd[-1 - near])] = (1 + near / 10, 0, 0)
    shown = stage.step(40)[0]
    assert {*crowd[-6:]} <= shown and len(shown) == 256
    before = stage.world.core.stats["leaves"]
    stage.step(64)
    assert stage.world.core.stats["leaves"] == before       # who is a little nearer takes nobody's seat

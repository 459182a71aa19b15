"""Effects as games use them, and the mistakes of the original that must not come back."""
import gc
import sys
from typing import Annotated as A
from typing import Any

import numpy as np
import pytest

import shadowland as sl
from shadowland.effects import Applied, Effects, Kind, Stacking
from shadowland.errors import CapacityError
from shadowland.world import World

HZ = 20
FROZEN, POISONED, INVULNERABLE = 1, 2, 64


class Walker(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)


FROST = Kind("frost", flags=FROZEN, duration_s=2)
ICE = Kind("ice", flags=FROZEN, duration_s=5)
POISON = Kind("poison", flags=POISONED, blocked_by=INVULNERABLE, duration_s=5, period_s=1, amount=-3,
              stacking=Stacking.COUNT, most=3, group=2)
BLEEDING = Kind("bleeding", duration_s=4, stacking=Stacking.APART, most=2, per_source=True)
SHIELD = Kind("shield", flags=INVULNERABLE, duration_s=3, stacking=Stacking.LONGEST)
CURSE = Kind("curse", flags=4)
KINDS = [FROST, ICE, POISON, BLEEDING, SHIELD, CURSE]


@pytest.fixture
def world() -> World:
    return World(sl.Schema([Walker], []), tick_hz=HZ, aoi=sl.Grid(cell=10, radius=30), capacity=8, observers=1)


@pytest.fixture
def effects(world: World) -> Effects:
    made = Effects(world, KINDS, capacity=16)
    for _ in range(world.capacity):
        world.spawn(Walker())
    world.publish(1)
    assert list(made.step(1)) == []
    return made


def entities(world: World) -> list[int]:
    return list(world)


def test_two_effects_on_one_flag_never_clear_each_other(world: World, effects: Effects) -> None:
    who = entities(world)[0]
    effects.apply(FROST, who)
    effects.apply(ICE, who)
    list(effects.step(1 + 2 * HZ))                                      # frost is over, ice is not
    assert [live.kind for live in effects.of(who)] == [ICE] and effects.flags(who)[0] == FROZEN
    list(effects.step(1 + 5 * HZ))
    assert effects.flags(who)[0] == 0 and len(effects) == 0


def test_a_refreshed_effect_lasts_its_seconds_again(world: World, effects: Effects) -> None:
    """The original stored seconds in a field of milliseconds."""
    who = entities(world)[0]
    effects.apply(FROST, who)
    list(effects.step(1 + HZ))
    assert effects.apply_one(FROST, who) == Applied.REFRESHED
    assert effects.of(who)[0].seconds == 2.0
    list(effects.step(1 + 3 * HZ - 1))
    assert effects.flags(who)[0] == FROZEN
    list(effects.step(1 + 3 * HZ))
    assert effects.flags(who)[0] == 0


def test_five_seconds_every_second_is_five_times_also_when_ticks_are_skipped(world: World, effects: Effects) -> None:
    who, caster = entities(world)[:2]
    effects.apply(POISON, who, sources=caster, intensity=2)
    assert effects.apply_one(POISON, who, source=caster) == Applied.STACKED
    parts = list(effects.step(1000))
    assert len(parts) == 1
    hurt, ends = parts[0].periods, parts[0].ends
    assert hurt.amounts.tolist() == [-3 * 2 * 2] * 5 and hurt.ticks.tolist() == [1 + HZ * i for i in range(1, 6)]
    assert set(hurt.sources.tolist()) == {caster} and ends.targets.tolist() == [who] and ends.amounts.tolist() == [0]


def test_refreshing_does_not_put_damage_off(world: World, effects: Effects) -> None:
    who = entities(world)[0]
    due = []
    for tick in range(1, 1 + 3 * HZ):
        due += [int(when) for part in effects.step(tick) for when in part.periods.ticks]
        if tick % (HZ // 2) == 1:                                       # hit twice as often as it hurts
            effects.apply(POISON, who)
    assert due == [1 + HZ, 1 + 2 * HZ]


def test_what_finds_no_room_in_a_part_comes_in_the_next(world: World) -> None:
    small = Effects(world, [POISON], capacity=8, happenings=3)
    for _ in range(4):
        world.spawn(Walker())
    world.publish(1)
    small.apply(POISON, entities(world))
    parts = list(small.step(HZ * 10))
    assert [len(part) for part in parts] == [3] * 8 and len(small) == 0
    assert sum(len(part.periods) for part in parts) == 4 * 5


def test_stacks_stand_apart_by_source_and_the_next_to_end_gives_way(world: World, effects: Effects) -> None:
    who, one, other = entities(world)[:3]
    results = effects.apply(BLEEDING, [who] * 4, sources=[one, one, other, one], duration_s=[9, 1, 1, 5])
    assert results.tolist() == [Applied.NEW, Applied.STACKED, Applied.NEW, Applied.REPLACED]
    assert sorted((live.source, live.seconds) for live in effects.of(who)) == sorted([(one, 9), (other, 1), (one, 5)])


def test_of_two_that_end_together_the_newer_gives_way(world: World, effects: Effects) -> None:
    who = entities(world)[0]
    effects.apply(BLEEDING, [who] * 3, intensity=[1, 2, 3])
    assert [live.intensity for live in effects.of(who)] == [3, 1]


def test_the_longest_stays(world: World, effects: Effects) -> None:
    who = entities(world)[0]
    assert effects.apply_one(SHIELD, who, intensity=5) == Applied.NEW
    assert effects.apply_one(SHIELD, who, duration_s=1, intensity=9) == Applied.IGNORED
    assert effects.apply_one(SHIELD, who, duration_s=8, intensity=1) == Applied.REPLACED
    assert [(live.seconds, live.intensity) for live in effects.of(who)] == [(8, 1)]


def test_a_flag_blocks_and_until_dispelled_is_for_ever(world: World, effects: Effects) -> None:
    who, other = entities(world)[:2]
    effects.apply(SHIELD, who)
    assert effects.apply(POISON, [who, other]).tolist() == [Applied.REFUSED, Applied.NEW]
    effects.apply(CURSE, who)
    list(effects.step(10**9))
    assert [(live.kind, live.seconds) for live in effects.of(who)] == [(CURSE, None)]
    assert effects.dispel(who, groups=[2]) == 0 and effects.dispel([who, other], groups=[0]) == 1
    assert len(effects) == 0 and effects.flags([who, other]).tolist() == [0, 0]


def test_who_is_despawned_loses_its_effects_and_the_next_has_none(world: World, effects: Effects) -> None:
    who = entities(world)[0]
    effects.apply(CURSE, who)
    world.despawn(who)
    world.publish(2)
    assert len(effects) == 0 and effects.flags(who)[0] == 0
    new = world.spawn(Walker())
    world.publish(3)
    assert new & 0xFFFFFFFF == who & 0xFFFFFFFF and effects.flags(new)[0] == 0
    effects.apply(FROST, new)
    assert effects.flags([who, new]).tolist() == [0, FROZEN]


def test_a_full_table_says_so(world: World, effects: Effects) -> None:
    who = entities(world)[0]
    effects.apply(BLEEDING, [who] * 16, sources=np.arange(16))
    assert effects.apply(FROST, who).tolist() == [Applied.NO_ROOM] and effects.flags(who)[0] == 0
    with pytest.raises(CapacityError, match="'frost' finds no room: 16 effects are live; raise capacity="):
        effects.apply_one(FROST, who)


def test_effects_can_be_applied_and_dispelled_while_a_step_is_read(world: World) -> None:
    effects = Effects(world, [POISON, CURSE], capacity=16, happenings=1)
    for _ in range(4):
        world.spawn(Walker())
    world.publish(1)
    everybody = entities(world)
    effects.apply(POISON, everybody)
    seen = 0
    for part in effects.step(2 * HZ):
        seen += len(part.periods)
        effects.apply(CURSE, part.targets)
        effects.dispel(part.targets, groups=[2])
    assert seen == 4 and len(effects) == 4 and set(effects.flags(everybody).tolist()) == {4}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"duration_s": -1.0}, "duration_s is -1.0; it must be 0 to 1,000,000"),
    ({"duration_s": float("nan")}, "duration_s is nan"), ({"flags": 1 << 32}, "flags is 4294967296"),
    ({"group": 32}, "group is 32; it must be 0 to 31"), ({"most": 0}, "most is 0; it must be 1 to 65,535"),
    ({"most": 2}, "REFRESH keeps one; take stacking=Stacking.COUNT or Stacking.APART"),
    ({"amount": 5}, "it has an amount and no period; give period_s above 0"),
]


def test_steps_with_happenings_keep_no_memory(world: World, effects: Effects) -> None:
    grown = []
    gc.disable()                                                        # a full collection hides what grew
    try:
        for part in range(3):
            before = sys.getallocatedblocks()
            for tick in range(300):
                effects.apply(FROST, entities(world)[0], duration_s=1 / HZ)
                assert [len(happened.ends) for happened in effects.step(2 + 300 * part + tick)] == [1]
            grown.append(sys.getallocatedblocks() - before)
    finally:
        gc.enable()
    assert min(grown) < 20


@pytest.mark.parametrize(("fields", "text"), WRONG)
def test_a_kind_that_cannot_be_says_why(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(sl.ConfigError, match="Kind 'x': ") as caught:
        Kind("x", **fields)
    assert text in str(caught.value)


def test_mistakes_of_the_caller_are_named(world: World, effects: Effects) -> None:
    with pytest.raises(sl.UsageError, match="'stone' is none of these effects' kinds: frost, ice"):
        effects.apply(Kind("stone"), 1)
    with pytest.raises(sl.UsageError, match="one value or 2"):
        effects.apply(FROST, entities(world)[:2], sources=[1, 2, 3])
    with pytest.raises(sl.UsageError, match="duration_s must be 0 to"):
        effects.apply(FROST, entities(world)[0], duration_s=float("inf"))
    with pytest.raises(sl.UsageError, match="there is no group 32"):
        effects.dispel(entities(world)[0], groups=[32])
    with pytest.raises(sl.ConfigError, match="two kinds of effects are called 'frost'"):
        Effects(world, [FROST, FROST])
    with pytest.raises(sl.ConfigError, match="257 kinds"):
        Effects(world, [Kind(str(i)) for i in range(257)])
    with pytest.raises(sl.ConfigError, match="capacity is 0"):
        Effects(world, KINDS, capacity=0)

"""Relations as games use them: which of several counts, what ends with whom, what is refused."""
import sys
from typing import Annotated as A

import pytest

import shadowland as sl
from shadowland.errors import CapacityError
from shadowland.relations import Because, Relations, Stance
from shadowland.world import World

NEUTRAL, FRIEND, ENEMY = Stance.NEUTRAL, Stance.FRIEND, Stance.ENEMY


class Walker(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)


@pytest.fixture
def world() -> World:
    return World(sl.Schema([Walker], []), tick_hz=20, aoi=sl.Grid(cell=10, radius=30), capacity=80, observers=1)


@pytest.fixture
def relations(world: World) -> Relations:
    made = Relations(world, factions=["nobody", "wolves", "sheep"], words=300)
    made.declare("wolves", "sheep", ENEMY)
    for _ in range(4):
        world.spawn(Walker())
    world.publish(1)
    return made


def test_of_duel_word_party_guild_and_faction_the_first_counts(world: World, relations: Relations) -> None:
    wolf, sheep, *_ = world
    relations.place(wolf, faction="wolves")
    relations.place(sheep, faction="sheep")
    for entity in (wolf, sheep):
        relations.place(entity, guild=7)
    seen = []

    def look() -> None:
        seen.append((relations.stance(wolf, sheep), Because(int(relations.because(wolf, sheep)[0]))))
    look()
    for entity in (wolf, sheep):
        relations.place(entity, party=9)
    look()
    relations.say(wolf, sheep, NEUTRAL)
    look()
    relations.duel(wolf, sheep)
    look()
    assert seen == [(FRIEND, Because.GUILD), (FRIEND, Because.PARTY), (NEUTRAL, Because.PERSONAL),
                    (ENEMY, Because.DUEL)]
    assert relations.stance(sheep, wolf) == ENEMY and relations.opponent(sheep) == wolf
    assert relations.end_duel(sheep) == wolf and relations.end_duel(sheep) == 0
    assert relations.stance(sheep, wolf) == FRIEND                      # a word is the speaker's own
    relations.say(wolf, sheep, None)
    relations.place(wolf, party=0, guild=0)
    assert relations.stance(wolf, sheep) == relations.stance(sheep, wolf) == ENEMY
    assert relations.stance(wolf, wolf) == FRIEND and relations.stance(wolf, 0) == NEUTRAL


def test_many_pairs_are_asked_at_once(world: World, relations: Relations) -> None:
    a, b, c, d = world
    relations.place(a, faction="wolves")
    relations.say(c, a, ENEMY)
    assert relations.stances(a, [a, b, c, d]).tolist() == [FRIEND, NEUTRAL, NEUTRAL, NEUTRAL]
    assert relations.stances([a, b, c, d], a).tolist() == [FRIEND, NEUTRAL, ENEMY, NEUTRAL]
    assert relations.enemies(a, [a, b, c, d]).tolist() == [False, False, True, False]
    assert relations.enemies([c, d], [a, a]).tolist() == [True, False]
    relations.place(b, guild=9)
    assert [column.tolist() for column in relations.places_of([a, b])] == [[1, 0], [0, 9]]
    with pytest.raises(sl.UsageError, match="2 observers for 3 subjects"):
        relations.stances([a, b], [a, b, c])


def test_who_is_gone_leaves_nothing_behind(world: World, relations: Relations) -> None:
    a, b, c, _ = world
    for entity in (a, b, c):
        relations.place(entity, faction="wolves", party=3)
    relations.duel(a, b)
    relations.say(a, c, ENEMY)
    relations.say(c, a, ENEMY)
    world.despawn(a)
    world.publish(2)
    assert relations.party_of(b) == {b, c} and relations.opponent(b) == 0 and relations.words_of(c) == {}
    heir = next(made for made in iter(lambda: world.spawn(Walker()), None) if made & 0xFFFFFFFF == a & 0xFFFFFFFF)
    world.publish(3)
    assert heir != a
    assert relations.stance(c, heir) == NEUTRAL and relations.places_of(heir)[0].tolist() == [0]
    with pytest.raises(sl.UsageError, match="is gone already"):
        relations.place(a, faction="sheep")
    with pytest.raises(sl.UsageError, match="is gone already"):
        relations.say(b, a, ENEMY)
    relations.say(b, c, None)                           # taking back what was never said is fine


def test_limits(world: World, relations: Relations) -> None:
    for _ in range(72):
        world.spawn(Walker())
    world.publish(2)
    everybody = list(world)
    for entity in everybody[:64]:
        relations.place(entity, party=1)
    with pytest.raises(CapacityError, match="party 1 has 64 members"):
        relations.place(everybody[64], party=1)
    relations.place(everybody[0], party=1)              # a member may stay
    for by in everybody[:4]:
        for about in everybody[4:]:
            relations.say(by, about, ENEMY)             # 4 x 72 of 300
    for about in everybody[1:4] + everybody[5:14]:
        relations.say(everybody[4], about, FRIEND)
    with pytest.raises(CapacityError, match="300 personal words stand; raise words="):
        relations.say(everybody[4], everybody[40], FRIEND)
    assert relations.stance(everybody[4], everybody[40]) == FRIEND and len(relations.words_of(everybody[4])) == 12
    relations.say(everybody[0], everybody[5], NEUTRAL)  # one that stands may change


def test_one_entity_says_no_more_than_256_words() -> None:
    world = World(sl.Schema([Walker], []), tick_hz=20, aoi=sl.Grid(cell=10, radius=30), capacity=300, observers=1)
    relations = Relations(world)
    talker, *others = [world.spawn(Walker()) for _ in range(258)]
    for other in others[:256]:
        relations.say(talker, other, FRIEND)
    with pytest.raises(CapacityError, match="has said 256 personal words"):
        relations.say(talker, others[256], FRIEND)


def test_words_and_duels_take_no_memory(world: World, relations: Relations) -> None:
    everybody = [*world, *(world.spawn(Walker()) for _ in range(30))]
    for entity in everybody:
        relations.place(entity)
    before = sys.getallocatedblocks()
    for one, other in zip(everybody, everybody[1:], strict=False):
        relations.say(one, other, ENEMY)
        relations.say(other, one, FRIEND)
        if relations.opponent(one) == 0:
            relations.duel(one, other)
    assert sys.getallocatedblocks() - before < 20


@pytest.mark.parametrize(("factions", "problem"), [
    ([], "0 factions; there can be 1 to 64"), (["x"] * 65, "65 factions"),
    (["a", "b", "a"], "two factions are called 'a'"),
])
def test_factions_that_cannot_be(world: World, factions: list[str], problem: str) -> None:
    with pytest.raises(sl.ConfigError, match=problem):
        Relations(world, factions=factions)
    Relations(world, factions=[f"faction {i}" for i in range(64)]).declare("faction 0", "faction 63", ENEMY)


def test_mistakes(world: World, relations: Relations) -> None:
    a, b, c, _ = world
    with pytest.raises(sl.UsageError, match="'wolfs' is no faction; did you mean 'wolves'"):
        relations.place(a, faction="wolfs")
    for number in (-1, 1 << 31):
        with pytest.raises(sl.UsageError, match=f"guild is {number}; it must be 0"):
            relations.place(a, guild=number)
    with pytest.raises(sl.UsageError, match="its own friend"):
        relations.say(a, a, ENEMY)
    with pytest.raises(sl.UsageError, match="a duel takes two"):
        relations.duel(a, a)
    relations.duel(a, b)
    with pytest.raises(sl.UsageError, match="is in a duel already"):
        relations.duel(c, b)
    assert relations.opponent(c) == 0
    with pytest.raises(sl.ConfigError, match="words is 0"):
        Relations(world, words=0)

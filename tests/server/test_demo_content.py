"""Invariant: what players do in the demo's world follows its rules: cooldown, status, zones, relations, effects."""
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

import shadowland as sl
from server_app.config import Settings
from server_app.demo.ailments import MEND, POISON, STUN
from server_app.demo.bolts import WOUND
from server_app.demo.bonds import DUEL_S, PARTY
from server_app.demo.combat import COOLDOWN_S, DAMAGE, FLIGHT_S
from server_app.demo.creatures import BITE
from server_app.demo.deeds import Deeds
from server_app.demo.nearby import nearest, touching
from server_app.demo.schema import (
    Arrow,
    Bolt,
    Challenge,
    Chat,
    Item,
    Monster,
    Move,
    PickUp,
    Player,
    Shoot,
    Sort,
    Status,
    Team,
)
from server_app.demo.world import DemoWorld
from server_app.demo.zones import Zone, zone_of
from shadowland.relations import Stance

HZ = 30
places = st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), max_size=12)


@example([(0, 0)], [(5, 0), (-5, 0), (0, 5), (6, 0), (4, 4)], 5)
@given(places, places, st.integers(1, 30))
def test_who_touches_whom_is_what_all_pairs_say(first: Any, second: Any, reach: int) -> None:
    a, b = (np.array(some, np.float64).reshape(-1, 2) for some in (first, second))
    pairs = {(i, j) for i in range(len(a)) for j in range(len(b)) if ((a[i] - b[j]) ** 2).sum() <= reach**2}
    mine, theirs, distance2 = touching(a, b, reach)
    assert {*zip(mine.tolist(), theirs.tolist(), strict=True)} == pairs and len(mine) == len(pairs)
    assert (distance2 == ((a[mine] - b[theirs]) ** 2).sum(axis=1)).all()
    who, whom = nearest(a, b, reach)
    assert who.tolist() == sorted({i for i, _ in pairs})
    for i, j in zip(who, whom, strict=True):
        assert ((a[i] - b[j]) ** 2).sum() == min(((a[i] - b[k]) ** 2).sum() for k in range(len(b)))


@pytest.mark.parametrize(("place", "zone"), [
    ((0, 0), Zone.TOWN), ((20, 0), Zone.TOWN), ((20.1, 0), Zone.WILD), ((51, 51), Zone.ARENA), ((51, 50), Zone.WILD),
    ((-51, -51), Zone.SWAMP), ((-51, 51), Zone.WILD), ((100, 100), Zone.ARENA),
])
def test_zones(place: tuple[float, float], zone: Zone) -> None:
    assert zone_of(np.array([place]), 100.0).tolist() == [zone]


class Game:
    """A demo's world without a network: players that stand where they are put, messages that are said to have come."""

    def __init__(self, *players: tuple[float, float]) -> None:
        self.demo = DemoWorld(Settings(bots=50, hz=HZ, capacity=60), sl.Identity.generate())
        self.world, self.number = self.demo.app.world, 0
        self.said: dict[type, Any] = {}
        self.players = [self.world.spawn(Player(position=(x, y, 0.0))) for x, y in players]
        self.end()
        for cls in (Monster, Item):
            self.world[cls].position[:, :2] = self.demo.bound            # out of the way

    def end(self) -> None:
        self.number += 1
        self.world.publish(self.number)
        self.said.clear()

    def say(self, cls: type, *players: int, **columns: Any) -> None:
        rows = self.world.rows_of(np.array([self.players[player] for player in players], np.uint64))
        values = {name: np.array(column) for name, column in columns.items()}
        self.said[cls] = Said(rows=rows, **values)

    def __getitem__(self, cls: type) -> Any:
        return self.said.get(cls, Said(rows=np.zeros(0, np.intp), direction=np.zeros((0, 2))))

    @property
    def dt(self) -> float:
        return 1 / HZ

    @property
    def now_us(self) -> int:
        return self.number * 1_000_000 // HZ

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * HZ)):
            self.end()

    def stand(self, monster: int, place: ArrayLike) -> None:
        """A monster is there for a tick."""
        self.world[Monster].position[monster, :2] = place
        self.end()

    def bolt(self, player: int, way: tuple[float, float], seen: int) -> int:
        """Shoot a bolt; how many hit somebody."""
        before = self.demo.deeds.bolt_hits
        self.say(Bolt, player, direction=[way], seen=[seen], sessions=[0])
        self.demo._bolts.step(self)  # type: ignore[arg-type]
        self.end()
        return self.demo.deeds.bolt_hits - before

    def bonds(self, cls: type | None = None, *players: int) -> None:
        """These ask for a duel or a party."""
        if cls is not None:
            self.say(cls, *players)
        self.demo._bonds.step(self)  # type: ignore[arg-type]
        self.end()

    def arrows(self, ticks: int) -> None:
        """Arrows fly for so many ticks."""
        for _ in range(ticks):
            self.demo._bury(self.demo._combat.fly(self), self)  # type: ignore[arg-type]
            self.demo._ailments.step(self)  # type: ignore[arg-type]
            self.end()

    def shoot(self, *players: int, way: tuple[float, float] = (1.0, 0.0)) -> int:
        """These shoot in one tick; how many arrows came of it."""
        before = self.demo.deeds.shots
        self.say(Shoot, *players, direction=[way] * len(players))
        self.demo._combat.shoot(self)  # type: ignore[arg-type]
        self.end()
        return self.demo.deeds.shots - before


class Said(SimpleNamespace):
    def __len__(self) -> int:
        return len(self.rows)


def wild(game: Game) -> tuple[float, float]:
    """A place in the wild."""
    return -0.6 * game.demo.bound, 0.6 * game.demo.bound


@pytest.fixture
def game() -> Game:
    game = Game((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    game.world[Player].position[:, :2] = wild(game)
    return game


def test_one_arrow_a_cooldown_however_often_one_asks(game: Game) -> None:
    assert game.shoot(0, 0, 1) == 2
    assert game.shoot(0) == 0
    game.number += round(COOLDOWN_S * HZ)
    assert game.shoot(0) == 1


def test_nobody_shoots_while_stunned_or_in_town_or_at_nothing(game: Game) -> None:
    players = game.world[Player]
    players.status[0] = Status.STUNNED
    players.position[1, :2] = 0
    assert game.shoot(0, 1) == 0
    assert game.shoot(2, way=(0.0, 0.0)) == 0                            # no foe is near
    game.world[Monster].position[0, :2] = players.position[2, :2] + (0, 9)
    assert game.shoot(2, way=(0.0, 0.0)) == 1
    assert game.world[Arrow].velocity[0, :2].tolist() == [0, 15]


def test_three_arrows_stun_and_kill_a_monster_that_leaves_gold_and_another_comes(game: Game) -> None:
    monsters, items = len(game.world[Monster]), len(game.world[Item])
    victim = int(game.world[Monster].handles[0])
    game.world[Monster].position[0, :2] = np.array(wild(game)) + (5, 0)
    for health in (100 - DAMAGE, 100 - 2 * DAMAGE):
        assert game.shoot(0) == 1
        game.arrows(HZ // 2)
        row = game.world.row_of(victim)
        assert game.world[Monster].health[row] == health and game.world[Monster].status[row] == Status.STUNNED
        assert len(game.world[Arrow]) == 0
        game.number += HZ
    game.shoot(0)
    game.arrows(HZ // 2)
    assert victim not in game.world and game.demo.deeds.kills == 1 and game.demo.deeds.hits == 3
    assert (len(game.world[Monster]), len(game.world[Item])) == (monsters, items + 1)


def test_an_arrow_that_hits_nothing_is_gone_after_its_time(game: Game) -> None:
    game.shoot(0)
    game.arrows(round(FLIGHT_S * HZ) - 2)
    assert len(game.world[Arrow]) == 1
    game.arrows(3)
    assert len(game.world[Arrow]) == 0 and game.demo.deeds.hits == 0


@pytest.mark.parametrize(("arena", "faction", "hit"), [(True, "blue", True), (True, "red", False),
                                                       (False, "blue", False)])
def test_players_hurt_enemies_in_the_arena_only(game: Game, arena: bool, faction: str, hit: bool) -> None:
    place = np.array([0.6, 0.6]) * game.demo.bound if arena else np.array(wild(game))
    game.demo.relations.place(game.players[0], faction="red")
    game.demo.relations.place(game.players[1], faction=faction)
    players = game.world[Player]
    players.position[0, :2], players.position[1, :2], players.position[2, :2] = place, place + (5, 0), 0
    game.shoot(0)
    game.arrows(HZ // 2)
    assert players.status.tolist() == [0, Status.POISONED if hit else 0, 0]
    words = game.demo.relations.words_of(game.players[1])
    assert words == ({game.players[0]: Stance.ENEMY} if hit else {})


def test_in_the_arena_the_nearest_enemy_is_aimed_at_and_no_friend(game: Game) -> None:
    corner = 0.6 * game.demo.bound
    for player, faction in zip(game.players, ("red", "red", "blue"), strict=True):
        game.demo.relations.place(player, faction=faction)
    game.world[Player].position[:, :2] = (corner, corner), (corner + 2, corner), (corner, corner + 9)
    assert game.shoot(0, way=(0.0, 0.0)) == 1
    assert game.world[Arrow].velocity[0, :2].tolist() == [0, 15]
    game.number += HZ
    game.world[Player].position[2, :2] = 0
    assert game.shoot(0, way=(0.0, 0.0)) == 0


def test_a_bolt_hits_whom_its_shooter_saw_where_it_stood_then(game: Game) -> None:
    here = np.array(wild(game))
    game.world[Player].position[1:, :2] = 0                             # out of the way
    game.stand(0, here + (10, 0))
    seen = game.number
    game.stand(0, here + (0, 10))                                       # it is elsewhere by now
    assert game.bolt(0, (1.0, 0.0), seen) == 1
    assert game.world[Monster].health[0] == 100 - DAMAGE and game.demo.deeds.rewound == 1
    game.wait(1)
    assert game.bolt(0, (1.0, 0.0), game.number) == 0                   # as it is now, nobody stands there
    game.wait(1)
    assert game.bolt(0, (0.0, 1.0), game.number) == 1
    assert game.bolt(0, (0.0, 1.0), game.number) == 0                   # too soon
    assert (game.demo.deeds.bolts, game.demo.deeds.rewound) == (3, 1)


def test_no_bolt_flies_back_further_than_half_a_second(game: Game) -> None:
    here = np.array(wild(game))
    game.world[Player].position[1:, :2] = 0                             # out of the way
    game.stand(0, here + (10, 0))
    seen = game.number
    for _ in range(HZ):
        game.stand(0, here + (0, 10))
    assert game.bolt(0, (1.0, 0.0), seen) == 0


def test_who_duels_may_be_harmed_wherever_one_fights_until_the_time_is_over(game: Game) -> None:
    players, relations = game.world[Player], game.demo.relations
    for player in game.players:
        relations.place(player, faction="red")
    place = np.array(wild(game))
    players.position[:, :2] = place, place + (5, 0), place + (-5, 0)
    game.stand(0, (0.0, 0.0))
    assert game.bolt(0, (1.0, 0.0), game.number) == 0                   # a friend
    game.bonds(Challenge, 0)
    assert relations.opponent(game.players[0]) == game.players[1] and game.demo.deeds.duels == 1
    game.bonds(Challenge, 2)                                            # both in reach are busy
    assert game.demo.deeds.duels == 1
    game.wait(1)
    assert game.bolt(0, (1.0, 0.0), game.number) == 1 and players.health.tolist() == [100, 100 - WOUND, 100]
    game.wait(1)
    assert game.bolt(0, (-1.0, 0.0), game.number) == 0                  # not the opponent
    game.wait(1)
    assert game.shoot(0) == 1
    game.arrows(HZ // 2)
    assert players.status.tolist() == [0, Status.POISONED, 0]
    game.wait(DUEL_S)
    game.bonds()
    assert relations.opponent(game.players[1]) == 0 and not players.duel_until.any()


def test_a_duel_ends_when_one_falls_or_is_gone(game: Game) -> None:
    players, relations = game.world[Player], game.demo.relations
    game.bonds(Challenge, 0)
    players.health[0] = 0
    game.bonds()
    assert relations.opponent(game.players[0]) == 0 and not players.duel_until.any()
    players.health[0] = 100
    game.bonds(Challenge, 0)
    other = relations.opponent(game.players[0])
    game.world.despawn(other)
    game.end()
    assert relations.opponent(game.players[0]) == 0
    game.wait(DUEL_S)
    game.bonds()
    assert not players.duel_until.any()


def test_parties_are_of_one_faction_of_four_at_most_and_never_of_one() -> None:
    game = Game(*[(0.0, 0.0)] * 7)
    relations, factions = game.demo.relations, ["red", "blue", "red", "red", "red", "red", "blue"]
    for player, faction in zip(game.players, factions, strict=True):
        relations.place(player, faction=faction)
    game.world[Player].faction[:] = relations.places_of(game.world[Player].handles)[0]
    for asking in range(6):
        game.world[Player].position[:, 0] = [0, 1, 2, 3, 4, 5, 40]
        game.bonds(Team, asking) if asking not in (1, 2) else None
    parties = {relations.party_of(player) for player in game.players}
    assert all(len(party) in (0, 2, 3, PARTY) for party in parties) and len(parties) > 1
    assert not relations.party_of(game.players[1]) and game.demo.deeds.parties > 1
    mate = next(player for player in game.players if relations.party_of(player))
    while relations.party_of(mate):
        asking = game.players.index(next(iter(relations.party_of(mate))))
        game.bonds(Team, asking)                                        # who is in one leaves it
    assert not relations.party_of(mate)


def test_a_cloak_hides_from_the_other_faction_for_a_while(game: Game) -> None:
    shown: list[tuple[Any, int]] = []
    game.world.set_visible_to = lambda entities, mask: shown.append((entities, mask))  # type: ignore[method-assign]
    for player, faction in zip(game.players, ("red", "blue", "red"), strict=True):
        game.demo.relations.place(player, faction=faction)
    players, items = game.world[Player], game.world[Item]
    players.faction[:] = game.demo.relations.places_of(players.handles)[0]
    items.position[0, :2] = players.position[1, :2]
    items.sort[0] = Sort.CLOAK
    game.say(PickUp, 1)
    game.demo._items.step(game)  # type: ignore[arg-type]
    game.arrows(2)
    assert players.status.tolist() == [0, Status.HIDDEN, 0] and shown == [(game.players[1], 1 << 2)]
    game.arrows(8 * HZ)
    assert not players.status.any() and shown[1:] == [(game.players[1], 2**64 - 1)] and game.demo.deeds.hidden == 1


def test_each_zone_has_its_rules() -> None:
    game = Game((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    players, bound = game.world[Player], game.demo.bound
    places = {Zone.WILD: wild(game), Zone.TOWN: (0.0, 0.0), Zone.ARENA: (0.6 * bound, 0.6 * bound),
              Zone.SWAMP: (-0.6 * bound, -0.6 * bound)}
    players.position[:, :2] = [places[zone] for zone in Zone]
    players.health[:] = 50
    for _ in range(HZ):
        game.demo._live(game)  # type: ignore[arg-type]
        game.demo._ailments.step(game)  # type: ignore[arg-type]
        game.end()
    assert players.health.tolist() == [51, 55, 50, 50]                  # the town heals
    assert players.status.tolist() == [0, 0, 0, Status.POISONED]        # the swamp poisons
    players.status[:] = 0
    assert game.shoot(0, 1, 2, 3) == 3                                  # nobody fights in the town
    before = players.health.copy()
    for monster, place in enumerate(places.values()):
        game.world[Monster].position[monster, :2] = place
        game.world[Monster].until[monster] = 0
    game.demo._move_monsters(game)  # type: ignore[arg-type]
    assert (before - players.health).tolist() == [BITE, 0, BITE, BITE]  # nor does anything bite there
    start = players.position[:, 0].copy()
    for slot in range(4):
        game.demo.authority.reset(slot, 0)
    game.say(Move, 0, 1, 2, 3, direction=[(1.0, 0.0)] * 4, slots=range(4), numbers=[1] * 4, times_us=[10**6] * 4,
             position=[(0.0, 0.0)] * 4, sessions=[0] * 4)
    game.demo._move_players(game)  # type: ignore[arg-type]
    assert np.round(players.position[:, 0] - start, 4).tolist() == pytest.approx([5 / HZ] * 3 + [2.5 / HZ], abs=1e-3)


def test_poison_hurts_mending_heals_and_who_falls_gets_up_cured_and_poorer(game: Game) -> None:
    players = game.world[Player]
    players.health[:], players.gold[:] = (50, 50, 1), 10
    game.demo._ailments.put(POISON, players.handles[[0, 2]])
    game.demo._ailments.put(MEND, players.handles[[1]])
    game.demo._ailments.put(STUN, players.handles[[2]])
    game.arrows(HZ + 2)
    assert players.health.tolist() == [48, 54, -1] and game.demo.deeds.effects == 4
    game.demo._rise()
    assert players.health.tolist() == [48, 54, 100] and players.gold.tolist() == [10, 10, 5]
    game.arrows(1)
    assert players.status.tolist() == [Status.POISONED, Status.MENDING, 0] and game.demo.deeds.falls == 1


def test_an_item_goes_to_one_and_another_appears(game: Game) -> None:
    players, items = game.world[Player], game.world[Item]
    count = len(items)
    items.position[0, :2] = players.position[0, :2] + (1, 1)
    items.sort[0] = Sort.GOLD
    game.say(PickUp, 0, 1)
    game.demo._items.step(game)  # type: ignore[arg-type]
    game.end()
    assert players.gold.tolist() == [5, 0, 0] and game.demo.deeds.items == 1 and len(game.world[Item]) == count
    game.say(PickUp, 0, 1)
    game.demo._items.step(game)  # type: ignore[arg-type]
    assert game.demo.deeds.items == 1                                    # nothing is at hand


def test_deeds_are_counted_from_when_they_are_asked() -> None:
    deeds = Deeds(shots=3)
    before = deeds.copy()
    deeds.shots += 2
    assert deeds.minus(before) == Deeds(shots=2) and len(Chat(text="x" * 200).text) == 200

"""Relations: who is friend or enemy to whom, from factions, guilds, parties, personal words and duels.

    relations = Relations(app.world, factions=["nobody", "wolves", "sheep"])
    relations.declare("wolves", "sheep", Stance.ENEMY)

    @app.on_join
    def join(session):
        session.avatar = app.world.spawn(Player(), owner=session)
        relations.place(session.avatar, faction="sheep")

    foes = relations.stances(wolf, players.handles) == Stance.ENEMY     # one call for all of them

`shadowland.standing` tells clients, so that each knows who is a friend of its own. Fields that are GroupOnly("party"),
GroupOnly("guild") or GroupOnly("faction") follow by themselves: its members are sent them.
"""
import difflib
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland._core.world import relations as _core
from shadowland.errors import CapacityError, ConfigError, UsageError
from shadowland.world import World

__all__ = ["Because", "Change", "Relations", "Stance"]

LARGEST_ID: Final = (1 << 31) - 1
PARTY_MOST: Final = 64
WORDS_MOST: Final = 256


class Stance(enum.IntEnum):
    """What one entity is to another."""

    NEUTRAL = _core.NEUTRAL
    FRIEND = _core.FRIEND
    ENEMY = _core.ENEMY


class Because(enum.IntEnum):
    """Where a stance comes from; of several the first in this order counts."""

    NOBODY = _core.NOBODY           # one of the two handles is 0: neutral
    SELF = _core.SELF               # a friend
    DUEL = _core.DUEL               # an enemy
    PERSONAL = _core.PERSONAL       # what the observer said of this one
    PARTY = _core.PARTY             # a friend
    GUILD = _core.GUILD             # a friend
    FACTION = _core.FACTION         # what the one faction is to the other


@dataclass(frozen=True, slots=True)
class Change:
    """Something that one entity's player has to know. `what` says which: "place" (its own faction or guild),
    "party_in", "party_out" (other), "word" (stance of other, None: taken back), "duel" (other, 0: nobody); or "row",
    for all members of faction `other`, with entity 0."""

    entity: int
    what: str
    other: int = 0
    stance: Stance | None = None


class Relations:
    """The relations of a world's entities. An entity that is despawned loses all of its own.

    factions   names, at most 64; the first is that of entities that were given none (or are gone). A faction is a
               friend of itself and neutral to others until `declare` says otherwise.
    words      personal words that can stand at once; one entity says at most 256.

    ConfigError for factions that cannot be.
    """

    def __init__(self, world: World, *, factions: Sequence[str] = ("nobody",), words: int = 65_536) -> None:
        if not 1 <= len(factions) <= _core.FACTIONS:
            raise ConfigError(f"{len(factions)} factions; there can be 1 to {_core.FACTIONS}")
        if twice := {name for name in factions if list(factions).count(name) > 1}:
            raise ConfigError(f"two factions are called {min(twice)!r}; give each a name of its own")
        try:
            self._core = _core.Relations(world.capacity, words)
        except ValueError as error:
            raise ConfigError(f"Relations: {error}") from None
        self.factions = tuple(factions)
        self.world = world
        self.matrix: NDArray[np.uint8] = np.zeros((len(factions), len(factions)), np.uint8)
        for number in range(len(factions)):
            self._regard(number, number, Stance.FRIEND)
        self._numbers = {name: number for number, name in enumerate(factions)}
        self._parties: dict[int, set[int]] = {}
        self._listeners: list[Callable[[Change], object]] = []
        world.on_despawn(self._forget)

    def _regard(self, a: int, b: int, stance: Stance) -> None:
        self._core.declare(a, b, int(stance))
        self.matrix[a, b] = stance

    def faction(self, name: str) -> int:
        """Number of a faction. UsageError for a name that is none, with a suggestion."""
        if name not in self._numbers:
            close = difflib.get_close_matches(name, self.factions, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(self.factions)}"
            raise UsageError(f"{name!r} is no faction; {hint}")
        return self._numbers[name]

    def declare(self, a: str, b: str, stance: Stance, *, both: bool = True) -> None:
        """What members of faction `b` are to those of `a`, and, with `both`, the other way round."""
        first, second = self.faction(a), self.faction(b)
        self._regard(first, second, Stance(stance))
        if both:
            self._regard(second, first, Stance(stance))
        for faction in {first, second} if both else {first}:
            self._tell(Change(0, "row", faction))

    def _alive(self, entity: int, what: str = "the entity") -> int:
        if entity not in self.world:
            raise UsageError(f"{what} {entity:#x} is gone already")
        return entity

    def place(self, entity: int, *, faction: str | None = None, party: int | None = None,
              guild: int | None = None) -> None:
        """Give an entity a faction, a party, a guild; 0: none. What is left out stays as it is.

        party, guild   numbers that the game gives, up to 2**31 - 1. A party has at most 64 members (CapacityError).
        UsageError for an entity that is gone or a number out of range.
        """
        before = self._core.placed(self._alive(entity)) or (0, 0, 0)
        for name, number in (("party", party), ("guild", guild)):
            if number is not None and not 0 <= number <= LARGEST_ID:
                raise UsageError(f"{name} is {number}; it must be 0 (none) to {LARGEST_ID:,}")
        after = (before[0] if faction is None else self.faction(faction), before[1] if party is None else party,
                 before[2] if guild is None else guild)
        if after[1] not in (0, before[1]) and len(self._parties.get(after[1], ())) >= PARTY_MOST:
            raise CapacityError(f"party {after[1]} has {PARTY_MOST} members; that is the most")
        self._core.place(entity, *after)
        self._share(entity, after)
        if before[1] != after[1]:
            self._leave_party(entity, before[1])
            self._enter_party(entity, after[1])
        if (before[0], before[2]) != (after[0], after[2]):
            self._tell(Change(entity, "place"))

    def _share(self, entity: int, place: tuple[int, int, int]) -> None:
        """Tell the world whose GroupOnly fields are whose. Faction 0 is that of entities that were given none."""
        for group, number in zip(("faction", "party", "guild"), place, strict=True):
            if group in self.world.schema.groups:
                self.world.set_group(group, entity, number)

    def _enter_party(self, entity: int, party: int) -> None:
        if party == 0:
            return
        members = self._parties.setdefault(party, set())
        for member in members:
            self._tell(Change(member, "party_in", entity))
            self._tell(Change(entity, "party_in", member))
        members.add(entity)

    def _leave_party(self, entity: int, party: int) -> None:
        if party == 0:
            return
        members = self._parties[party]
        members.discard(entity)
        for member in members:
            self._tell(Change(member, "party_out", entity))
            self._tell(Change(entity, "party_out", member))
        if not members:
            del self._parties[party]

    def say(self, entity: int, other: int, stance: Stance | None) -> None:
        """What `other` is to `entity` from now on, whatever party, guild and faction say; None takes it back.

        CapacityError beyond 256 words of one entity, or when all `words` are taken. UsageError for an entity that is
        gone, or oneself.
        """
        if self._alive(entity) == other:
            raise UsageError("an entity is always its own friend")
        own = self._core.said_by(entity)
        if stance is None:
            if other in own:
                self._take_back(entity, other)
            return
        self._alive(other, "the other entity")
        if other not in own and len(own) >= WORDS_MOST:
            raise CapacityError(f"entity {entity:#x} has said {WORDS_MOST} personal words; that is the most")
        for one in (entity, other):
            self._known(one)
        if not self._core.put(entity, other, int(Stance(stance))):
            raise CapacityError(f"{self._core.words} personal words stand; raise words=")
        self._tell(Change(entity, "word", other, Stance(stance)))

    def _known(self, entity: int) -> None:
        """Words and duels are between entities that have a place, be it none."""
        if self._core.placed(entity) is None:
            self.place(entity)

    def _take_back(self, entity: int, other: int) -> None:
        self._core.remove(entity, other)
        self._tell(Change(entity, "word", other))

    def duel(self, a: int, b: int) -> None:
        """The two are enemies until `end_duel`, whatever else they are. UsageError if one of them duels already."""
        if a == b:
            raise UsageError("a duel takes two")
        for entity in (a, b):
            if self.opponent(self._alive(entity)):
                raise UsageError(f"entity {entity:#x} is in a duel already; end_duel ends it")
        for entity, other in ((a, b), (b, a)):
            self._known(entity)
            self._core.duel(entity, other)
            self._tell(Change(entity, "duel", other))

    def end_duel(self, entity: int) -> int:
        """End the duel of an entity; returns the other's handle, 0 if there was none."""
        other = self.opponent(entity)
        if other:
            for one in (entity, other):
                self._core.duel(one, 0)
                self._tell(Change(one, "duel", 0))
        return other

    def _forget(self, gone: NDArray[np.uint64]) -> None:
        for entity in gone.tolist():
            self.end_duel(entity)
            for other in self._core.said_by(entity):
                self._take_back(entity, other)
            for by in self._core.said_about(entity):
                self._take_back(by, entity)
            place = self._core.placed(entity)
            if place is not None:
                self._leave_party(entity, place[1])
                self._core.forget(entity)

    # Asked --------------------------------------------------------------------------------------------------------

    def _between(self, observers: ArrayLike, subjects: ArrayLike) -> NDArray[np.uint8]:
        seers = np.ascontiguousarray(np.atleast_1d(np.asarray(observers, np.uint64)))
        seen = np.ascontiguousarray(np.atleast_1d(np.asarray(subjects, np.uint64)))
        if len(seen) == 1 and len(seers) != 1:
            seen = np.repeat(seen, len(seers))
        if len(seers) not in (1, len(seen)):
            raise UsageError(f"{len(seers)} observers for {len(seen)} subjects; give one, or one each")
        out = np.zeros(len(seen), np.uint8)
        self._core.between(seers, seen, out)
        return out

    def stances(self, observers: ArrayLike, subjects: ArrayLike) -> NDArray[np.uint8]:
        """What each of `subjects` is to its observer (Stance): arrays of handles of one length, or one for all."""
        return self._between(observers, subjects) & np.uint8(3)

    def because(self, observers: ArrayLike, subjects: ArrayLike) -> NDArray[np.uint8]:
        """Where each stance comes from (Because)."""
        return self._between(observers, subjects) >> np.uint8(_core.SHIFT)

    def stance(self, observer: int, subject: int) -> Stance:
        """What `subject` is to `observer`."""
        return Stance(int(self.stances(observer, subject)[0]))

    def enemies(self, a: ArrayLike, b: ArrayLike) -> NDArray[np.bool_]:
        """For each pair whether one of the two regards the other as an enemy."""
        ones, others = np.broadcast_arrays(np.atleast_1d(np.asarray(a, np.uint64)), np.asarray(b, np.uint64))
        hostile: NDArray[np.bool_] = ((self.stances(ones, others) == Stance.ENEMY)
                                      | (self.stances(others, ones) == Stance.ENEMY))
        return hostile

    def places_of(self, entities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(faction numbers, guilds) of entities, for columns of their class; 0 where none was given or one is gone."""
        wanted = np.ascontiguousarray(np.atleast_1d(np.asarray(entities, np.uint64)))
        factions, guilds = np.zeros((2, len(wanted)), np.int64)
        self._core.places(wanted, factions, guilds)
        return factions, guilds

    def party_of(self, entity: int) -> frozenset[int]:
        """Handles of an entity's party, itself included; empty if it has none."""
        _, party, _ = self._core.placed(entity) or (0, 0, 0)
        return frozenset(self._parties.get(party, ())) if party else frozenset()

    def words_of(self, entity: int) -> dict[int, Stance]:
        """What an entity has said of others."""
        return {other: Stance(stance) for other, stance in self._core.said_by(entity).items()}

    def opponent(self, entity: int) -> int:
        """Whom an entity duels with, 0: nobody."""
        return self._core.opponent(entity)

    # Told ---------------------------------------------------------------------------------------------------------

    def on_change(self, tell: Callable[[Change], object]) -> None:
        """Call `tell(change)` whenever what an entity's player has to know is new."""
        self._listeners.append(tell)

    def _tell(self, change: Change) -> None:
        for tell in self._listeners:
            tell(change)

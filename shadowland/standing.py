"""Standing: each player is told what it has to know of relations and no more, so that its client can answer for itself.

What everybody may see of an entity, its faction and guild, are fields of its class. Beyond them a client needs only
what concerns itself: its faction's row of the matrix, its guild, its party, its own words, its duel. All of that goes
once and then by changes, on a reliable channel; nothing is sent for the entities in sight, however many there are.

    # both sides import this; the class Standing is part of their schema then
    class Player(sl.Entity):
        faction: A[int, sl.Range(0, 63)] = 0
        guild: A[int, sl.Range(0, 9999)] = 0

    # server                                            # client
    feed = Feed(app, relations)                         standings = Standings()

    @app.tick                                           for message in client.poll():
    def step(t):                                            if isinstance(message, Standing):
        feed.step()                                             standings.take(message)
                                                        foes = standings.stances(snapshot, Player) == Stance.ENEMY
"""
import enum
from typing import Annotated as A
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from shadowland.errors import CapacityError
from shadowland.relations import Change, Relations, Stance
from shadowland.schema import Entity, Message, Range
from shadowland.server import Server
from shadowland.session import Session
from shadowland.view import Snapshot

__all__ = ["About", "Feed", "Standing", "Standings"]

Some = TypeVar("Some", bound=Entity)

SLOT_MASK: Final = 0xFFFFFFFF
FACTIONS: Final = 64


class About(enum.IntEnum):
    """What a Standing says."""

    CLEAR = 0               # forget all that was said: what follows is everything
    PLACE = 1               # your guild is `number`, and every faction is neutral unless a ROW follows
    ROW = 2                 # what faction `number` is to yours
    PARTY_IN = 3            # the entity is in your party
    PARTY_OUT = 4
    WORD = 5                # what you have said of the entity
    NO_WORD = 6             # you have taken it back
    DUEL = 7                # you duel with the entity; 0: with nobody


class Standing(Message, channel="reliable"):
    """One thing about relations that its receiver has to know; see About."""

    about: About
    slot: A[int, Range(0, (1 << 24) - 1)] = 0
    generation: int = 0                                 # as a signed number
    number: A[int, Range(0, (1 << 31) - 1)] = 0
    stance: Stance = Stance.NEUTRAL


def _of(about: About, entity: int, stance: Stance = Stance.NEUTRAL) -> Standing:
    generation = entity >> 32
    return Standing(about=about, slot=entity & SLOT_MASK, generation=generation - ((generation >> 31) << 32),
                    stance=stance)


class Feed:
    """Tells the players of `app` what they have to know of `relations`.

    behind   how often somebody's buffer was full; all is said again when it has room.
    """

    def __init__(self, app: Server, relations: Relations) -> None:
        self.app, self.relations = app, relations
        self.behind = 0
        self._news: list[Change] = []
        self._told: NDArray[np.uint64] = np.zeros(app.capacity, np.uint64)      # the avatar that a slot was told of
        self._players: NDArray[np.uint64] = np.zeros(app.capacity, np.uint64)   # and the session that had it
        self._slots: dict[int, int] = {}                                        # by avatar
        relations.on_change(self._news.append)

    def step(self) -> int:
        """Once a tick: tell newcomers everything and the others what changed; returns how many messages that were."""
        sent = 0
        news, self._news[:] = list(self._news), []
        app = self.app
        fresh = set(np.flatnonzero((app.avatars != self._told) | (app.players != self._players)).tolist())
        for change in news:
            for slot in self._concerned(change):
                session = app.sessions.get(int(app.players[slot]))
                if session is not None and slot not in fresh:
                    sent += self._send(session, self._words(change, session.avatar))
        for slot in fresh:
            self._slots.pop(int(self._told[slot]), None)
        for slot in sorted(fresh):
            avatar = int(app.avatars[slot])
            self._told[slot], self._players[slot] = avatar, app.players[slot]
            session = app.sessions.get(int(app.players[slot]))
            if avatar and session is not None:
                self._slots[avatar] = slot
                sent += self._send(session, self._everything(avatar))
        return sent

    def _concerned(self, change: Change) -> list[int]:
        if change.what != "row":
            slot = self._slots.get(change.entity)
            return [] if slot is None else [slot]
        avatars = np.array(list(self._slots), np.uint64)
        slots = np.array(list(self._slots.values()), np.intp)
        chosen: list[int] = slots[self.relations.places_of(avatars)[0] == change.other].tolist()
        return chosen

    def _send(self, session: Session, messages: list[Standing]) -> int:
        if not session.live:
            return 0
        try:
            for message in messages:
                session.send(message)
        except CapacityError:
            self.behind += 1
            self._told[session.slot] = 0                # nobody's avatar: everything again, next tick
            self._slots.pop(session.avatar, None)
        return len(messages)

    def _place(self, entity: int) -> list[Standing]:
        faction, guild = (int(column[0]) for column in self.relations.places_of(entity))
        row = self.relations.matrix[faction]
        return [Standing(about=About.PLACE, number=guild), *(
            Standing(about=About.ROW, number=number, stance=Stance(int(row[number])))
            for number in np.flatnonzero(row).tolist())]

    def _everything(self, entity: int) -> list[Standing]:
        said = [Standing(about=About.CLEAR), *self._place(entity)]
        said += [_of(About.PARTY_IN, member) for member in sorted(self.relations.party_of(entity)) if member != entity]
        said += [_of(About.WORD, other, stance) for other, stance in self.relations.words_of(entity).items()]
        opponent = self.relations.opponent(entity)
        return said + ([_of(About.DUEL, opponent)] if opponent else [])

    def _words(self, change: Change, avatar: int) -> list[Standing]:
        match change.what:
            case "place" | "row":
                return self._place(avatar)
            case "party_in":
                return [_of(About.PARTY_IN, change.other)]
            case "party_out":
                return [_of(About.PARTY_OUT, change.other)]
            case "duel":
                return [_of(About.DUEL, change.other)]
        if change.stance is None:
            return [_of(About.NO_WORD, change.other)]
        return [_of(About.WORD, change.other, change.stance)]


class Standings:
    """What a client knows of relations: feed it every Standing that comes, in order."""

    def __init__(self) -> None:
        self.guild = 0
        self.party: set[int] = set()
        self.words: dict[int, Stance] = {}
        self.opponent = 0
        self._row: NDArray[np.uint8] = np.zeros(FACTIONS, np.uint8)

    def take(self, message: Standing) -> None:
        """Take one in."""
        entity = (message.generation & SLOT_MASK) << 32 | message.slot
        match message.about:
            case About.CLEAR:
                self.__init__()                         # type: ignore[misc]
            case About.PLACE:
                self.guild = message.number
                self._row[:] = Stance.NEUTRAL
            case About.ROW:
                self._row[message.number % FACTIONS] = message.stance
            case About.PARTY_IN:
                self.party.add(entity)
            case About.PARTY_OUT:
                self.party.discard(entity)
            case About.WORD:
                self.words[entity] = message.stance
            case About.NO_WORD:
                self.words.pop(entity, None)
            case About.DUEL:
                self.opponent = entity

    def stance(self, entity: int, *, faction: int = 0, guild: int = 0, mine: int = 0) -> Stance:
        """What an entity with these fields is to the player, whose avatar is `mine` (Snapshot.mine)."""
        if entity == mine:
            return Stance.FRIEND
        if entity == self.opponent:
            return Stance.ENEMY
        if entity in self.words:
            return self.words[entity]
        if entity in self.party or (guild != 0 and guild == self.guild):
            return Stance.FRIEND
        return Stance(int(self._row[faction]))

    def stances(self, snapshot: Snapshot, cls: type[Some]) -> NDArray[np.uint8]:
        """What each entity of a class in sight is to the player (Stance), in the order of `snapshot[cls]`.

        `faction` and `guild` are fields of the class; one that it does not have counts as 0.
        """
        seen = snapshot[cls]
        count = len(seen)
        factions = seen.faction if "faction" in seen._names else np.zeros(count, np.int64)
        out: NDArray[np.uint8] = self._row[factions]
        if "guild" in seen._names and self.guild:
            out[seen.guild == self.guild] = Stance.FRIEND
        if self.party:
            out[np.isin(seen.handles, np.array(list(self.party), np.uint64))] = Stance.FRIEND
        if self.words:                                  # few against those in sight, or the other way round
            for at in np.flatnonzero(np.isin(seen.handles, np.array(list(self.words), np.uint64))).tolist():
                out[at] = self.words[int(seen.handles[at])]
        out[seen.handles == np.uint64(self.opponent)] = Stance.ENEMY
        out[seen.handles == np.uint64(snapshot.mine)] = Stance.FRIEND
        return out

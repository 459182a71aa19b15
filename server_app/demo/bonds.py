"""Who of the players belongs together, and who fights whom: guilds, parties, duels (docs/relations.md)."""
from typing import Final

import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from server_app.demo.deeds import Deeds
from server_app.demo.nearby import touching
from server_app.demo.schema import GUILDS, Challenge, Player, Team
from shadowland.relations import Relations

REACH: Final = 15.0             # metres from which one is asked
PARTY: Final = 4                # players in a party
DUEL_S: Final = 10.0


class Bonds:
    """Parties are numbered from 1 in the order in which they are made."""

    def __init__(self, app: sl.Server, relations: Relations, deeds: Deeds) -> None:
        self._world, self._relations, self._deeds, self._hz = app.world, relations, deeds, app.tick_hz
        self._parties = 0

    def join(self, avatar: int, number: int) -> None:
        """The player that came as `number` is red or blue, and in a guild of that side."""
        self._relations.place(avatar, faction=("red", "blue")[number % 2], guild=1 + number % GUILDS)

    def step(self, t: sl.Tick) -> None:
        """Duels whose time is over end, or where one has fallen; then new ones, and parties."""
        players = self._world[Player]
        over = (players.duel_until != 0) & ((players.duel_until <= t.number) | (players.health <= 0))
        for duellist in players.handles[over].tolist():
            self._end_duel(duellist)
        for who, whom in self._pairs(t[Challenge].rows):
            if players.duel_until[who] == 0 and players.duel_until[whom] == 0:
                players.duel_until[[who, whom]] = t.number + round(DUEL_S * self._hz)
                self._relations.duel(int(players.handles[who]), int(players.handles[whom]))
                self._deeds.duels += 1
        for who, whom in self._pairs(t[Team].rows, friends=True):
            self._team(int(players.handles[who]), int(players.handles[whom]))

    def _end_duel(self, duellist: int) -> None:
        other = self._relations.end_duel(duellist)              # 0: the other is gone, or was first in this tick
        rows = self._world.rows_of(np.array([duellist, other], np.uint64))
        self._world[Player].duel_until[rows[rows >= 0]] = 0

    def _pairs(self, rows: NDArray[np.intp], *, friends: bool = False) -> list[tuple[int, int]]:
        """Each of these players, and the nearest other in reach (of its own faction)."""
        if len(rows) == 0:
            return []
        players = self._world[Player]
        asking = np.unique(rows)
        who, whom, _ = touching(players.position[asking, :2], players.position[:, :2], REACH)
        fine = asking[who] != whom
        if friends:
            fine &= players.faction[asking[who]] == players.faction[whom]
        who, first = np.unique(who[fine], return_index=True)
        pairs: NDArray[np.intp] = np.stack((asking[who], whom[fine][first]), axis=1)
        return [(one, other) for one, other in pairs.tolist()]

    def _team(self, asking: int, asked: int) -> None:
        """Who is in a party leaves it; who is in none joins that of the other, or the two make one."""
        old, party = self._relations.party_of(asking), self._relations.party_of(asked)
        if old:
            for member in old if len(old) == 2 else (asking,):  # nobody is a party alone
                self._relations.place(member, party=0)
        elif len(party) < PARTY:
            number = self._world[Player].party[self._world.row_of(asked)] if party else self._found()
            for member in (asking, asked):
                self._relations.place(member, party=int(number))
                self._world[Player].party[self._world.row_of(member)] = number
            self._deeds.parties += 1

    def _found(self) -> int:
        self._parties += 1
        return self._parties

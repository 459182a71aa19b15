"""Bolts: they hit at once, what their shooter saw: judged where its target was in the snapshot that it aimed by
(docs/rewind.md)."""
from typing import Final

import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from server_app.demo.ailments import POISON, STUN, Ailments
from server_app.demo.combat import COOLDOWN_S, DAMAGE, may_harm, may_shoot
from server_app.demo.deeds import Deeds
from server_app.demo.schema import Bolt, Monster, Player
from shadowland.relations import Relations
from shadowland.rewind import History, Shape

REACH: Final = 25.0             # metres
BODY: Final = Shape(radius=0.25)
WOUND: Final = 25               # of a player


class Bolts:
    """Bolts in a world of half edge `bound`."""

    def __init__(self, app: sl.Server, ailments: Ailments, relations: Relations, deeds: Deeds, *, bound: float) -> None:
        self._app, self._world = app, app.world
        self._ailments, self._relations, self._deeds, self._bound = ailments, relations, deeds, bound
        self._history = History(app.world, Player, Monster)

    def step(self, t: sl.Tick) -> None:
        """Shoot: each goes on until it meets somebody, and harms whom its shooter may harm."""
        shots = t[Bolt]
        if len(shots) == 0:
            return
        players, monsters = self._world[Player], self._world[Monster]
        rows, first = np.unique(shots.rows, return_index=True)          # of two in a tick the first counts
        fine = may_shoot(players, rows, t, self._bound)
        rows, first = rows[fine], first[fine]
        players.armed[rows] = t.number + round(COOLDOWN_S * self._app.tick_hz)
        shooters, start, ways = players.handles[rows], players.position[rows], shots.direction[first]
        trips = [session.rtt_ms if (session := self._app.sessions.get(handle)) else 0.0
                 for handle in shots.sessions[first].tolist()]
        then = self._history.when(shots.seen[first], trips)
        met = self._history.rays(start, ways, REACH, then, BODY, ignore=shooters).handles
        now = self._history.rays(start, ways, REACH, self._history.newest, BODY, ignore=shooters).handles
        bitten, prey = self._rows(monsters, met)
        np.subtract.at(monsters.health, prey, DAMAGE)
        self._ailments.put(STUN, met[bitten], shooters[bitten])
        struck, victims = self._rows(players, met)
        fair = may_harm(self._relations, shooters[struck], met[struck], players.position[victims, :2], self._bound)
        struck, victims = struck[fair], victims[fair]
        np.subtract.at(players.health, victims, WOUND)
        self._ailments.put(POISON, met[struck], shooters[struck])
        hit = np.concatenate((bitten, struck))
        self._deeds.bolts += len(rows)
        self._deeds.bolt_hits += len(hit)
        self._deeds.rewound += int(np.count_nonzero(met[hit] != now[hit]))

    def _rows(self, columns: sl.Columns[Player] | sl.Columns[Monster], handles: NDArray[np.uint64]) -> tuple[
            NDArray[np.intp], NDArray[np.intp]]:
        """Which of these entities are alive and of the class of `columns`: their indices, and their rows there."""
        rows = self._world.rows_of(handles)
        index = np.flatnonzero((rows >= 0) & (rows < len(columns)))
        index = index[columns.handles[rows[index]] == handles[index]]
        return index, rows[index]

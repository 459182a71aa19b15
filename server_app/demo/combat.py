"""Arrows: who may shoot, where they fly, whom they hit: a matter of cooldown, status, zone and relations."""
from typing import Final

import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from server_app.demo.ailments import POISON, STUN, Ailments
from server_app.demo.creatures import stepped
from server_app.demo.deeds import Deeds
from server_app.demo.nearby import nearest, touching
from server_app.demo.schema import ARROW_SPEED, Arrow, Monster, Player, Shoot, Status
from server_app.demo.zones import DUELS, FIGHTS, zone_of
from shadowland.relations import Because, Relations, Stance

COOLDOWN_S: Final = 0.8
FLIGHT_S: Final = 1.0
AIM: Final = 14.0                   # metres at which the nearest foe is aimed at
TOUCH: Final = 0.8                  # metres from which an arrow hits
DAMAGE: Final = 35
GRUDGES: Final = 16                 # that one player holds


def may_shoot(players: sl.Columns[Player], rows: NDArray[np.intp], t: sl.Tick, bound: float) -> NDArray[np.bool_]:
    """Which of these may shoot: once a cooldown, not while stunned, not in the town."""
    fine: NDArray[np.bool_] = ((players.armed[rows] <= t.number) & (players.status[rows] & Status.STUNNED == 0)
                               & FIGHTS[zone_of(players.position[rows, :2], bound)])
    return fine


def may_harm(relations: Relations, shooters: NDArray[np.uint64], victims: NDArray[np.uint64],
             places: NDArray[np.floating], bound: float) -> NDArray[np.bool_]:
    """Which of these players, at `places`, their shooters may harm: opponents in a duel, and in the arena any enemy."""
    zones = zone_of(places, bound)
    duel = relations.because(shooters, victims) == Because.DUEL if len(victims) else np.zeros(0, np.bool_)
    return FIGHTS[zones] & (duel | DUELS[zones] & relations.enemies(shooters, victims))


class Combat:
    """Arrows in a world of half edge `bound`; `most` fly at once."""

    def __init__(self, app: sl.Server, ailments: Ailments, relations: Relations, deeds: Deeds, *, bound: float,
                 most: int) -> None:
        self._world, self._ailments, self._relations, self._deeds = app.world, ailments, relations, deeds
        self._hz, self._bound, self._most = app.tick_hz, bound, most

    def shoot(self, t: sl.Tick) -> None:
        """Arrows of those who may: one a cooldown, not while stunned, not in the town."""
        shots = t[Shoot]
        if len(shots) == 0:
            return
        players = self._world[Player]
        rows, first = np.unique(shots.rows, return_index=True)      # of two in a tick the first counts
        place = players.position[rows, :2]
        fine = may_shoot(players, rows, t, self._bound)
        rows, place, ways = rows[fine], place[fine], shots.direction[first[fine]].astype(np.float64)
        aimed = ~ways.any(axis=1)
        ways[aimed] = self._aim(rows[aimed], place[aimed])
        lengths = np.hypot(ways[:, 0], ways[:, 1])
        fly = np.flatnonzero(lengths > 0)[:max(0, self._most - len(self._world[Arrow]))]
        velocities = stepped(ways[fly] / lengths[fly, None] * ARROW_SPEED)
        players.armed[rows[fly]] = t.number + round(COOLDOWN_S * self._hz)
        shooters = players.handles.view(np.int64)[rows[fly]].tolist()
        for (x, y), (east, north), shooter in zip(place[fly].tolist(), velocities.tolist(), shooters, strict=True):
            self._world.spawn(Arrow(position=(x, y, 0.0), velocity=(east, north, 0.0), shooter=shooter,
                                    until=t.number + round(FLIGHT_S * self._hz)))
        self._deeds.shots += len(fly)

    def _aim(self, rows: NDArray[np.intp], place: NDArray[np.floating]) -> NDArray[np.float64]:
        """The way to the nearest monster within reach, in the arena to the nearest enemy; (0, 0) if there is none."""
        ways = np.zeros((len(place), 2))
        foes = self._world[Monster].position[:, :2]
        who, whom = nearest(place, foes, AIM)
        ways[who] = foes[whom] - place[who]
        fighters = np.flatnonzero(DUELS[zone_of(place, self._bound)])
        if len(fighters):
            players = self._world[Player]
            who, whom, _ = touching(place[fighters], players.position[:, :2], AIM)
            foe = self._relations.enemies(players.handles[rows[fighters[who]]], players.handles[whom])
            who, first = np.unique(fighters[who[foe]], return_index=True)
            ways[who] = players.position[whom[foe][first], :2] - place[who]
        return ways

    def _resent(self, victim: int, shooter: int) -> None:
        """Whoever is hit holds it against the shooter, wherever they meet again."""
        if shooter in self._world and len(self._relations.words_of(victim)) < GRUDGES:
            self._relations.say(victim, shooter, Stance.ENEMY)

    def fly(self, t: sl.Tick) -> NDArray[np.intp]:
        """Arrows fly on and hit; returns the rows of monsters that have no health left."""
        arrows, monsters, players = self._world[Arrow], self._world[Monster], self._world[Player]
        if len(arrows) == 0:
            return np.flatnonzero(monsters.health <= 0)
        place = arrows.position[:, :2]
        place += stepped(arrows.velocity[:, :2].astype(np.float64)) * t.dt
        shooters = arrows.shooter.view(np.uint64)
        over = (arrows.until <= t.number) | (np.abs(place) > self._bound).any(axis=1)
        which, prey = nearest(place, monsters.position[:, :2], TOUCH)
        np.subtract.at(monsters.health, prey, DAMAGE)
        self._ailments.put(STUN, monsters.handles[prey], shooters[which])
        over[which] = True
        self._deeds.hits += len(which)
        which, prey = nearest(place, players.position[:, :2], TOUCH)
        if len(which):
            # Whoever shoots stands nearest to the arrow at first: friends, and oneself, are flown through.
            fair = ~over[which] & may_harm(self._relations, shooters[which], players.handles[prey],
                                           players.position[prey, :2], self._bound)
            which, prey = which[fair], prey[fair]
            self._ailments.put(POISON, players.handles[prey], shooters[which])
            over[which] = True
            self._deeds.hits += len(which)
            for victim, shooter in zip(players.handles[prey].tolist(), shooters[which].tolist(), strict=True):
                self._resent(victim, shooter)
        for arrow in arrows.handles[over].tolist():
            self._world.despawn(arrow)
        return np.flatnonzero(monsters.health <= 0)

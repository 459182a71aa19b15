"""What lies on players and monsters for a while: poison, stuns, mending, a cloak that only friends see through."""
from typing import Final

import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from server_app.demo.deeds import Deeds
from server_app.demo.schema import Monster, Player, Status
from shadowland.effects import Applied, Effects, Kind, Stacking

POISON: Final = Kind("poison", flags=Status.POISONED, duration_s=5, period_s=1, amount=-2, stacking=Stacking.COUNT,
                     most=3, group=1)
STUN: Final = Kind("stun", flags=Status.STUNNED, duration_s=1.5)
MEND: Final = Kind("mend", flags=Status.MENDING, duration_s=6, period_s=1, amount=4, group=2)
CLOAK: Final = Kind("cloak", flags=Status.HIDDEN, duration_s=8, group=3)
EVERYBODY: Final = (1 << 64) - 1
HARMFUL: Final = (POISON.group, STUN.group)


class Ailments:
    """Effects on the entities of the demo's world."""

    def __init__(self, app: sl.Server, deeds: Deeds) -> None:
        self._world, self._deeds = app.world, deeds
        self._effects = Effects(app.world, [POISON, STUN, MEND, CLOAK], capacity=4 * app.entities)

    def put(self, kind: Kind, targets: NDArray[np.uint64], sources: NDArray[np.uint64] | int = 0) -> None:
        """An effect on each of `targets`."""
        if len(targets):
            results = self._effects.apply(kind, targets, sources=sources)
            self._deeds.effects += int(np.count_nonzero((results != Applied.REFUSED) & (results != Applied.NO_ROOM)))

    def cure(self, targets: NDArray[np.uint64]) -> None:
        """What harms them is gone."""
        if len(targets):
            self._effects.dispel(targets, groups=HARMFUL)

    def step(self, t: sl.Tick) -> None:
        """Periods hurt and heal; who has what is said in the status. Only players have effects with periods."""
        players, monsters = self._world[Player], self._world[Monster]
        for part in self._effects.step(t.number):
            due = part.periods
            rows = self._world.rows_of(due.targets)
            there = rows >= 0
            np.add.at(players.health, rows[there], due.amounts[there])
        np.minimum(players.health, 100, out=players.health)
        before = players.status & Status.HIDDEN
        players.status[:] = self._effects.flags(players.handles)
        self._cloak(np.flatnonzero(before != players.status & Status.HIDDEN))
        monsters.status[:] = self._effects.flags(monsters.handles)

    def _cloak(self, rows: NDArray[np.intp]) -> None:
        """Whose cloak is new is shown to its own faction alone, whose is gone to everybody."""
        players = self._world[Player]
        for handle, faction, status in zip(players.handles[rows].tolist(), players.faction[rows].tolist(),
                                           players.status[rows].tolist(), strict=True):
            hidden = status & Status.HIDDEN != 0
            self._world.set_visible_to(handle, 1 << faction if hidden else EVERYBODY)
            self._deeds.hidden += hidden

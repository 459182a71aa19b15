"""What lies on players and monsters for a while: poison, stuns, mending."""
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
HARMFUL: Final = (POISON.group, STUN.group)


class Ailments:
    """Effects on the entities of the demo's world."""

    def __init__(self, app: sl.Server, deeds: Deeds) -> None:
        self._world, self._deeds = app.world, deeds
        self._effects = Effects(app.world, [POISON, STUN, MEND], capacity=4 * app.entities)

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
        players.status[:] = self._effects.flags(players.handles)
        monsters.status[:] = self._effects.flags(monsters.handles)

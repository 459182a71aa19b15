"""Items that lie about: gold, potions, cloaks. Whoever stands near may pick one up; another appears elsewhere."""
from collections.abc import Callable
from typing import Final

import numpy as np

import shadowland as sl
from server_app.demo.ailments import CLOAK, MEND, Ailments
from server_app.demo.deeds import Deeds
from server_app.demo.nearby import nearest
from server_app.demo.schema import Item, PickUp, Player, Sort

REACH: Final = 2.5              # metres
WORTH: Final = 5                # gold in a heap
Place = tuple[float, float, float]


class Items:
    """About `count` items; at most twice as many, for what falls from monsters."""

    def __init__(self, app: sl.Server, ailments: Ailments, deeds: Deeds, somewhere: Callable[[], Place],
                 count: int) -> None:
        self._world, self._ailments, self._deeds = app.world, ailments, deeds
        self._somewhere, self._count = somewhere, count
        for number in range(count):
            self._world.spawn(Item(position=somewhere(), sort=Sort(number % len(Sort))))

    def drop(self, place: Place) -> None:
        """Something falls here."""
        if len(self._world[Item]) < 2 * self._count:
            self._world.spawn(Item(position=place, sort=Sort.GOLD))

    def step(self, t: sl.Tick) -> None:
        """Give the nearest item to each who asks; of two who ask for one the first has it."""
        asked = t[PickUp]
        if len(asked) == 0:
            return
        players, items = self._world[Player], self._world[Item]
        rows = np.unique(asked.rows)
        who, what = nearest(players.position[rows, :2], items.position[:, :2], REACH)
        what, first = np.unique(what, return_index=True)
        rows = rows[who[first]]
        gold = items.sort[what] == Sort.GOLD
        players.gold[rows[gold]] += WORTH
        self._ailments.put(MEND, players.handles[rows[items.sort[what] == Sort.POTION]])
        self._ailments.put(CLOAK, players.handles[rows[items.sort[what] == Sort.CLOAK]])
        for number, item in enumerate(items.handles[what].tolist()):
            self._world.despawn(item)
            if len(items) - number <= self._count:
                self._world.spawn(Item(position=self._somewhere(), sort=Sort(item % len(Sort))))
        self._deeds.items += len(what)

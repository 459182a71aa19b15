"""Zones of the demo's world, and what holds in each: a town of peace, an arena, a swamp, and the wild between them."""
import enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

TOWN_SHARE: Final = 0.2             # of the half edge: radius of the town in the middle
OUTER: Final = 0.5                  # of the half edge: arena and swamp lie beyond, in opposite corners


class Zone(enum.IntEnum):
    """Where somebody is."""

    WILD = 0
    TOWN = 1
    ARENA = 2
    SWAMP = 3


# One entry a zone: may weapons be used and monsters bite; may players hit players; does it poison; health a second;
# how fast players walk there.
FIGHTS: Final = np.array([True, False, True, True])
DUELS: Final = np.array([False, False, True, False])
POISONS: Final = np.array([False, False, False, True])
HEALS: Final = np.array([1, 5, 0, 0])
SPEEDS: Final = np.array([1.0, 1.0, 1.0, 0.5])


def zone_of(place: NDArray[np.floating], bound: float) -> NDArray[np.int64]:
    """The zone of each place (n, 2) in the square world of half edge `bound`."""
    zones = np.zeros(len(place), np.int64)
    zones[(place > OUTER * bound).all(axis=1)] = Zone.ARENA
    zones[(place < -OUTER * bound).all(axis=1)] = Zone.SWAMP
    zones[np.square(place).sum(axis=1) <= (TOWN_SHARE * bound) ** 2] = Zone.TOWN
    return zones

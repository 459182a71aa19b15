from typing import final

import numpy as np
from numpy.typing import NDArray

FACTIONS: int
NEUTRAL: int
FRIEND: int
ENEMY: int
NOBODY: int
SELF: int
DUEL: int
PERSONAL: int
PARTY: int
GUILD: int
FACTION: int
SHIFT: int

@final
class Relations:
    def __init__(self, slots: int, words: int) -> None: ...
    @property
    def words(self) -> int: ...
    def declare(self, a: int, b: int, stance: int) -> None: ...
    def place(self, entity: int, faction: int, party: int, guild: int) -> None: ...
    def duel(self, a: int, b: int) -> None: ...
    def forget(self, entity: int) -> None: ...
    def put(self, by: int, about: int, stance: int) -> bool: ...
    def remove(self, by: int, about: int) -> bool: ...
    def between(
        self, observers: NDArray[np.uint64], subjects: NDArray[np.uint64], out: NDArray[np.uint8]
    ) -> None: ...
    def places(
        self, entities: NDArray[np.uint64], factions: NDArray[np.int64], guilds: NDArray[np.int64]
    ) -> None: ...

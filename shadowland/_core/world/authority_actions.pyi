from typing import final

import numpy as np
from numpy.typing import NDArray

from shadowland._core.world.authority_map import AreaMap

KINDS: int
COSTS: int
DONE: int
UNKNOWN: int
BAD: int
STATE: int
COOLDOWN: int
RESOURCES: int
RANGE: int
SIGHT: int

@final
class Actions:
    def __init__(self, area: AreaMap, slots: int, kinds: int) -> None: ...
    @property
    def area(self) -> AreaMap: ...
    @property
    def full_us(self) -> NDArray[np.uint64]: ...
    def define(
        self,
        kind: int,
        *,
        cooldown_us: int,
        grace_us: int,
        range: float,
        eye: float,
        costs: tuple[int, ...],
        forbidden: int,
        needed: int,
        charges: int,
        needs_sight: bool,
    ) -> None: ...
    def run(
        self,
        kinds: NDArray[np.uint32],
        slots: NDArray[np.int64],
        times_us: NDArray[np.uint64],
        flags: NDArray[np.uint32],
        sources: NDArray[np.float64],
        targets: NDArray[np.float64],
        rows: NDArray[np.int64],
        resources: list[NDArray[np.int64] | None],
        results: NDArray[np.uint8],
    ) -> None: ...

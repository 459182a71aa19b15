from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from shadowland._core.world.authority_map import AreaMap

MOVER_DTYPE: Final[np.dtype[Any]]
KINDS: int
OLD: int
BAD: int
LONG: int
HURRIED: int
FAST: int
ACCELERATED: int
TELEPORTED: int
TURNED: int
OUTSIDE: int
BLOCKED: int
AIRBORNE: int
LATE: int
ADRIFT: int
GAP: int

@final
class Movers:
    def __init__(self, area: AreaMap, slots: int, dt: float) -> None: ...
    @property
    def area(self) -> AreaMap: ...
    @property
    def state(self) -> NDArray[Any]: ...
    def define(
        self,
        kind: int,
        *,
        speed: float,
        acceleration: float,
        turn_rate: float,
        step_height: float,
        jump_height: float,
        jump_s: float,
        velocity_step: float,
        tolerance: float,
        claim_step: float,
        allowance_s: float,
        lag_s: float,
        fly: bool,
        blocked_by: int,
    ) -> None: ...
    def reset(self, slot: int, kind: int, now_us: int) -> None: ...
    def change(self, slot: int, kind: int) -> None: ...
    def run(
        self,
        position: NDArray[Any],
        velocity: NDArray[Any],
        yaw: NDArray[Any] | None,
        rows: NDArray[np.int64],
        slots: NDArray[np.int64],
        wanted: NDArray[np.float64],
        facings: NDArray[np.float64] | None,
        numbers: NDArray[np.uint32] | None,
        times_us: NDArray[np.uint64],
        claims: bool,
        verdicts: NDArray[np.uint16],
    ) -> None: ...
    def walk(
        self,
        kind: int,
        position: NDArray[Any],
        velocity: NDArray[Any],
        rows: NDArray[np.int64],
        wanted: NDArray[np.float64],
        scales: NDArray[np.float64],
        verdicts: NDArray[np.uint16],
    ) -> None: ...
    def wrong(
        self,
        position: NDArray[Any],
        rows: NDArray[np.int64],
        slots: NDArray[np.int64],
        claims: NDArray[np.float64],
        tolerance: float,
        gap_us: int,
        now_us: int,
        out: NDArray[np.int64],
    ) -> int: ...

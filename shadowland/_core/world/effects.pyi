from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

HAPPENING_DTYPE: Final[np.dtype[Any]]
KINDS: int
PERIOD: int
END: int
REFRESH: int
COUNT: int
APART: int
LONGEST: int
REFUSED: int
NEW: int
REFRESHED: int
STACKED: int
REPLACED: int
IGNORED: int
NO_ROOM: int

@final
class Effects:
    def __init__(self, capacity: int, slots: int, happenings: int) -> None: ...
    @property
    def live(self) -> int: ...
    def define(
        self,
        number: int,
        *,
        flags: int,
        blocked_by: int,
        duration: int,
        period: int,
        amount: int,
        most: int,
        stacking: int,
        group: int,
        per_source: bool,
    ) -> None: ...
    def apply(
        self,
        number: int,
        targets: NDArray[np.uint64],
        sources: NDArray[np.uint64],
        intensities: NDArray[np.int32],
        durations: NDArray[np.uint32],
        tick: int,
        results: NDArray[np.uint8],
    ) -> None: ...
    def step(self, tick: int) -> bool: ...
    @property
    def happenings(self) -> NDArray[Any]: ...
    def dispel(self, targets: NDArray[np.uint64], groups: int, most: int) -> int: ...
    def forget(self, targets: NDArray[np.uint64]) -> None: ...
    def flags(self, targets: NDArray[np.uint64], out: NDArray[np.uint32]) -> None: ...
    def of(self, target: int) -> list[tuple[int, int, int, int, int]]: ...

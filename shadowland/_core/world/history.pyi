from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

MOST_DEPTH: int
LEAST_CELL: float
MOST_CELL: float

@final
class History:
    def __init__(self, slots: int, depth: int, teleport: float, cell: float, layer: float) -> None: ...
    @property
    def newest(self) -> int: ...
    @property
    def oldest(self) -> int: ...
    @property
    def left_out(self) -> int: ...
    def begin(self, tick: int) -> None: ...
    def finish(self) -> None: ...
    def add(self, handles: NDArray[np.uint64], places: NDArray[np.floating]) -> None: ...
    def where(self, handles: NDArray[np.uint64], times: NDArray[np.float64], out: NDArray[np.float64]) -> None: ...
    def shoot(
        self,
        starts: NDArray[np.float64],
        ways: NDArray[np.float64],
        times: NDArray[np.float64],
        ignore: NDArray[np.uint64],
        radius: float,
        foot: Sequence[float],
        head: Sequence[float],
        handles: NDArray[np.uint64],
        parts: NDArray[np.float64],
    ) -> None: ...
    def within(
        self,
        centres: NDArray[np.float64],
        radii: NDArray[np.float64],
        times: NDArray[np.float64],
        ignore: NDArray[np.uint64],
        radius: float,
        foot: Sequence[float],
        head: Sequence[float],
    ) -> tuple[NDArray[np.intp], NDArray[np.uint64], NDArray[np.float64]]: ...

from typing import final

import numpy as np
from numpy.typing import NDArray

SIDE: int
HIGHEST: int
REACH: int
HEIGHTS: int

@final
class AreaMap:
    def __init__(
        self,
        low: tuple[float, float, float],
        high: tuple[float, float, float],
        cell: float,
        width: int,
        height: int,
        cells: NDArray[np.uint8] | None,
        ground: NDArray[np.int32] | None,
        opaque: int,
    ) -> None: ...
    def walks(self, a: NDArray[np.float64], b: NDArray[np.float64], blocked_by: int, climb: float,
              out: NDArray[np.uint8]) -> None: ...
    def lines(self, a: NDArray[np.float64], b: NDArray[np.float64], blocked_by: int, enters: bool,
              out: NDArray[np.uint8]) -> None: ...
    def grounds(self, places: NDArray[np.float64], out: NDArray[np.float64]) -> None: ...

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LIMIT: Final[int]

def width_range(bits: int) -> tuple[int, int]: ...
def quantize_array(
    values: NDArray[np.floating[Any]], step: float, low: int, high: int, quanta: NDArray[np.signedinteger[Any]]
) -> tuple[int, int]: ...
def dequantize_array(quanta: NDArray[np.integer[Any]], step: float) -> NDArray[np.float64]: ...
def split(
    positions: NDArray[np.float64],
    edge: float,
    step: float,
    quadrants: NDArray[np.int32],
    values: NDArray[np.int64],
) -> tuple[int, int]: ...
def join(
    quadrants: NDArray[np.int32], values: NDArray[np.int64], edge: float, step: float, origin: int = 0
) -> NDArray[np.float64]: ...

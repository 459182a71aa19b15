"""Who touches whom: pairs of two sets of places that lie close together, without looking at all pairs."""
import numpy as np
from numpy.typing import NDArray


def touching(first: NDArray[np.floating], second: NDArray[np.floating], reach: float) -> tuple[
        NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """All pairs (row of first, row of second, distance squared) within `reach`, places of shape (n, 2); the nearest
    of each row of first comes first. A sweep along x: only what lies in a strip of 2 * reach is looked at."""
    order = np.argsort(second[:, 0], kind="stable")
    across = second[order, 0]
    begin = np.searchsorted(across, first[:, 0] - reach, "left")
    counts = np.searchsorted(across, first[:, 0] + reach, "right") - begin
    mine = np.repeat(np.arange(len(first)), counts)
    within = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
    theirs = order[np.repeat(begin, counts) + within]
    apart = first[mine].astype(np.float64) - second[theirs]
    distance2 = np.square(apart).sum(axis=1)
    close = np.flatnonzero(distance2 <= reach * reach)
    close = close[np.lexsort((theirs[close], distance2[close], mine[close]))]
    return mine[close], theirs[close], distance2[close]


def nearest(first: NDArray[np.floating], second: NDArray[np.floating], reach: float) -> tuple[
        NDArray[np.intp], NDArray[np.intp]]:
    """For each row of first that has some of second within `reach`, the nearest one."""
    mine, theirs, _ = touching(first, second, reach)
    rows, begin = np.unique(mine, return_index=True)
    return rows, theirs[begin]

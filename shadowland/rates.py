"""How often a session may send a message class: token buckets in columns, one number a session."""
import numpy as np
from numpy.typing import NDArray

BURST_SECONDS = 1.0


class Allowance:
    """Token buckets of one message class for all sessions.

    per_second   tokens that every session gains per second; it may save up one second's worth (at least one).
    capacity     sessions.
    """

    def __init__(self, per_second: float, capacity: int) -> None:
        self.per_second = per_second
        self.burst = max(1.0, per_second * BURST_SECONDS)
        self.tokens: NDArray[np.float64] = np.full(capacity, self.burst)

    def refill(self, seconds: float) -> None:
        """Time went by."""
        np.minimum(self.tokens + self.per_second * seconds, self.burst, out=self.tokens)

    def reset(self, slot: int) -> None:
        """Another session has the slot now."""
        self.tokens[slot] = self.burst

    def take(self, slots: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of these messages, in the order of arrival, are within the allowance of the sessions that sent them."""
        if len(slots) == 0:
            return np.zeros(0, np.bool_)
        order = np.argsort(slots, kind="stable")
        ordered = slots[order]
        first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
        starts = np.flatnonzero(first)
        rank = np.arange(len(slots)) - np.repeat(starts, np.diff(np.append(starts, len(slots))))
        allowed = np.empty(len(slots), np.bool_)
        allowed[order] = rank < np.floor(self.tokens[ordered])
        np.subtract.at(self.tokens, slots[allowed], 1.0)
        return allowed

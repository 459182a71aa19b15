"""What lies between a world and its observers: a delay each way, loss, and what the endpoint tells of each snapshot."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shadowland._core.base.records import EVENT_DTYPE, JOINED, SNAPSHOT_ACKED, SNAPSHOT_LOST


def events_of(connections: NDArray[np.uint64], kind: int, tokens: NDArray[np.uint32] | int = 0) -> NDArray[Any]:
    """Records of one kind, as an endpoint hands them to the world."""
    events = np.zeros(len(connections), EVENT_DTYPE)
    events["connection"], events["kind"], events["token"] = connections, kind, tokens
    return events


def joined(observers: int) -> NDArray[Any]:
    """The first connections of slots 0 to observers - 1 join."""
    return events_of((np.uint64(1) << np.uint64(32)) | np.arange(observers, dtype=np.uint64), JOINED)


class Path:
    """The same path for all observers.

    A snapshot that arrives is acknowledged at once, and again with all that comes after it: the world hears of it one
    round trip later, or a tick later for each acknowledgment that is lost. One that does not is given up after 9/8
    of a round trip (RFC 9002 6.1.2), when the acknowledgments of later ones say so.
    """

    def __init__(self, hz: int, delay_ms: float, loss: float, random: np.random.Generator) -> None:
        round_trip = 2 * delay_ms / 1000 * hz               # in ticks
        self.acked_after = max(1, int(np.ceil(round_trip - 1e-9)))
        self.lost_after = max(1, int(np.ceil(9 / 8 * round_trip - 1e-9)))
        self.loss, self.random = loss, random
        self.later: dict[int, list[NDArray[Any]]] = {}

    def send(self, records: NDArray[Any], tick: int) -> NDArray[np.bool_]:
        """Which of the snapshots of `tick` arrive."""
        arrives: NDArray[np.bool_] = self.random.random(len(records)) >= self.loss
        delays = np.where(arrives, self.acked_after, self.lost_after)
        delays += self.random.geometric(1 - self.loss, len(records)) - 1
        for after in np.unique(delays).tolist():
            for kind, which in ((SNAPSHOT_ACKED, arrives), (SNAPSHOT_LOST, ~arrives)):
                told = records[which & (delays == after)]
                if len(told):
                    self.later.setdefault(tick + after, []).append(
                        events_of(told["connection"], kind, told["number"]))
        return arrives

    def due(self, tick: int) -> list[NDArray[Any]]:
        """What the world hears before it publishes `tick`."""
        return self.later.pop(tick, [])

"""The fixed-tick loop: wait for the tick's time, drain, tick; a tick that comes too late is skipped, never caught up.

The collector is frozen once everything is set up: what lives then lives until the end, and a full collection over it
would take milliseconds. What is young is looked at between ticks, when there is time for it.
"""
import gc
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

import numpy as np
from numpy.typing import NDArray

REMEMBERED: Final = 1 << 16         # ticks whose times are kept for percentiles: 18 minutes at 60 Hz
COLLECT_US: Final = 10_000_000      # between two looks at young garbage


def clock_us() -> int:
    """CLOCK_MONOTONIC in microseconds."""
    return time.monotonic_ns() // 1000


class TickTimes:
    """How long ticks took, the newest REMEMBERED of them, in microseconds."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._times: NDArray[np.uint32] = np.zeros(remembered, np.uint32)
        self.count = 0

    def add(self, took_us: int) -> None:
        """One tick took `took_us`."""
        self._times[self.count % len(self._times)] = min(max(took_us, 0), 0xFFFFFFFF)
        self.count += 1

    def clear(self) -> None:
        """Forget them all."""
        self.count = 0

    def milliseconds(self, *percentiles: float) -> list[float]:
        """The percentiles (0 to 100) in milliseconds; zeros while nothing was measured."""
        kept = self._times[:min(self.count, len(self._times))]
        if len(kept) == 0:
            return [0.0 for _ in percentiles]
        return [round(float(value) / 1000, 3) for value in np.percentile(kept, percentiles)]


class Loop:
    """Calls `step()` `tick_hz` times a second, and `drain(until_us)` to wait in between.

    ticks      done so far.
    skipped    ticks that were left out because the one before took too long (or the machine was away).
    times      how long each took, from its last look at the socket to its last datagram sent.
    late       how long after its due time each began.
    """

    def __init__(self, tick_hz: int, drain: Callable[[int], None], step: Callable[[], None], *,
                 clock: Callable[[], int] = clock_us) -> None:
        self.period_us = 1e6 / tick_hz              # not rounded: 60 Hz is no whole number of microseconds
        self.ticks = 0
        self.skipped = 0
        self.times = TickTimes()
        self.late = TickTimes()
        self._drain, self._step, self._clock = drain, step, clock
        self._start = float(clock())
        self._turns = 0                             # ticks done and skipped since the start
        self._collected = clock()

    def turn(self) -> None:
        """Wait for the next tick and do it."""
        self._turns += 1
        due = int(self._start + self._turns * self.period_us)
        self._drain(due)
        begin = self._clock()
        self._step()
        end = self._clock()
        self.ticks += 1
        self.times.add(end - begin)
        self.late.add(begin - due)
        behind = int((end - self._start) / self.period_us) - self._turns
        if behind > 0:
            self.skipped += behind
            self._turns += behind
        elif end - self._collected > COLLECT_US:
            self._collected = end
            gc.collect(1)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Tick until `stopped()`; it is asked before each tick."""
        with Frozen():
            while not stopped():
                self.turn()


class Frozen:
    """Inside the block the collector leaves alone what was made before it, and runs only when the loop says so."""

    def __enter__(self) -> "Frozen":
        gc.collect()
        gc.freeze()
        gc.disable()
        return self

    def __exit__(self, *error: object) -> None:
        gc.enable()
        gc.unfreeze()


class Stop:
    """Inside the block SIGINT and SIGTERM only set `asked`; a second one acts as it always did."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave
        self._before.clear()

    def __enter__(self) -> "Stop":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def __call__(self) -> bool:
        return self.asked

"""What became of messages that were sent reliably: to look at, to await from any event loop, or in columns."""
import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from threading import Lock
from typing import Any, Final
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from shadowland._core.base.records import DELIVERED, UNDELIVERED
from shadowland.errors import UsageError

_lock: Final = Lock()           # between the thread that ticks and those that await; held for a few instructions


class Delivery:
    """What `send` returns: await it, or look at `done` and `delivered`.

    `await session.send(message)` is True when the other side has the message whole, False when the session ended before
    that was known. Any event loop in any thread may await it, many may await the same, and nobody has to. A message
    of another channel than "reliable" and "unordered" is never acknowledged: awaiting it is a UsageError.
    """

    __slots__ = ("__weakref__", "_delivered", "_future", "ticket")

    def __init__(self, ticket: int) -> None:
        self.ticket = ticket            # 0: not a reliable message
        self._delivered: bool | None = None
        self._future: Future[bool] | None = None

    @property
    def done(self) -> bool:
        """Whether it is known by now, or never will be."""
        return self._delivered is not None or self.ticket == 0

    @property
    def delivered(self) -> bool | None:
        """True: it arrived; False: the session ended before that was known; None: not known yet, or never."""
        return self._delivered

    def _settle(self, delivered: bool) -> None:
        with _lock:
            self._delivered, future = delivered, self._future
        if future is not None and not future.cancelled():
            future.set_result(delivered)

    def __await__(self) -> Generator[Any, None, bool]:
        if self.ticket == 0:
            raise UsageError('nobody learns whether this message arrived; give its class channel="reliable" or '
                             '"unordered" to await it')
        with _lock:
            if self._delivered is None and self._future is None:
                self._future = Future()
            future = self._future
        if self._delivered is not None or future is None:
            return bool(self._delivered)
        # One who stops waiting must not take the answer from the others.
        return (yield from asyncio.shield(asyncio.wrap_future(future)).__await__())

    def __repr__(self) -> str:
        return f"<Delivery {self.ticket}: {'unknown' if self._delivered is None else self._delivered}>"


UNTRACKED: Final = Delivery(0)


class Ends:
    """Deliveries that became known in one tick, in columns: sessions (handles), tickets, delivered (bool)."""

    def __init__(self, events: NDArray[Any]) -> None:
        rows = events[(events["kind"] == DELIVERED) | (events["kind"] == UNDELIVERED)]
        self.sessions: NDArray[np.uint64] = rows["connection"].copy()
        self.tickets: NDArray[np.uint32] = rows["token"].copy()
        self.delivered: NDArray[np.bool_] = rows["kind"] == DELIVERED

    def __len__(self) -> int:
        return len(self.tickets)


class Deliveries:
    """The open deliveries of one endpoint; those that nobody holds any more cost nothing."""

    def __init__(self) -> None:
        self._open: WeakValueDictionary[int, Delivery] = WeakValueDictionary()
        self._next = 0

    def tickets(self, count: int) -> NDArray[np.uint32]:
        """Numbers under which `Endpoint.queue` and `Ends` name messages; none is 0."""
        found = (np.arange(count, dtype=np.uint64) + self._next) % np.uint64(2**32 - 1) + np.uint64(1)
        self._next = (self._next + count) % (2**32 - 1)
        return found.astype(np.uint32)

    def open(self, channel: int) -> Delivery:
        """The delivery of a message that is about to be sent on a wire channel."""
        if channel & 15 not in (1, 2):
            return UNTRACKED
        ticket = self._next + 1
        while ticket in self._open:         # after 2**32 tickets the first may still be open
            ticket = ticket % (2**32 - 1) + 1
        self._next = ticket % (2**32 - 1)
        delivery = self._open[ticket] = Delivery(ticket)
        return delivery

    def take(self, events: NDArray[Any]) -> Ends:
        """Settle those that these events name."""
        ends = Ends(events)
        if len(ends) and len(self._open):
            for ticket, delivered in zip(ends.tickets.tolist(), ends.delivered.tolist(), strict=True):
                delivery = self._open.pop(ticket, None)
                if delivery is not None:
                    delivery._settle(delivered)
        return ends

    def end(self) -> None:
        """The endpoint is gone: what is open was not delivered, as far as anybody knows."""
        for delivery in list(self._open.values()):
            delivery._settle(False)
        self._open.clear()

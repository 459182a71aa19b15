"""Sessions that send as much as they may over one slow line: its queue, its use, their shares."""
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shadowland._core.base.records import MESSAGE_DTYPE
from shadowland._core.endpoint.endpoint import SNAPSHOT_LIMIT
from shadowland._core.endpoint.pace import budgets, pace
from shadowland.errors import CapacityError
from shadowland.testing import Link
from shadowland.testing.link import HEADER_BYTES
from tests.sim.peers import JOINED, SERVER_ADDRESS, Pair, new_client, new_server

TICK_US = 16_000                                # of the server, which looks every STEP_US at what waits
STEP_US = 2_000
POLL_US = 8_000                                 # of the clients
RELIABLE, SNAPSHOT = 1, 5
NOISE = np.random.default_rng(1).bytes(8_000)    # nothing that compression would shorten
BULK = NOISE[:4_000]
SECOND = 1_000_000


@dataclass(frozen=True)
class Sent:
    """A datagram of the server: when it left, how long it queued (-1: there was no room), how large it was, whose."""

    time_us: int
    queue_us: int
    size: int
    session: int


class Line:
    """A server and sessions of one client host over `link`; answers come back over `back`."""

    def __init__(self, link: Link, back: Link, *, seed: int = 1, sessions: int = 1) -> None:
        self.pair = Pair(seed, back, clients=sessions, batch=256, server=new_server(seed, inbox_records=4096),
                         client=new_client(seed)).join()
        self.network, self.server, self.client = self.pair.network, self.pair.server, self.pair.client
        self.tokens, self.sent = 0, list[Sent]()
        self.began_us = self.network.now_us
        self.forward(link)
        self._send = self.server.port.send
        self.server.port.send = self._watched  # type: ignore[method-assign]
        self.server.port.room = 1               # one by one, so that each finds the queue as the one before left it

    def forward(self, link: Link) -> None:
        """The way to the clients fares by `link` from now on."""
        self.link = link
        self.network.set_link(self.server.port, self.client.port, link)

    def back(self, link: Link) -> None:
        """The way back does."""
        self.network.set_link(self.client.port, self.server.port, link)

    def join(self) -> int:
        """One more session; its handle at the server, once it is in."""
        known = len(self.server.heard(JOINED))
        key = self.server.endpoint.public_key
        self.client.endpoint.connect(SERVER_ADDRESS, key, self.network.now_us)
        while len(self.server.heard(JOINED)) == known:
            self.run(TICK_US)
        return self.sessions[-1]

    @property
    def sessions(self) -> list[int]:
        """Handles at the server, in the order in which they joined."""
        return [event.handle for event in self.server.heard(JOINED)]

    @property
    def seconds(self) -> float:
        """Since it began."""
        return (self.network.now_us - self.began_us) / SECOND

    def _watched(self, batch: Any) -> int:
        sent = 0
        while batch.count:
            waits = self.network.lane(self.server.port, self.client.port).waiting_us(self.network.now_us)
            data = batch[0]
            fits = not self.link.rate_bits_per_s or waits <= self.link.buffer_us
            self.sent.append(Sent(self.network.now_us - self.began_us, waits if fits else -1, len(data) + HEADER_BYTES,
                                  int.from_bytes(data[:4], "little")))
            sent += self._send(batch)
        return sent

    def run(self, us: int, load: Callable[["Line"], object] = lambda line: None) -> None:
        """Let `us` pass (whole ticks); `load` says something before each tick's packets leave."""
        for at_us in range(0, us, STEP_US):
            if at_us % POLL_US == 0:
                self.client.step()
            if at_us % TICK_US == 0:
                load(self)
                self.server.step()
            else:
                self._between()
            self.network.advance(STEP_US)

    def _between(self) -> None:
        """Between two ticks a server takes packets in and sends what waited for its turn."""
        server, now_us = self.server, self.network.now_us
        while server.port.receive(server.incoming, now_us):
            server.replies.clear()
            server.endpoint.inbound(server.incoming, server.replies, now_us)
            server.port.send(server.replies)
        done = False
        while not done:
            done = pace(server.endpoint, server.outgoing, now_us)
            server.port.send(server.outgoing)

    def stats(self, name: str) -> list[int]:
        """One measurement of each session, as the server knows it."""
        return [int(self.server.endpoint.stats(handle)[name][0]) for handle in self.sessions]

    # What was seen --------------------------------------------------------------------------------------------------

    def between(self, first_s: float, last_s: float) -> list[Sent]:
        return [sent for sent in self.sent if first_s * SECOND <= sent.time_us < last_s * SECOND]

    def queue_ms(self, first_s: float, last_s: float, quantile: float = 0.95) -> float:
        """A quantile of how long datagrams waited before the line."""
        waits = sorted(sent.queue_us for sent in self.between(first_s, last_s) if sent.queue_us >= 0)
        return waits[int(len(waits) * quantile)] / 1000 if waits else 0.0

    def use(self, first_s: float, last_s: float) -> float:
        """Share of the line's time that was used."""
        carried = sum(sent.size for sent in self.between(first_s, last_s) if sent.queue_us >= 0)
        return carried * 8 / (self.link.rate_bits_per_s * (last_s - first_s))

    def jain(self, first_s: float, last_s: float) -> float:
        """Fairness of the shares: 1 all the same, 1/n one has everything."""
        shares: dict[int, int] = {}
        for sent in self.between(first_s, last_s):
            shares[sent.session] = shares.get(sent.session, 0) + (sent.size if sent.queue_us >= 0 else 0)
        return sum(shares.values()) ** 2 / (len(shares) * sum(share ** 2 for share in shares.values()))


def bulk(line: Line) -> None:
    """Every session has more reliable data than its buffer takes."""
    for handle in line.sessions:
        try:
            while True:
                line.server.endpoint.send(handle, RELIABLE, 9, BULK)
        except CapacityError:
            pass


def snapshots(line: Line, most: int = 4 * SNAPSHOT_LIMIT, only: Iterable[int] | None = None) -> NDArray[np.uint32]:
    """Every session gets as many snapshots as its budget allows; returns the budgets."""
    handles = list(line.sessions if only is None else only)
    allowed = budgets(line.server.endpoint, [handle & 0xFFFFFFFF for handle in handles], most, line.network.now_us)
    for handle, budget in zip(handles, allowed.tolist(), strict=True):
        lengths = [SNAPSHOT_LIMIT] * (budget // SNAPSHOT_LIMIT) + [budget % SNAPSHOT_LIMIT]
        records: NDArray[Any] = np.zeros(len(lengths), MESSAGE_DTYPE)
        records["connection"], records["channel"], records["length"] = handle, SNAPSHOT, lengths
        records["number"] = range(line.tokens + 1, line.tokens + 1 + len(lengths))
        line.tokens += len(lengths)
        arena = np.frombuffer(NOISE, np.uint8)[:SNAPSHOT_LIMIT].copy()
        assert line.server.endpoint.queue(records[records["length"] > 0], arena) == 0
    return allowed

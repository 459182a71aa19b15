"""Traffic of every sort between two endpoints without a network object, tick by tick; run as a program it counts calls
of the C allocator inside the batches (count_malloc.c preloaded) and prints one JSON line."""
import ctypes
import json
import sys
from collections.abc import Callable

import numpy as np

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import MESSAGE_DTYPE
from shadowland._core.endpoint.endpoint import Endpoint

Source = Callable[[int, DatagramBatch], tuple[str, int] | None]
SERVER = ("10.0.0.1", 3565)
UNRELIABLE, RELIABLE, LATEST, INPUT, SNAPSHOT = 0, 1, 3, 4, 5
CLIENTS = 20
TICK_US = 16_000


class Traffic:
    """A server, one endpoint with all clients, and the batches between; every datagram of `lose` is lost."""

    def __init__(self, lose: int = 7) -> None:
        self.server = Endpoint("server", capacity=CLIENTS, seed=b"s" * 32, identity_secret=b"k" * 32)
        self.client = Endpoint("client", capacity=CLIENTS, seed=b"c" * 32)
        self.up, self.down, self.replies = DatagramBatch(1024), DatagramBatch(1024), DatagramBatch(64)
        self.now_us, self.lose, self.count = 1_000_000, lose, 0
        self.during: Callable[[bool], None] = lambda begin: None
        # One wildcard address a client: the local address says whose a datagram is.
        self.handles = [self.client.connect(SERVER, self.server.public_key, self.now_us, (f"10.0.1.{i + 1}", 40000))
                        for i in range(CLIENTS)]
        self.sessions: list[int] = []
        for _ in range(20):
            self.tick(talk=False)
        assert self.server.live == CLIENTS
        self.prepare()

    def prepare(self) -> None:
        """The messages of a tick, as records, once."""
        kinds = ((UNRELIABLE, 1, 100), (RELIABLE, 2, 300), (LATEST, 3, 50), (UNRELIABLE, 4, 3000), (RELIABLE, 5, 4000))
        self.arena = np.arange(8192, dtype=np.uint8)

        def records(handles: list[int], extra: tuple[int, int, int]) -> list[np.ndarray]:
            rows = [[(handle, 0, 0, length, 0, channel, kind, 0) for handle in handles
                     for channel, kind, length in (*some, extra)] for some in ((), kinds[:3], kinds)]
            return [np.array(row, MESSAGE_DTYPE) for row in rows]

        self.from_clients = records(self.handles, (INPUT, 6, 20))
        self.from_server = records(self.sessions, (SNAPSHOT, 0, 700))

    def tick(self, talk: bool = True) -> None:
        self.now_us += TICK_US
        self.during(True)
        if talk:
            some = 2 if self.count % 20 == 0 else self.count % 2
            self.client.queue(self.from_clients[some], self.arena)
            self.server.queue(self.from_server[some], self.arena)
        self.client.outbound(self.up, self.now_us)
        self.during(False)
        incoming = self.carry(self.up, lambda i, batch: batch.local(i))
        self.during(True)
        self.server.inbound(incoming, self.replies, self.now_us)
        self.server.collect()
        self.server.outbound(self.down, self.now_us)
        self.during(False)
        for event in self.server.events:
            if event["kind"] == 1:
                self.sessions.append(int(event["connection"]))
        for batch in [self.carry(batch, lambda i, batch: SERVER) for batch in (self.replies, self.down)]:
            self.during(True)
            self.client.inbound(batch, self.replies, self.now_us)
            self.during(False)
        self.during(True)
        self.server.clear()
        self.client.clear()
        self.during(False)
        self.count += 1

    def carry(self, batch: DatagramBatch, source: Source) -> DatagramBatch:
        """What `batch` holds, as it arrives at the other side; `batch` is empty afterwards."""
        arriving = DatagramBatch(1024)
        for i in range(len(batch)):
            lost = (self.count + i) % self.lose == 3 and self.count > 25
            sender = source(i, batch)
            assert sender is not None
            if not lost:
                arriving.append(batch[i], sender, batch.remote(i))
        batch.clear()
        return arriving


def count() -> dict[str, int]:
    """Calls of the allocator inside the batches of 600 ticks, and in a piece of Python that is known to call it."""
    preloaded = ctypes.CDLL(None)
    preloaded.count_calls.restype = ctypes.c_long
    traffic = Traffic()
    for _ in range(200):
        traffic.tick()
    traffic.during = lambda begin: preloaded.count_begin() if begin else preloaded.count_end()
    for _ in range(600):
        traffic.tick()
    inside = preloaded.count_calls()
    preloaded.count_begin()
    probe = bytes(1 << 20)
    preloaded.count_end()
    return {"inside": inside, "probe": preloaded.count_calls() - inside, "length": len(probe),
            "datagrams": traffic.server.counters["received"] + traffic.client.counters["received"]}


if __name__ == "__main__":
    json.dump(count(), sys.stdout)

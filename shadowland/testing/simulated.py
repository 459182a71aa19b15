"""A network that exists in memory and in virtual time: same seed and same actions, same events, to the last bit.

    port.send(batch) → link (lose, corrupt, duplicate, delay) → in flight, by arrival time
                     → queue of the port it is for → port.receive(batch)

Nothing happens by itself: time passes only by `advance`, `run_until` and `Port.wait`, all in microseconds. What is in
flight and what waits in a port's queue is bounded; beyond it, datagrams are dropped and counted.
"""
from __future__ import annotations

import hashlib
import heapq
from collections import deque
from dataclasses import dataclass, field

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import pack_address
from shadowland.errors import CapacityError, ConfigError, UsageError
from shadowland.testing.link import UDP_PAYLOAD, Lane, Link, flip

Address = tuple[str, int]
WILDCARDS = {4: "0.0.0.0", 6: "::"}
LOOPBACKS = {4: "127.0.0.1", 6: "::1"}
FIRST_FREE_PORT = 49152                         # RFC 6335, section 6: the dynamic range


@dataclass(slots=True, order=True)
class _Flight:
    time_us: int
    number: int                                 # first come, first served among equal times
    port: Port = field(compare=False)
    data: bytes = field(compare=False)
    remote: Address = field(compare=False)
    local: Address = field(compare=False)


def _family(host: str) -> int:
    return 6 if ":" in host else 4


class Port:
    """One attached address: `send`, `receive` and `wait` as a UdpSocket has them, in the network's virtual time.

    A port on 0.0.0.0 or :: hears every address of its family that no other port has, and sends from the `local` of each
    datagram. `room`, if set, is how many datagrams one `send` takes: the rest stays in the batch, as with ENOBUFS.
    """

    def __init__(self, network: Network, address: Address, queue: int) -> None:
        self.network = network
        self.local = address
        self.room: int | None = None
        self.warning: str | None = None
        self.kernel_drops = 0
        self.counters = dict.fromkeys(
            ["received", "received_bytes", "sent", "sent_bytes", "oversized", "receive_errors", "send_retries",
             "send_failed"], 0)
        self._queue: deque[_Flight] = deque()
        self._queue_limit = queue
        self._closed = False

    def send(self, batch: DatagramBatch) -> int:
        """Put `batch` on the network; returns how many were sent, lost ones included. They leave the batch."""
        self._check_open()
        room = batch.count if self.room is None else min(self.room, batch.count)
        sent = 0
        for i in range(room):
            data, remote = batch[i], batch.remote(i)
            local = self._source(batch.local(i))
            stranger = _family(remote[0]) != _family(self.local[0])
            if local is None or remote[1] == 0 or stranger or len(data) > UDP_PAYLOAD:
                self.counters["send_failed"] += 1
                continue
            sent += 1
            self.counters["sent"] += 1
            self.counters["sent_bytes"] += len(data)
            self.network._carry(self, local, remote, data)
        self.counters["send_retries"] += room < batch.count
        batch.drop_front(room)
        return sent

    def receive(self, batch: DatagramBatch, now_us: int) -> int:
        """Replace what `batch` holds by what has arrived by `now_us`, at most its capacity; returns how many."""
        self._check_open()
        batch.clear()
        taken = 0
        while self._queue and taken < batch.capacity and self._queue[0].time_us <= now_us:
            flight = self._queue.popleft()
            taken += 1
            if not batch.append(flight.data, flight.remote, flight.local, flight.time_us):
                self.counters["oversized"] += 1
                continue
            self.counters["received"] += 1
            self.counters["received_bytes"] += len(flight.data)
        return batch.count

    def wait(self, timeout_us: int) -> bool:
        """Let the time pass until a datagram waits here (True), at most `timeout_us` (False)."""
        self._check_open()
        end_us = self.network.now_us + timeout_us
        while not self._queue:
            next_us = self.network.next_us
            if next_us is None or next_us > end_us:
                self.network.run_until(end_us)
                return False
            self.network.run_until(next_us)
        return True

    def close(self) -> None:
        """Give the address back; what still waits or is under way to it is lost. A second close does nothing."""
        if not self._closed:
            self._closed = True
            self.network._detach(self, len(self._queue))
            self._queue.clear()

    def __enter__(self) -> Port:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _source(self, local: Address | None) -> Address | None:
        """Source address of a datagram; None if this port may not send from it."""
        host, number = self.local
        if host not in WILDCARDS.values():
            return self.local if local is None or local[0] == host else None
        if local is None or local[0] == host:
            return LOOPBACKS[_family(host)], number             # where a kernel would ask its routes
        return (local[0], number) if _family(local[0]) == _family(host) else None

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(f"the port {self.local[0]} port {self.local[1]} of the simulated network is closed")

    def _arrive(self, flight: _Flight) -> str:
        if self._closed:
            return "unreachable"
        if len(self._queue) >= self._queue_limit:
            self.kernel_drops += 1
            return "overflow"
        self._queue.append(flight)
        return "delivered"


class Network:
    """Ports, links between them, one virtual clock (`now_us`) and one seed.

    `link` is how datagrams fare where `set_link` says nothing else; both may change at any time. At most `capacity`
    datagrams are in flight, further ones are dropped and counted. `counters` has the number of events of each kind:
    sent + duplicated = delivered + lost + queue_full + overflow + unreachable + too_long + in flight, and corrupted
    beside them.

    >>> network = Network(seed=7, link=Link(delay_us=1000))
    >>> a, b = network.attach(("10.0.0.1", 1)), network.attach(("10.0.0.2", 2))
    >>> batch = DatagramBatch()
    >>> batch.append(b"hello", b.local), a.send(batch), b.wait(5000), b.receive(batch, network.now_us)
    (True, 1, True, 1)
    >>> batch[0], batch.remote(0)
    (b'hello', ('10.0.0.1', 1))
    """

    def __init__(
        self, seed: int = 1, link: Link | None = None, *, start_us: int = 1_000_000, capacity: int = 65536,
    ) -> None:
        self.seed = seed
        self.link = link or Link()
        self.now_us = start_us
        self.capacity = capacity
        self.counters = dict.fromkeys(
            ["sent", "duplicated", "delivered", "lost", "queue_full", "overflow", "unreachable", "too_long",
             "corrupted"], 0)
        self._ports: dict[Address, Port] = {}
        self._links: dict[tuple[Address, Address], Link] = {}
        self._lanes: dict[tuple[Address, Address], Lane] = {}
        self._flights: list[_Flight] = []
        self._numbers = 0
        self._hash = hashlib.blake2b(digest_size=16)

    def attach(self, address: Address = ("127.0.0.1", 0), *, queue: int = 8192) -> Port:
        """A port on `address` (numeric host, port; 0 takes a free one), whose queue holds `queue` datagrams.

        ConfigError if the address is no numeric one, CapacityError if another port has it.
        """
        host, number = address
        try:
            pack_address(host, number)
        except ValueError as error:
            raise ConfigError(f"{address!r} is no address of a simulated network: {error}") from None
        if number == 0:
            free = (n for n in range(FIRST_FREE_PORT, 65536) if (host, n) not in self._ports)
            number = next(free, 0)
        if number == 0 or (host, number) in self._ports:
            taken = f"{host} port {number or 'any'} of the simulated network is taken"
            raise CapacityError(f"{taken}; close the port that has it or take another")
        port = self._ports[host, number] = Port(self, (host, number), queue)
        return port

    def set_link(self, source: Port, destination: Port, link: Link) -> None:
        """Let datagrams from `source` to `destination` fare by `link` from now on; the way back keeps its own."""
        self._links[source.local, destination.local] = link

    def lane(self, source: Port, destination: Port) -> Lane:
        """The way from `source` to `destination`: its `waiting_us(now_us)` is the queue before a slow line."""
        key = source.local, destination.local
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(f"{self.seed} {key}")
        return lane

    @property
    def in_flight(self) -> int:
        """Datagrams under way."""
        return len(self._flights)

    @property
    def next_us(self) -> int | None:
        """When the next datagram arrives; None if none is under way."""
        return self._flights[0].time_us if self._flights else None

    @property
    def event_hash(self) -> str:
        """32 hex digits over every event so far: equal for equal seeds and actions, and for nothing else."""
        return self._hash.hexdigest()

    def advance(self, us: int) -> None:
        """Let `us` microseconds pass."""
        if us < 0:
            raise UsageError(f"time cannot go back by {-us} microseconds")
        self.run_until(self.now_us + us)

    def run_until(self, time_us: int) -> None:
        """Let the time pass until `time_us`; what arrives on the way stands in the ports' queues."""
        if time_us < self.now_us:
            raise UsageError(f"it is {self.now_us} already: time cannot go back to {time_us}")
        while self._flights and self._flights[0].time_us <= time_us:
            flight = heapq.heappop(self._flights)
            self.now_us = max(self.now_us, flight.time_us)
            self._event(flight.port._arrive(flight), flight.remote, flight.local, flight.data)
        self.now_us = time_us

    def _find(self, address: Address) -> Port | None:
        return self._ports.get(address) or self._ports.get((WILDCARDS[_family(address[0])], address[1]))

    def _carry(self, source: Port, local: Address, remote: Address, data: bytes) -> None:
        """Decide what becomes of one datagram."""
        self._event("sent", local, remote, data)
        port = self._find(remote)
        if port is None:
            self._event("unreachable", local, remote, data)
            return
        link = self._links.get((source.local, port.local), self.link)
        for copy, fate in enumerate(self.lane(source, port).fates(link, len(data), self.now_us)):
            if copy:
                self._event("duplicated", local, remote, data)
            if fate.kind != "delivered":
                self._event(fate.kind, local, remote, data)
                continue
            payload = data
            if fate.flips:
                payload = flip(data, fate.flips)
                self._event("corrupted", local, remote, payload)
            self._launch(port, fate.time_us, payload, local, remote)

    def _launch(self, port: Port, time_us: int, data: bytes, source: Address, destination: Address) -> None:
        if len(self._flights) >= self.capacity:
            self._event("overflow", source, destination, data)
            return
        self._numbers += 1
        flight = _Flight(time_us, self._numbers, port, data, source, destination)
        if time_us > self.now_us:
            heapq.heappush(self._flights, flight)
        else:
            self._event(port._arrive(flight), source, destination, data)

    def _detach(self, port: Port, waiting: int) -> None:
        self._ports.pop(port.local, None)
        self._event(f"closed {waiting}", port.local, port.local, b"")

    def _event(self, kind: str, source: Address, destination: Address, data: bytes) -> None:
        if kind in self.counters:
            self.counters[kind] += 1
        head = f"{self.now_us} {kind} {source} {destination} {len(data)}\n"
        self._hash.update(head.encode() + data)

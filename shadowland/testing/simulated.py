"""A network that exists in memory and in virtual time: same seed and same actions, same events, to the last bit.

    port.send(batch) → link (lose, corrupt, duplicate, delay) → in flight, by arrival time
                     → queue of the port it is for → port.receive(batch)

Nothing happens by itself: time passes only by `advance`, `run_until` and `Port.wait`, all in microseconds. What is in
flight and what waits in a port's queue is bounded; beyond it, datagrams are dropped and counted.
"""
from __future__ import annotations

import hashlib
import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

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
    destination: Address = field(compare=False)     # outside a NAT
    local: Address = field(compare=False)           # inside


class _Mapping(NamedTuple):
    """An address outside a NAT: whose it is, the address inside, until when it works (None: until told otherwise)."""

    port: Port
    inside: Address
    until_us: int | None


def _family(host: str) -> int:
    return 6 if ":" in host else 4


class Port:
    """One attached address: `send`, `receive` and `wait` as a UdpSocket has them, in the network's virtual time.

    A port on 0.0.0.0 or :: hears every address of its family that no other port has, and sends from the `local` of each
    datagram. `room`, if set, is how many datagrams one `send` takes: the rest stays in the batch, as with ENOBUFS.
    `now_us` is the port's own clock, the network's unless `clock` made it another; `receive` speaks its time.
    """

    def __init__(self, network: Network, address: Address, queue: int) -> None:
        self.network = network
        self.local = address
        self.room: int | None = None
        self.warning: str | None = None
        self.kernel_drops = 0
        self.counters = dict.fromkeys(
            ["received", "received_bytes", "sent", "sent_bytes", "oversized", "receive_errors", "send_retries",
             "send_failed", "send_too_long"], 0)
        self._queue: deque[_Flight] = deque()
        self._queue_limit = queue
        self._closed = False
        self._clock = (0, 0, 1.0)               # network's time, own time then, own seconds in one of the network's

    @property
    def now_us(self) -> int:
        """What the clock of this host shows."""
        return self._own_us(self.network.now_us)

    @property
    def seed(self) -> bytes:
        """32 bytes for an endpoint on this port: the same for equal networks and addresses."""
        return hashlib.blake2b(f"{self.network.seed} {self.local}".encode(), digest_size=32).digest()

    @property
    def parts(self) -> tuple[Port, Callable[[], int], Callable[[float], None]]:
        """What `Server.open` and `Client` need in place of a socket: the port, its clock, and how to let time pass."""
        return self, lambda: self.now_us, lambda seconds: self.network.advance(round(seconds * 1e6))

    def fileno(self) -> int:
        """0; -1 once it is closed."""
        return -1 if self._closed else 0

    def clock(self, *, drift_ppm: float = 0.0, offset_us: int = 0) -> None:
        """From now on this host's clock gains `drift_ppm` microseconds a second, beginning `offset_us` ahead of what it
        shows now. ConfigError for -1,000,000 ppm and below or for an offset that turns it back: clocks do not."""
        if not -1e6 < drift_ppm <= 1e9 or offset_us < 0:
            raise ConfigError(f"drift_ppm={drift_ppm}, offset_us={offset_us}: a clock never stands or goes back; give "
                              "more than -1,000,000 (to 1e9) and at least 0")
        self._clock = (self.network.now_us, self.now_us + offset_us, 1.0 + drift_ppm / 1e6)

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
        while self._queue and taken < batch.capacity:
            flight, time_us = self._queue[0], self._own_us(self._queue[0].time_us)
            if time_us > now_us:
                break
            self._queue.popleft()
            taken += 1
            if not batch.append(flight.data, flight.remote, flight.local, time_us):
                self.counters["oversized"] += 1
                continue
            self.counters["received"] += 1
            self.counters["received_bytes"] += len(flight.data)
        return batch.count

    def wait(self, timeout_us: int) -> bool:
        """Let the time pass until a datagram waits here (True), at most `timeout_us` by this port's clock (False)."""
        self._check_open()
        end_us = self.network.now_us + math.ceil(timeout_us / self._clock[2])
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

    def _own_us(self, network_us: int) -> int:
        since_us, own_us, rate = self._clock
        return own_us + (network_us - since_us if rate == 1.0 else math.floor((network_us - since_us) * rate))

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
    sent + duplicated = delivered + lost + queue_full + cut + overflow + unreachable + too_long + in flight, and
    corrupted beside them.

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
            ["sent", "duplicated", "delivered", "lost", "queue_full", "cut", "overflow", "unreachable", "too_long",
             "corrupted"], 0)
        self._ports: dict[Address, Port] = {}
        self._links: dict[tuple[Address, Address], Link] = {}
        self._lanes: dict[tuple[Address, Address], Lane] = {}
        self._cuts: set[tuple[Port | str, Port | str]] = set()
        self._outside: dict[Address, Address] = {}              # address inside a NAT → outside
        self._mappings: dict[Address, _Mapping] = {}            # address outside → inside
        self._flights: list[_Flight] = []
        self._numbers = 0
        self._hash = hashlib.blake2b(digest_size=16)

    def attach(self, address: Address = ("127.0.0.1", 0), *, queue: int = 8192) -> Port:
        """A port on `address` (numeric host, port; 0 takes a free one), whose queue holds `queue` datagrams.

        ConfigError if the address is no numeric one, CapacityError if another port has it.
        """
        address = self._free_address(*address)
        port = self._ports[address] = Port(self, address, queue)
        return port

    def _free_address(self, host: str, number: int) -> Address:
        try:
            pack_address(host, number)
        except ValueError as error:
            raise ConfigError(f"{(host, number)!r} is no address of a simulated network: {error}") from None
        if number == 0:
            free = (n for n in range(FIRST_FREE_PORT, 65536) if not self._taken((host, n)))
            number = next(free, 0)
        if number == 0 or self._taken((host, number)):
            taken = f"{host} port {number or 'any'} of the simulated network is taken"
            raise CapacityError(f"{taken}; close the port that has it or take another")
        return host, number

    def _taken(self, address: Address) -> bool:
        return address in self._ports or address in self._mappings

    def set_link(self, source: Port, destination: Port, link: Link) -> None:
        """Let datagrams from `source` to `destination` fare by `link` from now on; the way back keeps its own."""
        self._links[source.local, destination.local] = link

    def partition(self, a: Port | str, b: Port | str, *, one_way: bool = False) -> None:
        """Let nothing sent from now on get from `a` to `b` (and back, unless `one_way`): each is a port or a host."""
        self._cuts |= {(a, b)} if one_way else {(a, b), (b, a)}

    def heal(self, a: Port | str | None = None, b: Port | str | None = None) -> None:
        """End what `partition` began between `a` and `b`; without them, everywhere."""
        self._cuts = {cut for cut in self._cuts if a is not None and b is not None and {*cut} != {a, b}}

    def rebind(self, port: Port, address: Address | None = None, *, local: Address | None = None,
               linger_us: int = 0) -> Address:
        """Let a NAT before `port` change its mind: what it sends leaves from `address` from now on.

        The port itself does not notice; links, luck and partitions stay. Answers to the address before are lost, those
        under way too, unless they come within `linger_us`. None takes a free UDP port on the same host. A port on a
        wildcard names which of its addresses in `local`. Returns the new address; CapacityError if it is taken.
        """
        port._check_open()
        inside = local or port.local
        if inside[0] in WILDCARDS.values() or port._source(inside) != inside:
            raise UsageError(f"rebind: {inside[0]} port {inside[1]} is no address of the port on {port.local[0]} port "
                             f"{port.local[1]}; name one in local=")
        before = self._outside.get(inside, inside)
        if address == before:
            return before
        self._mappings = {outside: mapping for outside, mapping in self._mappings.items()
                          if mapping.until_us is None or mapping.until_us > self.now_us}
        after = inside if address == inside else self._free_address(*(address or (before[0], 0)))
        self._mappings[before] = _Mapping(port, inside, self.now_us + linger_us)
        self._mappings[after] = _Mapping(port, inside, None)
        self._outside[inside] = after
        self._event("rebind", before, after, b"")
        return after

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
            self._land(flight)
        self.now_us = time_us

    def _find(self, address: Address) -> tuple[Port, Address] | None:
        """Whose `address` is now, and which of its own addresses that is."""
        mapping = self._mappings.get(address)
        if mapping is not None:
            works = mapping.until_us is None or self.now_us < mapping.until_us
            return (mapping.port, mapping.inside) if works else None
        if address in self._outside:                            # known by another address since, and no longer by this
            return None
        port = self._ports.get(address) or self._ports.get((WILDCARDS[_family(address[0])], address[1]))
        return (port, address) if port is not None else None

    def _cut(self, source: Port, local: Address, port: Port, destination: Address) -> bool:
        ends = (source, local[0]), (port, destination[0])
        return any((a, b) in self._cuts for a in ends[0] for b in ends[1])

    def _carry(self, source: Port, local: Address, remote: Address, data: bytes) -> None:
        """Decide what becomes of one datagram."""
        outside = self._outside.get(local, local)
        self._event("sent", outside, remote, data)
        found = self._find(remote)
        if found is None:
            self._event("unreachable", outside, remote, data)
            return
        port, inside = found
        link = self._links.get((source.local, port.local), self.link)
        cut = self._cuts and self._cut(source, local, port, inside)
        for copy, fate in enumerate(self.lane(source, port).fates(link, len(data), self.now_us)):
            if copy:
                self._event("duplicated", outside, remote, data)
            if cut or fate.kind != "delivered":
                self._event("cut" if cut else fate.kind, outside, remote, data)
                continue
            payload = data
            if fate.flips:
                payload = flip(data, fate.flips)
                self._event("corrupted", outside, remote, payload)
            self._numbers += 1
            self._launch(_Flight(fate.time_us, self._numbers, port, payload, outside, remote, inside))

    def _launch(self, flight: _Flight) -> None:
        if len(self._flights) >= self.capacity:
            self._event("overflow", flight.remote, flight.destination, flight.data)
        elif flight.time_us > self.now_us:
            heapq.heappush(self._flights, flight)
        else:
            self._land(flight)

    def _land(self, flight: _Flight) -> None:
        there = self._find(flight.destination) == (flight.port, flight.local)
        self._event(flight.port._arrive(flight) if there else "unreachable", flight.remote, flight.destination,
                    flight.data)

    def _detach(self, port: Port, waiting: int) -> None:
        self._ports.pop(port.local, None)
        for outside in [outside for outside, mapping in self._mappings.items() if mapping.port is port]:
            self._outside.pop(self._mappings.pop(outside).inside, None)
        self._event(f"closed {waiting}", port.local, port.local, b"")

    def _event(self, kind: str, source: Address, destination: Address, data: bytes) -> None:
        if kind in self.counters:
            self.counters[kind] += 1
        head = f"{self.now_us} {kind} {source} {destination} {len(data)}\n"
        self._hash.update(head.encode() + data)

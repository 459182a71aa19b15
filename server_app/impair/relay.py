"""A live UDP relay: what comes from a client goes on to the target, answers come back, both as badly as a Link says.

    client ──► listen ──► lane up ──► heap by time ──► upstream socket of this client ──► target
    client ◄── listen ◄── heap by time ◄── lane down ◄── upstream socket of this client ◄── target

One thread, one loop. Bounded: clients (a further one's datagrams are counted as refused), bytes in flight (overflow),
datagrams taken from one socket in a turn; a client that is silent for `idle_us` is forgotten.
"""
import heapq
import itertools
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from server_app.loop import TickTimes
from shadowland.errors import TransportError
from shadowland.testing import Lane, Link, flip

Address = tuple[str, int]
BURST: Final = 64                       # datagrams from one socket before the others have their turn
NAP_S: Final = 0.1                      # longest time without a look at whether to stop
LONGEST: Final = 65536
RECEIVE_BUFFER: Final = 4 << 20         # of the kernel, for what comes while this process is away
SO_MEMINFO: Final = 55                  # socket(7); nine numbers, the last is what the kernel dropped
KINDS: Final = ("received", "duplicated", "forwarded", "lost", "queue_full", "too_long", "overflow", "send_failed",
                "corrupted", "bytes")


def clock_us() -> int:
    """CLOCK_MONOTONIC in microseconds."""
    return time.monotonic_ns() // 1000


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def _socket(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setblocking(False)
    with suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return made


def _kernel_drops(of: socket.socket) -> int:
    with suppress(OSError):
        return int.from_bytes(of.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36)[32:36], sys.byteorder)
    return 0


class Direction:
    """One way through the relay: its link and its counters.

    received + duplicated = forwarded + lost + queue_full + too_long + overflow + send_failed + what is still in flight.
    """

    def __init__(self, name: str, link: Link) -> None:
        self.name, self.link = name, link
        self.counters = dict.fromkeys(KINDS, 0)


class Client:
    """A client address, the socket that speaks for it to the target, and its luck."""

    __slots__ = ("address", "down", "heard_us", "rebind_us", "socket", "up")

    def __init__(self, address: Address, up: Lane, down: Lane) -> None:
        self.address, self.up, self.down = address, up, down
        self.heard_us = self.rebind_us = 0
        self.socket: socket.socket | None = None


class Relay:
    """Listens on `listen` (port 0: any) and relays to `target`; `up` is the link to the target, `down` the way back.

    seed             of all luck; the nth client has the same luck in every run.
    shared           all clients queue before one line each way, and share its luck; else each has a line of its own.
    clients          most at once; in_flight_bytes: most bytes that wait to be sent on; idle_us: see above.
    rebind_every_us  so often each client's datagrams come to the target from a new port, as behind a NAT that forgets.
    TransportError if a socket cannot be had.
    """

    def __init__(
        self, listen: Address, target: Address, up: Link, down: Link, *, seed: int = 1, shared: bool = False,
        clients: int = 1024, in_flight_bytes: int = 64 << 20, idle_us: int = 60_000_000, rebind_every_us: int = 0,
        clock: Callable[[], int] = clock_us,
    ) -> None:
        self.target, self.seed, self.shared = target, seed, shared
        self.most_clients, self.most_bytes, self.idle_us = clients, in_flight_bytes, idle_us
        self.rebind_every_us, self.clock = rebind_every_us, clock
        self.up, self.down = Direction("up", up), Direction("down", down)
        self.counters = dict.fromkeys(["clients", "expired", "refused", "rebinds", "target_unreachable"], 0)
        self.late = TickTimes()                 # how much later than due each was sent on
        self.in_flight_bytes = 0
        self._clients: dict[Address, Client] = {}
        self._by_fd: dict[int, Client] = {}
        self._flights: list[tuple[int, int, Direction, Client, bytes]] = []
        self._numbers = itertools.count()
        self._lanes = self._new_lanes("shared")
        self._poll = select.epoll()
        self._listen = _socket(_family(listen))
        try:
            self._listen.bind(listen)
        except OSError as error:
            self.close()
            where = f"cannot listen on {listen[0]} port {listen[1]}"
            raise TransportError(error.errno, f"{where}: {error.strerror}; take another port") from None
        self._poll.register(self._listen, select.EPOLLIN)
        self._swept_us = clock()

    @property
    def local(self) -> Address:
        """Where it listens."""
        host, port = self._listen.getsockname()[:2]
        return str(host), int(port)

    @property
    def live(self) -> int:
        """Clients now."""
        return len(self._clients)

    @property
    def in_flight(self) -> int:
        """Datagrams that wait to be sent on."""
        return len(self._flights)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Relay until `stopped()`."""
        while not stopped():
            self.turn(NAP_S)

    def turn(self, longest_s: float) -> None:
        """Wait, at most `longest_s`, for a datagram or for one that is due; take and send what there is."""
        wait_s = longest_s
        if self._flights:
            wait_s = min(wait_s, max(0.0, (self._flights[0][0] - self.clock()) / 1e6))
        # epoll itself waits in milliseconds; select, on epoll's descriptor, in microseconds.
        if select.select([self._poll], [], [], wait_s)[0]:
            for fd, _ in self._poll.poll(0):
                if fd == self._listen.fileno():
                    self._hear_clients()
                elif fd in self._by_fd:
                    self._hear_target(self._by_fd[fd])
        self._send_due()
        now_us = self.clock()
        if now_us - self._swept_us > 100_000:
            self._swept_us = now_us
            self._sweep(now_us)

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped because this process was too slow; the sockets of now, both ways."""
        there = [client.socket for client in self._clients.values() if client.socket is not None]
        return sum(map(_kernel_drops, [self._listen, *there]))

    def close(self) -> None:
        """Free the sockets; what is in flight is lost."""
        for client in self._clients.values():
            if client.socket is not None:
                client.socket.close()
        self._clients.clear()
        self._by_fd.clear()
        self._listen.close()
        self._poll.close()

    def set_links(self, up: Link, down: Link) -> None:
        """Let datagrams fare by these from now on."""
        self.up.link, self.down.link = up, down

    def summary(self) -> dict[str, Any]:
        """Everything counted so far; times in milliseconds."""
        p50, p99, most = self.late.milliseconds(50, 99, 100)
        return {
            "clients": self.live, **{name: count for name, count in self.counters.items() if name != "clients"},
            "clients_ever": self.counters["clients"], "in_flight": self.in_flight,
            "kernel_drops": self.kernel_drops, "up": dict(self.up.counters), "down": dict(self.down.counters),
            "late_ms": {"p50": p50, "p99": p99, "max": most},
        }

    # --- in ---------------------------------------------------------------------------------------------------------

    def _receive(self, source: socket.socket) -> Iterator[tuple[bytes, Any]]:
        for _ in range(BURST):
            try:
                yield source.recvfrom(LONGEST)
            except BlockingIOError:
                return
            except OSError:                     # ICMP: nobody listens on the target's port
                self.counters["target_unreachable"] += 1

    def _hear_clients(self) -> None:
        for data, sender in self._receive(self._listen):
            client = self._clients.get(sender) or self._meet(sender)
            if client is None:
                self.counters["refused"] += 1
                continue
            client.heard_us = self.clock()
            self._carry(self.up, client, client.up, data)

    def _hear_target(self, client: Client) -> None:
        if client.socket is not None:
            for data, _ in self._receive(client.socket):
                self._carry(self.down, client, client.down, data)

    def _meet(self, address: Address) -> Client | None:
        """A client that was not known; None if there is no room."""
        if len(self._clients) >= self.most_clients:
            return None
        up, down = self._lanes if self.shared else self._new_lanes(str(self.counters["clients"]))
        client = Client(address, up, down)
        client.heard_us = self.clock()
        client.rebind_us = client.heard_us + self.rebind_every_us
        if not self._bind(client):
            return None
        self._clients[address] = client
        self.counters["clients"] += 1
        return client

    def _new_lanes(self, name: str) -> tuple[Lane, Lane]:
        return Lane(f"{self.seed} {name} up"), Lane(f"{self.seed} {name} down")

    def _bind(self, client: Client) -> bool:
        """A new socket towards the target; False if the system has none to give."""
        before = client.socket
        try:
            fresh = _socket(_family(self.target))
            fresh.connect(self.target)
        except OSError:
            return False
        if before is not None:
            del self._by_fd[before.fileno()]
            before.close()                      # epoll forgets it with its last descriptor
        client.socket = fresh
        self._by_fd[fresh.fileno()] = client
        self._poll.register(fresh, select.EPOLLIN)
        return True

    def _carry(self, direction: Direction, client: Client, lane: Lane, data: bytes) -> None:
        counters, now_us = direction.counters, self.clock()
        counters["received"] += 1
        for copy, fate in enumerate(lane.fates(direction.link, len(data), now_us)):
            counters["duplicated"] += copy > 0
            if fate.kind != "delivered":
                counters[fate.kind] += 1
            elif self.in_flight_bytes + len(data) > self.most_bytes:
                counters["overflow"] += 1
            else:
                payload = data
                if fate.flips:
                    counters["corrupted"] += 1
                    payload = flip(data, fate.flips)
                self.in_flight_bytes += len(payload)
                heapq.heappush(self._flights, (fate.time_us, next(self._numbers), direction, client, payload))

    # --- out --------------------------------------------------------------------------------------------------------

    def _send_due(self) -> None:
        now_us = self.clock()
        while self._flights and self._flights[0][0] <= now_us:
            due_us, _, direction, client, data = heapq.heappop(self._flights)
            self.in_flight_bytes -= len(data)
            if not self._send(direction, client, data):
                direction.counters["send_failed"] += 1
                continue
            direction.counters["forwarded"] += 1
            direction.counters["bytes"] += len(data)
            self.late.add(now_us - due_us)

    def _send(self, direction: Direction, client: Client, data: bytes) -> bool:
        for _ in range(2):
            try:
                if direction is self.down:
                    self._listen.sendto(data, client.address)
                elif client.socket is not None:
                    client.socket.send(data)
                return client.socket is not None
            except ConnectionRefusedError:      # about an earlier one: this one is still to be sent
                self.counters["target_unreachable"] += 1
            except OSError:
                return False
        return False

    def _sweep(self, now_us: int) -> None:
        """Forget who is silent, rebind whose time has come."""
        for client in list(self._clients.values()):
            if now_us - client.heard_us > self.idle_us:
                self._forget(client)
            elif self.rebind_every_us and now_us >= client.rebind_us and self._bind(client):
                client.rebind_us = now_us + self.rebind_every_us
                self.counters["rebinds"] += 1

    def _forget(self, client: Client) -> None:
        assert client.socket is not None
        del self._clients[client.address], self._by_fd[client.socket.fileno()]
        client.socket.close()
        client.socket = None
        self.counters["expired"] += 1

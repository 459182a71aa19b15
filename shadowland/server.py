"""Server: sessions, world and handlers composed into ticks. Bytes come and go in batches, Python runs a few times."""
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import AUTHENTICATE, EVENT_DTYPE, JOINED, LEFT
from shadowland._core.crypto.aead import NAMES
from shadowland._core.endpoint import packing, players
from shadowland._core.endpoint.endpoint import MTU_LIMIT, Endpoint
from shadowland._core.endpoint.pace import budgets, pace, paced_us
from shadowland._core.udp.socket import UdpSocket, monotonic_us
from shadowland.admission import ADMISSION_LIMITS, Admission
from shadowland.application import Application, Handler
from shadowland.audience import ServerWorld
from shadowland.delivery import Deliveries, Ends
from shadowland.errors import ConfigError, DisconnectReason, DropReason, UsageError
from shadowland.guard import Guard, summary
from shadowland.handlers import ASYNC_HANDLERS
from shadowland.identity import Identity
from shadowland.inbox import Inbox, TickMessages
from shadowland.schema import Entity, Message, Schema
from shadowland.schema.classes import travels
from shadowland.session import Session
from shadowland.stats import ServerStats
from shadowland.tick import Tick
from shadowland.world import Grid

if TYPE_CHECKING:
    from shadowland.testing import Port

logger = logging.getLogger("shadowland")

Some = TypeVar("Some", bound=Message)

RECEIVE_SHARE = 8               # a tick begins by receiving for at most this part of its time; the rest waits
DRAIN_GAP_US = 2000             # between two looks at the socket while waiting for a tick
CLOSE_WAIT_US = 300_000


def known_classes(root: type[Any]) -> list[type[Any]]:
    """Every class derived from `root` so far, itself and abstract ones left out."""
    found: dict[type[Any], None] = {}
    derived: list[type[Any]] = root.__subclasses__()
    for cls in derived:
        found |= dict.fromkeys((*([cls] if travels(cls) else []), *known_classes(cls)))
    return list(found)


class Server(Application):
    """A game server: give it handlers, then `run()` it, or drive it yourself with open, drain, step and close.

    tick_hz      ticks per second, 1 to 240.
    aoi          how far players see (sl.Grid).
    schema       the classes on the wire; by default every Entity and Message defined when the world is first used.
    capacity     most players at once; more are refused with SERVER_FULL.
    entities     most entities at once.
    identity     the server's key pair; by default a new one that lives as long as the process.
    guard        rules, bans and allow list (shadowland.guard); by default the built-in rules.
    token_keys   public keys (sli1...) of up to four issuers whose connect tokens are taken (shadowland.tokens);
                 tokens_required: nobody gets in without one.
    limits       keyword arguments of Endpoint: idle_timeout_us, half_open, inbox_bytes, session_blocks, cipher, ...,
                 spent_tokens: how many used tokens are remembered until they expire; joining: how many sessions may
                 wait for authenticate, for authenticate_us; integrity_every_us between challenges on average and
                 integrity_answer_us for each; async_handlers: how many may be under way.
                 They take effect with `open`; until then `server.limits` may be changed.

    ConfigError for a value out of range, naming it.
    """

    def __init__(self, *, tick_hz: int = 60, aoi: Grid | None = None, schema: Schema | None = None,
                 capacity: int = 1024, entities: int = 16384, identity: Identity | None = None,
                 guard: Guard | None = None, token_keys: Iterable[str] = (), tokens_required: bool = False,
                 **limits: int | str) -> None:
        if not 1 <= tick_hz <= 240:
            raise ConfigError(f"tick_hz is {tick_hz}; it must be 1 to 240 ticks per second")
        if not 1 <= capacity <= 65536:
            raise ConfigError(f"capacity is {capacity}; it must be 1 to 65536 players")
        self.tick_hz, self.capacity, self.entities = tick_hz, capacity, entities
        self.aoi = aoi or Grid(cell=32, radius=96)
        self.identity = identity or Identity.generate()
        super().__init__(Admission(token_keys, tokens_required=tokens_required))
        self.guard = guard or Guard()
        self.sessions: dict[int, Session] = {}
        self.avatars: NDArray[np.uint64] = np.zeros(capacity, np.uint64)
        self.tick_number = 0
        self.open_deliveries = Deliveries()
        self.deliveries = Ends(np.zeros(0, EVENT_DTYPE))    # what became of reliable messages, known in this tick
        self.now_us = monotonic_us()
        self.players: NDArray[np.uint64] = np.zeros(capacity, np.uint64)    # session handles by slot; 0: nobody
        self._given_schema, self.limits = schema, limits
        self._schema: Schema | None = None
        self._world: ServerWorld | None = None
        self._inbox: Inbox | None = None
        self._endpoint: Endpoint | None = None
        self._socket: UdpSocket | Port | None = None
        self._clock: Callable[[], int] = monotonic_us
        self._rest: Callable[[float], None] = sleep
        self._incoming = DatagramBatch(1024)
        self._replies = DatagramBatch(1024)            # a datagram has at most one answer in place
        self._outgoing = DatagramBatch(1024)

    @property
    def schema(self) -> Schema:
        """The classes on the wire; fixed at the first look."""
        if self._schema is None:
            self._schema = self._given_schema or Schema(known_classes(Entity), known_classes(Message))
        return self._schema

    @property
    def world(self) -> "ServerWorld":
        """The entities; made at the first look, and with it the schema is fixed."""
        if self._calls.here():
            raise UsageError("async handlers reach the world only by: await app.in_tick(lambda: ...)")
        if self._world is None:
            self._world = ServerWorld(self)
        return self._world

    @property
    def endpoint(self) -> Endpoint:
        """The protocol engine; UsageError before `open`."""
        if self._endpoint is None:
            raise UsageError("the server is not open; call open(host, port) or run() first")
        if self._calls.here():
            raise UsageError("async handlers reach sessions only by: await app.in_tick(lambda: ...)")
        return self._endpoint

    # Life -----------------------------------------------------------------------------------------------------------

    def open(self, host: str = "127.0.0.1", port: int = 3565, *, simulated: "Port | None" = None) -> None:
        """Bind and be ready for ticks. TransportError says when the address cannot be had, and the fix.

        simulated: a port of a shadowland.testing.Network in place of a socket; its network's time is the server's.
        """
        if self._endpoint is not None:
            raise UsageError("the server is open already; close it first")
        limits: dict[str, Any] = {"mtu_limit": MTU_LIMIT} | self.limits
        asked = {name: limits.pop(name) for name in ADMISSION_LIMITS if name in limits}
        seed = simulated.seed if simulated else os.urandom(32)
        self._calls.limit = limits.pop("async_handlers", ASYNC_HANDLERS)
        if simulated:
            self.guard.key = seed[:16]
        endpoint = Endpoint(
            "server", capacity=self.capacity, seed=seed, identity_secret=self.identity.private_bytes,
            schema_hash=self.schema.hash, schema_classes=tuple(self.schema.classes), tick_hz=self.tick_hz,
            guard=self.guard.core, **limits)
        packing.configure(endpoint, plain=self.schema.plain_kinds)
        self.admission.open(endpoint, **asked)
        # Touched now: a flood that fills them for the first time must not be what makes the process grow.
        for batch in (self._incoming, self._replies, self._outgoing):
            batch.arena.fill(0)
        self._socket, self._clock, self._rest = simulated.parts if simulated else (
            UdpSocket(host, port), monotonic_us, sleep)
        self.guard.clock = self._clock
        self._endpoint = endpoint
        self._calls.open()
        self._inbox = Inbox(self.schema, self.capacity)

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) that the server is bound to."""
        if self._socket is None:
            raise UsageError("the server is not open; call open(host, port) or run() first")
        return self._socket.local

    @property
    def connect_line(self) -> str:
        """What a client needs: sl:// address and the server's public key, in one line to paste."""
        host, port = self.address
        return f"sl://{f'[{host}]' if ':' in host else host}:{port} {self.identity.public_text}"

    def drain(self, until_us: int) -> None:
        """Between ticks, until the clock shows `until_us` (at least once): take packets in, send what waited."""
        while True:
            more = self._receive()
            now = self._clock()
            if 0 < paced_us(self.endpoint) <= now:
                self._send_due(pace)
            left = until_us - now
            if left <= 0:
                return
            if more:                            # a flood must not hold a tick up: batch by batch
                continue
            # Waking for every packet would cost more than the packets: the kernel's timestamps keep round trips true.
            self._rest(min(left, DRAIN_GAP_US) / 1e6)

    def _receive(self) -> bool:
        """Take one batch in; whether more may wait."""
        assert self._socket is not None
        self.now_us = self._clock()
        self._incoming.clear()
        count = self._socket.receive(self._incoming, self.now_us)
        if count or self.guard.core.waiting:
            self._replies.clear()
            self.endpoint.inbound(self._incoming, self._replies, self.now_us)
            if self._replies.count:
                self._socket.send(self._replies)
        return bool(count == self._incoming.capacity)

    def step(self) -> None:
        """One tick: messages and handlers, then everything that is due to be sent."""
        endpoint, inbox = self.endpoint, self._inbox
        assert inbox is not None
        until_us = self._clock() + 1_000_000 // (self.tick_hz * RECEIVE_SHARE)
        while self._receive() and self._clock() < until_us:
            pass
        self.tick_number += 1
        endpoint.set_tick(self.tick_number)
        self.admission.tick(endpoint, self.now_us)
        endpoint.collect()
        inbox.begin(endpoint, 1 / self.tick_hz)
        self._take_events()
        self._calls.run()
        self.admission.expire(self.now_us)
        for cls, handlers in self._handlers.items():
            self._dispatch(cls, handlers)
        t = Tick(self, self.tick_number, 1 / self.tick_hz, self.now_us)
        for step in self._steps:
            self._calls.call(step, t)
        self.world.publish(self.tick_number)
        inbox.blame(endpoint, self.now_us)
        endpoint.clear()
        self._replicate()
        self._flush()

    def _take_events(self) -> None:
        events = self.endpoint.events
        self.deliveries = self.open_deliveries.take(events)
        if len(events) == 0:
            return
        self.world.events(events)
        for event in events[(events["kind"] <= LEFT) | (events["kind"] == AUTHENTICATE)]:
            handle, slot = int(event["connection"]), int(event["connection"] & np.uint64(0xFFFFFFFF))
            if event["kind"] == JOINED:
                session = Session(self, handle, *self.admission.player(self.endpoint, handle))
                if self.admission.check is None:
                    self._join(session)
                else:
                    self.admission.wait(session, self.now_us)
                continue
            if event["kind"] == AUTHENTICATE:
                self.admission.authenticate(self.endpoint, handle, self._calls, self._decide)
                continue
            self.admission.leave(handle)
            gone = self.sessions.pop(handle, None)
            if gone is None:
                continue
            for leave in self._leaves:
                self._calls.call(leave, gone, DisconnectReason(int(event["reason"])))
            self.players[slot] = 0
            self.avatars[slot] = 0
            assert self._inbox is not None
            self._inbox.forget(slot)

    def _join(self, session: Session) -> None:
        self.players[session.slot] = session.handle
        self.sessions[session.handle] = session
        for join in self._joins:
            self._calls.call(join, session)

    def _decide(self, session: Session, taken: bool, text: str) -> None:
        """The application has looked at a session's credentials."""
        self.admission.leave(session.handle)
        if not taken:
            session.close(DisconnectReason.NOT_AUTHENTICATED, text.encode()[:64].decode(errors="ignore"))
        elif players.admit(self.endpoint, session.handle, self.now_us):
            self._join(session)

    def _dispatch(self, cls: type[Message], handlers: list[Handler]) -> None:
        assert self._inbox is not None
        records, columns = self._inbox.pick(cls)
        for index, handle in enumerate(records["connection"].tolist()):
            session = self.sessions.get(handle)
            if session is None:
                continue
            message = columns.row(index)
            for handler in handlers:
                self._calls.call(handler, session, message)

    def messages(self, cls: type[Some]) -> TickMessages[Some]:
        """The messages of a class that came since the last tick, of senders that have an avatar."""
        assert self._inbox is not None
        records, columns = self._inbox.pick(cls)
        slots = (records["connection"] & np.uint64(0xFFFFFFFF)).astype(np.intp)
        rows = self.world.rows_of(self.avatars[slots])
        alive = (rows >= 0) & (self.players[slots] == records["connection"])
        chosen = columns.select(alive)
        picked = TickMessages(cls, {name: getattr(chosen, name) for name in chosen._names}, len(chosen))
        picked.sessions, picked.slots, picked.rows = records["connection"][alive], slots[alive], rows[alive]
        picked.numbers, picked.times_us = records["number"][alive], records["time_us"][alive]
        return picked

    def _replicate(self) -> None:
        observers = np.flatnonzero(self.players).astype(np.uint32)
        if len(observers) == 0:
            return
        now_us = self._clock()                  # handlers took their time
        allowed = budgets(self.endpoint, observers, self.world.budget_bytes, now_us)
        records, arena = self.world.replicate(observers, self.now_us, allowed)
        self.endpoint.queue(records, arena)

    def _flush(self) -> None:
        self._send_due(Endpoint.outbound)

    def _send_due(self, fill: Callable[[Endpoint, DatagramBatch, int], bool]) -> None:
        """Send what `fill` puts into batches."""
        assert self._socket is not None
        done = False
        while not done:
            self._outgoing.clear()
            done = fill(self.endpoint, self._outgoing, self._clock())
            while self._outgoing.count:
                before = self._outgoing.count
                self._socket.send(self._outgoing)
                if self._outgoing.count == before:
                    self._rest(0.001)           # the kernel's buffer is full: a moment, then the rest

    def rekey(self) -> int:
        """New keys for every session, as Session.rekey; returns how many. Some thousand change in a second."""
        return sum(session.rekey() for session in self.sessions.values())

    def close(self, reason: DisconnectReason = DisconnectReason.SERVER_SHUTDOWN) -> None:
        """End every session with `reason`, give its CLOSE packets a moment to leave, free the port. Twice is fine."""
        if self._endpoint is None or self._socket is None:
            return
        end = self._clock() + CLOSE_WAIT_US
        self._endpoint.close_all(int(reason), self._clock())
        while self._endpoint.live and self._clock() < end:
            self._flush()
            self._rest(0.01)
        self._take_events()
        self.open_deliveries.end()
        self._calls.close()
        self._endpoint.clear()
        self._socket.close()
        self._socket = self._endpoint = None

    def run(self, host: str = "127.0.0.1", port: int = 3565) -> None:
        """Open, print the line that clients need, tick until Ctrl-C, close."""
        self.open(host, port)
        with self.closing(), suppress(KeyboardInterrupt):
            print(self.connect_line, flush=True)
            self.loop()

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Closes the server at the end of the block; players learn INTERNAL_ERROR if an exception ended it."""
        try:
            yield
        except Exception:
            self.close(DisconnectReason.INTERNAL_ERROR)
            raise
        finally:
            self.close()

    def loop(self, until: Callable[[], bool] = lambda: False) -> None:
        """Tick an open server at `tick_hz` until `until()`. A tick that comes too late is skipped, not caught up."""
        period = 1_000_000 // self.tick_hz
        due = self._clock() + period
        while not until():
            self.drain(due)
            self.step()
            due += period
            late = self._clock() - due
            if late > 0:
                due += (late // period + 1) * period

    def stats(self) -> ServerStats:
        """Counters as they are now."""
        endpoint, inbox = self.endpoint, self._inbox
        assert inbox is not None and self._socket is not None
        counters = endpoint.counters
        drops = endpoint.drops
        drops[DropReason.KERNEL_OVERFLOW] = self._socket.kernel_drops
        drops[DropReason.SEND_FAILED] = self._socket.counters["send_failed"]
        message_drops = endpoint.message_drops + inbox.drops
        suites = endpoint.stats()["suite"]
        ciphers = {name: int(np.count_nonzero(suites == suite)) for suite, name in NAMES.items()}
        return ServerStats(
            ticks=self.tick_number, sessions=len(self.sessions), half_open=endpoint.half_open,
            packets_in=counters["received"], packets_out=counters["sent"],
            bytes_in=counters["bytes_in"], bytes_out=counters["bytes_out"],
            ciphers={name: count for name, count in ciphers.items() if count},
            handler_errors=self._calls.errors, handlers_refused=self._calls.refused,
            token_problems=self.admission.problems(endpoint), rules=summary(self.guard.rules()),
            drops={reason.name: int(drops[reason]) for reason in DropReason if drops[reason]},
            message_drops={reason.name: int(message_drops[reason]) for reason in DropReason if message_drops[reason]})

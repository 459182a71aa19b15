"""Swarm: many client sessions in one process over one socket, for load, soak and demonstration.

The same endpoint and views that one client uses, driven in batches: columns over all bots, no object per bot or packet.
"""
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import sleep
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import JOINED, LEFT, MESSAGE_DTYPE
from shadowland._core.endpoint import packing
from shadowland._core.endpoint.endpoint import MTU_LIMIT, Endpoint
from shadowland._core.udp.socket import UdpSocket, monotonic_us
from shadowland._core.world.view import Views
from shadowland.address import parse_url, resolve
from shadowland.errors import ConfigError, DisconnectReason, DropReason, UsageError
from shadowland.identity import parse_public
from shadowland.schema import Message, MessageColumns, Schema, decode_columns, encode_columns
from shadowland.tokens import parse_token
from shadowland.view import ANY_GRID, SNAPSHOT_CHANNEL, Snapshot, travelling
from shadowland.world import Grid, kind_table

__all__ = ["CONNECTING", "IDLE", "LIVE", "MOST_BOTS", "OVER", "Swarm", "SwarmStats"]

Some = TypeVar("Some", bound=Message)

IDLE: Final = 0                 # states of a bot
CONNECTING: Final = 1
LIVE: Final = 2
OVER: Final = 3

MOST_BOTS: Final = 60_000
NAP_US: Final = 8_000           # between two looks at the socket: the kernel's timestamps keep round trips true
CLOSE_US: Final = 300_000
SLOT: Final = np.uint64(0xFFFFFFFF)


@dataclass(slots=True)
class SwarmStats:
    """Counters of all sessions together; `drops` by name of the reason, round trips in milliseconds."""

    live: int = 0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    snapshots: int = 0
    rtt_ms: tuple[float, float] = (0.0, 0.0)        # median, 99th percentile
    drops: dict[str, int] = field(default_factory=dict)


class Swarm:
    """`count` sessions with the server at `url` whose public key is `server_key`. Bots are numbered from 0.

    schema      the classes on the wire; tick_hz: the server's tick rate (views predict by it).
    aoi         the server's, for those who compare views with the truth; views themselves look at no distances.
    timeout_s   how long each tries to connect.
    seats       entities a bot can know at once, as on the server; history: states kept of each (2 to 64).

    On loopback every bot has an address of its own (127.x.y.z), so that address rules see many players; elsewhere all
    share one. Errors: ConfigError for a wrong url, key or count; TransportError if there is no socket to be had.
    """

    def __init__(self, url: str, server_key: str, count: int, *, schema: Schema, tick_hz: int, aoi: Grid = ANY_GRID,
                 timeout_s: float = 15.0, seats: int = 256, history: int = 16) -> None:
        if not 1 <= count <= MOST_BOTS:
            raise ConfigError(f"a swarm of {count} bots; give 1 to {MOST_BOTS}")
        self.count, self.schema = count, schema
        self._key = parse_public(server_key)
        self._server = resolve(*parse_url(url))
        self._loopback = self._server[0].startswith("127.")
        self._socket = UdpSocket("::" if ":" in self._server[0] else "0.0.0.0", 0)
        self._endpoint = Endpoint("client", capacity=count, seed=os.urandom(32), schema_hash=schema.hash,
                                  tick_hz=tick_hz, connect_timeout_us=int(timeout_s * 1e6), mtu_limit=MTU_LIMIT)
        packing.configure(self._endpoint, plain=schema.plain_kinds)
        self.table, self.layouts = kind_table(schema, tick_hz, aoi)
        self.columns = travelling(self.layouts)
        self.views = Views(self.table, count, seats, history)
        self.state: NDArray[np.uint8] = np.zeros(count, np.uint8)
        self.reasons: NDArray[np.uint8] = np.zeros(count, np.uint8)
        self.tick = 0                                           # of the newest snapshot that any bot was sent
        self.snapshots = 0
        self._handles: NDArray[np.uint64] = np.zeros(count, np.uint64)
        self._bots: NDArray[np.int32] = np.full(count, -1, np.int32)      # by slot of the endpoint
        self._incoming, self._outgoing, self._replies = DatagramBatch(1024), DatagramBatch(1024), DatagramBatch(16)
        self._records: NDArray[Any] = np.zeros(count, MESSAGE_DTYPE)
        self._chosen: NDArray[Any] = np.zeros(0, MESSAGE_DTYPE)

    # Life -----------------------------------------------------------------------------------------------------------

    def connect(self, bots: ArrayLike, tokens: Sequence[str | bytes] | None = None) -> None:
        """These bots begin to connect, with the connect tokens (slt1... or bytes) in their order, if any.

        UsageError for a bot that has connected before, and for more or fewer tokens than bots; ConfigError for a text
        that is no token. Nobody has begun to connect then.
        """
        chosen: list[int] = np.atleast_1d(np.asarray(bots, np.intp)).tolist()
        if tokens is not None and len(tokens) != len(chosen):
            raise UsageError(f"{len(tokens)} tokens for {len(chosen)} bots; give each its own")
        given = [b""] * len(chosen) if tokens is None else [
            parse_token(token) if isinstance(token, str) else token for token in tokens]
        seen: set[int] = set()
        for bot in chosen:
            if bot in seen or self.state[bot] != IDLE:
                raise UsageError(f"bot {bot} has connected before; a bot has one session")
            seen.add(bot)
        for bot, token in zip(chosen, given, strict=True):
            number = bot + 2
            local = (f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}", 0) if self._loopback else None
            handle = self._endpoint.connect(self._server, self._key, monotonic_us(), local, token=token)
            self._handles[bot], self._bots[handle & 0xFFFFFFFF], self.state[bot] = handle, bot, CONNECTING

    def drain(self, until_us: int) -> None:
        """Take in packets as they come until the clock (CLOCK_MONOTONIC in microseconds) shows `until_us`."""
        while True:
            self._receive()
            left = until_us - monotonic_us()
            if left <= 0:
                return
            sleep(min(left, NAP_US) / 1e6)

    def _receive(self) -> None:
        while True:
            now = monotonic_us()
            count = self._socket.receive(self._incoming, now)
            if count:
                self._endpoint.inbound(self._incoming, self._replies, now)
                self._replies.clear()
            if count < self._incoming.capacity:
                return

    def take(self) -> None:
        """Once a tick: what happened since `flush` becomes state, views and messages."""
        self._receive()
        events = self._endpoint.events
        for event in events[events["kind"] <= LEFT]:
            bot = int(self._bots[int(event["connection"] & SLOT)])
            if self._handles[bot] != event["connection"]:
                continue
            if event["kind"] == JOINED:
                self.state[bot] = LIVE
            else:
                self.state[bot], self.reasons[bot] = OVER, event["reason"]
        records = self._endpoint.inbox
        if len(records) == 0:
            return
        bots = self._bots[(records["connection"] & SLOT).astype(np.intp)]
        which = np.where(records["channel"] == SNAPSHOT_CHANNEL, bots, np.int32(-1))
        hint = self.tick or self._endpoint.server_tick(int(records["connection"][0]))[0]
        self.snapshots += self.views.apply_records(records, self._endpoint.inbox_arena, which, hint)
        seen = self.views.tick(int(bots[-1]))
        self.tick = max(self.tick, seen)

    def messages(self, cls: type[Some]) -> tuple[NDArray[np.int32], MessageColumns[Some]]:
        """(bots, columns) of the messages of a class that came since the last `flush`, oldest first."""
        records = self._endpoint.inbox
        right = (records["kind"] == self.schema.id_of(cls)) & (records["channel"] == self.schema.channel_of(cls))
        chosen = records[right]
        columns, fine = decode_columns(cls, self._endpoint.inbox_arena, chosen["offset"], chosen["length"])
        bots = self._bots[(chosen["connection"] & SLOT).astype(np.intp)]
        return bots[fine], columns if fine.all() else columns.select(fine)

    def snapshot(self, bot: int) -> Snapshot | None:
        """The world as this bot sees it now, until the next `take`; None before its first snapshot. It copies: for
        a look through the eyes of a few."""
        tick = self.views.tick(bot)
        return Snapshot(self, tick, bot) if tick else None

    def send(self, cls: type[Message], bots: NDArray[np.integer], **columns: ArrayLike) -> NDArray[np.bool_]:
        """Queue one message from each of these bots (no bot twice), its fields as columns; which of them were taken."""
        count = len(bots)
        if count == 0:
            return np.zeros(0, np.bool_)
        arena, offsets, lengths = encode_columns(cls, count, **columns)
        records = self._records[:count]
        records[:] = 0
        records["connection"] = self._handles[bots]
        records["offset"], records["length"] = offsets, lengths
        records["channel"], records["kind"] = self.schema.channel_of(cls), self.schema.id_of(cls)
        self._endpoint.queue(records, arena)
        taken: NDArray[np.bool_] = records["flags"] == 0
        return taken

    def flush(self) -> None:
        """Once a tick, after `take` and `send`: send all that is due. Messages taken before are gone afterwards."""
        self._endpoint.clear()
        done = False
        while not done:
            self._outgoing.clear()
            done = self._endpoint.outbound(self._outgoing, monotonic_us())
            while self._outgoing.count:
                if self._socket.send(self._outgoing) == 0 and self._outgoing.count:
                    sleep(0.001)                # the kernel's buffer is full: a moment, then the rest

    def close(self) -> None:
        """Say goodbye for all bots, wait for a moment, free the socket. Closing twice is fine."""
        if self._socket.fileno() < 0:
            return
        end = monotonic_us() + CLOSE_US
        self._endpoint.close_all(int(DisconnectReason.CLIENT_LEFT), monotonic_us())
        while self._endpoint.live and monotonic_us() < end:
            self.flush()
            sleep(0.02)
        self._socket.close()

    @property
    def fileno(self) -> int:
        """The socket's file descriptor, -1 once closed."""
        return self._socket.fileno()

    def stats(self) -> SwarmStats:
        """Counters as they are now; after `close` they stay readable."""
        counters, drops = self._endpoint.counters, self._endpoint.drops + self._endpoint.message_drops
        drops[DropReason.KERNEL_OVERFLOW] += np.uint64(self._socket.kernel_drops)
        drops[DropReason.SEND_FAILED] += np.uint64(self._socket.counters["send_failed"])
        trips = self._endpoint.stats()["rtt_us"]
        trips = trips[trips > 0]
        middle, worst = np.percentile(trips, (50, 99)) / 1000 if len(trips) else (0.0, 0.0)
        return SwarmStats(
            live=int(np.count_nonzero(self.state == LIVE)), packets_in=counters["received"],
            packets_out=counters["sent"], bytes_in=counters["bytes_in"], bytes_out=counters["bytes_out"],
            snapshots=self.snapshots, rtt_ms=(round(float(middle), 3), round(float(worst), 3)),
            drops={reason.name: int(drops[reason]) for reason in DropReason if drops[reason]})

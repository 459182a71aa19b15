"""Two endpoints on a simulated network: what they send, receive and hear of, step by step in virtual time."""
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import MESSAGE_DTYPE
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland.errors import CapacityError
from shadowland.testing import Link, Network

JOINED, LEFT, SNAPSHOT_ACKED, SNAPSHOT_LOST = 1, 2, 3, 4
SERVER_ADDRESS = ("10.0.0.1", 3565)
IDENTITY = b"k" * 32
TICK_US = 16_000


@dataclass(frozen=True)
class Message:
    channel: int
    kind: int
    number: int
    payload: bytes


@dataclass(frozen=True)
class Event:
    kind: int
    handle: int
    reason: int
    token: int


class Peer:
    """An endpoint with a port. Every step checks that all datagrams are accounted for."""

    def __init__(self, network: Network, endpoint: Endpoint, address: tuple[str, int], batch: int = 64) -> None:
        self.network, self.endpoint = network, endpoint
        self.port = network.attach(address)
        self.incoming, self.replies, self.outgoing = DatagramBatch(batch), DatagramBatch(batch), DatagramBatch(batch)
        self.messages: dict[int, list[Message]] = defaultdict(list)
        self.events: list[Event] = []
        self.undecodable: set[bytes] = set()        # snapshots that the world here cannot keep

    def step(self) -> None:
        """One tick: everything in, everything out."""
        now_us = self.network.now_us
        while self.port.receive(self.incoming, now_us):
            self.replies.clear()
            self.endpoint.inbound(self.incoming, self.replies, now_us)
            self.send(self.replies)
            self.check()
        if self.endpoint.role == "server":
            self.endpoint.collect()
        self.read()
        while True:
            done = self.endpoint.outbound(self.outgoing, now_us)
            self.send(self.outgoing)
            if done:
                break
        self.read()                                 # timers speak in events too

    def send(self, batch: DatagramBatch) -> None:
        self.port.send(batch)

    def read(self) -> None:
        arena = self.endpoint.inbox_arena
        for record in self.endpoint.inbox:
            payload = arena[record["offset"]:int(record["offset"]) + int(record["length"])].tobytes()
            if record["channel"] == 5 and payload in self.undecodable:
                record["flags"] = 1
                continue
            message = Message(int(record["channel"]), int(record["kind"]), int(record["number"]), payload)
            self.messages[int(record["connection"])].append(message)
        for event in self.endpoint.events:
            self.events.append(Event(*(int(event[name]) for name in ("kind", "connection", "reason", "token"))))
        self.endpoint.clear()

    def check(self) -> None:
        counters = self.endpoint.counters
        assert counters["received"] == counters["accepted"] + int(self.endpoint.drops.sum())

    def snapshot(self, handle: int, payload: bytes, token: int) -> None:
        """Queue a snapshot; CapacityError if there is no room for it."""
        records = np.array([(handle, 0, 0, len(payload), token, 5, 0, 0)], MESSAGE_DTYPE)
        if self.endpoint.queue(records, np.frombuffer(payload, np.uint8)):
            raise CapacityError(f"snapshot refused: {records['flags'][0]}")

    def payloads(self, handle: int, channel: int) -> list[bytes]:
        return [message.payload for message in self.messages[handle] if message.channel == channel]

    def heard(self, kind: int) -> list[Event]:
        return [event for event in self.events if event.kind == kind]


class Pair:
    """A server and clients of one client endpoint, and the network between."""

    def __init__(self, seed: int = 1, link: Link | None = None, *, clients: int = 1, server: Endpoint | None = None,
                 client: Endpoint | None = None, batch: int = 64) -> None:
        self.network = Network(seed, link or Link(delay_us=20_000))
        self.server = Peer(self.network, server or new_server(seed), SERVER_ADDRESS, batch)
        self.client = Peer(self.network, client or new_client(seed), ("10.0.0.2", 40000), batch)
        key = self.server.endpoint.public_key
        self.handles = [self.client.endpoint.connect(SERVER_ADDRESS, key, self.network.now_us) for _ in range(clients)]

    @property
    def handle(self) -> int:
        """The client's only session, as the client knows it."""
        return self.handles[0]

    @property
    def session(self) -> int:
        """The session that joined first, as the server knows it."""
        return self.server.heard(JOINED)[0].handle

    def run(self, us: int, tick_us: int = TICK_US) -> None:
        for _ in range(0, us, tick_us):
            self.client.step()
            self.network.advance(tick_us // 2)
            self.server.step()
            self.network.advance(tick_us - tick_us // 2)

    def join(self, limit_us: int = 5_000_000) -> "Pair":
        """Run until every client is in on both sides."""
        for _ in range(0, limit_us, TICK_US):
            self.run(TICK_US)
            if all(len(peer.heard(JOINED)) >= len(self.handles) for peer in (self.server, self.client)):
                return self
        raise AssertionError(f"not joined: {self.client.events}")

    def link(self, link: Link) -> None:
        """Let both directions fare by `link` from now on."""
        self.network.link = link


def new_server(seed: int = 1, *, capacity: int = 16, schema_hash: int = 7, idle_timeout_us: int = 15_000_000,
               blocks: int = 0, inbox_records: int = 0, inbox_bytes: int = 0, mtu: int = 1200, mtu_limit: int = 1472,
               half_open: int = 64,
               half_open_per_prefix: int = 64, cipher: str = "auto", **limits: Any) -> Endpoint:
    return Endpoint("server", capacity=capacity, seed=bytes([seed & 0xFF]) * 32, identity_secret=IDENTITY,
                    schema_hash=schema_hash, schema_classes=((1, 11), (2, 22)), idle_timeout_us=idle_timeout_us,
                    blocks=blocks, inbox_records=inbox_records, inbox_bytes=inbox_bytes, mtu=mtu,
                    mtu_limit=mtu_limit, half_open=half_open,
                    half_open_per_prefix=half_open_per_prefix, cipher=cipher, **limits)


def new_client(seed: int = 1, *, capacity: int = 16, schema_hash: int = 7, inbox_records: int = 0,
               inbox_bytes: int = 0, mtu: int = 1200, mtu_limit: int = 1472, connect_timeout_us: int = 5_000_000,
               cipher: str = "auto", **limits: Any) -> Endpoint:
    return Endpoint("client", capacity=capacity, seed=bytes([seed + 1 & 0xFF]) * 32, schema_hash=schema_hash,
                    inbox_records=inbox_records, inbox_bytes=inbox_bytes, mtu=mtu, mtu_limit=mtu_limit,
                    connect_timeout_us=connect_timeout_us, cipher=cipher, **limits)

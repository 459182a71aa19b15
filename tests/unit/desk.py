"""An endpoint on a desk: datagrams are laid before it one by one, and every consequence is looked at."""
from collections.abc import Sequence
from typing import Any

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.status import DropReason
from shadowland._core.endpoint.endpoint import Endpoint
from tests.reference import keys, protocol

IDENTITY = b"k" * 32
SERVER_KEY = keys.public_key(IDENTITY)
SERVER, CLIENT, STRANGER = ("10.0.0.1", 3565), ("10.0.0.2", 40000), ("10.0.0.3", 666)
SECOND = 1_000_000
JOINED, LEFT = 1, 2
NO_MESSAGES: list[tuple[int, int, bytes]] = []


class Desk:
    """One compiled endpoint and a clock. `give` says what became of each datagram and checks the sums."""

    def __init__(self, endpoint: Endpoint, now_us: int = 100 * SECOND) -> None:
        self.endpoint, self.now_us = endpoint, now_us
        self.batch, self.replies, self.out = DatagramBatch(32), DatagramBatch(32), DatagramBatch(256)
        self.events: list[tuple[int, int, int]] = []
        self.messages: list[tuple[int, int, bytes]] = []

    def give(self, data: bytes, source: tuple[str, int] = CLIENT) -> tuple[DropReason, list[bytes]]:
        """Lay one datagram before it: (NONE or why it was dropped, replies)."""
        reasons, replies = self.give_all([data], source)
        return reasons[0] if reasons else DropReason.NONE, replies

    def give_all(self, datagrams: Sequence[bytes], source: tuple[str, int] = CLIENT) -> tuple[list[DropReason],
                                                                                             list[bytes]]:
        """Lay several in one batch: (reasons of those dropped, in the order of their values, replies)."""
        before, live = self.endpoint.drops, self.endpoint.counters
        self.batch.clear()
        self.replies.clear()
        for data in datagrams:
            assert self.batch.append(data, source)
        self.endpoint.inbound(self.batch, self.replies, self.now_us)
        after = self.endpoint.counters
        difference = self.endpoint.drops - before
        assert after["received"] - live["received"] == len(datagrams)
        assert after["received"] == after["accepted"] + int(self.endpoint.drops.sum())
        replies = [self.replies[i] for i in range(len(self.replies))]
        assert all(self.replies.remote(i) == source for i in range(len(self.replies)))
        assert sum(map(len, replies)) <= sum(map(len, datagrams)), "amplification"
        self.read()
        return [DropReason(i) for i, count in enumerate(difference) for _ in range(int(count))], replies

    def outbound(self) -> list[bytes]:
        """Everything it has to say now."""
        self.out.clear()
        assert self.endpoint.outbound(self.out, self.now_us)
        self.read()
        return [self.out[i] for i in range(len(self.out))]

    def wait(self, us: int, step_us: int = 10_000) -> list[bytes]:
        """Let time pass; everything it says meanwhile."""
        said = []
        for _ in range(0, us, step_us):
            self.now_us += step_us
            said += self.outbound()
        return said

    def dropped_messages(self) -> dict[DropReason, int]:
        return {DropReason(i): int(n) for i, n in enumerate(self.endpoint.message_drops) if n}

    def read(self) -> None:
        if self.endpoint.role == "server":
            self.endpoint.collect()
        arena = self.endpoint.inbox_arena
        for record in self.endpoint.inbox:
            payload = arena[int(record["offset"]):int(record["offset"]) + int(record["length"])].tobytes()
            self.messages.append((int(record["channel"]), int(record["kind"]), payload))
        self.events += [(int(e["kind"]), int(e["connection"]), int(e["reason"])) for e in self.endpoint.events]
        self.endpoint.clear()


def server_desk(*, capacity: int = 16, schema_hash: int = 7, mtu: int = 1200, half_open: int = 64,
                half_open_per_prefix: int = 64, cipher: str = "chacha20-poly1305",
                schema_classes: tuple[tuple[int, int], ...] = ((1, 11), (2, 22)), **limits: Any) -> Desk:
    return Desk(Endpoint("server", capacity=capacity, seed=b"s" * 32, identity_secret=IDENTITY, schema_hash=schema_hash,
                         schema_classes=schema_classes, mtu=mtu, half_open=half_open,
                         half_open_per_prefix=half_open_per_prefix, cipher=cipher, **limits))


def client_desk(server_key: bytes = SERVER_KEY, *, mtu: int = 1200, connect_timeout_us: int = 5 * SECOND,
                cipher: str = "chacha20-poly1305") -> Desk:
    """A client that has begun to connect."""
    desk = Desk(Endpoint("client", capacity=4, seed=b"c" * 32, schema_hash=7, mtu=mtu,
                         connect_timeout_us=connect_timeout_us, cipher=cipher))
    desk.endpoint.connect(SERVER, server_key, desk.now_us)
    return desk


def reference_client(number: int = 1, *, schema_hash: int = 7, mtu: int = 1200, token: bytes = b"",
                     suites: int = 1) -> protocol.Client:
    return protocol.Client(SERVER_KEY, bytes([number & 0xFF, number >> 8]) * 16, schema_hash=schema_hash, mtu=mtu,
                           token=token, suites=suites)


def get_cookie(desk: Desk, client: protocol.Client, source: tuple[str, int] = CLIENT) -> bytes:
    reason, replies = desk.give(client.hello(), source)
    assert reason == DropReason.NONE and len(replies) == 1
    return replies[0]


def accepted(desk: Desk, client: protocol.Client, source: tuple[str, int] = CLIENT) -> protocol.Sealed:
    """The handshake up to ACCEPTED: half open."""
    reason, replies = desk.give(client.connect(get_cookie(desk, client, source)), source)
    assert reason == DropReason.NONE and len(replies) == 1
    client.answer(replies[0])
    assert client.session is not None
    return client.session


def joined(desk: Desk, client: protocol.Client, source: tuple[str, int] = CLIENT) -> protocol.Sealed:
    """The whole handshake: CONFIRM sent and its acknowledgment read."""
    session = accepted(desk, client, source)
    assert desk.give(session.packet(bytes([protocol.CONTROL, protocol.CONFIRM])), source) == (DropReason.NONE, [])
    for datagram in desk.wait(40_000):
        if datagram[:4] == session.connection_id.to_bytes(4, "little"):     # others may be sent their pings meanwhile
            session.receive(datagram)
    assert session.acked == {0} and desk.events[-1][0] == JOINED
    return session

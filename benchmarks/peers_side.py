"""One side of benchmarks/peers.py: python -m benchmarks.peers_side NAME server | NAME client PORT KEY

A server prints {"port", "key"}; then a line "?" on its stdin is answered with what was delivered since the last one:
{"messages", "bytes", "p50_ms", "p99_ms"}. A client answers "goodput SECONDS SIZE" (as many reliable messages as are
taken, WINDOW of them at most not yet counted by the server) and "latency SECONDS SIZE" (one every 10 ms) with {"sent"}.
Every message begins with the time it was given to the library, on the clock of this machine.
"""
from __future__ import annotations

import json
import os
import select
import socket
import ssl
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from shadowland._core.base import records
from shadowland._core.base.batch import DatagramBatch
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland._core.udp.socket import UdpSocket, monotonic_us
from shadowland.errors import CapacityError

WINDOW = 1024                               # messages under way: 1 MB, far more than the link holds
LATENCY_GAP_US = 10_000
NAP_US = 1_000                              # how long each side sleeps when nothing happens
REPORT_US = 20_000                          # how often a server tells how many it has
CONNECT_S = 10
STAMP = struct.Struct("<Q")
NOISE = os.urandom(1 << 18)               # no compression makes it fewer bytes


class Side(Protocol):
    """A connection (client) or whoever is connected (server), with reliable ordered messages."""

    def turn(self) -> list[bytes]:
        """Do what is due, wait for at most NAP_US when nothing is; messages that arrived."""
    def send(self, message: bytes) -> bool:
        """False: no room now."""
    @property
    def ready(self) -> bool: ...


class Ours:
    """An Endpoint and a UdpSocket; ChaCha20-Poly1305 or AEGIS, as negotiated."""

    def __init__(self, port: int = 0, key: str = "") -> None:
        role = "client" if key else "server"
        self.endpoint = Endpoint(role, capacity=4, seed=os.urandom(32), max_ack_delay_us=5_000,
                                 identity_secret=None if key else os.urandom(32))
        self.socket = UdpSocket("127.0.0.1", 0)
        self.batch, self.replies, self.out = DatagramBatch(256), DatagramBatch(64), DatagramBatch(64)
        self.handle = 0
        if key:
            self.endpoint.connect(("127.0.0.1", port), bytes.fromhex(key), monotonic_us())

    @property
    def about(self) -> dict[str, Any]:
        return {"port": self.socket.local[1], "key": self.endpoint.public_key.hex()}

    @property
    def ready(self) -> bool:
        return self.handle != 0

    def turn(self) -> list[bytes]:
        now, messages = monotonic_us(), []
        if not self.socket.receive(self.batch, now):
            self.socket.wait(NAP_US)
            self.socket.receive(self.batch, now := monotonic_us())
        self.replies.clear()
        self.endpoint.inbound(self.batch, self.replies, now)
        self.socket.send(self.replies)
        for event in self.endpoint.events:
            if event["kind"] == records.JOINED:
                self.handle = int(event["connection"])
            elif event["kind"] == records.LEFT:
                raise SystemExit(f"peers: our session ended, reason {event['reason']}")
        arena = self.endpoint.inbox_arena
        for record in self.endpoint.inbox:
            start = int(record["offset"])
            messages.append(arena[start:start + int(record["length"])].tobytes())
        self.endpoint.clear()
        done = False
        while not done or self.out.count:
            done = self.endpoint.outbound(self.out, now)
            self.socket.send(self.out)
        return messages

    def send(self, message: bytes) -> bool:
        try:
            self.endpoint.send(self.handle, 1, 1, message)
        except CapacityError:
            return False
        return True


class ENet:
    """pyenet: ENet's C with a Cython door; plaintext."""

    def __init__(self, port: int = 0, key: str = "") -> None:
        self._enet: Any = import_module("enet")             # as Any: type checks must not depend on what is installed
        enet = self._enet
        self.peer: Any = None
        if key:
            self.host = enet.Host(None, 1, 1, 0, 0)
            self._wanted = self.host.connect(enet.Address(b"127.0.0.1", port), 1)
        else:
            self.host = enet.Host(enet.Address(b"127.0.0.1", 0), 4, 1, 0, 0)

    @property
    def about(self) -> dict[str, Any]:
        return {"port": self.host.address.port, "key": "none"}

    @property
    def ready(self) -> bool:
        return self.peer is not None

    def turn(self) -> list[bytes]:
        messages, wait = [], NAP_US // 1000
        while (event := self.host.service(wait)).type != self._enet.EVENT_TYPE_NONE:
            wait = 0
            if event.type == self._enet.EVENT_TYPE_CONNECT:
                self.peer = event.peer
            elif event.type == self._enet.EVENT_TYPE_RECEIVE:
                messages.append(event.packet.data)
            elif event.type == self._enet.EVENT_TYPE_DISCONNECT:
                raise SystemExit("peers: ENet's connection ended")
        return messages

    def send(self, message: bytes) -> bool:
        assert self.peer is not None
        return bool(self.peer.send(0, self._enet.Packet(message, self._enet.PACKET_FLAG_RELIABLE)) == 0)


class Quic:
    """aioquic's sans-IO connection on a plain socket: one stream, messages with their length before them; TLS 1.3."""

    def __init__(self, port: int = 0, key: str = "") -> None:
        self._events: Any = import_module("aioquic.quic.events")
        self._made: Any = import_module("aioquic.quic.connection").QuicConnection
        configuration: Any = import_module("aioquic.quic.configuration").QuicConfiguration
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self._connection: Any = None
        self._joined, self._data = False, b""
        self._stream: int | None = None
        self.remote = "127.0.0.1", port
        if key:
            self._configuration = configuration(is_client=True, alpn_protocols=["peers"], verify_mode=ssl.CERT_NONE)
            self._connection = self._made(configuration=self._configuration)
            self._connection.connect(self.remote, now=monotonic_us() / 1e6)
        else:
            self._configuration = configuration(is_client=False, alpn_protocols=["peers"])
            certificate, private = _self_signed()
            self._configuration.certificate, self._configuration.private_key = certificate, private

    @property
    def about(self) -> dict[str, Any]:
        return {"port": self.socket.getsockname()[1], "key": "none"}

    @property
    def ready(self) -> bool:
        return self._joined and self._stream is not None

    def _receive(self, now: float) -> None:
        while True:
            try:
                data, remote = self.socket.recvfrom(2048)
            except BlockingIOError:
                return
            if self._connection is None:
                buffer = import_module("aioquic.buffer").Buffer(data=data)
                head = import_module("aioquic.quic.packet").pull_quic_header(buffer, host_cid_length=8)
                self.remote = remote
                self._connection = self._made(configuration=self._configuration,
                                              original_destination_connection_id=head.destination_cid)
            self._connection.receive_datagram(data, remote, now=now)

    def turn(self) -> list[bytes]:
        select.select([self.socket], [], [], NAP_US / 1e6)
        now = monotonic_us() / 1e6
        self._receive(now)
        if self._connection is None:
            return []
        due = self._connection.get_timer()
        if due is not None and due <= now:
            self._connection.handle_timer(now=now)
        while (event := self._connection.next_event()) is not None:
            if isinstance(event, self._events.HandshakeCompleted):
                self._joined = True
                if self._configuration.is_client:
                    self._stream = self._connection.get_next_available_stream_id()
            elif isinstance(event, self._events.StreamDataReceived):
                self._stream = event.stream_id
                self._data += event.data
            elif isinstance(event, self._events.ConnectionTerminated):
                raise SystemExit(f"peers: QUIC's connection ended: {event.reason_phrase}")
        for data, remote in self._connection.datagrams_to_send(now=now):
            self.socket.sendto(data, remote)
        return list(self._whole())

    def _whole(self) -> Iterator[bytes]:
        while len(self._data) >= 2:
            length = int.from_bytes(self._data[:2], "little")
            if len(self._data) < 2 + length:
                return
            yield self._data[2:2 + length]
            self._data = self._data[2 + length:]

    def send(self, message: bytes) -> bool:
        self._connection.send_stream_data(self._stream, len(message).to_bytes(2, "little") + message)
        return True


def _self_signed() -> tuple[Any, Any]:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = datetime.now(UTC)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
            .serial_number(1).not_valid_before(today - timedelta(days=1)).not_valid_after(today + timedelta(days=1)))
    return made.sign(private, hashes.SHA256()), private


SIDES: dict[str, type[Ours] | type[ENet] | type[Quic]] = {"shadowland": Ours, "pyenet": ENet, "aioquic": Quic}


def asked() -> str:
    """A line from stdin if one waits, "" if none, and the end of the program when it is over."""
    if not select.select([sys.stdin], [], [], 0)[0]:
        return ""
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return line


def serve(side: Side) -> None:
    """Count what is delivered, tell the client how many, answer questions."""
    total = size = 0
    late: list[float] = []
    told_us = 0
    while True:
        for message in side.turn():
            total += 1
            size += len(message)
            late.append((monotonic_us() - STAMP.unpack_from(message)[0]) / 1000)
        if side.ready and monotonic_us() - told_us > REPORT_US and side.send(STAMP.pack(total)):
            told_us = monotonic_us()
        if asked():
            p50, p99 = np.percentile(late, (50, 99)) if late else (0.0, 0.0)
            print(json.dumps({"messages": len(late), "bytes": size, "p50_ms": float(p50), "p99_ms": float(p99)}),
                  flush=True)
            late.clear()
            size = 0


class Talker:
    """The client: what it has sent, and what the server says it has."""

    def __init__(self, side: Side) -> None:
        self.side, self.sent, self.counted = side, 0, 0

    def turn(self) -> None:
        for message in self.side.turn():
            self.counted = STAMP.unpack(message)[0]

    def say(self, size: int) -> bool:
        taken = self.side.send(STAMP.pack(monotonic_us()) + NOISE[:size - STAMP.size])
        self.sent += taken
        return taken

    def goodput(self, seconds: float, size: int) -> None:
        end = monotonic_us() + int(seconds * 1e6)
        while monotonic_us() < end:
            while self.sent - self.counted < WINDOW and self.say(size):
                pass
            self.turn()

    def latency(self, seconds: float, size: int) -> None:
        due = monotonic_us()
        end = due + int(seconds * 1e6)
        while due < end:
            if monotonic_us() >= due and self.say(size):
                due += LATENCY_GAP_US
            self.turn()

    def settle(self, seconds: float) -> None:
        """Let what is under way arrive."""
        end = monotonic_us() + int(seconds * 1e6)
        while monotonic_us() < end and self.counted < self.sent:
            self.turn()


def talk(side: Side) -> None:
    talker, end = Talker(side), monotonic_us() + CONNECT_S * 1_000_000
    while not side.ready:
        side.turn()
        if monotonic_us() > end:
            raise SystemExit(f"peers: no connection after {CONNECT_S} s")
    talker.say(STAMP.size)                          # a QUIC stream exists once something was said on it
    talker.settle(5)
    print(json.dumps({"ready": True}), flush=True)
    while True:
        talker.turn()
        words = asked().split()
        if not words:
            continue
        before = talker.sent
        run = talker.goodput if words[0] == "goodput" else talker.latency
        run(float(words[1]), int(words[2]))
        sent = talker.sent - before
        print(json.dumps({"sent": sent}), flush=True)
        talker.settle(20)


def main() -> None:
    name, role, *rest = sys.argv[1:]
    if role == "server":
        side = SIDES[name]()
        print(json.dumps(side.about), flush=True)
        serve(side)
    talk(SIDES[name](int(rest[0]), rest[1]))


if __name__ == "__main__":
    main()

"""Cheats whose client is not ours: they speak the wire by its slow model, and say what no client of ours would.

    replay      its old inputs again and again, under their old numbers, with other places in them
    ahead       inputs that leap thousands of numbers ahead of the server's time, eight to a packet
    slow        holds its acknowledgments back to seem 400 ms away, says that it held them 65 ms, and aims at what was
                seen ten seconds ago
"""
import os
import socket
import struct
from typing import Final

from shadowland.identity import parse_public
from shadowland.schema import decode_one, encode_one
from tests.cheats.arena import BOLT, HALF, HZ, RULE, SCHEMA, Bolt, Claim, Welcome
from tests.reference import protocol

FORGERIES: Final = ("replay", "ahead", "slow")
STEP: Final = RULE.speed / HZ
WELCOME: Final = bytes([SCHEMA.id_of(Welcome)])


class Forger:
    """One session with a socket of its own, that of forger `number`."""

    def __init__(self, url: str, key: str, number: int) -> None:
        self.kind = FORGERIES[number % len(FORGERIES)]
        host, _, port = url.rpartition("/")[2].rpartition(":")
        self._server = host, int(port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((f"127.8.{number >> 8}.{number & 255}", 0))
        self._wire = protocol.Client(parse_public(key), os.urandom(32), schema_hash=SCHEMA.hash)
        self._wire.answer(self._asked(self._wire.connect(self._asked(self._wire.hello(), protocol.COOKIE)),
                                      protocol.ACCEPTED))
        assert self._wire.session is not None
        self._session = self._wire.session
        self._say(bytes([protocol.CONTROL, protocol.CONFIRM]))
        self._socket.setblocking(False)
        self._number, self.slot, self._place = 0, -1, (0.0, 0.0, 0.0)
        self.forged = 0                                     # inputs and bolts that are none

    def _asked(self, data: bytes, kind: int) -> bytes:
        """Say `data` until a handshake datagram of `kind` comes back."""
        self._socket.settimeout(0.2)
        for _ in range(40):
            self._socket.sendto(data, self._server)
            try:
                heard = self._socket.recv(2048)
            except TimeoutError:
                continue
            if heard[:4] == bytes(4) and heard[4] == kind and heard[6:14] == self._wire.public[:8]:
                return heard
        raise SystemExit(f"cheats: no answer of kind {kind} from the server")

    def _say(self, *contents: bytes, delay_us: int = 0) -> None:
        session = self._session
        block = session.acks.block(session.sequence, delay_us)
        try:
            self._socket.sendto(session.seal(block + b"".join(map(protocol.frame, contents))), self._server)
        except BlockingIOError:
            return

    def _take(self) -> None:
        while True:
            try:
                data = self._socket.recv(2048)
            except BlockingIOError:
                return
            if data[:4] != self._session.connection_id.to_bytes(4, "little"):
                continue
            for content in self._session.receive(data):
                at = content.find(WELCOME) if content[0] & 7 == protocol.RELIABLE and self.slot < 0 else -1
                if at > 0:
                    self._welcome(content[at + 1:])

    def _welcome(self, payload: bytes) -> None:
        welcome = decode_one(Welcome, payload)
        if welcome is not None:
            x, y, z = welcome.position
            self.slot, self._place = welcome.slot, (float(x), float(y), float(z))

    def _claims(self, newest: int, *ways: float) -> bytes:
        """An input frame: claims to stand so far along x from where it was put, the last with number `newest`."""
        x, y, z = self._place
        payloads = [encode_one(Claim(position=(x + way, y, z), facing=0.0)) for way in ways]
        head = struct.pack("<BBHB", protocol.INPUT, SCHEMA.id_of(Claim), newest & 0xFFFF, len(payloads))
        return head + b"".join(bytes([len(payload)]) + payload for payload in payloads)

    def step(self, tick: int) -> None:
        """Once a tick."""
        if self.kind != "slow" or tick % 8 == 0:
            self._take()
        if self.slot < 0:
            self._say(bytes([protocol.CONTROL, protocol.PING]) + bytes(8))
            return
        self._number += 1
        n = self._number
        if self.kind == "replay":
            self._say(self._claims(n, 0.0), self._claims(n - 1, *(float(HALF),) * 8), self._claims(n - 4096, *range(8)))
            self.forged += 16
        elif self.kind == "ahead":
            self._number += 20_000
            self._say(self._claims(self._number, *(tick * STEP * 8 % 40 + STEP * i for i in range(8))))
            self.forged += 8
        else:
            x, y, _ = self._place
            seen = Bolt(action=0, target=(x, y + (BOLT.range or 0.0) / 9), seen=float(tick - 10 * HZ))
            shot = bytes([protocol.UNRELIABLE, SCHEMA.id_of(Bolt)]) + encode_one(seen)
            self._say(self._claims(n, 0.0), shot, delay_us=65_280)
            self.forged += 1

    def close(self) -> None:
        """Say goodbye."""
        self._say(bytes([protocol.CONTROL, protocol.CLOSE, 1]))
        self._socket.close()

"""The wire as docs/protocol.md says it, written from that page alone: handshake, sealed packets, bodies, both roles.

Only section 5.1 (tests/reference/ack.py) and Noise (tests/reference/noise.py) stand elsewhere. Nothing here has timers:
whoever uses it decides what is sent and when.
"""
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.reference import ack, aegis, cookie, epoch, keys, noise

VERSION = 1
HELLO, COOKIE, VERSIONS, CONNECT, ACCEPTED, REJECTED = 1, 2, 3, 4, 5, 6
UNRELIABLE, RELIABLE, UNORDERED, LATEST, INPUT, SNAPSHOT, CONTROL = 0, 1, 2, 3, 4, 5, 7
SCHEMA_MISMATCH, BAD_TOKEN = 6, 16
CONFIRM, PING, PONG, CLOSE, PATH_CHALLENGE, PATH_RESPONSE = 0, 1, 2, 3, 4, 5
AUTHENTICATE, AUTHENTICATED, CHALLENGE, ANSWER = 10, 11, 20, 21
FRAGMENT, COMPRESSED = 0x08, 0x10
CONTROL_STREAM = 8
REKEY_ASK, REKEY_REQUEST, REKEY_RESPONSE = 1, 2, 3
CHACHA20_POLY1305, AEGIS_128L = 1, 2


def crc_of_byte(byte: int) -> int:
    """Castagnoli, reflected, bit by bit."""
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


CRC_TABLE = [crc_of_byte(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def header(connection_id: int, channel: int, flags: int, sequence: int) -> bytes:
    return struct.pack("<IBBQ", connection_id, channel, flags, sequence)


def summed(data: bytes) -> bytes:
    """`data` and its checksum."""
    return data + struct.pack("<I", crc32c(data))


def resummed(datagram: bytes) -> bytes:
    """A handshake datagram whose checksum is made right again after a change."""
    return summed(datagram[:-4])


def handshake(kind: int, echo: bytes, body: bytes, version: int = VERSION) -> bytes:
    return summed(struct.pack("<IBB", 0, kind, 0) + echo + struct.pack("<H", version) + body)


def uvarint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def frame(content: bytes) -> bytes:
    """A frame: its length before it."""
    return uvarint(len(content)) + content


def frames(data: bytes) -> Iterator[bytes]:
    """The frames of what follows the ack block; padding is passed over."""
    at = 0
    while at < len(data):
        length, shift = 0, 0
        while True:
            byte = data[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
        if length:
            assert at + length <= len(data), "a frame is longer than what is left"
            yield data[at:at + length]
            at += length


def unit(number: int, message: int, payload: bytes, index: int = 0, count: int = 0, stream: int | None = 0) -> bytes:
    """A reliable frame; stream None: unordered. `count` 0: the payload is a whole message, kind and all."""
    head = (UNORDERED if stream is None else RELIABLE) | (FRAGMENT if count else 0)
    fields = bytes([head]) if stream is None else bytes([head, stream])
    fields += struct.pack("<H", number & 0xFFFF)
    if stream is not None or count:
        fields += struct.pack("<H", message & 0xFFFF)
    if count:
        fields += struct.pack("<HH", index, count)
    return fields + payload


def prologue(connect: bytes) -> bytes:
    return b"shadowland-net" + struct.pack("<H", VERSION) + connect[:64]


@dataclass
class Sealed:
    """One session's keys and counters, seen from one side."""

    connection_id: int
    send_key: bytes
    receive_key: bytes
    suite: int = CHACHA20_POLY1305
    epochs: epoch.Keys | None = None            # with it the keys above are those of epoch 0 only
    sequence: int = 0
    units: int = 0                              # said on the control stream
    heard: set[bytes] = field(default_factory=set)      # ... and its units taken
    acks: ack.Receiver = field(default_factory=ack.Receiver)
    largest_acked: int = 0
    acked: set[int] = field(default_factory=set)

    def seal(self, body: bytes, sequence: int | None = None, channel: int = 0,
             flags: int | None = None) -> bytes:
        """A session datagram around `body`, under the next sequence unless another is asked for."""
        if sequence is None:
            sequence = self.sequence
            self.sequence += 1
        if self.epochs is not None and channel == 0 and flags is None:
            return self.epochs.seal(self.connection_id, sequence, body)
        head = header(self.connection_id, channel, 3 if flags is None else flags, sequence)
        nonce = head[:4] + head[6:]
        if self.suite == AEGIS_128L:
            return head + aegis.seal(self.send_key, nonce + bytes(4), head, body)
        return head + ChaCha20Poly1305(self.send_key).encrypt(nonce, body, head)

    def packet(self, *contents: bytes) -> bytes:
        """A datagram with the ack block that is due and a frame for each of `contents`."""
        block = self.acks.block(self.sequence, 0)
        return self.seal(block + b"".join(frame(content) for content in contents))

    def open(self, datagram: bytes) -> tuple[int, bytes] | None:
        """(sequence, body); None if the tag does not verify."""
        head = datagram[:14]
        assert struct.unpack("<IB", head[:5]) == (self.connection_id, 0) and head[5] in (3, 7)
        if self.epochs is not None:
            opened = self.epochs.open(datagram)
            return None if opened is None else (struct.unpack("<Q", head[6:])[0], opened)
        body = self._opened(head, head[:4] + head[6:], datagram[14:])
        return None if body is None else (struct.unpack("<Q", head[6:])[0], body)

    def _opened(self, head: bytes, nonce: bytes, sealed: bytes) -> bytes | None:
        if self.suite == AEGIS_128L:
            return aegis.open_sealed(self.receive_key, nonce + bytes(4), head, sealed)
        try:
            return ChaCha20Poly1305(self.receive_key).decrypt(nonce, sealed, head)
        except InvalidTag:
            return None

    def control(self, kind: int, data: bytes = b"") -> bytes:
        """A frame's content: the next unit of the control stream (5.4)."""
        self.units += 1
        return unit(self.units - 1, self.units - 1, bytes([kind]) + data, stream=CONTROL_STREAM)

    def receive(self, datagram: bytes) -> list[bytes]:
        """Open a datagram, take its acks, note it as stored, and give its frames."""
        opened = self.open(datagram)
        assert opened is not None
        sequence, body = opened
        block = ack.parse(body, self.largest_acked)
        if block.newest >= 0:
            self.largest_acked = max(self.largest_acked, block.newest)
            for own in block.received - self.acked:
                self.acks.confirm(own)
            self.acked |= block.received
        self.acks.note(sequence)
        return list(frames(body[block.length:]))


def session(connection_id: int, client: bool, split: tuple[bytes, bytes, bytes, bytes], suite: int) -> Sealed:
    """One side's session in epoch 0, from what Noise's Split gave."""
    epochs = epoch.Keys.begin(client, suite, split)
    return Sealed(connection_id, epochs.send[0], epochs.receive[0], suite, epochs)


class Client:
    """The client's side of sections 2 to 4."""

    def __init__(self, server_key: bytes, ephemeral: bytes, *, schema_hash: int = 0, mtu: int = 1200,
                 build: int = 0, ack_delay_ms: int = 25, token: bytes = b"", suites: int = 1) -> None:
        self.server_key, self.secret = server_key, ephemeral
        self.public = keys.public_key(ephemeral)
        self.mtu, self.suites = mtu, suites
        self.payload = struct.pack("<QIBBHH", schema_hash, build, suites, ack_delay_ms, mtu, len(token)) + token
        self.connect_datagram = b""
        self.session: Sealed | None = None
        self.rejected: tuple[int, list[tuple[int, int]]] | None = None
        self.rejected_detail = 0
        self.accepted: dict[str, int] = {}

    def hello(self) -> bytes:
        return handshake(HELLO, self.public[:8], self.public + bytes(44))

    def connect(self, cookie_datagram: bytes) -> bytes:
        """CONNECT for a COOKIE."""
        assert len(cookie_datagram) == 76 and resummed(cookie_datagram) == cookie_datagram
        assert cookie_datagram[:6] == struct.pack("<IBB", 0, COOKIE, 0) and cookie_datagram[6:14] == self.public[:8]
        self.hint_fits = cookie_datagram[64:72] == hashlib.sha256(self.server_key).digest()[:8]
        return self.connect_with(cookie_datagram[16:64])

    def connect_with(self, stamp: bytes) -> bytes:
        head = header(0, CONNECT, 0, struct.unpack("<Q", self.public[:8])[0]) + struct.pack("<H", VERSION) + stamp
        self.noise = noise.Initiator(prologue(head), self.server_key, self.secret)
        payload = self.payload + bytes(self.mtu - len(head) - 32 - 16 - 4 - len(self.payload))
        self.connect_datagram = summed(head + self.noise.write(payload))
        return self.connect_datagram

    def answer(self, datagram: bytes) -> None:
        """ACCEPTED or REJECTED."""
        assert resummed(datagram) == datagram and datagram[4] in (ACCEPTED, REJECTED)
        assert datagram[6:14] == self.public[:8]
        payload = self.noise.read(datagram[16:-4])
        if payload[0]:
            count = payload[1] if payload[0] == SCHEMA_MISMATCH else 0
            self.rejected_detail = payload[1]
            classes = [struct.unpack_from("<HI", payload, 2 + 6 * i) for i in range(count)]
            assert not any(payload[2 + 6 * count:]) and len(datagram) == self.mtu
            self.rejected = payload[0], classes
            return
        names = ("verdict", "suite", "mtu", "connection_id", "tick", "tick_hz", "max_ack_delay_ms", "flags",
                 "idle_timeout_ms")
        self.accepted = dict(zip(names, struct.unpack_from("<BBHIIHBBI", payload), strict=True))
        assert not any(payload[20:]) and self.accepted["mtu"] == len(datagram) <= self.mtu
        suite = self.accepted["suite"]
        assert self.accepted["connection_id"] and self.accepted["flags"] <= 1
        assert suite == CHACHA20_POLY1305 or (suite == AEGIS_128L and self.suites & 2)
        self.session = session(self.accepted["connection_id"], True, self.noise.split(), suite)


@dataclass
class Server:
    """The server's side of sections 2 to 4, for one client at a time."""

    static: bytes
    cookie_secret: bytes
    ip: bytes
    port: int
    schema_hash: int = 0
    mtu: int = 1200
    tick: int = 0
    tick_hz: int = 60
    ack_delay_ms: int = 25
    idle_timeout_ms: int = 15000
    flags: int = 0
    suites: int = 1
    session: Sealed | None = None

    def cookie(self, hello: bytes, now_s: int, random: bytes) -> bytes:
        """COOKIE for a HELLO."""
        assert len(hello) == 96 and resummed(hello) == hello and hello[:6] == struct.pack("<IBB", 0, HELLO, 0)
        assert hello[6:14] == hello[16:24] and not any(hello[48:92])
        stamp = cookie.make(self.cookie_secret, self.ip, self.port, hello[16:48], now_s, random)
        hint = hashlib.sha256(keys.public_key(self.static)).digest()[:8]
        return handshake(COOKIE, hello[6:14], stamp + hint)

    def read_connect(self, connect: bytes, now_s: int) -> dict[str, int]:
        assert resummed(connect) == connect and connect[:6] == struct.pack("<IBB", 0, CONNECT, 0)
        assert connect[6:14] == connect[64:72]
        verdict = cookie.check([self.cookie_secret], self.ip, self.port, connect[64:96], now_s, connect[16:64])
        assert verdict == cookie.OK
        self.noise = noise.Responder(prologue(connect), self.static)
        payload = self.noise.read(connect[64:-4])
        names = ("schema_hash", "client_build", "suites", "max_ack_delay_ms", "mtu", "token_length")
        fields = dict(zip(names, struct.unpack_from("<QIBBHH", payload), strict=True))
        end = 18 + fields["token_length"]
        assert fields["token_length"] <= 492 and not any(payload[end:]) and end <= len(payload)
        assert fields["mtu"] == len(connect) and fields["suites"] & 1
        self.token = payload[18:end]
        self.echo, self.claimed = connect[6:14], len(connect)
        self.suite = AEGIS_128L if fields["suites"] & self.suites & 2 else CHACHA20_POLY1305
        return fields

    def accept(self, connection_id: int, ephemeral: bytes) -> bytes:
        mtu = min(self.mtu, self.claimed)
        fields = struct.pack("<BBHIIHBBI", 0, self.suite, mtu, connection_id, self.tick, self.tick_hz,
                             self.ack_delay_ms, self.flags, self.idle_timeout_ms)
        datagram = self._message_2(ACCEPTED, fields, mtu, ephemeral)
        self.session = session(connection_id, False, self.noise.split(), self.suite)
        return datagram

    def reject(self, reason: int, classes: list[tuple[int, int]], ephemeral: bytes, detail: int = 0) -> bytes:
        fields = bytes([reason, len(classes) or detail]) + b"".join(struct.pack("<HI", *one) for one in classes)
        return self._message_2(REJECTED, fields, self.claimed, ephemeral)

    def _message_2(self, kind: int, fields: bytes, length: int, ephemeral: bytes) -> bytes:
        payload = fields + bytes(length - 16 - 32 - 16 - 4 - len(fields))
        return handshake(kind, self.echo, self.noise.write(ephemeral, payload))

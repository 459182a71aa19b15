"""Keys over time as docs/protocol.md 4.1 says them: every epoch's keys in a row, and rules for which of them count."""
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.reference import aead, aegis, keys
from tests.reference.chain import Chain


@dataclass
class Keys:
    """One side. `send` and `receive` hold the key of every epoch there was; `oldest` is the oldest that still opens."""

    client: bool
    suite: int
    chain: Chain
    send: list[bytes] = field(default_factory=list)
    receive: list[bytes] = field(default_factory=list)
    sending: int = 0                # the epoch it seals in
    oldest: int = 0
    first: int | None = None        # lowest sequence that opened in the newest epoch
    secret: bytes = b""             # of the request under way
    confirmed: bool = True          # a packet of the newest epoch has opened
    settled: bool = True            # ... and the grace time is over

    @classmethod
    def begin(cls, client: bool, suite: int, split: tuple[bytes, bytes, bytes, bytes]) -> "Keys":
        """Epoch 0 from what Noise's Split gave: k1, k2, h, root."""
        made = cls(client, suite, Chain(split[3], split[2]))
        made._add(split[0], split[1])
        return made

    def _add(self, up: bytes, down: bytes) -> None:
        up, down = (keys.derive(key, self.suite, self.chain.epoch) for key in (up, down))
        self.send.append(up if self.client else down)
        self.receive.append(down if self.client else up)

    @property
    def epoch(self) -> int:
        return len(self.receive) - 1

    @property
    def flags(self) -> int:
        return 3 | (self.sending & 1) << 2

    def request(self, secret: bytes) -> bytes | None:
        if not self.client or not self.settled or self.secret:
            return None
        self.secret = secret
        return keys.public_key(secret)

    def respond(self, secret: bytes, remote: bytes) -> bytes | None:
        """Server: what the response says; None if it is not time for one, or the point is of low order."""
        shared = keys.exchange(secret, remote)
        if self.client or not self.settled or shared is None:
            return None
        own = keys.public_key(secret)
        self._add(*self.chain.advance(shared, remote, own))
        self.first, self.confirmed, self.settled = None, False, False
        return own

    def complete(self, remote: bytes) -> bool:
        """Client: take the response."""
        shared = keys.exchange(self.secret, remote) if self.secret else None
        if shared is None:
            return False
        self._add(*self.chain.advance(shared, keys.public_key(self.secret), remote))
        self.secret, self.sending = b"", self.epoch
        self.first, self.confirmed, self.settled = None, False, False
        return True

    def settle(self) -> None:
        """The grace time is over."""
        assert self.confirmed
        self.oldest, self.settled = self.epoch, True

    def seal(self, connection_id: int, sequence: int, body: bytes) -> bytes:
        head = struct.pack("<IBBQ", connection_id, 0, self.flags, sequence)
        nonce, key = aead.packet_nonce(connection_id, sequence), self.send[self.sending]
        if self.suite == 2:
            return head + aegis.seal(key, nonce + bytes(4), head, body)
        return head + ChaCha20Poly1305(key).encrypt(nonce, body, head)

    def open(self, datagram: bytes) -> bytes | None:
        """The body; None if no key fits."""
        flags, sequence = datagram[5], struct.unpack("<Q", datagram[6:14])[0]
        for epoch in (self.epoch, self.epoch - 1):
            if epoch < self.oldest or (flags >> 2) & 1 != epoch & 1:
                continue
            if epoch < self.epoch and self.first is not None and sequence >= self.first:
                return None                                     # an old key opens only what is older than the new epoch
            body = self._open(epoch, datagram, sequence)
            if body is not None and epoch == self.epoch and not self.settled:
                self.confirmed, self.sending = True, self.epoch
                self.first = sequence if self.first is None else min(self.first, sequence)
            return body
        return None

    def _open(self, epoch: int, datagram: bytes, sequence: int) -> bytes | None:
        nonce = aead.packet_nonce(struct.unpack("<I", datagram[:4])[0], sequence)
        if self.suite == 2:
            return aegis.open_sealed(self.receive[epoch], nonce + bytes(4), datagram[:14], datagram[14:])
        try:
            return ChaCha20Poly1305(self.receive[epoch]).decrypt(nonce, datagram[14:], datagram[:14])
        except InvalidTag:
            return None

"""Python door to the keys of a session over time, for tests; the hot path cimports the kernels instead."""
from cython cimport final

from shadowland._core.crypto.aead cimport SUITE_NONE, aead_open, aead_seal
from shadowland._core.crypto.keys cimport KEY_SIZE

SETTLED, REQUESTED, OFFERED, SWITCHED, GRACE = range(5)

cdef const uint8_t* _key(bytes key) except NULL:
    if len(key) != KEY_SIZE:                            # its bytes may be a secret: only the length is named
        raise ValueError(f"a key has {KEY_SIZE} bytes, not {len(key)}")
    return <const uint8_t*>key


@final
cdef class Keys:
    """One side's keys: `root` and `transcript` as Noise's Split gave them, `up` is the key client to server.

    Steps return 0 or the DropReason for which a session would end.
    """
    cdef Epochs state

    def __cinit__(self, client: bool, suite: int, root: bytes, transcript: bytes, up: bytes, down: bytes):
        cdef Chain chain
        memcpy(chain.root, _key(root), 32)
        memcpy(chain.transcript, _key(transcript), 32)
        chain.epoch = 0
        epoch_begin(&self.state, client, <uint32_t>suite, &chain, _key(up), _key(down))
        if self.state.send.suite == SUITE_NONE:
            raise ValueError(f"suite {suite} is not available on this machine")

    def __dealloc__(self):
        sodium.memzero(&self.state, sizeof(Epochs))

    def __repr__(self) -> str:
        return f"Keys(epoch={self.state.chain.epoch}, step={self.state.state})"

    @property
    def step(self) -> int:
        """SETTLED, REQUESTED, OFFERED, SWITCHED or GRACE."""
        return self.state.state

    @property
    def epoch(self) -> int:
        """The newest epoch that it has keys for."""
        return self.state.chain.epoch

    @property
    def flags(self) -> int:
        """Flags of what it seals now."""
        return 3 | self.state.send_flag

    def request(self, secret: bytes) -> bytes | None:
        """Client: the public key that the request says; None if it is not time for one."""
        return self.state.public[:32] if epoch_request(&self.state, _key(secret)) == 0 else None

    def respond(self, secret: bytes, remote: bytes) -> tuple[int, bytes]:
        """Server: (0 or a reason, the public key that the response says)."""
        cdef uint8_t[32] public
        cdef int status
        x25519_public(public, _key(secret))
        status = epoch_respond(&self.state, _key(secret), public, _key(remote))
        return status, public[:32]

    def complete(self, remote: bytes) -> int:
        """Client: take the response."""
        return epoch_complete(&self.state, _key(remote))

    def settle(self) -> None:
        """The grace time is over."""
        epoch_settle(&self.state)

    def seal(self, connection_id: int, sequence: int, body: bytes) -> bytes:
        """Body and tag, with the header of these flags as associated data."""
        cdef bytes head = connection_id.to_bytes(4, "little") + bytes([0, self.flags]) + sequence.to_bytes(8, "little")
        cdef bytearray data = bytearray(body) + bytearray(self.state.send.tag_size)
        aead_seal(&self.state.send, connection_id, sequence, <const uint8_t*>head, 14, <uint8_t*>data, len(body))
        return head + bytes(data)

    def open(self, datagram: bytes) -> bytes | None:
        """The body of a session datagram, None if there is no key for it or the tag is wrong."""
        cdef bytearray data = bytearray(datagram[14:])
        cdef uint8_t flags = datagram[5]
        cdef uint64_t sequence = int.from_bytes(datagram[6:14], "little")
        cdef ReceiveKey* receive = epoch_receive(&self.state, flags)
        if receive.key.suite == SUITE_NONE or sequence > receive.last:
            return None
        if not aead_open(&receive.key, int.from_bytes(datagram[:4], "little"), sequence, <const uint8_t*>datagram, 14,
                         <uint8_t*>data, len(data)):
            return None
        epoch_opened(&self.state, flags, sequence, 0)
        return bytes(data[:len(data) - receive.key.tag_size])

    def remembers(self, secret: bytes) -> bool:
        """True if `secret` (not empty) stands anywhere in its memory."""
        return secret in (<const uint8_t*>&self.state)[:sizeof(Epochs)]

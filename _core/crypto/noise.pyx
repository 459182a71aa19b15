"""Python door to the handshake, for tests and tools; the hot path cimports the kernels instead."""
from cython cimport final

from shadowland._core.crypto.keys cimport KEY_SIZE

OVERHEAD = NOISE_OVERHEAD

cdef const uint8_t* _key(str what, bytes key) except NULL:
    if len(key) != KEY_SIZE:                            # its bytes may be a secret: only the length is named
        raise ValueError(f"{what} has {KEY_SIZE} bytes, not {len(key)}")
    return <const uint8_t*>key

cdef tuple _split(NoiseState* state):
    cdef uint8_t[32] first
    cdef uint8_t[32] second
    cdef uint8_t[32] transcript
    cdef uint8_t[32] root
    if noise_nk_split(state, first, second, transcript, root) != 0:
        raise ValueError("the handshake is not complete: both messages come before split, and split comes once")
    keys = first[:32], second[:32], transcript[:32], root[:32]
    sodium.memzero(first, 32)
    sodium.memzero(second, 32)
    sodium.memzero(root, 32)
    return keys


@final
cdef class Initiator:
    """The client's side of Noise_NK_25519_ChaChaPoly_SHA256: write message 1, read message 2, split.

    All keys have 32 bytes, else ValueError. `status` is the result of the last step: 0 or a DropReason.
    """
    cdef NoiseState state
    cdef readonly int status

    def __cinit__(self, prologue: bytes, server_public: bytes, ephemeral_private: bytes):
        cdef const uint8_t* public = _key("a server's public key", server_public)
        cdef const uint8_t* private = _key("an ephemeral private key", ephemeral_private)
        noise_nk_initiator_start(&self.state, <const uint8_t*>prologue, len(prologue), public, private)

    def __dealloc__(self):
        noise_wipe(&self.state)

    def __repr__(self) -> str:
        return f"Initiator(stage={self.state.stage})"

    def write(self, payload: bytes) -> bytes | None:
        """Message 1, 48 bytes longer than `payload`; None if it was written before or the server's key is no key."""
        cdef bytearray out = bytearray(len(payload) + NOISE_OVERHEAD)
        self.status = noise_nk_write_message_1(&self.state, <const uint8_t*>payload, len(payload), <uint8_t*>out)
        return bytes(out) if self.status == 0 else None

    def read(self, message: bytes) -> bytes | None:
        """Payload of message 2; None if it is not the server's answer, which may then still come."""
        cdef bytearray out = bytearray(max(len(message), NOISE_OVERHEAD))
        self.status = noise_nk_read_message_2(&self.state, <const uint8_t*>message, len(message), <uint8_t*>out)
        return bytes(out[:len(message) - NOISE_OVERHEAD]) if self.status == 0 else None

    def split(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Key client to server, key server to client, handshake hash, root of later epochs (32 bytes each), once; else
        ValueError."""
        return _split(&self.state)

    def remembers(self, secret: bytes) -> bool:
        """True if `secret` (not empty) stands anywhere in this state's memory."""
        return secret in (<const uint8_t*>&self.state)[:sizeof(NoiseState)]


@final
cdef class Responder:
    """The server's side of Noise_NK_25519_ChaChaPoly_SHA256: read message 1, write message 2, split.

    All keys have 32 bytes, else ValueError. `status` is the result of the last step: 0 or a DropReason.
    """
    cdef NoiseState state
    cdef readonly int status

    def __cinit__(self, prologue: bytes, static_private: bytes):
        cdef uint8_t[32] public
        cdef const uint8_t* private = _key("a static private key", static_private)
        x25519_public(public, private)
        noise_nk_responder_start(&self.state, <const uint8_t*>prologue, len(prologue), private, public)

    def __dealloc__(self):
        noise_wipe(&self.state)

    def __repr__(self) -> str:
        return f"Responder(stage={self.state.stage})"

    def read(self, message: bytes) -> bytes | None:
        """Payload of message 1; None if it does not open, and the handshake is over."""
        cdef bytearray out = bytearray(max(len(message), NOISE_OVERHEAD))
        self.status = noise_nk_read_message_1(&self.state, <const uint8_t*>message, len(message), <uint8_t*>out)
        return bytes(out[:len(message) - NOISE_OVERHEAD]) if self.status == 0 else None

    def write(self, ephemeral_private: bytes, payload: bytes) -> bytes | None:
        """Message 2, 48 bytes longer than `payload`; None if message 1 was not read before."""
        cdef const uint8_t* private = _key("an ephemeral private key", ephemeral_private)
        cdef bytearray out = bytearray(len(payload) + NOISE_OVERHEAD)
        self.status = noise_nk_write_message_2(
            &self.state, private, <const uint8_t*>payload, len(payload), <uint8_t*>out)
        return bytes(out) if self.status == 0 else None

    def split(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Key client to server, key server to client, handshake hash, root of later epochs (32 bytes each), once; else
        ValueError."""
        return _split(&self.state)

    def remembers(self, secret: bytes) -> bool:
        """True if `secret` (not empty) stands anywhere in this state's memory."""
        return secret in (<const uint8_t*>&self.state)[:sizeof(NoiseState)]

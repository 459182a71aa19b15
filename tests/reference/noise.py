"""Noise_NK_25519_ChaChaPoly_SHA256 as revision 34 of the Noise specification says it, object by object (section 5)."""
import hashlib
import struct

from tests.reference import aead, keys

NAME = b"Noise_NK_25519_ChaChaPoly_SHA256"


class Refused(Exception):
    """A handshake that must not go on: wrong tag or low-order point."""


def hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Section 4.3, two outputs."""
    temporary = keys.hmac256(chaining_key, material)
    first = keys.hmac256(temporary, b"\1")
    return first, keys.hmac256(temporary, first + b"\2")


def nonce(n: int) -> bytes:
    """Section 12.3."""
    return bytes(4) + struct.pack("<Q", n)


class CipherState:
    """Section 5.1; also what Split gives for transport."""

    def __init__(self, k: bytes) -> None:
        self.k, self.n = k, 0

    def encrypt(self, ad: bytes, plaintext: bytes) -> bytes:
        sealed = aead.seal(self.k, nonce(self.n), ad, plaintext)
        self.n += 1
        return sealed

    def decrypt(self, ad: bytes, sealed: bytes) -> bytes:
        plaintext = aead.open_sealed(self.k, nonce(self.n), ad, sealed)
        if plaintext is None:
            raise Refused("tag")
        self.n += 1
        return plaintext


class SymmetricState:
    """Section 5.2."""

    def __init__(self) -> None:
        self.h = self.ck = NAME + bytes(32 - len(NAME))
        self.cipher: CipherState | None = None

    def mix_key(self, private: bytes, public: bytes) -> None:
        shared = keys.exchange(private, public)
        if shared is None:
            raise Refused("low-order point")
        self.ck, k = hkdf(self.ck, shared)
        self.cipher = CipherState(k)

    def mix_hash(self, data: bytes) -> None:
        self.h = hashlib.sha256(self.h + data).digest()

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        assert self.cipher is not None
        sealed = self.cipher.encrypt(self.h, plaintext)
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed: bytes) -> bytes:
        assert self.cipher is not None
        plaintext = self.cipher.decrypt(self.h, sealed)
        self.mix_hash(sealed)
        return plaintext

    def exporter(self) -> bytes:
        """Before or after Split: the key for what proves something of this session."""
        return keys.expand(self.ck, b"shadowland-net exporter" + self.h, 32)

    def split(self) -> tuple[bytes, bytes, bytes, bytes]:
        """k1, k2, h, and the root of later epochs: the third output of the same HKDF."""
        first, second = hkdf(self.ck, b"")
        return first, second, self.h, keys.hmac256(keys.hmac256(self.ck, b""), second + b"\3")


class Initiator(SymmetricState):
    def __init__(self, prologue: bytes, server_public: bytes, ephemeral_private: bytes) -> None:
        super().__init__()
        self.rs, self.e = server_public, ephemeral_private
        self.mix_hash(prologue)
        self.mix_hash(server_public)

    def write(self, payload: bytes) -> bytes:
        """-> e, es"""
        public = keys.public_key(self.e)
        self.mix_hash(public)
        self.mix_key(self.e, self.rs)
        return public + self.encrypt_and_hash(payload)

    def read(self, message: bytes) -> bytes:
        """<- e, ee"""
        self.mix_hash(message[:32])
        self.mix_key(self.e, message[:32])
        return self.decrypt_and_hash(message[32:])


class Responder(SymmetricState):
    def __init__(self, prologue: bytes, static_private: bytes) -> None:
        super().__init__()
        self.s = static_private
        self.re = b""
        self.mix_hash(prologue)
        self.mix_hash(keys.public_key(static_private))

    def read(self, message: bytes) -> bytes:
        """-> e, es"""
        self.re = message[:32]
        self.mix_hash(self.re)
        self.mix_key(self.s, self.re)
        return self.decrypt_and_hash(message[32:])

    def write(self, ephemeral_private: bytes, payload: bytes) -> bytes:
        """<- e, ee"""
        public = keys.public_key(ephemeral_private)
        self.mix_hash(public)
        self.mix_key(ephemeral_private, self.re)
        return public + self.encrypt_and_hash(payload)

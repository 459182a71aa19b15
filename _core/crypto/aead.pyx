"""Python door to sealing and opening, for tests and tools; the hot path cimports the kernels instead."""
from cython cimport final

CHACHA20_POLY1305 = SUITE_CHACHA20_POLY1305
AEGIS_128L = SUITE_AEGIS_128L
NAMES = {CHACHA20_POLY1305: "ChaCha20-Poly1305", AEGIS_128L: "AEGIS-128L"}
TAG_SIZES = {CHACHA20_POLY1305: 16, AEGIS_128L: 32}


def key_size(suite: int) -> int:
    """Bytes of key that `suite` (1 or 2) takes on this machine; 0 if it is unknown or not here."""
    return aead_key_size(<uint32_t>suite) if 0 <= suite <= 255 else 0


@final
cdef class Aead:
    """One key of one suite (protocol.md section 4).

    `key` has key_size(suite) bytes; another length or a suite that is not here is a ValueError.

    >>> box = Aead(bytes(32))
    >>> box.open(7, 0, b"header", box.seal(7, 0, b"header", b"text"))
    b'text'
    """
    cdef AeadKey state

    def __cinit__(self, key: bytes, suite: int = SUITE_CHACHA20_POLY1305):
        if key_size(suite) == 0:
            raise ValueError(f"suite {suite} is not available on this machine; suite {CHACHA20_POLY1305} always is")
        if len(key) != key_size(suite):                 # its bytes are a secret: only the length is named
            raise ValueError(f"a key of suite {suite} has {key_size(suite)} bytes, not {len(key)}")
        aead_key_init(&self.state, <uint32_t>suite, <const uint8_t*>key)

    def __dealloc__(self):
        aead_key_wipe(&self.state)

    def __repr__(self) -> str:
        return f"Aead(suite={self.state.suite})"

    @property
    def suite(self) -> int:
        """1 ChaCha20-Poly1305, 2 AEGIS-128L, 0 after wipe()."""
        return self.state.suite

    @property
    def tag_size(self) -> int:
        """Bytes that sealing adds."""
        return self.state.tag_size

    def seal(self, connection_id: int, sequence: int, ad: bytes, plaintext: bytes) -> bytes:
        """Ciphertext and tag; the nonce is made of `connection_id` (u32) and `sequence` (u64). Empty after wipe()."""
        cdef bytearray data = bytearray(plaintext) + bytearray(self.state.tag_size)
        cdef size_t length = aead_seal(
            &self.state, connection_id, sequence, <const uint8_t*>ad, len(ad), <uint8_t*>data, len(plaintext))
        return bytes(data[:length])

    def seal_into(self, connection_id: int, sequence: int, ad: bytes, data: bytearray, length: int) -> int:
        """Seal the first `length` bytes of `data` where they lie; returns the sealed length.

        ValueError if `data` has no room for the tag.
        """
        if not 0 <= length <= len(data) - <Py_ssize_t>self.state.tag_size:
            raise ValueError(f"{len(data)} bytes have no room for {length} and a tag of {self.state.tag_size}")
        return aead_seal(&self.state, connection_id, sequence, <const uint8_t*>ad, len(ad), <uint8_t*>data, length)

    def open(self, connection_id: int, sequence: int, ad: bytes, sealed: bytes) -> bytes | None:
        """Plaintext of ciphertext and tag, None if the tag is wrong."""
        cdef bytearray data = bytearray(sealed)
        if not aead_open(&self.state, connection_id, sequence, <const uint8_t*>ad, len(ad), <uint8_t*>data, len(data)):
            return None
        return bytes(data[:len(data) - <Py_ssize_t>self.state.tag_size])

    def open_into(self, connection_id: int, sequence: int, ad: bytes, data: bytearray) -> bool:
        """Open `data` (ciphertext and tag) where it lies. False: wrong tag, and every byte that was text is zero."""
        return bool(aead_open(
            &self.state, connection_id, sequence, <const uint8_t*>ad, len(ad), <uint8_t*>data, len(data)))

    def wipe(self) -> None:
        """Overwrite the key; from now on nothing seals or opens."""
        aead_key_wipe(&self.state)

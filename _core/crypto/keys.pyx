"""Python door to X25519, hashes and key derivation, for identity files, tests and tools."""


cdef int _is_key(str what, bytes key) except -1:
    if len(key) != KEY_SIZE:                            # its bytes may be a secret: only the length is named
        raise ValueError(f"{what} has {KEY_SIZE} bytes, not {len(key)}")
    return 0


def public_key(private: bytes) -> bytes:
    """X25519 public key (32 bytes) of a private one (any 32 bytes; RFC 7748)."""
    cdef uint8_t[KEY_SIZE] out
    _is_key("an X25519 private key", private)
    x25519_public(out, <const uint8_t*>private)
    return out[:KEY_SIZE]


def exchange(private: bytes, public: bytes) -> bytes | None:
    """X25519 shared secret (32 bytes); None if `public` is a low-order point."""
    cdef uint8_t[KEY_SIZE] out
    cdef bytes shared
    _is_key("an X25519 private key", private)
    _is_key("an X25519 public key", public)
    if x25519(out, <const uint8_t*>private, <const uint8_t*>public) != 0:
        return None
    shared = out[:KEY_SIZE]
    sodium.memzero(out, KEY_SIZE)
    return shared


def hash256(data: bytes) -> bytes:
    """SHA-256 (32 bytes)."""
    cdef uint8_t[KEY_SIZE] out
    sha256(out, <const uint8_t*>data, len(data))
    return out[:KEY_SIZE]


def hmac256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256 (32 bytes); a key of any length."""
    cdef uint8_t[KEY_SIZE] out
    hmac_sha256(out, <const uint8_t*>key, len(key), <const uint8_t*>data, len(data))
    return out[:KEY_SIZE]


def extract(salt: bytes, material: bytes) -> bytes:
    """HKDF-Extract with SHA-256 (RFC 5869 section 2.2): 32 bytes."""
    cdef uint8_t[KEY_SIZE] out
    hkdf_extract(out, <const uint8_t*>salt, len(salt), <const uint8_t*>material, len(material))
    return out[:KEY_SIZE]


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 section 2.3): `length` bytes, at most 8,160, else ValueError."""
    if not 0 <= length <= HKDF_LARGEST:
        raise ValueError(f"HKDF gives 0 to {HKDF_LARGEST} bytes, not {length}")
    _is_key("a pseudorandom key", prk)
    cdef bytearray out = bytearray(length)
    hkdf_expand(<uint8_t*>out, length, <const uint8_t*>prk, <const uint8_t*>info, len(info))
    return bytes(out)


def derive(split: bytes, suite: int, epoch: int) -> bytes:
    """Key of one direction and epoch (protocol.md section 4): 32 bytes for suite 1, 16 for suite 2.

    `split` is the 32-byte key from Noise's Split, `epoch` a u32. ValueError if this machine does not have the suite.
    """
    cdef AeadKey key
    cdef bytes out
    _is_key("a key from Noise's Split", split)
    if not 0 <= suite <= 255 or not session_key(&key, <const uint8_t*>split, <uint32_t>suite, epoch):
        raise ValueError(f"suite {suite} is not available on this machine; suite 1 always is")
    out = key.key[:aead_key_size(key.suite)]
    aead_key_wipe(&key)
    return out

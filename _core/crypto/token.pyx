"""Python door to connect tokens and Ed25519: for issuers, tools and tests; the handshake cimports the kernels."""
from libc.stdint cimport uint8_t, uint32_t

from shadowland._core.crypto.keys cimport sha256

LARGEST = TOKEN_LARGEST
SERVERS = TOKEN_SERVERS
DATA = TOKEN_DATA
LIFE_MS = TOKEN_LIFE_MS
SKEW_MS = TOKEN_SKEW_MS
ISSUERS = TOKEN_ISSUERS

cdef int _length(str what, bytes value, size_t size) except -1:
    if <size_t>len(value) != size:                      # its bytes may be a secret: only the length is named
        raise ValueError(f"{what} has {size} bytes, not {len(value)}")
    return 0


def public_key(seed: bytes) -> bytes:
    """Ed25519 public key (32 bytes) of a private one (any 32 bytes; RFC 8032 section 5.1.5)."""
    cdef uint8_t[32] public
    cdef uint8_t[64] secret
    _length("an Ed25519 private key", seed, 32)
    sodium.ed25519_keypair(public, secret, <const uint8_t*>seed)
    sodium.memzero(secret, sizeof(secret))
    return public[:32]


def key_id(public: bytes) -> bytes:
    """The 8 bytes by which a token names its issuer's public key (32 bytes)."""
    cdef uint8_t[32] digest
    _length("an Ed25519 public key", public, 32)
    sha256(digest, <const uint8_t*>public, 32)
    return digest[:8]


def sign(seed: bytes, data: bytes) -> bytes:
    """Ed25519 signature (64 bytes) of `data` under a private key of 32 bytes."""
    cdef uint8_t[32] public
    cdef uint8_t[64] secret
    cdef uint8_t[64] signature
    _length("an Ed25519 private key", seed, 32)
    sodium.ed25519_keypair(public, secret, <const uint8_t*>seed)
    sodium.ed25519_sign(signature, NULL, <const uint8_t*>data, len(data), secret)
    sodium.memzero(secret, sizeof(secret))
    return signature[:64]


def verify(public: bytes, data: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) of `data` was made with the private key of `public` (32 bytes)."""
    _length("an Ed25519 public key", public, 32)
    _length("an Ed25519 signature", signature, 64)
    return sodium.ed25519_verify(<const uint8_t*>signature, <const uint8_t*>data, len(data),
                                 <const uint8_t*>public) == 0


def read(token: bytes) -> tuple[bytes, int, int, int, tuple[bytes, ...], bytes] | None:
    """(key id, player id, issued ms, expires ms, servers' public keys, data), unverified; None if it is malformed."""
    cdef Token fields
    if not token_read(<const uint8_t*>token, <uint32_t>min(len(token), 1 << 31), &fields):
        return None
    servers = tuple((<const char*>fields.servers)[32 * i:32 * i + 32] for i in range(fields.server_count))
    return ((<const char*>fields.key_id)[:8], fields.player_id, fields.issued_ms, fields.expires_ms, servers,
            (<const char*>fields.data)[:fields.data_length])


def check(token: bytes, issuers: tuple[bytes, ...], server_key: bytes, now_ms: int, since_ms: int) -> int:
    """TokenProblem of a token for the server `server_key` (32 bytes) at `now_ms`, Unix time, if it is not spent.

    `issuers` are the public keys that the server trusts, at most ISSUERS; what was issued before `since_ms` is refused.
    """
    cdef Issuer[TOKEN_ISSUERS] trusted
    cdef Token read
    if len(issuers) > TOKEN_ISSUERS:
        raise ValueError(f"at most {TOKEN_ISSUERS} issuers are trusted, not {len(issuers)}")
    _length("a server's public key", server_key, 32)
    for i, public in enumerate(issuers):
        issuer_set(&trusted[i], public)
    return token_check(<const uint8_t*>token, <uint32_t>min(len(token), 1 << 31), trusted, <uint32_t>len(issuers),
                       <const uint8_t*>server_key, now_ms, since_ms, &read)


cdef int issuer_set(Issuer* issuer, bytes public) except -1:
    """Fill `issuer` from a public key; ValueError if it has not 32 bytes."""
    cdef uint8_t[32] digest
    _length("an Ed25519 public key", public, 32)
    memcpy(issuer.public, <const uint8_t*>public, 32)
    sha256(digest, <const uint8_t*>public, 32)
    memcpy(issuer.key_id, digest, 8)
    return 0

"""X25519, SHA-256, HMAC-SHA256, HKDF-SHA256, and the keys of a session.

Owner    The caller, of every buffer.
Limit    hkdf_expand gives at most HKDF_LARGEST bytes; nothing here allocates.
Threads  Any.

Sources: RFC 7748 (X25519), RFC 2104 (HMAC), RFC 5869 (HKDF), protocol.md section 4 (session keys). Intermediate secrets
on the stack are wiped before each return.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.status cimport DROP_LOW_ORDER_POINT
from shadowland._core.crypto.aead cimport AeadKey, aead_key_init, aead_key_size, aead_key_wipe
from shadowland._core.crypto.sodium cimport HMAC_STATE_WORDS, SHA256_STATE_WORDS, sodium

cdef enum:
    KEY_SIZE = 32                   # of X25519 keys, of hashes, of every secret here
    HKDF_LARGEST = 255 * 32         # RFC 5869 section 2.3
    SESSION_LABEL_SIZE = 18

cdef struct Sha256:                 # u64, as libsodium wants its states aligned
    uint64_t words[SHA256_STATE_WORDS]

cdef struct Hmac:
    uint64_t words[HMAC_STATE_WORDS]

cdef inline void x25519_public(uint8_t* public, const uint8_t* private) noexcept nogil:
    """Public key of a private one, 32 bytes each. Any 32 bytes are a private key: RFC 7748 section 5 clamps them."""
    sodium.scalarmult_base(public, private)

cdef inline int x25519(uint8_t* shared, const uint8_t* private, const uint8_t* public) noexcept nogil:
    """Diffie-Hellman. 0, or DROP_LOW_ORDER_POINT: the result would be all zeros, whatever the private key is."""
    if sodium.scalarmult(shared, private, public) != 0:
        sodium.memzero(shared, KEY_SIZE)
        return DROP_LOW_ORDER_POINT
    return 0

cdef inline void sha256(uint8_t* out, const uint8_t* data, size_t length) noexcept nogil:
    """SHA-256 of `data`, 32 bytes."""
    cdef Sha256 state
    sodium.sha256_init(&state)
    sodium.sha256_update(&state, data, length)
    sodium.sha256_final(&state, out)

cdef inline void sha256_two(
    uint8_t* out, const uint8_t* first, size_t first_length, const uint8_t* second, size_t second_length,
) noexcept nogil:
    """SHA-256 of two pieces in a row. `out` may be one of them."""
    cdef Sha256 state
    sodium.sha256_init(&state)
    sodium.sha256_update(&state, first, first_length)
    sodium.sha256_update(&state, second, second_length)
    sodium.sha256_final(&state, out)

cdef inline void hmac_sha256(
    uint8_t* out, const uint8_t* key, size_t key_length, const uint8_t* data, size_t length,
) noexcept nogil:
    """HMAC-SHA256, 32 bytes. `out` may be `key` or `data`."""
    cdef Hmac state
    sodium.hmac_init(&state, key, key_length)
    sodium.hmac_update(&state, data, length)
    sodium.hmac_final(&state, out)
    sodium.memzero(&state, sizeof(Hmac))

cdef inline void hkdf_extract(
    uint8_t* prk, const uint8_t* salt, size_t salt_length, const uint8_t* material, size_t length,
) noexcept nogil:
    """RFC 5869 section 2.2: 32 bytes of pseudorandom key. No salt: salt_length 0."""
    hmac_sha256(prk, salt, salt_length, material, length)

cdef inline bint hkdf_expand(
    uint8_t* out, size_t length, const uint8_t* prk, const uint8_t* info, size_t info_length,
) noexcept nogil:
    """RFC 5869 section 2.3 with a 32-byte `prk`. False, and nothing written, if `length` exceeds HKDF_LARGEST."""
    cdef Hmac state
    cdef uint8_t[KEY_SIZE] block
    cdef uint8_t counter = 0
    cdef size_t at = 0, part
    if length > HKDF_LARGEST:
        return False
    while at < length:
        counter += 1
        sodium.hmac_init(&state, prk, KEY_SIZE)
        if counter > 1:
            sodium.hmac_update(&state, block, KEY_SIZE)
        sodium.hmac_update(&state, info, info_length)
        sodium.hmac_update(&state, &counter, 1)
        sodium.hmac_final(&state, block)
        part = length - at if length - at < KEY_SIZE else KEY_SIZE
        memcpy(out + at, block, part)
        at += part
    sodium.memzero(block, sizeof(block))
    sodium.memzero(&state, sizeof(Hmac))
    return True

cdef inline bint session_key(AeadKey* key, const uint8_t* split, uint32_t suite, uint32_t epoch) noexcept nogil:
    """The key of one direction and epoch: HKDF-Expand(split, "shadowland-net key" || suite u8 || epoch u32).

    `split` is the 32-byte key that Noise's Split gave for that direction; the caller wipes it when no epoch will be
    derived from it any more. False, and a key that does nothing, if this machine does not have the suite.
    """
    cdef uint8_t[SESSION_LABEL_SIZE + 5] info
    cdef uint8_t[KEY_SIZE] material
    cdef uint32_t size = aead_key_size(suite)
    cdef bint known
    if size == 0:
        aead_key_wipe(key)
        return False
    memcpy(info, <const char*>b"shadowland-net key", SESSION_LABEL_SIZE)
    info[SESSION_LABEL_SIZE] = <uint8_t>suite
    memcpy(info + SESSION_LABEL_SIZE + 1, &epoch, 4)
    hkdf_expand(material, size, split, info, sizeof(info))
    known = aead_key_init(key, suite, material)
    sodium.memzero(material, sizeof(material))
    return known

"""Sealing and opening of packets in place: ChaCha20-Poly1305 (RFC 8439) and AEGIS-128L (draft-irtf-cfrg-aegis-aead).

Owner    The caller: of the AeadKey (in the connection's state) and of the buffer that is sealed or opened.
Limit    The buffer has room for the tag; lengths are the caller's, nothing here allocates or copies the packet.
Threads  Any; an AeadKey is only read.

    before  [ ad: 14 header bytes ][ plaintext, length bytes ][ room for the tag ]
    after   [ ad, unchanged       ][ ciphertext              ][ tag 16 or 32     ]       protocol.md section 4

    nonce   [ connection id u32 | sequence u64 ]             12 bytes, ChaCha20-Poly1305
            [ connection id u32 | sequence u64 | zeros 4 ]   16 bytes, AEGIS-128L

A sequence is sealed once under one key: the caller takes the number and seals in one step. Sealing the same number
twice would give away the exclusive or of both texts and let an attacker forge.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from shadowland._core.crypto.sodium cimport sodium

cdef enum:
    SUITE_NONE = 0                  # an AeadKey of zeros: seals and opens nothing
    SUITE_CHACHA20_POLY1305 = 1
    SUITE_AEGIS_128L = 2
    OFFER_CHACHA20_POLY1305 = 1     # bits of CONNECT's `suites`
    OFFER_AEGIS_128L = 2
    AEAD_TAG_LARGEST = 32
    AEAD_KEY_LARGEST = 32

cdef struct AeadKey:
    uint8_t key[AEAD_KEY_LARGEST]   # AEGIS-128L uses the first 16
    uint32_t suite
    uint32_t tag_size

cdef inline uint32_t aead_key_size(uint32_t suite) noexcept nogil:
    """Bytes of key material that `suite` takes; 0 if this machine does not have the suite."""
    if suite == SUITE_CHACHA20_POLY1305:
        return 32
    # Without AES instructions AEGIS is slower than ChaCha20 by far, and nobody may be made to use it.
    if suite == SUITE_AEGIS_128L and sodium.has_aes:
        return 16
    return 0

cdef inline uint8_t suites_offered(bint aegis) noexcept nogil:
    """What this machine may offer: ChaCha20-Poly1305 always, AEGIS-128L if it is wanted and there are instructions."""
    return OFFER_CHACHA20_POLY1305 | (OFFER_AEGIS_128L if aegis and sodium.has_aes else 0)

cdef inline uint8_t suite_chosen(uint8_t ours, uint8_t theirs) noexcept nogil:
    """The better of the suites that both sides offer."""
    return SUITE_AEGIS_128L if ours & theirs & OFFER_AEGIS_128L else SUITE_CHACHA20_POLY1305

cdef inline void aead_key_wipe(AeadKey* key) noexcept nogil:
    """Overwrite the key; afterwards it seals and opens nothing."""
    sodium.memzero(key, sizeof(AeadKey))

cdef inline bint aead_key_init(AeadKey* key, uint32_t suite, const uint8_t* material) noexcept nogil:
    """Take aead_key_size(suite) bytes of `material`. False, and a key that does nothing, if the suite is not here."""
    cdef uint32_t size = aead_key_size(suite)
    aead_key_wipe(key)
    if size == 0:
        return False
    memcpy(key.key, material, size)
    key.suite = suite
    key.tag_size = 16 if suite == SUITE_CHACHA20_POLY1305 else 32
    return True

cdef inline void aead_nonce(uint8_t* nonce, uint32_t connection_id, uint64_t sequence) noexcept nogil:
    """Write the 16 bytes of a nonce; ChaCha20-Poly1305 reads the first 12."""
    # Plain copies: the project builds on little-endian machines only (setup.py refuses others).
    memcpy(nonce, &connection_id, 4)
    memcpy(nonce + 4, &sequence, 8)
    memset(nonce + 12, 0, 4)

cdef inline size_t aead_seal(
    const AeadKey* key, uint32_t connection_id, uint64_t sequence,
    const uint8_t* ad, size_t ad_length, uint8_t* data, size_t length,
) noexcept nogil:
    """Seal `data` where it lies and put the tag behind it; returns the sealed length (0: the key is not set).

    `ad` is authenticated and not changed: it must be final before the call. Room: length + key.tag_size.
    """
    cdef uint8_t[16] nonce
    aead_nonce(nonce, connection_id, sequence)
    if key.suite == SUITE_CHACHA20_POLY1305:
        sodium.chacha_seal(data, NULL, data, length, ad, ad_length, NULL, nonce, key.key)
    elif key.suite == SUITE_AEGIS_128L:
        sodium.aegis_seal(data, NULL, data, length, ad, ad_length, NULL, nonce, key.key)
    else:
        return 0                    # never plaintext: what has no length is not sent
    return length + key.tag_size

cdef inline bint aead_open(
    const AeadKey* key, uint32_t connection_id, uint64_t sequence,
    const uint8_t* ad, size_t ad_length, uint8_t* data, size_t length,
) noexcept nogil:
    """Verify and open `data`, `length` bytes with the tag, where it lies. True: the first length - tag_size bytes are
    the plaintext. False: the tag is wrong, `data` is zeroed, and nothing of it may be used or tried again."""
    cdef uint8_t[16] nonce
    aead_nonce(nonce, connection_id, sequence)
    # libsodium itself refuses what is shorter than a tag.
    if key.suite == SUITE_CHACHA20_POLY1305:
        return sodium.chacha_open(data, NULL, NULL, data, length, ad, ad_length, nonce, key.key) == 0
    if key.suite == SUITE_AEGIS_128L:
        return sodium.aegis_open(data, NULL, NULL, data, length, ad, ad_length, nonce, key.key) == 0
    return False

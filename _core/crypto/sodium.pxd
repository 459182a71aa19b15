"""libsodium as C function pointers, callable without the GIL.

Owner    This room owns the one table `sodium`; it is filled at import and never changes afterwards.
Limit    Nothing here allocates after import.
Threads  Any: the table is read-only, the functions are reentrant.

PyNaCl ships libsodium inside its extension module, so no library has to be installed or linked. Its cffi face leaves
out what is needed most (HMAC-SHA256, the ChaCha20 stream), so every address comes from dlsym on that same file: one
mechanism, and a call lands in libsodium itself and not in a wrapper of cffi. The import fails with one sentence when
a function is missing or gives a wrong answer.
"""
from libc.stdint cimport uint8_t

cdef enum:
    SHA256_STATE_SIZE = 104         # compared with libsodium's own *_statebytes() at import
    SHA256_STATE_WORDS = 13         # in u64: Cython writes array sizes to C as they stand, so none is computed
    HMAC_STATE_SIZE = 208
    HMAC_STATE_WORDS = 26

ctypedef int (*seal_function)(
    uint8_t* sealed, unsigned long long* sealed_length, const uint8_t* plaintext, unsigned long long length,
    const uint8_t* ad, unsigned long long ad_length, const uint8_t* secret_nonce, const uint8_t* nonce,
    const uint8_t* key) noexcept nogil
ctypedef int (*open_function)(
    uint8_t* plaintext, unsigned long long* length, uint8_t* secret_nonce, const uint8_t* sealed,
    unsigned long long sealed_length, const uint8_t* ad, unsigned long long ad_length, const uint8_t* nonce,
    const uint8_t* key) noexcept nogil

cdef struct Sodium:
    seal_function chacha_seal                               # crypto_aead_chacha20poly1305_ietf_encrypt
    open_function chacha_open
    seal_function aegis_seal                                # crypto_aead_aegis128l_encrypt; NULL before 1.0.19
    open_function aegis_open
    int (*keystream)(uint8_t* out, unsigned long long length, const uint8_t* nonce, const uint8_t* key) noexcept nogil
    int (*scalarmult)(uint8_t* out, const uint8_t* scalar, const uint8_t* point) noexcept nogil
    int (*scalarmult_base)(uint8_t* out, const uint8_t* scalar) noexcept nogil
    int (*sha256_init)(void* state) noexcept nogil
    int (*sha256_update)(void* state, const uint8_t* data, unsigned long long length) noexcept nogil
    int (*sha256_final)(void* state, uint8_t* out) noexcept nogil
    int (*hmac_init)(void* state, const uint8_t* key, size_t key_length) noexcept nogil
    int (*hmac_update)(void* state, const uint8_t* data, unsigned long long length) noexcept nogil
    int (*hmac_final)(void* state, uint8_t* out) noexcept nogil
    int (*ed25519_keypair)(uint8_t* public, uint8_t* secret, const uint8_t* seed) noexcept nogil      # secret: 64 bytes
    int (*ed25519_sign)(uint8_t* signature, unsigned long long* length, const uint8_t* data,
                        unsigned long long data_length, const uint8_t* secret) noexcept nogil
    int (*ed25519_verify)(const uint8_t* signature, const uint8_t* data, unsigned long long length,
                          const uint8_t* public) noexcept nogil
    int (*shorthash)(uint8_t* out, const uint8_t* data, unsigned long long length,
                     const uint8_t* key) noexcept nogil     # SipHash-2-4: 8 bytes, key of 16
    void (*memzero)(void* data, size_t length) noexcept nogil      # not optimised away, unlike memset
    int (*memcmp)(const void* one, const void* other, size_t length) noexcept nogil    # constant time; 0 if equal
    int has_aes                                             # 1 if this CPU runs AEGIS-128L with AES instructions

cdef Sodium sodium

"""Noise_NK_25519_ChaChaPoly_SHA256 (noiseprotocol.org, revision 34): the client knows the server's static key.

Owner    A NoiseState lives inside a handshake attempt (client) or on the stack of the inbound call (server).
Limit    Two messages of NOISE_OVERHEAD bytes and a payload each; nothing here allocates.
Threads  One at a time per state.

    <- s                       the server's static public key, pinned by the client
    -> e, es     message 1     [ e 32 | sealed payload | tag 16 ]
    <- e, ee     message 2     [ e 32 | sealed payload | tag 16 ]
    split        k1 client -> server, k2 server -> client, handshake hash h, root of later epochs (crypto/chain)

In NK every message key comes from a fresh MixKey and seals one text, so Noise's nonce is always 0. For the same reason
an ephemeral key serves one message 1 and no second one: the prologue does not enter the key, so with another cookie
(another prologue) under the same ephemeral one Poly1305 key would authenticate two texts.

Functions return 0 or a DROP_ reason: HANDSHAKE_FAILED (the tag is wrong), LOW_ORDER_POINT, TRUNCATED, UNEXPECTED (the
caller's order is wrong). A state that failed is wiped, except by noise_nk_read_message_2: anybody can send the client
a forged answer, so a failure there changes nothing and the right answer may still come.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

from shadowland._core.base.status cimport DROP_HANDSHAKE_FAILED, DROP_TRUNCATED, DROP_UNEXPECTED
from shadowland._core.crypto.keys cimport hkdf_expand, hmac_sha256, sha256_two, x25519, x25519_public
from shadowland._core.crypto.sodium cimport sodium

cdef enum:
    NOISE_OVERHEAD = 48             # of either message beyond its payload: ephemeral key and tag

cdef enum NoiseStage:               # what comes next; a wiped state allows nothing
    NOISE_DEAD = 0
    NOISE_WRITE_1 = 1               # client
    NOISE_READ_2 = 2                # client
    NOISE_READ_1 = 3                # server
    NOISE_WRITE_2 = 4               # server
    NOISE_SPLIT = 5

cdef struct NoiseState:
    uint8_t hash[32]                # h: everything both sides have seen
    uint8_t chain[32]               # ck
    uint8_t key[32]                 # k of the next sealed payload
    uint8_t private[32]             # client: own ephemeral; server: static, until message 1 is read
    uint8_t remote[32]              # client: the server's static; server: the client's ephemeral
    uint8_t public[32]              # client: own ephemeral
    uint32_t stage

cdef inline void noise_wipe(NoiseState* state) noexcept nogil:
    """Forget every key; the state allows nothing more."""
    sodium.memzero(state, sizeof(NoiseState))

cdef inline void noise_mix_hash(NoiseState* state, const uint8_t* data, size_t length) noexcept nogil:
    sha256_two(state.hash, state.hash, 32, data, length)

cdef inline void noise_hkdf(
    const uint8_t* chain, const uint8_t* material, size_t length, uint8_t* first, uint8_t* second, uint8_t* third,
) noexcept nogil:
    """Noise's HKDF with two outputs or, unless `third` is NULL, three (revision 34, section 4.3). `first` may be
    `chain`."""
    cdef uint8_t[32] temporary
    cdef uint8_t[33] block
    cdef uint8_t one = 1
    hmac_sha256(temporary, chain, 32, material, length)
    hmac_sha256(first, temporary, 32, &one, 1)
    memcpy(block, first, 32)
    block[32] = 2
    hmac_sha256(second, temporary, 32, block, 33)
    if third != NULL:
        memcpy(block, second, 32)
        block[32] = 3
        hmac_sha256(third, temporary, 32, block, 33)
    sodium.memzero(temporary, sizeof(temporary))
    sodium.memzero(block, sizeof(block))

cdef inline int noise_mix_dh(NoiseState* state, const uint8_t* private, const uint8_t* public) noexcept nogil:
    """MixKey(DH(private, public)); a low-order point is refused."""
    cdef uint8_t[32] shared
    cdef int status = x25519(shared, private, public)
    if status == 0:
        noise_hkdf(state.chain, shared, 32, state.chain, state.key, NULL)
    sodium.memzero(shared, sizeof(shared))
    return status

cdef inline void noise_seal(NoiseState* state, const uint8_t* payload, size_t length, uint8_t* out) noexcept nogil:
    """EncryptAndHash: `length` bytes and the tag to `out`."""
    cdef uint8_t[12] nonce
    memset(nonce, 0, sizeof(nonce))
    sodium.chacha_seal(out, NULL, payload, length, state.hash, 32, NULL, nonce, state.key)
    noise_mix_hash(state, out, length + 16)

cdef inline int noise_open(NoiseState* state, const uint8_t* sealed, size_t length, uint8_t* payload) noexcept nogil:
    """DecryptAndHash of `length` bytes with the tag."""
    cdef uint8_t[12] nonce
    cdef uint8_t[32] before
    memset(nonce, 0, sizeof(nonce))
    # The hash takes in the sealed bytes first, as `payload` may be the place where they lie.
    memcpy(before, state.hash, 32)
    noise_mix_hash(state, sealed, length)
    if sodium.chacha_open(payload, NULL, NULL, sealed, length, before, 32, nonce, state.key) != 0:
        return DROP_HANDSHAKE_FAILED
    return 0

cdef inline void noise_start(
    NoiseState* state, const uint8_t* prologue, size_t prologue_length, const uint8_t* server_public,
) noexcept nogil:
    # The name is 32 bytes long, so by section 5.2 it is h itself, without hashing.
    memset(state, 0, sizeof(NoiseState))
    memcpy(state.hash, <const char*>b"Noise_NK_25519_ChaChaPoly_SHA256", 32)
    memcpy(state.chain, state.hash, 32)
    noise_mix_hash(state, prologue, prologue_length)
    noise_mix_hash(state, server_public, 32)

cdef inline void noise_nk_initiator_start(
    NoiseState* state, const uint8_t* prologue, size_t prologue_length, const uint8_t* server_public,
    const uint8_t* ephemeral_private,
) noexcept nogil:
    """Client: begin with the pinned static key of the server and 32 fresh random bytes as ephemeral private key."""
    noise_start(state, prologue, prologue_length, server_public)
    memcpy(state.remote, server_public, 32)
    memcpy(state.private, ephemeral_private, 32)
    x25519_public(state.public, ephemeral_private)
    state.stage = NOISE_WRITE_1

cdef inline void noise_nk_responder_start(
    NoiseState* state, const uint8_t* prologue, size_t prologue_length, const uint8_t* static_private,
    const uint8_t* static_public,
) noexcept nogil:
    """Server: begin with its own static key pair; the public half is given, as it is at hand and costs a base point
    multiplication to compute."""
    noise_start(state, prologue, prologue_length, static_public)
    memcpy(state.private, static_private, 32)
    state.stage = NOISE_READ_1

cdef inline int noise_nk_write_message_1(
    NoiseState* state, const uint8_t* payload, size_t length, uint8_t* out,
) noexcept nogil:
    """Client: write length + NOISE_OVERHEAD bytes to `out`. The payload may lie at out + 32 already."""
    cdef int status
    if state.stage != NOISE_WRITE_1:
        return DROP_UNEXPECTED
    noise_mix_hash(state, state.public, 32)
    status = noise_mix_dh(state, state.private, state.remote)
    if status != 0:
        noise_wipe(state)
        return status
    memcpy(out, state.public, 32)
    noise_seal(state, payload, length, out + 32)
    state.stage = NOISE_READ_2
    return 0

cdef inline int noise_nk_read_message_1(
    NoiseState* state, const uint8_t* message, size_t length, uint8_t* payload,
) noexcept nogil:
    """Server: open length - NOISE_OVERHEAD bytes to `payload`, which may be message + 32. Forgets the static key."""
    cdef int status
    if state.stage != NOISE_READ_1:
        return DROP_UNEXPECTED
    status = DROP_TRUNCATED
    if length >= NOISE_OVERHEAD:
        memcpy(state.remote, message, 32)
        noise_mix_hash(state, state.remote, 32)
        status = noise_mix_dh(state, state.private, state.remote)
        if status == 0:
            status = noise_open(state, message + 32, length - 32, payload)
    if status != 0:
        noise_wipe(state)
        return status
    sodium.memzero(state.private, 32)
    state.stage = NOISE_WRITE_2
    return 0

cdef inline int noise_nk_write_message_2(
    NoiseState* state, const uint8_t* ephemeral_private, const uint8_t* payload, size_t length, uint8_t* out,
) noexcept nogil:
    """Server: write length + NOISE_OVERHEAD bytes to `out` with a fresh ephemeral private key, which the caller wipes.

    The payload may lie at out + 32 already.
    """
    cdef int status
    if state.stage != NOISE_WRITE_2:
        return DROP_UNEXPECTED
    x25519_public(out, ephemeral_private)
    noise_mix_hash(state, out, 32)
    status = noise_mix_dh(state, ephemeral_private, state.remote)
    if status != 0:
        noise_wipe(state)
        return status
    noise_seal(state, payload, length, out + 32)
    state.stage = NOISE_SPLIT
    return 0

cdef inline int noise_nk_read_message_2(
    NoiseState* state, const uint8_t* message, size_t length, uint8_t* payload,
) noexcept nogil:
    """Client: open length - NOISE_OVERHEAD bytes to `payload`, which may be message + 32.

    On failure the state is as before, so that a forged answer does not spoil the true one.
    """
    cdef NoiseState after
    cdef int status
    if state.stage != NOISE_READ_2:
        return DROP_UNEXPECTED
    if length < NOISE_OVERHEAD:
        return DROP_TRUNCATED
    memcpy(&after, state, sizeof(NoiseState))
    noise_mix_hash(&after, message, 32)
    status = noise_mix_dh(&after, after.private, message)
    if status == 0:
        status = noise_open(&after, message + 32, length - 32, payload)
    if status == 0:
        sodium.memzero(after.private, 32)
        after.stage = NOISE_SPLIT
        memcpy(state, &after, sizeof(NoiseState))
    noise_wipe(&after)
    return status

cdef inline void noise_exporter(const NoiseState* state, uint8_t* out) noexcept nogil:
    """Either side, before Split: 32 bytes that only the two know and that stand for this session alone (protocol.md
    2.1). HKDF-Expand(ck, "shadowland-net exporter" || h): other input than any that Noise gives ck as key."""
    cdef uint8_t[23 + 32] info
    memcpy(info, <const char*>b"shadowland-net exporter", 23)
    memcpy(info + 23, state.hash, 32)
    hkdf_expand(out, 32, state.chain, info, sizeof(info))

cdef inline int noise_nk_split(
    NoiseState* state, uint8_t* client_to_server, uint8_t* server_to_client, uint8_t* handshake_hash, uint8_t* root,
) noexcept nogil:
    """Either side: 32 bytes each of k1, k2, h and the root of later epochs; the state is wiped.

    The root is the third output of the HKDF whose first two are k1 and k2: what Split would give if it gave three.
    """
    if state.stage != NOISE_SPLIT:
        return DROP_UNEXPECTED
    noise_hkdf(state.chain, NULL, 0, client_to_server, server_to_client, root)
    memcpy(handshake_hash, state.hash, 32)
    noise_wipe(state)
    return 0

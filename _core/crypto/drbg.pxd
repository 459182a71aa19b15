"""Random bytes from a seed: ChaCha20 with fast key erasure.

Source   D. J. Bernstein, "Fast-key-erasure random-number generators", 2017.

Owner    A Drbg lives inside the endpoint's state.
Limit    None: about 2**64 refills; nothing here allocates or asks the operating system.
Threads  One at a time.

The endpoint never asks the operating system, so that a run in virtual time is the same every time: the caller gives
32 bytes of seed, from os.urandom for a real server. Every refill replaces the key, and every byte is erased as it is
handed out: whoever reads the memory later learns nothing of what was given before.

    block   [ next key 32 | 480 bytes to give, zero once given ]
                                      ^ used
A copy of a Drbg repeats it: do not copy one, and seed anew after fork().
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from shadowland._core.crypto.sodium cimport sodium

cdef enum:
    DRBG_SEED_SIZE = 32
    DRBG_BLOCK_SIZE = 512           # as much as libsodium's widest arm makes at once

cdef struct Drbg:
    uint8_t block[DRBG_BLOCK_SIZE]
    uint32_t used                   # bytes of the block that are gone, the key's included

cdef inline void drbg_init(Drbg* state, const uint8_t* seed) noexcept nogil:
    """Start from 32 bytes of `seed`; the caller wipes its own copy."""
    memset(state, 0, sizeof(Drbg))
    memcpy(state.block, seed, DRBG_SEED_SIZE)
    state.used = DRBG_BLOCK_SIZE

cdef inline void drbg_fill(Drbg* state, uint8_t* out, size_t length) noexcept nogil:
    """Write `length` random bytes."""
    cdef uint8_t[DRBG_SEED_SIZE] key
    cdef uint8_t[12] nonce
    cdef size_t part
    while length > 0:
        if state.used == DRBG_BLOCK_SIZE:
            memset(nonce, 0, sizeof(nonce))         # each key makes one block only, so its nonce may stay 0
            memcpy(key, state.block, DRBG_SEED_SIZE)
            sodium.keystream(state.block, DRBG_BLOCK_SIZE, nonce, key)
            sodium.memzero(key, sizeof(key))
            state.used = DRBG_SEED_SIZE
        part = DRBG_BLOCK_SIZE - state.used
        if part > length:
            part = length
        memcpy(out, state.block + state.used, part)
        sodium.memzero(state.block + state.used, part)
        state.used += <uint32_t>part
        out += part
        length -= part

cdef inline uint64_t drbg_u64(Drbg* state) noexcept nogil:
    """A random number, 0 to 2**64 - 1."""
    cdef uint64_t value
    drbg_fill(state, <uint8_t*>&value, 8)
    return value

cdef inline uint32_t drbg_u32(Drbg* state) noexcept nogil:
    """A random number, 0 to 2**32 - 1."""
    cdef uint32_t value
    drbg_fill(state, <uint8_t*>&value, 4)
    return value

cdef inline void drbg_wipe(Drbg* state) noexcept nogil:
    """Forget everything; what follows would be the stream of a seed of zeros, so do not use it again."""
    sodium.memzero(state, sizeof(Drbg))
    state.used = DRBG_BLOCK_SIZE

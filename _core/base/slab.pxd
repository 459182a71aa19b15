"""Slab of fixed blocks: the memory of everything that waits (reliable units on both sides, fragments).

Owner    One Slab belongs to one endpoint; a chain belongs to whoever holds its first index.
Limit    `capacity` blocks, fixed at start; an empty slab is an ordinary answer (SLAB_NONE).
Threads  One at a time.

A message lies in a chain of blocks. Indices take the place of pointers, so that a chain is four bytes wherever it is
kept.

    chain ──▶ [256 bytes] ─next▶ [256 bytes] ─next▶ [rest] ─▶ SLAB_NONE
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

cdef enum:
    SLAB_BLOCK = 256
    SLAB_NONE = 0xFFFFFFFF

cdef struct Slab:
    uint8_t* data
    uint32_t* next
    uint32_t capacity
    uint32_t used
    uint32_t free_head

cdef inline bint slab_init(Slab* slab, uint32_t capacity) noexcept nogil:
    """Allocate; False when memory is short."""
    cdef uint32_t i
    memset(slab, 0, sizeof(Slab))
    slab.data = <uint8_t*>malloc(<size_t>capacity * SLAB_BLOCK)
    slab.next = <uint32_t*>calloc(capacity, sizeof(uint32_t))
    if slab.data == NULL or slab.next == NULL:
        slab_free(slab)
        return False
    slab.capacity = capacity
    for i in range(capacity):
        slab.next[i] = i + 1 if i + 1 < capacity else <uint32_t>SLAB_NONE
    slab.free_head = 0 if capacity > 0 else <uint32_t>SLAB_NONE
    return True

cdef inline void slab_free(Slab* slab) noexcept nogil:
    free(slab.data)
    free(slab.next)
    slab.data = NULL
    slab.next = NULL

cdef inline uint32_t slab_blocks(uint32_t length) noexcept nogil:
    """How many blocks `length` bytes take; an empty message takes one, so that every chain has an index."""
    return 1 if length == 0 else (length + SLAB_BLOCK - 1) // SLAB_BLOCK

cdef inline uint32_t slab_store(Slab* slab, const uint8_t* data, uint32_t length) noexcept nogil:
    """Copy `length` bytes into a new chain; SLAB_NONE when not enough blocks are left, and then nothing is taken."""
    cdef uint32_t blocks = slab_blocks(length)
    cdef uint32_t head, block, part, done = 0, i
    if slab.capacity - slab.used < blocks:
        return <uint32_t>SLAB_NONE
    head = slab.free_head
    block = head
    for i in range(blocks):
        part = length - done
        if part > SLAB_BLOCK:
            part = SLAB_BLOCK
        memcpy(slab.data + <size_t>block * SLAB_BLOCK, data + done, part)
        done += part
        if i + 1 < blocks:
            block = slab.next[block]
    slab.free_head = slab.next[block]
    slab.next[block] = <uint32_t>SLAB_NONE
    slab.used += blocks
    return head

cdef inline void slab_load(const Slab* slab, uint32_t chain, uint8_t* out, uint32_t length) noexcept nogil:
    """Copy the first `length` bytes of a chain to `out`."""
    cdef uint32_t part, done = 0
    while done < length and chain != <uint32_t>SLAB_NONE:
        part = length - done
        if part > SLAB_BLOCK:
            part = SLAB_BLOCK
        memcpy(out + done, slab.data + <size_t>chain * SLAB_BLOCK, part)
        done += part
        chain = slab.next[chain]

cdef inline void slab_release(Slab* slab, uint32_t chain) noexcept nogil:
    """Give a chain back."""
    cdef uint32_t last = chain, blocks = 1
    if chain == <uint32_t>SLAB_NONE:
        return
    while True:
        slab_poison(slab, last)
        if slab.next[last] == <uint32_t>SLAB_NONE:
            break
        last = slab.next[last]
        blocks += 1
    slab.next[last] = slab.free_head
    slab.free_head = chain
    slab.used -= blocks

cdef extern from *:
    """
    #ifdef SHADOWLAND_DEBUG
    #define SLAB_POISON 1
    #else
    #define SLAB_POISON 0
    #endif
    """
    enum: SLAB_POISON

cdef inline void slab_poison(Slab* slab, uint32_t block) noexcept nogil:
    # A debug build makes use after release visible instead of plausible.
    if SLAB_POISON:
        memset(slab.data + <size_t>block * SLAB_BLOCK, 0xDD, SLAB_BLOCK)

"""Slab of fixed blocks: the memory of everything that waits (reliable messages on both sides, fragments).

Owner    One Slab belongs to one endpoint; a chain belongs to whoever holds its first index.
Limit    `capacity` blocks, fixed at start; an empty slab is an ordinary answer (SLAB_NONE). Who claims before taking
         is never told so: of the blocks, `shared` are for whoever comes, the others are reserves.
Threads  One at a time.

A message lies in a chain of blocks. Indices take the place of pointers, so that a chain is four bytes wherever it is
kept.

    chain ──▶ [256 bytes] ─next▶ [256 bytes] ─next▶ [rest] ─▶ SLAB_NONE

A claim says how many blocks its holder may take: up to its reserve at any time, beyond it as long as the shared ones
last. So holders that take all they can get leave every other one its reserve.
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
    uint32_t shared             # blocks that are nobody's reserve
    uint32_t shared_claimed

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
    slab.shared = capacity
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

cdef inline uint32_t slab_beyond(uint32_t held, uint32_t reserve) noexcept nogil:
    return held - reserve if held > reserve else 0

cdef inline bint slab_claim(Slab* slab, uint32_t* held, uint32_t reserve, uint32_t blocks) noexcept nogil:
    """Let a holder of `held` blocks take `blocks` more; False when they are neither in its reserve nor shared."""
    cdef uint32_t more = slab_beyond(held[0] + blocks, reserve) - slab_beyond(held[0], reserve)
    if more > slab.shared - slab.shared_claimed:
        return False
    slab.shared_claimed += more
    held[0] += blocks
    return True

cdef inline void slab_disclaim(Slab* slab, uint32_t* held, uint32_t reserve, uint32_t blocks) noexcept nogil:
    """Take a claim back."""
    slab.shared_claimed -= slab_beyond(held[0], reserve) - slab_beyond(held[0] - blocks, reserve)
    held[0] -= blocks

cdef inline uint32_t slab_take(Slab* slab, uint32_t blocks) noexcept nogil:
    """A chain of `blocks` (at least 1) blocks of any content; SLAB_NONE when not as many are left."""
    cdef uint32_t head = slab.free_head, last = head, _i
    if slab.capacity - slab.used < blocks:
        return <uint32_t>SLAB_NONE
    for _i in range(blocks - 1):
        last = slab.next[last]
    slab.free_head = slab.next[last]
    slab.next[last] = <uint32_t>SLAB_NONE
    slab.used += blocks
    return head

cdef inline uint8_t* slab_at(const Slab* slab, uint32_t block) noexcept nogil:
    """First byte of a block."""
    return slab.data + <size_t>block * SLAB_BLOCK

cdef inline uint32_t slab_put(Slab* slab, uint32_t block, uint32_t offset, const uint8_t* data,
                              uint32_t length) noexcept nogil:
    """Write `length` bytes from byte `offset` (at most SLAB_BLOCK) of a block on, along its chain; returns the block
    that the last byte went to."""
    cdef uint32_t part, done = 0
    while done < length:
        if offset == SLAB_BLOCK:
            block = slab.next[block]
            offset = 0
        part = length - done
        if part > SLAB_BLOCK - offset:
            part = SLAB_BLOCK - offset
        memcpy(slab_at(slab, block) + offset, data + done, part)
        done += part
        offset += part
    return block

cdef inline void slab_get(const Slab* slab, uint32_t block, uint32_t offset, uint8_t* out,
                          uint32_t length) noexcept nogil:
    """Read `length` bytes from byte `offset` (at most SLAB_BLOCK) of a block on, along its chain."""
    cdef uint32_t part, done = 0
    while done < length:
        if offset == SLAB_BLOCK:
            block = slab.next[block]
            offset = 0
        part = length - done
        if part > SLAB_BLOCK - offset:
            part = SLAB_BLOCK - offset
        memcpy(out + done, slab_at(slab, block) + offset, part)
        done += part
        offset += part

cdef inline uint32_t slab_store(Slab* slab, const uint8_t* data, uint32_t length) noexcept nogil:
    """Copy `length` bytes into a new chain; SLAB_NONE when not enough blocks are left, and then nothing is taken."""
    cdef uint32_t head = slab_take(slab, slab_blocks(length))
    if head != <uint32_t>SLAB_NONE:
        slab_put(slab, head, 0, data, length)
    return head

cdef inline void slab_load(const Slab* slab, uint32_t chain, uint8_t* out, uint32_t length) noexcept nogil:
    """Copy the first `length` bytes of a chain to `out`."""
    slab_get(slab, chain, 0, out, length)

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

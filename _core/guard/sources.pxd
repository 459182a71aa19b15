"""Sources: buckets of addresses and subnets that have proven themselves, in a table that never grows.

Owner    A Sources belongs to one guard; it takes its memory once.
Limit    `capacity` entries of 64 bytes. Each prefix may stand in one of 8 places, which a keyed hash chooses; when all
         8 are taken, the one that owes least gives way. That forgives its debt and harms nobody: an entry can only
         refuse.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.guard.network cimport Prefix

cdef enum:
    SOURCE_WAYS = 8
    SOURCE_BUCKETS = 5              # rules that one scope may have
    HASH_KEY = 16

cdef struct Source:                 # 64 bytes
    Prefix prefix
    uint64_t buckets[SOURCE_BUCKETS]
    uint64_t reserved

cdef struct Sources:
    Source* entries
    uint64_t mask                   # of sets
    uint64_t evicted                # entries that still owed something when they gave way
    uint8_t key[HASH_KEY]

cdef inline bint sources_init(Sources* sources, uint32_t capacity, const uint8_t* key) noexcept nogil:
    """Room for `capacity` entries, rounded up to a power of two; False when memory is short."""
    cdef uint64_t sets = 1
    memset(sources, 0, sizeof(Sources))
    while sets * SOURCE_WAYS < capacity:
        sets *= 2
    sources.entries = <Source*>calloc(sets * SOURCE_WAYS, sizeof(Source))
    sources.mask = sets - 1
    memcpy(sources.key, key, HASH_KEY)
    return sources.entries != NULL

cdef inline void sources_free(Sources* sources) noexcept nogil:
    free(sources.entries)
    sources.entries = NULL

cdef inline void sources_clear(Sources* sources) noexcept nogil:
    """Forgive everybody."""
    memset(sources.entries, 0, (sources.mask + 1) * SOURCE_WAYS * sizeof(Source))

cdef inline uint64_t prefix_hash(const Prefix* prefix, const uint8_t* key) noexcept nogil:
    """SipHash-2-4: whoever picks addresses cannot pick where they land."""
    cdef uint64_t hash
    sodium.shorthash(<uint8_t*>&hash, <const uint8_t*>prefix, sizeof(Prefix), key)
    return hash

cdef inline uint64_t source_debt(const Source* source) noexcept nogil:
    cdef uint64_t debt = 0
    cdef uint32_t i
    for i in range(SOURCE_BUCKETS):
        if source.buckets[i] > debt:
            debt = source.buckets[i]
    return debt

cdef inline Source* source_of(Sources* sources, Prefix prefix, uint64_t now_ns) noexcept nogil:
    """The entry of `prefix`, made if there is none."""
    cdef Source* first = &sources.entries[(prefix_hash(&prefix, sources.key) & sources.mask) * SOURCE_WAYS]
    cdef Source* least = first
    cdef uint64_t debt, smallest = <uint64_t>-1
    cdef uint32_t i
    for i in range(SOURCE_WAYS):
        if first[i].prefix.bits == prefix.bits and first[i].prefix.tag == prefix.tag:
            return &first[i]
        debt = source_debt(&first[i])
        if debt < smallest:
            smallest = debt
            least = &first[i]
    if smallest > now_ns:
        sources.evicted += 1
    memset(least, 0, sizeof(Source))
    least.prefix = prefix
    return least

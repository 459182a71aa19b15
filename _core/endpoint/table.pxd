"""Hash table from a u64 to a u32: connection ids, echoes of handshakes, ephemerals that are half open.

Owner    A Table belongs to one endpoint.
Limit    `capacity` entries at a load of at most one half; keys are mixed with a secret, so that a peer who picks them
         (an ephemeral) cannot pick where they land.
Threads  One at a time.

Open addressing with linear probing and deletion by shifting back: no tombstones, so probes stay short for ever.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

cdef enum:
    TABLE_NONE = 0xFFFFFFFF

cdef struct Entry:
    uint64_t key
    uint32_t value              # TABLE_NONE: empty
    uint32_t reserved

cdef struct Table:
    Entry* entries
    uint64_t mask
    uint64_t secret
    uint32_t count
    uint32_t capacity

cdef inline bint table_init(Table* table, uint32_t capacity, uint64_t secret) noexcept nogil:
    cdef uint64_t size = 16, i
    memset(table, 0, sizeof(Table))
    while size < <uint64_t>capacity * 2:
        size *= 2
    table.entries = <Entry*>calloc(size, sizeof(Entry))
    if table.entries == NULL:
        return False
    for i in range(size):
        table.entries[i].value = <uint32_t>TABLE_NONE
    table.mask = size - 1
    table.secret = secret
    table.capacity = capacity
    return True

cdef inline void table_free(Table* table) noexcept nogil:
    free(table.entries)
    table.entries = NULL

cdef inline uint64_t table_home(const Table* table, uint64_t key) noexcept nogil:
    # The finalizer of splitmix64: every bit of key and secret moves every bit of the place.
    key ^= table.secret
    key = (key ^ (key >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    key = (key ^ (key >> 27)) * <uint64_t>0x94D049BB133111EB
    return (key ^ (key >> 31)) & table.mask

cdef inline uint32_t table_find(const Table* table, uint64_t key) noexcept nogil:
    """The value of `key`, TABLE_NONE if there is none."""
    cdef uint64_t at = table_home(table, key)
    while table.entries[at].value != <uint32_t>TABLE_NONE:
        if table.entries[at].key == key:
            return table.entries[at].value
        at = (at + 1) & table.mask
    return <uint32_t>TABLE_NONE

cdef inline bint table_insert(Table* table, uint64_t key, uint32_t value) noexcept nogil:
    """Add `key`, or give it another value; False when the table is full."""
    cdef uint64_t at = table_home(table, key)
    while table.entries[at].value != <uint32_t>TABLE_NONE:
        if table.entries[at].key == key:
            table.entries[at].value = value
            return True
        at = (at + 1) & table.mask
    if table.count >= table.capacity:
        return False
    table.entries[at].key = key
    table.entries[at].value = value
    table.count += 1
    return True

cdef inline void table_remove(Table* table, uint64_t key) noexcept nogil:
    cdef uint64_t hole = table_home(table, key), at, home
    while table.entries[hole].value != <uint32_t>TABLE_NONE and table.entries[hole].key != key:
        hole = (hole + 1) & table.mask
    if table.entries[hole].value == <uint32_t>TABLE_NONE:
        return
    at = hole
    while True:
        at = (at + 1) & table.mask
        if table.entries[at].value == <uint32_t>TABLE_NONE:
            break
        home = table_home(table, table.entries[at].key)
        # An entry may move back into the hole unless its home lies behind the hole (all distances modulo the size).
        if ((at - home) & table.mask) >= ((at - hole) & table.mask):
            table.entries[hole] = table.entries[at]
            hole = at
    table.entries[hole].value = <uint32_t>TABLE_NONE
    table.count -= 1

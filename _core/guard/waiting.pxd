"""Waiting: CONNECTs with a valid cookie whose key exchange has to wait for the budget, first come, first served.

Owner    A Waiting belongs to one guard; it takes its memory once.
Limit    `capacity` datagrams of at most WAITING_SIZE bytes, one for each address and port: a later one of the same
         client takes the place of its earlier one, in the same order. Beyond it, clients are shed and ask again.
Threads  One at a time.

Without it a crowd that comes at once would ask again at once, and again: waves of which each finds the budget of a few
milliseconds. `keys` is searched from end to end: 32 KiB for 4,096, about what the cookie's check costs.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from shadowland._core.base.records cimport Address, Datagram, address_same
from shadowland._core.crypto.sodium cimport sodium

cdef enum:
    WAITING_SIZE = 1500
    WAITING_MOST = 16384

cdef struct Parked:
    Datagram datagram
    uint8_t data[1504]

cdef struct Waiting:
    Parked* parked                  # a ring
    uint64_t* keys                  # by the same index
    uint32_t capacity
    uint32_t first
    uint32_t count
    uint32_t reserved
    uint8_t key[16]

cdef inline bint waiting_init(Waiting* waiting, uint32_t capacity, const uint8_t* key) noexcept nogil:
    memset(waiting, 0, sizeof(Waiting))
    waiting.parked = <Parked*>calloc(capacity, sizeof(Parked))
    waiting.keys = <uint64_t*>calloc(capacity, sizeof(uint64_t))
    waiting.capacity = capacity
    memcpy(waiting.key, key, 16)
    return waiting.parked != NULL and waiting.keys != NULL

cdef inline void waiting_free(Waiting* waiting) noexcept nogil:
    free(waiting.parked)
    free(waiting.keys)
    waiting.parked = NULL
    waiting.keys = NULL

cdef inline uint64_t waiting_key(const Waiting* waiting, const Address* address) noexcept nogil:
    """SipHash of address and port: nobody can pick a port that lands on somebody else's place."""
    cdef uint64_t hash
    cdef uint8_t[22] data
    memcpy(data, address.ip, 16)
    memcpy(data + 16, &address.scope, 4)
    memcpy(data + 20, &address.port, 2)
    sodium.shorthash(<uint8_t*>&hash, data, 22, waiting.key)
    return hash

cdef inline Parked* waiting_find(Waiting* waiting, uint64_t key, const Address* address) noexcept nogil:
    """What waits of this client, NULL if nothing does."""
    cdef uint32_t _i, at = waiting.first
    for _i in range(waiting.count):
        if waiting.keys[at] == key and address_same(&waiting.parked[at].datagram.remote, address):
            return &waiting.parked[at]
        at += 1
        if at == waiting.capacity:
            at = 0
    return NULL

cdef inline bint waiting_same(const Parked* parked, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint8_t differs = 0
    cdef uint32_t i
    if parked.datagram.length != length:
        return False
    for i in range(length):
        differs |= parked.data[i] ^ data[i]
    return differs == 0

cdef inline void parked_fill(Parked* parked, const uint8_t* data, const Datagram* datagram) noexcept nogil:
    parked.datagram = datagram[0]
    memcpy(parked.data, data, datagram.length)

cdef inline bint waiting_put(Waiting* waiting, const uint8_t* data, const Datagram* datagram) noexcept nogil:
    """Keep a datagram of a client that has none here; False when there is no room or it is too long."""
    cdef uint32_t at
    if waiting.count >= waiting.capacity or datagram.length > WAITING_SIZE:
        return False
    at = (waiting.first + waiting.count) % waiting.capacity
    waiting.keys[at] = waiting_key(waiting, &datagram.remote)
    parked_fill(&waiting.parked[at], data, datagram)
    waiting.count += 1
    return True

cdef inline Parked* waiting_take(Waiting* waiting) noexcept nogil:
    """The one that has waited longest, NULL if none waits; valid until the next is put."""
    cdef Parked* parked
    if waiting.count == 0:
        return NULL
    parked = &waiting.parked[waiting.first]
    waiting.first = (waiting.first + 1) % waiting.capacity
    waiting.count -= 1
    return parked

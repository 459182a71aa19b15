"""DatagramBatch: the unit of work between the sockets (or the simulated network) and the endpoint.

Owner    A DatagramBatch owns its records and its arena (two NumPy arrays, made once); a Batch only points into them.
Limit    `capacity` datagrams of at most `slot_size` bytes; a full batch refuses, nothing grows.
Threads  One at a time. Views taken from Python show the same memory and stay valid as long as they are kept.

    datagrams  [ 0 | 1 | 2 | ... count ... | capacity )      64 bytes each
    arena      [ slot 0 | slot 1 | slot 2 | ...        )      slot_size bytes each, datagram i begins slot i
"""
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from shadowland._core.base.records cimport Address, Datagram

cdef enum:
    BATCH_MAX_CAPACITY = 65536
    BATCH_MAX_SLOT = 65536              # a UDP payload has at most 65,527 bytes

cdef struct Batch:
    uint32_t count
    uint32_t capacity
    uint32_t slot_size
    Datagram* datagrams
    uint8_t* arena

cdef inline uint8_t* batch_data(const Batch* batch, uint32_t i) noexcept nogil:
    """First byte of datagram `i`; its slot holds batch.slot_size bytes."""
    return batch.arena + <size_t>i * batch.slot_size

cdef inline Datagram* batch_next(Batch* batch) noexcept nogil:
    """The record that the next datagram gets, cleared, or NULL if the batch is full.

    Fill it and the slot batch_data(batch, batch.count), then count it in with `batch.count += 1`.
    """
    if batch.count >= batch.capacity:
        return NULL
    memset(&batch.datagrams[batch.count], 0, sizeof(Datagram))
    return &batch.datagrams[batch.count]

cdef inline bint batch_append(Batch* batch, const uint8_t* data, uint32_t length, const Address* remote,
                              const Address* local, uint64_t time_us) noexcept nogil:
    """Copy one datagram in; `local` may be NULL. False if the batch is full or `length` exceeds the slot."""
    cdef Datagram* datagram
    if length > batch.slot_size:
        return False
    datagram = batch_next(batch)
    if datagram == NULL:
        return False
    datagram.time_us = time_us
    datagram.length = length
    datagram.remote = remote[0]
    if local != NULL:
        datagram.local = local[0]
    if length:                                      # memcpy from NULL is undefined even for no bytes
        memcpy(batch_data(batch, batch.count), data, length)
    batch.count += 1
    return True

cdef inline void batch_move(Batch* batch, uint32_t to, uint32_t i) noexcept nogil:
    """Put datagram `i` in place of datagram `to`; slots never overlap, so moving to a lower place closes a gap."""
    if to == i:
        return
    batch.datagrams[to] = batch.datagrams[i]
    memcpy(batch_data(batch, to), batch_data(batch, i), batch.datagrams[i].length)

cdef inline void batch_drop_front(Batch* batch, uint32_t n) noexcept nogil:
    """Take the first `n` datagrams out; the others keep their order and stand at the front."""
    cdef uint32_t i
    if n >= batch.count:
        batch.count = 0
        return
    for i in range(n, batch.count):
        batch_move(batch, i - n, i)
    batch.count -= n


@final
cdef class DatagramBatch:
    cdef Batch state
    cdef object _datagrams              # these two keep the memory of `state` alive
    cdef object _arena
    cdef uint32_t _index(self, object i) except? 0xFFFFFFFF

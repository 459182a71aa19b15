"""Ranking: sort small records by a number, then by another one that tells equals apart.

Owner    The caller's array, sorted in place.
Limit    None but the array: n log n steps in every case, so no order that a peer brings about is a bad one.
Threads  Pure functions of their arguments.

Heap sort takes no memory; the C library's qsort may.
"""
from libc.stdint cimport uint32_t, uint64_t

cdef struct Ranked:                     # 16 bytes
    uint64_t key
    uint32_t tie
    uint32_t index

cdef inline bint ranks_before(const Ranked* a, const Ranked* b) noexcept nogil:
    return a.key < b.key or (a.key == b.key and a.tie < b.tie)

cdef inline void rank_sink(Ranked* ranks, uint32_t at, uint32_t count) noexcept nogil:
    cdef uint32_t child
    cdef Ranked moving = ranks[at]
    while 2 * at + 1 < count:
        child = 2 * at + 1
        if child + 1 < count and ranks_before(&ranks[child], &ranks[child + 1]):
            child += 1
        if not ranks_before(&moving, &ranks[child]):
            break
        ranks[at] = ranks[child]
        at = child
    ranks[at] = moving

cdef inline void rank_sort(Ranked* ranks, uint32_t count) noexcept nogil:
    """Heap sort: no memory (qsort may allocate), no bad case that a peer could bring about."""
    cdef uint32_t i
    cdef Ranked last
    if count < 2:
        return
    for i in range(count // 2, 0, -1):
        rank_sink(ranks, i - 1, count)
    for i in range(count - 1, 0, -1):
        last = ranks[i]
        ranks[i] = ranks[0]
        ranks[0] = last
        rank_sink(ranks, 0, i)

cdef inline void rank_front(Ranked* ranks, uint32_t count, uint32_t front) noexcept nogil:
    """The first `front` as rank_sort() would have them; the others in no order. For a few of many."""
    cdef uint32_t i, k, least
    cdef Ranked first
    for i in range(front if front < count else count):
        least = i
        for k in range(i + 1, count):
            if ranks_before(&ranks[k], &ranks[least]):
                least = k
        first = ranks[least]
        ranks[least] = ranks[i]
        ranks[i] = first

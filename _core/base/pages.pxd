"""Large zeroed memory that asks the kernel for huge pages.

Owner    Whoever called pages_zeroed gives it back with pages_free and the same size.
Limit    None of its own; NULL when the system has no memory.
Threads  Any.

Ten thousand connections of 21 KiB are 51,000 small pages: more than any TLB holds, so that nearly every packet would
walk page tables. In huge pages they are a hundred.
"""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uintptr_t

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t length, int protection, int flags, int descriptor, long offset)
    int munmap(void* address, size_t length)
    int madvise(void* address, size_t length, int advice)
    enum:
        PROT_READ
        PROT_WRITE
        MAP_PRIVATE
        MAP_ANONYMOUS
        MADV_HUGEPAGE

cdef extern from * nogil:
    """
    #define SHADOWLAND_PREFETCH(address) __builtin_prefetch((address), 1)
    """
    void prefetch "SHADOWLAND_PREFETCH"(const void* address)

cdef enum:
    HUGE_PAGE = 2097152

cdef inline size_t pages_length(size_t size) noexcept nogil:
    return (size + HUGE_PAGE - 1) // HUGE_PAGE * HUGE_PAGE

cdef inline void* pages_zeroed(size_t size) noexcept nogil:
    """Zeroed memory, aligned to a huge page; touched pages are the only ones that count. NULL when there is none."""
    cdef size_t length = pages_length(size)
    # One page more than needed, so that an aligned piece lies within; the rest is given back at once.
    cdef int protection = PROT_READ | PROT_WRITE
    cdef uint8_t* raw = <uint8_t*>mmap(NULL, length + HUGE_PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    cdef size_t before
    if <uintptr_t>raw == <uintptr_t>-1:
        return NULL
    before = (HUGE_PAGE - <uintptr_t>raw % HUGE_PAGE) % HUGE_PAGE
    if before > 0:
        munmap(raw, before)
    if HUGE_PAGE - before > 0:
        munmap(raw + before + length, HUGE_PAGE - before)
    madvise(raw + before, length, MADV_HUGEPAGE)        # refused where the kernel has none: then small pages serve
    return raw + before

cdef inline void pages_free(void* memory, size_t size) noexcept nogil:
    """Give back what pages_zeroed returned; NULL is fine."""
    if memory != NULL:
        munmap(memory, pages_length(size))

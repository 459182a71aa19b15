"""Loops for benchmarks/compression.py, which compiles them: the kernels as the endpoint calls them, and LZ4 with a
dictionary, which the library does not use."""
import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from posix.dlfcn cimport RTLD_LOCAL, RTLD_NOW, dlopen, dlsym
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from shadowland._core.compress.lz4 cimport Workspace, lz4, open_packed, pack_message, packed_declared

from shadowland._core.compress.lz4 import LIBRARY

ctypedef int (*load_function)(void* stream, const uint8_t* dictionary, int size) noexcept nogil
ctypedef void (*attach_function)(void* stream, const void* dictionary) noexcept nogil
ctypedef void (*reset_function)(void* stream) noexcept nogil
ctypedef int (*continue_function)(void* stream, const uint8_t* data, uint8_t* out, int length, int capacity,
                                  int acceleration) noexcept nogil
ctypedef int (*using_function)(const uint8_t* block, uint8_t* out, int length, int capacity, const uint8_t* dictionary,
                               int size) noexcept nogil

cdef uint64_t now_ns() noexcept nogil:
    """CPU time of this thread: what else runs on the machine does not count."""
    cdef timespec now
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec

cdef void* symbol(bytes name) except NULL:
    cdef void* address = dlsym(dlopen(os.fsencode(LIBRARY), RTLD_NOW | RTLD_LOCAL), name)
    if address is NULL:
        raise RuntimeError(f"the LZ4 in {LIBRARY} has no {name.decode()}")
    return address

def measure(const uint8_t[::1] arena, const uint32_t[::1] ends, int rounds, bytes dictionary) -> tuple:
    """(bytes sent, messages that shrank, ns to compress, ns to open those that shrank), times per message.

    Message i ends at arena[ends[i]]. With a `dictionary` that is not empty both sides use it.
    """
    cdef Workspace* workspace = <Workspace*>calloc(1, sizeof(Workspace))
    cdef Workspace* primed = <Workspace*>calloc(1, sizeof(Workspace))
    cdef uint8_t* packed = <uint8_t*>calloc(arena.shape[0] + 16, 1)
    cdef uint32_t* sizes = <uint32_t*>calloc(ends.shape[0], sizeof(uint32_t))
    cdef uint8_t* out = <uint8_t*>calloc(1 << 18, 1)
    cdef const uint8_t* words = dictionary
    cdef int words_size = len(dictionary)
    cdef load_function load = <load_function>symbol(b"LZ4_loadDict")
    cdef attach_function attach = <attach_function>symbol(b"LZ4_attach_dictionary")
    cdef reset_function reset = <reset_function>symbol(b"LZ4_resetStream_fast")
    cdef continue_function go_on = <continue_function>symbol(b"LZ4_compress_fast_continue")
    cdef using_function using = <using_function>symbol(b"LZ4_decompress_safe_usingDict")
    cdef uint64_t started, compress_ns, open_ns
    cdef uint32_t i, _r, begin, length, head, declared, sent = 0, shrunk = 0, wrong = 0
    cdef int size
    load(primed, words, words_size)
    started = now_ns()
    for _r in range(<uint32_t>rounds):
        begin = 0
        for i in range(<uint32_t>ends.shape[0]):
            length = ends[i] - begin
            if words_size:
                reset(workspace)
                attach(workspace, primed)
                size = go_on(workspace, &arena[begin], packed + begin, <int>length, <int>length - 1, 1)
                # The size goes before it: one byte for most, two beyond 127.
                sizes[i] = <uint32_t>size if size > 0 and size + 1 + (length > 127) < <int>length else 0
            else:
                sizes[i] = pack_message(workspace, packed + begin, &arena[begin], length)
            begin = ends[i]
    compress_ns = now_ns() - started
    begin = 0
    for i in range(<uint32_t>ends.shape[0]):
        length = ends[i] - begin
        sent += sizes[i] + (1 + (length > 127) if words_size else 0) if sizes[i] else length
        shrunk += sizes[i] > 0
        begin = ends[i]
    started = now_ns()
    for _r in range(<uint32_t>rounds):
        begin = 0
        for i in range(<uint32_t>ends.shape[0]):
            length = ends[i] - begin
            if sizes[i] and words_size:
                wrong += using(packed + begin, out, <int>sizes[i], <int>length, words, words_size) != <int>length
            elif sizes[i]:
                declared = packed_declared(packed + begin, sizes[i], length, &head)
                wrong += not open_packed(packed + begin, sizes[i], head, out, declared)
            begin = ends[i]
    open_ns = now_ns() - started
    free(workspace)
    free(primed)
    free(packed)
    free(sizes)
    free(out)
    if wrong:
        raise RuntimeError(f"{wrong} messages were not opened")
    total = rounds * ends.shape[0]
    return sent, shrunk, compress_ns / total, open_ns / max(rounds * shrunk, 1)

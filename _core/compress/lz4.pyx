"""Finds LZ4 inside the lz4 wheel, checks both functions with known answers, and opens a door for tests and tools."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memset
from posix.dlfcn cimport dlclose

from shadowland._core.base.dynamic cimport library_open, library_symbol

import os

import lz4.block._block as _library

FIX = "reinstall it with: python -m pip install --force-reinstall --only-binary lz4 'lz4>=4.3'"
LARGEST = PACKED_LARGEST

cdef void* _symbol(void* library, str name, str path) except NULL:
    return library_symbol(library, name, "LZ4", path, FIX)

cdef int _load(str path, Lz4* table) except -1:
    cdef void* library = library_open("LZ4", path, os.fsencode(path), FIX)
    try:
        _fill(library, path, table)
    except ImportError:
        dlclose(library)            # kept open for ever otherwise: the table points into it
        raise
    return 0

cdef int _fill(void* library, str path, Lz4* table) except -1:
    cdef int size = (<int (*)() noexcept nogil> _symbol(library, "LZ4_sizeofState", path))()
    if not 0 < size <= <int>sizeof(Workspace):
        raise ImportError(f"the LZ4 in {path} wants {size} bytes of working memory, {sizeof(Workspace)} are set aside; "
                          f"{FIX}")
    # Not of LZ4's stable face, but exported by every wheel: it spares clearing 16 KiB for each message.
    table.compress = <int (*)(void*, const uint8_t*, uint8_t*, int, int, int) noexcept nogil> _symbol(
        library, "LZ4_compress_fast_extState_fastReset", path)
    table.decompress = <int (*)(const uint8_t*, uint8_t*, int, int) noexcept nogil> _symbol(
        library, "LZ4_decompress_safe", path)
    table.version = <int (*)() noexcept nogil> _symbol(library, "LZ4_versionNumber", path)
    return 0

cdef int _self_test(const Lz4* table) except -1:
    """A block written by hand from the format's description, one made here and opened again, and two that are none."""
    cdef Workspace* workspace = <Workspace*>calloc(1, sizeof(Workspace))
    cdef uint8_t[64] block
    cdef uint8_t[64] out
    cdef int size
    # Three literals, 12 bytes from 3 back (copied as they are written), five literals.
    cdef bytes known = bytes.fromhex("38616263030050766f696365"), text = b"abc" * 5 + b"voice"
    if workspace == NULL:
        raise MemoryError
    try:
        memset(out, 0, sizeof(out))
        if table.decompress(known, out, len(known), 20) != 20 or memcmp(out, <const uint8_t*>text, 20) != 0:
            raise ImportError(f"LZ4 gives a wrong answer on this machine; {FIX}")
        if table.decompress(known, out, len(known), 19) >= 0 or table.decompress(known, out, len(known) - 1, 20) == 20:
            raise ImportError(f"LZ4 does not refuse a block that is too long or cut off; {FIX}")
        text = b"abc" * 20
        size = table.compress(workspace, text, block, 60, 59, 1)
        if not 0 < size < 60 or table.decompress(block, out, size, 60) != 60 or memcmp(
                out, <const uint8_t*>text, 60) != 0:
            raise ImportError(f"LZ4 does not open what it compressed; {FIX}")
    finally:
        free(workspace)
    return 0


def probe(path: str) -> None:
    """Look for every needed function in the shared library `path` and check its answers; nothing is kept.

    ImportError says what is missing and how to mend it.
    """
    cdef Lz4 table
    _load(path, &table)
    _self_test(&table)


def version() -> str:
    """The library's own version, as "1.10.0"."""
    number = lz4.version()
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def pack(data: bytes) -> bytes | None:
    """`data` packed: its size as uvarint and one LZ4 block; None if that would not be shorter."""
    cdef uint32_t length = <uint32_t>min(PyBytes_GET_SIZE(data), PACKED_LARGEST + 1), size
    cdef Workspace* workspace = <Workspace*>calloc(1, sizeof(Workspace))
    if workspace == NULL:
        raise MemoryError
    try:
        room = PyBytes_FromStringAndSize(NULL, length)
        size = pack_message(workspace, <uint8_t*>PyBytes_AS_STRING(room), <const uint8_t*>PyBytes_AS_STRING(data),
                            length)
    finally:
        free(workspace)
    return room[:size] if size else None


def unpack(packed: bytes, limit: int) -> bytes | None:
    """What was packed; None if it is malformed, declares nothing or more than `limit`, or has not the size it declares.
    """
    cdef uint32_t length = <uint32_t>min(PyBytes_GET_SIZE(packed), PACKED_LARGEST + 1), head, declared
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(packed)
    declared = packed_declared(data, length, <uint32_t>min(max(limit, 0), PACKED_LARGEST), &head)
    if declared == 0:
        return None
    out = PyBytes_FromStringAndSize(NULL, declared)
    return out if open_packed(data, length, head, <uint8_t*>PyBytes_AS_STRING(out), declared) else None


LIBRARY = _library.__file__
_load(LIBRARY, &lz4)
_self_test(&lz4)

"""LZ4 blocks with their declared size, as one message carries them (docs/protocol.md, 5.7).

Owner    This room owns the one table `lz4`, filled at import; a Workspace belongs to whoever compresses.
Limit    A declared size is at most what the caller allows, and what is opened has exactly that size: nothing is written
         beyond it, whatever the block says. Nothing here allocates.
Threads  Any: the table is read-only; a Workspace serves one thread at a time.

    packed    declared size uvarint ‖ LZ4 block

The lz4 wheel carries the library inside its extension module. Its functions come from dlsym on that file, as those of
libsodium do, and are called without the GIL.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from shadowland._core.wire.varint cimport uvarint_decode, uvarint_encode, uvarint_size

cdef enum:
    LZ4_STATE_WORDS = 2052          # 16,416 bytes, in u64 for alignment; compared with LZ4_sizeofState() at import
    PACKED_LARGEST = 1 << 24        # of what is compressed or declared, whatever the caller allows

cdef struct Lz4:
    int (*compress)(void* state, const uint8_t* data, uint8_t* out, int length, int capacity,
                    int acceleration) noexcept nogil        # ..._fast_extState_fastReset
    int (*decompress)(const uint8_t* block, uint8_t* out, int length, int capacity) noexcept nogil
    int (*version)() noexcept nogil

cdef Lz4 lz4

cdef struct Workspace:              # positions seen; all zeros before the first use, LZ4's own affair afterwards
    uint64_t words[LZ4_STATE_WORDS]

cdef inline uint32_t pack_message(Workspace* workspace, uint8_t* out, const uint8_t* data,
                                  uint32_t length) noexcept nogil:
    """Write `data` packed into `out`, which has room for `length` bytes; its size, 0 if it would not shrink."""
    cdef uint32_t head = <uint32_t>uvarint_size(length)
    cdef int size
    if length <= head + 1 or length > <uint32_t>PACKED_LARGEST:
        return 0
    size = lz4.compress(workspace, data, out + head, <int>length, <int>(length - head - 1), 1)
    if size <= 0:
        return 0
    uvarint_encode(length, out)
    return head + <uint32_t>size

cdef inline uint32_t packed_declared(const uint8_t* packed, uint32_t length, uint32_t limit,
                                     uint32_t* head) noexcept nogil:
    """The size that a packed message declares, and in `head` how many bytes say so; 0 if it is malformed, nothing or
    more than `limit`."""
    cdef uint64_t declared = 0
    head[0] = <uint32_t>uvarint_decode(packed, length, &declared)
    if head[0] == 0 or declared > limit or declared > <uint64_t>PACKED_LARGEST:
        return 0
    return <uint32_t>declared

cdef inline bint open_packed(const uint8_t* packed, uint32_t length, uint32_t head, uint8_t* out,
                             uint32_t declared) noexcept nogil:
    """Write what follows `head` to `out`, which has room for `declared` bytes; False if it is not exactly so many.

    What was written before the mistake stands in `out` then.
    """
    if length <= head or length > <uint32_t>PACKED_LARGEST:
        return False
    return lz4.decompress(packed + head, out, <int>(length - head), <int>declared) == <int>declared

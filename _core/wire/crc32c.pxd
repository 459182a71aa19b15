"""CRC32C (Castagnoli), for handshake datagrams.

Owner    The caller owns the bytes.
Limit    None.
Threads  Any.
"""
from libc.stdint cimport uint8_t, uint32_t
cdef inline uint32_t crc32c(const uint8_t* d, size_t n) noexcept nogil:
    cdef uint32_t c = <uint32_t>0xFFFFFFFF
    cdef size_t i
    cdef int k
    for i in range(n):
        c ^= d[i]
        for k in range(8):
            c = (c >> 1) ^ (<uint32_t>0x82F63B78 & (<uint32_t>0 - (c & 1)))
    return c ^ <uint32_t>0xFFFFFFFF

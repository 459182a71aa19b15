"""CRC32C over handshake datagrams: a cheap filter against noise, never authentication.

Owner    The caller owns the bytes.
Limit    `length` bytes are read.
Threads  Any; the arm is chosen once, at import.

Castagnoli's polynomial (RFC 3720 B.4 has test vectors): initial and final xor all ones, "123456789" -> 0xE3069283.
The function is not inline, so that the whole process has one choice of arm.
"""
from libc.stdint cimport uint8_t, uint32_t

cdef uint32_t crc32c(const uint8_t* data, size_t length) noexcept nogil

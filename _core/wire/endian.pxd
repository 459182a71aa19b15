"""Little-endian loads and stores at any address.

Owner    The caller owns the memory and has checked its length.
Limit    Exactly as many bytes as the type has.
Threads  Any.

memcpy of a constant size is one move instruction; a cast pointer would be undefined behaviour on an unaligned address.
The build refuses every platform that is not little-endian (setup.py), so no byte is swapped here.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef inline uint16_t load_u16(const uint8_t* data) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, data, 2)
    return value


cdef inline uint32_t load_u32(const uint8_t* data) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, data, 4)
    return value


cdef inline uint64_t load_u64(const uint8_t* data) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, data, 8)
    return value


cdef inline void store_u16(uint8_t* data, uint16_t value) noexcept nogil:
    memcpy(data, &value, 2)


cdef inline void store_u32(uint8_t* data, uint32_t value) noexcept nogil:
    memcpy(data, &value, 4)


cdef inline void store_u64(uint8_t* data, uint64_t value) noexcept nogil:
    memcpy(data, &value, 8)

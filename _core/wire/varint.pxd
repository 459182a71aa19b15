"""Variable-length integers: canonical LEB128 for unsigned, ZigZag before it for signed ones (docs/protocol.md).

Owner    The caller owns all memory.
Limit    VARINT_MAX bytes a number; arrays by the counts and capacities that the caller gives.
Threads  Any.

Seven bits a byte, lowest first, the top bit says that more follow. A number has exactly one form: one whose last byte
adds nothing (`80 00` for 0) is refused, and so is one beyond 2**64 - 1.
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef enum:
    VARINT_MAX = 10                                 # bytes of the longest u64: 9 * 7 bits and one more


cdef inline uint64_t zigzag(int64_t value) noexcept nogil:
    """0, -1, 1, -2, 2 … -> 0, 1, 2, 3, 4 …, so that small numbers of either sign are short."""
    # The shift of the sign is arithmetic (gcc and clang promise it); the other one is unsigned, where none overflows.
    return (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)


cdef inline int64_t unzigzag(uint64_t value) noexcept nogil:
    return <int64_t>((value >> 1) ^ (0 - (value & 1)))


cdef inline size_t uvarint_size(uint64_t value) noexcept nogil:
    """Bytes that `value` takes, 1 to VARINT_MAX."""
    cdef size_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline size_t uvarint_encode(uint64_t value, uint8_t* out) noexcept nogil:
    """Write `value` and return its size; `out` has room for uvarint_size(value) bytes."""
    cdef size_t size = 0
    while value >= 0x80:
        out[size] = <uint8_t>(value | 0x80)
        value >>= 7
        size += 1
    out[size] = <uint8_t>value
    return size + 1


cdef inline size_t uvarint_decode(const uint8_t* data, size_t length, uint64_t* value) noexcept nogil:
    """Read one number and return its size; 0, with `value` untouched, if it is cut off, over-long or beyond a u64."""
    cdef uint64_t result = 0
    cdef uint8_t byte
    cdef size_t i
    for i in range(<size_t>VARINT_MAX):
        if i == length:
            return 0
        byte = data[i]
        if i == VARINT_MAX - 1 and byte > 1:        # 63 bits are taken: one more fits
            return 0
        result |= <uint64_t>(byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if byte == 0 and i > 0:                 # over-long: a shorter form says the same
                return 0
            value[0] = result
            return i + 1
    return 0


cdef inline size_t varints_encode(
    const int64_t* values, size_t count, uint8_t* out, size_t capacity, size_t* used
) noexcept nogil:
    """Write `count` signed numbers one after the other; return how many fitted whole, and in `used` their bytes."""
    cdef size_t i, position = 0
    cdef uint64_t value
    for i in range(count):
        value = zigzag(values[i])
        if capacity - position < VARINT_MAX and capacity - position < uvarint_size(value):
            used[0] = position
            return i
        position += uvarint_encode(value, out + position)
    used[0] = position
    return count


cdef inline size_t varints_decode(
    const uint8_t* data, size_t length, int64_t* values, size_t count, size_t* used
) noexcept nogil:
    """Read up to `count` signed numbers; return how many were good before the end or the first bad one, and in
    `used` the bytes they took. Anything less than `count` with bytes left over means a malformed number at `used`.
    """
    cdef size_t i, size, position = 0
    cdef uint64_t value
    for i in range(count):
        size = uvarint_decode(data + position, length - position, &value)
        if size == 0:
            used[0] = position
            return i
        values[i] = unzigzag(value)
        position += size
    used[0] = position
    return count

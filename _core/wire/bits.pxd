"""Bit cursors, least significant bit first, and integers coded by class.

Owner    The caller owns the bytes.
Limit    BITS_MAX bits a call; `capacity` bytes; a writer may zero bytes of its capacity beyond what it has written.
Threads  One at a time per cursor.

    byte 0            byte 1                     bit i of the stream is bit i & 7 of byte i >> 3; a value's lowest
    7 6 5 4 3 2 1 0   7 6 5 4 3 2 1 0            bit comes first: 1, 0, 1, 1 is 0x0D
              <-- 1st         <-- 9th

A value that begins in the middle of a byte takes up to 7 + 57 = 64 bits: one load or store of eight bytes, unless fewer
are left. `failed` is sticky as in cursor.pxd.
"""
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    BITS_MAX = 57

cdef struct BitReader:
    const uint8_t* data
    size_t length                                   # bytes
    size_t position                                 # bits
    bint failed

cdef struct BitWriter:
    uint8_t* data
    size_t capacity                                 # bytes
    size_t position                                 # bits
    bint failed


cdef inline void bit_reader_init(BitReader* reader, const uint8_t* data, size_t length) noexcept nogil:
    reader.data = data
    reader.length = length
    reader.position = 0
    reader.failed = False


cdef inline void bit_writer_init(BitWriter* writer, uint8_t* data, size_t capacity) noexcept nogil:
    writer.data = data
    writer.capacity = capacity
    writer.position = 0
    writer.failed = False


cdef inline uint64_t read_bits(BitReader* reader, uint32_t count) noexcept nogil:
    """The next `count` bits (0 to BITS_MAX) as an unsigned number; 0 and failed if they are not there."""
    cdef uint64_t word = 0
    cdef size_t byte = reader.position >> 3, left = reader.length - byte
    if reader.failed or count > BITS_MAX or (left << 3) - (reader.position & 7) < count:
        reader.failed = True
        return 0
    if left >= 8:
        memcpy(&word, reader.data + byte, 8)
    elif left:
        memcpy(&word, reader.data + byte, left)     # never past the received length
    word >>= reader.position & 7
    reader.position += count
    return word & (((<uint64_t>1) << count) - 1)


cdef inline void write_bits(BitWriter* writer, uint64_t value, uint32_t count) noexcept nogil:
    """Write the lowest `count` bits (0 to BITS_MAX) of `value`; the rest of the last byte is zero."""
    cdef uint64_t word
    cdef uint32_t shift = writer.position & 7
    cdef size_t byte = writer.position >> 3, left = writer.capacity - byte
    if writer.failed or count > BITS_MAX or (left << 3) - shift < count:
        writer.failed = True
        return
    if count == 0:                                  # at the very end there is no byte to look at
        return
    word = (value & (((<uint64_t>1) << count) - 1)) << shift
    if shift:
        word |= writer.data[byte]                   # above what was written before it is zero: each write pads its byte
    if left >= 8:
        memcpy(writer.data + byte, &word, 8)
    else:
        memcpy(writer.data + byte, &word, (shift + count + 7) >> 3)
    writer.position += count


cdef inline size_t bits_bytes(size_t position) noexcept nogil:
    """Bytes that `position` bits take, the last one padded."""
    return (position + 7) >> 3


cdef inline bint read_padding(BitReader* reader) noexcept nogil:
    """Skip to the next whole byte; the skipped bits must be zero, or the same value would have two forms."""
    if read_bits(reader, <uint32_t>((0 - reader.position) & 7)) != 0:
        reader.failed = True
    return not reader.failed


cdef inline void write_padding(BitWriter* writer) noexcept nogil:
    """Go to the next whole byte with zeros."""
    write_bits(writer, 0, <uint32_t>((0 - writer.position) & 7))


# Class-coded integers: ZigZag z of an i32, two bits of class, then the class's payload.
#
#     class     0     1       2        3
#     payload   0     small   medium   32 bits         1 <= small < medium <= 32
#     holds     z = 0 z < 2^s z < 2^m  the rest        canonical: always the smallest class that fits

cdef inline void write_class(BitWriter* writer, int32_t value, uint32_t small, uint32_t medium) noexcept nogil:
    """Write `value` in the smallest class that holds it."""
    cdef uint64_t z = (<uint32_t>value << 1) ^ <uint32_t>(value >> 31)
    if z == 0:
        write_bits(writer, 0, 2)
    elif z >> small == 0:
        write_bits(writer, 1 | z << 2, 2 + small)
    elif z >> medium == 0:
        write_bits(writer, 2 | z << 2, 2 + medium)
    else:
        write_bits(writer, 3 | z << 2, 34)


cdef inline int32_t read_class(BitReader* reader, uint32_t small, uint32_t medium) noexcept nogil:
    """Read a class-coded integer; one that a smaller class could hold fails, so that a value has one form."""
    cdef uint32_t kind = <uint32_t>read_bits(reader, 2)
    cdef uint64_t z
    if kind == 0:
        return 0
    z = read_bits(reader, small if kind == 1 else medium if kind == 2 else 32)
    if z == 0 or (kind == 2 and z >> small == 0) or (kind == 3 and z >> medium == 0):
        reader.failed = True
        return 0
    return <int32_t>(<uint32_t>(z >> 1) ^ (0 - <uint32_t>(z & 1)))


cdef inline uint32_t class_bits(int32_t value, uint32_t small, uint32_t medium) noexcept nogil:
    """Bits that write_class would take for `value`."""
    cdef uint64_t z = (<uint32_t>value << 1) ^ <uint32_t>(value >> 31)
    return 2 if z == 0 else 2 + small if z >> small == 0 else 2 + medium if z >> medium == 0 else 34

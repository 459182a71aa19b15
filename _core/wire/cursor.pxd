"""Cursors that read and write a caller's bytes within bounds: the FlatBuffer.

Owner    The caller owns the bytes; a Reader or Writer lives on the stack or inside another struct.
Limit    `length` or `capacity`; position never exceeds it.
Threads  One at a time per cursor.

`failed` is sticky: the first operation that does not fit sets it, moves nothing, and every later one fails too and
reads zero. So a parser reads all its fields and looks once. What fits is found by subtraction: position + size could
wrap.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.wire.varint cimport (
    unzigzag, uvarint_decode, uvarint_encode, uvarint_size, zigzag
)

cdef struct Reader:
    const uint8_t* data
    size_t length                                   # bytes received, never the capacity of what they lie in
    size_t position
    bint failed

cdef struct Writer:
    uint8_t* data
    size_t capacity
    size_t position
    bint failed


cdef inline void reader_init(Reader* reader, const uint8_t* data, size_t length) noexcept nogil:
    reader.data = data
    reader.length = length
    reader.position = 0
    reader.failed = False


cdef inline size_t reader_left(const Reader* reader) noexcept nogil:
    """Bytes not read yet."""
    return reader.length - reader.position


cdef inline const uint8_t* read_bytes(Reader* reader, size_t size) noexcept nogil:
    """The next `size` bytes, in place, valid as long as the caller's memory; NULL if they are not there."""
    cdef const uint8_t* start
    if reader.failed or reader.length - reader.position < size:
        reader.failed = True
        return NULL
    start = reader.data + reader.position
    reader.position += size
    return start


cdef inline bint read_into(Reader* reader, void* out, size_t size) noexcept nogil:
    """Copy the next `size` bytes to `out`; False and nothing copied if they are not there."""
    cdef const uint8_t* start = read_bytes(reader, size)
    if reader.failed:
        return False
    if size:                                        # memcpy from NULL is undefined even for no bytes
        memcpy(out, start, size)
    return True


cdef inline uint8_t read_u8(Reader* reader) noexcept nogil:
    cdef uint8_t value = 0
    read_into(reader, &value, 1)
    return value


cdef inline uint16_t read_u16(Reader* reader) noexcept nogil:
    cdef uint16_t value = 0
    read_into(reader, &value, 2)
    return value


cdef inline uint32_t read_u32(Reader* reader) noexcept nogil:
    cdef uint32_t value = 0
    read_into(reader, &value, 4)
    return value


cdef inline uint64_t read_u64(Reader* reader) noexcept nogil:
    cdef uint64_t value = 0
    read_into(reader, &value, 8)
    return value


cdef inline int64_t read_i64(Reader* reader) noexcept nogil:
    cdef int64_t value = 0
    read_into(reader, &value, 8)
    return value


cdef inline float read_f32(Reader* reader) noexcept nogil:
    """Any bit pattern, NaN included: whoever needs a finite number must ask."""
    cdef float value = 0
    read_into(reader, &value, 4)
    return value


cdef inline double read_f64(Reader* reader) noexcept nogil:
    """Any bit pattern, NaN included: whoever needs a finite number must ask."""
    cdef double value = 0
    read_into(reader, &value, 8)
    return value


cdef inline uint64_t read_uvarint(Reader* reader) noexcept nogil:
    """Canonical LEB128; an over-long form fails like one that is cut off."""
    cdef uint64_t value = 0
    cdef size_t size
    if reader.failed:
        return 0
    size = uvarint_decode(reader.data + reader.position, reader.length - reader.position, &value)
    reader.failed = size == 0
    reader.position += size
    return value


cdef inline int64_t read_varint(Reader* reader) noexcept nogil:
    """ZigZag over canonical LEB128."""
    return unzigzag(read_uvarint(reader))


cdef inline void writer_init(Writer* writer, uint8_t* data, size_t capacity) noexcept nogil:
    writer.data = data
    writer.capacity = capacity
    writer.position = 0
    writer.failed = False


cdef inline size_t writer_left(const Writer* writer) noexcept nogil:
    """Bytes that still fit."""
    return writer.capacity - writer.position


cdef inline uint8_t* write_reserve(Writer* writer, size_t size) noexcept nogil:
    """Room for `size` bytes that the caller fills in place; NULL if they do not fit."""
    cdef uint8_t* start
    if writer.failed or writer.capacity - writer.position < size:
        writer.failed = True
        return NULL
    start = writer.data + writer.position
    writer.position += size
    return start


cdef inline void write_bytes(Writer* writer, const void* data, size_t size) noexcept nogil:
    """Copy `size` bytes, all of them or none."""
    cdef uint8_t* start = write_reserve(writer, size)
    if not writer.failed and size:
        memcpy(start, data, size)


cdef inline void write_u8(Writer* writer, uint8_t value) noexcept nogil:
    write_bytes(writer, &value, 1)


cdef inline void write_u16(Writer* writer, uint16_t value) noexcept nogil:
    write_bytes(writer, &value, 2)


cdef inline void write_u32(Writer* writer, uint32_t value) noexcept nogil:
    write_bytes(writer, &value, 4)


cdef inline void write_u64(Writer* writer, uint64_t value) noexcept nogil:
    write_bytes(writer, &value, 8)


cdef inline void write_i64(Writer* writer, int64_t value) noexcept nogil:
    write_bytes(writer, &value, 8)


cdef inline void write_f32(Writer* writer, float value) noexcept nogil:
    write_bytes(writer, &value, 4)


cdef inline void write_f64(Writer* writer, double value) noexcept nogil:
    write_bytes(writer, &value, 8)


cdef inline void write_uvarint(Writer* writer, uint64_t value) noexcept nogil:
    """Canonical LEB128, all of it or nothing."""
    cdef uint8_t* start = write_reserve(writer, uvarint_size(value))
    if not writer.failed:
        uvarint_encode(value, start)


cdef inline void write_varint(Writer* writer, int64_t value) noexcept nogil:
    """ZigZag over canonical LEB128."""
    write_uvarint(writer, zigzag(value))

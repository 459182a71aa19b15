"""Python door to the cursors: one FlatBuffer over a caller's memory, for tests, tools and cold messages."""
from cpython.buffer cimport (
    Py_buffer, PyBUF_SIMPLE, PyBUF_WRITABLE, PyObject_GetBuffer, PyBuffer_Release
)
from cython cimport final

from shadowland._core.base.errors import UsageError


@final
cdef class FlatBuffer:
    """Reads and writes bytes of the caller's memory, without copying it, never beyond its bounds.

    `memory` is anything with the buffer protocol, contiguous; it stays alive and locked in size as long as this
    object. `length` says how many of its bytes were received (all, if not given): nothing behind them can be read.
    Writing begins at 0 and has all of the memory; read-only memory has room for nothing. UsageError if `length`
    exceeds the memory.

    An operation that does not fit sets `failed`, moves nothing, and all later ones in that direction do nothing
    and read 0: read all the fields, then look at `failed` once.

    >>> buffer = FlatBuffer(bytearray(16))
    >>> buffer.write_u16(513); buffer.write_varint(-64); bytes(buffer.written)
    b'\\x01\\x02\\x7f'
    >>> buffer.rewind(); buffer.read_u16(), buffer.read_varint(), buffer.read_u8(), buffer.failed
    (513, -64, 0, True)
    """
    cdef Py_buffer view
    cdef bint held
    cdef object memory
    cdef Reader reader
    cdef Writer writer

    def __cinit__(self, memory, length: int | None = None):
        cdef bint writable = True
        try:
            PyObject_GetBuffer(memory, &self.view, PyBUF_WRITABLE)
        except BufferError:
            PyObject_GetBuffer(memory, &self.view, PyBUF_SIMPLE)
            writable = False
        self.held = True
        self.memory = memory
        if length is None:
            length = self.view.len
        if not 0 <= length <= self.view.len:
            raise UsageError(f"FlatBuffer: length {length} is not within the memory of {self.view.len} bytes")
        reader_init(&self.reader, <const uint8_t*>self.view.buf, length)
        writer_init(&self.writer, <uint8_t*>self.view.buf, self.view.len if writable else 0)

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)

    @property
    def failed(self) -> bool:
        """True once a read or a write did not fit."""
        return self.reader.failed or self.writer.failed

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self.reader.position

    @property
    def left(self) -> int:
        """Bytes that can still be read."""
        return reader_left(&self.reader)

    @property
    def room(self) -> int:
        """Bytes that can still be written."""
        return writer_left(&self.writer)

    @property
    def written(self) -> memoryview:
        """The bytes written so far, in place."""
        return memoryview(self.memory).cast("B")[:self.writer.position]

    def rewind(self) -> None:
        """Read from the start again, and exactly what was written; clears a failed read."""
        reader_init(&self.reader, self.writer.data, self.writer.position)

    def clear(self) -> None:
        """Write from the start again; clears a failed write."""
        writer_init(&self.writer, self.writer.data, self.writer.capacity)

    def read_u8(self) -> int:
        return read_u8(&self.reader)

    def read_u16(self) -> int:
        return read_u16(&self.reader)

    def read_u32(self) -> int:
        return read_u32(&self.reader)

    def read_u64(self) -> int:
        return read_u64(&self.reader)

    def read_i64(self) -> int:
        return read_i64(&self.reader)

    def read_f32(self) -> float:
        return read_f32(&self.reader)

    def read_f64(self) -> float:
        return read_f64(&self.reader)

    def read_uvarint(self) -> int:
        """Canonical LEB128; over-long forms fail."""
        return read_uvarint(&self.reader)

    def read_varint(self) -> int:
        """ZigZag over canonical LEB128."""
        return read_varint(&self.reader)

    def read_bytes(self, size_t size) -> bytes:
        """A copy of the next `size` bytes; empty and failed if they are not there."""
        cdef const uint8_t* start = read_bytes(&self.reader, size)
        return start[:size] if start != NULL else b""

    def write_u8(self, uint8_t value) -> None:
        write_u8(&self.writer, value)

    def write_u16(self, uint16_t value) -> None:
        write_u16(&self.writer, value)

    def write_u32(self, uint32_t value) -> None:
        write_u32(&self.writer, value)

    def write_u64(self, uint64_t value) -> None:
        write_u64(&self.writer, value)

    def write_i64(self, int64_t value) -> None:
        write_i64(&self.writer, value)

    def write_f32(self, float value) -> None:
        write_f32(&self.writer, value)

    def write_f64(self, double value) -> None:
        write_f64(&self.writer, value)

    def write_uvarint(self, uint64_t value) -> None:
        """Canonical LEB128."""
        write_uvarint(&self.writer, value)

    def write_varint(self, int64_t value) -> None:
        """ZigZag over canonical LEB128."""
        write_varint(&self.writer, value)

    def write_bytes(self, const uint8_t[::1] data not None) -> None:
        """All of `data` or nothing."""
        write_bytes(&self.writer, &data[0] if data.shape[0] else NULL, data.shape[0])

"""Python door to the bit cursors, for tests and tools; the hot path cimports the kernels instead."""
from cython cimport final

from shadowland._core.base.errors import UsageError

MAX_BITS = BITS_MAX


cdef int _check_classes(uint32_t small, uint32_t medium) except -1:
    if not 1 <= small < medium <= 32:
        raise UsageError(f"class widths {small} and {medium}: they must be 1 <= small < medium <= 32")
    return 0


@final
cdef class BitBuffer:
    """Reads and writes bits of the caller's bytearray, least significant bit first.

    An operation that does not fit sets `failed` and moves nothing; later ones in that direction fail too.

    >>> buffer = BitBuffer(bytearray(1))
    >>> for bit in (1, 0, 1, 1): buffer.write(bit, 1)
    >>> buffer.written.hex()
    '0d'
    """
    cdef uint8_t[::1] memory
    cdef BitReader reader
    cdef BitWriter writer

    def __cinit__(self, uint8_t[::1] memory not None):
        cdef uint8_t* start = &memory[0] if memory.shape[0] else NULL
        self.memory = memory
        bit_reader_init(&self.reader, start, memory.shape[0])
        bit_writer_init(&self.writer, start, memory.shape[0])

    @property
    def failed(self) -> bool:
        """True once a read or a write failed."""
        return self.reader.failed or self.writer.failed

    @property
    def read_position(self) -> int:
        """Bits read so far."""
        return self.reader.position

    @property
    def write_position(self) -> int:
        """Bits written so far."""
        return self.writer.position

    @property
    def written(self) -> bytes:
        """A copy of the bytes written so far, the last one padded with zeros."""
        return self.writer.data[:bits_bytes(self.writer.position)] if self.writer.position else b""

    def read(self, uint32_t count) -> int:
        """The next `count` bits (0 to MAX_BITS) as an unsigned number."""
        return read_bits(&self.reader, count)

    def write(self, uint64_t value, uint32_t count) -> None:
        """The lowest `count` bits (0 to MAX_BITS) of `value`; an enum.IntFlag will do."""
        write_bits(&self.writer, value, count)

    def read_class(self, uint32_t small, uint32_t medium) -> int:
        """A class-coded integer with payload widths 1 <= small < medium <= 32 (UsageError otherwise)."""
        _check_classes(small, medium)
        return read_class(&self.reader, small, medium)

    def write_class(self, int32_t value, uint32_t small, uint32_t medium) -> None:
        """`value` (i32) in the smallest class that holds it; widths as in read_class."""
        _check_classes(small, medium)
        write_class(&self.writer, value, small, medium)

    def read_padding(self) -> bool:
        """Go to the next whole byte; False if a skipped bit was not zero."""
        return read_padding(&self.reader)

    def write_padding(self) -> None:
        """Go to the next whole byte with zeros."""
        write_padding(&self.writer)


def class_size(int32_t value, uint32_t small, uint32_t medium) -> int:
    """Bits that write_class takes for `value`."""
    _check_classes(small, medium)
    return class_bits(value, small, medium)

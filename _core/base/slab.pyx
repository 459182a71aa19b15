"""Python door to the slab, for tests and tools; the hot path cimports the kernels instead."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cython cimport final

BLOCK = SLAB_BLOCK

@final
cdef class Blocks:
    """A slab of `capacity` blocks."""
    cdef Slab state

    def __cinit__(self, capacity: int):
        if not slab_init(&self.state, capacity):
            raise MemoryError

    def __dealloc__(self):
        slab_free(&self.state)

    def store(self, data: bytes) -> int | None:
        """Copy `data` into a new chain; None, and nothing is taken, when there are not enough blocks."""
        cdef uint32_t chain = slab_store(&self.state, <const uint8_t*><const char*>data, <uint32_t>len(data))
        return None if chain == <uint32_t>SLAB_NONE else chain

    def load(self, chain: int, length: int) -> bytes:
        """The first `length` bytes of a chain, which must hold as many."""
        data = PyBytes_FromStringAndSize(NULL, length)
        slab_load(&self.state, chain, <uint8_t*><char*>data, length)
        return data

    def release(self, chain: int) -> None:
        """Give a chain back, once."""
        slab_release(&self.state, chain)

    @property
    def used(self) -> int:
        """Blocks that are taken."""
        return self.state.used

"""Python door to the generator, for tests and tools; the hot path cimports the kernels instead."""
from cython cimport final
from libc.string cimport memcmp


@final
cdef class Generator:
    """Reproducible random bytes from 32 bytes of `seed` (another length: ValueError).

    >>> Generator(bytes(32)).fill(4) == Generator(bytes(32)).fill(4)
    True
    """
    cdef Drbg state

    def __cinit__(self, seed: bytes):
        if len(seed) != DRBG_SEED_SIZE:
            raise ValueError(f"a seed has {DRBG_SEED_SIZE} bytes, not {len(seed)}")
        drbg_init(&self.state, <const uint8_t*>seed)

    def __dealloc__(self):
        drbg_wipe(&self.state)

    def __repr__(self) -> str:
        return "Generator()"

    def fill(self, length: int) -> bytes:
        """The next `length` bytes."""
        cdef bytearray out = bytearray(length)
        drbg_fill(&self.state, <uint8_t*>out, len(out))
        return bytes(out)

    def u32(self) -> int:
        """The next 4 bytes as a number."""
        return drbg_u32(&self.state)

    def u64(self) -> int:
        """The next 8 bytes as a number."""
        return drbg_u64(&self.state)

    def remembers(self, data: bytes) -> bool:
        """True if `data` (not empty) stands anywhere in the generator's memory: what was given must not."""
        cdef size_t i
        if not data:
            raise ValueError("nothing to look for")
        for i in range(sizeof(Drbg) - len(data) + 1):
            if memcmp(<const uint8_t*>&self.state + i, <const uint8_t*>data, len(data)) == 0:
                return True
        return False

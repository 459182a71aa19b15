"""Python door to the hash table, for tests and tools; the hot path cimports the kernels instead."""
from cython cimport final

@final
cdef class Numbers:
    """A table from numbers of 64 bits to numbers of 32 bits (0 to 2**32 - 2)."""
    cdef Table state

    def __cinit__(self, capacity: int, secret: int = 0):
        if not table_init(&self.state, capacity, secret):
            raise MemoryError

    def __dealloc__(self):
        table_free(&self.state)

    def find(self, key: int) -> int | None:
        """The value of `key`, None if there is none."""
        cdef uint32_t value = table_find(&self.state, key)
        return None if value == <uint32_t>TABLE_NONE else value

    def insert(self, key: int, value: int) -> bool:
        """Add `key` or give it another value; False when the table is full."""
        return bool(table_insert(&self.state, key, value))

    def remove(self, key: int) -> None:
        """Take `key` out if it is there."""
        table_remove(&self.state, key)

    def home(self, key: int) -> int:
        """Where the search for `key` begins."""
        return table_home(&self.state, key)

    def __len__(self) -> int:
        return self.state.count

"""Python door to fragments, for tests and tools; the hot path cimports the kernels instead."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cython cimport final
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free

from shadowland._core.base.slab cimport Slab, slab_free, slab_init

SETS = FRAGMENT_SETS
SETS_PER_SESSION = FRAGMENT_SETS_PER_SESSION
PARTS = FRAGMENT_PARTS
SIZE = FRAGMENT_SIZE
LIFE_US = FRAGMENT_LIFE_US
STORED = FRAGMENT_STORED
DUPLICATE = FRAGMENT_DUPLICATE
BAD = FRAGMENT_BAD
NO_ROOM = FRAGMENT_NO_ROOM

@final
cdef class Assembly:
    """Sets of parts with a slab of their own."""
    cdef Fragments* state
    cdef Slab slab

    def __cinit__(self, blocks: int = 4096):
        self.state = <Fragments*>calloc(1, sizeof(Fragments))
        if self.state == NULL or not slab_init(&self.slab, blocks):
            raise MemoryError
        fragments_init(self.state)

    def __dealloc__(self):
        free(self.state)
        slab_free(&self.slab)

    def add(self, connection: int, id: int, index: int, count: int, data: bytes, now_us: int,
            head: int = 0) -> bytes | int:
        """Keep one part; the whole message when it was the last one, else STORED, DUPLICATE, BAD or NO_ROOM."""
        cdef FragmentSet* complete
        cdef int kept = fragment_add(self.state, &self.slab, connection, id, index, count, head,
                                     <const uint8_t*><const char*>data, <uint32_t>len(data), now_us, &complete)
        if kept != FRAGMENT_COMPLETE:
            return kept
        message = PyBytes_FromStringAndSize(NULL, fragment_length(complete))
        fragment_read(complete, &self.slab, <uint8_t*><char*>message)
        fragment_drop(self.state, &self.slab, complete)
        return message

    def sweep(self, now_us: int) -> None:
        """Drop what is too old."""
        fragments_sweep(self.state, &self.slab, now_us)

    def forget(self, connection: int) -> None:
        """A session ended."""
        fragments_forget(self.state, &self.slab, connection)

    @property
    def counters(self) -> tuple[int, int, int, int]:
        """(sets, blocks in use, sets given up for age, sets given up for need)."""
        return self.state.live, self.slab.used, self.state.expired, self.state.evicted

"""Python door to reliable ordered delivery, for tests and tools; the hot path cimports the kernels instead."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cython cimport final
from libc.stdint cimport uint8_t

from shadowland._core.base.slab cimport Slab, slab_free, slab_init, slab_load

WINDOW = RELIABLE_WINDOW
POSITIONS = RELIABLE_POSITIONS
UNIT_SIZE = RELIABLE_UNIT_SIZE
MESSAGE_LIMIT = RELIABLE_MESSAGE_LIMIT
STORED = UNIT_STORED
DUPLICATE = UNIT_DUPLICATE
NO_ROOM = UNIT_NO_ROOM
BEYOND_WINDOW = UNIT_BEYOND_WINDOW
BAD_FRAGMENT = UNIT_BAD_FRAGMENT

@final
cdef class Sender:
    """The sending half with a slab of its own. Units are numbered from `start`, which lets tests begin anywhere."""
    cdef ReliableSend state
    cdef Slab slab
    cdef uint32_t quota

    def __cinit__(self, blocks: int = 1024, quota: int = 1024, start: int = 0):
        if not slab_init(&self.slab, blocks):
            raise MemoryError
        self.quota = quota
        self.state.base = self.state.next = self.state.rescan = start

    def __dealloc__(self):
        slab_free(&self.slab)

    def queue(self, message: bytes) -> bool:
        """Cut a message into units; False, and nothing is kept, when there is no room."""
        return bool(reliable_queue(&self.state, &self.slab, 0, <const uint8_t*><const char*>message,
                                   <uint32_t>len(message), self.quota))

    def take(self) -> tuple[int, int, int, bytes] | None:
        """The oldest unit that waits and that the window lets through: (number, index, count, bytes). In flight now."""
        cdef uint64_t number
        cdef Unit* unit
        if not reliable_next(&self.state, &number):
            return None
        unit = &self.state.units[number & RELIABLE_MASK]
        data = PyBytes_FromStringAndSize(NULL, unit.length)
        slab_load(&self.slab, unit.chain, <uint8_t*><char*>data, unit.length)
        unit.state = UNIT_IN_FLIGHT
        return number, unit.index, unit.count, data

    def acked(self, first: int, count: int) -> None:
        """Units from `first` on arrived."""
        reliable_acked(&self.state, &self.slab, <uint32_t>(first & 0xFFFFFFFF), count)

    def lost(self, first: int, count: int) -> bool:
        """The packet that held them is lost; True if any of them waits again."""
        return bool(reliable_lost(&self.state, <uint32_t>(first & 0xFFFFFFFF), count))

    @property
    def outstanding(self) -> tuple[int, int]:
        """(oldest unit that is not acknowledged, number of the next one)."""
        return self.state.base, self.state.next

    @property
    def blocks_used(self) -> int:
        """Blocks of the slab that are taken."""
        return self.slab.used

    def clear(self) -> None:
        """Forget everything."""
        reliable_send_clear(&self.state, &self.slab)


@final
cdef class Receiver:
    """The receiving half with a slab of its own."""
    cdef ReliableReceive state
    cdef Slab slab
    cdef uint32_t quota

    def __cinit__(self, blocks: int = 1024, quota: int = 1024, start: int = 0):
        if not slab_init(&self.slab, blocks):
            raise MemoryError
        self.quota = quota
        self.state.expected = self.state.missing = start

    def __dealloc__(self):
        slab_free(&self.slab)

    def receive(self, low: int, index: int, count: int, data: bytes) -> int:
        """Keep a unit of which the low 16 bits of the number are known; returns STORED, DUPLICATE, NO_ROOM, ..."""
        return reliable_receive(&self.state, &self.slab, 0, low, index, count, <const uint8_t*><const char*>data,
                                <uint32_t>len(data), self.quota)

    def take(self) -> bytes | int | None:
        """The next message if it is whole, None if it is not, -1 if its parts cannot belong together."""
        cdef uint32_t units, length, i, done = 0
        cdef uint64_t number
        cdef int ready = reliable_ready(&self.state, &units, &length)
        if ready <= 0:
            return -1 if ready else None
        data = PyBytes_FromStringAndSize(NULL, length)
        for i in range(units):
            number = (self.state.expected + i) & RELIABLE_MASK
            slab_load(&self.slab, self.state.units[number].chain, <uint8_t*><char*>data + done,
                      self.state.units[number].length)
            done += self.state.units[number].length
        reliable_taken(&self.state, &self.slab, units)
        return data

    @property
    def progress(self) -> tuple[int, int]:
        """(first unit not delivered, first unit not received)."""
        return self.state.expected, self.state.missing

    @property
    def blocks_used(self) -> int:
        """Blocks of the slab that are taken."""
        return self.slab.used

    def clear(self) -> None:
        """Forget everything."""
        reliable_receive_clear(&self.state, &self.slab)

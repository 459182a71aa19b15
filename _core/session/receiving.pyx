"""Python door to the receiving half of reliable delivery, for tests; the hot path cimports the kernels instead."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cython cimport final

from shadowland._core.base.slab cimport slab_free, slab_init

KEPT = UNIT_KEPT
DUPLICATE = UNIT_DUPLICATE
NO_ROOM = UNIT_NO_ROOM
BEYOND_WINDOW = UNIT_BEYOND_WINDOW
BAD = UNIT_BAD
OVER_LIMIT = UNIT_OVER_LIMIT
BLOCKS_ASIDE = RECEIVE_BLOCKS

@final
cdef class Receiver:
    """The receiving half with a slab of its own, and a place for `room` messages that are whole."""
    cdef ReliableReceive state
    cdef Claims claims
    cdef Slab slab
    cdef uint32_t quota
    cdef list messages
    cdef readonly int room

    def __cinit__(self, blocks: int = 4096, quota: int = 4096, start: int = 0, room: int = 1 << 30):
        if not slab_init(&self.slab, blocks):
            raise MemoryError
        self.quota = quota
        self.state.expected = self.state.missing = self.state.newest = start
        self.messages = []
        self.room = room

    def __dealloc__(self):
        slab_free(&self.slab)

    cdef bint _deliver(self, Ready* ready):
        if self.room == 0:
            return False
        self.room -= 1
        data = PyBytes_FromStringAndSize(NULL, ready_length(ready))
        ready_load(&self.slab, ready, <uint8_t*><char*>data)
        self.messages.append((ready.unit.stream, data))
        reliable_taken(&self.state, &self.slab, &self.claims, ready)
        return True

    cdef int _go_on(self, uint8_t stream):
        cdef uint64_t cursor = 0
        cdef uint8_t buffer[RELIABLE_UNIT_SIZE]
        cdef Ready ready
        cdef int found
        while True:
            found = reliable_ready(&self.state, &self.slab, &self.claims, stream, &cursor, buffer, &ready)
            if found != UNIT_READY:
                return UNIT_KEPT if found == UNIT_NOTHING or found == UNIT_NO_ROOM else found
            if not self._deliver(&ready):
                reliable_untaken(&self.state, &self.slab, &self.claims, &ready, self.quota)
                return UNIT_KEPT

    def receive(self, stream: int, low: int, message: int, index: int, count: int, data: bytes,
                compressed: bool = False) -> int:
        """A unit arrived; of its number and message the low 16 bits are known. KEPT, DUPLICATE, NO_ROOM, ..."""
        cdef Ready ready
        cdef Arrived unit
        cdef int kept
        unit.chain = 0
        unit.length, unit.index, unit.count, unit.message = len(data), index, count, message
        unit.stream, unit.state, unit.aside, unit.compressed = stream, 0, 0, compressed
        kept = reliable_receive(&self.state, &self.slab, &self.claims, low, &unit,
                                <const uint8_t*><const char*>data, self.quota, &ready)
        if kept == UNIT_READY:
            kept = UNIT_KEPT
            if not self._deliver(&ready) and not reliable_untaken(&self.state, &self.slab, &self.claims, &ready,
                                                                  self.quota):
                kept = UNIT_NO_ROOM
        return self._go_on(stream) if kept == UNIT_KEPT else kept

    def make_room(self, messages: int) -> int:
        """There is room for so many whole messages now: those that wait for it come out. KEPT, or why it must close."""
        cdef int found
        self.room = messages
        for stream in range(STREAM_COUNT):
            found = self._go_on(stream)
            if found != UNIT_KEPT:
                return found
        return UNIT_KEPT

    def take(self) -> list[tuple[int, bytes]]:
        """The messages that were whole and in turn since the last call, with their streams."""
        found, self.messages = self.messages, []
        return found

    @property
    def progress(self) -> tuple[int, int, int]:
        """(first unit that is not done with, first unit not received, units of messages that are put together)."""
        return self.state.expected, self.state.missing, self.state.begun

    @property
    def blocks_used(self) -> int:
        """Blocks of the slab that are taken; never more than is claimed."""
        if self.claims.held + self.claims.control < self.slab.used:
            raise AssertionError(f"{self.claims.held} + {self.claims.control} claimed, {self.slab.used} taken")
        return self.slab.used

    @property
    def blocks_claimed(self) -> int:
        """Blocks of the slab that are taken or set aside."""
        return self.claims.held + self.claims.control

    def clear(self) -> None:
        """Forget everything."""
        reliable_receive_clear(&self.state, &self.slab, &self.claims)

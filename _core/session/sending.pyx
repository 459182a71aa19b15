"""Python door to the sending half of reliable delivery, for tests; the hot path cimports the kernels instead."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cython cimport final

from shadowland._core.base.slab cimport slab_free, slab_init

from shadowland._core.session cimport channel

WINDOW = RELIABLE_WINDOW
POSITIONS = RELIABLE_POSITIONS
UNIT_SIZE = RELIABLE_UNIT_SIZE
MESSAGE_LIMIT = RELIABLE_MESSAGE_LIMIT
MESSAGE_UNITS = channel.RELIABLE_MESSAGE_UNITS
UNITS_BEGUN = RECEIVE_UNITS
CONTROL = STREAM_CONTROL
UNORDERED_PARTS = STREAM_UNORDERED_PARTS
UNORDERED = STREAM_UNORDERED

@final
cdef class Sender:
    """The sending half with a slab of its own. Units are numbered from `start`, which lets tests begin anywhere."""
    cdef ReliableSend state
    cdef Claims claims
    cdef Slab slab
    cdef uint32_t quota

    def __cinit__(self, blocks: int = 4096, quota: int = 4096, start: int = 0):
        if not slab_init(&self.slab, blocks):
            raise MemoryError
        self.quota = quota
        self.state.base = self.state.next = self.state.rescan = start

    def __dealloc__(self):
        slab_free(&self.slab)

    def queue(self, stream: int, message: bytes, ticket: int = 0) -> bool:
        """Keep a message (kind ‖ payload, at least its kind); False, and nothing is kept, when there is no room."""
        cdef const uint8_t* data = <const uint8_t*><const char*>message
        if not message:
            raise ValueError("a message has a kind at least")
        return bool(reliable_queue(&self.state, &self.slab, &self.claims, stream, ticket, data[0], data + 1,
                                   <uint32_t>len(message) - 1, False, self.quota))

    def take(self) -> tuple[int, int, int, int, int, bytes] | None:
        """The unit that goes next: (number, stream, message, index, count, bytes), count 0 for a whole message. It
        is in flight now."""
        cdef uint64_t number
        cdef SendUnit* unit
        cdef SendMessage* message
        if not reliable_next(&self.state, &self.slab, &number):
            return None
        unit = &self.state.units[number & RELIABLE_MASK]
        message = message_at(&self.slab, unit.message)
        data = PyBytes_FromStringAndSize(NULL, unit.length)
        unit_load(&self.slab, unit, <uint8_t*><char*>data)
        unit.state = UNIT_IN_FLIGHT
        return (number, message.stream, message.number, unit.index, message.units if message.units > 1 else 0, data)

    @property
    def wants(self) -> bool:
        """Whether `take` has a unit."""
        return bool(reliable_wants(&self.state, &self.slab))

    def acked(self, first: int, count: int) -> None:
        """Units from `first` on arrived."""
        reliable_acked(&self.state, &self.slab, &self.claims, <uint32_t>(first & 0xFFFFFFFF), count)

    def lost(self, first: int, count: int) -> bool:
        """The packet that held them is lost; True if any of them waits again."""
        return bool(reliable_lost(&self.state, <uint32_t>(first & 0xFFFFFFFF), count))

    def probe(self) -> None:
        """The oldest units go again, as many as two datagrams hold."""
        reliable_probe(&self.state)

    def told(self) -> list[tuple[int, bool]]:
        """(ticket, arrived) of the messages that came to their end since the last call."""
        found = []
        while self.state.told_count:
            message = message_at(&self.slab, self.state.told_head)
            found.append((message.ticket, bool(message.delivered)))
            reliable_told(&self.state, &self.slab, &self.claims)
        return found

    @property
    def outstanding(self) -> tuple[int, int, int, int]:
        """(oldest unit that is not acknowledged, number of the next one, units without a number, units begun)."""
        return self.state.base, self.state.next, self.state.uncut, self.state.begun

    @property
    def blocks_used(self) -> int:
        """Blocks of the slab that are taken; the claims say the same."""
        if self.claims.held + self.claims.control != self.slab.used:
            raise AssertionError(f"{self.claims.held} + {self.claims.control} claimed, {self.slab.used} taken")
        return self.slab.used

    def end(self) -> None:
        """The session is over."""
        reliable_send_end(&self.state, &self.slab, &self.claims)

"""Python door to acknowledgments, for tests and tools; the hot path cimports the kernels instead."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cython cimport final
from libc.stdint cimport uint8_t
from libc.string cimport memset

POSITIONS = ACK_POSITIONS

@final
cdef class Acks:
    """What one side has stored, and what it may still have to say of it.

    >>> acks = Acks()
    >>> acks.note(0, 1000), acks.pack(1256).hex()
    (None, '010001')
    """
    cdef AckState state

    def __cinit__(self):
        memset(&self.state, 0, sizeof(self.state))

    def note(self, sequence: int, time_us: int, eliciting: bool = True, max_delay_us: int = 25_000,
             next_own_sequence: int = 0) -> None:
        """A packet was kept whole; `next_own_sequence` is the number of the next packet sent from here."""
        ack_note(&self.state, sequence, time_us, eliciting, max_delay_us, next_own_sequence)

    def withdraw(self, sequence: int) -> None:
        """Do not acknowledge `sequence` after all."""
        ack_withdraw(&self.state, sequence)

    def pack(self, now_us: int) -> bytes:
        """The block that the next packet carries."""
        cdef uint8_t out[ACK_BLOCK_MAX]
        cdef uint32_t length = ack_pack(&self.state, out, now_us)
        return PyBytes_FromStringAndSize(<char*>out, length)

    def confirm(self, own_sequence: int, said_newest: int) -> None:
        """The peer acknowledged our packet `own_sequence`, whose block named `said_newest`."""
        ack_confirm(&self.state, own_sequence, said_newest)

    @property
    def newest(self) -> int | None:
        """Newest sequence stored, None before any."""
        return self.state.newest if self.state.some else None

    @property
    def deadline_us(self) -> int:
        """When a packet must carry the block at the latest; 0: nothing waits, 1: now."""
        return self.state.deadline_us


def parse(data: bytes, largest_acked: int) -> tuple[int, int | None, int, bytes] | None:
    """(length of the block, newest or None, delay in us, bitfield) from the start of a body; None: malformed."""
    cdef AckBlock block
    cdef int length
    memset(&block, 0, sizeof(block))
    length = ack_parse(<const uint8_t*><const char*>data, <uint32_t>len(data), largest_acked, &block)
    if length < 0:
        return None
    if not block.some:
        return length, None, 0, b""
    return length, block.newest, block.delay_us, (<const char*>block.bits)[:block.bytes]

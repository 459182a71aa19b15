"""Python door to loss recovery, for tests and tools; the hot path cimports the kernels instead."""
from cython cimport final
from libc.string cimport memset

@final
cdef class Tracker:
    """Packets in flight of one direction and the round trip they measure."""
    cdef Recovery state

    def __cinit__(self):
        recovery_init(&self.state)

    def sent(self, now_us: int, eliciting: bool = True, size: int = 100) -> int:
        """A packet leaves; returns its sequence. What the ring pushes out counts as lost."""
        cdef SentPacket packet
        cdef SentPacket* evicted = recovery_evicted(&self.state)
        if evicted != NULL:
            recovery_landed(&self.state, evicted, SENT_LOST)
        memset(&packet, 0, sizeof(packet))
        packet.flags = SENT_ELICITING if eliciting else 0
        packet.size = size
        recovery_sent(&self.state, &packet, now_us)
        return self.state.next_sequence - 1

    def acked(self, sequence: int) -> bool:
        """`sequence` was acknowledged; False if it is not in flight."""
        cdef SentPacket* packet = recovery_slot(&self.state, sequence)
        if not self.state.acked_some or sequence > self.state.largest_acked:
            self.state.largest_acked = sequence
            self.state.acked_some = True
        if packet == NULL or packet.state != SENT_IN_FLIGHT:
            return False
        recovery_landed(&self.state, packet, SENT_ACKED)
        return True

    def sample(self, rtt_us: int, delay_us: int) -> None:
        """A round trip was measured; `delay_us` of it the peer claims for itself."""
        recovery_sample(&self.state, rtt_us, delay_us)

    def lost(self, now_us: int) -> list[int]:
        """Sequences that count as lost by now."""
        cdef uint64_t cursor = self.state.oldest
        cdef SentPacket* packet
        found = []
        while True:
            packet = recovery_next_lost(&self.state, &cursor, now_us)
            if packet == NULL:
                return found
            recovery_landed(&self.state, packet, SENT_LOST)
            found.append(packet.sequence)

    def pto_us(self, max_ack_delay_us: int, count: int = 0) -> int:
        """The probe timeout after `count` probes without an answer."""
        self.state.pto_count = count
        return recovery_pto(&self.state, max_ack_delay_us)

    def deadline_us(self, max_ack_delay_us: int) -> int:
        """When it wants to be looked at again, 0 for never."""
        return recovery_deadline(&self.state, max_ack_delay_us)

    @property
    def rtt_us(self) -> tuple[int, int, int]:
        """(smoothed, variance, least) round trip."""
        return self.state.smoothed_rtt_us, self.state.rtt_variance_us, self.state.min_rtt_us

    @property
    def in_flight(self) -> tuple[int, int]:
        """(bytes, eliciting packets) that nothing is known of."""
        return self.state.bytes_in_flight, self.state.eliciting_in_flight

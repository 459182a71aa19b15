"""Python door to the estimate of the peer's clock, for tests and tools; the hot path cimports the kernels instead."""
from cython cimport final

@final
cdef class PeerClock:
    """How far the peer's clock is ahead of ours, from answered pings. Times in microseconds."""
    cdef Clock state

    def __cinit__(self):
        clock_init(&self.state)

    def sample(self, offset_us: int, rtt_us: int, now_us: int) -> None:
        """A ping was answered: theirs less ours (modulo 2**64), the round trip, our time."""
        clock_sample(&self.state, <uint64_t>(offset_us & 0xFFFFFFFFFFFFFFFF), rtt_us, now_us)

    @property
    def offset_us(self) -> int:
        """Theirs less ours at the last sample, as a signed number; 0 before the first."""
        return <int64_t>clock_offset(&self.state)

    @property
    def drift_ppb(self) -> int:
        """How much faster theirs runs, in nanoseconds a second; 0 while not known."""
        return self.state.drift_ppb

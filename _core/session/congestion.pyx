"""Python door to congestion control, for tests and tools; the hot path cimports the kernels instead."""
from cython cimport final

@final
cdef class Estimator:
    """The rate of one session, as its packets, acknowledgments and losses make it. Times in microseconds."""
    cdef Congestion state

    def __cinit__(self, burst_us: int, now_us: int):
        congestion_init(&self.state, burst_us, now_us)

    def refill(self, now_us: int) -> None:
        """Credit for the time since the last refill."""
        congestion_refill(&self.state, now_us)

    def spend(self, size: int) -> None:
        """A packet of `size` bytes leaves."""
        congestion_spend(&self.state, size)

    def probe(self, size: int) -> None:
        """A probe of `size` bytes leaves."""
        congestion_probe(&self.state, size)

    def due_us(self, now_us: int) -> int:
        """When there will be credit, if nothing is spent meanwhile."""
        return congestion_due(&self.state, now_us)

    def acked(self, size: int) -> None:
        """A packet of `size` bytes was acknowledged."""
        congestion_acked(&self.state, size)

    def lost(self) -> None:
        """A packet counts as lost."""
        congestion_lost(&self.state)

    def late(self) -> None:
        """A packet that counted as lost was acknowledged after all."""
        congestion_late(&self.state)

    def sample(self, path_us: int, now_us: int) -> None:
        """A round trip was measured, the peer's delay taken off."""
        congestion_sample(&self.state, path_us, now_us)

    def look(self, newest: int, next_sequence: int, in_flight: int, now_us: int) -> None:
        """Packet `newest` was acknowledged, newer than all before; `next_sequence` leaves next, `in_flight` bytes are
        under way."""
        congestion_look(&self.state, newest, next_sequence, in_flight, now_us)

    def collapse(self, least: int, now_us: int) -> None:
        """Persistent congestion: begin anew at `least` bytes a second."""
        congestion_collapse(&self.state, least, now_us)

    def restart(self, next_sequence: int, now_us: int) -> None:
        """The session moved to another path; `next_sequence` is the first packet there."""
        congestion_restart(&self.state, next_sequence, now_us)

    @property
    def values(self) -> dict[str, int | list[int]]:
        """Everything it knows, by the names of the struct."""
        return dict(self.state)

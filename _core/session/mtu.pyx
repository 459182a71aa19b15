"""Python door to the search for the path's MTU, for tests; the endpoint cimports the kernels instead."""
from cython cimport final
from libc.stdint cimport uint16_t

LOWEST = MTU_LOWEST
PROBES, BLACK_HOLE = MTU_PROBES, MTU_BLACK_HOLE
FIRST_US, PROBE_US, RAISE_US, RETRY_US = MTU_FIRST_US, MTU_PROBE_US, MTU_RAISE_US, MTU_RETRY_US


@final
cdef class Search:
    """The search of one session; `mtu` is what holds now."""
    cdef MtuSearch state
    cdef readonly uint16_t mtu

    def __init__(self, mtu: int, limit: int, now_us: int) -> None:
        self.mtu = mtu
        mtu_begin(&self.state, mtu, limit, now_us)

    def due(self, now_us: int) -> int:
        """Size of the probe to be sent now, 0 for none."""
        return mtu_due(&self.state, self.mtu, now_us)

    def sent(self, size: int, sequence: int, now_us: int, patience_us: int) -> None:
        """A probe left."""
        mtu_probe_sent(&self.state, size, sequence, now_us, patience_us)

    def acked(self, size: int, now_us: int) -> None:
        """A probe of `size` arrived."""
        self.mtu = mtu_probe_acked(&self.state, self.mtu, size, now_us)

    def lost(self, sequence: int, now_us: int) -> None:
        """The probe `sequence` is lost."""
        mtu_probe_lost(&self.state, sequence, now_us)

    def long_lost(self, now_us: int) -> None:
        """A pass over the packets in flight found long ones lost."""
        self.mtu = mtu_pass_lost(&self.state, self.mtu, now_us)

    def long_acked(self) -> None:
        """A long packet arrived."""
        self.state.passes = 0

    @property
    def due_us(self) -> int:
        """When to look at it again, 0 for never."""
        return self.state.due_us

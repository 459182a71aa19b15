"""Python door to batches of datagrams."""
import numpy as np

from cython cimport final

from shadowland._core.base.buffer cimport pointer
from shadowland._core.base.records cimport FAMILY_NONE, address_clear, address_format, address_parse

from shadowland._core.base import records


@final
cdef class DatagramBatch:
    """`capacity` slots of `slot_size` bytes for datagrams; all memory is allocated here, once.

    ValueError if either is not positive or beyond 65,536. The arena takes capacity * slot_size bytes.

    >>> batch = DatagramBatch(capacity=2, slot_size=64)
    >>> batch.append(b"hello", ("127.0.0.1", 3565))
    True
    >>> batch.count, batch[0], batch.remote(0)
    (1, b'hello', ('127.0.0.1', 3565))
    """

    def __init__(self, capacity: int = 256, slot_size: int = 1536) -> None:
        if self._arena is not None:
            raise TypeError("a DatagramBatch is initialised once: its memory may be in use")
        if not 0 < capacity <= BATCH_MAX_CAPACITY:
            raise ValueError(f"capacity {capacity} of a DatagramBatch is outside 1 to {BATCH_MAX_CAPACITY}")
        if not 0 < slot_size <= BATCH_MAX_SLOT:
            raise ValueError(f"slot_size {slot_size} of a DatagramBatch is outside 1 to {BATCH_MAX_SLOT}")
        self._datagrams = np.zeros(capacity, dtype=records.DATAGRAM_DTYPE)
        self._arena = np.zeros((capacity, slot_size), dtype=np.uint8)
        self.state.datagrams = <Datagram*>pointer(self._datagrams)
        self.state.arena = <uint8_t*>pointer(self._arena)
        self.state.capacity = capacity
        self.state.slot_size = slot_size

    @property
    def count(self) -> int:
        """Datagrams in the batch."""
        return self.state.count

    @property
    def capacity(self) -> int:
        """Datagrams that the batch can hold."""
        return self.state.capacity

    @property
    def slot_size(self) -> int:
        """Most bytes that one datagram can have."""
        return self.state.slot_size

    @property
    def datagrams(self):
        """Records of the datagrams in the batch: a read-only view, shape (count,), dtype DATAGRAM_DTYPE."""
        view = self._datagrams[:self.state.count]
        view.flags.writeable = False            # a length beyond its slot would send kernels out of the arena
        return view

    @property
    def arena(self):
        """All payload memory: a view, shape (capacity, slot_size), dtype uint8; datagram i begins row i."""
        return self._arena

    def __len__(self) -> int:
        return self.state.count

    cdef uint32_t _index(self, object i) except? 0xFFFFFFFF:
        if not 0 <= i < self.state.count:
            raise IndexError(f"datagram {i} of a batch of {self.state.count}")
        return i

    def __getitem__(self, i: int) -> bytes:
        """Payload of datagram `i`, copied; IndexError outside 0 to count - 1."""
        cdef uint32_t index = self._index(i)
        return (<const char*>batch_data(&self.state, index))[:self.state.datagrams[index].length]

    def remote(self, i: int) -> tuple[str, int]:
        """(host, port) of the other side of datagram `i`."""
        return address_format(&self.state.datagrams[self._index(i)].remote)

    def local(self, i: int) -> tuple[str, int] | None:
        """(host, port) of our side of datagram `i`; None if it is not set."""
        cdef uint32_t index = self._index(i)
        if self.state.datagrams[index].local.family == FAMILY_NONE:
            return None
        return address_format(&self.state.datagrams[index].local)

    def clear(self) -> None:
        """Forget all datagrams; the memory stays."""
        self.state.count = 0

    def append(self, data, remote: tuple[str, int], local: tuple[str, int] | None = None, time_us: int = 0) -> bool:
        """Add a datagram to or from `remote`, copying `data` (bytes-like, one byte items).

        `local` is the source address to send from where a socket has many. False, and nothing changes, if the batch
        is full or `data` longer than a slot; ValueError if an address is not numeric text and a port.
        """
        cdef Address remote_address, local_address
        cdef const uint8_t[::1] view = data
        cdef uint32_t length
        address_parse(&remote_address, remote[0], remote[1])
        address_clear(&local_address)
        if local is not None:
            address_parse(&local_address, local[0], local[1])
        if view.shape[0] > BATCH_MAX_SLOT:
            return False
        length = <uint32_t>view.shape[0]
        return bool(batch_append(
            &self.state, &view[0] if length else NULL, length, &remote_address, &local_address, time_us,
        ))

    def drop_front(self, n: int) -> None:
        """Take the first `n` datagrams out; the others move up in order. ValueError if `n` is not 0 to count."""
        if not 0 <= n <= self.state.count:
            raise ValueError(f"cannot take {n} datagrams from a batch of {self.state.count}")
        batch_drop_front(&self.state, n)

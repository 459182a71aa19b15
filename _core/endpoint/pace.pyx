"""Python door to what may leave when: byte budgets of a tick, and what waits for its turn between ticks."""
import numpy as np

from libc.stdint cimport uint32_t, uint64_t

from shadowland._core.base.batch cimport DatagramBatch
from shadowland._core.endpoint.endpoint cimport Endpoint
from shadowland._core.endpoint.outbound cimport endpoint_pace
from shadowland._core.endpoint.state cimport EndpointState

from shadowland._core.base.errors import UsageError


def budgets(Endpoint endpoint not None, slots, most: int, now_us: int):
    """Server, once a tick before snapshots are made: bytes of snapshots that each of these sessions may be sent now.

    slots: uint32, the lower halves of handles, each at most once. most: bytes that none is given more than. Returns
    uint32, one for each; 0 where nothing may be sent in this tick.
    """
    cdef const uint32_t[::1] asked = np.ascontiguousarray(slots, np.uint32)
    cdef EndpointState* state = &endpoint.state
    cdef uint64_t now = now_us
    cdef uint32_t limit = most
    cdef Py_ssize_t i, count = asked.shape[0]
    out = np.zeros(count, np.uint32)
    cdef uint32_t[::1] given = out
    with nogil:
        for i in range(count):
            if asked[i] < state.limits.capacity:
                given[i] = snapshot_budget(state, &state.connections[asked[i]], limit, now)
    return out


def pace(Endpoint endpoint not None, DatagramBatch batch not None, now_us: int) -> bool:
    """Between two calls of `outbound`: append what waited for its turn and may leave by now; False if `batch` is full.

    Looks only at sessions that wait, and runs nobody else's timers. Does nothing while an `outbound` is unfinished.
    """
    cdef uint64_t now = now_us
    cdef bint done
    if batch.state.slot_size < endpoint.state.limits.mtu:
        raise UsageError(f"pace: slot_size {batch.state.slot_size} of the batch holds no datagram of "
                         f"{endpoint.state.limits.mtu} bytes")
    with nogil:
        done = endpoint_pace(&endpoint.state, &batch.state, now)
    return bool(done)


def paced_us(Endpoint endpoint not None) -> int:
    """When to call `pace` next, 0 if nothing waits. Never later than it could be used."""
    return endpoint.state.paced_us

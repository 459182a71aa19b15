"""Entities of a world: their slots and the published state, the part of the door that knows no observers.

Owner    The class: all memory is taken once, in _make_state, and freed with it.
Limit    `entities` slots; MAX_KINDS classes.
Threads  The game thread.
"""
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

from shadowland._core.world.columns cimport KindTable
from shadowland._core.world.state cimport Slot, WorldState

cdef class Entities:
    cdef WorldState state
    cdef KindTable table
    cdef uint32_t* free_slots           # ring
    cdef size_t free_first
    cdef size_t free_count
    cdef uint32_t* slot_row             # row of each slot in its kind
    cdef bint masked                    # some mask was set
    cdef object columns                 # keeps the user's arrays alive
    cdef list memory                    # (address, size if in pages of its own) of all that _take() took
    cdef void* _take(self, size_t count, size_t size) except NULL
    cdef int _make_state(self, uint32_t hz, uint32_t entities, uint32_t observers, double cell,
                         double layer) except -1
    cdef Slot* _slot(self, uint64_t handle) noexcept
    cdef int _check(self, const uint64_t[::1] handles) except -1

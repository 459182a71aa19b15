"""The Endpoint as other rooms of this floor see it: their doors work on its state (players.pyx).

Owner    The class, of `state` and everything in it.
Limit    As given when it was made.
Threads  One at a time.
"""
from shadowland._core.endpoint.state cimport EndpointState

cdef class Endpoint:
    cdef EndpointState state
    cdef object _inbox
    cdef object _inbox_arena
    cdef object _outbox_arena
    cdef object _events
    cdef object _role
    cdef object _integrity
    cdef object _guard              # keeps what state.guard points to alive
    cdef int _allocate(self) except -1
    cdef int _identify(self, bytes secret) except -1

"""UdpSocket: one bound UDP socket, moving whole batches.

Owner    A UdpSocket owns its file descriptor and one Mmsg, both made when it is opened and gone when it is closed.
Limit    One batch per call; the kernel's buffers have the sizes asked for at opening.
Threads  One thread may receive, one send. Close it only when neither is inside a call.
"""
from cython cimport final
from libc.stdint cimport uint32_t, uint64_t

from shadowland._core.udp.mmsg cimport Mmsg


@final
cdef class UdpSocket:
    cdef Mmsg* mmsg
    cdef object _socket
    cdef readonly object warning
    cdef uint32_t _drops_seen
    cdef uint64_t _drops
    cdef int _adopt(self, object kernel_socket) except -1
    cdef object _judge_buffers(self, object wanted, object granted, object wanted_send, object granted_send)
    cdef int _fail(self, int code) except -1

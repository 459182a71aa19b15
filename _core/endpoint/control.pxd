"""The control stream: what the endpoints say to each other reliably and in order, before all that the application says.

Owner    Works on the endpoint's state; a message lies in the slab like any reliable one.
Limit    CONTROL_LIMIT bytes a message, its kind included; CONTROL_BLOCKS of the slab, of which CONTROL_RESERVE are
         there whatever else is full.
Threads  One at a time.

    control_queue ──▶ stream 8 ──▶ control_message (dispatch.pxd) on the other side
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from shadowland._core.endpoint.connection cimport STATE_LIVE, Connection
from shadowland._core.endpoint.delivery cimport connection_close, mark_dirty
from shadowland._core.endpoint.state cimport EndpointState
from shadowland._core.session.channel cimport STREAM_CONTROL
from shadowland._core.session.sending cimport reliable_queue

cdef enum:
    CONTROL_AUTHENTICATE = 10           # client: credentials
    CONTROL_AUTHENTICATED = 11          # server: they were taken
    CONTROL_INTEGRITY_CHALLENGE = 20    # server: nonce 16, offset u32, length u32
    CONTROL_INTEGRITY_ANSWER = 21       # client: HMAC 32

    # What a frame meant for the packet that held it.
    FRAME_FINE = 0
    FRAME_ELICITS = 1
    FRAME_NOT_KEPT = 2                  # the packet must not be acknowledged
    FRAME_ENDED = 4                     # the session was closed while reading: `connection` may be wiped

cdef inline int violation(EndpointState* state, Connection* connection, uint8_t reason, uint64_t now_us) noexcept nogil:
    """The peer broke a rule."""
    connection_close(state, connection, reason, now_us)
    return FRAME_ENDED

cdef inline bint control_queue(EndpointState* state, Connection* connection, uint8_t kind, const uint8_t* data,
                               uint32_t length) noexcept nogil:
    """Say kind ‖ data on the control stream; False when it is too long, when there is no room, or over."""
    if connection.state != STATE_LIVE:
        return False
    if not reliable_queue(&connection.send, &state.slab, &connection.claims, STREAM_CONTROL, 0, kind, data, length,
                          False, 0):
        return False
    mark_dirty(state, connection)
    return True

cdef inline bint control_acked(const Connection* connection) noexcept nogil:
    """Whether everything said on the control stream so far was acknowledged."""
    return connection.send.control == 0

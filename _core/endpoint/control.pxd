"""The control stream: what the endpoints say to each other reliably and in order, before all that the application says.

Owner    Works on the endpoint's state; a message lies in the slab like any reliable one.
Limit    CONTROL_LIMIT bytes a message, its kind included; it counts against the session's quota of blocks.
Threads  One at a time.

    control_queue ──▶ stream 8 ──▶ control_message (dispatch.pxd) on the other side
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.endpoint.connection cimport STATE_LIVE, Connection
from shadowland._core.endpoint.delivery cimport connection_close, mark_dirty
from shadowland._core.endpoint.state cimport EndpointState
from shadowland._core.session.channel cimport RELIABLE_MASK, STREAM_CONTROL, UNIT_ACKED, reliable_queue

cdef enum:
    CONTROL_LIMIT = 4096

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
    cdef uint8_t message[CONTROL_LIMIT]
    if connection.state != STATE_LIVE or length >= CONTROL_LIMIT:
        return False
    message[0] = kind
    memcpy(message + 1, data, length)
    if not reliable_queue(&connection.send, &state.slab, STREAM_CONTROL, message, length + 1,
                          state.limits.session_blocks):
        return False
    mark_dirty(state, connection)
    return True

cdef inline bint control_acked(const Connection* connection) noexcept nogil:
    """Whether everything said on the control stream so far was acknowledged."""
    cdef uint64_t number
    for number in range(connection.send.base, connection.send.next):
        if (connection.send.units[number & RELIABLE_MASK].stream == STREAM_CONTROL
                and connection.send.units[number & RELIABLE_MASK].state != UNIT_ACKED):
            return False
    return True

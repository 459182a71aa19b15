"""State joining: a client that is confirmed shows credentials, and nothing else, until the application takes them.

Owner    Works on the endpoint's state; credentials lie in Joining, one place for each slot, and are wiped when read.
Limit    CREDENTIALS_LIMIT bytes, once a session; `joining.limit` sessions in this state (more get SERVER_FULL). How
         long one may stay in it the application says (shadowland/admission.py).
Threads  One at a time.

    server   LIVE, joining 1 ──AUTHENTICATE──▶ joining 2 ──admit──▶ joining 0, AUTHENTICATED is said
    client   LIVE, joining 1 ──authenticate (says AUTHENTICATE)──▶ ... ──AUTHENTICATED──▶ joining 0

A client that sends messages of the application before it is told AUTHENTICATED breaks the rule and is closed: an honest
one holds them back, and nobody unproven should cost the application anything. Messages of the server may overtake
AUTHENTICATED on the way, so a client takes them.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.records cimport EVENT_AUTHENTICATE
from shadowland._core.base.status cimport BYE_CAPACITY, BYE_NONE, BYE_PROTOCOL_VIOLATION
from shadowland._core.endpoint.connection cimport (
    CHANNEL_CONTROL,
    CHANNEL_RELIABLE,
    STATE_LIVE,
    Connection,
    handle_slot,
)
from shadowland._core.endpoint.control cimport (
    CONTROL_AUTHENTICATED,
    FRAME_ELICITS,
    control_queue,
    violation,
)
from shadowland._core.endpoint.delivery cimport connection_close, joining_forget
from shadowland._core.endpoint.state cimport ROLE_CLIENT, ROLE_SERVER, EndpointState, event_push
from shadowland._core.endpoint.trust cimport CREDENTIALS_LIMIT, JOINING_ASKED, JOINING_WAITS, Credentials
from shadowland._core.session.channel cimport STREAM_CONTROL

cdef inline bint frame_too_early(const EndpointState* state, const uint8_t* frame, uint32_t length) noexcept nogil:
    """Server: whether a client that is still joining may not send this frame."""
    cdef uint8_t channel = frame[0] & 7
    if state.role != ROLE_SERVER or channel == CHANNEL_CONTROL:
        return False
    return not (channel == CHANNEL_RELIABLE and length > 1 and frame[1] == STREAM_CONTROL)

cdef inline int take_credentials(EndpointState* state, Connection* connection, const uint8_t* data, uint32_t length,
                                 uint64_t now_us) noexcept nogil:
    """AUTHENTICATE: keep the credentials and tell the application."""
    cdef Credentials* kept
    if state.role != ROLE_SERVER or connection.joining != JOINING_WAITS or length > CREDENTIALS_LIMIT:
        return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
    if not event_push(state, connection.handle, now_us, EVENT_AUTHENTICATE, BYE_NONE, 0):
        return violation(state, connection, BYE_CAPACITY, now_us)
    kept = &state.joining.credentials[handle_slot(connection.handle)]
    memcpy(kept.data, data, length)
    kept.length = length
    connection.joining = JOINING_ASKED
    return FRAME_ELICITS

cdef inline int take_verdict(EndpointState* state, Connection* connection, uint32_t length,
                             uint64_t now_us) noexcept nogil:
    """AUTHENTICATED: the session is the application's."""
    if state.role != ROLE_CLIENT or connection.joining == 0 or length != 0:
        return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
    if not event_push(state, connection.handle, now_us, EVENT_AUTHENTICATE, BYE_NONE, 0):
        return violation(state, connection, BYE_CAPACITY, now_us)
    connection.joining = 0
    return FRAME_ELICITS

cdef inline bint admit(EndpointState* state, Connection* connection, uint64_t now_us) noexcept nogil:
    """Server: the application took the credentials. False if the session is over, or is not joining."""
    if connection == NULL or connection.state != STATE_LIVE or connection.joining == 0 or state.role != ROLE_SERVER:
        return False
    if not control_queue(state, connection, CONTROL_AUTHENTICATED, <const uint8_t*>b"", 0):
        connection_close(state, connection, BYE_CAPACITY, now_us)
        return False
    joining_forget(state, handle_slot(connection.handle))
    connection.joining = 0
    return True

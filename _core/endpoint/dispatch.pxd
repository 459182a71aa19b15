"""Messages of the control stream, by kind (docs/protocol.md 5.4).

Owner    Works on the endpoint's state; `data` is the caller's and valid during the call.
Limit    As the control stream (control.pxd).
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from shadowland._core.base.status cimport BYE_PROTOCOL_VIOLATION
from shadowland._core.endpoint.authenticate cimport take_credentials, take_verdict
from shadowland._core.endpoint.challenge cimport take_answer_of, take_challenge
from shadowland._core.endpoint.connection cimport Connection
from shadowland._core.endpoint.control cimport (
    CONTROL_AUTHENTICATE,
    CONTROL_AUTHENTICATED,
    CONTROL_INTEGRITY_ANSWER,
    CONTROL_INTEGRITY_CHALLENGE,
    violation,
)
from shadowland._core.endpoint.rekey cimport REKEY_ASK, REKEY_RESPONSE, rekey_message
from shadowland._core.endpoint.state cimport EndpointState

cdef inline int control_message(EndpointState* state, Connection* connection, uint8_t kind, const uint8_t* data,
                                uint32_t length, uint64_t now_us) noexcept nogil:
    """Act on one; returns FRAME_ bits. A kind that does not exist, or not in this direction, is a violation."""
    if kind == CONTROL_AUTHENTICATE:
        return take_credentials(state, connection, data, length, now_us)
    if kind == CONTROL_AUTHENTICATED:
        return take_verdict(state, connection, length, now_us)
    if kind == CONTROL_INTEGRITY_CHALLENGE:
        return take_challenge(state, connection, data, length, now_us)
    if kind == CONTROL_INTEGRITY_ANSWER:
        return take_answer_of(state, connection, data, length, now_us)
    if REKEY_ASK <= kind <= REKEY_RESPONSE:
        return rekey_message(state, connection, kind, data, length, now_us)
    return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)

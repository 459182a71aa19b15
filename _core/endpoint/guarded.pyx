"""Python door to the guard's place in the path: what an application finds wrong in a message is malformed too."""
from shadowland._core.endpoint.connection cimport STATE_LIVE, Connection
from shadowland._core.endpoint.endpoint cimport Endpoint
from shadowland._core.endpoint.state cimport connection_of


def blame(Endpoint endpoint not None, handle: int, score: int, now_us: int) -> bool:
    """`score` messages of a session (at most 65,536 count) did not fit their class; False if it is over already.

    It may end by this, as the guard's rules for `bad` say.
    """
    cdef Connection* connection = connection_of(&endpoint.state, handle)
    if connection == NULL or connection.state != STATE_LIVE:
        return False
    endpoint.state.bad += min(max(score, 0), 65536)
    session_judged(&endpoint.state, connection, endpoint.state.bad - min(max(score, 0), 65536), now_us)
    return True

"""Python door to who players are: whose tokens a server takes (docs/protocol.md 2.3), who shows credentials (5.5)."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from shadowland._core.base.status cimport TOKEN_PROBLEMS
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.crypto.drbg cimport drbg_u64
from shadowland._core.crypto.token cimport TOKEN_ISSUERS, issuer_set
from shadowland._core.endpoint.authenticate cimport admit as _admit
from shadowland._core.endpoint.connection cimport FAREWELL_LIMIT, STATE_LIVE, Connection
from shadowland._core.endpoint.control cimport CONTROL_AUTHENTICATE, control_queue
from shadowland._core.endpoint.endpoint cimport Endpoint
from shadowland._core.endpoint.state cimport ROLE_CLIENT, ROLE_SERVER, connection_of
from shadowland._core.endpoint.trust cimport (
    CREDENTIALS_LIMIT,
    JOINING_ASKED,
    Claim,
    Credentials,
    trust_allocate,
    trust_time,
)

from shadowland._core.base.errors import CapacityError, UsageError

CREDENTIALS = CREDENTIALS_LIMIT
FAREWELL = FAREWELL_LIMIT


def trust(Endpoint endpoint not None, issuers: tuple[bytes, ...], *, unix_ms: int, required: bool = False,
          spent: int = 65536) -> None:
    """Server, once, before the first datagram: take the tokens of these issuers (1 to 4 public keys of 32 bytes).

    unix_ms      the time on the wall, ms since 1970: tokens issued earlier are refused. Go on with `set_unix_time`.
    required     let nobody in without a token.
    spent        how many tokens that were used and have not expired are remembered; beyond it new ones are refused.
    """
    if endpoint.state.role != ROLE_SERVER or endpoint.state.trust.issuer_count != 0:
        raise UsageError("trust: only a server takes tokens, and it is told once whose")
    if not 1 <= len(issuers) <= TOKEN_ISSUERS:
        raise UsageError(f"trust: {len(issuers)} issuers; it must be 1 to {TOKEN_ISSUERS} public keys")
    if not 1 <= spent <= 1 << 24:
        raise UsageError(f"trust: spent is {spent}; it must be 1 to {1 << 24} tokens")
    if endpoint.state.received != 0:
        raise UsageError("trust: the endpoint has received datagrams already; call it before")
    for i, public in enumerate(issuers):
        try:
            issuer_set(&endpoint.state.trust.issuers[i], public)
        except ValueError as error:
            raise UsageError(f"trust: issuer {i + 1}: {error}") from None
    if not trust_allocate(&endpoint.state.trust, endpoint.state.limits.capacity,
                          endpoint.state.limits.half_open_capacity, <uint32_t>spent, drbg_u64(&endpoint.state.drbg)):
        raise MemoryError(f"trust: no memory for {spent} spent tokens")
    endpoint.state.trust.required = required
    endpoint.state.trust.unix_ms = unix_ms
    endpoint.state.trust.since_ms = unix_ms
    endpoint.state.trust.issuer_count = <uint32_t>len(issuers)


def set_unix_time(Endpoint endpoint not None, unix_ms: int) -> None:
    """Server, once a tick: the time on the wall in ms since 1970. A clock that is set back is held until it has caught
    up, so that no spent token lives again."""
    trust_time(&endpoint.state.trust, <uint64_t>unix_ms)


def player(Endpoint endpoint not None, handle: int) -> tuple[int, bytes] | None:
    """Server: (player id, user data) of the token with which a session joined; None without one, or if it is over."""
    cdef Connection* connection = connection_of(&endpoint.state, handle)
    cdef Claim* claim
    if connection == NULL or endpoint.state.trust.issuer_count == 0:
        return None
    claim = &endpoint.state.trust.sessions[<uint32_t>connection.handle]
    return (claim.player_id, (<const char*>claim.data)[:claim.data_length]) if claim.made else None


def problems(Endpoint endpoint not None) -> tuple[int, ...]:
    """Server: how many tokens were refused, by TokenProblem."""
    # Of a list: a tuple of a generator, made again and again, fills the interpreter's list of free tuples.
    return tuple([endpoint.state.trust.problems[i] for i in range(TOKEN_PROBLEMS)])


def spent(Endpoint endpoint not None) -> int:
    """Server: how many spent tokens are remembered."""
    return endpoint.state.trust.spent_count


def refusal(Endpoint endpoint not None) -> int:
    """Client: TokenProblem of the token that a server refused last; 0 if none was."""
    return endpoint.state.rejected_detail


def require_authentication(Endpoint endpoint not None, joining: int = 1024) -> None:
    """Server, once, before the first datagram: sessions begin in state joining, where they show credentials.

    At most `joining` are in that state at once; more are refused with SERVER_FULL.
    """
    if endpoint.state.role != ROLE_SERVER or endpoint.state.joining.required:
        raise UsageError("require_authentication: only a server asks for credentials, and it is told once")
    if not 1 <= joining <= 1 << 20:
        raise UsageError(f"require_authentication: joining is {joining}; it must be 1 to {1 << 20} sessions")
    if endpoint.state.received != 0:
        raise UsageError("require_authentication: the endpoint has received datagrams already; call it before")
    endpoint.state.joining.credentials = <Credentials*>calloc(endpoint.state.limits.capacity, sizeof(Credentials))
    if endpoint.state.joining.credentials == NULL:
        raise MemoryError(f"require_authentication: no memory for {endpoint.state.limits.capacity} credentials")
    endpoint.state.joining.capacity = endpoint.state.limits.capacity
    endpoint.state.joining.limit = <uint32_t>joining
    endpoint.state.joining.required = True


def is_joining(Endpoint endpoint not None, handle: int) -> bool:
    """Whether a session is confirmed and not authenticated yet, as far as this side knows."""
    cdef Connection* connection = connection_of(&endpoint.state, handle)
    return connection != NULL and connection.state == STATE_LIVE and connection.joining != 0


def authenticate(Endpoint endpoint not None, handle: int, credentials: bytes) -> None:
    """Client, once a session that is joining: show the server these credentials, at most CREDENTIALS bytes.

    UsageError if they are longer or the session is not joining, CapacityError when the send buffer is full.
    """
    cdef Connection* connection = connection_of(&endpoint.state, handle)
    if len(credentials) > CREDENTIALS_LIMIT:
        raise UsageError(f"authenticate: credentials have {len(credentials)} bytes; at most {CREDENTIALS_LIMIT} go")
    if endpoint.state.role != ROLE_CLIENT or not is_joining(endpoint, handle):
        raise UsageError("authenticate: only a client whose session is joining shows credentials")
    if not control_queue(&endpoint.state, connection, CONTROL_AUTHENTICATE, <const uint8_t*>credentials,
                         <uint32_t>len(credentials)):
        raise CapacityError("authenticate: no room to send; raise blocks or session_blocks")


def credentials(Endpoint endpoint not None, handle: int) -> bytes | None:
    """Server: what a session that is joining showed, once: they are wiped here. None if it showed nothing yet."""
    cdef Connection* connection = connection_of(&endpoint.state, handle)
    cdef Credentials* kept
    cdef bytes shown
    if connection == NULL or endpoint.state.role != ROLE_SERVER or connection.joining != JOINING_ASKED:
        return None
    kept = &endpoint.state.joining.credentials[<uint32_t>connection.handle]
    shown = (<const char*>kept.data)[:kept.length]
    sodium.memzero(kept, sizeof(Credentials))
    return shown


def admit(Endpoint endpoint not None, handle: int, now_us: int) -> bool:
    """Server: a session that is joining is authenticated; the client is told. False if it is over, or is not joining.
    """
    return _admit(&endpoint.state, connection_of(&endpoint.state, handle), now_us)


def joining(Endpoint endpoint not None) -> int:
    """Server: how many sessions are joining."""
    return endpoint.state.joining.count


def farewell(Endpoint endpoint not None, handle: int, text: bytes) -> None:
    """Before `close`: what its CLOSE says beside the reason, at most FAREWELL bytes of UTF-8. UsageError if longer."""
    cdef Connection* connection = connection_of(&endpoint.state, handle)
    if len(text) > FAREWELL_LIMIT:
        raise UsageError(f"farewell: the text has {len(text)} bytes; at most {FAREWELL_LIMIT} go into CLOSE")
    if connection != NULL and connection.state == STATE_LIVE:
        memcpy(connection.farewell, <const uint8_t*>text, len(text))
        connection.farewell_length = <uint8_t>len(text)


def farewell_heard(Endpoint endpoint not None, handle: int) -> bytes:
    """The text of the last CLOSE that came, if it ended this session; what the peer likes, so look at it with care."""
    if endpoint.state.farewell_from != handle:
        return b""
    return (<const char*>endpoint.state.farewell)[:endpoint.state.farewell_length]

"""Python door to who players are: whose tokens a server takes, and what they said (docs/protocol.md 2.3)."""
from libc.stdint cimport uint32_t, uint64_t

from shadowland._core.base.status cimport TOKEN_PROBLEMS
from shadowland._core.crypto.drbg cimport drbg_u64
from shadowland._core.crypto.token cimport TOKEN_ISSUERS, issuer_set
from shadowland._core.endpoint.connection cimport Connection
from shadowland._core.endpoint.endpoint cimport Endpoint
from shadowland._core.endpoint.state cimport ROLE_SERVER, connection_of
from shadowland._core.endpoint.trust cimport Claim, trust_allocate, trust_time

from shadowland._core.base.errors import UsageError


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
    return tuple(endpoint.state.trust.problems[i] for i in range(TOKEN_PROBLEMS))


def spent(Endpoint endpoint not None) -> int:
    """Server: how many spent tokens are remembered."""
    return endpoint.state.trust.spent_count


def refusal(Endpoint endpoint not None) -> int:
    """Client: TokenProblem of the token that a server refused last; 0 if none was."""
    return endpoint.state.rejected_detail

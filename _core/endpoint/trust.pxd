"""Who players are: issuers a server trusts, what their tokens said, and which tokens are spent (docs/protocol.md 2.3).

Owner    The endpoint; endpoint/players.pyx takes the memory, and only if there are issuers.
Limit    TOKEN_ISSUERS issuers, one Claim for each session and half-open slot, `spent_capacity` spent tokens. A spent
         token is kept until it has expired, 330 s at most: more than spent_capacity / 330 joins a second, kept up for
         that long, fill it, and then tokens are refused with CAPACITY until some have expired.
Threads  One at a time.

A token is verified at CONNECT, into the half-open slot, and spent at CONFIRM: a CONNECT that is replayed, by the player
or by somebody who saw it, costs nobody a token. Of two half-open slots with one token the first to confirm joins.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from shadowland._core.base.status cimport (
    BYE_BAD_TOKEN,
    BYE_CAPACITY,
    BYE_NONE,
    TOKEN_FINE,
    TOKEN_MISSING,
    TOKEN_PROBLEMS,
    TOKEN_SPENT,
)
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.crypto.token cimport TOKEN_DATA, TOKEN_ISSUERS, Issuer, Token, token_check
from shadowland._core.endpoint.table cimport (
    TABLE_NONE,
    Table,
    table_find,
    table_free,
    table_init,
    table_insert,
    table_remove,
)

cdef struct Claim:              # what a token said; all zero: there was none
    uint64_t player_id
    uint64_t nonce
    uint64_t expires_ms
    uint16_t data_length
    bint made
    uint8_t data[TOKEN_DATA]

cdef struct SpentToken:
    uint64_t nonce
    uint64_t expires_ms

cdef struct Trust:
    uint32_t issuer_count       # 0: this server takes no tokens, and nothing below is there
    bint required
    uint64_t unix_ms            # never goes back: what has expired stays expired
    uint64_t since_ms           # which tokens were spent before this nobody remembers
    Issuer issuers[TOKEN_ISSUERS]
    Claim* halves               # per half-open slot
    Claim* sessions             # per slot
    uint32_t half_capacity
    uint32_t capacity
    Table spent                 # nonce -> 1
    SpentToken* ring            # in the order in which they were spent
    uint32_t spent_capacity
    uint32_t spent_at           # of the oldest
    uint32_t spent_count
    uint64_t problems[TOKEN_PROBLEMS]

cdef enum:
    CREDENTIALS_LIMIT = 1024
    JOINING_WAITS = 1           # server: no credentials yet; client: no verdict yet
    JOINING_ASKED = 2           # server: the application looks at the credentials

cdef struct Credentials:
    uint32_t length
    uint8_t data[CREDENTIALS_LIMIT]

cdef struct Joining:            # server: sessions that are confirmed and not authenticated yet
    bint required               # False: nothing below is there
    uint32_t count
    uint32_t limit
    uint32_t capacity
    Credentials* credentials    # per slot

cdef inline void joining_free(Joining* joining) noexcept nogil:
    if joining.credentials != NULL:
        sodium.memzero(joining.credentials, joining.capacity * sizeof(Credentials))
    free(joining.credentials)
    memset(joining, 0, sizeof(Joining))

cdef inline bint trust_allocate(Trust* trust, uint32_t capacity, uint32_t half_capacity, uint32_t spent,
                                uint64_t secret) noexcept nogil:
    """Take the memory; False when it is short (trust_free gives back what was taken)."""
    trust.halves = <Claim*>calloc(half_capacity, sizeof(Claim))
    trust.sessions = <Claim*>calloc(capacity, sizeof(Claim))
    trust.ring = <SpentToken*>calloc(spent, sizeof(SpentToken))
    trust.capacity = capacity
    trust.half_capacity = half_capacity
    trust.spent_capacity = spent
    return (trust.halves != NULL and trust.sessions != NULL and trust.ring != NULL
            and table_init(&trust.spent, spent, secret))

cdef inline void trust_free(Trust* trust) noexcept nogil:
    """Forget everybody."""
    if trust.halves != NULL:
        sodium.memzero(trust.halves, trust.half_capacity * sizeof(Claim))
    if trust.sessions != NULL:
        sodium.memzero(trust.sessions, trust.capacity * sizeof(Claim))
    free(trust.halves)
    free(trust.sessions)
    free(trust.ring)
    table_free(&trust.spent)
    memset(trust, 0, sizeof(Trust))

cdef inline void trust_time(Trust* trust, uint64_t unix_ms) noexcept nogil:
    """The clock on the wall. One that was set back is held until it has caught up: a spent token must not live again.
    """
    if unix_ms > trust.unix_ms:
        trust.unix_ms = unix_ms

cdef inline void spent_expire(Trust* trust) noexcept nogil:
    """Forget spent tokens that have expired. One behind another that lives longer waits for it."""
    cdef SpentToken* oldest
    while trust.spent_count > 0:
        oldest = &trust.ring[trust.spent_at]
        if oldest.expires_ms > trust.unix_ms:
            return
        table_remove(&trust.spent, oldest.nonce)
        trust.spent_at = (trust.spent_at + 1) % trust.spent_capacity
        trust.spent_count -= 1

cdef inline uint8_t refuse(Trust* trust, int problem, uint8_t* detail) noexcept nogil:
    trust.problems[problem] += 1
    detail[0] = <uint8_t>problem
    return BYE_BAD_TOKEN

cdef inline uint8_t token_admits(Trust* trust, const uint8_t* server_key, const uint8_t* token, uint32_t length,
                                 Claim* claim, uint8_t* detail) noexcept nogil:
    """CONNECT came with a token of `length` bytes, 0: none. BYE_NONE and the claim, or why not; `detail` gets a TOKEN_
    problem. Changes nothing but counters."""
    cdef Token read
    cdef int problem
    claim.made = False
    if length == 0:
        return refuse(trust, TOKEN_MISSING, detail) if trust.required else <uint8_t>BYE_NONE
    problem = token_check(token, length, trust.issuers, trust.issuer_count, server_key, trust.unix_ms, trust.since_ms,
                          &read)
    if problem != TOKEN_FINE:
        return refuse(trust, problem, detail)
    spent_expire(trust)
    if table_find(&trust.spent, read.nonce) != <uint32_t>TABLE_NONE:
        return refuse(trust, TOKEN_SPENT, detail)
    if trust.spent_count == trust.spent_capacity:
        return BYE_CAPACITY
    claim.player_id = read.player_id
    claim.nonce = read.nonce
    claim.expires_ms = read.expires_ms
    claim.data_length = read.data_length
    claim.made = True
    memset(claim.data, 0, TOKEN_DATA)
    memcpy(claim.data, read.data, read.data_length)
    return BYE_NONE

cdef inline void claim_keep(Trust* trust, uint32_t half, const Claim* claim) noexcept nogil:
    """A half-open slot was taken for whoever made `claim`."""
    if trust.issuer_count != 0:
        memcpy(&trust.halves[half], claim, sizeof(Claim))

cdef inline void claim_forget(Trust* trust, uint32_t half) noexcept nogil:
    """A half-open slot was given up."""
    if trust.issuer_count != 0:
        memset(&trust.halves[half], 0, sizeof(Claim))

cdef inline void claim_move(Trust* trust, uint32_t half, uint32_t slot) noexcept nogil:
    """A half-open connection became the session in `slot`."""
    if trust.issuer_count != 0:
        memcpy(&trust.sessions[slot], &trust.halves[half], sizeof(Claim))

cdef inline uint8_t claim_spend(Trust* trust, uint32_t slot) noexcept nogil:
    """CONFIRM opened, the session in `slot` is there: spend its token. BYE_NONE, or why it must end at once."""
    cdef Claim* claim
    cdef SpentToken* entry
    if trust.issuer_count == 0 or not trust.sessions[slot].made:
        return BYE_NONE
    claim = &trust.sessions[slot]
    spent_expire(trust)
    if table_find(&trust.spent, claim.nonce) != <uint32_t>TABLE_NONE:
        trust.problems[TOKEN_SPENT] += 1
        return BYE_BAD_TOKEN
    if trust.spent_count == trust.spent_capacity:
        return BYE_CAPACITY
    table_insert(&trust.spent, claim.nonce, 1)
    entry = &trust.ring[(trust.spent_at + trust.spent_count) % trust.spent_capacity]
    entry.nonce = claim.nonce
    entry.expires_ms = claim.expires_ms
    trust.spent_count += 1
    return BYE_NONE

"""Server side of the handshake: cookie first, then one Noise exchange, then half open until CONFIRM (protocol.md 2).

Owner    Works on the endpoint's state; half-open slots lie there, apart from sessions.
Limit    `half_open_capacity` slots for `half_open_us`, `half_open_per_prefix` per /24 or /64 (the oldest of the
         heaviest prefix gives way). Before a cookie has come back valid nothing is stored and no Diffie-Hellman is
         done.
Threads  One at a time.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from shadowland._core.base.batch cimport Batch
from shadowland._core.base.records cimport Datagram, address_same
from shadowland._core.base.status cimport (
    BYE_BANNED,
    BYE_NONE,
    BYE_SCHEMA_MISMATCH,
    BYE_SERVER_FULL,
    DROP_BAD_CRC,
    DROP_BAD_FLAGS,
    DROP_BAD_KIND,
    DROP_BAD_PADDING,
    DROP_EPHEMERAL_REUSED,
    DROP_HALF_OPEN_FULL,
    DROP_HANDSHAKE_FAILED,
    DROP_TRUNCATED,
)
from shadowland._core.crypto.aead cimport OFFER_CHACHA20_POLY1305, suite_chosen
from shadowland._core.crypto.chain cimport Chain, chain_wipe
from shadowland._core.crypto.cookie cimport cookie_check
from shadowland._core.crypto.drbg cimport drbg_fill
from shadowland._core.crypto.keys cimport sha256
from shadowland._core.crypto.noise cimport (
    NoiseState,
    noise_exporter,
    noise_nk_read_message_1,
    noise_nk_responder_start,
    noise_nk_split,
    noise_nk_write_message_2,
    noise_wipe,
)
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.crypto.token cimport TOKEN_LARGEST
from shadowland._core.endpoint.guarded cimport (
    CONNECT_BANNED,
    CONNECT_REFUSED,
    CONNECT_WAITS,
    connect_admitted,
    connect_park,
    connect_waits,
    proven_admitted,
)
from shadowland._core.endpoint.halfopen cimport half_open_keep, half_open_return, half_open_take, prefix_of
from shadowland._core.endpoint.handshake cimport (
    ACCEPTED_AUTHENTICATE,
    ANSWER_OVERHEAD,
    CONNECT_FIELDS,
    CONNECT_OVERHEAD,
    CONNECT_PROLOGUE,
    KIND_ACCEPTED,
    KIND_CONNECT,
    KIND_HELLO,
    KIND_REJECTED,
    PROLOGUE_LABEL_SIZE,
    PROTOCOL_VERSION,
    all_zero,
    get16,
    get32,
    get64,
    handshake_begin,
    handshake_end,
    prologue_of,
    put16,
    put32,
)
from shadowland._core.endpoint.hello cimport answer_hello, answer_version, reply, rotate_cookie_secret
from shadowland._core.endpoint.state cimport (
    HALF_ACCEPTED,
    HALF_BIT,
    HALF_REJECTED,
    MTU_LARGEST,
    MTU_MINIMUM,
    EndpointState,
    HalfOpen,
    drop,
)
from shadowland._core.endpoint.table cimport TABLE_NONE, table_find, table_insert
from shadowland._core.endpoint.trust cimport Claim, claim_keep, token_admits
from shadowland._core.guard.guard cimport DOOR_EXCHANGE, guard_shared
from shadowland._core.guard.waiting cimport Parked, waiting_take
from shadowland._core.session.epoch cimport epoch_begin
from shadowland._core.wire.crc32c cimport crc32c
from shadowland._core.wire.header cimport HEADER_SIZE, Header

cdef inline uint32_t new_connection_id(EndpointState* state) noexcept nogil:
    """Random but for the shard's 4 bits, never 0, not in use. 28 random bits: not used again soon either."""
    cdef uint8_t random[4]
    cdef uint32_t id, _i
    for _i in range(64):
        drbg_fill(&state.drbg, random, 4)
        id = (get32(random) & ~<uint32_t>15) | state.shard
        if id >> 4 != 0 and table_find(&state.sessions, id) == <uint32_t>TABLE_NONE:
            return id
    return 0

cdef inline bint connect_fields_valid(const uint8_t* payload, uint32_t length, uint32_t datagram_length) noexcept nogil:
    """suites offer ChaCha20-Poly1305, the claimed MTU is the datagram's length, a token fits, zeros to the end."""
    cdef uint32_t token = get16(payload + 16)
    return (payload[12] & OFFER_CHACHA20_POLY1305 and get16(payload + 14) == datagram_length
            and token <= TOKEN_LARGEST and token <= length - CONNECT_FIELDS
            and all_zero(payload + CONNECT_FIELDS + token, length - CONNECT_FIELDS - token))

cdef inline void write_verdict(EndpointState* state, HalfOpen* half, uint8_t reason, uint8_t detail, uint8_t* payload,
                               uint32_t length) noexcept nogil:
    """The payload of message 2: ACCEPTED or REJECTED."""
    cdef uint32_t i, count
    memset(payload, 0, length)
    payload[0] = reason
    if reason == BYE_NONE:
        payload[1] = half.suite
        put16(payload + 2, half.mtu)
        put32(payload + 4, half.id)
        put32(payload + 8, state.tick)
        put16(payload + 12, state.tick_hz)
        payload[14] = <uint8_t>(state.limits.max_ack_delay_us // 1000)
        payload[15] = ACCEPTED_AUTHENTICATE if state.joining.required else 0
        put32(payload + 16, <uint32_t>(state.limits.idle_timeout_us // 1000))
        return
    payload[1] = detail
    if reason != BYE_SCHEMA_MISMATCH:
        return
    count = state.class_count
    if count > (length - 2) // 6:
        count = (length - 2) // 6
    payload[1] = <uint8_t>count
    for i in range(count):
        put16(payload + 2 + 6 * i, state.class_ids[i])
        put32(payload + 4 + 6 * i, state.class_digests[i])

cdef inline void answer_connect(EndpointState* state, NoiseState* noise, const uint8_t* data, const Datagram* datagram,
                                Batch* replies, uint8_t reason, uint8_t detail, const Claim* claim,
                                const uint8_t* fields, uint64_t now_us) noexcept nogil:
    """Message 1 is read (`fields` is what it held) and the verdict found: keep a half-open slot, seal message 2 into it
    and send it."""
    cdef const uint8_t* message = data + CONNECT_PROLOGUE
    cdef uint32_t length = datagram.length, index = 0, answer
    cdef uint64_t echo = get64(message)
    cdef uint8_t suite = suite_chosen(state.suites, fields[12])
    cdef uint8_t payload[MTU_LARGEST]
    cdef uint8_t secret[32]
    cdef uint8_t keys[64]
    cdef Chain chain
    cdef HalfOpen* half
    cdef int status
    half = half_open_take(state, prefix_of(&datagram.remote), &index)
    if half == NULL:
        drop(state, DROP_HALF_OPEN_FULL)
        return
    half.id = new_connection_id(state)
    if half.id == 0:
        half_open_return(state, index)
        drop(state, DROP_HALF_OPEN_FULL)
        return
    half.mtu = <uint16_t>(length if length < state.limits.mtu else state.limits.mtu)
    half.peer_ack_delay_ms = fields[13]
    half.build = get32(fields + 8)
    answer = half.mtu if reason == BYE_NONE else length
    half.suite = suite
    write_verdict(state, half, reason, detail, payload, answer - ANSWER_OVERHEAD)
    drbg_fill(&state.drbg, secret, 32)
    handshake_begin(half.datagram, KIND_ACCEPTED if reason == BYE_NONE else KIND_REJECTED, echo)
    status = noise_nk_write_message_2(noise, secret, payload, answer - ANSWER_OVERHEAD,
                                      half.datagram + HEADER_SIZE + 2)
    if status != 0:
        half_open_return(state, index)
        drop(state, status)
        return
    handshake_end(half.datagram, answer)
    noise_exporter(noise, half.exporter)
    noise_nk_split(noise, keys, keys + 32, chain.transcript, chain.root)
    chain.epoch = 0
    epoch_begin(&half.epochs, False, suite, &chain, keys, keys + 32)
    chain_wipe(&chain)
    sodium.memzero(keys, 64)
    sodium.memzero(secret, 32)
    half.state = HALF_ACCEPTED if reason == BYE_NONE else HALF_REJECTED
    half.echo = echo
    half.length = <uint16_t>answer
    half.created_us = now_us
    half.prefix = prefix_of(&datagram.remote)
    half.remote = datagram.remote
    half.local = datagram.local
    sha256(half.digest, data, length)
    claim_keep(&state.trust, index, claim)
    half_open_keep(state, index)
    table_insert(&state.echoes, echo, index)
    if reason == BYE_NONE:
        state.promised += 1
        table_insert(&state.sessions, half.id, index | <uint32_t>HALF_BIT)
    state.accepted += 1
    reply(state, replies, half.datagram, half.length, datagram)

cdef inline void exchange_keys(EndpointState* state, const uint8_t* data, const Datagram* datagram, Batch* replies,
                               bint banned, uint64_t now_us) noexcept nogil:
    """The one place where a server does Diffie-Hellman: read message 1, find the verdict, answer."""
    cdef const uint8_t* message = data + CONNECT_PROLOGUE
    cdef uint32_t length = datagram.length
    cdef uint8_t payload[MTU_LARGEST]
    cdef uint8_t prologue[PROLOGUE_LABEL_SIZE + 2 + CONNECT_PROLOGUE]
    cdef uint8_t reason = BYE_NONE, detail = 0
    cdef Claim claim
    cdef NoiseState noise
    cdef int status
    memset(&claim, 0, sizeof(Claim))
    prologue_of(data, prologue)
    noise_nk_responder_start(&noise, prologue, sizeof(prologue), state.identity_secret, state.identity_public)
    state.handshakes += 1
    status = noise_nk_read_message_1(&noise, message, length - CONNECT_PROLOGUE - 4, payload)
    if status != 0:
        drop(state, status)
        return
    if not connect_fields_valid(payload, length - CONNECT_OVERHEAD, length):
        noise_wipe(&noise)
        drop(state, DROP_HANDSHAKE_FAILED)
        return
    if banned:
        reason = BYE_BANNED
    elif get64(payload) != state.schema_hash:
        reason = BYE_SCHEMA_MISMATCH
    elif state.live + state.promised >= state.limits.capacity:
        reason = BYE_SERVER_FULL
    elif state.joining.required and state.joining.count + state.promised >= state.joining.limit:
        reason = BYE_SERVER_FULL
    else:
        reason = token_admits(&state.trust, state.identity_public, payload + CONNECT_FIELDS, get16(payload + 16),
                              &claim, &detail)
    answer_connect(state, &noise, data, datagram, replies, reason, detail, &claim, payload, now_us)
    noise_wipe(&noise)

cdef inline bint answered_before(EndpointState* state, const uint8_t* data, const Datagram* datagram,
                                 Batch* replies) noexcept nogil:
    """A CONNECT whose ephemeral is half open or spent: it gets the stored answer, or nothing."""
    cdef uint64_t echo = get64(data + CONNECT_PROLOGUE)
    cdef uint32_t index = table_find(&state.echoes, echo)
    cdef uint8_t digest[32]
    cdef HalfOpen* half
    if index != <uint32_t>TABLE_NONE:
        half = &state.halves[index]
        sha256(digest, data, datagram.length)
        if memcmp(half.digest, digest, 32) != 0 or not address_same(&half.remote, &datagram.remote):
            drop(state, DROP_EPHEMERAL_REUSED)
            return True
        state.accepted += 1
        reply(state, replies, half.datagram, half.length, datagram)
        return True
    if table_find(&state.spent, echo) != <uint32_t>TABLE_NONE:
        drop(state, DROP_EPHEMERAL_REUSED)          # it became a session already: a replay gets nothing
        return True
    return False

cdef inline void accept_connect(EndpointState* state, const uint8_t* data, const Datagram* datagram, Batch* replies,
                                uint64_t now_us) noexcept nogil:
    """CONNECT: only behind a valid cookie does a stranger make the server compute, and only as the guard allows."""
    cdef int status, admitted
    if datagram.length < MTU_MINIMUM:
        drop(state, DROP_BAD_PADDING)
        return
    status = cookie_check(&state.cookie_secret, &state.cookie_previous, &datagram.remote, data + CONNECT_PROLOGUE,
                          <int64_t>(now_us // 1000000), data + HEADER_SIZE + 2)
    if status != 0:
        drop(state, status)
        return
    if not proven_admitted(state, datagram, now_us) or answered_before(state, data, datagram, replies):
        return
    if connect_waits(state, data, datagram):
        return
    admitted = connect_admitted(state, datagram, now_us)
    if admitted == CONNECT_WAITS:
        connect_park(state, data, datagram)
    elif admitted != CONNECT_REFUSED:
        exchange_keys(state, data, datagram, replies, admitted == CONNECT_BANNED, now_us)

cdef inline void waiting_serve(EndpointState* state, Batch* replies, uint64_t now_us) noexcept nogil:
    """Key exchanges for those who wait, as far as the budget and the room for answers go."""
    cdef Parked* parked
    while state.guard.waiting.count > 0 and replies.count < replies.capacity:
        if guard_shared(state.guard, DOOR_EXCHANGE, now_us) != NULL:
            return
        parked = waiting_take(&state.guard.waiting)
        state.accepted -= 1                         # it counts as what becomes of it now
        if not answered_before(state, parked.data, &parked.datagram, replies):
            exchange_keys(state, parked.data, &parked.datagram, replies, False, now_us)

cdef inline void server_handshake(EndpointState* state, const Header* header, const uint8_t* data,
                                  const Datagram* datagram, Batch* replies, uint64_t now_us) noexcept nogil:
    cdef uint32_t length = datagram.length
    if header.flags != 0:
        drop(state, DROP_BAD_FLAGS)
        return
    if header.channel != KIND_HELLO and header.channel != KIND_CONNECT:
        drop(state, DROP_BAD_KIND)
        return
    if length < HEADER_SIZE + 2 + 32 + 4:
        drop(state, DROP_TRUNCATED)
        return
    if get32(data + length - 4) != crc32c(data, length - 4):
        drop(state, DROP_BAD_CRC)
        return
    if get16(data + HEADER_SIZE) != PROTOCOL_VERSION:
        answer_version(state, header, datagram, replies, now_us)
        return
    rotate_cookie_secret(state, now_us)
    if header.channel == KIND_HELLO:
        if header.sequence != get64(data + HEADER_SIZE + 2):
            drop(state, DROP_BAD_PADDING)
            return
        answer_hello(state, data, datagram, replies, now_us)
        return
    if length < CONNECT_OVERHEAD + CONNECT_FIELDS or header.sequence != get64(data + CONNECT_PROLOGUE):
        drop(state, DROP_BAD_PADDING)
        return
    accept_connect(state, data, datagram, replies, now_us)

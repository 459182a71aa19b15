"""Client side of the handshake: HELLO, CONNECT, and what the server answers (docs/protocol.md 2.2).

Owner    Works on the endpoint's state; attempts lie there, one for each connection that is not live yet.
Limit    `connect_timeout_us` in all; every step repeats after 250 ms, then twice that, up to 1 s.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from shadowland._core.base.batch cimport Batch, batch_data, batch_next
from shadowland._core.base.records cimport EVENT_JOINED, Address, Datagram, address_same
from shadowland._core.base.status cimport (
    BYE_CAPACITY,
    BYE_CONNECT_TIMEOUT,
    BYE_NONE,
    BYE_PROTOCOL_VIOLATION,
    BYE_SCHEMA_MISMATCH,
    BYE_VERSION_MISMATCH,
    BYE_WRONG_SERVER_KEY,
    DROP_BAD_CRC,
    DROP_BAD_FLAGS,
    DROP_BAD_KIND,
    DROP_BAD_PADDING,
    DROP_BAD_VERSION,
    DROP_HANDSHAKE_FAILED,
    DROP_STALE,
    DROP_TRUNCATED,
    DROP_UNKNOWN_CONNECTION,
    DROP_WRONG_PATH,
)
from shadowland._core.crypto.aead cimport SUITE_CHACHA20_POLY1305, suite_chosen
from shadowland._core.crypto.chain cimport Chain, chain_wipe
from shadowland._core.crypto.drbg cimport drbg_fill, drbg_u64
from shadowland._core.crypto.keys cimport sha256, x25519_public
from shadowland._core.crypto.noise cimport (
    noise_exporter,
    noise_nk_initiator_start,
    noise_nk_read_message_2,
    noise_nk_split,
    noise_nk_write_message_1,
)
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.endpoint.connection cimport (
    NODE_NONE,
    STATE_CONNECT,
    STATE_HELLO,
    STATE_LIVE,
    WANT_CONFIRM,
    Connection,
    handle_slot,
)
from shadowland._core.endpoint.delivery cimport connection_deadline, connection_release, mark_dirty
from shadowland._core.endpoint.handshake cimport (
    ACCEPTED_AUTHENTICATE,
    ACCEPTED_FIELDS,
    ANSWER_OVERHEAD,
    CONNECT_FIELDS,
    CONNECT_OVERHEAD,
    CONNECT_PROLOGUE,
    COOKIE_DATAGRAM_SIZE,
    HELLO_SIZE,
    KIND_ACCEPTED,
    KIND_CONNECT,
    KIND_COOKIE,
    KIND_HELLO,
    KIND_REJECTED,
    KIND_VERSION,
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
from shadowland._core.endpoint.pace cimport pace_begin
from shadowland._core.endpoint.rekey cimport rekey_arm
from shadowland._core.endpoint.state cimport (
    MTU_LARGEST,
    MTU_MINIMUM,
    SCHEMA_CLASSES,
    Attempt,
    EndpointState,
    connection_take,
    drop,
    event_push,
    reason_of,
    session_key,
)
from shadowland._core.endpoint.table cimport TABLE_NONE, table_find, table_insert, table_remove
from shadowland._core.endpoint.trust cimport JOINING_WAITS
from shadowland._core.session.epoch cimport epoch_begin
from shadowland._core.session.mtu cimport mtu_begin
from shadowland._core.wire.crc32c cimport crc32c
from shadowland._core.wire.header cimport HEADER_SIZE, Header

cdef enum:
    RESEND_US = 250000
    RESEND_LONGEST_US = 1000000
    CONNECT_TRIES = 2               # then a smaller MTU, with everything new
    CONNECT_TRIES_SMALL = 8         # 6.75 s: before the cookie dies of age

cdef inline void attempt_begin(EndpointState* state, uint32_t index, uint16_t mtu, uint64_t now_us) noexcept nogil:
    """A fresh ephemeral, and HELLO is due."""
    cdef Attempt* attempt = &state.attempts[index]
    drbg_fill(&state.drbg, attempt.secret, 32)
    x25519_public(attempt.ephemeral, attempt.secret)
    attempt.echo = get64(attempt.ephemeral)
    attempt.mtu = mtu
    attempt.tries = 0
    attempt.due_us = now_us
    attempt.wait_us = RESEND_US
    table_insert(&state.echoes, attempt.echo, index)

cdef inline uint64_t connect_begin(EndpointState* state, const Address* remote, const Address* local,
                                   const uint8_t* server_key, const uint8_t* token, uint16_t token_length,
                                   uint64_t now_us) noexcept nogil:
    """Start a handshake, with a token of at most TOKEN_LARGEST bytes (0: none).

    Returns the connection's handle, 0 when the endpoint is full.
    """
    cdef Connection* connection
    cdef Attempt* attempt
    cdef uint32_t i, index = 0
    connection = connection_take(state)
    if connection == NULL:
        return 0
    for i in range(state.limits.capacity):          # as many attempts as connections: one is free
        index = (state.attempt_hint + i) % state.limits.capacity
        if not state.attempts[index].used:
            break
    state.attempt_hint = index + 1
    attempt = &state.attempts[index]
    memset(attempt, 0, sizeof(Attempt))
    attempt.used = True
    attempt.slot = handle_slot(connection.handle)
    attempt.started_us = now_us
    memcpy(attempt.server_key, server_key, 32)
    attempt.token_length = token_length
    memcpy(attempt.token, token, token_length)
    connection.attempt = index
    connection.remote = remote[0]
    connection.local = local[0]
    connection.state = STATE_HELLO
    attempt_begin(state, index, state.limits.mtu, now_us)
    mark_dirty(state, connection)
    connection_deadline(state, connection)
    return connection.handle

cdef inline bint build_connect(EndpointState* state, Attempt* attempt, const uint8_t* cookie) noexcept nogil:
    """Seal CONNECT, once for this ephemeral; repeats send the same bytes."""
    cdef uint8_t* out = attempt.datagram
    cdef uint32_t length = attempt.mtu - CONNECT_OVERHEAD
    cdef uint8_t payload[MTU_LARGEST]
    cdef uint8_t prologue[PROLOGUE_LABEL_SIZE + 2 + CONNECT_PROLOGUE]
    memset(payload, 0, length)
    put32(payload, <uint32_t>state.schema_hash)
    put32(payload + 4, <uint32_t>(state.schema_hash >> 32))
    put32(payload + 8, state.client_build)
    payload[12] = state.suites
    payload[13] = <uint8_t>(state.limits.max_ack_delay_us // 1000)
    put16(payload + 14, attempt.mtu)
    put16(payload + 16, attempt.token_length)
    memcpy(payload + CONNECT_FIELDS, attempt.token, attempt.token_length)
    handshake_begin(out, KIND_CONNECT, attempt.echo)
    memcpy(out + HEADER_SIZE + 2, cookie, 48)
    prologue_of(out, prologue)
    noise_nk_initiator_start(&attempt.noise, prologue, sizeof(prologue), attempt.server_key, attempt.secret)
    if noise_nk_write_message_1(&attempt.noise, payload, length, out + CONNECT_PROLOGUE) != 0:
        return False
    handshake_end(out, attempt.mtu)
    return True

cdef inline uint8_t likely_cause(const Attempt* attempt) noexcept nogil:
    if attempt.other_version:
        return BYE_VERSION_MISMATCH
    if attempt.hint_differs:
        return BYE_WRONG_SERVER_KEY
    return BYE_CONNECT_TIMEOUT

cdef inline bint connect_step(EndpointState* state, Connection* connection, Batch* batch,
                              uint64_t now_us) noexcept nogil:
    """Send HELLO or CONNECT when it is due, give up when time is over. False when the batch is full."""
    cdef Attempt* attempt = &state.attempts[connection.attempt]
    cdef Datagram* datagram
    cdef uint8_t* out
    cdef uint32_t length
    if now_us >= attempt.started_us + state.limits.connect_timeout_us:
        connection.reason = likely_cause(attempt)
        connection_release(state, connection, now_us)
        return True
    if attempt.due_us > now_us:
        state.dirty[handle_slot(connection.handle)] = 0
        connection_deadline(state, connection)
        return True
    if connection.state == STATE_CONNECT and attempt.tries >= (
            CONNECT_TRIES if attempt.mtu > MTU_MINIMUM else CONNECT_TRIES_SMALL):
        table_remove(&state.echoes, attempt.echo)
        connection.state = STATE_HELLO
        attempt_begin(state, connection.attempt, MTU_MINIMUM, now_us)
    datagram = batch_next(batch)
    if datagram == NULL or batch.slot_size < attempt.mtu:
        return False
    out = batch_data(batch, batch.count)
    if connection.state == STATE_HELLO:
        length = HELLO_SIZE
        memset(out, 0, length)
        handshake_begin(out, KIND_HELLO, attempt.echo)
        memcpy(out + HEADER_SIZE + 2, attempt.ephemeral, 32)
        handshake_end(out, length)
    else:
        length = attempt.mtu
        memcpy(out, attempt.datagram, length)
    datagram.length = length
    datagram.remote = connection.remote
    datagram.local = connection.local
    batch.count += 1
    state.sent += 1
    state.bytes_out += length
    attempt.tries += 1
    # A quarter more or less: clients that began at one moment must not keep step.
    attempt.due_us = now_us + attempt.wait_us * 3 // 4 + drbg_u64(&state.drbg) % (attempt.wait_us // 2 + 1)
    attempt.wait_us = attempt.wait_us * 2 if attempt.wait_us * 2 < RESEND_LONGEST_US else RESEND_LONGEST_US
    state.dirty[handle_slot(connection.handle)] = 0
    connection_deadline(state, connection)
    return True

cdef inline void take_cookie(EndpointState* state, Connection* connection, Attempt* attempt, const uint8_t* data,
                             uint32_t length, uint64_t now_us) noexcept nogil:
    cdef uint8_t digest[32]
    if length != COOKIE_DATAGRAM_SIZE:
        drop(state, DROP_TRUNCATED)
        return
    if connection.state != STATE_HELLO:
        drop(state, DROP_STALE)                     # this ephemeral has sealed its CONNECT already
        return
    state.accepted += 1
    sha256(digest, attempt.server_key, 32)
    attempt.other_version = False                   # it speaks ours after all
    attempt.hint_differs = memcmp(digest, data + HEADER_SIZE + 2 + 48, 8) != 0
    if not build_connect(state, attempt, data + HEADER_SIZE + 2):
        connection.reason = BYE_WRONG_SERVER_KEY    # a public key of low order: no server has it
        connection_release(state, connection, now_us)
        return
    connection.state = STATE_CONNECT
    attempt.tries = 0
    attempt.due_us = now_us
    attempt.wait_us = RESEND_US
    mark_dirty(state, connection)

cdef inline void take_rejection(EndpointState* state, Connection* connection, const uint8_t* payload, uint32_t length,
                                uint64_t now_us) noexcept nogil:
    cdef uint32_t i, count = 0
    connection.reason = reason_of(payload[0])
    state.rejected_detail = payload[1]
    if payload[0] == BYE_SCHEMA_MISMATCH:
        count = payload[1]
    if (count > SCHEMA_CLASSES or 2 + 6 * count > length
            or not all_zero(payload + 2 + 6 * count, length - 2 - 6 * count)):
        connection.reason = BYE_PROTOCOL_VIOLATION
        count = 0
    state.rejected_count = count
    for i in range(count):
        state.rejected_ids[i] = get16(payload + 2 + 6 * i)
        state.rejected_digests[i] = get32(payload + 4 + 6 * i)
    connection_release(state, connection, now_us)

cdef inline void take_answer(EndpointState* state, Connection* connection, Attempt* attempt, const uint8_t* data,
                             uint32_t length, uint64_t now_us) noexcept nogil:
    """Message 2: the verdict stands inside the seal, whatever the kind outside says."""
    cdef uint8_t payload[MTU_LARGEST]
    cdef uint8_t keys[64]
    cdef uint8_t suite
    cdef Chain chain
    cdef uint32_t slot = handle_slot(connection.handle)
    if connection.state != STATE_CONNECT:
        drop(state, DROP_STALE)
        return
    if length < ANSWER_OVERHEAD + ACCEPTED_FIELDS:
        drop(state, DROP_TRUNCATED)
        return
    if noise_nk_read_message_2(&attempt.noise, data + HEADER_SIZE + 2, length - HEADER_SIZE - 6, payload) != 0:
        drop(state, DROP_HANDSHAKE_FAILED)
        return
    state.accepted += 1
    if payload[0] != BYE_NONE:
        take_rejection(state, connection, payload, length - ANSWER_OVERHEAD, now_us)
        return
    suite = payload[1]
    connection.id = get32(payload + 4)
    connection.mtu = get16(payload + 2)
    connection.peer_tick = get32(payload + 8)
    connection.peer_tick_hz = get16(payload + 12)
    connection.peer_ack_delay_us = <uint64_t>payload[14] * 1000
    connection.idle_timeout_us = <uint64_t>get32(payload + 16) * 1000
    # The server may take any suite that was offered, and no other: suite_chosen is that of its offering all.
    if (connection.id == 0 or suite not in (SUITE_CHACHA20_POLY1305, suite_chosen(state.suites, state.suites))
            or connection.mtu < MTU_MINIMUM
            or connection.mtu > attempt.mtu or connection.mtu != length or connection.idle_timeout_us == 0
            or payload[15] & ~<uint8_t>ACCEPTED_AUTHENTICATE
            or not all_zero(payload + ACCEPTED_FIELDS, length - ANSWER_OVERHEAD - ACCEPTED_FIELDS)):
        connection.reason = BYE_PROTOCOL_VIOLATION
        connection_release(state, connection, now_us)
        return
    connection.key = session_key(state, connection.id, &connection.remote)
    if (table_find(&state.sessions, connection.key) != <uint32_t>TABLE_NONE
            or not table_insert(&state.sessions, connection.key, slot)):
        connection.key = 0                          # another session of this client has it already
        connection.reason = BYE_CAPACITY
        connection_release(state, connection, now_us)
        return
    noise_exporter(&attempt.noise, connection.exporter)
    noise_nk_split(&attempt.noise, keys, keys + 32, chain.transcript, chain.root)
    chain.epoch = 0
    epoch_begin(&connection.epochs, True, suite, &chain, keys, keys + 32)
    rekey_arm(state, connection, now_us)
    chain_wipe(&chain)
    sodium.memzero(keys, 64)
    table_remove(&state.echoes, attempt.echo)
    sodium.memzero(attempt, sizeof(Attempt))
    connection.attempt = <uint32_t>NODE_NONE
    connection.state = STATE_LIVE
    connection.want = WANT_CONFIRM
    connection.joining = JOINING_WAITS if payload[15] & ACCEPTED_AUTHENTICATE else 0
    mtu_begin(&connection.mtu_search, connection.mtu, state.limits.mtu_limit, now_us)
    connection.path_due_us = connection.mtu_search.due_us
    connection.last_received_us = now_us
    pace_begin(state, connection, now_us)
    event_push(state, connection.handle, now_us, EVENT_JOINED, BYE_NONE, 0)
    mark_dirty(state, connection)
    connection_deadline(state, connection)

cdef inline void take_version(EndpointState* state, Attempt* attempt, const uint8_t* data,
                              uint32_t length) noexcept nogil:
    """count ‖ versions that the server speaks. A hint, anybody can send it: only named when the time is over."""
    cdef uint32_t i, count = data[HEADER_SIZE + 2]
    if length != HEADER_SIZE + 7 + 2 * count:
        drop(state, DROP_TRUNCATED)
        return
    state.accepted += 1
    attempt.other_version = True
    for i in range(count):
        if get16(data + HEADER_SIZE + 3 + 2 * i) == PROTOCOL_VERSION:
            attempt.other_version = False

cdef inline void client_handshake(EndpointState* state, const Header* header, const uint8_t* data,
                                  const Datagram* datagram, uint64_t now_us) noexcept nogil:
    cdef uint32_t index, length = datagram.length
    cdef Attempt* attempt
    cdef Connection* connection
    if header.flags != 0:
        drop(state, DROP_BAD_FLAGS)
        return
    if header.channel not in (KIND_COOKIE, KIND_VERSION, KIND_ACCEPTED, KIND_REJECTED):
        drop(state, DROP_BAD_KIND)
        return
    if length < HEADER_SIZE + 2 + 4 + 1:
        drop(state, DROP_TRUNCATED)
        return
    if get32(data + length - 4) != crc32c(data, length - 4):
        drop(state, DROP_BAD_CRC)
        return
    index = table_find(&state.echoes, header.sequence)
    if index == <uint32_t>TABLE_NONE:
        drop(state, DROP_UNKNOWN_CONNECTION)
        return
    attempt = &state.attempts[index]
    connection = &state.connections[attempt.slot]
    if not address_same(&datagram.remote, &connection.remote):
        drop(state, DROP_WRONG_PATH)
        return
    if header.channel == KIND_VERSION:              # the one kind that every version understands
        take_version(state, attempt, data, length)
    elif get16(data + HEADER_SIZE) != PROTOCOL_VERSION:
        drop(state, DROP_BAD_VERSION)
    elif header.channel == KIND_COOKIE:
        take_cookie(state, connection, attempt, data, length, now_us)
    else:
        take_answer(state, connection, attempt, data, length, now_us)

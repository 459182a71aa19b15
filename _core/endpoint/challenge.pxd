"""Integrity challenges: a slice of the client's files, hashed with a key that only this session has (protocol.md 5.6).

Owner    Works on the endpoint's state.
Limit    One challenge under way for each session; a slice has at most INTEGRITY_SLICE bytes, so an answer costs either
         side about 10 microseconds. A challenge that nobody acknowledges ends the session after CHALLENGE_LONGEST_US.
Threads  One at a time.

The answer is HMAC-SHA256(exporter key, nonce || slice). The key differs in every session, so that an answer cannot be
had from another player, and the slice is not known before, so that it cannot be computed beforehand. A deterrent, not
a proof: a client that keeps the true files beside the changed ones answers as it should.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.status cimport BYE_INTEGRITY_FAILED, BYE_PROTOCOL_VIOLATION
from shadowland._core.crypto.drbg cimport drbg_fill, drbg_u64
from shadowland._core.crypto.keys cimport Hmac
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.endpoint.connection cimport STATE_LIVE, Connection, handle_slot
from shadowland._core.endpoint.control cimport (
    CONTROL_INTEGRITY_ANSWER,
    CONTROL_INTEGRITY_CHALLENGE,
    FRAME_ELICITS,
    control_acked,
    control_queue,
    violation,
)
from shadowland._core.endpoint.delivery cimport connection_close
from shadowland._core.endpoint.handshake cimport get32, put32
from shadowland._core.endpoint.integrity cimport (
    CHECK_HEARD,
    CHECK_IDLE,
    CHECK_SAID,
    INTEGRITY_NONCE,
    INTEGRITY_SLICE,
    IntegrityCheck,
    IntegrityTable,
    integrity_table,
)
from shadowland._core.endpoint.state cimport ROLE_CLIENT, ROLE_SERVER, EndpointState

cdef enum:
    CHALLENGE_LONGEST_US = 60000000
    CHALLENGE_SIZE = INTEGRITY_NONCE + 8

cdef inline void integrity_answer(const uint8_t* key, const uint8_t* nonce, const uint8_t* piece, uint32_t length,
                                  uint8_t* out) noexcept nogil:
    """HMAC-SHA256(key 32, nonce 16 || piece), 32 bytes."""
    cdef Hmac hmac
    sodium.hmac_init(&hmac, key, 32)
    sodium.hmac_update(&hmac, nonce, INTEGRITY_NONCE)
    sodium.hmac_update(&hmac, piece, length)
    sodium.hmac_final(&hmac, out)
    sodium.memzero(&hmac, sizeof(Hmac))

cdef inline void schedule(EndpointState* state, IntegrityCheck* check, uint64_t now_us) noexcept nogil:
    check.state = CHECK_IDLE
    check.due_us = now_us + state.integrity.every_us // 2 + drbg_u64(&state.drbg) % (state.integrity.every_us + 1)

cdef inline void say_challenge(EndpointState* state, Connection* connection, IntegrityCheck* check,
                               const IntegrityTable* table, uint64_t now_us) noexcept nogil:
    """A random slice of the table; if the control stream has no room, again later."""
    cdef uint8_t message[CHALLENGE_SIZE]
    drbg_fill(&state.drbg, check.nonce, INTEGRITY_NONCE)
    check.length = table.size if table.size < INTEGRITY_SLICE else INTEGRITY_SLICE
    check.offset = <uint32_t>(drbg_u64(&state.drbg) % (table.size - check.length + 1))
    memcpy(message, check.nonce, INTEGRITY_NONCE)
    put32(message + INTEGRITY_NONCE, check.offset)
    put32(message + INTEGRITY_NONCE + 4, check.length)
    if not control_queue(state, connection, CONTROL_INTEGRITY_CHALLENGE, message, CHALLENGE_SIZE):
        schedule(state, check, now_us)
        return
    check.state = CHECK_SAID
    check.due_us = now_us + CHALLENGE_LONGEST_US

cdef inline void challenge_sweep(EndpointState* state, uint64_t now_us) noexcept nogil:
    """Server, a few times a second: challenge whose turn it is, and end sessions whose answer is late."""
    cdef uint32_t slot
    cdef Connection* connection
    cdef IntegrityCheck* check
    cdef const IntegrityTable* table
    if state.integrity.count == 0:
        return
    for slot in range(state.high_water):
        connection = &state.connections[slot]
        if connection.state != STATE_LIVE or connection.joining != 0:
            continue
        table = integrity_table(&state.integrity, connection.build)
        if table == NULL:
            continue
        check = &state.integrity.checks[slot]
        if check.session != connection.handle:
            check.session = connection.handle
            schedule(state, check, now_us)
        if check.state == CHECK_SAID and control_acked(connection):
            check.state = CHECK_HEARD
            check.due_us = now_us + state.integrity.answer_us
        if now_us < check.due_us:
            continue
        if check.state == CHECK_IDLE:
            say_challenge(state, connection, check, table, now_us)
        else:
            state.integrity.failed += 1
            connection_close(state, connection, BYE_INTEGRITY_FAILED, now_us)

cdef inline int take_challenge(EndpointState* state, Connection* connection, const uint8_t* data, uint32_t length,
                               uint64_t now_us) noexcept nogil:
    """Client: answer, if it has the bytes. Without them it says nothing, and the server draws its conclusion."""
    cdef uint8_t answer[32]
    cdef uint32_t offset, size
    if state.role != ROLE_CLIENT or length != CHALLENGE_SIZE:
        return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
    offset = get32(data + INTEGRITY_NONCE)
    size = get32(data + INTEGRITY_NONCE + 4)
    if size > INTEGRITY_SLICE:
        return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
    if state.integrity.own.data == NULL or offset > state.integrity.own.size \
            or size > state.integrity.own.size - offset:
        return FRAME_ELICITS
    integrity_answer(connection.exporter, data, state.integrity.own.data + offset, size, answer)
    control_queue(state, connection, CONTROL_INTEGRITY_ANSWER, answer, 32)
    return FRAME_ELICITS

cdef inline int take_answer_of(EndpointState* state, Connection* connection, const uint8_t* data, uint32_t length,
                               uint64_t now_us) noexcept nogil:
    """Server: compare an answer with the table."""
    cdef uint8_t expected[32]
    cdef IntegrityCheck* check
    cdef const IntegrityTable* table
    if state.role != ROLE_SERVER or length != 32 or state.integrity.count == 0:
        return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)
    check = &state.integrity.checks[handle_slot(connection.handle)]
    table = integrity_table(&state.integrity, connection.build)
    if table == NULL or check.session != connection.handle or check.state == CHECK_IDLE:
        return violation(state, connection, BYE_PROTOCOL_VIOLATION, now_us)     # nobody asked
    integrity_answer(connection.exporter, check.nonce, table.data + check.offset, check.length, expected)
    if sodium.memcmp(expected, data, 32) != 0:
        state.integrity.failed += 1
        return violation(state, connection, BYE_INTEGRITY_FAILED, now_us)
    state.integrity.passed += 1
    schedule(state, check, now_us)
    return FRAME_ELICITS

"""What a server answers to strangers: COOKIE, VERSION and nothing that costs memory (protocol.md 2, 3).

Owner    Works on the endpoint's state and the caller's batch of replies; owns nothing.
Limit    No answer is longer than what it answers; nothing is stored and no Diffie-Hellman is done.
Threads  One at a time.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.batch cimport Batch, batch_data, batch_next
from shadowland._core.base.records cimport Datagram
from shadowland._core.base.status cimport DROP_BAD_PADDING, DROP_BAD_VERSION, DROP_GUARDED, DROP_REPLIES_FULL
from shadowland._core.crypto.cookie cimport COOKIE_ROTATE_S, COOKIE_SIZE, cookie_make, cookie_rotate
from shadowland._core.crypto.drbg cimport drbg_fill
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.endpoint.handshake cimport (
    COOKIE_DATAGRAM_SIZE,
    HELLO_SIZE,
    KIND_COOKIE,
    KIND_VERSION,
    PROTOCOL_VERSION,
    VERSION_DATAGRAM_SIZE,
    all_zero,
    get64,
    handshake_begin,
    handshake_end,
    put16,
)
from shadowland._core.endpoint.state cimport EndpointState, drop
from shadowland._core.guard.guard cimport guard_hello
from shadowland._core.wire.header cimport HEADER_SIZE, Header

cdef inline void rotate_cookie_secret(EndpointState* state, uint64_t now_us) noexcept nogil:
    cdef uint8_t random[32]
    if now_us < state.cookie_rotate_us:
        return
    drbg_fill(&state.drbg, random, 32)
    cookie_rotate(&state.cookie_secret, &state.cookie_previous, random)
    sodium.memzero(random, 32)
    state.cookie_rotate_us = now_us + <uint64_t>COOKIE_ROTATE_S * 1000000

cdef inline void reply(EndpointState* state, Batch* replies, const uint8_t* data, uint32_t length,
                       const Datagram* to) noexcept nogil:
    cdef Datagram* datagram = batch_next(replies)
    if datagram == NULL or replies.slot_size < length:
        state.message_drops[DROP_REPLIES_FULL] += 1     # the asker asks again
        return
    memcpy(batch_data(replies, replies.count), data, length)
    datagram.length = length
    datagram.remote = to.remote
    datagram.local = to.local
    replies.count += 1
    state.sent += 1
    state.bytes_out += length

cdef inline void answer_hello(EndpointState* state, const uint8_t* data, const Datagram* datagram, Batch* replies,
                              uint64_t now_us) noexcept nogil:
    cdef uint8_t out[COOKIE_DATAGRAM_SIZE]
    cdef uint8_t random[8]
    if datagram.length != HELLO_SIZE or not all_zero(data + HEADER_SIZE + 34, HELLO_SIZE - HEADER_SIZE - 38):
        drop(state, DROP_BAD_PADDING)
        return
    if not guard_hello(state.guard, now_us):
        drop(state, DROP_GUARDED)
        return
    state.accepted += 1
    drbg_fill(&state.drbg, random, 8)
    handshake_begin(out, KIND_COOKIE, get64(data + HEADER_SIZE + 2))
    cookie_make(&state.cookie_secret, &datagram.remote, data + HEADER_SIZE + 2, <int64_t>(now_us // 1000000), random,
                out + HEADER_SIZE + 2)
    memcpy(out + HEADER_SIZE + 2 + COOKIE_SIZE, state.identity_hint, 8)
    handshake_end(out, COOKIE_DATAGRAM_SIZE)
    reply(state, replies, out, COOKIE_DATAGRAM_SIZE, datagram)

cdef inline void answer_version(EndpointState* state, const Header* header, const Datagram* datagram,
                                Batch* replies, uint64_t now_us) noexcept nogil:
    """Another version: say what this server speaks. Only to what is at least as long as the answer."""
    cdef uint8_t out[VERSION_DATAGRAM_SIZE]
    drop(state, DROP_BAD_VERSION)
    if datagram.length < HELLO_SIZE or not guard_hello(state.guard, now_us):
        return
    handshake_begin(out, KIND_VERSION, header.sequence)
    out[HEADER_SIZE + 2] = 1
    put16(out + HEADER_SIZE + 3, PROTOCOL_VERSION)
    handshake_end(out, VERSION_DATAGRAM_SIZE)
    reply(state, replies, out, VERSION_DATAGRAM_SIZE, datagram)

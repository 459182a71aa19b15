"""From half open to joined: the first sealed packet of a client that was accepted (protocol.md 2.2).

Owner    Works on the endpoint's state; the half-open slot is freed, the session's slot taken.
Limit    As many as there are half-open slots; each was promised a session when it was accepted.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.records cimport EVENT_JOINED, Datagram, address_same
from shadowland._core.base.status cimport (
    BYE_NONE,
    DROP_AUTH_FAILED,
    DROP_CLOSED,
    DROP_HALF_OPEN_FULL,
    DROP_NO_KEYS,
    DROP_TRUNCATED,
    DROP_WRONG_PATH,
)
from shadowland._core.crypto.aead cimport aead_open
from shadowland._core.endpoint.connection cimport STATE_LIVE, Connection, handle_slot
from shadowland._core.endpoint.delivery cimport connection_close, connection_deadline
from shadowland._core.endpoint.halfopen cimport half_open_free
from shadowland._core.endpoint.pace cimport pace_begin
from shadowland._core.endpoint.rekey cimport rekey_arm
from shadowland._core.endpoint.state cimport HALF_ACCEPTED, EndpointState, HalfOpen, connection_take, drop, event_push
from shadowland._core.endpoint.table cimport table_insert, table_remove
from shadowland._core.endpoint.trust cimport JOINING_WAITS, claim_move, claim_spend
from shadowland._core.session.epoch cimport PHASE_FLAG
from shadowland._core.session.mtu cimport mtu_begin
from shadowland._core.wire.header cimport HEADER_SIZE, Header

cdef enum:
    SPENT_POSITIONS = 16384

cdef inline void spend_ephemeral(EndpointState* state, uint64_t echo) noexcept nogil:
    """Remember an ephemeral that became a session; the oldest of SPENT_POSITIONS is forgotten."""
    cdef uint32_t at = state.spent_at
    if state.spent_ring[at] != 0:
        table_remove(&state.spent, state.spent_ring[at])
    state.spent_ring[at] = echo
    table_insert(&state.spent, echo, 1)
    state.spent_at = (at + 1) % SPENT_POSITIONS

cdef inline Connection* half_open_promote(EndpointState* state, uint32_t index, uint64_t now_us) noexcept nogil:
    """A half-open connection becomes a session and its slot is freed; NULL when no session is free. Tells nobody."""
    cdef HalfOpen* half = &state.halves[index]
    cdef Connection* connection = connection_take(state)
    if connection == NULL:
        return NULL
    connection.state = STATE_LIVE
    connection.id = half.id
    connection.key = half.id
    connection.mtu = half.mtu
    connection.build = half.build
    memcpy(connection.exporter, half.exporter, 32)
    mtu_begin(&connection.mtu_search, connection.mtu, state.limits.mtu_limit, now_us)
    connection.path_due_us = connection.mtu_search.due_us
    connection.remote = half.remote
    connection.local = half.local
    connection.epochs = half.epochs
    connection.peer_ack_delay_us = <uint64_t>half.peer_ack_delay_ms * 1000
    connection.idle_timeout_us = state.limits.idle_timeout_us
    rekey_arm(state, connection, now_us)
    connection.last_received_us = now_us
    pace_begin(state, connection, now_us)
    spend_ephemeral(state, half.echo)
    claim_move(&state.trust, index, handle_slot(connection.handle))
    half_open_free(state, index)
    table_insert(&state.sessions, connection.key, handle_slot(connection.handle))
    return connection

cdef inline uint32_t half_open_close(EndpointState* state, uint8_t reason, uint64_t now_us) noexcept nogil:
    """The server ends: clients that were accepted and whose CONFIRM is still under way learn it by CLOSE."""
    cdef uint32_t i, count = 0
    cdef Connection* connection
    for i in range(state.limits.half_open_capacity):
        if state.halves[i].state != HALF_ACCEPTED:
            continue
        connection = half_open_promote(state, i, now_us)
        if connection == NULL:
            break
        connection.unannounced = True
        connection_close(state, connection, reason, now_us)
        count += 1
    return count

cdef inline Connection* half_open_packet(EndpointState* state, uint32_t index, const Header* header, uint8_t* data,
                                         const Datagram* datagram, uint64_t now_us) noexcept nogil:
    """The first sealed packet of a half-open connection: if it opens, the player joins. Opened in place."""
    cdef HalfOpen* half = &state.halves[index]
    cdef Connection* connection
    cdef uint8_t reason
    if not address_same(&datagram.remote, &half.remote):
        drop(state, DROP_WRONG_PATH)
        return NULL
    if header.flags & PHASE_FLAG:
        drop(state, DROP_NO_KEYS)
        return NULL
    if datagram.length < HEADER_SIZE + half.epochs.receive[0].key.tag_size + 1:
        drop(state, DROP_TRUNCATED)
        return NULL
    if not aead_open(&half.epochs.receive[0].key, header.connection_id, header.sequence, data, HEADER_SIZE,
                     data + HEADER_SIZE, datagram.length - HEADER_SIZE):
        drop(state, DROP_AUTH_FAILED)
        return NULL
    # Room was set aside when it was accepted; the event queue alone can be full, and then the client asks again.
    if state.limits.events == state.event_count:
        drop(state, DROP_HALF_OPEN_FULL)
        return NULL
    connection = half_open_promote(state, index, now_us)
    if connection == NULL:
        drop(state, DROP_HALF_OPEN_FULL)
        return NULL
    reason = claim_spend(&state.trust, handle_slot(connection.handle))
    if reason != BYE_NONE:                          # another slot with the same token was faster
        connection.unannounced = True
        connection_close(state, connection, reason, now_us)
        drop(state, DROP_CLOSED)
        return NULL
    if state.joining.required:
        connection.joining = JOINING_WAITS
        state.joining.count += 1
    event_push(state, connection.handle, now_us, EVENT_JOINED, BYE_NONE, 0)
    connection_deadline(state, connection)
    return connection

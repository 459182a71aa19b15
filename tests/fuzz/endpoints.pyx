"""Fuzz targets of whole endpoints: programs of steps (programs.py), before and behind the decryption.

Every execution begins from the same bytes: an endpoint with a live session and a handshake half done, whose memory was
copied aside once. What is fed in lies in memory of exactly its length, so that the sanitizer sees the first byte beyond.
"""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from shadowland._core.base.batch cimport Batch
from shadowland._core.base.records cimport Address, Datagram, address_parse
from shadowland._core.base.status cimport BYE_SERVER_SHUTDOWN, DROP_REASONS
from shadowland._core.crypto.aead cimport AeadKey, aead_seal
from shadowland._core.endpoint.connection cimport STATE_CONNECT, STATE_HELLO, STATE_LIVE, Connection
from shadowland._core.endpoint.delivery cimport connection_close
from shadowland._core.endpoint.endpoint cimport Endpoint
from shadowland._core.endpoint.halfopen cimport half_open_sweep
from shadowland._core.endpoint.inbound cimport deliver_stalled, endpoint_inbound
from shadowland._core.endpoint.join cimport half_open_close
from shadowland._core.endpoint.memory cimport state_allocate
from shadowland._core.endpoint.outbound cimport endpoint_outbound
from shadowland._core.endpoint.queue cimport collect_inputs, queue_message, withdraw_undecodable
from shadowland._core.endpoint.state cimport ROLE_SERVER, EndpointState, HalfOpen, connection_of
from shadowland._core.wire.crc32c cimport crc32c
from shadowland._core.wire.header cimport HEADER_SIZE, Header, header_pack

include "driver.pyx"

from tests.fuzz import programs

cdef extern from *:
    int fuzz_recording
    void fuzz_forget(void* at) nogil
    void fuzz_save() nogil
    void fuzz_restore(bint rare) nogil
    void fuzz_rarely(void* at) nogil

cdef enum:
    SEALED = 0
    AGAIN = 1
    RAW = 2
    SESSION = 3
    HANDSHAKE = 4
    TIME = 5
    SEND = 6
    CLEAR = 7
    HALF_OPEN_FROM = 16
    LARGEST = 1500
    SLOTS = 64

cdef struct Rig:
    EndpointState* state
    EndpointState saved
    Connection* connections         # copies
    HalfOpen* half
    AeadKey key
    AeadKey half_key
    uint8_t echo[8]
    uint32_t id
    uint64_t handle
    uint64_t sequence
    uint64_t next
    uint64_t start_us
    uint64_t now_us
    Address peer
    Address stranger
    Batch out
    Batch replies

cdef Rig rig
cdef object keep = None             # the Endpoint behind it


cdef void give(const uint8_t* data, size_t size, bint stranger) noexcept nogil:
    """One datagram in a batch of one, whose slot ends where the datagram does."""
    cdef Batch batch
    cdef Datagram datagram
    cdef uint32_t i, replied = 0
    if size > LARGEST:
        return
    memset(&datagram, 0, sizeof(datagram))
    datagram.length = <uint32_t>size
    datagram.remote = rig.stranger if stranger else rig.peer
    batch.count = batch.capacity = 1
    batch.slot_size = <uint32_t>size
    batch.datagrams = &datagram
    batch.arena = <uint8_t*>malloc(size)
    if size:
        memcpy(batch.arena, data, size)
    rig.replies.count = 0
    endpoint_inbound(rig.state, &batch, &rig.replies, rig.now_us)
    free(batch.arena)
    for i in range(rig.replies.count):
        replied += rig.replies.datagrams[i].length
    if replied > size:
        broken("an answer is longer than the question")


cdef void give_sealed(const AeadKey* key, uint32_t id, uint64_t sequence, const uint8_t* body,
                      size_t size) noexcept nogil:
    cdef uint8_t[LARGEST + 64] data
    cdef Header header
    if size + HEADER_SIZE + key.tag_size > LARGEST:
        return
    header.connection_id, header.channel, header.flags, header.sequence = id, 0, 3, sequence
    header_pack(data, &header)
    if size:
        memcpy(data + HEADER_SIZE, body, size)
    size = aead_seal(key, id, sequence, data, HEADER_SIZE, data + HEADER_SIZE, size)
    give(data, HEADER_SIZE + size, False)


cdef void give_handshake(const uint8_t* body, size_t size, bint stranger, bint echo) noexcept nogil:
    cdef uint8_t[LARGEST] data
    cdef uint32_t sum
    if size + 8 > LARGEST:
        return
    memset(data, 0, 4)
    memcpy(data + 4, body, size)
    if echo and size >= 10:
        memcpy(data + 6, rig.echo, 8)
    sum = crc32c(data, 4 + size)
    memcpy(data + 4 + size, &sum, 4)
    give(data, size + 8, stranger)


cdef void send_due() noexcept nogil:
    if rig.state.role == ROLE_SERVER:
        half_open_sweep(rig.state, rig.now_us)
    while True:
        rig.out.count = 0
        if endpoint_outbound(rig.state, &rig.out, rig.now_us):
            return
        if rig.out.count == 0:
            broken("a batch that is empty is said to be full")


cdef void clear() noexcept nogil:
    if rig.state.role == ROLE_SERVER:
        collect_inputs(rig.state)
    withdraw_undecodable(rig.state)
    rig.state.inbox_count = rig.state.inbox_used = rig.state.event_count = 0
    deliver_stalled(rig.state)


cdef void step(uint8_t operation, uint32_t a, const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t newest = rig.next - 1
    if operation == SEALED:
        give_sealed(&rig.key, rig.id, rig.next + a, data, size)
        rig.next += a + 1
    elif operation == AGAIN and a < HALF_OPEN_FROM:
        give_sealed(&rig.key, rig.id, newest - a if newest > a else 0, data, size)
    elif operation == AGAIN and rig.half != NULL:
        give_sealed(&rig.half_key, rig.half.id, a - HALF_OPEN_FROM, data, size)
    elif operation == RAW:
        give(data, size, a & 1)
    elif operation == SESSION:
        give_session(data, size)
    elif operation == HANDSHAKE:
        give_handshake(data, size, a & 1, a & 2)
    elif operation == TIME:
        rig.now_us += (data[0] if size > 0 else 0) | <uint64_t>(data[1] if size > 1 else 0) << 8 | <uint64_t>(
            data[2] if size > 2 else 0) << 16
        send_due()
    elif operation == SEND and size > 0:
        queue_message(rig.state, connection_of(rig.state, rig.handle), a & 7, data[0] % 201, 0, data + 1,
                      <uint32_t>(size - 1))
    elif operation == CLEAR:
        clear()


cdef void give_session(const uint8_t* body, size_t size) noexcept nogil:
    cdef uint8_t[LARGEST] data
    if size + 4 <= LARGEST:
        memcpy(data, &rig.id, 4)
        if size:
            memcpy(data + 4, body, size)
        give(data, size + 4, False)


cdef void check() noexcept nogil:
    cdef EndpointState* state = rig.state
    cdef uint64_t dropped = 0
    cdef uint32_t i
    for i in range(DROP_REASONS):
        dropped += state.drops[i]
    if state.received != state.accepted + dropped:
        broken("received is not accepted and dropped")
    if state.slab.used > state.slab.capacity or state.inbox_count > state.limits.inbox_records or (
            state.inbox_used > state.limits.inbox_bytes) or state.node_count > state.limits.outbox_nodes or (
            state.outbox_used > state.limits.outbox_bytes) or state.event_count > state.limits.events:
        broken("more is held than there is room for")
    if state.live > state.limits.capacity or state.half_open > state.limits.half_open_capacity:
        broken("more sessions than there are slots")


cdef void end() noexcept nogil:
    """The session is closed, time goes by: nothing is held any more."""
    cdef uint32_t slot, _i
    cdef uint8_t state
    clear()
    half_open_close(rig.state, BYE_SERVER_SHUTDOWN, rig.now_us)
    for slot in range(rig.state.high_water):
        state = rig.state.connections[slot].state
        if state == STATE_LIVE or state == STATE_HELLO or state == STATE_CONNECT:
            connection_close(rig.state, &rig.state.connections[slot], BYE_SERVER_SHUTDOWN, rig.now_us)
    for _i in range(8):
        rig.now_us += 1_000_000
        send_due()
        rig.state.event_count = 0
    if rig.state.live != 0 or rig.state.half_open != 0:
        broken("a session outlives its end")
    if rig.state.slab.used != 0 or rig.state.fragments.live != 0:
        broken("blocks are held when all sessions are gone")


cdef void restore() noexcept nogil:
    # The ephemerals that became sessions take half a megabyte, and most executions add none.
    cdef bint spent = rig.state.spent_at != rig.saved.spent_at
    memcpy(rig.state, &rig.saved, sizeof(EndpointState))
    memcpy(rig.state.connections, rig.connections, rig.saved.limits.capacity * sizeof(Connection))
    fuzz_restore(spent)
    rig.next = rig.sequence
    rig.now_us = rig.start_us


cdef int program(const uint8_t* data, size_t size) noexcept nogil:
    """Whatever a peer, a stranger and the application do in any order: all is accounted for, all within its limits,
    and when it is over nothing is left behind."""
    cdef size_t at = 0, length
    cdef uint8_t operation
    restore()
    while at + 3 <= size:
        operation = data[at]
        length = data[at + 1] | <size_t>data[at + 2] << 8
        at += 3
        if length > size - at:
            length = size - at
        step(operation & 7, operation >> 3, data + at, length)
        check()
        at += length
    end()
    return 0


cdef int bodies(const uint8_t* data, size_t size) noexcept nogil:
    """The same with nothing but bodies behind the decryption, one after the other."""
    cdef size_t at = 0, length
    restore()
    while at + 2 <= size:
        length = data[at] | <size_t>data[at + 1] << 8
        at += 2
        if length > size - at:
            length = size - at
        step(SEALED, 0, data + at, length)
        check()
        at += length
    end()
    return 0


cdef int address(Address* out, object where) except -1:
    address_parse(out, where[0], where[1])
    return 0


cdef int batch_make(Batch* batch) except -1:
    batch.count = 0
    batch.capacity = SLOTS
    batch.slot_size = LARGEST
    batch.datagrams = <Datagram*>malloc(SLOTS * sizeof(Datagram))
    batch.arena = <uint8_t*>malloc(SLOTS * LARGEST)
    if batch.datagrams == NULL or batch.arena == NULL:
        raise MemoryError
    return 0


def adopt(Endpoint endpoint):
    """Called before anything has happened to an endpoint: its memory is taken anew, and remembered."""
    global fuzz_recording
    fuzz_recording = 1
    if not state_allocate(&endpoint.state):
        raise MemoryError
    fuzz_recording = 0
    return endpoint


def prepare(role: str) -> None:
    """Make the rig of `role` ("server" or "client"), in this module's own memory."""
    global keep
    cdef Endpoint endpoint
    cdef Connection* connection
    cdef uint32_t i

    found = programs.RIGS[role](adopt)
    keep = found
    endpoint = found.desk.endpoint
    rig.state = &endpoint.state
    rig.handle = found.handle
    connection = connection_of(rig.state, rig.handle)
    rig.key, rig.id, rig.sequence = connection.epochs.receive[0].key, connection.id, found.session.sequence
    rig.half = NULL
    for i in range(rig.state.limits.half_open_capacity):
        if rig.state.halves[i].state:
            rig.half = &rig.state.halves[i]
            rig.half_key = rig.half.epochs.receive[0].key
    for i in range(8):
        rig.echo[i] = found.echo[i]
    rig.start_us = found.desk.now_us
    address(&rig.peer, found.peer)
    address(&rig.stranger, programs.STRANGER)
    batch_make(&rig.out)
    batch_make(&rig.replies)
    rig.saved = rig.state[0]
    rig.connections = <Connection*>malloc(rig.saved.limits.capacity * sizeof(Connection))
    memcpy(rig.connections, rig.state.connections, rig.saved.limits.capacity * sizeof(Connection))
    fuzz_forget(rig.state.slab.data)
    fuzz_forget(rig.state.packer.buffer)
    fuzz_forget(rig.state.packer.workspace)
    fuzz_forget(rig.state.nodes)
    fuzz_rarely(rig.state.spent_ring)
    fuzz_rarely(rig.state.spent.entries)
    fuzz_save()


TARGETS["server"] = TARGETS["client"] = <size_t>program
TARGETS["server_bodies"] = TARGETS["client_bodies"] = <size_t>bodies

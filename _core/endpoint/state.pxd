"""EndpointState: all memory of an endpoint, its limits, its queues toward the application, its counters.

Owner    The Endpoint class (endpoint.pyx) allocates everything at start-up and frees it at the end.
Limit    `capacity` sessions, `half_open_capacity` handshakes, inbox and events of fixed size, a slab of blocks shared
         by all with a quota per session. What does not fit is refused and counted.
Threads  One at a time.

received = accepted + Σ drops holds for datagrams at every moment; what happens to the messages inside an accepted one
is counted apart, in message_drops.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from shadowland._core.base.records cimport (
    EVENT_SNAPSHOT_ACKED,
    EVENT_SNAPSHOT_LOST,
    Address,
    Datagram,
    EventRecord,
    MessageRecord,
)
from shadowland._core.base.slab cimport Slab
from shadowland._core.base.status cimport (
    BYE_NONE,
    BYE_PROTOCOL_VIOLATION,
    BYE_REASONS,
    DROP_BAD_COMPRESSION,
    DROP_BAD_FRAGMENT,
    DROP_BAD_FRAME,
    DROP_FRAGMENT_EXPIRED,
    DROP_FRAGMENTS_FULL,
    DROP_REASONS,
    DROP_UNEXPECTED,
    DROP_UNKNOWN_CHANNEL,
    DROP_UNKNOWN_MESSAGE,
)
from shadowland._core.compress.packer cimport Packer
from shadowland._core.crypto.cookie cimport CookieSecret
from shadowland._core.crypto.drbg cimport Drbg
from shadowland._core.crypto.noise cimport NoiseState
from shadowland._core.crypto.token cimport TOKEN_LARGEST
from shadowland._core.endpoint.connection cimport (
    CHANNEL_INPUT,
    FAREWELL_LIMIT,
    INPUT_SIZE,
    INPUTS_A_TICK,
    NODE_NONE,
    STATE_FREE,
    Connection,
    Input,
)
from shadowland._core.endpoint.integrity cimport Integrity
from shadowland._core.endpoint.table cimport Table
from shadowland._core.endpoint.trust cimport Joining, Trust
from shadowland._core.guard.guard cimport GuardState
from shadowland._core.session.epoch cimport Epochs
from shadowland._core.session.fragment cimport Fragments

cdef enum:
    ROLE_SERVER = 1
    ROLE_CLIENT = 2

    MTU_DEFAULT = 1200
    MTU_MINIMUM = 1150
    MTU_LARGEST = 1500

    SCHEMA_CLASSES = 180        # as many as REJECTED can name

    HALF_FREE = 0
    HALF_ACCEPTED = 1
    HALF_REJECTED = 2

    PREFIX_BUCKETS = 256

cdef struct OutboxNode:         # one frame, complete, in the outbox arena
    uint32_t offset
    uint32_t length             # 0: overtaken by a newer `latest`
    uint32_t next
    uint32_t token
    uint8_t channel
    uint8_t kind

cdef struct HalfOpen:           # server: message 2 was sent, CONFIRM has not come yet
    uint64_t echo               # first 8 bytes of the client's ephemeral
    uint64_t prefix             # /24 or /64 of the source
    uint64_t created_us
    uint32_t older              # in the bucket of its prefix: index plus one, 0: none
    uint32_t newer
    uint32_t id
    uint16_t length             # of `datagram`
    uint16_t mtu
    uint8_t state
    uint8_t peer_ack_delay_ms
    uint8_t suite
    uint32_t build
    uint8_t exporter[32]
    uint8_t digest[32]          # SHA-256 of CONNECT: the same ephemeral with any other byte is refused
    Address remote
    Address local
    Epochs epochs
    uint8_t datagram[MTU_LARGEST]

cdef struct Attempt:            # client: a handshake under way
    uint64_t echo
    uint64_t started_us
    uint64_t due_us             # when to send (again)
    uint64_t wait_us            # backoff
    uint32_t slot               # of the connection
    uint32_t tries
    uint16_t mtu
    bint used
    bint hint_differs           # a COOKIE named another server key
    bint other_version          # a VERSION came
    uint8_t server_key[32]
    uint8_t secret[32]          # ephemeral private key
    uint8_t ephemeral[32]
    uint16_t token_length
    uint8_t token[TOKEN_LARGEST]
    NoiseState noise
    uint8_t datagram[MTU_LARGEST]

cdef struct Limits:
    uint32_t capacity
    uint32_t half_open_capacity
    uint32_t half_open_per_prefix
    uint32_t inbox_records
    uint32_t inbox_bytes
    uint32_t inbox_inputs       # room for as many inputs, INPUT_SIZE bytes each, besides the two above
    uint32_t session_inbox_records
    uint32_t session_inbox_bytes
    uint32_t outbox_nodes
    uint32_t outbox_bytes
    uint32_t events
    uint32_t blocks
    uint32_t session_blocks
    uint64_t idle_timeout_us
    uint64_t connect_timeout_us
    uint64_t half_open_us
    uint64_t ping_us
    uint64_t max_ack_delay_us
    uint32_t replay_positions
    uint64_t rekey_bytes
    uint64_t rekey_packets
    uint64_t rekey_age_us
    uint64_t rekey_failures
    uint64_t most_failures
    uint16_t mtu                # of the handshake
    uint16_t mtu_limit          # longest datagram that is probed for

cdef struct EndpointState:
    uint8_t role
    uint8_t shard
    uint8_t suites              # OFFER_ bits: what this side can do and wants
    uint16_t tick_hz
    uint32_t tick               # set by the application, told to clients that connect
    uint32_t live
    uint32_t half_open
    uint32_t promised           # half-open ones that were accepted: each has a place among the sessions
    uint32_t high_water         # slots that were ever used: sweeps end there
    uint32_t free_slot
    Limits limits
    Connection* connections
    uint32_t* next_free
    uint64_t* deadlines         # per slot: when outbound must look at it, 0 never
    uint8_t* dirty              # per slot: something waits to be sent now
    uint64_t* paces             # per slot: when what waits for its turn may leave, 0 nothing waits
    uint64_t paced_us           # none of them is earlier, 0 none
    Table sessions              # id (server), id and address (client) -> slot, or half-open index | HALF_BIT
    Table echoes                # echo -> half-open index (server) or attempt (client)
    Table spent                 # server: ephemerals that became sessions, so that a replayed CONNECT gets nothing
    uint64_t* spent_ring
    uint32_t spent_at
    HalfOpen* halves
    uint32_t half_free          # the first of those that were used and are free, plus one; linked by `newer`
    uint32_t half_fresh         # from here on none was ever used
    uint32_t prefix_counts[PREFIX_BUCKETS]
    uint32_t prefix_oldest[PREFIX_BUCKETS]      # plus one, 0: none; linked by `newer` and `older`
    uint32_t prefix_newest[PREFIX_BUCKETS]
    Attempt* attempts
    uint32_t attempt_hint
    Slab slab
    Fragments fragments
    MessageRecord* inbox
    uint8_t* inbox_arena
    uint32_t inbox_count
    uint32_t inbox_used
    uint32_t inbox_inputs       # how many of them are inputs, which have room of their own
    uint32_t inbox_input_bytes
    uint32_t inbox_turn         # how often it was emptied, modulo 2**32
    uint64_t clock_us           # the time of the last inbound or outbound call
    uint64_t swept_us           # ... of the last outbound call that began a pass, 0: none
    uint64_t gap_us             # between the two last of those: so much later the next one is expected
    const Datagram* current     # the one that is being read, valid inside the inbound call
    bint stalled                # a whole reliable message or what became of one waits for room in inbox or events
    Packer packer
    OutboxNode* nodes
    uint8_t* outbox_arena
    uint32_t node_count
    uint32_t outbox_used
    uint32_t sweep              # where outbound goes on when the batch was full
    bint sweeping
    bint again                  # a frame was queued in the middle of a sweep: perhaps for a slot already passed
    EventRecord* events
    uint32_t event_count
    Drbg drbg
    uint64_t cookie_rotate_us
    CookieSecret cookie_secret
    CookieSecret cookie_previous
    uint8_t identity_secret[32]
    uint8_t identity_public[32]
    uint8_t identity_hint[8]
    uint64_t schema_hash
    uint32_t client_build
    uint32_t class_count
    uint16_t class_ids[SCHEMA_CLASSES]
    uint32_t class_digests[SCHEMA_CLASSES]
    Trust trust                 # server: whose tokens it takes
    Integrity integrity         # what the client's files are compared with
    Joining joining             # server: who is not authenticated yet
    uint64_t farewell_from      # client: the session whose CLOSE came last, and the text in it
    uint8_t farewell_length
    uint8_t farewell[FAREWELL_LIMIT]
    uint8_t rejected_detail     # client: beside BAD_TOKEN, what is wrong with it
    uint32_t rejected_count     # client: the classes a server named when it refused the schema
    uint16_t rejected_ids[SCHEMA_CLASSES]
    uint32_t rejected_digests[SCHEMA_CLASSES]
    uint64_t received
    uint64_t accepted
    uint64_t bytes_in
    uint64_t sent
    uint64_t bytes_out
    uint64_t handshakes         # Diffie-Hellman exchanges done
    uint32_t rekey_budget       # answers to rekey requests that this pass may still compute
    uint32_t rekey_next         # slots from here on have their turn; those below wait for the next round
    uint64_t rekeys             # changes of keys that both sides have taken part in
    GuardState* guard           # the Guard that endpoint.pyx keeps alive
    uint64_t bad                # messages that no honest peer sends, so far
    uint64_t events_lost        # snapshot events that found no room (the world counts them as lost by age)
    uint64_t migrations
    uint64_t paths_refused      # pending paths that did not answer in time, or lost against the old one
    uint64_t paths_busy         # packets from a third address, too soon to challenge it
    uint64_t drops[DROP_REASONS]
    uint64_t message_drops[DROP_REASONS]

cdef enum:
    HALF_BIT = 0x80000000

cdef inline void drop(EndpointState* state, int reason) noexcept nogil:
    """A datagram ends here."""
    state.drops[reason] += 1

cdef inline bint is_bad(int reason) noexcept nogil:
    """What a correct peer never sends, on whatever network: the guard scores it."""
    return (reason == DROP_BAD_FRAME or reason == DROP_UNKNOWN_CHANNEL or reason == DROP_UNKNOWN_MESSAGE
            or reason == DROP_BAD_FRAGMENT or reason == DROP_UNEXPECTED or reason == DROP_BAD_COMPRESSION)

cdef inline void drop_message(EndpointState* state, int reason) noexcept nogil:
    """A message inside an accepted datagram ends here."""
    state.message_drops[reason] += 1
    state.bad += is_bad(reason)

cdef inline uint8_t reason_of(uint8_t value) noexcept nogil:
    """A disconnect reason that a peer named: what is none of ours becomes PROTOCOL_VIOLATION."""
    return value if BYE_NONE < value < BYE_REASONS else <uint8_t>BYE_PROTOCOL_VIOLATION

cdef inline void count_fragments(EndpointState* state) noexcept nogil:
    """Sets of fragments that were given up are messages dropped; the sets themselves count them."""
    state.message_drops[DROP_FRAGMENT_EXPIRED] = state.fragments.expired
    state.message_drops[DROP_FRAGMENTS_FULL] = state.fragments.evicted

cdef inline bint event_push(EndpointState* state, uint64_t connection, uint64_t now_us, uint8_t kind, uint8_t reason,
                            uint32_t token) noexcept nogil:
    """Tell the application; False if there is no room. Snapshots and messages leave some for joins, credentials
    and leaves, which must not be lost; what becomes of a message is told later then."""
    cdef EventRecord* event
    cdef uint32_t room = state.limits.events - state.event_count
    if room == 0 or (token != 0 and room <= 3 * state.limits.capacity):
        if kind == EVENT_SNAPSHOT_ACKED or kind == EVENT_SNAPSHOT_LOST:
            state.events_lost += 1
        return False
    event = &state.events[state.event_count]
    memset(event, 0, sizeof(EventRecord))
    event.connection = connection
    event.time_us = now_us
    event.kind = kind
    event.reason = reason
    event.token = token
    state.event_count += 1
    return True

cdef inline size_t inbox_reserve(EndpointState* state) noexcept nogil:
    """Set aside what a tick may take of inputs; the bytes of it. 2**20 sessions and the longest inbox still leave
    offsets of 32 bits."""
    state.limits.inbox_inputs = INPUTS_A_TICK * state.limits.capacity if state.role == ROLE_SERVER else 0
    return <size_t>state.limits.inbox_inputs * INPUT_SIZE

cdef inline void inbox_clear(EndpointState* state) noexcept nogil:
    """Empty it, inputs and all; a new turn of every session's share begins."""
    state.inbox_count = 0
    state.inbox_used = 0
    state.inbox_inputs = 0
    state.inbox_input_bytes = 0
    state.inbox_turn += 1

cdef inline bint inbox_room(const EndpointState* state, Connection* connection, uint32_t length) noexcept nogil:
    """Whether the inbox, and of it this session's share, has room for one message of `length` bytes."""
    if connection.inbox_turn != state.inbox_turn:
        connection.inbox_turn = state.inbox_turn
        connection.inbox_count = 0
        connection.inbox_used = 0
    return (state.inbox_count - state.inbox_inputs < state.limits.inbox_records
            and length <= state.limits.inbox_bytes - (state.inbox_used - state.inbox_input_bytes)
            and connection.inbox_count < state.limits.session_inbox_records
            and length <= state.limits.session_inbox_bytes - connection.inbox_used)

cdef inline MessageRecord* inbox_put(EndpointState* state, uint64_t handle, uint64_t time_us, uint8_t channel,
                                     uint8_t kind, uint32_t number, uint32_t length, uint8_t** payload) noexcept nogil:
    """The next record and its bytes, for which there must be room."""
    cdef MessageRecord* record = &state.inbox[state.inbox_count]
    record.connection = handle
    record.time_us = time_us
    record.offset = state.inbox_used
    record.length = length
    record.number = number
    record.channel = channel
    record.kind = kind
    record.flags = 0
    payload[0] = state.inbox_arena + state.inbox_used
    state.inbox_used += length
    state.inbox_count += 1
    return record

cdef inline MessageRecord* inbox_push(EndpointState* state, Connection* connection, uint64_t time_us, uint8_t channel,
                                      uint8_t kind, uint32_t number, uint32_t length, uint8_t** payload) noexcept nogil:
    """Room for one message of `length` bytes, to be filled at `payload`; NULL when there is none for this session."""
    if not inbox_room(state, connection, length):
        return NULL
    connection.inbox_used += length
    connection.inbox_count += 1
    return inbox_put(state, connection.handle, time_us, channel, kind, number, length, payload)

cdef inline bint inbox_input(EndpointState* state, uint64_t handle, const Input* entry) noexcept nogil:
    """An input whose tick has come, in the part of the inbox that no other message can take; False when it is full."""
    cdef uint8_t* payload
    if state.inbox_inputs >= state.limits.inbox_inputs:
        return False
    state.inbox_inputs += 1
    state.inbox_input_bytes += entry.length
    inbox_put(state, handle, entry.time_us, CHANNEL_INPUT, entry.kind, entry.number, entry.length, &payload)
    memcpy(payload, entry.data, entry.length)
    return True

cdef inline void inbox_undo(EndpointState* state, Connection* connection, uint32_t length) noexcept nogil:
    """The last inbox_push, of `length` bytes, was for nothing."""
    state.inbox_used -= length
    state.inbox_count -= 1
    connection.inbox_used -= length
    connection.inbox_count -= 1

cdef inline Connection* connection_of(EndpointState* state, uint64_t handle) noexcept nogil:
    """The connection a handle names, NULL if it is over or was never there."""
    cdef uint32_t slot = <uint32_t>handle
    cdef Connection* connection
    if slot >= state.limits.capacity:
        return NULL
    connection = &state.connections[slot]
    if connection.state == STATE_FREE or connection.handle != handle:
        return NULL
    return connection

cdef inline Connection* connection_take(EndpointState* state) noexcept nogil:
    """A free slot with a new generation, cleared; NULL when the endpoint is full."""
    cdef uint32_t slot = state.free_slot
    cdef Connection* connection
    cdef uint64_t generation
    if slot == <uint32_t>NODE_NONE:
        return NULL
    connection = &state.connections[slot]
    state.free_slot = state.next_free[slot]
    generation = (connection.handle >> 32) + 1
    if generation >> 32 != 0:
        generation = 1
    memset(connection, 0, sizeof(Connection))
    connection.handle = generation << 32 | slot
    connection.replay.positions = state.limits.replay_positions
    connection.node_head = <uint32_t>NODE_NONE
    connection.node_tail = <uint32_t>NODE_NONE
    connection.attempt = <uint32_t>NODE_NONE
    if slot + 1 > state.high_water:
        state.high_water = slot + 1
    state.live += 1
    return connection

cdef inline uint64_t address_digest(const EndpointState* state, const Address* address) noexcept nogil:
    """32 bits for (ip, port); keyed where they are used, in the table."""
    cdef uint64_t high = 0, low = 0
    cdef uint32_t i
    for i in range(8):
        high |= <uint64_t>address.ip[i] << (8 * i)
        low |= <uint64_t>address.ip[8 + i] << (8 * i)
    # An IPv4 address lies in the upper half of `low`, which a product only carries upwards: fold before and after.
    high = (high * <uint64_t>0x9E3779B97F4A7C15 ^ low) + address.port * <uint64_t>0x94D049BB133111EB
    high = (high ^ high >> 32) * <uint64_t>0xBF58476D1CE4E5B9
    return high >> 32

cdef inline uint64_t session_key(const EndpointState* state, uint32_t id, const Address* remote) noexcept nogil:
    """Servers hand out ids, so the id is enough; a client may meet one id at two servers."""
    if state.role == ROLE_SERVER:
        return id
    return (address_digest(state, remote) << 32) | id

"""Connection: everything one peer's session needs, in one flat struct.

Owner    The endpoint's array of connections; slots are reused, `handle` carries the generation that tells them apart.
Limit    Every member is of fixed size; bytes that wait lie in the endpoint's slab under the session's quota of blocks.
Threads  One at a time.

    FREE ─▶ HELLO ─▶ CONNECT ─▶ LIVE ─▶ CLOSING ─▶ FREE       client (HELLO, CONNECT: see connect.pxd)
    FREE ──(CONFIRM opens)────▶ LIVE ─▶ CLOSING ─▶ FREE       server (before it: a half-open slot, see accept.pxd)
"""
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t

from shadowland._core.base.records cimport Address
from shadowland._core.guard.guard cimport SessionBuckets
from shadowland._core.session.ack cimport AckState
from shadowland._core.session.channel cimport Claims
from shadowland._core.session.clock cimport Clock
from shadowland._core.session.congestion cimport Congestion
from shadowland._core.session.epoch cimport Epochs
from shadowland._core.session.mtu cimport MtuSearch
from shadowland._core.session.path cimport PathPending
from shadowland._core.session.receiving cimport ReliableReceive
from shadowland._core.session.recovery cimport Recovery
from shadowland._core.session.replay cimport ReplayWindow
from shadowland._core.session.sending cimport ReliableSend

cdef enum:
    STATE_FREE = 0
    STATE_HELLO = 1
    STATE_CONNECT = 2
    STATE_LIVE = 3
    STATE_CLOSING = 4           # says CLOSE a few times, accepts nothing any more
    STATE_ENDED = 5             # waits for room in the event queue, then FREE

    INPUT_POSITIONS = 8         # inputs repeated per packet, and depth of the server's jitter buffer
    INPUT_SIZE = 60
    INPUT_PRIME = 2             # after running dry the server waits for this many, so that jitter starves no tick
    INPUT_DEEP = 4              # above it two are taken per tick, so that delay does not pile up
    INPUTS_A_TICK = 2

    LATEST_KINDS = 200          # every kind a schema can have: a smaller table would starve the last ones for ever

    WANT_CONFIRM = 1
    WANT_PING = 2
    WANT_PONG = 4
    WANT_INPUT = 8              # a fresh input waits
    WANT_PROBE = 16             # the probe timeout struck: send something that elicits

    CHANNEL_UNRELIABLE = 0
    CHANNEL_RELIABLE = 1
    CHANNEL_UNORDERED = 2
    CHANNEL_LATEST = 3
    CHANNEL_INPUT = 4
    CHANNEL_SNAPSHOT = 5
    CHANNEL_CONTROL = 7

    CONTROL_CONFIRM = 0
    CONTROL_PING = 1
    CONTROL_PONG = 2
    CONTROL_CLOSE = 3
    CONTROL_PATH_CHALLENGE = 4
    CONTROL_PATH_RESPONSE = 5

    CHALLENGES_KEPT = 2         # one over each of the two paths that a server challenges

    FAREWELL_LIMIT = 64

    HEAD_FRAGMENT = 0x08
    HEAD_COMPRESSED = 0x10
    NODE_NONE = 0xFFFFFFFF

cdef struct Input:
    uint64_t time_us
    uint32_t number
    uint8_t kind
    uint8_t length
    uint8_t data[INPUT_SIZE]

cdef struct Inputs:             # client: what is not acknowledged; server: what waits for its tick
    Input ring[INPUT_POSITIONS]
    uint32_t newest             # number of the last one sent or received; the first is 1
    uint32_t settled            # client: newest acknowledged; server: newest handed out
    uint32_t depth              # server: how many wait
    bint primed                 # hands out; False after running dry
    bint waited                 # a lone input was held back for one tick: it is handed out at the next

cdef struct Latest:
    uint64_t after[LATEST_KINDS]    # by kind - 1: packet of the last one taken, plus one

cdef struct Challenge:          # client: to be answered
    uint64_t token
    Address local               # where it came to, and whence the answer leaves

cdef struct Rekey:              # when the keys of the current epoch have served long enough
    uint64_t due_us
    uint64_t due_packets        # of packets_out
    uint64_t due_bytes          # of bytes_out
    uint64_t failures           # packets that did not open
    bint wanted                 # somebody asked: the application, or the server
    bint asked                  # server: the client knows
    bint held                   # server: a request waits for the end of the grace time, and for its turn
    uint8_t request[32]         # ... its ephemeral

cdef struct Connection:
    uint64_t handle
    uint64_t key                # in the endpoint's table of sessions
    uint32_t id
    uint32_t attempt            # client: index of the handshake under way
    uint8_t state
    uint8_t reason              # CLOSING, ENDED: why
    uint8_t closes              # CLOSE packets still to be sent
    uint8_t farewell_length     # text that CLOSE carries beside its reason
    uint8_t farewell[FAREWELL_LIMIT]
    uint8_t want
    uint8_t unannounced         # the application never heard that it joined, so it does not hear that it left
    uint8_t joining             # JOINING_*: confirmed, not authenticated; 0 otherwise
    uint8_t confirmed           # client: a CONFIRM arrived, so those that are lost later need not go again
    uint16_t mtu
    uint16_t fragment_id
    uint32_t node_head          # chain of outbox nodes
    uint32_t node_tail
    uint64_t pong_time          # of the ping to be answered, by the peer's clock
    uint64_t pong_since_us      # when it arrived
    uint64_t ping_sent_us       # of the ping that waits for its answer, 0 none
    uint64_t last_received_us
    uint64_t path_due_us        # when path_step has something to do (challenges, probes of the MTU), 0: never
    uint64_t ping_due_us
    uint64_t ping_gap_us        # doubles up to ping_us
    uint64_t close_due_us
    uint64_t forget_us          # CLOSING: when the keys go
    uint32_t inbox_turn         # the endpoint's, when the two below began
    uint32_t inbox_count        # messages of this session in the inbox
    uint32_t inbox_used         # their bytes
    uint64_t block_sequence     # newest packet whose ack block was read, plus one
    uint64_t peer_ack_delay_us
    uint64_t idle_timeout_us
    uint64_t packets_in
    uint64_t packets_out
    uint64_t bytes_in
    uint64_t bytes_out
    Clock clock
    uint32_t build              # server: what the client says it is
    uint8_t exporter[32]        # key for what proves something of this session
    uint32_t peer_tick          # client: the server's tick when it accepted
    uint16_t peer_tick_hz
    Address remote              # the validated path: nothing but challenges goes anywhere else
    Address local
    SessionBuckets guarded      # server: what this session used of its allowances
    Epochs epochs
    Rekey rekey
    ReplayWindow replay
    AckState ack
    Latest latest
    Inputs inputs
    Congestion congestion
    uint64_t unit_turn_us       # when reliable data may leave also without credit
    uint64_t unanswered_us      # of the oldest packet, or the newest acknowledgment since, that waits for an answer
    uint64_t silent_sent_us     # last snapshot since the peer acknowledges nothing
    uint32_t saved_bytes        # the snapshots' quarter, as long as it is too little for one
    uint32_t waiting_bytes      # queued frames
    Recovery recovery
    Claims claims               # of the slab, for both directions
    ReliableSend send
    ReliableReceive receive
    PathPending path            # server
    MtuSearch mtu_search
    Challenge challenges[CHALLENGES_KEPT]
    uint32_t challenge_count
    uint32_t moves              # how often the session moved

cdef inline uint32_t handle_slot(uint64_t handle) noexcept nogil:
    return <uint32_t>handle

cdef inline void input_push(Inputs* inputs, uint8_t kind, const uint8_t* data, uint8_t length) noexcept nogil:
    """Client: a new input takes the next number; the ninth pushes the oldest out."""
    cdef Input* entry
    cdef uint32_t i
    inputs.newest += 1
    entry = &inputs.ring[inputs.newest % INPUT_POSITIONS]
    entry.number = inputs.newest
    entry.kind = kind
    entry.length = length
    for i in range(length):
        entry.data[i] = data[i]

cdef inline uint32_t input_pending(const Inputs* inputs) noexcept nogil:
    """Client: how many inputs a packet has to repeat."""
    cdef uint32_t pending = inputs.newest - inputs.settled
    return pending if pending < INPUT_POSITIONS else INPUT_POSITIONS

cdef inline void input_acked(Inputs* inputs, uint16_t newest_low) noexcept nogil:
    """Client: a packet that repeated inputs up to `newest_low` arrived."""
    cdef int ahead = <int16_t>(newest_low - <uint16_t>(inputs.settled & 0xFFFF))
    if ahead > 0 and <uint32_t>ahead <= inputs.newest - inputs.settled:
        inputs.settled += <uint32_t>ahead

cdef inline bint input_take(Inputs* inputs, uint32_t number, uint8_t kind, const uint8_t* data, uint8_t length,
                            uint64_t time_us) noexcept nogil:
    """Server: an input newer than all so far goes into the jitter buffer; False when that pushed the oldest out."""
    cdef Input* entry
    cdef uint32_t i
    cdef bint room = inputs.depth < INPUT_POSITIONS
    # Places go round with the count of inputs taken, not with their numbers: gaps take no room.
    if not room:
        inputs.settled += 1
        inputs.depth -= 1
    entry = &inputs.ring[(inputs.settled + inputs.depth) % INPUT_POSITIONS]
    entry.number = number
    entry.kind = kind
    entry.length = length
    entry.time_us = time_us
    for i in range(length):
        entry.data[i] = data[i]
    inputs.depth += 1
    inputs.newest = number
    return room

cdef inline Input* input_pop(Inputs* inputs) noexcept nogil:
    """Server: the oldest input that waits, NULL if none does."""
    cdef Input* entry
    if inputs.depth == 0:
        return NULL
    entry = &inputs.ring[inputs.settled % INPUT_POSITIONS]
    inputs.settled += 1
    inputs.depth -= 1
    return entry

cdef inline bint latest_newer(const Latest* latest, uint8_t kind, uint64_t sequence) noexcept nogil:
    """Whether a `latest` message of `kind` (1 to 200) in packet `sequence` is no older than the last one taken."""
    return sequence + 1 >= latest.after[kind - 1]

cdef inline void latest_taken(Latest* latest, uint8_t kind, uint64_t sequence) noexcept nogil:
    """It was delivered: from now on older ones of its kind are stale."""
    latest.after[kind - 1] = sequence + 1

"""Acknowledgments of one direction: what has been stored, and the block that says so (docs/protocol.md 5.1).

Owner    An AckState lies inside the connection; nothing here allocates.
Limit    A bitfield reaches back at most ACK_POSITIONS sequences; a block is at most ACK_BLOCK_MAX bytes.
Threads  One at a time per connection.

`stored` is not the replay window: a packet that opened is committed there whatever becomes of it, but it is only
acknowledged when everything in it was kept. `floor` is the oldest sequence whose acknowledgment is not itself known to
have arrived; what lies below it need not be said again.

    floor ............ newest          bit i of the field = newest - 1 - i
      |<--- bitfield --->|
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.session.replay cimport ring_advance, ring_holds

cdef enum:
    ACK_POSITIONS = 512                             # twice what the other side remembers of what it sent
    ACK_WORDS = 16                                  # of the ring that remembers: the newest, ACK_POSITIONS and more
    ACK_WORD_MASK = ACK_WORDS - 1
    ACK_BLOCK_MAX = 2 + 4 + 1 + ACK_POSITIONS // 8
    ACK_DELAY_US = 25000                            # shortest and longest that one is held back ...
    ACK_LONGEST = 255000                            # ... whose whole milliseconds fit into a byte
    ACK_DELAY_UNIT_US = 256
    ACK_DELAY_MOST_US = 255 * ACK_DELAY_UNIT_US     # the field is full

cdef struct AckLate:
    uint64_t lowest             # the floor may not pass it ...
    uint64_t since              # ... until an own packet from this sequence on is acknowledged
    bint some

cdef struct AckState:
    uint64_t stored[ACK_WORDS]
    uint64_t stored_newest
    uint64_t newest
    uint64_t newest_time_us
    uint64_t floor              # lowest sequence still worth saying
    AckLate late[2]             # sequences that came late and that not every block of ours in flight has named
    uint64_t confirmed          # newest sequence that the peer is known to have been told of
    uint64_t deadline_us        # 0: nothing waits
    uint32_t waiting            # ack-eliciting packets that no packet of ours has acknowledged yet
    bint some                   # anything stored at all

cdef struct AckBlock:           # a parsed block; the bitfield stays where it was read
    uint64_t newest
    uint32_t delay_us
    uint32_t bytes              # of the bitfield
    const uint8_t* bits
    bint some

cdef inline uint32_t ack_delay(uint32_t tick_hz) noexcept nogil:
    """How long one is held back where packets leave so often a second, in whole milliseconds. It rides on the next
    tick's packet: a wait shorter than a tick would only make packets of their own."""
    cdef uint32_t delay = (1250 // tick_hz + 1) * 1000
    if delay < ACK_DELAY_US:
        return ACK_DELAY_US
    return delay if delay < ACK_LONGEST else ACK_LONGEST

cdef inline bint ack_stored(const AckState* state, uint64_t sequence) noexcept nogil:
    return ring_holds(state.stored, ACK_WORD_MASK, sequence)

cdef inline void ack_came_late(AckState* state, uint64_t sequence, uint64_t next_own_sequence) noexcept nogil:
    """Blocks sent so far do not name `sequence`: their acknowledgment must not raise the floor beyond it.

    Two generations, so that the first is let go after one round trip although ever more come late meanwhile.
    """
    cdef AckLate* late = &state.late[1 if state.late[0].some else 0]
    if not late.some or sequence < late.lowest:
        late.lowest = sequence
    late.since = next_own_sequence
    late.some = True
    if sequence < state.floor:
        state.floor = sequence

cdef inline void ack_note(AckState* state, uint64_t sequence, uint64_t time_us, bint eliciting,
                          uint64_t max_delay_us, uint64_t next_own_sequence) noexcept nogil:
    """A packet was kept whole: it will be acknowledged."""
    if sequence > state.stored_newest:
        ring_advance(state.stored, ACK_WORD_MASK, state.stored_newest, sequence)
        state.stored_newest = sequence
    elif state.stored_newest - sequence >= ACK_WORDS * 64 or ack_stored(state, sequence):
        return                                      # too old to be said, or said already
    state.stored[(sequence >> 6) & ACK_WORD_MASK] |= (<uint64_t>1) << (sequence & 63)
    if not state.some or sequence > state.newest:
        state.newest = sequence
        state.newest_time_us = time_us
    if not state.some:
        state.floor = sequence
        memset(state.late, 0, sizeof(state.late))
    elif sequence < state.newest:
        ack_came_late(state, sequence, next_own_sequence)
    state.some = True
    if eliciting:
        state.waiting += 1
        if state.waiting >= 2:
            state.deadline_us = 1                   # now
        elif state.deadline_us == 0:
            state.deadline_us = time_us + max_delay_us

cdef inline void ack_withdraw(AckState* state, uint64_t sequence) noexcept nogil:
    """The world could not keep what `sequence` held: do not acknowledge it. Only before the next block is packed."""
    cdef uint64_t lowest
    if not state.some or sequence > state.newest or state.newest - sequence >= ACK_POSITIONS:
        return
    state.stored[(sequence >> 6) & ACK_WORD_MASK] &= ~((<uint64_t>1) << (sequence & 63))
    if sequence != state.newest:
        return
    lowest = state.floor
    if state.newest - lowest >= ACK_POSITIONS:
        lowest = state.newest - (ACK_POSITIONS - 1)
    while sequence > lowest:
        sequence -= 1
        if ack_stored(state, sequence):
            state.newest = sequence
            return
    state.some = False                              # nothing left to say until the next packet is stored

cdef inline uint32_t ack_pack(AckState* state, uint8_t* out, uint64_t now_us) noexcept nogil:
    """Write the block to `out` (ACK_BLOCK_MAX bytes at least); returns its length. Clears what waits."""
    cdef uint64_t span, distance, delay, i, sequence
    cdef uint32_t width, code, n, at
    state.waiting = 0
    state.deadline_us = 0
    if not state.some:
        out[0] = 0
        return 1
    # RFC 9000 A.2: enough bits for twice the distance to what the peer is known to know.
    distance = state.newest - state.confirmed if state.newest > state.confirmed else state.confirmed - state.newest
    if distance < 0x7F:
        width, code = 1, 1
    elif distance < 0x7FFF:
        width, code = 2, 2
    else:
        width, code = 4, 3
    span = state.newest - state.floor if state.newest > state.floor else 0
    if span > ACK_POSITIONS:
        span = ACK_POSITIONS
    n = 0
    at = 1 + width + 1
    if span > 0:
        # Room for the byte that gives n is only known afterwards; fields that long are rare, so they are moved then.
        for i in range((span + 7) // 8):
            out[at + i] = 0
        for i in range(span):
            sequence = state.newest - 1 - i
            if ack_stored(state, sequence):
                out[at + (i >> 3)] |= <uint8_t>(1 << (i & 7))
                n = <uint32_t>(i >> 3) + 1
    if n >= 63:
        i = n
        while i > 0:
            i -= 1
            out[at + 1 + i] = out[at + i]
        out[0] = <uint8_t>(code | (63 << 2))
        out[1] = <uint8_t>n
        at = 2
    else:
        out[0] = <uint8_t>(code | (n << 2))
        at = 1
    for i in range(width):
        out[at] = <uint8_t>(state.newest >> (8 * i))
        at += 1
    delay = (now_us - state.newest_time_us) // ACK_DELAY_UNIT_US if now_us > state.newest_time_us else 0
    out[at] = <uint8_t>(delay if delay < 255 else 255)
    return at + 1 + n

cdef inline int ack_parse(const uint8_t* data, uint32_t length, uint64_t largest_acked, AckBlock* block) noexcept nogil:
    """Read a block from the start of a body. Returns its length, or -1 when it is malformed."""
    cdef uint32_t code, n, width, highest, at = 1, i
    cdef uint64_t truncated = 0, expected, window, candidate
    if length < 1:
        return -1
    code = data[0] & 3
    n = data[0] >> 2
    block.some = code != 0
    block.newest = 0
    block.bytes = 0
    if code == 0:
        return 1 if n == 0 else -1
    if n == 63:
        if length < 2:
            return -1
        n = data[1]
        at = 2
        if n < 63 or n > ACK_POSITIONS // 8:
            return -1
    width = 1 if code == 1 else (2 if code == 2 else 4)
    if length - at < width + 1 + n:
        return -1
    for i in range(width):
        truncated |= <uint64_t>data[at + i] << (8 * i)
    at += width
    # RFC 9000 A.3, around the packet that would be acknowledged next.
    expected = largest_acked + 1
    window = (<uint64_t>1) << (8 * width)
    candidate = (expected & ~(window - 1)) | truncated
    if candidate < expected and expected - candidate >= window >> 1 and candidate < <uint64_t>0 - window:
        candidate += window
    elif candidate > expected and candidate - expected > window >> 1 and candidate >= window:
        candidate -= window
    block.newest = candidate
    block.delay_us = <uint32_t>data[at] * ACK_DELAY_UNIT_US
    at += 1
    block.bits = data + at
    block.bytes = n
    if n > 0:
        if data[at + n - 1] == 0:
            return -1                               # canonical: trailing zeros are cut
        highest = n * 8 - 1
        while not (data[at + n - 1] >> (highest & 7)) & 1:
            highest -= 1
        if highest >= candidate:
            return -1                               # says that a sequence below zero was received
    return <int>(at + n)

cdef inline void ack_confirm(AckState* state, uint64_t own_sequence, uint64_t said_newest) noexcept nogil:
    """The peer acknowledged our packet `own_sequence`, whose block named `said_newest`: that much it now knows."""
    cdef uint64_t floor
    cdef int _i
    if said_newest > state.confirmed:
        state.confirmed = said_newest
    for _i in range(2):
        if state.late[0].some and own_sequence >= state.late[0].since:
            state.late[0] = state.late[1]
            state.late[1].some = False
    floor = said_newest + 1
    if state.late[0].some and state.late[0].lowest < floor:
        floor = state.late[0].lowest
    if state.late[1].some and state.late[1].lowest < floor:
        floor = state.late[1].lowest
    if floor > state.floor:
        state.floor = floor

"""Reliable delivery, the receiving half: what is next in its stream goes on at once, the rest waits for its turn.

Owner    A ReliableReceive lies inside the connection; bytes that wait lie in the endpoint's slab.
Limit    RELIABLE_WINDOW units beyond the first that is missing. The message that is the next of its stream has its
         memory set aside with the first of its units that comes, RECEIVE_BLOCKS for all streams; units of later
         messages that wait hold what is left of the session's quota.
Threads  One at a time per connection.

    expected ........ missing ..... newest      expected = first not done with, missing = first not received
    stream s:  message m: [part 0 ‖ part 1 ‖ ...       ◀── the next part, else the ring is where it waits

A unit that is missing holds up its own stream only. A message that is whole is offered as a Ready: the caller takes it
(reliable_taken) or, when it has no room, lets its last unit wait (reliable_hold) and comes back (reliable_ready).

Why nothing gets stuck: of an honest peer's units the one at `missing` is always the next of its stream. A whole one
needs no memory then, and the memory of a message of several units was set aside when the first of them came.
"""
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from shadowland._core.base.slab cimport (
    SLAB_BLOCK,
    SLAB_NONE,
    Slab,
    slab_blocks,
    slab_claim,
    slab_disclaim,
    slab_load,
    slab_put,
    slab_release,
    slab_store,
    slab_take,
)
from shadowland._core.session.channel cimport (
    CONTROL_BLOCKS,
    CONTROL_LIMIT,
    CONTROL_RESERVE,
    RECEIVE_BLOCKS,
    RECEIVE_UNITS,
    RELIABLE_MASK,
    RELIABLE_MESSAGE_LIMIT,
    RELIABLE_POSITIONS,
    RELIABLE_UNIT_SIZE,
    RELIABLE_WINDOW,
    SESSION_RESERVE,
    STREAM_CONTROL,
    STREAM_COUNT,
    STREAM_UNORDERED,
    UNIT_BLOCKS,
    Claims,
)

cdef enum:
    ARRIVED_FREE = 0                                # states of a position
    ARRIVED_WAITING = 1
    ARRIVED_DONE = 2

    # What became of a unit that arrived.
    UNIT_KEPT = 0
    UNIT_DUPLICATE = 1
    UNIT_NO_ROOM = 2                                # not kept, so not acknowledged: it comes again
    UNIT_BEYOND_WINDOW = 3                          # the peer ignores the window: close
    UNIT_BAD = 4                                    # a length, index, count or order that cannot be: close
    UNIT_OVER_LIMIT = 5                             # the peer begins more than RECEIVE_UNITS: close
    UNIT_READY = 6                                  # ends a message: take it or let it wait
    UNIT_NOTHING = 7                                # nothing more is ready

cdef struct Arrived:
    uint32_t chain
    uint16_t length
    uint16_t index
    uint16_t count              # 0: a whole message
    uint16_t message
    uint8_t state
    uint8_t stream
    uint8_t aside               # it waits in memory that was set aside for its message
    uint8_t compressed

cdef struct Incoming:           # one stream
    uint32_t chain              # what is put together so far, if `length` is not 0
    uint32_t tail
    uint32_t length
    uint16_t message            # the next, or the one that is put together
    uint16_t index              # its next part
    uint16_t count              # its parts; 0: none has come
    uint16_t waiting            # units in the ring
    uint8_t whole               # it has all its parts and only waits to be taken
    uint8_t compressed          # the message that is put together, and so all its parts

cdef struct ReliableReceive:
    uint64_t expected
    uint64_t missing
    uint64_t newest             # highest number so far, plus one
    uint32_t blocks             # of units that wait, other than those in memory set aside
    uint32_t aside              # of messages that are put together
    uint32_t begun              # units of messages that are put together and are not whole
    Incoming streams[STREAM_COUNT]
    Arrived units[RELIABLE_POSITIONS]

cdef struct Ready:              # a whole message: `length` bytes of `chain`, then those of its last unit
    uint64_t number             # of its last unit
    const uint8_t* tail
    uint32_t chain
    uint32_t length
    Arrived unit

cdef inline bint unit_fits(const Arrived* unit) noexcept nogil:
    """Whether a unit can be as it says it is. All parts but the last are full, so what a message needs follows from its
    count."""
    cdef uint32_t limit = CONTROL_LIMIT if unit.stream == STREAM_CONTROL else RELIABLE_MESSAGE_LIMIT
    if unit.length > RELIABLE_UNIT_SIZE or (unit.compressed and unit.stream == STREAM_CONTROL):
        return False
    if unit.count == 0:
        return unit.index == 0
    if unit.count == 1 or unit.index >= unit.count or (unit.count - 1) * <uint32_t>RELIABLE_UNIT_SIZE >= limit:
        return False
    if unit.index + 1 < unit.count:
        return unit.length == RELIABLE_UNIT_SIZE
    return unit.length > 0 and unit.index * <uint32_t>RELIABLE_UNIT_SIZE + unit.length <= limit

cdef inline void arrived(ReliableReceive* receive, uint64_t number, uint8_t state) noexcept nogil:
    """A unit waits, or nothing of it is needed any more: move `missing` and `expected` on."""
    receive.units[number & RELIABLE_MASK].state = state
    if number >= receive.newest:
        receive.newest = number + 1
    while receive.missing < receive.newest and receive.units[receive.missing & RELIABLE_MASK].state != ARRIVED_FREE:
        receive.missing += 1
    while receive.expected < receive.missing and receive.units[receive.expected & RELIABLE_MASK].state == ARRIVED_DONE:
        receive.units[receive.expected & RELIABLE_MASK].state = ARRIVED_FREE
        receive.expected += 1

cdef inline int incoming_begin(ReliableReceive* receive, Slab* slab, Claims* claims,
                               const Arrived* unit) noexcept nogil:
    """The first unit came of a message of several that is the next of its stream: set its memory aside."""
    cdef uint32_t blocks = unit.count * <uint32_t>UNIT_BLOCKS
    if receive.begun + unit.count > RECEIVE_UNITS:
        return UNIT_OVER_LIMIT
    if unit.stream == STREAM_CONTROL:
        if (claims.control + blocks > CONTROL_BLOCKS
                or not slab_claim(slab, &claims.control, CONTROL_RESERVE, blocks)):
            return UNIT_NO_ROOM
    else:
        if receive.aside + blocks > RECEIVE_BLOCKS or not slab_claim(slab, &claims.held, SESSION_RESERVE, blocks):
            return UNIT_NO_ROOM
        receive.aside += blocks
    receive.streams[unit.stream].count = unit.count
    receive.streams[unit.stream].compressed = unit.compressed
    receive.begun += unit.count
    return UNIT_KEPT

cdef inline void incoming_clear(ReliableReceive* receive, Slab* slab, Claims* claims, uint8_t stream) noexcept nogil:
    """What was put together in a stream goes."""
    cdef Incoming* incoming = &receive.streams[stream]
    cdef uint32_t blocks
    if incoming.count == 0:
        return
    blocks = incoming.count * <uint32_t>UNIT_BLOCKS
    if incoming.length:
        slab_release(slab, incoming.chain)
    if stream == STREAM_CONTROL:
        slab_disclaim(slab, &claims.control, CONTROL_RESERVE, blocks)
    else:
        slab_disclaim(slab, &claims.held, SESSION_RESERVE, blocks)
        receive.aside -= blocks
    if not incoming.whole:
        receive.begun -= incoming.count
    incoming.length = 0
    incoming.count = 0
    incoming.index = 0
    incoming.whole = False

cdef inline bint incoming_add(ReliableReceive* receive, Slab* slab, const Arrived* unit,
                              const uint8_t* data) noexcept nogil:
    """Put a full part that is the next of its stream, and not the last of its message, behind the others."""
    cdef Incoming* incoming = &receive.streams[unit.stream]
    cdef uint32_t blocks, used, fresh
    # The tail holds 1 to 256 bytes; what does not fit into it goes into fresh blocks.
    used = (incoming.length - 1) % SLAB_BLOCK + 1 if incoming.length else 0
    fresh = slab_blocks(used + RELIABLE_UNIT_SIZE) - (1 if used else 0)
    blocks = slab_take(slab, fresh)
    if blocks == <uint32_t>SLAB_NONE:               # cannot be while everybody claims before taking
        return False
    if used:
        slab.next[incoming.tail] = blocks
    else:
        incoming.chain = blocks
        incoming.tail = blocks
    incoming.tail = slab_put(slab, incoming.tail, used, data, RELIABLE_UNIT_SIZE)
    incoming.length += RELIABLE_UNIT_SIZE
    incoming.index += 1
    return True

cdef inline void ready_fill(const ReliableReceive* receive, Ready* ready, uint8_t stream, uint64_t number,
                            const Arrived* unit, const uint8_t* data) noexcept nogil:
    """The message that `unit`, whose bytes are `data`, ends."""
    ready.unit = unit[0]
    ready.number = number
    ready.chain = receive.streams[stream].chain
    ready.length = receive.streams[stream].length
    ready.tail = data

cdef inline uint32_t ready_length(const Ready* ready) noexcept nogil:
    """Bytes of the whole message, its kind included."""
    return ready.length + ready.unit.length

cdef inline void ready_load(const Slab* slab, const Ready* ready, uint8_t* out) noexcept nogil:
    """The whole message to `out`."""
    slab_load(slab, ready.chain, out, ready.length)
    memcpy(out + ready.length, ready.tail, ready.unit.length)

cdef inline bint reliable_hold(ReliableReceive* receive, Slab* slab, Claims* claims, uint64_t number,
                               const Arrived* unit, const uint8_t* data, uint32_t quota_blocks) noexcept nogil:
    """Let a unit that arrived wait in its position; False when there is no room for it."""
    cdef const Incoming* incoming = &receive.streams[unit.stream]
    cdef bint aside = incoming.count > 0 and incoming.message == unit.message and unit.index >= incoming.index
    cdef uint32_t blocks = slab_blocks(unit.length), chain
    if not aside and (receive.blocks + blocks > quota_blocks - RECEIVE_BLOCKS
                      or not slab_claim(slab, &claims.held, SESSION_RESERVE, blocks)):
        return False
    chain = slab_store(slab, data, unit.length)
    if chain == <uint32_t>SLAB_NONE:                # cannot be while everybody claims before taking
        if not aside:
            slab_disclaim(slab, &claims.held, SESSION_RESERVE, blocks)
        return False
    if not aside:
        receive.blocks += blocks
    receive.streams[unit.stream].waiting += 1
    receive.units[number & RELIABLE_MASK] = unit[0]
    receive.units[number & RELIABLE_MASK].chain = chain
    receive.units[number & RELIABLE_MASK].aside = aside
    arrived(receive, number, ARRIVED_WAITING)
    return True

cdef inline void waiting_drop(ReliableReceive* receive, Slab* slab, Claims* claims, Arrived* unit) noexcept nogil:
    """A unit waits no longer."""
    slab_release(slab, unit.chain)
    if not unit.aside:
        slab_disclaim(slab, &claims.held, SESSION_RESERVE, slab_blocks(unit.length))
        receive.blocks -= slab_blocks(unit.length)
    receive.streams[unit.stream].waiting -= 1

cdef inline void reliable_taken(ReliableReceive* receive, Slab* slab, Claims* claims,
                                const Ready* ready) noexcept nogil:
    """The message was delivered: its memory goes and the next one of its stream has its turn."""
    cdef Arrived* unit = &receive.units[ready.number & RELIABLE_MASK]
    if unit.state == ARRIVED_WAITING:
        waiting_drop(receive, slab, claims, unit)
    incoming_clear(receive, slab, claims, ready.unit.stream)
    receive.streams[ready.unit.stream].message += 1
    arrived(receive, ready.number, ARRIVED_DONE)

cdef inline bint reliable_untaken(ReliableReceive* receive, Slab* slab, Claims* claims, const Ready* ready,
                                  uint32_t quota_blocks) noexcept nogil:
    """The message finds no room where it should go: its last unit waits. False if there is no room for that either, and
    then the unit is not kept."""
    cdef Incoming* incoming = &receive.streams[ready.unit.stream]
    if (receive.units[ready.number & RELIABLE_MASK].state == ARRIVED_FREE
            and not reliable_hold(receive, slab, claims, ready.number, &ready.unit, ready.tail, quota_blocks)):
        return False
    if incoming.count and not incoming.whole:
        incoming.whole = True
        receive.begun -= incoming.count
    return True

cdef inline int unit_turn(const ReliableReceive* receive, const Arrived* unit) noexcept nogil:
    """0: the unit is the next of its stream; above: it comes later; below: it cannot be."""
    cdef const Incoming* incoming = &receive.streams[unit.stream]
    cdef int ahead = <int16_t>(unit.message - incoming.message)
    if unit.stream == STREAM_UNORDERED:
        return 0
    if ahead != 0:
        return ahead if ahead < RELIABLE_POSITIONS else -1
    if unit.index < incoming.index:
        return -1
    if incoming.count != 0 and (unit.count != incoming.count or unit.compressed != incoming.compressed):
        return -1
    return unit.index - incoming.index

cdef inline int reliable_receive(ReliableReceive* receive, Slab* slab, Claims* claims, uint16_t low, Arrived* unit,
                                 const uint8_t* data, uint32_t quota_blocks, Ready* ready) noexcept nogil:
    """A unit arrived, of which everything but its chain is filled in; returns a UNIT_ code. With UNIT_READY it is not
    kept yet: reliable_taken or reliable_untaken must follow."""
    cdef int distance = <int16_t>(low - <uint16_t>(receive.missing & 0xFFFF)), turn, kept
    cdef uint64_t number
    if not unit_fits(unit):
        return UNIT_BAD
    if distance < 0:
        if <uint64_t>(-distance) > receive.missing:
            return UNIT_BEYOND_WINDOW               # below unit 0: so far ahead that the low bits wrapped
        return UNIT_DUPLICATE
    if distance >= RELIABLE_WINDOW:
        return UNIT_BEYOND_WINDOW
    number = receive.missing + distance
    if number - receive.expected >= RELIABLE_POSITIONS:
        return UNIT_NO_ROOM                         # the application has not taken what waits before it
    if receive.units[number & RELIABLE_MASK].state != ARRIVED_FREE:
        return UNIT_DUPLICATE
    turn = unit_turn(receive, unit)
    if turn < 0:
        return UNIT_BAD
    if (unit.count > 0 and unit.message == receive.streams[unit.stream].message
            and receive.streams[unit.stream].count == 0):
        kept = incoming_begin(receive, slab, claims, unit)
        if kept != UNIT_KEPT:
            return kept
    if turn > 0 or receive.streams[unit.stream].whole:
        return UNIT_KEPT if reliable_hold(receive, slab, claims, number, unit, data, quota_blocks) else UNIT_NO_ROOM
    if unit.index + 1 >= unit.count:
        ready_fill(receive, ready, unit.stream, number, unit, data)
        return UNIT_READY
    if not incoming_add(receive, slab, unit, data):
        return UNIT_NO_ROOM
    arrived(receive, number, ARRIVED_DONE)
    return UNIT_KEPT

cdef inline int reliable_ready(ReliableReceive* receive, Slab* slab, Claims* claims, uint8_t stream, uint64_t* cursor,
                               uint8_t* buffer, Ready* ready) noexcept nogil:
    """What became next in a stream among the units that wait, from number `cursor` (0 at first) on; `buffer` has room
    for a unit.

    Returns UNIT_READY (reliable_taken or reliable_untaken must follow; after reliable_taken come again), UNIT_NOTHING,
    UNIT_NO_ROOM (come again later), or UNIT_BAD or UNIT_OVER_LIMIT: close.
    """
    cdef Arrived* unit
    cdef int turn, kept
    if cursor[0] < receive.expected:
        cursor[0] = receive.expected
    while cursor[0] < receive.newest and receive.streams[stream].waiting > 0:
        unit = &receive.units[cursor[0] & RELIABLE_MASK]
        if unit.state == ARRIVED_WAITING and unit.stream == stream:
            turn = unit_turn(receive, unit)
            if turn != 0:
                return UNIT_NOTHING if turn > 0 else UNIT_BAD       # the numbers of a stream rise with its units
            if unit.count > 0 and receive.streams[stream].count == 0:
                kept = incoming_begin(receive, slab, claims, unit)
                if kept != UNIT_KEPT:
                    return kept
            slab_load(slab, unit.chain, buffer, unit.length)
            if unit.index + 1 >= unit.count:
                ready_fill(receive, ready, stream, cursor[0], unit, buffer)
                return UNIT_READY
            waiting_drop(receive, slab, claims, unit)           # first: its blocks are those that it needs now
            if not incoming_add(receive, slab, unit, buffer):
                return UNIT_BAD
            arrived(receive, cursor[0], ARRIVED_DONE)
        cursor[0] += 1
    return UNIT_NOTHING

cdef inline void reliable_receive_clear(ReliableReceive* receive, Slab* slab, Claims* claims) noexcept nogil:
    """The session is over."""
    cdef uint32_t i
    for i in range(RELIABLE_POSITIONS):
        if receive.units[i].state == ARRIVED_WAITING:
            waiting_drop(receive, slab, claims, &receive.units[i])
    for i in range(STREAM_COUNT):
        incoming_clear(receive, slab, claims, <uint8_t>i)
    memset(receive, 0, sizeof(ReliableReceive))

"""Reliable ordered delivery: units that go again until they are acknowledged, and units that wait for their turn.

Owner    Both halves lie inside the connection; the bytes of units lie in the endpoint's slab.
Limit    RELIABLE_POSITIONS units queued, RELIABLE_WINDOW of them outstanding beyond the oldest that is not
         acknowledged; a message is at most RELIABLE_MESSAGE_UNITS units, and a session holds at most its quota of
         blocks.
Threads  One at a time per connection.

    sending    base ......... next          base = oldest unit not acknowledged; number & RELIABLE_MASK is its position
    receiving  expected ..... missing ...   expected = first not delivered; missing = first not received
"""
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.base.slab cimport SLAB_NONE, Slab, slab_blocks, slab_release, slab_store

cdef enum:
    RELIABLE_POSITIONS = 256                        # power of two
    RELIABLE_MASK = RELIABLE_POSITIONS - 1
    RELIABLE_WINDOW = 128
    RELIABLE_MESSAGE_LIMIT = 65536
    RELIABLE_UNIT_SIZE = 960                        # fits beside the largest ack block into the smallest MTU
    RELIABLE_MESSAGE_UNITS = 69                     # RELIABLE_MESSAGE_LIMIT in units

    STREAM_CONTROL = 8                              # the endpoints' own; the application has 0

    # A message of RELIABLE_MESSAGE_UNITS that is not whole yet and a window of units after the one that is missing:
    # with less, units out of order could take the room that the missing one needs, for ever.
    BLOCKS_LEAST = 4 * (RELIABLE_MESSAGE_UNITS + RELIABLE_WINDOW)

    UNIT_FREE = 0
    UNIT_QUEUED = 1                                 # waits to be sent, for the first time or again
    UNIT_IN_FLIGHT = 2
    UNIT_ACKED = 3

    # What became of a unit that arrived.
    UNIT_STORED = 0
    UNIT_DUPLICATE = 1
    UNIT_NO_ROOM = 2                                # not kept, so not acknowledged: it comes again
    UNIT_BEYOND_WINDOW = 3                          # the peer ignores the window: close
    UNIT_BAD_FRAGMENT = 4                           # index or count cannot be: close

cdef struct Unit:
    uint32_t chain
    uint16_t length
    uint16_t index              # fragment index and count; count 0: a whole message
    uint16_t count
    uint8_t state
    uint8_t stream

cdef struct ReliableSend:
    uint64_t base
    uint64_t next
    uint64_t rescan             # no unit below it is UNIT_QUEUED
    uint32_t blocks
    Unit units[RELIABLE_POSITIONS]

cdef struct ReliableReceive:
    uint64_t expected
    uint64_t missing
    uint32_t blocks
    Unit units[RELIABLE_POSITIONS]

cdef inline uint32_t reliable_units(uint32_t length) noexcept nogil:
    return 1 if length <= RELIABLE_UNIT_SIZE else (length + RELIABLE_UNIT_SIZE - 1) // RELIABLE_UNIT_SIZE

cdef inline bint reliable_queue(ReliableSend* send, Slab* slab, uint8_t stream, const uint8_t* data, uint32_t length,
                                uint32_t quota_blocks) noexcept nogil:
    """Cut a message into units and keep them; False when it is too long or there is no room, and then nothing is
    kept."""
    cdef uint32_t units = reliable_units(length), i, part, done = 0, blocks = 0
    cdef Unit* unit
    if length > RELIABLE_MESSAGE_LIMIT or units > RELIABLE_MESSAGE_UNITS:
        return False
    if send.next - send.base + units > RELIABLE_POSITIONS:
        return False
    for i in range(units):
        part = length - i * RELIABLE_UNIT_SIZE
        blocks += slab_blocks(part if part < RELIABLE_UNIT_SIZE else RELIABLE_UNIT_SIZE)
    if blocks > slab.capacity - slab.used or blocks + send.blocks > quota_blocks:
        return False
    for i in range(units):
        part = length - done
        if part > RELIABLE_UNIT_SIZE:
            part = RELIABLE_UNIT_SIZE
        unit = &send.units[send.next & RELIABLE_MASK]
        unit.chain = slab_store(slab, data + done, part)
        unit.length = <uint16_t>part
        unit.index = <uint16_t>i
        unit.count = <uint16_t>(units if units > 1 else 0)
        unit.stream = stream
        unit.state = UNIT_QUEUED
        send.next += 1
        done += part
    send.blocks += blocks
    return True

cdef inline bint reliable_next(ReliableSend* send, uint64_t* number) noexcept nogil:
    """The oldest unit that waits to be sent and that the window lets through."""
    cdef uint64_t end = send.base + RELIABLE_WINDOW
    if send.next < end:
        end = send.next
    if send.rescan < send.base:
        send.rescan = send.base
    while send.rescan < end:
        if send.units[send.rescan & RELIABLE_MASK].state == UNIT_QUEUED:
            number[0] = send.rescan
            return True
        send.rescan += 1
    return False

cdef inline bint reliable_wants(ReliableSend* send) noexcept nogil:
    cdef uint64_t number
    return reliable_next(send, &number)

cdef inline void reliable_acked(ReliableSend* send, Slab* slab, uint32_t first, uint32_t count) noexcept nogil:
    """Units first .. first + count - 1 (low 32 bits) arrived."""
    cdef uint32_t i, ahead
    cdef uint64_t number
    cdef Unit* unit
    for i in range(count):
        ahead = first + i - <uint32_t>send.base     # modulo 2**32: old units come out huge
        if ahead >= send.next - send.base:
            continue
        number = send.base + ahead
        unit = &send.units[number & RELIABLE_MASK]
        if unit.state == UNIT_QUEUED or unit.state == UNIT_IN_FLIGHT:
            unit.state = UNIT_ACKED
            send.blocks -= slab_blocks(unit.length)
            slab_release(slab, unit.chain)
            unit.chain = <uint32_t>SLAB_NONE
    while send.base < send.next and send.units[send.base & RELIABLE_MASK].state == UNIT_ACKED:
        send.units[send.base & RELIABLE_MASK].state = UNIT_FREE
        send.base += 1

cdef inline bint reliable_lost(ReliableSend* send, uint32_t first, uint32_t count) noexcept nogil:
    """The packet that held them is lost: those still in flight wait again. True if any does."""
    cdef uint32_t i, ahead
    cdef uint64_t number
    cdef Unit* unit
    cdef bint some = False
    for i in range(count):
        ahead = first + i - <uint32_t>send.base
        if ahead >= send.next - send.base:
            continue
        number = send.base + ahead
        unit = &send.units[number & RELIABLE_MASK]
        if unit.state == UNIT_IN_FLIGHT:
            unit.state = UNIT_QUEUED
            some = True
            if number < send.rescan:
                send.rescan = number
    return some

cdef inline void reliable_send_clear(ReliableSend* send, Slab* slab) noexcept nogil:
    cdef uint64_t number
    cdef Unit* unit
    for number in range(send.base, send.next):
        unit = &send.units[number & RELIABLE_MASK]
        if unit.state == UNIT_QUEUED or unit.state == UNIT_IN_FLIGHT:
            slab_release(slab, unit.chain)
    memset(send, 0, sizeof(ReliableSend))

cdef inline int reliable_receive(ReliableReceive* receive, Slab* slab, uint8_t stream, uint16_t low, uint16_t index,
                                 uint16_t count, const uint8_t* data, uint32_t length,
                                 uint32_t quota_blocks) noexcept nogil:
    """Keep a unit that arrived; returns a UNIT_ code. `count` 0 means a whole message."""
    cdef int distance = <int16_t>(low - <uint16_t>(receive.missing & 0xFFFF))
    cdef uint64_t number
    cdef Unit* unit
    cdef uint32_t chain, blocks = slab_blocks(length)
    if count == 1 or count > RELIABLE_MESSAGE_UNITS or (count > 0 and index >= count):
        return UNIT_BAD_FRAGMENT
    if distance < 0:
        if <uint64_t>(-distance) > receive.missing:
            return UNIT_BEYOND_WINDOW               # below unit 0: so far ahead that the low bits wrapped
        return UNIT_DUPLICATE
    if distance >= RELIABLE_WINDOW:
        return UNIT_BEYOND_WINDOW
    number = receive.missing + distance
    if number - receive.expected >= RELIABLE_POSITIONS:
        return UNIT_NO_ROOM                         # the application has not taken what waits before it
    unit = &receive.units[number & RELIABLE_MASK]
    if unit.state != UNIT_FREE:
        return UNIT_DUPLICATE
    if receive.blocks + blocks > quota_blocks:
        return UNIT_NO_ROOM
    chain = slab_store(slab, data, length)
    if chain == <uint32_t>SLAB_NONE:
        return UNIT_NO_ROOM
    receive.blocks += blocks
    unit.chain = chain
    unit.length = <uint16_t>length
    unit.index = index
    unit.count = count
    unit.stream = stream
    unit.state = UNIT_IN_FLIGHT
    while receive.missing - receive.expected < RELIABLE_POSITIONS:
        if receive.units[receive.missing & RELIABLE_MASK].state == UNIT_FREE:
            break
        receive.missing += 1
    return UNIT_STORED

cdef inline int reliable_ready(const ReliableReceive* receive, uint32_t* units, uint32_t* length) noexcept nogil:
    """Whether the next message is whole: 1 yes, 0 not yet, -1 its fragments cannot belong together (close)."""
    cdef const Unit* unit
    cdef uint64_t number
    cdef uint32_t count, i, total = 0
    cdef uint8_t stream
    if receive.expected == receive.missing:
        return 0
    unit = &receive.units[receive.expected & RELIABLE_MASK]
    count = unit.count if unit.count > 0 else 1
    stream = unit.stream
    if unit.index != 0:
        return -1
    for i in range(count):
        number = receive.expected + i
        if number >= receive.missing:
            return 0
        unit = &receive.units[number & RELIABLE_MASK]
        if (unit.count if unit.count > 0 else 1) != count or (count > 1 and unit.index != i) or unit.stream != stream:
            return -1
        total += unit.length
    if total > RELIABLE_MESSAGE_LIMIT:
        return -1
    units[0] = count
    length[0] = total
    return 1

cdef inline void reliable_taken(ReliableReceive* receive, Slab* slab, uint32_t units) noexcept nogil:
    """The first `units` units were delivered."""
    cdef uint32_t _i
    cdef Unit* unit
    for _i in range(units):
        unit = &receive.units[receive.expected & RELIABLE_MASK]
        receive.blocks -= slab_blocks(unit.length)
        slab_release(slab, unit.chain)
        unit.state = UNIT_FREE
        receive.expected += 1

cdef inline void reliable_receive_clear(ReliableReceive* receive, Slab* slab) noexcept nogil:
    cdef uint32_t i
    for i in range(RELIABLE_POSITIONS):
        if receive.units[i].state != UNIT_FREE:
            slab_release(slab, receive.units[i].chain)
    memset(receive, 0, sizeof(ReliableReceive))

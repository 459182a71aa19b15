"""Reliable delivery, the sending half: messages wait whole in their streams, units go until they are acknowledged.

Owner    A ReliableSend lies inside the connection; messages lie in the endpoint's slab, with their head before them.
Limit    A session's quota of blocks; RELIABLE_WINDOW units beyond the oldest that is not acknowledged; RECEIVE_UNITS
         units of messages of several units begun at once.
Threads  One at a time per connection.

    queue 8 ─┐                                      base ........... next       base = oldest not acknowledged
    queue 0 ─┼─▶ the most urgent is cut, unit by ─▶ [ sent | lost | acked ]     number & RELIABLE_MASK is its position
    queue 7 ─┘   unit, as the window lets it out

What is cut late can still be overtaken: only units stand in line behind the window, never whole messages. The last
places of the window are kept for what is more urgent, so that a long transfer does not delay it by a round trip.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.base.slab cimport (
    SLAB_BLOCK,
    SLAB_NONE,
    Slab,
    slab_at,
    slab_blocks,
    slab_claim,
    slab_disclaim,
    slab_get,
    slab_put,
    slab_release,
    slab_take,
)
from shadowland._core.session.channel cimport (
    CONTROL_BLOCKS,
    CONTROL_LIMIT,
    CONTROL_RESERVE,
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
    STREAM_UNORDERED_PARTS,
    STREAMS,
    Claims,
    reliable_units,
)

cdef enum:
    UNIT_FREE = 0
    UNIT_QUEUED = 1                                 # waits to be sent, for the first time or again
    UNIT_IN_FLIGHT = 2
    UNIT_ACKED = 3

    MESSAGE_HEAD = 32                               # bytes of the first block before a message, at least SendMessage
    WINDOW_STEP = 8                                 # places of the window that a stream leaves to the more urgent ones
    NO_STREAM = -1

cdef struct SendMessage:        # at the beginning of its first block
    uint32_t next               # in its queue, or among those to be told
    uint32_t cursor             # block where the next unit begins
    uint32_t length
    uint32_t ticket             # 0: nobody asks what became of it
    uint16_t units
    uint16_t cut                # units that have a number
    uint16_t acked
    uint16_t number             # in its stream
    uint8_t stream
    uint8_t delivered           # to be told: every unit arrived
    uint8_t compressed

cdef struct SendUnit:
    uint32_t message            # its first block
    uint32_t block              # where this unit begins
    uint16_t length
    uint16_t index
    uint8_t state

cdef struct SendQueue:          # valid while its bit in `ready` is set
    uint32_t head
    uint32_t tail

cdef struct ReliableSend:
    uint64_t base
    uint64_t next
    uint64_t rescan             # no unit below it is UNIT_QUEUED
    uint32_t blocks             # that the application's messages hold
    uint32_t begun              # units of messages of several units that were begun and are not wholly acknowledged
    uint32_t uncut              # units that have no number yet
    uint32_t control            # messages of the control stream that are not wholly acknowledged
    uint32_t told_head          # messages whose end is still to be told
    uint32_t told_tail
    uint32_t told_count
    uint16_t ready              # queues that are not empty, one bit a stream
    uint8_t turn                # who of those that share the first place had the last unit
    uint16_t numbers[STREAM_COUNT]
    SendQueue queues[STREAM_COUNT]
    SendUnit units[RELIABLE_POSITIONS]

cdef inline SendMessage* message_at(const Slab* slab, uint32_t message) noexcept nogil:
    return <SendMessage*>slab_at(slab, message)

cdef inline bint send_claim(ReliableSend* send, Slab* slab, Claims* claims, bint control, uint32_t blocks,
                            uint32_t quota_blocks) noexcept nogil:
    if control:
        return (claims.control + blocks <= CONTROL_BLOCKS
                and slab_claim(slab, &claims.control, CONTROL_RESERVE, blocks))
    if send.blocks + blocks > quota_blocks or not slab_claim(slab, &claims.held, SESSION_RESERVE, blocks):
        return False
    send.blocks += blocks
    return True

cdef inline void send_disclaim(ReliableSend* send, Slab* slab, Claims* claims, bint control,
                               uint32_t blocks) noexcept nogil:
    if control:
        slab_disclaim(slab, &claims.control, CONTROL_RESERVE, blocks)
        return
    slab_disclaim(slab, &claims.held, SESSION_RESERVE, blocks)
    send.blocks -= blocks

cdef inline bint reliable_queue(ReliableSend* send, Slab* slab, Claims* claims, uint8_t stream, uint32_t ticket,
                                uint8_t kind, const uint8_t* data, uint32_t length, bint compressed,
                                uint32_t quota_blocks) noexcept nogil:
    """Keep kind ‖ data to be sent on a stream (0 to 7, STREAM_CONTROL or STREAM_UNORDERED); False when it is too long
    or there is no room, and then nothing is kept."""
    cdef uint32_t total = length + 1, units = reliable_units(total), blocks = slab_blocks(MESSAGE_HEAD + total), chain
    cdef SendMessage* message
    cdef SendQueue* queue
    if length >= <uint32_t>(CONTROL_LIMIT if stream == STREAM_CONTROL else RELIABLE_MESSAGE_LIMIT):
        return False
    if not send_claim(send, slab, claims, stream == STREAM_CONTROL, blocks, quota_blocks):
        return False
    chain = slab_take(slab, blocks)
    if chain == <uint32_t>SLAB_NONE:
        send_disclaim(send, slab, claims, stream == STREAM_CONTROL, blocks)
        return False
    if stream == STREAM_UNORDERED and units > 1:
        stream = STREAM_UNORDERED_PARTS
    message = message_at(slab, chain)
    memset(message, 0, sizeof(SendMessage))
    message.cursor = chain
    message.length = total
    message.ticket = ticket
    message.units = <uint16_t>units
    message.number = send.numbers[stream]
    message.stream = stream
    message.compressed = compressed
    send.numbers[stream] += 1
    slab_put(slab, chain, MESSAGE_HEAD, &kind, 1)
    slab_put(slab, chain, MESSAGE_HEAD + 1, data, length)
    queue = &send.queues[stream]
    if send.ready >> stream & 1:
        message_at(slab, queue.tail).next = chain
    else:
        queue.head = chain
        send.ready |= <uint16_t>(1 << stream)
    queue.tail = chain
    send.uncut += units
    send.control += stream == STREAM_CONTROL
    return True

cdef inline bint may_cut(const ReliableSend* send, const Slab* slab, uint32_t stream, uint32_t left) noexcept nogil:
    """Whether the next unit of a stream may go although the window has only `left` places."""
    cdef const SendMessage* message
    cdef uint32_t kept = 0                          # places for what is more urgent
    if not send.ready >> stream & 1:
        return False
    if stream != STREAM_CONTROL:
        kept = 2 * WINDOW_STEP + (stream * WINDOW_STEP if stream < STREAMS else 0)
    if left <= kept:
        return False
    message = message_at(slab, send.queues[stream].head)
    return message.units == 1 or message.cut > 0 or send.begun + message.units <= RECEIVE_UNITS

cdef inline int reliable_choose(const ReliableSend* send, const Slab* slab) noexcept nogil:
    """The stream that has the next unit, NO_STREAM if none may. The control stream first, then by number; unordered
    messages take turns with stream 0, long ones with short ones."""
    cdef uint32_t left = RELIABLE_WINDOW - <uint32_t>(send.next - send.base), i, stream
    if send.ready == 0 or left == 0:
        return NO_STREAM
    if may_cut(send, slab, STREAM_CONTROL, left):
        return STREAM_CONTROL
    for i in range(1, 4):
        stream = (send.turn + i) % 3
        if stream > 0:
            stream += STREAM_CONTROL                # the two unordered ones
        if may_cut(send, slab, stream, left):
            return <int>stream
    for stream in range(1, STREAMS):
        if may_cut(send, slab, stream, left):
            return <int>stream
    return NO_STREAM

cdef inline void reliable_cut(ReliableSend* send, Slab* slab, uint32_t stream) noexcept nogil:
    """Number the next unit of a stream that reliable_choose named."""
    cdef SendQueue* queue = &send.queues[stream]
    cdef uint32_t chain = queue.head, begins, _i
    cdef SendMessage* message = message_at(slab, chain)
    cdef SendUnit* unit = &send.units[send.next & RELIABLE_MASK]
    cdef uint32_t left = message.length - <uint32_t>message.cut * RELIABLE_UNIT_SIZE
    unit.message = chain
    unit.block = message.cursor
    unit.length = <uint16_t>(left if left < RELIABLE_UNIT_SIZE else RELIABLE_UNIT_SIZE)
    unit.index = message.cut
    unit.state = UNIT_QUEUED
    send.next += 1
    send.uncut -= 1
    if message.units > 1 and message.cut == 0:
        send.begun += message.units
    if stream == 0 or stream > STREAM_CONTROL:
        send.turn = <uint8_t>(0 if stream == 0 else stream - STREAM_CONTROL)
    begins = MESSAGE_HEAD + <uint32_t>message.cut * RELIABLE_UNIT_SIZE
    message.cut += 1
    if message.cut < message.units:
        for _i in range((begins + RELIABLE_UNIT_SIZE) // SLAB_BLOCK - begins // SLAB_BLOCK):
            message.cursor = slab.next[message.cursor]
    elif chain == queue.tail:
        send.ready &= <uint16_t>~(1 << stream)
    else:
        queue.head = message.next

cdef inline bint send_rescan(ReliableSend* send) noexcept nogil:
    """Move `rescan` to the oldest unit that waits to be sent; False if none does."""
    if send.rescan < send.base:
        send.rescan = send.base
    while send.rescan < send.next:
        if send.units[send.rescan & RELIABLE_MASK].state == UNIT_QUEUED:
            return True
        send.rescan += 1
    return False

cdef inline bint reliable_next(ReliableSend* send, Slab* slab, uint64_t* number) noexcept nogil:
    """The unit that is to be sent next: the oldest that was lost, else one that is cut now. False if there is none."""
    cdef int stream
    if not send_rescan(send):
        stream = reliable_choose(send, slab)
        if stream == NO_STREAM:
            return False
        reliable_cut(send, slab, <uint32_t>stream)  # `rescan` stands at it
    number[0] = send.rescan
    return True

cdef inline bint reliable_wants(ReliableSend* send, const Slab* slab) noexcept nogil:
    """Whether reliable_next has one."""
    return send_rescan(send) or (send.ready != 0 and reliable_choose(send, slab) != NO_STREAM)

cdef inline void unit_load(const Slab* slab, const SendUnit* unit, uint8_t* out) noexcept nogil:
    """The bytes of a unit."""
    slab_get(slab, unit.block, (MESSAGE_HEAD + unit.index * <uint32_t>RELIABLE_UNIT_SIZE) % SLAB_BLOCK, out,
             unit.length)

cdef inline void message_end(ReliableSend* send, Slab* slab, Claims* claims, uint32_t chain,
                             bint delivered) noexcept nogil:
    """Nothing of a message will be sent any more: its blocks go, but for the head of one whose end is to be told."""
    cdef SendMessage* message = message_at(slab, chain)
    cdef uint32_t blocks = slab_blocks(MESSAGE_HEAD + message.length), rest = slab.next[chain]
    if message.units > 1 and message.cut > 0:
        send.begun -= message.units
    send.uncut -= message.units - message.cut
    send.control -= message.stream == STREAM_CONTROL
    if message.ticket == 0:
        send_disclaim(send, slab, claims, message.stream == STREAM_CONTROL, blocks)
        slab_release(slab, chain)
        return
    slab.next[chain] = <uint32_t>SLAB_NONE
    slab_release(slab, rest)
    send_disclaim(send, slab, claims, message.stream == STREAM_CONTROL, blocks - 1)
    message.delivered = delivered
    if send.told_count == 0:
        send.told_head = chain
    else:
        message_at(slab, send.told_tail).next = chain
    send.told_tail = chain
    send.told_count += 1

cdef inline void reliable_told(ReliableSend* send, Slab* slab, Claims* claims) noexcept nogil:
    """The first of the messages at `told_head` was told of: its last block goes."""
    cdef uint32_t chain = send.told_head
    cdef SendMessage* message = message_at(slab, chain)
    send.told_head = message.next
    send.told_count -= 1
    send_disclaim(send, slab, claims, message.stream == STREAM_CONTROL, 1)
    slab_release(slab, chain)

cdef inline void unit_acked(ReliableSend* send, Slab* slab, Claims* claims, SendUnit* unit,
                            bint delivered) noexcept nogil:
    cdef SendMessage* message = message_at(slab, unit.message)
    unit.state = UNIT_ACKED
    message.acked += 1
    if message.acked == message.units:
        message_end(send, slab, claims, unit.message, delivered)

cdef inline void reliable_acked(ReliableSend* send, Slab* slab, Claims* claims, uint32_t first,
                                uint32_t count) noexcept nogil:
    """Units first .. first + count - 1 (low 32 bits) arrived."""
    cdef uint32_t i, ahead
    cdef SendUnit* unit
    for i in range(count):
        ahead = first + i - <uint32_t>send.base     # modulo 2**32: old units come out huge
        if ahead >= send.next - send.base:
            continue
        unit = &send.units[(send.base + ahead) & RELIABLE_MASK]
        if unit.state == UNIT_QUEUED or unit.state == UNIT_IN_FLIGHT:
            unit_acked(send, slab, claims, unit, True)
    while send.base < send.next and send.units[send.base & RELIABLE_MASK].state == UNIT_ACKED:
        send.units[send.base & RELIABLE_MASK].state = UNIT_FREE
        send.base += 1

cdef inline bint reliable_lost(ReliableSend* send, uint32_t first, uint32_t count) noexcept nogil:
    """The packet that held them is lost: those still in flight wait again. True if any does."""
    cdef uint32_t i, ahead
    cdef uint64_t number
    cdef SendUnit* unit
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

cdef inline void reliable_probe(ReliableSend* send) noexcept nogil:
    """The oldest units go again although nobody knows that they are lost: two datagrams full (RFC 9002 6.2.4)."""
    cdef uint64_t number
    cdef uint32_t room = 2 * (RELIABLE_UNIT_SIZE + MESSAGE_HEAD)
    cdef SendUnit* unit
    for number in range(send.base, send.next):
        unit = &send.units[number & RELIABLE_MASK]
        if unit.state == UNIT_ACKED:
            continue
        if unit.length + MESSAGE_HEAD > room:       # what stands before a unit in its packet is less than that
            break
        room -= unit.length + MESSAGE_HEAD
        reliable_lost(send, <uint32_t>number, 1)

cdef inline void reliable_send_end(ReliableSend* send, Slab* slab, Claims* claims) noexcept nogil:
    """The session is over: every message ends here, those with a ticket stand at `told_head` afterwards. Twice is
    fine."""
    cdef uint64_t number
    cdef uint32_t stream, chain
    cdef SendUnit* unit
    for stream in range(STREAM_COUNT):
        while send.ready >> stream & 1:
            chain = send.queues[stream].head
            if chain == send.queues[stream].tail:
                send.ready &= <uint16_t>~(1 << stream)
            send.queues[stream].head = message_at(slab, chain).next
            if message_at(slab, chain).cut == message_at(slab, chain).acked:
                message_end(send, slab, claims, chain, False)
            else:                                   # ... with the last of its units that are under way
                message_at(slab, chain).units = message_at(slab, chain).cut
    for number in range(send.base, send.next):
        unit = &send.units[number & RELIABLE_MASK]
        if unit.state == UNIT_QUEUED or unit.state == UNIT_IN_FLIGHT:
            unit_acked(send, slab, claims, unit, False)
    send.base = send.next
    send.rescan = send.next
    send.begun = 0
    send.uncut = 0

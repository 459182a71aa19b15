"""References: what the server knows that an observer knows, entity by entity, and what is still on its way.

Owner    The door class World allocates observers, their seats, tokens and rings at start-up.
Limit    `seats` entities known to one observer; TOKENS datagrams and HELD records on their way to it. Beyond that
         the oldest token is given up as lost, and counted.
Threads  The game thread.

A seat is the small number that an observer calls an entity by. It is given when the entity comes into view and free
again when the observer acknowledged that the entity left: so a seat never means two entities to anybody.

    unknown -> ENTERING -> KNOWN -> LEAVING -> unknown        by acknowledgments of the datagrams that carry the records

`reference` is the newest tick at which a record of the entity was in an acknowledged datagram; `sent` the newest at
which one was sent that is not given up. Any loss of the newest record sets LOST: another must go, whatever it says.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.base.pages cimport prefetch
from shadowland._core.world.columns cimport NO_SLOT

cdef enum:
    TOKENS = 64                         # a power of two
    TOKEN_MASK = TOKENS - 1
    HELD = 2048                         # records in flight per observer, a power of two
    HELD_MASK = HELD - 1
    MAX_SEATS = 4096

cdef enum:                              # Entry.state
    SEAT_FREE = 0
    SEAT_ENTERING = 1
    SEAT_KNOWN = 2
    SEAT_LEAVING = 3

cdef enum:                              # Entry.flags
    LOST = 4
    TOLD = 8                            # it was in a datagram at least once

cdef enum:                              # held records: seat, and
    HELD_LEAVE = 0x8000
    HELD_SEAT = 0x7FFF

cdef struct Entry:                      # 32 bytes
    uint32_t slot
    uint32_t generation
    uint32_t since                      # tick at which it took the seat, or the observer came into another audience
    uint32_t reference                  # 0 none
    uint32_t sent                       # 0 none
    uint32_t wanted                     # tick since which a record waits to be sent, 0 none
    uint8_t state
    uint8_t flags
    uint8_t audience                    # set that `reference` and `sent` are for
    uint8_t farness                    # 0 beside the avatar, 255 where it goes out of view; as the square grows
    uint8_t reserved[4]

cdef struct Token:
    uint32_t number                     # 0: settled
    uint32_t tick
    uint32_t first                      # of its records, counted since the beginning
    uint32_t count

cdef struct Observer:                   # what each tick asks of it is the first cache line
    uint64_t handle                     # of its connection; 0: nobody
    uint64_t avatar                     # handle of the entity it looks from; 0: from nowhere
    uint64_t sees                       # it is shown entities whose `visible_to` has one of these bits
    Entry* entries                      # `seats` of them
    uint32_t next_token
    uint32_t oldest_token               # no token before it is open
    uint32_t held_count                 # records ever sent
    uint32_t high                       # no seat from here on is taken
    uint32_t last_send
    uint32_t last_ack
    uint32_t oldest_wait                # ticks that the oldest due record waits, of its last snapshot
    uint32_t reserved
    Token tokens[TOKENS]
    uint16_t held[HELD]

cdef inline void observer_reset(Observer* observer, uint64_t handle, uint32_t seats) noexcept nogil:
    """Begin anew for the connection `handle`; 0 leaves it empty."""
    cdef Entry* entries = observer.entries
    memset(entries, 0, seats * sizeof(Entry))
    memset(observer, 0, sizeof(Observer))
    observer.entries = entries
    observer.handle = handle
    observer.sees = ~<uint64_t>0
    observer.next_token = observer.oldest_token = 1

cdef inline void fetch_observer(const Observer* observer) noexcept nogil:
    """Ask the memory for what a tick needs of an observer whose turn is soon: no cache keeps all of them from tick to
    tick. What it reads is the first line, which the caller has asked for before."""
    cdef uint32_t seat
    prefetch(&observer.tokens[observer.next_token & TOKEN_MASK])
    prefetch(&observer.held[observer.held_count & HELD_MASK])
    for seat in range(0, observer.high, 2):
        prefetch(&observer.entries[seat])

cdef inline Token* token_open(Observer* observer, uint32_t number) noexcept nogil:
    cdef Token* token = &observer.tokens[number & TOKEN_MASK]
    return token if number != 0 and token.number == number else NULL

cdef inline void token_close(Observer* observer, Token* token) noexcept nogil:
    token.number = 0
    while observer.oldest_token != observer.next_token \
            and token_open(observer, observer.oldest_token) == NULL:
        observer.oldest_token += 1

cdef inline void token_acked(Observer* observer, uint32_t number, uint32_t now) noexcept nogil:
    """The datagram arrived and was kept. Settled tokens and unknown ones change nothing."""
    cdef Token* token = token_open(observer, number)
    cdef uint32_t i
    cdef uint16_t held
    cdef Entry* entry
    if token == NULL:
        return
    observer.last_ack = now
    for i in range(token.count):
        held = observer.held[(token.first + i) & HELD_MASK]
        entry = &observer.entries[held & HELD_SEAT]
        if entry.state == SEAT_FREE or token.tick < entry.since:
            continue                    # of the one who sat there before, or of another audience
        if held & HELD_LEAVE:
            entry.state = SEAT_FREE
        elif token.tick > entry.reference:
            entry.reference = token.tick
            if entry.state == SEAT_ENTERING:
                entry.state = SEAT_KNOWN
    while observer.high and observer.entries[observer.high - 1].state == SEAT_FREE:
        observer.high -= 1
    token_close(observer, token)

cdef inline void token_lost(Observer* observer, uint32_t number) noexcept nogil:
    """The datagram is given up. A leave needs nothing: it is in every datagram until it is acknowledged."""
    cdef Token* token = token_open(observer, number)
    cdef uint32_t i
    cdef uint16_t held
    cdef Entry* entry
    if token == NULL:
        return
    for i in range(token.count):
        held = observer.held[(token.first + i) & HELD_MASK]
        entry = &observer.entries[held & HELD_SEAT]
        if entry.state != SEAT_FREE and not held & HELD_LEAVE and entry.sent == token.tick:
            entry.sent = 0
            entry.flags |= LOST
    token_close(observer, token)

cdef inline uint32_t token_begin(Observer* observer, uint32_t tick, uint32_t records,
                                 uint32_t* given_up) noexcept nogil:
    """A new token with room for `records` (at most HELD); oldest ones are given up where there is none."""
    cdef uint32_t number = observer.next_token
    cdef Token* token = &observer.tokens[number & TOKEN_MASK]
    if token.number != 0:
        token_lost(observer, token.number)
        given_up[0] += 1
    while observer.oldest_token != number and \
            observer.held_count + records - observer.tokens[observer.oldest_token & TOKEN_MASK].first > HELD:
        token_lost(observer, observer.oldest_token)
        given_up[0] += 1
    token.number, token.tick, token.first, token.count = number, tick, observer.held_count, records
    observer.held_count += records
    observer.next_token = number + 1
    if observer.next_token == 0:        # 0 says "no token"
        observer.next_token = 1
    return number

cdef inline uint32_t take_seat(Observer* observer, uint32_t from_seat, uint32_t seats) noexcept nogil:
    """Lowest free seat at or after `from_seat`; NO_SLOT if there is none."""
    cdef uint32_t seat
    for seat in range(from_seat, seats):
        if observer.entries[seat].state == SEAT_FREE:
            return seat
    return NO_SLOT

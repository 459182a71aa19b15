"""Records that cross the floors: addresses, datagrams, messages, events. C structs, seen by Python as NumPy dtypes.

Owner    Whoever holds the array they stand in; a record owns nothing and points nowhere.
Limit    Fixed sizes, compared with NumPy at import: Address 24, Datagram 64, MessageRecord 32, EventRecord 24.
Threads  Plain memory: as safe as its owner.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef enum:
    FAMILY_NONE = 0                 # the address is not set
    FAMILY_IPV4 = 4
    FAMILY_IPV6 = 6

cdef enum:                          # EventRecord.kind
    EVENT_JOINED = 1
    EVENT_LEFT = 2
    EVENT_SNAPSHOT_ACKED = 3
    EVENT_SNAPSHOT_LOST = 4
    EVENT_DELIVERED = 5             # a reliable message with a ticket is wholly acknowledged
    EVENT_UNDELIVERED = 6           # the session ended before it was
    EVENT_MIGRATED = 7              # the session goes on over another path; token counts how often
    EVENT_AUTHENTICATE = 8          # server: credentials came; client: they were taken

cdef enum:                          # MessageRecord.flags
    MESSAGE_UNDECODABLE = 1         # set by the world on a snapshot: withdraw the acknowledgment

cdef struct Address:                # 24 bytes
    uint8_t ip[16]                  # network order; IPv4 is ::ffff:a.b.c.d
    uint32_t scope                  # IPv6 scope id of a link-local address, else 0
    uint16_t port                   # host order
    uint16_t family                 # which socket family it came by; FAMILY_NONE: not set

cdef struct Datagram:               # 64 bytes: one cache line
    uint64_t time_us                # receive time on the endpoint's clock (CLOCK_MONOTONIC on a real socket)
    uint32_t length                 # bytes used in its arena slot, never more than the slot holds
    uint8_t ecn                     # the two ECN bits of the IP header
    uint8_t reserved[3]
    Address remote
    Address local                   # received: where it was sent to; to send: the source to use, if set

cdef struct MessageRecord:          # 32 bytes: the same record in the inbox and in the outbox
    uint64_t connection             # handle: generation << 32 | slot
    uint64_t time_us                # inbox: receive time
    uint32_t offset                 # of the payload in the arena that goes with the records
    uint32_t length
    uint32_t number                 # inbox: number of input, unit or packet (low 32); outbox: token or ticket, 0 none
    uint8_t channel                 # wire channel; of channel 1 the stream in bits 4 to 6
    uint8_t kind                    # message type id: cut off (inbox), to be put before the payload (outbox)
    uint16_t flags                  # MESSAGE_*

cdef struct EventRecord:            # 24 bytes
    uint64_t connection
    uint64_t time_us
    uint32_t token                  # of a snapshot, a message's ticket, or what the kind says
    uint8_t kind                    # EVENT_*
    uint8_t reason                  # DisconnectReason of EVENT_LEFT
    uint16_t reserved

cdef inline void address_clear(Address* address) noexcept nogil:
    """Make `address` the unset one: all zero."""
    memset(address, 0, sizeof(Address))

cdef inline bint address_is_set(const Address* address) noexcept nogil:
    """True unless `address` is the cleared one."""
    return address.family != FAMILY_NONE

cdef inline bint address_same(const Address* a, const Address* b) noexcept nogil:
    """True if both name the same IP, scope and port. The family says nothing more: a mapped IPv4 is only ever IPv4."""
    return memcmp(a.ip, b.ip, 16) == 0 and a.scope == b.scope and a.port == b.port

cdef inline void address_set_ipv4(Address* address, const void* ip, uint16_t port) noexcept nogil:
    """Fill `address` with the four bytes at `ip` (network order) as ::ffff:a.b.c.d, and `port` (host order)."""
    memset(address.ip, 0, 10)
    address.ip[10] = 0xFF
    address.ip[11] = 0xFF
    memcpy(&address.ip[12], ip, 4)
    address.scope = 0
    address.port = port
    address.family = FAMILY_IPV4

cdef inline void address_set_ipv6(Address* address, const void* ip, uint32_t scope, uint16_t port) noexcept nogil:
    """Fill `address` with the sixteen bytes at `ip` (network order), `scope` and `port` (host order)."""
    memcpy(address.ip, ip, 16)
    address.scope = scope
    address.port = port
    address.family = FAMILY_IPV6

cdef void address_parse(Address* address, object host, object port)      # raises ValueError; for set-up and tests
cdef tuple address_format(const Address* address)                        # -> (host, port)

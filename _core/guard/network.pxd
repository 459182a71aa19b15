"""Addresses as rules see them: one IPv4 address or IPv6 /64, its subnet, and lists of networks.

Owner    The caller, of every array.
Limit    A list is searched from end to end, so it is short (GUARD_NETWORKS), and never on the path of an opened packet.
Threads  Plain memory: as safe as its owner.

Who holds an IPv6 /64 holds 2**64 addresses, so the /64 counts as one address and the /48 as the subnet (RFC 6177).
::ffff:a.b.c.d is IPv4, by whichever socket it came.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from shadowland._core.base.records cimport Address

cdef enum:
    SCOPE_SESSION = 0
    SCOPE_ADDRESS = 1
    SCOPE_SUBNET = 2
    SCOPE_ALL = 3

    TAG_IPV4 = 16

cdef struct Network:
    uint8_t ip[16]                  # network order; IPv4 is ::ffff:a.b.c.d, its prefix 96 bits longer
    uint32_t bits

cdef struct Prefix:                 # what sources and bans are kept by
    uint64_t bits                   # the prefix, most significant bit first, zeros behind it
    uint64_t tag                    # scope and family; 0 is nobody

cdef inline bint is_ipv4(const uint8_t* ip) noexcept nogil:
    cdef uint8_t seen = 0
    cdef uint32_t i
    for i in range(10):
        seen |= ip[i]
    return seen == 0 and ip[10] == 0xFF and ip[11] == 0xFF

cdef inline Prefix prefix_of_source(const uint8_t* ip, uint32_t scope) noexcept nogil:
    """IPv4: /32 or /24. IPv6: /64 or /48."""
    cdef Prefix prefix
    cdef uint32_t i
    prefix.bits = 0
    prefix.tag = scope
    if is_ipv4(ip):
        prefix.tag = scope | TAG_IPV4
        for i in range(3 if scope == SCOPE_SUBNET else 4):
            prefix.bits |= <uint64_t>ip[12 + i] << (56 - 8 * i)
        return prefix
    for i in range(6 if scope == SCOPE_SUBNET else 8):
        prefix.bits |= <uint64_t>ip[i] << (56 - 8 * i)
    return prefix

cdef inline bint network_holds(const Network* network, const uint8_t* ip) noexcept nogil:
    """Whether an address lies in a network."""
    cdef uint32_t whole = network.bits // 8, rest = network.bits % 8
    if network.bits < 96 and is_ipv4(ip):           # ::/0 is all of IPv6 and none of IPv4
        return False
    if memcmp(network.ip, ip, whole) != 0:
        return False
    return rest == 0 or (network.ip[whole] ^ ip[whole]) >> (8 - rest) == 0

cdef inline bint networks_hold(const Network* networks, uint32_t count, const Address* address) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        if network_holds(&networks[i], address.ip):
            return True
    return False

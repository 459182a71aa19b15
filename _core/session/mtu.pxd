"""How long datagrams may be: a search upward by probes, a fall where long ones vanish (RFC 8899, protocol.md 9).

Owner    A MtuSearch lies inside the connection; nothing here allocates or sends.
Limit    One probe in flight; MTU_PROBES of one size, then none for MTU_RAISE_US; MTU_LOWEST is never left downwards.
Threads  One at a time per connection.

    mtu ─▶ next size: probe ─┬─ acknowledged ──▶ mtu is that size, on to the next
                             └─ MTU_PROBES lost ─▶ search again after MTU_RAISE_US
    MTU_BLACK_HOLE passes in a row lose long packets and none arrives ─▶ MTU_LOWEST, search again after MTU_RETRY_US
"""
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memset

cdef enum:
    MTU_LOWEST = 1150
    MTU_PROBES = 3                                  # RFC 8899 5.1.2, MAX_PROBES
    MTU_BLACK_HOLE = 3
    MTU_FIRST_US = 1000000                          # after the session began: short ones are not bothered
    MTU_PROBE_US = 1000000                          # RFC 8899 5.1.1: PROBE_TIMER, at least a second
    MTU_RAISE_US = 600000000                        # RFC 8899 5.1.1: PMTU_RAISE_TIMER
    MTU_RETRY_US = 60000000
    MTU_SIZES = 7

cdef struct MtuSearch:
    uint64_t due_us             # next probe, or when the one in flight counts as lost; 0: never
    uint64_t sequence           # of the probe in flight
    uint64_t sent_us            # when it left
    uint16_t limit
    uint16_t probe              # its size, 0: none is in flight
    uint8_t lost                # probes of the size that is tried now
    uint8_t passes              # that lost long packets, since one was acknowledged

cdef inline uint16_t mtu_next(uint16_t mtu, uint16_t limit) noexcept nogil:
    """The size to try above `mtu`: those of IPv6 at its least, tunnels, PPPoE, IPv6 and IPv4 over Ethernet; 0: none."""
    cdef uint16_t sizes[MTU_SIZES]
    cdef uint16_t i
    sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6] = 1200, 1232, 1350, 1400, 1452, 1472, 1500
    for i in range(MTU_SIZES):
        if mtu < sizes[i] < limit:
            return sizes[i]
    return limit if mtu < limit else 0

cdef inline void mtu_begin(MtuSearch* search, uint16_t mtu, uint16_t limit, uint64_t now_us) noexcept nogil:
    """A new path, of which only `mtu` is known."""
    memset(search, 0, sizeof(MtuSearch))
    search.limit = limit
    if mtu < limit:
        search.due_us = now_us + MTU_FIRST_US

cdef inline void mtu_probe_lost(MtuSearch* search, uint64_t sequence, uint64_t now_us) noexcept nogil:
    """The probe `sequence` is lost; one that was given up before says nothing new."""
    if search.probe == 0 or sequence != search.sequence:
        return
    search.probe = 0
    search.lost += 1
    search.due_us = now_us
    if search.lost >= MTU_PROBES:
        search.lost = 0
        search.due_us = now_us + MTU_RAISE_US

cdef inline uint16_t mtu_due(MtuSearch* search, uint16_t mtu, uint64_t now_us) noexcept nogil:
    """Time has passed: the size of the probe to be sent now, 0 for none."""
    if search.due_us == 0 or search.due_us > now_us:
        return 0
    if search.probe != 0:
        mtu_probe_lost(search, search.sequence, now_us)
        if search.due_us > now_us:
            return 0
    return mtu_next(mtu, search.limit)

cdef inline void mtu_probe_sent(MtuSearch* search, uint16_t size, uint64_t sequence, uint64_t now_us,
                                uint64_t patience_us) noexcept nogil:
    """The probe left; `patience_us` is how long an answer may take on this path."""
    search.probe = size
    search.sequence = sequence
    search.sent_us = now_us
    search.due_us = now_us + (patience_us if patience_us > MTU_PROBE_US else MTU_PROBE_US)

cdef inline uint16_t mtu_probe_acked(MtuSearch* search, uint16_t mtu, uint16_t size, uint64_t now_us) noexcept nogil:
    """A probe of `size` arrived, be it late; returns the MTU from now on."""
    if size <= mtu:
        return mtu
    search.probe = 0
    search.lost = 0
    search.passes = 0
    search.due_us = now_us if size < search.limit else 0
    return size

cdef inline uint16_t mtu_pass_lost(MtuSearch* search, uint16_t mtu, uint64_t now_us) noexcept nogil:
    """A pass over the packets in flight found long ones lost (probes left out); returns the MTU from now on."""
    if mtu <= MTU_LOWEST:
        return mtu
    search.passes += 1
    if search.passes < MTU_BLACK_HOLE:
        return mtu
    search.passes = 0
    search.probe = 0
    search.lost = 0
    search.due_us = now_us + MTU_RETRY_US if search.limit > MTU_LOWEST else 0
    return MTU_LOWEST

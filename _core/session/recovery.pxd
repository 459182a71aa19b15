"""What was sent and has not been answered: round-trip time, loss detection, probe timeouts (RFC 9002).

Owner    A Recovery lies inside the connection; nothing here allocates.
Limit    SENT_POSITIONS packets are remembered; the oldest of them counts as lost when one more is sent.
Threads  One at a time per connection.

The kernels here only find out which packets were acknowledged or lost and mark them; what that means for units,
inputs, snapshots and acknowledgments is the endpoint's business (endpoint/delivery).
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

cdef enum:
    SENT_POSITIONS = 256                            # power of two; over 4 s of a 60 Hz stream
    SENT_MASK = SENT_POSITIONS - 1
    PACKET_THRESHOLD = 3                            # RFC 9002 6.1.1
    GRANULARITY_US = 1000                           # RFC 9002 6.1.2
    INITIAL_RTT_US = 333000                         # RFC 9002 6.2.2
    PTO_BACKOFF_LIMIT = 6
    PTO_LONGEST_US = 1000000                        # with backoff; one without may be longer
    PERSISTENT_TIMEOUTS = 3                         # RFC 9002 7.6.1

    SENT_FREE = 0
    SENT_IN_FLIGHT = 1
    SENT_ACKED = 2
    SENT_LOST = 3

    SENT_ELICITING = 1                              # flags of a sent packet
    SENT_CONFIRM = 2
    SENT_ACKS = 4
    SENT_PROBE_MTU = 8          # longer than the path is known to carry
    SENT_PATH = 16              # a challenge or response, perhaps over another path
    # Lost ones say nothing of the path's load: they are neither counted as loss nor sent again.
    SENT_APART = SENT_PROBE_MTU | SENT_PATH

cdef struct SentPacket:
    uint64_t sequence
    uint64_t time_us
    uint64_t said_newest        # newest sequence that its ack block named (with SENT_ACKS)
    uint32_t token              # snapshot it carried, 0 none
    uint32_t unit_first         # reliable units unit_first .. unit_first + unit_count - 1
    uint16_t input_newest       # newest input it repeated, low 16 bits (with input_count)
    uint16_t size
    uint8_t unit_count
    uint8_t input_count
    uint8_t state
    uint8_t flags

cdef struct Recovery:
    SentPacket sent[SENT_POSITIONS]
    uint64_t next_sequence
    uint64_t largest_acked
    uint64_t oldest             # no packet below it is in flight
    uint64_t path_first         # packets below it left over another path: they measure nothing of this one
    uint64_t loss_time_us       # when the time threshold will declare the next one lost, 0: none waits
    uint64_t last_eliciting_us
    uint64_t bytes_in_flight
    uint64_t lost_packets
    uint64_t acked_packets
    uint64_t lost_marks[2]      # lost_packets and acked_packets at the two last marks, the newer first
    uint64_t acked_marks[2]
    uint64_t smoothed_rtt_us    # 0: no sample yet
    uint64_t rtt_variance_us
    uint64_t min_rtt_us
    uint64_t latest_rtt_us
    uint32_t eliciting_in_flight
    uint32_t pto_count
    bint acked_some

cdef inline void recovery_init(Recovery* recovery) noexcept nogil:
    memset(recovery, 0, sizeof(Recovery))

cdef inline SentPacket* recovery_slot(Recovery* recovery, uint64_t sequence) noexcept nogil:
    """The packet `sequence` if it is remembered, else NULL."""
    cdef SentPacket* packet = &recovery.sent[sequence & SENT_MASK]
    if packet.state == SENT_FREE or packet.sequence != sequence:
        return NULL
    return packet

cdef inline uint64_t recovery_first(const Recovery* recovery) noexcept nogil:
    """Where a look through what is in flight begins: whatever the peer does, at most the ring is looked through."""
    if recovery.next_sequence - recovery.oldest > SENT_POSITIONS:
        return recovery.next_sequence - SENT_POSITIONS
    return recovery.oldest

cdef inline SentPacket* recovery_evicted(Recovery* recovery) noexcept nogil:
    """The packet that the next one will push out of the ring while it is still in flight, else NULL."""
    cdef SentPacket* packet = &recovery.sent[recovery.next_sequence & SENT_MASK]
    return packet if packet.state == SENT_IN_FLIGHT else NULL

cdef inline void recovery_landed(Recovery* recovery, SentPacket* packet, uint8_t state) noexcept nogil:
    """`packet` is no longer in flight: acknowledged or lost."""
    packet.state = state
    recovery.bytes_in_flight -= packet.size
    if packet.flags & SENT_ELICITING:
        recovery.eliciting_in_flight -= 1
    if state == SENT_LOST:
        recovery.lost_packets += not packet.flags & SENT_APART
    else:
        recovery.acked_packets += 1

cdef inline void recovery_sent(Recovery* recovery, const SentPacket* filled, uint64_t now_us) noexcept nogil:
    """Remember the packet that took next_sequence. The evicted one must have been dealt with before."""
    cdef SentPacket* packet = &recovery.sent[recovery.next_sequence & SENT_MASK]
    packet[0] = filled[0]
    packet.sequence = recovery.next_sequence
    packet.time_us = now_us
    packet.state = SENT_IN_FLIGHT
    recovery.bytes_in_flight += packet.size
    if packet.flags & SENT_ELICITING:
        recovery.eliciting_in_flight += 1
        recovery.last_eliciting_us = now_us
    recovery.next_sequence += 1

cdef inline void recovery_sample(Recovery* recovery, uint64_t rtt_us, uint64_t delay_us) noexcept nogil:
    """RFC 9002 5.3, in integers."""
    cdef uint64_t adjusted, difference
    if rtt_us == 0:
        rtt_us = 1
    recovery.latest_rtt_us = rtt_us
    if recovery.smoothed_rtt_us == 0:
        recovery.min_rtt_us = rtt_us
        recovery.smoothed_rtt_us = rtt_us
        recovery.rtt_variance_us = rtt_us // 2
        return
    if rtt_us < recovery.min_rtt_us:
        recovery.min_rtt_us = rtt_us
    adjusted = rtt_us
    if rtt_us - recovery.min_rtt_us >= delay_us:    # a claimed delay never pushes a sample below the minimum
        adjusted = rtt_us - delay_us
    if recovery.smoothed_rtt_us > adjusted:
        difference = recovery.smoothed_rtt_us - adjusted
    else:
        difference = adjusted - recovery.smoothed_rtt_us
    recovery.rtt_variance_us = (3 * recovery.rtt_variance_us + difference) // 4
    recovery.smoothed_rtt_us = (7 * recovery.smoothed_rtt_us + adjusted) // 8

cdef inline void recovery_restart(Recovery* recovery) noexcept nogil:
    """The session moved to another path (RFC 9000 9.4): what was measured of the old one says nothing of it."""
    recovery.smoothed_rtt_us = 0
    recovery.rtt_variance_us = 0
    recovery.min_rtt_us = 0
    recovery.latest_rtt_us = 0
    recovery.path_first = recovery.next_sequence

cdef inline uint64_t recovery_loss_delay(const Recovery* recovery) noexcept nogil:
    """RFC 9002 6.1.2: 9/8 of the larger of smoothed and latest round trip, at least the granularity."""
    cdef uint64_t rtt = recovery.smoothed_rtt_us
    if recovery.latest_rtt_us > rtt:
        rtt = recovery.latest_rtt_us
    if rtt == 0:
        rtt = INITIAL_RTT_US
    rtt += rtt // 8
    return rtt if rtt > GRANULARITY_US else GRANULARITY_US

cdef inline uint64_t recovery_pto_first(const Recovery* recovery, uint64_t max_ack_delay_us) noexcept nogil:
    """RFC 9002 6.2.1, without backoff."""
    cdef uint64_t spread = 4 * recovery.rtt_variance_us
    if recovery.smoothed_rtt_us == 0:
        return 2 * INITIAL_RTT_US
    return recovery.smoothed_rtt_us + (spread if spread > GRANULARITY_US else GRANULARITY_US) + max_ack_delay_us

cdef inline uint64_t recovery_pto(const Recovery* recovery, uint64_t max_ack_delay_us) noexcept nogil:
    """RFC 9002 6.2.1, with backoff up to a second: a peer that moved is only found by what it sends."""
    cdef uint64_t pto = recovery_pto_first(recovery, max_ack_delay_us)
    cdef uint64_t longest = pto if pto > PTO_LONGEST_US else PTO_LONGEST_US
    pto <<= recovery.pto_count if recovery.pto_count < PTO_BACKOFF_LIMIT else PTO_BACKOFF_LIMIT
    return pto if pto < longest else longest

cdef inline uint64_t recovery_deadline(const Recovery* recovery, uint64_t max_ack_delay_us) noexcept nogil:
    """When recovery next wants to be called, 0 for never."""
    if recovery.loss_time_us != 0:
        return recovery.loss_time_us
    if recovery.eliciting_in_flight == 0:
        return 0
    return recovery.last_eliciting_us + recovery_pto(recovery, max_ack_delay_us)

cdef inline SentPacket* recovery_next_lost(Recovery* recovery, uint64_t* cursor, uint64_t now_us) noexcept nogil:
    """The next packet that counts as lost by now, from `cursor` on; NULL when there is none.

    Start with cursor = recovery.oldest. Sets loss_time_us to when the time threshold strikes next.
    """
    cdef SentPacket* packet
    cdef uint64_t delay = recovery_loss_delay(recovery), due
    cdef bint contiguous = cursor[0] == recovery.oldest
    if not recovery.acked_some:
        return NULL
    if contiguous:
        recovery.loss_time_us = 0
        recovery.oldest = recovery_first(recovery)
        cursor[0] = recovery.oldest
    while cursor[0] <= recovery.largest_acked:
        packet = recovery_slot(recovery, cursor[0])
        if packet == NULL or packet.state != SENT_IN_FLIGHT:
            cursor[0] += 1
            if contiguous:
                recovery.oldest = cursor[0]
            continue
        due = packet.time_us + delay
        cursor[0] += 1
        if recovery.largest_acked - packet.sequence >= PACKET_THRESHOLD or due <= now_us:
            if contiguous:
                recovery.oldest = cursor[0]
            return packet
        contiguous = False
        if recovery.loss_time_us == 0 or due < recovery.loss_time_us:
            recovery.loss_time_us = due
    return NULL

cdef inline bint recovery_persistent(Recovery* recovery, uint64_t first, uint64_t last,
                                     uint64_t max_ack_delay_us) noexcept nogil:
    """RFC 9002 7.6: the lost packets `first` to `last` span three probe timeouts, and none between them arrived."""
    cdef SentPacket* begin = recovery_slot(recovery, first)
    cdef SentPacket* end = recovery_slot(recovery, last)
    cdef SentPacket* packet
    if recovery.smoothed_rtt_us == 0 or begin == NULL or end == NULL or \
            end.time_us - begin.time_us <= PERSISTENT_TIMEOUTS * recovery_pto_first(recovery, max_ack_delay_us):
        return False
    while first < last:
        packet = recovery_slot(recovery, first)
        if packet != NULL and packet.state == SENT_ACKED:
            return False
        first += 1
    return True

cdef inline void recovery_mark(Recovery* recovery) noexcept nogil:
    """Begin a new window of losses; call every few seconds."""
    recovery.lost_marks[1], recovery.acked_marks[1] = recovery.lost_marks[0], recovery.acked_marks[0]
    recovery.lost_marks[0], recovery.acked_marks[0] = recovery.lost_packets, recovery.acked_packets

cdef inline void recovery_late(Recovery* recovery, SentPacket* packet) noexcept nogil:
    """A packet that counted as lost was acknowledged after all."""
    packet.state = SENT_ACKED
    recovery.lost_packets -= not packet.flags & SENT_APART
    recovery.acked_packets += 1

cdef inline uint64_t recovery_loss_ppm(const Recovery* recovery) noexcept nogil:
    """Lost packets per million since the mark before last."""
    cdef uint64_t lost = recovery.lost_packets - recovery.lost_marks[1]
    cdef uint64_t packets = lost + recovery.acked_packets - recovery.acked_marks[1]
    if recovery.lost_packets < recovery.lost_marks[1] or packets == 0:
        return 0                                    # so many came late that there were fewer than nothing
    return lost * 1000000 // packets

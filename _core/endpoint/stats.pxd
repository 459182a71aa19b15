"""What is measured of a session, as a record that NumPy reads.

Owner    The caller, of the records.
Limit    One fixed record a session; stats.pyx compares its size with STATS_DTYPE at import.
Threads  As its endpoint.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from shadowland._core.endpoint.connection cimport Connection
from shadowland._core.endpoint.state cimport EndpointState
from shadowland._core.session.clock cimport clock_offset
from shadowland._core.session.recovery cimport recovery_loss_ppm

cdef struct StatsRecord:
    uint64_t connection
    uint64_t rtt_us
    uint64_t rtt_variance_us
    uint64_t min_rtt_us
    uint64_t packets_in
    uint64_t packets_out
    uint64_t bytes_in
    uint64_t bytes_out
    uint64_t packets_lost
    uint64_t packets_acked
    uint64_t clock_offset_us
    uint32_t units_waiting
    uint32_t inputs_waiting
    uint32_t mtu
    uint32_t moves
    uint32_t suite
    uint32_t epoch
    uint64_t rate_bytes_per_s
    uint64_t queue_us
    uint64_t jitter_us
    uint64_t bytes_in_flight
    uint64_t loss_ppm
    int64_t clock_drift_ppb
    uint64_t peer_ack_delay_us  # how long the peer may hold an acknowledgment back

cdef inline void fill_stats(StatsRecord* out, const Connection* connection) noexcept nogil:
    """Copy what is measured of one connection."""
    out.connection = connection.handle
    out.rtt_us = connection.recovery.smoothed_rtt_us
    out.rtt_variance_us = connection.recovery.rtt_variance_us
    out.min_rtt_us = connection.recovery.min_rtt_us
    out.packets_in = connection.packets_in
    out.packets_out = connection.packets_out
    out.bytes_in = connection.bytes_in
    out.bytes_out = connection.bytes_out
    out.packets_lost = connection.recovery.lost_packets
    out.packets_acked = connection.recovery.acked_packets
    out.clock_offset_us = clock_offset(&connection.clock)
    out.clock_drift_ppb = connection.clock.drift_ppb
    out.peer_ack_delay_us = connection.peer_ack_delay_us
    out.units_waiting = <uint32_t>(connection.send.next - connection.send.base) + connection.send.uncut
    out.inputs_waiting = connection.inputs.depth
    out.mtu = connection.mtu
    out.moves = connection.moves
    out.suite = connection.epochs.suite
    out.epoch = connection.epochs.chain.epoch
    out.rate_bytes_per_s = connection.congestion.rate
    out.queue_us = connection.congestion.queue_us
    out.jitter_us = connection.congestion.jitter16_us // 16
    out.bytes_in_flight = connection.recovery.bytes_in_flight
    out.loss_ppm = recovery_loss_ppm(&connection.recovery)

cdef object stats_table(EndpointState* state, object handle)
cdef dict counters_of(EndpointState* state)

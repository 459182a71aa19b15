"""Measurements and counters of an endpoint as tables and dictionaries."""
import numpy as np

from shadowland._core.base.buffer cimport pointer
from shadowland._core.endpoint.connection cimport STATE_LIVE
from shadowland._core.endpoint.state cimport connection_of

STATS_DTYPE = np.dtype([
    ("connection", np.uint64), ("rtt_us", np.uint64), ("rtt_variance_us", np.uint64), ("min_rtt_us", np.uint64),
    ("packets_in", np.uint64), ("packets_out", np.uint64), ("bytes_in", np.uint64), ("bytes_out", np.uint64),
    ("packets_lost", np.uint64), ("packets_acked", np.uint64), ("clock_offset_us", np.int64),
    ("units_waiting", np.uint32), ("inputs_waiting", np.uint32), ("mtu", np.uint32), ("moves", np.uint32),
    ("suite", np.uint32), ("epoch", np.uint32), ("rate_bytes_per_s", np.uint64), ("queue_us", np.uint64),
    ("jitter_us", np.uint64), ("bytes_in_flight", np.uint64), ("loss_ppm", np.uint64), ("clock_drift_ppb", np.int64),
    ("peer_ack_delay_us", np.uint64),
])

if STATS_DTYPE.itemsize != sizeof(StatsRecord):
    raise ImportError(f"STATS_DTYPE has {STATS_DTYPE.itemsize} bytes and StatsRecord {sizeof(StatsRecord)}")


cdef object stats_table(EndpointState* state, object handle):
    """One row for `handle` (none if it is over), or with None one for each live session."""
    cdef uint32_t slot, count = 0
    cdef StatsRecord* out
    cdef Connection* connection
    if handle is not None:
        connection = connection_of(state, handle)
        table = np.zeros(0 if connection == NULL else 1, dtype=STATS_DTYPE)
        if connection != NULL:
            fill_stats(<StatsRecord*>pointer(table), connection)
        return table
    table = np.zeros(max(state.high_water, 1), dtype=STATS_DTYPE)
    out = <StatsRecord*>pointer(table)
    for slot in range(state.high_water):
        if state.connections[slot].state == STATE_LIVE:
            fill_stats(&out[count], &state.connections[slot])
            count += 1
    return table[:count]


cdef dict counters_of(EndpointState* state):
    return {
        "received": state.received, "accepted": state.accepted, "sent": state.sent,
        "bytes_in": state.bytes_in, "bytes_out": state.bytes_out, "handshakes": state.handshakes,
        "rekeys": state.rekeys, "blocks_used": state.slab.used, "fragment_sets": state.fragments.live,
        "fragments_expired": state.fragments.expired, "fragments_evicted": state.fragments.evicted,
        "events_lost": state.events_lost, "migrations": state.migrations,
        "paths_refused": state.paths_refused, "paths_busy": state.paths_busy,
    }

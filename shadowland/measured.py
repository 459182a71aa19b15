"""What is measured of a session, for people: the same on both sides."""
from dataclasses import dataclass
from typing import Any

from shadowland._core.endpoint.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class SessionStats:
    """Measurements of a session as they are now; times in milliseconds, 0 while not measured.

    rtt_ms              smoothed round trip (RFC 9002 5.3).
    jitter_ms           how much one round trip differs from the one before, smoothed as RFC 3550 6.4.1 does it.
    packets_lost        of those sent; loss: their share over the last 5 to 10 seconds, 0 to 1.
    rate_bytes_per_s    how fast this side may send now; bytes_in_flight: sent, and nothing is known of them yet.
    queue_ms            how long packets to the peer wait on the path, as far as one can tell from the round trip.
    clock_offset_ms     the peer's clock less ours; clock_drift_ppm: how much faster it runs. Both by the shortest of
                        some round trips; the drift is known after half a minute.
    """

    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    packets_lost: int = 0
    loss: float = 0.0
    rate_bytes_per_s: int = 0
    bytes_in_flight: int = 0
    queue_ms: float = 0.0
    clock_offset_ms: float = 0.0
    clock_drift_ppm: float = 0.0


COUNTS = ("packets_in", "packets_out", "bytes_in", "bytes_out", "packets_lost", "rate_bytes_per_s", "bytes_in_flight")


def measured(endpoint: Endpoint, handle: int) -> SessionStats:
    """Measurements of one session; all zero if it is over."""
    table = endpoint.stats(handle)
    if len(table) == 0:
        return SessionStats()
    row: Any = table[0]
    counts = {name: int(row[name]) for name in COUNTS}
    return SessionStats(
        rtt_ms=float(row["rtt_us"]) / 1000, jitter_ms=float(row["jitter_us"]) / 1000, loss=float(row["loss_ppm"]) / 1e6,
        queue_ms=float(row["queue_us"]) / 1000, clock_offset_ms=float(row["clock_offset_us"]) / 1000,
        clock_drift_ppm=float(row["clock_drift_ppb"]) / 1000, **counts)

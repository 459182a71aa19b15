"""The peer's clock: how far it is ahead of ours and how fast it drifts, from pings (docs/protocol.md 5.3).

Owner    A Clock lies inside the connection; nothing here allocates.
Limit    CLOCK_POINTS points, the best of CLOCK_SAMPLES pings each; a drift beyond DRIFT_MOST_PPB: a clock that was set.
Threads  One at a time per connection.

Of each window the sample with the shortest round trip counts: it waited least, so its two ways differ least. The drift
is the slope from the oldest point to the newest. Offsets are differences modulo 2**64: clocks may start anywhere.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

cdef enum:
    CLOCK_POINTS = 8
    CLOCK_SAMPLES = 4                               # pings of a window
    DRIFT_LEAST_US = 15000000                       # a shorter base line says more of jitter than of drift
    DRIFT_MOST_PPB = 10000000                       # one in a hundred
    DRIFT_SHARE = 100

cdef struct ClockPoint:
    uint64_t time_us            # ours, when it was measured
    uint64_t offset_us          # theirs less ours
    uint64_t rtt_us             # 0: no sample

cdef struct Clock:
    ClockPoint points[CLOCK_POINTS]     # of finished windows, the oldest first
    ClockPoint best             # of the running window
    uint64_t now_us             # of the last sample
    int64_t drift_ppb           # how much faster theirs runs
    uint32_t count              # of points
    uint32_t samples            # in the running window

cdef inline void clock_init(Clock* clock) noexcept nogil:
    memset(clock, 0, sizeof(Clock))

cdef inline bint clock_was_set(const ClockPoint* before, const ClockPoint* after) noexcept nogil:
    """Whether no drift explains the way from one point to the other, be they as wrong as their round trips allow."""
    cdef int64_t moved = <int64_t>(after.offset_us - before.offset_us)
    cdef uint64_t most = (after.time_us - before.time_us) // DRIFT_SHARE + before.rtt_us + after.rtt_us
    return <uint64_t>(moved if moved >= 0 else -moved) > most

cdef inline void clock_drift(Clock* clock) noexcept nogil:
    cdef const ClockPoint* first = &clock.points[0]
    cdef const ClockPoint* last = &clock.points[clock.count - 1]
    cdef uint64_t span = last.time_us - first.time_us
    cdef int64_t moved = <int64_t>(last.offset_us - first.offset_us)
    cdef int64_t most = <int64_t>(span // DRIFT_SHARE)
    if span < DRIFT_LEAST_US:
        return
    if moved > most:
        moved = most
    elif moved < -most:
        moved = -most
    # In steps of 1,000 so that nothing overflows in 25 hours; toward zero for either sign.
    moved = moved * 1000000 // <int64_t>(span // 1000) if moved >= 0 else -(-moved * 1000000 // <int64_t>(span // 1000))
    clock.drift_ppb = moved

cdef inline void clock_sample(Clock* clock, uint64_t offset_us, uint64_t rtt_us, uint64_t now_us) noexcept nogil:
    """A ping was answered: the peer's clock was `offset_us` ahead, as seen over a round trip of `rtt_us`."""
    cdef uint32_t i
    if rtt_us == 0:
        rtt_us = 1
    clock.now_us = now_us
    if clock.best.rtt_us == 0 or rtt_us <= clock.best.rtt_us:
        clock.best.time_us, clock.best.offset_us, clock.best.rtt_us = now_us, offset_us, rtt_us
    clock.samples += 1
    if clock.samples < CLOCK_SAMPLES:
        return
    if clock.count and clock_was_set(&clock.points[clock.count - 1], &clock.best):
        clock.count, clock.drift_ppb = 0, 0
    if clock.count == CLOCK_POINTS:
        for i in range(CLOCK_POINTS - 1):
            clock.points[i] = clock.points[i + 1]
        clock.count -= 1
    clock.points[clock.count] = clock.best
    clock.count += 1
    clock.samples, clock.best.rtt_us = 0, 0
    clock_drift(clock)

cdef inline uint64_t clock_offset(const Clock* clock) noexcept nogil:
    """Theirs less ours at the last sample, modulo 2**64; 0 before the first."""
    cdef const ClockPoint* point = &clock.best
    cdef const ClockPoint* last
    cdef int64_t age
    if clock.count:
        last = &clock.points[clock.count - 1]
        if point.rtt_us == 0 or (last.rtt_us < point.rtt_us and not clock_was_set(last, point)):
            point = last
    if point.rtt_us == 0:
        return 0
    age = <int64_t>(clock.now_us - point.time_us) // 1000
    return point.offset_us + <uint64_t>(clock.drift_ppb * age // 1000000 if clock.drift_ppb >= 0
                                        else -(-clock.drift_ppb * age // 1000000))

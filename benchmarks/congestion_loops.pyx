"""Loops for benchmarks/congestion.py, which compiles them: the kernels as the endpoint calls them for each packet."""
from libc.stdint cimport uint32_t, uint64_t
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from shadowland._core.session.congestion cimport (
    Congestion,
    congestion_acked,
    congestion_init,
    congestion_look,
    congestion_refill,
    congestion_sample,
    congestion_spend,
)

cdef enum:
    STEP_US = 5000                                  # between two packets of one session
    UNDER_WAY = 500                                 # so many that reading the clock does not count

cdef uint64_t now_ns() noexcept nogil:
    """CPU time of this thread: what else runs on the machine does not count."""
    cdef timespec now
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec

def packet(uint32_t count):
    """ns to send one packet and read its acknowledgment, decisions included: (sending, acknowledgment)."""
    cdef Congestion state
    cdef uint64_t now_us = 1, begin, between, sequence, sending = 0, reading = 0
    cdef uint32_t i, k
    congestion_init(&state, 20000, now_us)
    with nogil:
        for i in range(count // UNDER_WAY):
            sequence = <uint64_t>i * UNDER_WAY
            begin = now_ns()
            for k in range(UNDER_WAY):
                congestion_refill(&state, now_us + k * STEP_US)
                congestion_spend(&state, 600)
            between = now_ns()
            for k in range(UNDER_WAY):
                congestion_acked(&state, 600)
                congestion_sample(&state, 50000 + (sequence + k) * <uint64_t>2654435761 % 4000, now_us + k * STEP_US)
                congestion_look(&state, sequence + k, sequence + UNDER_WAY + k, UNDER_WAY * 1200,
                                now_us + k * STEP_US)
            reading += now_ns() - between
            sending += between - begin
            now_us += UNDER_WAY * STEP_US
    # Reading the clock is a part of both; that part is measured alone and taken off.
    begin = now_ns()
    for i in range(1000):
        between = now_ns()
    clock = (now_ns() - begin) / 1001
    rounds = count // UNDER_WAY
    return (sending / rounds - clock) / UNDER_WAY, (reading / rounds - clock) / UNDER_WAY

"""Bucket: a token bucket in one number, the moment at which all that was taken is earned again (GCRA, ITU-T I.371).

Owner    Whoever holds the u64: a session, a source, or the guard itself for what is shared by all.
Limit    A bucket of `depth_ns` never owes more than that; 0 is a full bucket, whatever the clock shows.
Threads  One at a time.

A thing that costs `cost_ns` is let through if the bucket then owes no more than `depth_ns`; time pays back one
nanosecond per nanosecond. A refused thing costs nothing, so that a rate stays what it is however hard somebody pushes.

    now           bucket            now + depth
     |---- owed ----|---- left ---------|
"""
from libc.stdint cimport uint64_t

cdef enum:
    NS_PER_US = 1000

cdef inline bint bucket_has(uint64_t bucket, uint64_t cost_ns, uint64_t depth_ns, uint64_t now_ns) noexcept nogil:
    """Whether `cost_ns` can be taken at `now_ns`."""
    cdef uint64_t owed = bucket - now_ns if bucket > now_ns else 0
    return owed <= depth_ns and cost_ns <= depth_ns - owed

cdef inline void bucket_pay(uint64_t* bucket, uint64_t cost_ns, uint64_t now_ns) noexcept nogil:
    """Take `cost_ns`, which bucket_has has allowed."""
    bucket[0] = (bucket[0] if bucket[0] > now_ns else now_ns) + cost_ns

cdef inline bint bucket_take(uint64_t* bucket, uint64_t cost_ns, uint64_t depth_ns, uint64_t now_ns) noexcept nogil:
    """Take `cost_ns` if it is there; False, and nothing is taken, if it is not."""
    if not bucket_has(bucket[0], cost_ns, depth_ns, now_ns):
        return False
    bucket_pay(bucket, cost_ns, now_ns)
    return True

"""Floating-point numbers as whole multiples of a step, and positions as a quadrant and an offset in it.

Owner    The caller owns all arrays.
Limit    |low| and |high| up to QUANTIZE_LIMIT, so that a double holds every quantum exactly; quadrants are i32.
Threads  Any.

q = floor(value / step + 1/2): rounding to the nearest, halves upward, never truncation toward zero (which would make
one double-width quantum around 0). The sum is not formed in floating point, where 0.49999999999999994 + 0.5 is 1.
Beyond the range a value saturates and is counted; NaN and infinity are refused and leave the former quantum as it was.
"""
from libc.math cimport fma
from libc.stdint cimport int32_t, int64_t

cdef enum:
    QUANTIZE_OK = 0
    QUANTIZE_SATURATED = 1
    QUANTIZE_REFUSED = 2                            # not finite; nothing was written

    ORIGIN_FIRST = -0x7FFFFFFF - 1                  # quadrants of an i32
    ORIGIN_LAST = 0x7FFFFFFF

cdef extern from *:
    """
    #define SHADOWLAND_QUANTIZE_LIMIT (INT64_C(1) << 52)
    """
    const int64_t QUANTIZE_LIMIT "SHADOWLAND_QUANTIZE_LIMIT"

cdef struct QuantizeCounts:
    size_t saturated
    size_t refused

ctypedef fused real_t:
    float
    double

ctypedef fused quantum_t:
    int32_t
    int64_t


cdef inline int quantize(double value, double step, int64_t low, int64_t high, int64_t* quantum) noexcept nogil:
    """Set `quantum` to the multiple of `step` (> 0) nearest to `value`, within low..high; a QUANTIZE_ status."""
    cdef double ratio
    cdef int64_t floor_, nearest
    if not (value - value == 0):                    # NaN or infinite
        return QUANTIZE_REFUSED
    ratio = value / step
    # Compared as doubles first: converting a double beyond int64 is undefined, and on x86 wraps to the lowest number.
    if ratio >= <double>high + 1:
        quantum[0] = high
        return QUANTIZE_SATURATED
    if ratio <= <double>low - 1:
        quantum[0] = low
        return QUANTIZE_SATURATED
    floor_ = <int64_t>ratio                         # toward zero …
    if ratio < <double>floor_:                      # … so one lower for a negative fraction
        floor_ -= 1
    nearest = floor_ + (ratio - <double>floor_ >= 0.5)      # the difference is exact
    quantum[0] = low if nearest < low else high if nearest > high else nearest
    return QUANTIZE_SATURATED if nearest != quantum[0] else QUANTIZE_OK


cdef inline double dequantize(int64_t quantum, double step) noexcept nogil:
    return <double>quantum * step


cdef inline void quantize_column(
    const real_t* values, size_t count, double step, int64_t low, int64_t high, quantum_t* quanta,
    QuantizeCounts* counts
) noexcept nogil:
    """Quantize `count` numbers into `quanta`; a refused one keeps what stood there. Adds to `counts`."""
    cdef size_t i
    cdef int64_t quantum = 0
    cdef int status
    for i in range(count):
        status = quantize(<double>values[i], step, low, high, &quantum)
        if status == QUANTIZE_REFUSED:
            counts.refused += 1
            continue
        counts.saturated += status == QUANTIZE_SATURATED
        quanta[i] = <quantum_t>quantum


# Origin rebasing. The world is cut into quadrants of `edge` (origin.md of the original server: 102,400 units, 6,400 in
# height); a position is the quadrant and the offset from its lower corner, so the offset's precision is the same
# everywhere. Both sides use the floor: truncation would join the quadrants on either side of 0.
#
#     position    -edge          0            edge              quadrant = floor(position / edge)
#     quadrant      |     -1     |      0      |      1         value    = round((position - quadrant * edge) / step)
#     value         0 ..... n    0 ...... n    0               0 .. n = round(edge / step), n only by rounding up

cdef inline int origin_split(
    double position, double edge, double step, int32_t* quadrant, int64_t* value
) noexcept nogil:
    """Split `position` (units of edge and step, both > 0) into quadrant and value; a QUANTIZE_ status.

    Beyond the quadrants of an i32 it saturates to the nearest corner of the outermost one.
    """
    cdef double ratio, offset
    if not (position - position == 0):
        return QUANTIZE_REFUSED
    ratio = position / edge
    if ratio >= ORIGIN_LAST:
        quadrant[0] = ORIGIN_LAST
    elif ratio <= ORIGIN_FIRST:
        quadrant[0] = ORIGIN_FIRST
    else:
        quadrant[0] = <int32_t>ratio                # toward zero, mended below
    offset = fma(-<double>quadrant[0], edge, position)      # one rounding: the product may need more than 53 bits
    if offset < 0 and quadrant[0] > ORIGIN_FIRST:
        # A negative fraction, or a quotient that was rounded up to a whole number just below a border.
        quadrant[0] -= 1
        offset = fma(-<double>quadrant[0], edge, position)
    if offset < 0 or offset > edge:                 # only beyond the first and the last quadrant
        quantize(0 if offset < 0 else edge, step, 0, QUANTIZE_LIMIT, value)
        return QUANTIZE_SATURATED
    return quantize(offset, step, 0, QUANTIZE_LIMIT, value)


cdef inline double origin_join(
    int32_t quadrant, int64_t value, double edge, double step, int32_t origin
) noexcept nogil:
    """The position relative to the lower corner of quadrant `origin`; origin 0 gives it in world units.

    Near the origin the result is exact to the step however far from the world's middle that is.
    """
    return fma(<double>(<int64_t>quadrant - origin), edge, <double>value * step)

"""Python door to quantization and origin rebasing: whole arrays, one call without the GIL each."""
import math

import numpy as np

from shadowland._core.base.errors import UsageError

LIMIT = QUANTIZE_LIMIT


def width_range(bits: int) -> tuple[int, int]:
    """Lowest and highest quantum of a signed width of 2 to 53 bits; the code -2**(bits - 1) is left unused, so that
    a range is as far to the left as to the right. UsageError for another width.

    >>> width_range(16)
    (-32767, 32767)
    """
    if not 2 <= bits <= 53:
        raise UsageError(f"a width of {bits} bits; it must be 2 to 53")
    highest = 2 ** (bits - 1) - 1
    return -highest, highest


def _check(name, value):
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{name} = {value}; it must be finite and above 0")


cdef QuantizeCounts _column(
    const real_t[::1] values, double step, int64_t low, int64_t high, quantum_t[::1] quanta
):
    cdef QuantizeCounts counts = QuantizeCounts(0, 0)
    if values.shape[0]:
        with nogil:
            quantize_column(&values[0], values.shape[0], step, low, high, &quanta[0], &counts)
    return counts


def quantize_array(values, double step, int64_t low, int64_t high, quanta) -> tuple[int, int]:
    """Write floor(value / step + 1/2), kept within low..high, for each of `values` (float32 or float64, shape (n,),
    contiguous) into `quanta` (int32 or int64, same shape).

    Returns how many were saturated at the range and how many were NaN or infinite; the quanta of the latter are left as
    they were. UsageError if a step, a range, a dtype or a shape cannot be used.
    """
    cdef QuantizeCounts counts
    _check("step", step)
    if not -QUANTIZE_LIMIT <= low <= high <= QUANTIZE_LIMIT:
        raise UsageError(f"range {low}..{high}; it must be ascending and within ±2**52")
    if values.ndim != 1 or values.shape != quanta.shape:
        raise UsageError(f"values of shape {values.shape} and quanta of shape {quanta.shape}; both must be (n,)")
    kinds = (values.dtype.char, quanta.dtype.itemsize if quanta.dtype.kind == "i" else 0)
    if kinds[1] == 4 and not -2**31 <= low <= high < 2**31:
        raise UsageError(f"range {low}..{high} does not fit quanta of int32")
    if kinds == ("f", 4):
        counts = _column[float, int32_t](values, step, low, high, quanta)
    elif kinds == ("f", 8):
        counts = _column[float, int64_t](values, step, low, high, quanta)
    elif kinds == ("d", 4):
        counts = _column[double, int32_t](values, step, low, high, quanta)
    elif kinds == ("d", 8):
        counts = _column[double, int64_t](values, step, low, high, quanta)
    else:
        raise UsageError(f"values of {values.dtype} into quanta of {quanta.dtype}; float32/64 into int32/64 it must be")
    return counts.saturated, counts.refused


def dequantize_array(quanta, double step):
    """quantum * step as a float64 array."""
    _check("step", step)
    cdef const int64_t[::1] source = np.ascontiguousarray(quanta, dtype=np.int64)
    values = np.empty(source.shape[0], dtype=np.float64)
    cdef double[::1] out = values
    cdef Py_ssize_t i
    with nogil:
        for i in range(source.shape[0]):
            out[i] = dequantize(source[i], step)
    return values


def split(
    const double[::1] positions not None, double edge, double step,
    int32_t[::1] quadrants not None, int64_t[::1] values not None
) -> tuple[int, int]:
    """Split positions (float64) into quadrants of `edge` (int32) and values in steps from their lower corner (int64).

    Returns how many lay beyond the quadrants of an int32 (saturated) and how many were not finite (left as they were).
    UsageError if edge or step is not above 0, one quadrant would take more than 2**52 steps, or lengths differ.
    """
    cdef Py_ssize_t i
    cdef size_t saturated = 0, refused = 0
    cdef int status
    _check("edge", edge)
    _check("step", step)
    if not edge / step <= QUANTIZE_LIMIT:
        raise UsageError(f"edge {edge} is more than 2**52 steps of {step}")
    if not positions.shape[0] == quadrants.shape[0] == values.shape[0]:
        raise UsageError(f"{positions.shape[0]} positions, {quadrants.shape[0]} quadrants, {values.shape[0]} values")
    with nogil:
        for i in range(positions.shape[0]):
            status = origin_split(positions[i], edge, step, &quadrants[i], &values[i])
            saturated += status == QUANTIZE_SATURATED
            refused += status == QUANTIZE_REFUSED
    return saturated, refused


def join(
    const int32_t[::1] quadrants not None, const int64_t[::1] values not None, double edge, double step,
    int32_t origin=0
):
    """Positions (float64) relative to the lower corner of quadrant `origin`; near it they are exact to the step.

    UsageError if edge or step is not above 0 or lengths differ.
    """
    cdef Py_ssize_t i
    _check("edge", edge)
    _check("step", step)
    if quadrants.shape[0] != values.shape[0]:
        raise UsageError(f"{quadrants.shape[0]} quadrants, {values.shape[0]} values")
    positions = np.empty(values.shape[0], dtype=np.float64)
    cdef double[::1] out = positions
    with nogil:
        for i in range(values.shape[0]):
            out[i] = origin_join(quadrants[i], values[i], edge, step, origin)
    return positions

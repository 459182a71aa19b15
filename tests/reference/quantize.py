"""Quantization and origin rebasing in exact fractions; only the quotient and the offset are rounded to doubles."""
import math
from fractions import Fraction

OK, SATURATED, REFUSED = 0, 1, 2
LIMIT = 2**52
HALF = Fraction(1, 2)
FIRST, LAST = -2**31, 2**31 - 1


def quantize(value: float, step: float, low: int, high: int) -> tuple[int, int | None]:
    """(status, quantum): the whole number nearest to the double value / step, halves upward, kept within low..high."""
    if not math.isfinite(value):
        return REFUSED, None
    ratio = value / step
    if math.isinf(ratio):
        return SATURATED, high if ratio > 0 else low
    nearest = math.floor(Fraction(ratio) + HALF)
    kept = min(max(nearest, low), high)
    return (OK if kept == nearest else SATURATED), kept


def origin_split(position: float, edge: float, step: float) -> tuple[int, int | None, int | None]:
    """(status, quadrant, value) of origin.md's formula, with the exact floor."""
    if not math.isfinite(position):
        return REFUSED, None, None
    exact = math.floor(Fraction(position) / Fraction(edge))
    quadrant = min(max(exact, FIRST), LAST)
    offset = float(Fraction(position) - quadrant * Fraction(edge))
    if offset < 0 or offset > edge:
        return SATURATED, quadrant, quantize(0.0 if offset < 0 else edge, step, 0, LIMIT)[1]
    return OK, quadrant, quantize(offset, step, 0, LIMIT)[1]


def origin_join(quadrant: int, value: int, edge: float, step: float, origin: int) -> float:
    return float((quadrant - origin) * Fraction(edge) + Fraction(value * step))

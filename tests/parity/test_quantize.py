"""Invariant: a quantum is the whole number nearest to value / step, within the range, and a position comes back from
its quadrant and value within half a step, whatever the sign and the border."""
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.wire import quantize
from shadowland.errors import UsageError
from tests.reference import quantize as reference

steps = st.sampled_from([0.01, 0.05, 1.0, 0.1, 3.0, 1 / 3, 2.0**-20, 1e-300, 1e300])
halves = st.builds(lambda whole, step: whole / 2 * step, st.integers(-400, 400), steps)
values = st.one_of(
    st.floats(), halves,
    halves.map(lambda half: math.nextafter(half, math.inf)), halves.map(lambda half: math.nextafter(half, -math.inf)),
    st.sampled_from([0.49999999999999994, -0.49999999999999994, 0.5, -0.5, 2.0**52 - 1, 2.0**63, -2.0**63, 0.0, -0.0]),
)
ranges = st.sampled_from([(-32767, 32767), (0, 100), (-5, -2), (7, 7), (-2**31, 2**31 - 1), (-2**52, 2**52)])
MARK = 77


@given(st.lists(values, max_size=12), steps, ranges, st.booleans(), st.booleans())
def test_columns(column: list[float], step: float, limits: tuple[int, int], narrow: bool, small: bool) -> None:
    low, high = limits
    with np.errstate(over="ignore"):
        wide_values = np.array(column, dtype=np.float64)
        given_values = wide_values.astype(np.float32) if narrow else wide_values
    fits = small and -2**31 <= low and high < 2**31
    marks = np.full(len(column), MARK, dtype=np.int64)
    quanta = marks.astype(np.int32) if fits else marks
    expected = [reference.quantize(float(value), step, low, high) for value in given_values]
    counts = quantize.quantize_array(given_values, step, low, high, quanta)
    assert quanta.tolist() == [MARK if quantum is None else quantum for _, quantum in expected]
    statuses = [status for status, _ in expected]
    assert counts == (statuses.count(reference.SATURATED), statuses.count(reference.REFUSED))


@given(st.floats(-1e6, 1e6), st.sampled_from([0.01, 0.05, 0.1, 1 / 3, 1.0]))
def test_the_error_is_at_most_half_a_step(value: float, step: float) -> None:
    quanta = np.zeros(1, dtype=np.int64)
    assert quantize.quantize_array(np.array([value]), step, -2**40, 2**40, quanta) == (0, 0)
    error = abs(Fraction(int(quanta[0])) * Fraction(step) - Fraction(value))
    assert error <= Fraction(step) / 2 * (1 + Fraction(1, 10**6))       # the quotient itself is a rounded double
    assert quantize.dequantize_array(quanta, step)[0] == int(quanta[0]) * step


edges = st.sampled_from([102400.0, 6400.0, 100.1, 1.0])
near_borders = st.builds(
    lambda quadrant, edge, off: quadrant * edge + off,
    st.one_of(st.integers(-4, 4), st.integers(-2**31 - 2, 2**31 + 1)), edges,
    st.sampled_from([0.0, 1e-9, -1e-9, 0.004, -0.004, 0.006, -0.006, 50.0, -50.0]),
)
positions = st.one_of(st.floats(-1e15, 1e15), near_borders, st.sampled_from([math.nan, math.inf, -math.inf, 1e300]))


@given(positions, edges, st.sampled_from([0.01, 0.25, 1 / 3]))
def test_quadrants_and_back(position: float, edge: float, step: float) -> None:
    quadrants, offsets = np.full(1, MARK, dtype=np.int32), np.full(1, MARK, dtype=np.int64)
    counts = quantize.split(np.array([position]), edge, step, quadrants, offsets)
    status, quadrant, offset = reference.origin_split(position, edge, step)
    assert counts == (int(status == reference.SATURATED), int(status == reference.REFUSED))
    if quadrant is None or offset is None:
        assert (quadrants[0], offsets[0]) == (MARK, MARK)
        return
    assert (quadrants[0], offsets[0]) == (quadrant, offset)
    for origin in (0, quadrant):
        joined = quantize.join(quadrants, offsets, edge, step, origin)[0]
        assert joined == reference.origin_join(quadrant, offset, edge, step, origin)
    if status == reference.OK:
        error = abs(Fraction(quadrant) * Fraction(edge) + offset * Fraction(step) - Fraction(position))
        assert error <= Fraction(step) / 2 * (1 + Fraction(1, 10**6))


def test_what_no_integer_holds_saturates_at_its_own_side() -> None:
    """Beyond 2**63 a conversion is undefined, and on x86 gives the lowest number for either sign."""
    huge = np.array([2.0**52, 2.0**62, 2.0**63, 1.5 * 2.0**63, 2.0**64, 1e300])
    for low, high in ((-5, 5), (-2**52, 2**52 - 1)):
        quanta = np.zeros(12, dtype=np.int64)
        assert quantize.quantize_array(np.concatenate([huge, -2 * huge]), 1.0, low, high, quanta) == (12, 0)
        assert quanta.tolist() == [high] * 6 + [low] * 6


def test_borders_that_no_double_holds() -> None:
    """quadrant * 100.1 is rounded, now up, now down: the position lies in the quadrant of the exact product."""
    edge, step = 100.1, 0.01
    column = np.array([quadrant * edge for quadrant in range(-1000, 1000)])
    quadrants, offsets = np.zeros(len(column), dtype=np.int32), np.zeros(len(column), dtype=np.int64)
    assert quantize.split(column, edge, step, quadrants, offsets) == (0, 0)
    expected = [reference.origin_split(float(position), edge, step)[1:] for position in column]
    assert list(zip(quadrants.tolist(), offsets.tolist(), strict=True)) == expected


def test_origins_at_the_far_ends() -> None:
    for quadrant in (-2**31, 2**31 - 1):
        for origin in (-2**31, 0, 2**31 - 1):
            joined = quantize.join(np.array([quadrant], np.int32), np.array([5], np.int64), 102400.0, 0.25, origin)[0]
            assert joined == (quadrant - origin) * 102400.0 + 1.25


def test_a_width_is_as_far_left_as_right() -> None:
    assert quantize.width_range(16) == (-32767, 32767)
    assert quantize.width_range(2) == (-1, 1)
    assert quantize.width_range(53) == (1 - 2**52, 2**52 - 1)
    for bits in (1, 54):
        with pytest.raises(UsageError, match="2 to 53"):
            quantize.width_range(bits)


def test_what_cannot_be_used_is_named() -> None:
    one, quanta = np.zeros(1), np.zeros(1, dtype=np.int32)
    for step in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="step"):
            quantize.quantize_array(one, step, 0, 1, quanta)
    with pytest.raises(UsageError, match="ascending"):
        quantize.quantize_array(one, 1.0, 2, 1, quanta)
    with pytest.raises(UsageError, match="ascending"):
        quantize.quantize_array(one, 1.0, 0, 2**52 + 1, quanta)
    with pytest.raises(UsageError, match="does not fit quanta of int32"):
        quantize.quantize_array(one, 1.0, 0, 2**31, quanta)
    with pytest.raises(UsageError, match="must be"):
        quantize.quantize_array(np.zeros(2), 1.0, 0, 1, quanta)
    with pytest.raises(UsageError, match="int32/64"):
        quantize.quantize_array(one, 1.0, 0, 1, np.zeros(1, dtype=np.uint32))
    with pytest.raises(UsageError, match="steps of"):
        quantize.split(one, 1e300, 1.0, quanta, np.zeros(1, dtype=np.int64))
    with pytest.raises(UsageError, match="2 quadrants"):
        quantize.join(np.zeros(2, dtype=np.int32), np.zeros(1, dtype=np.int64), 1.0, 1.0)

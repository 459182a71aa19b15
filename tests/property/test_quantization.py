"""Quantization of fields: of any width, with and without quadrants, what arrives is within half a step of what was."""
import math
from fractions import Fraction
from typing import Annotated as A
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import shadowland as sl
from shadowland._core.base.records import EVENT_DTYPE, JOINED
from shadowland.schema import Quadrants, decode_columns, decode_one, encode_columns, encode_one, layout
from shadowland.view import View
from shadowland.world import World

STEPS = st.sampled_from([0.01, 0.05, 1 / 3, 0.25, 1.0, 7.0])
HALF = Fraction(1, 2) * (1 + Fraction(1, 10**6))       # a quotient is a rounded double


def arrives(cls: type[Any], values: list[float]) -> tuple[list[float], list[float], dict[str, int]]:
    """What columns hold of these values, what the view of an observer shows of them, and the world's counters."""
    schema = sl.Schema([cls], [])
    world = World(schema, tick_hz=30, aoi=sl.Grid(cell=10, radius=10), capacity=len(values), observers=1)
    handles = [world.spawn(cls(value=value)) for value in values]
    events = np.zeros(1, EVENT_DTYPE)
    events["connection"], events["kind"] = 1 << 32, JOINED
    world.events(events)
    world.set_avatar(0, handles[0])
    world.publish(1)
    view = View(schema, tick_hz=30, tick=0)
    records, arena = world.replicate(np.zeros(1, np.uint32))
    for record in records:
        assert view.views.apply(arena[int(record["offset"]):][:int(record["length"])].tobytes(), 0) == 0
    seen = view.snapshot()[cls]
    order = np.argsort(world.rows_of(seen.handles))
    return world[cls].value.tolist(), seen.value[order].tolist(), world.core.stats


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 32), STEPS, st.data())
def test_any_bit_width_from_1_to_32_arrives_within_half_a_step(bits: int, step: float, data: st.DataObject) -> None:
    """A range of that many bits anywhere in 32, by entities and by messages."""
    low = data.draw(st.integers(-2**31, 2**31 - 2**bits))
    words = A[float, sl.Quantized(step=step), sl.Range(low * step, (low + 2**bits - 1) * step)]
    quanta = st.one_of(st.integers(low, low + 2**bits - 1), st.sampled_from([low, low + 2**bits - 1]))
    values = data.draw(st.lists(st.builds(lambda q, beside: (q + beside) * step, quanta, st.floats(-0.49, 0.49)),
                                min_size=1, max_size=8))
    values = [min(max(value, low * step), (low + 2**bits - 1) * step) for value in values]
    some: Any = type("Thing", (sl.Entity,), {"__annotations__": {"value": words}})
    assert layout(some, 30).components["bits"].tolist() == [bits]
    columns, shown, stats = arrives(some, values)
    assert stats["saturated_values"] == 0
    message: Any = type("Said", (sl.Message,), {"__annotations__": {"value": words}})
    arena, offsets, lengths = encode_columns(message, value=np.array(values))
    said = decode_columns(message, arena, offsets, lengths)[0].value
    assert lengths.tolist() == [(bits + 7) // 8] * len(values)
    for value, column, seen, heard in zip(values, columns, shown, said.tolist(), strict=True):
        # A column of 32 bits resolves a sixteenth of a step, on the way in and on the way out.
        narrow = Fraction(step) / 16 if layout(some, 30).columns[0].dtype == np.float32 else Fraction(math.ulp(value))
        assert abs(Fraction(seen) - Fraction(column)) <= Fraction(step) * HALF + narrow
        assert abs(Fraction(heard) - Fraction(value)) <= Fraction(step) * HALF + narrow
        again = decode_one(message, encode_one(message(value=heard)))
        assert again is not None and np.array(again.value, said.dtype) == heard


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 32), st.integers(2, 2**31), STEPS, st.data())
def test_any_bit_width_of_quadrants_and_any_edge_arrive_within_half_a_step(
        bits: int, span: int, step: float, data: st.DataObject) -> None:
    if step == 1 / 3:
        step = 0.25                                         # an edge is a whole number of steps as they are written
    edge = float(Fraction(repr(step)) * span)
    words = A[float, sl.Quantized(step=step), Quadrants(edge=edge, bits=bits)]
    some: Any = type("Thing", (sl.Entity,), {"__annotations__": {"value": words}})
    message: Any = type("Said", (sl.Message,), {"__annotations__": {"value": words}})
    assert layout(some, 30).components["bits"].tolist() == [(span - 1).bit_length(), bits]
    quadrants = st.one_of(st.integers(-2**(bits - 1), 2**(bits - 1) - 1), st.sampled_from([-1, 0])
                          if bits > 1 else st.just(-1))
    inside = st.one_of(st.integers(0, span - 1), st.sampled_from([0, span - 1]))
    places = data.draw(st.lists(st.builds(
        lambda quadrant, offset, beside: quadrant * edge + (offset + beside) * step, quadrants, inside,
        st.floats(-0.49, 0.49)), min_size=1, max_size=8))
    low, high = -2**(bits - 1) * edge, 2**(bits - 1) * edge - step
    places = [min(max(place, low), high) for place in places]
    columns, shown, stats = arrives(some, places)
    assert columns == places and stats["saturated_values"] == 0
    arena, offsets, lengths = encode_columns(message, value=np.array(places))
    said = decode_columns(message, arena, offsets, lengths)[0].value.tolist()
    assert said == shown                                    # one rule, in the kernel and in columns
    for place, seen in zip(places, shown, strict=True):
        assert abs(Fraction(seen) - Fraction(place)) <= Fraction(step) * HALF + Fraction(math.ulp(place))

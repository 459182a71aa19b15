"""Layouts: a row per component, columns with types that resolve a step, prediction constants within their bound."""
import enum
from fractions import Fraction
from typing import Annotated as A

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import shadowland as sl
from shadowland._core.world.columns import KindTable
from shadowland.errors import ConfigError
from shadowland.schema import COMPONENT_DTYPE, layout, prediction
from shadowland.schema.layout import PREDICTED_TICKS


class Flags(enum.IntFlag):
    ALIVE = 1
    FALLING = 64


class Player(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05)] = (0, 0, 0)
    yaw: sl.Angle = 0.0
    health: A[int, sl.Range(-10, 100), sl.Rate(hz=5)] = 100
    gold: A[int, sl.OwnerOnly] = 0
    anger: A[float, sl.Local] = 0.0
    flags: Flags = Flags.ALIVE
    hidden: bool = False


class Ball(sl.Entity):
    height: A[float, sl.Quantized(step=0.01), sl.Range(0, 50), sl.Predicted(by="fall", tolerance=0.07)] = 0
    fall: A[float, sl.Quantized(step=1), sl.Range(-50, 50)] = 0
    tilt: A[float, sl.Quantized(step=0.5), sl.Predicted(by="fall", tolerance=0)] = 0
    spin: A[sl.Angle, sl.Quantized(step=0.001), sl.Predicted(by="turning")] = 0.0
    turning: A[float, sl.Quantized(step=0.01), sl.Range(-20, 20)] = 0.0
    aim: A[sl.Vec3, sl.Unit(bits=10)] = (1, 0, 0)
    secret: A[sl.Vec2, sl.Quantized(step=1), sl.Predicted(by="drift"), sl.OwnerOnly] = (0, 0)
    drift: A[sl.Vec2, sl.Quantized(step=1)] = (0, 0)


@pytest.mark.parametrize("cls", [Player, Ball])
@pytest.mark.parametrize("tick_hz", [1, 20, 59.94, 1000])
def test_the_world_takes_what_the_schema_makes(cls: type[sl.Entity], tick_hz: float) -> None:
    """The world checks every component for what its kernels rely on, overflow of a prediction included."""
    plan = layout(cls, tick_hz)
    assert plan.components.dtype == COMPONENT_DTYPE and COMPONENT_DTYPE.itemsize == 64
    assert KindTable().add(plan.components) == 0


def test_components_and_columns_of_a_player() -> None:
    plan = layout(Player, 60)
    rows = plan.components
    assert plan.names == ("position", "velocity", "yaw", "health", "gold", "anger", "flags", "hidden")
    assert rows["column"].tolist() == [0, 0, 0, 1, 1, 1, 2, 3, 4, 6, 7]        # anger is Local: a column, no component
    assert rows["lane"].tolist() == [0, 1, 2, 0, 1, 2, 0, 0, 0, 0, 0]
    assert rows["lanes"].tolist() == [3] * 6 + [1] * 5
    assert rows["predict"].tolist() == [3, 4, 5] + [-1] * 8
    assert rows["kind"].tolist() == [0] * 6 + [2, 1, 1, 3, 3]
    assert rows["audience"].tolist() == [0] * 8 + [1, 0, 0]
    assert rows["bits"].tolist() == [32] * 6 + [8, 7, 32, 7, 1]
    assert rows["rate_ticks"].tolist() == [0] * 7 + [12, 0, 0, 0]
    assert (rows["low"][7], rows["high"][7]) == (-10, 100) and (rows["low"][9], rows["high"][9]) == (0, 65)
    assert (rows["low"][6], rows["high"][6]) == (-128, 127) and rows["step"][6] * 256 == pytest.approx(2 * np.pi)
    assert rows["tolerance"].tolist() == [3] * 3 + [0] * 8          # half of 0.05 in steps of 0.01, rounded up
    assert [column.first for column in plan.columns] == [0, 3, 6, 7, 8, -1, 9, 10]
    types = {column.name: column.dtype for column in plan.columns}
    assert types["position"] == np.float64 and types["yaw"] == np.float32 and types["anger"] == np.float64
    assert types["health"] == np.int64 and types["hidden"] == np.bool_ and types["flags"] == np.int64
    assert plan.columns[0].default == (0.0, 0.0, 0.0) and plan.record_bits == 6 * 32 + 8 + 7 + 32 + 7 + 1
    with pytest.raises(ValueError):
        rows["step"][0] = 1


def test_class_widths_are_ordered() -> None:
    for row in layout(Player, 30).components:
        assert 0 < row["small"] < row["medium"] < 32


@pytest.mark.parametrize("low, high, step, quanta", [
    (0, 0.3, 0.1, (0, 3)),              # 0.3 / 0.1 is below 3 in binary
    (-0.25, 0.25, 0.1, (-2, 2)),        # inwards: what comes back lies inside
    (-5, 20, 0.5, (-10, 40)),
])
def test_a_range_in_steps(low: float, high: float, step: float, quanta: tuple[int, int]) -> None:
    hint = A[float, sl.Quantized(step=step), sl.Range(low, high)]
    cls = type("Thing", (sl.Entity,), {"__annotations__": {"field": hint}})
    row = layout(cls, 30).components[0]
    assert (row["low"], row["high"]) == quanta
    assert 2 ** int(row["bits"] - 1) <= quanta[1] - quanta[0] < 2 ** int(row["bits"])


def test_the_step_of_an_angle_is_at_most_the_one_named() -> None:
    for step, bits in [(0.01, 10), (2 * np.pi / 256, 8), (0.0245, 9), (3, 2)]:
        cls = type("Thing", (sl.Entity,), {"__annotations__": {"yaw": A[sl.Angle, sl.Quantized(step=step)]}})
        row = layout(cls, 30).components[0]
        assert row["bits"] == bits and row["step"] <= step < 2 * row["step"] + 1e-9
        assert row["high"] - row["low"] + 1 == 2**bits


def test_a_rate_never_lets_more_through() -> None:
    for tick_hz, hz, ticks in [(60, 5, 12), (60, 7, 9), (30, 30, 0), (30, 100, 0), (30, 0.0001, 65535), (30, 0.1, 300)]:
        cls = type("Thing", (sl.Entity,), {"__annotations__": {"field": A[int, sl.Rate(hz=hz)]}})
        assert layout(cls, tick_hz).components["rate_ticks"].tolist() == [ticks]


def test_a_tolerance_is_taken_in_units() -> None:
    assert layout(Ball, 30).components["tolerance"].tolist()[:3] == [7, 0, 0]


steps = st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.125, 1 / 3, 1.0, 25.0])
limits = st.sampled_from([1, 63, 2000, 2**20, 2**31])
rates = st.sampled_from([1, 10, 20, 30, 59.94, 60, 128, 1000])


@given(steps, steps, limits, rates, st.integers(1, PREDICTED_TICKS), st.floats(-1, 1))
def test_prediction_stays_within_its_bound_and_its_64_bits(
        step: float, velocity_step: float, limit: int, tick_hz: float, ticks: int, share: float) -> None:
    num, shift = prediction(step, velocity_step, limit, tick_hz)
    for v in (round(share * limit), limit, -limit):
        product = v * ticks * num + 2 ** (shift - 1)
        assert abs(product) + 2**31 < 2**63
        exact = Fraction(str(velocity_step)) * v * ticks / (Fraction(str(step)) * Fraction(str(tick_hz)))
        assert abs((product >> shift) - exact) <= Fraction(1, 2) + Fraction(abs(v) * ticks, 2 ** (shift + 1))


@given(steps, steps, limits, rates)
def test_no_larger_shift_would_do(step: float, velocity_step: float, limit: int, tick_hz: float) -> None:
    num, shift = prediction(step, velocity_step, limit, tick_hz)
    ratio = Fraction(str(velocity_step)) / (Fraction(str(step)) * Fraction(str(tick_hz)))
    next_num = int(ratio * 2 ** (shift + 1) + Fraction(1, 2))
    assert 1 <= shift <= 62
    assert shift == 62 or limit * PREDICTED_TICKS * next_num + 2**shift > 2**62
    assert shift == 62 or num >= 2**23


def test_a_second_of_walking_as_written_in_the_documents() -> None:
    num, shift = prediction(0.01, 0.05, 2**31, 60)
    assert (num, shift) == (22369621, 28)
    assert (100 * 60 * num + 2 ** (shift - 1)) >> shift == 500                  # 5 m/s for 60 ticks are 500 cm


def test_steps_too_far_apart_are_refused() -> None:
    class Rocket(sl.Entity):
        height: A[float, sl.Quantized(step=1e-9), sl.Predicted(by="speed")] = 0
        speed: A[float, sl.Quantized(step=10)] = 0

    with pytest.raises(ConfigError, match="Rocket.height: one step of the velocity moves it too far.*closer together"):
        layout(Rocket, 30)
    with pytest.raises(ValueError, match="nothing"):
        prediction(1e30, 1e-30, 100, 60)


@pytest.mark.parametrize("tick_hz", [0, -1, float("nan"), float("inf"), True])
def test_a_tick_rate_is_a_positive_number(tick_hz: float) -> None:
    with pytest.raises(ConfigError, match="tick_hz is"):
        layout(Player, tick_hz)


def test_only_entities_have_layouts() -> None:
    class Chat(sl.Message):
        volume: int = 0

    for cls in (Chat, int, sl.Entity):
        with pytest.raises(ConfigError, match="derive it from"):
            layout(cls, 30)  # type: ignore[type-var]

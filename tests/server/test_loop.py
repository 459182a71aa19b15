"""Invariant: ticks come at their due times, never two for one; whatever a slow tick costs is skipped and counted."""
import gc
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_app.loop import Frozen, Loop, Stop, TickTimes


class Machine:
    """A clock, a drain that waits on it, and ticks that take as long as they are told."""

    def __init__(self, durations: list[int]) -> None:
        self.now = 1_000_000
        self.durations = durations
        self.begun: list[int] = []

    def clock(self) -> int:
        return self.now

    def drain(self, until_us: int) -> None:
        self.now = max(self.now, until_us)

    def step(self) -> None:
        self.begun.append(self.now)
        self.now += self.durations[len(self.begun) - 1]


def run(durations: list[int], tick_hz: int = 50) -> tuple[Machine, Loop]:
    machine = Machine(durations)
    loop = Loop(tick_hz, machine.drain, machine.step, clock=machine.clock)
    for _ in durations:
        loop.turn()
    return machine, loop


def test_ticks_begin_at_equal_distances() -> None:
    machine, loop = run([3_000] * 100)
    assert [later - earlier for earlier, later in zip(machine.begun, machine.begun[1:], strict=False)] == [20_000] * 99
    assert (loop.ticks, loop.skipped) == (100, 0)


def test_sixty_ticks_are_a_second_although_a_period_is_no_whole_number_of_microseconds() -> None:
    machine, loop = run([0] * 601, tick_hz=60)
    assert machine.begun[600] - machine.begun[0] == pytest.approx(10_000_000, abs=1)


def test_an_overrun_skips_ticks_and_does_not_make_up_for_them() -> None:
    machine, loop = run([3_000, 65_000, 3_000, 3_000])
    starts = [begun - 1_000_000 for begun in machine.begun]
    assert starts == [20_000, 40_000, 120_000, 140_000]         # 60, 80 and 100 were missed: that is three
    assert loop.skipped == 3


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=60))
def test_ticks_and_skipped_ticks_add_up_to_the_time(durations: list[int]) -> None:
    machine, loop = run(durations)
    assert all(later - earlier >= 20_000 or later >= earlier + took for earlier, later, took in zip(
        machine.begun, machine.begun[1:], durations, strict=False))
    passed = (machine.now - 1_000_000) // 20_000
    assert loop.ticks + loop.skipped == max(passed, len(durations) if loop.skipped == 0 else 0)
    # A tick never begins before its due time, and by less than one period after it.
    assert all((begun - 1_000_000) % 20_000 < 20_000 and begun >= 1_020_000 for begun in machine.begun)


def test_percentiles_are_of_the_newest_ticks() -> None:
    times = TickTimes(remembered=4)
    for took in (9_000, 9_000, 1_000, 2_000, 3_000, 4_000):
        times.add(took)
    assert times.milliseconds(0, 50, 100) == [1.0, 2.5, 4.0]
    times.clear()
    assert times.milliseconds(50) == [0.0]


def test_the_collector_rests_inside_and_wakes_again() -> None:
    with Frozen():
        assert not gc.isenabled() and gc.get_freeze_count() > 0
    assert gc.isenabled() and gc.get_freeze_count() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_to_stop_and_the_second_one_is_as_before(number: signal.Signals) -> None:
    seen: list[int] = []
    before = signal.signal(number, lambda *_: seen.append(1))
    try:
        with Stop() as stop:
            signal.raise_signal(number)
            assert stop() and not seen
            signal.raise_signal(number)
            assert seen
    finally:
        signal.signal(number, before)

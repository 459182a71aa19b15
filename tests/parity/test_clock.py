"""The compiled estimate of the peer's clock is the slow model's; and it finds the clock that made the samples."""
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.session.clock import PeerClock
from tests.reference import clock as reference

offsets = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-2_000_000, 2_000_000),
                    st.sampled_from([0, 2**64 - 1, 2**63, -(2**63)]))
gaps = st.sampled_from([0, 1, 999, 250_000, 5_000_000, 15_000_000, 2**33])


@given(st.sampled_from([0, 7, 2**50]), offsets,
       st.lists(st.tuples(st.integers(-3_000, 3_000), st.integers(0, 200_000), gaps), max_size=60))
def test_they_agree_after_any_pings(start_us: int, offset_us: int, pings: list[tuple[int, int, int]]) -> None:
    fast, slow, now_us = PeerClock(), reference.PeerClock(), start_us
    for step_us, rtt_us, gap_us in pings:
        now_us += gap_us
        offset_us += step_us
        fast.sample(offset_us, rtt_us, now_us)
        slow.sample(offset_us, rtt_us, now_us)
        assert (fast.offset_us, fast.drift_ppb) == (slow.offset_us, slow.drift_ppb)


@given(st.lists(st.tuples(offsets, st.sampled_from([0, 1, 2**20, 2**40, 2**63]), gaps), max_size=30))
def test_they_agree_after_any_nonsense(pings: list[tuple[int, int, int]]) -> None:
    fast, slow, now_us = PeerClock(), reference.PeerClock(), 0
    for offset_us, rtt_us, gap_us in pings:
        now_us += gap_us
        fast.sample(offset_us, rtt_us, now_us)
        slow.sample(offset_us, rtt_us, now_us)
        assert (fast.offset_us, fast.drift_ppb) == (slow.offset_us, slow.drift_ppb)
        assert -10_000_000 <= fast.drift_ppb <= 10_000_000


@pytest.mark.parametrize("drift_ppm", [-200, -30, 0, 30, 200])
def test_it_finds_offset_and_drift_through_jitter(drift_ppm: int) -> None:
    """Both ways take 20 ms and up to 30 ms more, each on its own: single samples are wrong by up to 15 ms."""
    luck, clock, worst_us = random.Random(4), PeerClock(), 0
    for now_us in range(0, 200_000_000, 5_000_000):
        there_us, back_us = (20_000 + int(30_000 * luck.random() ** 2) for _ in range(2))
        true_us = 123_456_789_000 + now_us * drift_ppm // 1_000_000
        clock.sample(true_us + (there_us - back_us) // 2, there_us + back_us, now_us)
        if now_us >= 60_000_000:
            worst_us = max(worst_us, abs(clock.offset_us - true_us))
    assert worst_us < 8_000
    assert abs(clock.drift_ppb / 1000 - drift_ppm) < 40


def test_a_clock_that_was_set_is_followed_and_not_taken_for_a_drift() -> None:
    clock = PeerClock()
    for i in range(40):
        clock.sample(1_000_000, 40_000, i * 5_000_000)
    for i in range(40, 48):
        clock.sample(3_600_000_000, 40_000, i * 5_000_000)
    assert clock.offset_us == 3_600_000_000 and clock.drift_ppb == 0

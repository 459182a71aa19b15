"""RFC 9002 by examples worked out by hand: round trips (5.3), losses (6.1), probe timeouts (6.2)."""
import pytest

from shadowland._core.session.recovery import Tracker

MS = 1000


def test_the_first_sample_is_taken_as_it_is() -> None:
    tracker = Tracker()
    tracker.sample(100 * MS, 20 * MS)                                   # the delay plays no part yet
    assert tracker.rtt_us == (100 * MS, 50 * MS, 100 * MS)


def test_later_samples_are_smoothed() -> None:
    tracker = Tracker()
    tracker.sample(100 * MS, 0)
    tracker.sample(200 * MS, 20 * MS)
    # adjusted 180; variance 3/4 * 50 + 1/4 * |100 - 180| = 57.5; smoothed 7/8 * 100 + 1/8 * 180 = 110
    assert tracker.rtt_us == (110 * MS, 57_500, 100 * MS)


def test_a_claimed_delay_never_pushes_a_sample_below_the_minimum() -> None:
    tracker = Tracker()
    tracker.sample(100 * MS, 0)
    tracker.sample(110 * MS, 25 * MS)                                   # 110 - 25 < 100: the delay is not believed
    assert tracker.rtt_us == (101_250, 40 * MS, 100 * MS)


def test_the_minimum_follows_downwards() -> None:
    tracker = Tracker()
    for rtt_us in (100 * MS, 60 * MS, 90 * MS):
        tracker.sample(rtt_us, 0)
    assert tracker.rtt_us[2] == 60 * MS


def test_the_probe_timeout() -> None:
    tracker = Tracker()
    assert tracker.pto_us(25 * MS) == 666 * MS                          # twice the initial round trip
    tracker.sample(100 * MS, 0)
    assert tracker.pto_us(25 * MS) == (100 + 4 * 50 + 25) * MS
    assert [tracker.pto_us(25 * MS, count) for count in (1, 2, 6, 60)] == [650 * MS, 1000 * MS, 1000 * MS, 1000 * MS]
    assert tracker.pto_us(1_200 * MS, 60) == tracker.pto_us(1_200 * MS) == 1_500 * MS       # never below its own


def test_a_steady_round_trip_keeps_the_granularity_as_its_spread() -> None:
    tracker = Tracker()
    for _ in range(200):
        tracker.sample(10 * MS, 0)
    assert tracker.pto_us(0) == 11 * MS


def test_three_later_ones_make_a_packet_lost() -> None:
    tracker = Tracker()
    for _ in range(5):
        tracker.sent(0)
    tracker.sample(100 * MS, 0)
    assert tracker.acked(2)
    assert tracker.lost(1) == []
    assert tracker.acked(3)
    assert tracker.lost(1) == [0]
    assert tracker.acked(4)
    assert tracker.lost(1) == [1]
    assert tracker.in_flight == (0, 0)


def test_nine_eighths_of_a_round_trip_make_a_packet_lost() -> None:
    tracker = Tracker()
    tracker.sent(1 * MS)
    tracker.sent(2 * MS)
    assert tracker.acked(1)
    tracker.sample(80 * MS, 0)
    assert tracker.lost(50 * MS) == []
    assert tracker.deadline_us(0) == (1 + 90) * MS                      # sent at 1, 9/8 of 80 later
    assert tracker.lost(91 * MS - 1) == []
    assert tracker.lost(91 * MS) == [0]
    assert tracker.deadline_us(0) == 0


def test_the_larger_of_smoothed_and_latest_round_trip_counts() -> None:
    tracker = Tracker()
    tracker.sent(0)
    tracker.sent(0)
    assert tracker.acked(1)
    tracker.sample(80 * MS, 0)
    tracker.sample(160 * MS, 0)
    tracker.lost(1)
    assert tracker.deadline_us(0) == 180 * MS


def test_nothing_is_lost_before_a_later_one_was_acknowledged() -> None:
    tracker = Tracker()
    for _ in range(10):
        tracker.sent(0)
    assert tracker.lost(10**9) == []
    assert tracker.acked(0)
    assert tracker.lost(10**9) == []


def test_what_the_ring_pushes_out_is_lost_and_known_no_more() -> None:
    tracker = Tracker()
    for _ in range(256 + 10):
        tracker.sent(0)
    assert tracker.in_flight == (25_600, 256)
    assert not tracker.acked(9) and tracker.acked(10)


def test_the_deadline_of_a_probe_counts_from_the_last_eliciting_packet() -> None:
    tracker = Tracker()
    assert tracker.deadline_us(0) == 0
    tracker.sent(5 * MS)
    tracker.sent(9 * MS, eliciting=False)
    assert tracker.deadline_us(25 * MS) == 5 * MS + 666 * MS


@pytest.mark.parametrize("gap", [1000, 100_000])
def test_a_silent_peer_makes_no_search_longer(gap: int) -> None:
    """After any number of packets without an answer only the ring is looked through."""
    tracker = Tracker()
    tracker.sent(0)
    assert tracker.acked(0)
    for _ in range(gap):
        tracker.sent(0)
    assert tracker.acked(gap)
    tracker.sample(1 * MS, 0)
    assert tracker.lost(10**9) == list(range(gap - 255, gap))

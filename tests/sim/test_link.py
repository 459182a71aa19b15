"""One direction of a link: distributions, bursts and queues are what they are said to be."""
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shadowland.errors import ConfigError
from shadowland.testing import Lane, Link, Network, Spread, normal, pareto, uniform
from shadowland.testing.link import HEADER_BYTES, Fate
from tests.sim.test_network import drain, send


def fates(link: Link, count: int = 20_000, *, size: int = 100, gap_us: int = 1_000_000, seed: str = "1") -> list[Fate]:
    """The first copies' fates, so far apart that none waits for another."""
    lane = Lane(seed)
    return [lane.fates(link, size, i * gap_us)[0] for i in range(count)]


@pytest.mark.parametrize(("spread", "oracle"), [
    (uniform(2_000, 50_000), stats.uniform(2_000, 48_000)),
    (normal(60_000, 8_000), stats.norm(60_000, 8_000)),
    (pareto(10_000, 2.5), stats.pareto(2.5, scale=10_000)),
])
@pytest.mark.parametrize("name", ["delay_us", "jitter_us"])
def test_delays_follow_their_distribution(spread: Spread, oracle: stats.rv_continuous, name: str) -> None:
    link = replace(Link(), **{name: spread})                    # type: ignore[arg-type]
    found = np.array([fate.time_us - i * 1_000_000 for i, fate in enumerate(fates(link))])
    assert stats.kstest(found, oracle.cdf).pvalue > 0.001
    assert found.mean() == pytest.approx(oracle.mean(), rel=0.02)
    for tail in (0.5, 0.9, 0.99):
        assert np.quantile(found, tail) == pytest.approx(oracle.ppf(tail), rel=0.08)


@given(st.floats(0, 1, exclude_max=True), st.sampled_from([uniform(5, 9), normal(100, 80), pareto(7, 0.3, 5000)]))
def test_no_draw_is_outside_its_range(luck: float, spread: Spread) -> None:
    low, high = {"uniform": (5, 9), "normal": (0, 900), "pareto": (7, 5000)}[spread.shape]
    assert low <= spread.draw_us(luck) <= high


def test_a_plain_jitter_is_even() -> None:
    found = [fate.time_us - i * 1_000_000 for i, fate in enumerate(fates(Link(jitter_us=9)))]
    assert stats.chisquare(np.bincount(found, minlength=10)).pvalue > 0.001


def runs(lost: list[bool]) -> list[int]:
    """Lengths of the bursts: how many True stand in a row."""
    return [len(run) for run in "".join(map("01".__getitem__, lost)).split("0") if run]


@pytest.mark.parametrize(("burst", "burst_end"), [(0.01, 0.25), (0.05, 0.1), (0.2, 1.0)])
def test_losses_come_in_bursts(burst: float, burst_end: float) -> None:
    lost = [fate.kind == "lost" for fate in fates(Link(burst=burst, burst_end=burst_end), 60_000)]
    assert np.mean(lost) == pytest.approx(burst / (burst + burst_end), rel=0.1)
    lengths = np.array(runs(lost))
    assert lengths.mean() == pytest.approx(1 / burst_end, rel=0.1)
    assert np.mean(lengths > 4) == pytest.approx((1 - burst_end) ** 4, abs=0.03)        # a geometric tail


def test_a_burst_may_spare_some_and_calm_may_lose_some() -> None:
    lost = [fate.kind == "lost" for fate in fates(Link(loss=0.02, burst=0.02, burst_end=0.1, burst_loss=0.5), 60_000)]
    share = 0.02 / 0.12
    assert np.mean(lost) == pytest.approx(share * 0.5 + (1 - share) * 0.02, rel=0.08)


TURNS: list[dict[str, object]] = [
    {"loss": 0.5}, {"corrupt": 0.5}, {"duplicate": 0.5}, {"reorder": 0.5}, {"burst": 0.2}, {"jitter_us": 500},
    {"delay_us": normal(500, 100)}, {"rate_bits_per_s": 10_000}, {"burst_loss": 0.3},
]


@pytest.mark.parametrize("turned", TURNS, ids=[next(iter(turn)) for turn in TURNS])
def test_turning_one_probability_leaves_the_luck_of_the_others(turned: dict[str, object]) -> None:
    """Of the datagrams that get through either way, each has the same delay and the same flipped bits."""
    base: dict[str, object] = {"loss": 0.2, "corrupt": 0.3, "jitter_us": 300}
    before, after = fates(Link(**base), 2000), fates(Link(**{**base, **turned}), 2000)        # type: ignore[arg-type]
    both = [(x, y) for x, y in zip(before, after, strict=True) if x.kind == y.kind == "delivered"]
    assert len(both) > 500
    if "corrupt" not in turned:
        assert all(x.flips == y.flips for x, y in both)
    if not {"jitter_us", "delay_us", "reorder", "rate_bits_per_s"} & turned.keys():
        assert all(x.time_us == y.time_us for x, y in both)
    if not {"loss", "burst"} & turned.keys():
        assert [x.kind == "lost" for x in before] == [y.kind == "lost" for y in after]


def test_a_line_sends_as_fast_as_it_can_and_no_faster() -> None:
    """Twice what the line can: it is busy all the time, the queue stands at its limit, the rest is dropped."""
    link = Link(rate_bits_per_s=2_000_000, buffer_us=200_000, delay_us=10_000)
    lane, size, step_us = Lane("1"), 972, 2_000                 # 1,000 bytes with headers: 4 ms each on the line
    found = [(i * step_us, lane.fates(link, size, i * step_us)[0]) for i in range(5_000)]
    through = [(sent, fate.time_us) for sent, fate in found if fate.kind == "delivered"]
    assert {fate.kind for _, fate in found} == {"delivered", "queue_full"}
    assert np.all(np.diff([arrived for _, arrived in through]) == 4_000)
    waits = [arrived - sent - 14_000 for sent, arrived in through]
    assert max(waits) <= 200_000 and np.mean(waits[1000:]) > 195_000
    assert 200_000 < lane.waiting_us(5_000 * step_us - step_us) <= 204_000
    assert lane.waiting_us(10 ** 9) == 0


def test_a_buffer_in_bytes_holds_that_many() -> None:
    link = Link(rate_bits_per_s=8_000, buffer_bytes=5_000)
    lane = Lane("1")
    kinds = [lane.fates(link, 1_000 - HEADER_BYTES, 0)[0].kind for _ in range(8)]
    assert kinds == ["delivered"] * 5 + ["queue_full"] * 3
    assert Lane("1").fates(link, 60_000, 0)[0].kind == "delivered"      # an empty line takes anything
    assert lane.fates(link, 1_000 - HEADER_BYTES, 1_000_000)[0].time_us == 6_000_000


def test_without_a_buffer_the_line_takes_one_at_a_time() -> None:
    link, lane = Link(rate_bits_per_s=8_000_000, buffer_us=0), Lane("1")
    kinds = [lane.fates(link, 100 - HEADER_BYTES, now)[0].kind for now in (0, 0, 99, 100, 199, 200)]
    assert kinds == ["delivered", "queue_full", "queue_full", "delivered", "queue_full", "delivered"]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 1_400)), max_size=200), st.integers(8_000, 10_000_000),
       st.integers(0, 300_000))
def test_the_queue_is_that_of_a_plain_model(sends: list[tuple[int, int]], rate: int, buffer_us: int) -> None:
    """Every datagram waits for those taken before it, none longer than the buffer; the oracle walks the queue."""
    lane, link, now_us, ends = Lane("1"), Link(rate_bits_per_s=rate, buffer_us=buffer_us), 0, [0.0]
    for gap_us, size in sends:
        now_us += gap_us
        fate = lane.fates(link, size, now_us)[0]
        begin = max(ends[-1], now_us)
        assert (fate.kind == "delivered") == (begin - now_us <= buffer_us)
        if fate.kind == "delivered":
            ends.append(begin + (size + HEADER_BYTES) * 8e6 / rate)
            assert abs(fate.time_us - ends[-1]) <= 1 + len(ends) * 1e-3


def test_the_network_counts_what_a_queue_drops() -> None:
    net = Network(link=Link(rate_bits_per_s=8_000_000, buffer_bytes=500))
    a, b = net.attach(), net.attach()
    send(a, b.local, *[bytes(100 - HEADER_BYTES)] * 9)
    assert net.counters["queue_full"] == 4 and net.lane(a, b).waiting_us(net.now_us) == 500
    assert net.lane(b, a).waiting_us(net.now_us) == 0
    net.advance(500)
    assert len(drain(b)) == 5


@pytest.mark.parametrize("wrong", [
    {"burst": 1.5}, {"burst_loss": -1}, {"burst": 0.1, "burst_end": 0}, {"rate_bits_per_s": -1}, {"buffer_us": -1},
    {"buffer_bytes": -1}, {"jitter_us": -1},
], ids=str)
def test_wrong_values_name_themselves(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=list(wrong)[-1]):
        Link(**wrong)                                           # type: ignore[arg-type]


@pytest.mark.parametrize("make", [
    lambda: uniform(9, 5), lambda: uniform(-1, 5), lambda: normal(-1, 5), lambda: normal(5, -1), lambda: pareto(1, 0.0),
    lambda: pareto(10, 2.0, 9),
])
def test_wrong_distributions_say_what_to_give(make: Callable[[], Spread]) -> None:
    with pytest.raises(ConfigError, match="give|negative"):
        make()

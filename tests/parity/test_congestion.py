"""The compiled rate control and the slow model agree on everything after any history; and what no history can break."""
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.session.congestion import Estimator
from tests.reference import congestion as reference

NAMES = ("rate", "credit", "refilled_us", "drain_until_us", "round_sequence", "round_started_us", "round_sent",
         "round_acked", "standing_us", "group_us", "crest_us", "delivered", "knee", "clean_us", "queue_us", "base_us",
         "base_since_us",
         "loss_since_us", "lost", "acked", "jitter16_us", "samples", "velocity", "stubborn", "futile", "futile_loss",
         "startup", "settling", "warned", "braked", "wary")

sizes = st.sampled_from([0, 1, 60, 1150, 1200, 1500])
samples = st.sampled_from([0, 1, 10_000, 12_000, 14_999, 15_000, 15_001, 20_000, 29_999, 30_000, 30_001, 60_000,
                           70_001, 250_000, 3_000_000, 2**40])
spans = st.sampled_from([0, 1, 1000, 8_000, 49_999, 50_000, 200_000, 500_000, 999_999, 1_000_000, 2_000_000, 10_000_000,
                         20_000_000])
steps = st.lists(st.one_of(
    st.tuples(st.just("send"), sizes, st.integers(1, 300)),
    st.tuples(st.just("probe"), sizes, st.integers(1, 30)),
    st.tuples(st.just("ack"), sizes, st.integers(1, 40)),
    st.tuples(st.just("lose"), st.integers(1, 30)),
    st.tuples(st.just("late"), st.integers(1, 3)),
    st.tuples(st.just("sample"), samples, st.integers(1, 6)),
    st.tuples(st.just("look"), st.integers(0, 3), st.sampled_from([0, 1, 30_000, 2**24, 2**40])),
    st.tuples(st.just("wait"), spans),
    st.tuples(st.just("back"), st.integers(1, 30_000)),       # a packet's arrival is earlier than the last call
    st.tuples(st.just("round"), samples, st.integers(0, 3)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("collapse"), st.sampled_from([0, 2_000, 48_000, 2**33])),
), max_size=60)


class Twins:
    """Both, told the same."""

    def __init__(self, burst_us: int, now_us: int) -> None:
        self.now_us, self.next = now_us, 0
        self.slow = reference.Congestion(burst_us, now_us)
        self.fast = Estimator(burst_us, now_us)

    def send(self, size: int, count: int) -> None:
        for _ in range(count):
            self.next += 1
            for one in (self.slow, self.fast):
                one.refill(self.now_us)
                one.spend(size)

    def probe(self, size: int, count: int) -> None:
        for _ in range(count):
            self.next += 1
            for one in (self.slow, self.fast):
                one.probe(size)

    def ack(self, size: int, count: int) -> None:
        for _ in range(count):
            self.slow.note_acked(size)
            self.fast.acked(size)

    def lose(self, count: int) -> None:
        for _ in range(count):
            self.slow.note_lost()
            self.fast.lost()

    def late(self, count: int) -> None:
        for _ in range(count):
            self.slow.note_late()
            self.fast.late()

    def sample(self, path_us: int, count: int) -> None:
        for one in (self.slow, self.fast):
            for _ in range(count):
                one.sample(path_us, self.now_us)

    def look(self, behind: int, in_flight: int = 0) -> None:
        if self.next > behind:
            for one in (self.slow, self.fast):
                one.look(self.next - 1 - behind, self.next, in_flight, self.now_us)

    def wait(self, us: int) -> None:
        self.now_us += us

    def back(self, us: int) -> None:
        self.now_us = max(self.now_us - us, 0)

    def round(self, path_us: int, loads: int) -> None:
        """A whole round: sent at `loads` halves of the rate, all of it acknowledged with the same delay."""
        for _ in range(6):
            self.send(self.slow.rate * loads // 240, 1)
            self.wait(10_000)
            self.ack(self.slow.rate * loads // 240, 1)
            self.sample(path_us, 1)
            self.look(0)

    def collapse(self, least: int) -> None:
        for one in (self.slow, self.fast):
            one.collapse(least, self.now_us)

    def restart(self) -> None:
        for one in (self.slow, self.fast):
            one.restart(self.next, self.now_us)

    def agree(self) -> None:
        found: dict[str, Any] = dict(self.fast.values)
        found.update({name: bool(found[name]) for name in ("startup", "settling", "warned", "braked", "wary")})
        assert {name: found[name] for name in NAMES} == {name: getattr(self.slow, name) for name in NAMES}
        assert self.fast.due_us(self.now_us) == self.slow.due_us(self.now_us)


@given(st.sampled_from([0, 20_000, 125_000]), st.sampled_from([0, 1_000_000, 2**50]), steps)
def test_they_agree_after_any_history(burst_us: int, now_us: int, history: list[tuple[Any, ...]]) -> None:
    twins = Twins(burst_us, now_us)
    for name, *arguments in history:
        getattr(twins, name)(*arguments)
        twins.agree()
        slow = twins.slow
        assert reference.FLOOR <= slow.rate <= reference.MOST
        assert -(2**63) < slow.credit <= max(slow.credit, reference.FIRST_BURST * reference.MILLION) < 2**63
        assert 0 <= slow.queue_us < 2**63 and min(slow.lost) >= 0


@given(st.lists(st.tuples(st.sampled_from([10_000, 15_000, 31_000, 80_000]), st.integers(0, 3)), max_size=40))
def test_they_agree_round_after_round(rounds: list[tuple[int, int]]) -> None:
    """Histories that reach decisions: growth, queues that drain and queues that do not."""
    twins = Twins(20_000, 5_000_000)
    for path_us, loads in rounds:
        twins.round(path_us, loads)
        twins.agree()


@given(st.lists(st.tuples(st.integers(1, 1500), st.integers(0, 40_000)), min_size=1, max_size=200))
def test_no_more_leaves_than_the_rate_and_one_burst(packets: list[tuple[int, int]]) -> None:
    """A sender that waits for credit sends at most rate × time, a burst and the one packet that ends it."""
    estimator, now_us = Estimator(20_000, 0), 0
    sent = 0
    for size, gap_us in packets:
        now_us += gap_us
        estimator.refill(now_us)
        if estimator.due_us(now_us) <= now_us:
            estimator.spend(size)
            sent += size
    assert sent <= reference.FIRST * now_us / 1e6 + reference.FIRST_BURST + 1500


@given(st.integers(1, 1500), st.integers(1, 60))
def test_credit_comes_when_it_is_said_to_come(size: int, count: int) -> None:
    estimator = Estimator(20_000, 7)
    for _ in range(count):
        estimator.spend(size)
    due_us = estimator.due_us(7)
    if due_us > 7:
        estimator.refill(due_us - 1)
        assert int(estimator.values["credit"]) <= 0  # type: ignore[arg-type]
    estimator.refill(due_us)
    assert int(estimator.values["credit"]) > 0  # type: ignore[arg-type]

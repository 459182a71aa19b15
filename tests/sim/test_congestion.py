"""A session that sends as much as it may uses its path, leaves its queue short, and shares it with others.

Twenty virtual seconds after the first ten; benchmarks/congestion.py does the same over a minute, and prints a table.
"""
from collections.abc import Callable

import pytest

from shadowland.errors import CapacityError
from shadowland.testing import Link
from tests.reference.congestion import FIRST, FLOOR
from tests.sim.bottleneck import BULK, NOISE, POLL_US, RELIABLE, SECOND, SNAPSHOT, TICK_US, Line, bulk, snapshots

MBIT = 1_000_000
SETTLED = 10
RTTS = pytest.mark.parametrize("rtt_ms", [10, 50, 150])


def line(rtt_ms: int = 50, rate: int = 2 * MBIT, *, buffer_ms: int = 200, loss: float = 0.0, sessions: int = 1,
         seed: int = 1) -> Line:
    delay_us = rtt_ms * 500
    forward = Link(delay_us=delay_us, rate_bits_per_s=rate, buffer_us=buffer_ms * 1000, loss=loss)
    return Line(forward, Link(delay_us=delay_us), seed=seed, sessions=sessions)


def both(one: Line) -> None:
    bulk(one)
    snapshots(one)


def steady(size: int, ticks: int = 1) -> Callable[[Line], None]:
    """A load of one reliable message of `size` bytes every `ticks` ticks: an application that asks for less."""
    def load(one: Line) -> None:
        if one.network.now_us // TICK_US % ticks == 0:
            for handle in one.sessions:
                one.server.endpoint.send(handle, RELIABLE, 9, NOISE[:size])
    return load


def rates(one: Line) -> list[int]:
    return one.stats("rate_bytes_per_s")


# What is promised ---------------------------------------------------------------------------------------------------

@RTTS
@pytest.mark.parametrize("load", [bulk, snapshots, both])
def test_a_saturating_session_uses_the_line_and_leaves_its_queue_short(
        rtt_ms: int, load: Callable[[Line], object]) -> None:
    one = line(rtt_ms)
    one.run(30 * SECOND, load)
    assert one.queue_ms(SETTLED, 30) < 50
    assert one.use(SETTLED, 30) >= 0.85


@pytest.mark.parametrize(("mbit", "rtt_ms", "least"), [(2, 10, 0.88), (2, 50, 0.9), (8, 10, 0.88), (8, 50, 0.88),
                                                       (20, 50, 0.85)])
def test_a_line_is_found_within_three_seconds_and_its_queue_is_drained_at_once(
        mbit: int, rtt_ms: int, least: float) -> None:
    one = line(rtt_ms, mbit * MBIT, buffer_ms=300)
    one.run(3 * SECOND, bulk)
    assert one.use(0, 3) >= least
    assert one.queue_ms(0, 3, 0.5) < 25 and one.queue_ms(1, 3) < 50


def test_jitter_at_the_beginning_brakes_but_does_not_end_it() -> None:
    one = line(50, 8 * MBIT)
    one.back(Link(delay_us=25_000, jitter_us=25_000))
    one.run(3 * SECOND, bulk)
    assert one.use(0, 3) >= 0.75


@RTTS
def test_two_sessions_share_the_line(rtt_ms: int) -> None:
    one = line(rtt_ms, sessions=2)
    one.run(30 * SECOND, bulk)
    assert one.queue_ms(SETTLED, 30) < 50
    assert one.use(SETTLED, 30) >= 0.85
    assert one.jain(SETTLED, 30) >= 0.95


@RTTS
def test_a_latecomer_gets_its_share_and_no_more(rtt_ms: int) -> None:
    """It meets a path that another fills: if that one never emptied it, the latecomer would take its queue for none."""
    one = line(rtt_ms)
    one.run(15 * SECOND, bulk)
    one.join()
    began = one.seconds
    one.run(30 * SECOND, bulk)
    assert one.jain(began + SETTLED, one.seconds) >= 0.95
    assert one.queue_ms(began + SETTLED, one.seconds) < 50
    assert one.use(began + SETTLED, one.seconds) >= 0.85


def test_who_is_left_alone_takes_the_whole_line() -> None:
    one = line(sessions=2)
    one.run(10 * SECOND, bulk)
    leaver = one.sessions[1]
    one.server.endpoint.close(leaver, 1, one.network.now_us)

    def rest(line: Line) -> None:
        bulk_one(line, line.sessions[0])

    one.run(20 * SECOND, rest)
    assert one.use(20, 30) >= 0.85


def bulk_one(one: Line, handle: int) -> None:
    try:
        while True:
            one.server.endpoint.send(handle, RELIABLE, 9, BULK)
    except CapacityError:
        pass


# Loss ---------------------------------------------------------------------------------------------------------------

def test_a_little_loss_without_delay_does_not_slow_it() -> None:
    one = line(50, loss=0.02)
    one.run(30 * SECOND, bulk)
    assert one.use(SETTLED, 30) >= 0.85


@pytest.mark.parametrize(("loss", "least"), [(0.05, 0.8), (0.08, 0.7), (0.1, 0.6), (0.12, 0.5)])
def test_one_in_ten_lost_without_delay_leaves_most_of_the_line(loss: float, least: float) -> None:
    one = line(50, 8 * MBIT, buffer_ms=100, loss=loss)
    one.run(30 * SECOND, bulk)
    assert one.use(SETTLED, 30) >= least
    assert one.queue_ms(SETTLED, 30) < 50


def test_much_loss_slows_it_until_slowing_turns_out_to_be_in_vain() -> None:
    """Three in ten are lost, however slowly one sends: much is given up for it, but not all, and no more later."""
    one = line(50, 20 * MBIT, loss=0.3)
    for _ in range(5):
        one.run(10 * SECOND, bulk)
        assert 8 * FLOOR < rates(one)[0] < 20 * MBIT // 8 // 4


def test_a_line_without_a_queue_is_found_by_its_losses() -> None:
    """A policer: what is too much is dropped, and nothing is delayed."""
    one = line(50, buffer_ms=0)
    one.run(30 * SECOND, bulk)
    assert one.use(SETTLED, 30) >= 0.6            # of a line where each packet has to meet a gap
    sent = one.between(SETTLED, 30)
    assert sum(item.queue_us < 0 for item in sent) < 0.15 * len(sent)


# Change -------------------------------------------------------------------------------------------------------------

@RTTS
def test_it_follows_a_line_that_becomes_slower_and_faster(rtt_ms: int) -> None:
    one = line(rtt_ms)
    one.run(10 * SECOND, bulk)
    slow, fast = line(rtt_ms, MBIT // 2).link, line(rtt_ms, 4 * MBIT).link
    one.forward(slow)
    one.run(20 * SECOND, bulk)
    assert one.use(15, 30) >= 0.85
    assert one.queue_ms(15, 30) < (70 if rtt_ms < 150 else 90)      # three packets take 60 ms here
    one.forward(fast)
    one.run(20 * SECOND, bulk)
    assert one.use(40, 50) >= 0.85


def test_a_path_that_becomes_longer_is_not_taken_for_a_queue_for_ever() -> None:
    one = line(20)
    one.run(10 * SECOND, bulk)
    longer = Link(delay_us=100_000, rate_bits_per_s=2 * MBIT, buffer_us=200_000)
    one.forward(longer)
    one.run(20 * SECOND, bulk)
    assert one.use(20, 30) >= 0.85


@pytest.mark.parametrize("jitter_us", [10_000, 25_000])
def test_acknowledgments_that_come_late_and_unevenly_do_not_slow_it(jitter_us: int) -> None:
    one = line(50)
    one.back(Link(delay_us=100_000, jitter_us=jitter_us))
    one.run(30 * SECOND, bulk)
    assert one.use(SETTLED, 30) >= 0.75
    assert one.queue_ms(SETTLED, 30) < 60


def test_after_silence_it_begins_anew_and_comes_back() -> None:
    """RFC 9002 7.6: all is lost for 3 s. In that time nearly nothing is sent, and afterwards the line is used."""
    one = line(50)
    one.run(10 * SECOND, bulk)
    one.forward(Link(loss=1.0))
    one.run(3 * SECOND, bulk)
    assert sum(item.size for item in one.between(11, 13)) < 16_000
    one.forward(line(50).link)
    one.run(12 * SECOND, bulk)
    assert one.use(20, 25) >= 0.85


# Limits -------------------------------------------------------------------------------------------------------------

def test_it_never_sends_slower_than_sixteen_kilobits() -> None:
    """A line of half that: the rate stays where it is, and the reliable data arrives."""
    one = line(50, 8_000, buffer_ms=1_000)
    one.run(40 * SECOND, steady(100, 60))
    assert rates(one)[0] >= FLOOR
    assert len(one.client.payloads(one.pair.handle, RELIABLE)) > 20


def test_who_asks_for_less_does_not_grow() -> None:
    """A rate that nobody uses would be a guess: 30 s at a fifth of it leave it where it began."""
    one = line(50, 20 * MBIT)
    one.run(30 * SECOND, steady(300))
    assert rates(one) == [FIRST]


def test_bursts_do_not_make_it_grow_either() -> None:
    one = line(50, 20 * MBIT)
    one.run(30 * SECOND, steady(6_000, 30))
    assert rates(one)[0] <= FIRST * 9 // 4          # two rounds that one burst filled, before the burst was over


def test_reliable_data_is_spread_over_the_tick() -> None:
    """Between ticks, each packet takes its turn: never more than a burst at one time once the first is out."""
    one = line(50)
    one.run(15 * SECOND, bulk)
    at: dict[int, int] = {}
    for item in one.between(SETTLED, 15):
        at[item.time_us] = at.get(item.time_us, 0) + item.size
    assert max(at.values()) < 4 * 1228
    assert len(at) > 0.7 * len(one.between(SETTLED, 15))


def test_snapshots_and_reliable_data_get_a_quarter_each_when_both_want_all() -> None:
    one = line(50)
    one.run(SETTLED * SECOND, both)
    marks = taken(one)
    one.run(20 * SECOND, both)
    reliable, seen = (now - before for now, before in zip(taken(one), marks, strict=True))
    assert min(reliable, seen) > 0.25 * 0.85 * 2 * MBIT / 8 * 20


def taken(one: Line) -> tuple[int, int]:
    """Bytes of reliable messages and of snapshots that the client has."""
    messages = one.client.messages[one.pair.handle]
    sizes = [sum(len(message.payload) for message in messages if message.channel == channel)
             for channel in (RELIABLE, SNAPSHOT)]
    return sizes[0], sizes[1]


def test_on_a_slow_line_both_still_get_something() -> None:
    """40 kbit/s are 80 bytes a tick: a share that is too little for a snapshot is saved up until it is not."""
    one = line(50, 40_000, buffer_ms=500)
    one.run(20 * SECOND, both)
    marks = taken(one)
    one.run(40 * SECOND, both)
    reliable, seen = (now - before for now, before in zip(taken(one), marks, strict=True))
    assert reliable >= 60_000 and seen >= 20_000    # of 200,000 that the line carries in that time


def test_to_a_silent_peer_four_snapshots_a_second() -> None:
    one = line(50)
    one.run(5 * SECOND, snapshots)
    one.forward(Link(loss=1.0))
    one.run(5 * SECOND, snapshots)
    sent = one.between(6, 10)
    assert 12 <= len([item for item in sent if item.size > 500]) <= 20


def test_inputs_leave_at_once_although_the_line_is_full() -> None:
    """A client that uploads says its inputs in every poll: they borrow."""
    one = line(50)
    one.back(Link(delay_us=25_000, rate_bits_per_s=MBIT // 2, buffer_us=200_000))
    newest: list[int] = []

    def play(one: Line) -> None:
        try:
            one.client.endpoint.send(one.pair.handle, RELIABLE, 9, BULK)
        except CapacityError:
            pass
        one.client.endpoint.send(one.pair.handle, 4, 3, len(newest).to_bytes(2, "little"))
        newest.append(len(one.server.payloads(one.sessions[0], 4)))

    one.run(10 * SECOND, play)
    # 625 inputs; what is not there at the end is under way or waits in the buffer of the tick
    assert newest[-1] > 0.9 * len(newest)


def test_a_peer_that_claims_to_hold_back_its_answers_gains_nothing() -> None:
    """Every second round trip is read as if the client had waited 25 ms longer: the queue is at most that longer."""
    one = line(50)
    one.run(30 * SECOND, bulk)
    honest = one.queue_ms(SETTLED, 30)
    liar = line(50)
    liar.client.endpoint = _Liar(liar.client.endpoint)  # type: ignore[assignment]
    liar.run(30 * SECOND, bulk)
    assert liar.queue_ms(SETTLED, 30) <= honest + 25 + 5


class _Liar:
    """An endpoint that is told of every datagram 25 ms too early, and so claims to have waited since."""

    def __init__(self, endpoint) -> None:  # type: ignore[no-untyped-def]
        self._endpoint = endpoint
        self._shy = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._endpoint, name)

    def inbound(self, batch, replies, now_us: int) -> int:  # type: ignore[no-untyped-def]
        shifted = type(batch)(max(1, batch.count))
        for i in range(batch.count):
            shifted.append(batch[i], batch.remote(i), batch.local(i), now_us - (25_000 if i % 2 else 0))
        return int(self._endpoint.inbound(shifted, replies, now_us))


def test_nothing_here_depends_on_the_poll_of_the_client() -> None:
    assert TICK_US % POLL_US == 0


def test_what_was_only_overtaken_is_no_loss() -> None:
    """A fifth of the packets comes 40 ms late, after others that left later: each counts as lost until it arrives."""
    one = Line(Link(delay_us=25_000, reorder=0.2, reorder_us=40_000), Link(delay_us=25_000))
    one.run(5 * SECOND, steady(8_000))
    assert rates(one)[0] > 2 * FIRST


def test_reliable_data_has_its_turn_whatever_else_leaves() -> None:
    """Unreliable messages leave at once and into debt; without its quarter of the rate
    reliable data would wait for ever."""
    def flood(one: Line) -> None:
        for handle in one.sessions:
            while True:
                try:
                    one.server.endpoint.send(handle, 0, 9, NOISE[:900])
                except CapacityError:
                    break
            bulk_one(one, handle)

    one = line()
    one.run(10 * SECOND, flood)
    heard = [len(message.payload) for messages in one.client.messages.values() for message in messages
             if message.channel == RELIABLE]
    others = [len(message.payload) for messages in one.client.messages.values() for message in messages
              if message.channel == 0]
    assert sum(heard) > 0.1 * (sum(heard) + sum(others))         # the flood overruns the line's buffer, and takes some

"""The MTU of a session packet by packet: what a probe looks like, what its answer is worth, what stays short."""
import random

import pytest

from shadowland._core.base.status import DropReason
from shadowland._core.endpoint.endpoint import Endpoint
from tests.reference import protocol
from tests.unit.desk import CLIENT, IDENTITY, JOINED, SECOND, STRANGER, Desk, joined, reference_client
from tests.unit.test_paths import challenges, hello, respond

NONE = DropReason.NONE
Live = tuple[Desk, protocol.Sealed]


@pytest.fixture
def live() -> Live:
    """A session whose server looks for up to 1,472 bytes."""
    desk = Desk(Endpoint("server", capacity=4, seed=b"s" * 32, identity_secret=IDENTITY, schema_hash=7, mtu_limit=1472,
                         ping_us=100 * SECOND))             # the first after five
    return desk, joined(desk, reference_client())


def handle(desk: Desk) -> int:
    return next(handle for kind, handle, _ in desk.events if kind == JOINED)


def mtu(desk: Desk) -> int:
    return int(desk.endpoint.stats(handle(desk))["mtu"][0])


def next_probe(desk: Desk) -> bytes:
    """The first datagram longer than the MTU, waited for."""
    for _ in range(300):
        long = [datagram for datagram in desk.outbound() if len(datagram) > mtu(desk)]
        desk.now_us += 10_000
        if long:
            assert len(long) == 1
            return long[0]
    raise AssertionError("no probe came")


def climbed(desk: Desk, session: protocol.Sealed) -> None:
    """Every probe is answered until there are no more."""
    for size in (1232, 1350, 1400, 1452, 1472):
        probe = next_probe(desk)
        assert len(probe) == size
        session.receive(probe)
        assert desk.give(session.packet()) == (NONE, [])
        assert mtu(desk) == size


def test_a_probe_is_a_ping_and_padding_that_acknowledges_nothing(live: Live) -> None:
    desk, session = live
    desk.give(hello(session))                                           # waits to be acknowledged
    began = desk.now_us
    probe = next_probe(desk)
    assert 900_000 < desk.now_us - began < 1_100_000 and len(probe) == 1232
    opened = session.open(probe)
    assert opened is not None
    body = opened[1]
    assert body[:4] == bytes([0, 10, protocol.CONTROL, protocol.PING]) and not any(body[12:])


def test_one_probe_is_in_flight_and_three_of_a_size_are_sent(live: Live) -> None:
    desk, session = live
    sizes, times = [], []
    for _ in range(800):
        for datagram in desk.outbound():
            if len(datagram) > 1200:
                sizes.append(len(datagram))
                times.append(desk.now_us)
        desk.give(hello(session))                                       # heard, but the probe is never acknowledged
        desk.now_us += 10_000
    assert sizes == [1232] * 3 and mtu(desk) == 1200
    assert all(later - earlier >= SECOND for earlier, later in zip(times, times[1:], strict=False))


def test_the_search_climbs_to_its_limit_and_a_probe_answered_late_counts(live: Live) -> None:
    desk, session = live
    first = next_probe(desk)
    desk.now_us += 1_500_000
    desk.give(hello(session))
    assert len(next_probe(desk)) == 1232                                # given up, sent again
    session.receive(first)
    desk.give(session.packet())
    assert mtu(desk) == 1232
    for size in (1350, 1400, 1452, 1472):
        probe = next_probe(desk)
        assert len(probe) == size
        session.receive(probe)
        desk.give(session.packet())
    assert mtu(desk) == 1472


def test_a_probe_of_the_old_path_proves_nothing_of_the_new_one(live: Live) -> None:
    desk, session = live
    probe = next_probe(desk)
    desk.give(hello(session), STRANGER)
    respond(desk, session, challenges(desk, session)[STRANGER], STRANGER)
    assert desk.endpoint.remote(handle(desk)) == STRANGER
    session.receive(probe)
    desk.give(session.packet(), STRANGER)
    assert mtu(desk) == 1200


def test_frames_are_cut_for_the_lowest_mtu_whatever_the_path_carries_now(live: Live) -> None:
    """What is queued under a long MTU must fit when the MTU has fallen before it leaves."""
    desk, session = live
    climbed(desk, session)
    desk.endpoint.send(handle(desk), 0, 1, random.Random(1).randbytes(1300))
    frames = [frame for datagram in desk.outbound() for frame in session.receive(datagram)]
    parts = [frame for frame in frames if frame[0] == protocol.FRAGMENT]
    assert [len(part) for part in parts] == [5 + 960, 5 + 341]


def test_a_higher_mtu_lets_more_frames_share_a_packet(live: Live) -> None:
    desk, session = live
    handle_ = handle(desk)
    lengths = []
    for _ in range(2):
        for _part in range(2):
            desk.endpoint.send(handle_, 0, 1, random.Random(2).randbytes(600))
        datagrams = desk.outbound()
        lengths.append(len(datagrams))
        for datagram in datagrams:
            session.receive(datagram)
        desk.give(session.packet())
        if mtu(desk) == 1200:
            climbed(desk, session)
    assert lengths == [2, 1]


def test_what_a_probe_timeout_sends_is_short_enough_for_every_path(live: Live) -> None:
    desk, session = live
    climbed(desk, session)
    for _ in range(8):
        desk.endpoint.send(handle(desk), 1, 1, random.Random(3).randbytes(600))
    assert max(map(len, desk.outbound())) > 1150                        # nothing is known of a black hole yet
    later = desk.wait(3 * SECOND)
    assert len(later) >= 3
    # A probe timeout frees the oldest units; the first packet after it is the one that must get through.
    assert len(later[0]) <= 1150


def test_the_peer_is_reached_at_its_address_whatever_is_probed(live: Live) -> None:
    desk, session = live
    next_probe(desk)
    assert all(desk.out.remote(i) == CLIENT for i in range(len(desk.out)))

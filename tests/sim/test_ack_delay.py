"""Nothing goes again because its acknowledgment waited for a tick: a peer promises how long that is, and keeps it."""
import random

import pytest

from shadowland._core.base.status import DropReason
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland.errors import UsageError
from shadowland.testing import Link
from tests.sim.peers import Pair, Peer, new_client, new_server

RELIABLE, KIND = 1, 9
HZ = 30
TICK_US = 1_000_000 // HZ
STEP_US = 100
LATE_US = 6_000                     # a loop on a busy machine


class Ticking(Pair):
    """Both sides step 30 times a second, each in its own time and up to LATE_US late; the client `phase_us` after the
    server. Between its steps the server takes packets in as they come."""

    def __init__(self, phase_us: int, client_hz: int = HZ) -> None:
        super().__init__(1, Link(delay_us=200), server=new_server(tick_hz=HZ), client=new_client(tick_hz=client_hz))
        self.join()
        self.phase_us = phase_us
        self._late = random.Random(phase_us)

    def ticks(self, count: int, server: bool = False, client: bool = False, every: int = 1) -> None:
        """`count` ticks of both; in each `every`-th of them the named sides send a reliable message."""
        due: list[tuple[int, int, Peer, int]] = []
        for i in range(count):
            for peer, handle, talks, at in ((self.server, self.session, server, i * TICK_US),
                                            (self.client, self.handle, client, i * TICK_US + self.phase_us)):
                due.append((at + self._late.randrange(LATE_US), i, peer, handle if talks and i % every == 0 else -1))
        began_us = self.network.now_us
        for at_us, _, peer, handle in sorted(due, key=lambda one: one[0]):
            while self.network.now_us < began_us + at_us:
                self.network.advance(min(STEP_US, began_us + at_us - self.network.now_us))
                self._take()
            if handle >= 0:
                peer.endpoint.send(handle, RELIABLE, KIND, b"said once")
            peer.step()

    def _take(self) -> None:
        server = self.server
        while server.port.receive(server.incoming, self.network.now_us):
            server.endpoint.inbound(server.incoming, server.replies, self.network.now_us)

    @property
    def repeated(self) -> tuple[int, int]:
        """Reliable messages that came twice to (server, client)."""
        server, client = (int(peer.endpoint.message_drops[DropReason.DUPLICATE]) for peer in (self.server, self.client))
        return server, client


PHASES = pytest.mark.parametrize("phase_us", range(1_000, TICK_US, 4_000))


@PHASES
def test_sides_that_talk_in_every_tick_say_nothing_twice(phase_us: int) -> None:
    pair = Ticking(phase_us)
    pair.ticks(90, server=True, client=True)
    assert pair.repeated == (0, 0)


@PHASES
def test_who_is_not_answered_at_all_says_nothing_twice(phase_us: int) -> None:
    """The acknowledgment is a packet of its own, and leaves with the last tick before it would be overdue."""
    pair = Ticking(phase_us)
    pair.ticks(150, client=True, every=5)
    pair.ticks(150, server=True, every=5)
    assert pair.repeated == (0, 0)


def test_a_client_that_promises_more_than_it_keeps_hears_things_twice() -> None:
    """The invariant above is the promise's doing: 25 ms, as who ticks 60 times a second promises, are too few here."""
    pairs = [Ticking(phase_us, client_hz=60) for phase_us in range(1_000, TICK_US, 4_000)]
    for pair in pairs:
        pair.ticks(90, server=True, client=True)
    assert sum(pair.repeated[1] for pair in pairs) > 0


def test_what_is_lost_at_the_end_goes_again_after_the_promised_delay_and_no_later() -> None:
    """A promise of 42 ms: the round trip, its spread, and that; looked at in the tick after."""
    pair = Ticking(10_000)
    pair.ticks(60, server=True, client=True)
    pair.link(Link(loss=1.0))
    pair.ticks(1, server=True)
    pair.link(Link(delay_us=200))
    before, heard = pair.network.now_us, len(pair.client.payloads(pair.handle, RELIABLE))
    while len(pair.client.payloads(pair.handle, RELIABLE)) == heard:
        pair.ticks(1)
    assert pair.network.now_us - before < 4 * TICK_US
    assert pair.repeated == (0, 0)


@pytest.mark.parametrize(("tick_hz", "us"), [(1, 255_000), (4, 255_000), (5, 251_000), (10, 126_000), (30, 42_000),
                                             (50, 26_000), (60, 25_000), (1_000, 25_000)])
def test_five_quarters_of_a_tick_are_promised(tick_hz: int, us: int) -> None:
    pair = Pair(1, Link(delay_us=200), client=new_client(tick_hz=tick_hz)).join()
    promised = pair.server.endpoint.stats(pair.session)["peer_ack_delay_us"]
    assert promised.tolist() == [us]


@pytest.mark.parametrize("us", [-1, 255_001, 1 << 64])
def test_a_delay_that_cannot_be_told_is_refused(us: int) -> None:
    with pytest.raises(UsageError, match="max_ack_delay_us"):
        Endpoint("client", capacity=1, seed=bytes(32), max_ack_delay_us=us)

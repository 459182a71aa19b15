"""The path's MTU: found upward by probes that cost nobody anything, left where long datagrams vanish."""
import random

import pytest

from shadowland.errors import UsageError
from shadowland.testing import DatagramBatch, Link
from tests.sim.peers import LEFT, TICK_US, Pair, new_client, new_server
from tests.sim.test_delivery import RELIABLE, UNRELIABLE, numbered, push
from tests.sim.test_paths import ELSEWHERE, OTHER_PORT, rebind, say

DELAY_US = 20_000


def mtus(pair: Pair) -> tuple[int, int]:
    """(of the client's session, of the server's)."""
    return (int(pair.client.endpoint.stats(pair.handle)["mtu"][0]),
            int(pair.server.endpoint.stats(pair.session)["mtu"][0]))


def limited(limit: int, mtu: int = 1200, seed: int = 1) -> Pair:
    return Pair(seed, client=new_client(seed, mtu=mtu, mtu_limit=limit),
                server=new_server(seed, mtu=mtu, mtu_limit=limit))


@pytest.mark.parametrize("limit", [1200, 1201, 1472, 1499, 1500])
def test_a_path_that_carries_everything_is_used_to_the_limit(limit: int) -> None:
    pair = limited(limit).join()
    pair.run(3_000_000)
    assert mtus(pair) == (limit, limit)
    assert int(pair.client.endpoint.drops.sum()) == int(pair.server.endpoint.drops.sum()) == 0
    sent = pair.client.endpoint.counters["sent"]
    pair.run(3_000_000)
    assert pair.client.endpoint.counters["sent"] - sent <= 2            # the search is over; a ping remains


@pytest.mark.parametrize("limit", [1149, 1501, 65_535])
def test_a_limit_that_no_datagram_may_have_is_refused(limit: int) -> None:
    with pytest.raises(UsageError, match="mtu_limit is .* it must be 1150 to 1500"):
        new_client(mtu_limit=limit)
    with pytest.raises(UsageError, match="slot_size 1471 of the batch holds no datagram of 1472"):
        new_client().outbound(DatagramBatch(4, 1471), 1)


def test_a_limit_below_the_handshakes_mtu_lowers_that_too() -> None:
    pair = limited(1150).join()
    pair.run(3_000_000)
    assert mtus(pair) == (1150, 1150)


@pytest.mark.parametrize("carries, found", [(1200, 1200), (1231, 1200), (1232, 1232), (1399, 1350), (1452, 1452)])
def test_the_search_ends_at_what_the_path_carries_and_disturbs_nothing(carries: int, found: int) -> None:
    pair = Pair().join()
    pair.link(Link(delay_us=DELAY_US, mtu=carries))
    payloads = numbered(500, 200)
    for payload in payloads:
        push(pair.server, pair.session, RELIABLE, payload)
        pair.run(TICK_US)
    pair.run(200_000)
    assert mtus(pair) == (found, found)
    assert pair.client.payloads(pair.handle, RELIABLE) == payloads
    stats = pair.server.endpoint.stats(pair.session)
    assert stats["packets_lost"][0] == 0                                # lost probes are no loss
    assert stats["rtt_us"][0] < 2 * DELAY_US + 3 * TICK_US
    assert pair.network.counters["too_long"] == 6                       # three of one size a side, then peace


def test_a_client_that_fell_back_in_the_handshake_climbs_again() -> None:
    """Its CONNECTs were shed, or lost by chance: the smaller MTU is no sentence for life."""
    pair = Pair()
    pair.link(Link(delay_us=DELAY_US, mtu=1199))                        # HELLO and COOKIE pass, CONNECT does not
    pair.run(1_000_000)
    assert not pair.server.endpoint.live
    pair.join()
    assert mtus(pair) == (1150, 1150)
    pair.link(Link(delay_us=DELAY_US))
    pair.run(3_000_000)
    assert mtus(pair) == (1472, 1472)


def test_a_black_hole_lets_the_session_fall_back_and_a_bulk_transfer_go_on() -> None:
    pair = Pair(3).join()
    pair.run(3_000_000)
    assert mtus(pair) == (1472, 1472)
    pair.link(Link(delay_us=DELAY_US, mtu=1160))
    payloads = numbered(900, 600)                                       # two of them make a long packet
    waiting, start = list(payloads), pair.network.now_us
    while len(pair.client.payloads(pair.handle, RELIABLE)) < len(payloads):
        while waiting and push(pair.server, pair.session, RELIABLE, waiting[0]):
            waiting.pop(0)
        pair.run(TICK_US)
        assert pair.network.now_us - start < 20_000_000
    assert pair.client.payloads(pair.handle, RELIABLE) == payloads
    assert mtus(pair)[1] == 1150
    assert not pair.server.heard(LEFT) and not pair.client.heard(LEFT)
    pair.link(Link(delay_us=DELAY_US))
    pair.run(62_000_000, 32_000)
    assert mtus(pair)[1] == 1472                                        # searched again after a minute


def test_an_outage_is_no_black_hole() -> None:
    pair = Pair(5).join()
    pair.run(3_000_000)
    for _ in range(2):
        pair.link(Link(loss=1.0))
        for _ in range(100):
            for _part in range(2):                                      # two make a long packet
                push(pair.server, pair.session, UNRELIABLE, random.randbytes(600))
            say(pair, 1)
        pair.link(Link(delay_us=DELAY_US))
        pair.run(1_000_000)
    assert mtus(pair) == (1472, 1472)


def test_a_frame_queued_before_the_fall_still_leaves() -> None:
    """Frames never count on more than the lowest MTU, so none is ever too long for a packet."""
    pair = Pair(4).join()
    pair.run(3_000_000)
    pair.link(Link(delay_us=DELAY_US, mtu=1160))
    for _ in range(200):
        for size in (900, 990, 1016, 1060, 1400):
            push(pair.server, pair.session, UNRELIABLE, random.Random(size).randbytes(size))
        pair.run(TICK_US)
    pair.run(1_000_000)
    assert mtus(pair)[1] == 1150
    assert {1060, 1400} <= {len(payload) for payload in pair.client.payloads(pair.handle, UNRELIABLE)}


def test_another_address_starts_the_search_anew_and_another_port_does_not() -> None:
    pair = Pair(6).join()
    pair.run(3_000_000)
    rebind(pair, OTHER_PORT)
    say(pair, 30)
    assert pair.server.endpoint.stats(pair.session)["moves"][0] == 1 and mtus(pair)[1] == 1472
    pair.run(1_000_000)
    rebind(pair, ELSEWHERE)
    say(pair, 20)
    assert pair.server.endpoint.stats(pair.session)["moves"][0] == 2 and mtus(pair)[1] == 1200
    pair.run(3_000_000)
    assert mtus(pair)[1] == 1472


def test_a_silent_path_is_not_probed() -> None:
    pair = Pair(7).join()
    pair.run(500_000)
    pair.link(Link(loss=1.0))
    push(pair.server, pair.session, RELIABLE, b"x")
    pair.run(8_000_000)
    pair.link(Link(delay_us=DELAY_US))
    pair.run(4_000_000)
    assert mtus(pair) == (1472, 1472)

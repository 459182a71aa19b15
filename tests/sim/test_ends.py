"""Sessions that end while they begin: nobody waits longer than connecting may take."""
from shadowland.testing import Link
from tests.sim.peers import JOINED, LEFT, TICK_US, Pair

CONNECT_TIMEOUT, SERVER_SHUTDOWN = 4, 2
LOST = Link(loss=1.0, delay_us=20_000)


def accepted_without_confirm() -> Pair:
    """The client has heard ACCEPTED; none of its packets reaches the server from now on."""
    pair = Pair(3)
    for _ in range(200):
        pair.run(TICK_US)
        if pair.client.heard(JOINED):
            break
        if pair.server.endpoint.half_open:
            pair.network.set_link(pair.client.port, pair.server.port, LOST)
    assert pair.client.heard(JOINED) and pair.server.endpoint.half_open == 1 and not pair.server.heard(JOINED)
    return pair


def test_a_client_whose_half_open_slot_was_forgotten_gives_up_after_the_connect_timeout() -> None:
    pair = accepted_without_confirm()
    since = pair.network.now_us
    while not pair.client.heard(LEFT):
        pair.run(TICK_US)
        assert pair.network.now_us - since < 5_200_000
    assert pair.network.now_us - since > 4_800_000
    assert pair.client.heard(LEFT)[0].reason == CONNECT_TIMEOUT
    assert pair.client.endpoint.live == 0


def test_a_client_that_heard_one_packet_waits_the_whole_idle_timeout() -> None:
    pair = Pair(3).join()
    pair.run(200_000)
    pair.link(LOST)
    pair.run(14_000_000)
    assert not pair.client.heard(LEFT)
    pair.run(2_000_000)
    assert [event.reason for event in pair.client.heard(LEFT)] == [3]


def test_a_server_that_ends_tells_clients_whose_confirm_is_under_way() -> None:
    pair = accepted_without_confirm()
    assert pair.server.endpoint.close_all(SERVER_SHUTDOWN, pair.network.now_us) == 1
    pair.run(400_000)
    assert [event.reason for event in pair.client.heard(LEFT)] == [SERVER_SHUTDOWN]
    assert pair.server.endpoint.live == pair.server.endpoint.half_open == 0
    assert not pair.server.events, "the application never heard of it"


def test_a_full_house_of_half_open_clients_is_told_too() -> None:
    pair = Pair(5, clients=16)
    for _ in range(200):
        pair.run(TICK_US)
        if pair.server.endpoint.half_open:
            pair.network.set_link(pair.client.port, pair.server.port, LOST)
        if len(pair.client.heard(JOINED)) == 16:
            break
    assert pair.server.endpoint.half_open == 16 and pair.server.endpoint.live == 0
    assert pair.server.endpoint.close_all(SERVER_SHUTDOWN, pair.network.now_us) == 16
    pair.run(400_000)
    assert [event.reason for event in pair.client.heard(LEFT)] == [SERVER_SHUTDOWN] * 16
    assert pair.server.endpoint.live == pair.server.endpoint.half_open == 0

"""The simulated network: it loses, holds back and spoils what it is told to, and does it again for the same seed."""
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland.errors import CapacityError, ConfigError, UsageError
from shadowland.testing import DatagramBatch, Link, Network, Port


def send(port: Port, remote: tuple[str, int], *payloads: bytes, local: tuple[str, int] | None = None) -> int:
    batch = DatagramBatch(max(1, len(payloads)), 2048)
    for payload in payloads:
        assert batch.append(payload, remote, local)
    sent = port.send(batch)
    assert batch.count == 0
    return sent


def drain(port: Port) -> list[tuple[int, bytes]]:
    batch = DatagramBatch(4096, 2048)
    port.receive(batch, port.network.now_us)
    times = batch.datagrams["time_us"].tolist()
    return [(times[i], batch[i]) for i in range(batch.count)]


def pair(link: Link, seed: int = 1) -> tuple[Network, Port, Port]:
    net = Network(seed, link)
    return net, net.attach(("10.0.0.1", 1)), net.attach(("10.0.0.2", 2))


def test_a_perfect_network_delivers_at_once_and_in_order(network: Network) -> None:
    a, b = network.attach(), network.attach()
    assert a.local != b.local
    start = network.now_us
    assert send(a, b.local, b"1", b"", b"3") == 3
    assert drain(b) == [(start, b"1"), (start, b""), (start, b"3")]
    assert drain(b) == []


def test_delay_is_exact_and_nothing_is_early() -> None:
    net, a, b = pair(Link(delay_us=40_000))
    start = net.now_us
    send(a, b.local, b"x")
    net.advance(39_999)
    assert drain(b) == [] and net.next_us == start + 40_000
    net.advance(1)
    assert drain(b) == [(start + 40_000, b"x")] and net.next_us is None


def test_receive_looks_no_further_than_its_now() -> None:
    net, a, b = pair(Link())
    send(a, b.local, b"x")
    batch = DatagramBatch(4, 64)
    assert b.receive(batch, net.now_us - 1) == 0
    assert b.receive(batch, net.now_us) == 1
    assert (batch.remote(0), batch.local(0)) == (a.local, b.local)


def test_jitter_spreads_but_does_not_overtake() -> None:
    net, a, b = pair(Link(delay_us=1000, jitter_us=5000))
    start = net.now_us
    for i in range(200):
        send(a, b.local, i.to_bytes(2))
        net.advance(100)
    net.advance(10_000)
    arrived = drain(b)
    assert [int.from_bytes(data) for _, data in arrived] == list(range(200))
    delays = [time - (start + 100 * i) for i, (time, _) in enumerate(arrived)]
    assert min(delays) >= 1000 and max(delays) <= 6000 and len(set(delays)) > 50


def test_reordered_ones_are_passed_by_those_behind() -> None:
    net, a, b = pair(Link(delay_us=1000, reorder=0.2, reorder_us=3000))
    for i in range(500):
        send(a, b.local, i.to_bytes(2))
        net.advance(100)
    net.advance(10_000)
    order = [int.from_bytes(data) for _, data in drain(b)]
    assert sorted(order) == list(range(500))
    late = sum(x > y for x, y in pairwise(order))
    assert 60 <= late <= 120


def test_luck_follows_the_probabilities() -> None:
    net, a, b = pair(Link(loss=0.1, duplicate=0.05, corrupt=0.02))
    for _ in range(100):
        send(a, b.local, *[bytes(100)] * 100)
        drain(b)
    assert 850 <= net.counters["lost"] <= 1250                  # of 10,500 copies
    assert 430 <= net.counters["duplicated"] <= 570
    assert 140 <= net.counters["corrupted"] <= 260


def test_corruption_flips_one_to_three_bits_and_keeps_the_length() -> None:
    net, a, b = pair(Link(corrupt=1.0))
    counts = set()
    for _ in range(20):
        send(a, b.local, *[bytes(50)] * 50)
        for _, data in drain(b):
            assert len(data) == 50
            counts.add(sum(byte.bit_count() for byte in data))
    assert counts == {1, 2, 3}
    send(a, b.local, b"")
    assert drain(b)[0][1] == b""


def test_links_differ_by_direction() -> None:
    net, a, b = pair(Link())
    net.set_link(a, b, Link(loss=1.0))
    assert send(a, b.local, b"gone") == 1 and send(b, a.local, b"there") == 1
    assert drain(b) == [] and [data for _, data in drain(a)] == [b"there"]
    net.set_link(a, b, Link(mtu=3))
    send(a, b.local, b"1234", b"123")
    assert [data for _, data in drain(b)] == [b"123"] and net.counters["too_long"] == 1


def test_a_wildcard_port_is_many_addresses(network: Network) -> None:
    many, peer = network.attach(("0.0.0.0", 7)), network.attach(("10.0.0.1", 5))
    owner = network.attach(("127.0.0.9", 7))                    # the exact address goes before the wildcard
    batch = DatagramBatch(4, 64)
    send(many, peer.local, b"m", local=("127.4.5.6", 7))
    send(many, peer.local, b"n")
    assert peer.receive(batch, network.now_us) == 2
    assert [batch.remote(i) for i in range(2)] == [("127.4.5.6", 7), ("127.0.0.1", 7)]
    send(peer, ("127.4.5.6", 7), b"back")
    send(peer, ("127.0.0.9", 7), b"own")
    assert many.receive(batch, network.now_us) == 1 and batch.local(0) == ("127.4.5.6", 7)
    assert [data for _, data in drain(owner)] == [b"own"]


def test_what_no_socket_would_send_is_refused_and_counted(network: Network) -> None:
    a = network.attach(("10.0.0.1", 5))
    assert send(a, ("::1", 5), b"family") == 0
    assert send(a, ("10.0.0.2", 0), b"port 0") == 0
    assert send(a, ("10.0.0.2", 9), b"foreign", local=("10.0.0.3", 5)) == 0
    assert a.counters["send_failed"] == 3 and network.counters["sent"] == 0
    assert send(a, ("10.0.0.2", 9), b"nobody there") == 1 and network.counters["unreachable"] == 1


def test_room_keeps_the_rest_of_the_batch(network: Network) -> None:
    a, b = network.attach(), network.attach()
    batch = DatagramBatch(8, 16)
    for i in range(5):
        batch.append(bytes([i]), b.local)
    a.room = 2
    assert [(a.send(batch), batch.count) for _ in range(3)] == [(2, 3), (2, 1), (1, 0)]
    assert [data[0] for _, data in drain(b)] == list(range(5)) and a.counters["send_retries"] == 2


def test_limits_hold_and_are_counted() -> None:
    net = Network(link=Link(delay_us=10), capacity=6)
    a, b = net.attach(), net.attach(queue=4)
    send(a, b.local, *[b"x"] * 10)
    assert (net.in_flight, net.counters["overflow"]) == (6, 4)
    net.advance(10)
    assert b.kernel_drops == 2 and len(drain(b)) == 4
    small = DatagramBatch(8, 2)
    send(a, b.local, b"long", b"ok")
    net.advance(10)
    assert b.receive(small, net.now_us) == 1 and small[0] == b"ok" and b.counters["oversized"] == 1


def test_waiting_lets_the_time_pass(network: Network) -> None:
    network.link = Link(delay_us=700)
    a, b = network.attach(), network.attach()
    start = network.now_us
    assert not b.wait(500) and network.now_us == start + 500
    send(a, b.local, b"x")
    assert not b.wait(699) and b.wait(5000) and network.now_us == start + 1200
    assert b.wait(0)


def test_closed_ports_and_wrong_values_say_so(network: Network) -> None:
    network.link = Link(delay_us=5)
    a, b = network.attach(("10.0.0.1", 5)), network.attach(("10.0.0.2", 5))
    send(a, b.local, b"under way")
    b.close()
    b.close()
    network.advance(5)
    assert network.counters["unreachable"] == 1
    for call in (lambda: drain(b), lambda: send(b, a.local, b"x"), lambda: b.wait(1)):
        with pytest.raises(UsageError, match="10.0.0.2 port 5 .* closed"):
            call()
    with network.attach(("10.0.0.2", 5)), pytest.raises(CapacityError, match="taken"):
        network.attach(("10.0.0.1", 5))
    with pytest.raises(ConfigError, match="no address"):
        network.attach(("localhost", 5))
    with pytest.raises(UsageError, match="back"):
        network.advance(-1)
    for wrong in ({"loss": 1.1}, {"corrupt": -0.1}, {"delay_us": -1}, {"reorder_us": 0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Link(**wrong)


def test_a_partition_cuts_both_ways_until_it_heals() -> None:
    net, a, b = pair(Link(delay_us=10))
    send(a, b.local, b"under way")
    net.partition(a, b)
    send(a, b.local, b"cut")
    send(b, a.local, b"cut")
    net.advance(10)
    assert [data for _, data in drain(b)] == [b"under way"] and drain(a) == [] and net.counters["cut"] == 2
    net.heal(b, a)
    send(a, b.local, b"again")
    net.advance(10)
    assert [data for _, data in drain(b)] == [b"again"]
    net.partition(a, b.local[0], one_way=True)
    net.partition("10.0.0.9", a)
    net.heal("10.0.0.9", a)
    send(a, b.local, b"cut")
    send(b, a.local, b"there")
    net.advance(10)
    assert drain(b) == [] and [data for _, data in drain(a)] == [b"there"]
    net.heal()
    assert send(a, b.local, b"healed") == 1 and net.counters["cut"] == 3


def test_a_partition_leaves_the_luck_as_it_was() -> None:
    heard = []
    for cut in (False, True):
        net, a, b = pair(Link(loss=0.5, duplicate=0.3, corrupt=0.3))
        if cut:
            net.partition(a, b)
        send(a, b.local, *[b"before"] * 50)
        net.heal()
        drain(b)
        send(a, b.local, *[bytes([i]) for i in range(100)])
        heard.append(drain(b))
    assert heard[0] == heard[1]


def test_a_rebound_port_speaks_from_a_new_address_and_the_old_one_is_deaf() -> None:
    net, a, b = pair(Link(delay_us=10))
    old = a.local
    send(b, old, b"under way")
    new = net.rebind(a)
    assert new != old and new[0] == old[0] and a.local == old
    send(a, b.local, b"x")
    send(b, old, b"lost")
    send(b, new, b"found")
    net.advance(10)
    batch = DatagramBatch(4, 64)
    assert b.receive(batch, net.now_us) == 1 and batch.remote(0) == new
    assert a.receive(batch, net.now_us) == 1 and (batch[0], batch.local(0)) == (b"found", old)
    assert net.counters["unreachable"] == 2
    with pytest.raises(CapacityError, match="taken"):
        net.attach(new)
    with pytest.raises(CapacityError, match="taken"):
        net.rebind(b, old)
    assert net.rebind(a, old) == old == net.rebind(a, old)      # home again
    send(b, new, b"lost")
    send(b, old, b"home")
    net.advance(10)
    assert [data for _, data in drain(a)] == [b"home"]
    net.rebind(a, ("10.0.0.7", 70))
    a.close()
    with net.attach(old) as again, net.attach(("10.0.0.7", 70)) as other:
        send(b, old, b"again")
        send(b, other.local, b"other")
        net.advance(10)
        assert [data for _, data in drain(again)] == [b"again"] and [data for _, data in drain(other)] == [b"other"]


def test_an_old_address_may_live_on_for_a_while() -> None:
    net, a, b = pair(Link(delay_us=10))
    old = a.local
    first = net.rebind(a, linger_us=25)
    send(b, old, b"1")
    net.advance(10)
    second = net.rebind(a, linger_us=5)
    send(b, old, b"2")
    send(b, first, b"late")
    send(b, second, b"3")
    net.advance(10)
    send(b, old, b"late")
    net.advance(10)
    assert [data for _, data in drain(a)] == [b"1", b"2", b"3"] and net.counters["unreachable"] == 2


def test_one_address_of_a_wildcard_is_rebound_alone(network: Network) -> None:
    many, b = network.attach(("0.0.0.0", 7)), network.attach(("10.0.0.1", 5))
    new = network.rebind(many, ("10.9.9.9", 900), local=("127.4.5.6", 7))
    batch = DatagramBatch(4, 64)
    for local in (("127.4.5.6", 7), ("127.4.5.7", 7)):
        send(many, b.local, b"x", local=local)
    assert b.receive(batch, network.now_us) == 2
    assert [batch.remote(i) for i in range(2)] == [new, ("127.4.5.7", 7)]
    for remote in (new, ("127.4.5.7", 7), ("127.4.5.6", 7)):
        send(b, remote, b"back")
    assert many.receive(batch, network.now_us) == 2 and network.counters["unreachable"] == 1
    assert [batch.local(i) for i in range(2)] == [("127.4.5.6", 7), ("127.4.5.7", 7)]
    for wrong in (None, ("127.4.5.6", 8), ("0.0.0.0", 7)):
        with pytest.raises(UsageError, match="local="):
            network.rebind(many, local=wrong)
    with pytest.raises(ConfigError, match="no address"):
        network.rebind(b, ("nowhere", 1))
    assert network.rebind(b) != b.local                         # a refused one changed nothing


def test_a_drifting_clock_gains_as_it_is_told() -> None:
    net, a, b = pair(Link(delay_us=1_000_000))
    start = net.now_us
    b.clock(drift_ppm=200, offset_us=5_000)
    assert (a.now_us, b.now_us) == (start, start + 5_000)
    send(a, b.local, b"x")
    net.advance(10_000_000)
    assert (a.now_us, b.now_us) == (start + 10_000_000, start + 10_007_000)
    batch = DatagramBatch(4, 64)
    assert b.receive(batch, start + 1_005_199) == 0             # its clock says when it came
    assert b.receive(batch, b.now_us) == 1 and batch.datagrams["time_us"].tolist() == [start + 1_005_200]
    b.clock(drift_ppm=-500_000)                                 # on from where it stands
    assert b.now_us == start + 10_007_000
    assert not b.wait(1_000_000) and net.now_us == start + 12_000_000 and b.now_us == start + 11_007_000
    for wrong in ({"drift_ppm": -1e6}, {"offset_us": -1}, {"drift_ppm": float("nan")}):
        with pytest.raises(ConfigError, match="never stands or goes back"):
            a.clock(**wrong)


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(-900_000, 900_000), st.integers(0, 100)), max_size=20))
def test_no_clock_goes_back(steps: list[tuple[int, float, int]]) -> None:
    net = Network()
    port, last_us = net.attach(), 0
    for us, drift, offset in steps:
        net.advance(us)
        assert port.now_us >= last_us
        last_us = port.now_us
        port.clock(drift_ppm=drift, offset_us=offset)
        assert port.now_us == last_us + offset


links = st.builds(
    Link, loss=st.sampled_from([0.0, 0.3, 1.0]), duplicate=st.sampled_from([0.0, 0.5]),
    corrupt=st.sampled_from([0.0, 0.5]),
    delay_us=st.integers(0, 300), jitter_us=st.integers(0, 300), reorder=st.sampled_from([0.0, 0.5]),
    mtu=st.sampled_from([5, 65507]), burst=st.sampled_from([0.0, 0.2]),
    rate_bits_per_s=st.sampled_from([0, 1_000_000]), buffer_us=st.sampled_from([0, 400]),
)
steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.binary(max_size=8)) | st.integers(0, 400) | links
    | st.sampled_from(["cut", "heal", "rebind"]),
    max_size=60,
)


Script = list[tuple[int, int, bytes] | int | Link | str]


def play(seed: int, script: Script) -> tuple[str, list[list[tuple[int, bytes]]]]:
    """Three ports, a fourth address that nobody has; returns the hash and what each port heard."""
    net = Network(seed, capacity=20)
    ports = [net.attach((f"10.0.0.{i}", 1), queue=10) for i in range(3)]
    heard: list[list[tuple[int, bytes]]] = [[], [], []]
    for step in script:
        if isinstance(step, Link):
            net.link = step
        elif isinstance(step, str):
            if step == "cut":
                net.partition(ports[0], "10.0.0.1")
            elif step == "heal":
                net.heal()
            else:
                net.rebind(ports[1], linger_us=100)
        elif isinstance(step, int):
            net.advance(step)
            for port, sounds in zip(ports, heard, strict=True):
                sounds += drain(port)
        else:
            send(ports[step[0]], (f"10.0.0.{step[1]}", 1), step[2])
        count = net.counters
        ends = ("delivered", "lost", "queue_full", "cut", "overflow", "unreachable", "too_long")
        assert count["sent"] + count["duplicated"] == sum(count[end] for end in ends) + net.in_flight
    return net.event_hash, heard


@given(st.integers(0, 3), steps)
def test_every_datagram_ends_somewhere_and_the_same_seed_does_it_again(seed: int, script: Script) -> None:
    assert play(seed, script) == play(seed, script)


def test_another_seed_is_another_run() -> None:
    script: Script = [Link(loss=0.5), *[(0, 1, b"x")] * 30, 100]
    assert len({play(seed, script)[0] for seed in range(10)}) == 10


def test_a_second_copy_is_lost_and_spoiled_on_its_own() -> None:
    net, a, b = pair(Link(duplicate=1.0, loss=0.5))
    send(a, b.local, *[b"x"] * 400)
    assert 340 <= len(drain(b)) <= 460 and net.counters["duplicated"] == 400
    net.link = Link(duplicate=1.0, loss=1.0)
    send(a, b.local, b"gone twice")
    assert drain(b) == []


def test_the_two_directions_have_luck_of_their_own() -> None:
    net, a, b = pair(Link(loss=0.5))
    send(a, b.local, *[bytes([i]) for i in range(100)])
    send(b, a.local, *[bytes([i]) for i in range(100)])
    assert [data for _, data in drain(b)] != [data for _, data in drain(a)]


def test_luck_of_one_pair_does_not_depend_on_the_traffic_of_others() -> None:
    link = Link(loss=0.5)
    alone, busy = Network(3, link), Network(3, link)
    heard = []
    for net in (alone, busy):
        a, b, c = (net.attach((f"10.0.0.{i}", 1)) for i in range(3))
        for i in range(100):
            send(a, b.local, bytes([i]))
            if net is busy:
                send(c, b.local, b"noise")
        heard.append([data for _, data in drain(b) if data != b"noise"])
    assert heard[0] == heard[1]

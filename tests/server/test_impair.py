"""The relay treats real datagrams as a Lane with the same seed says, and a person's mistake is one line."""
import json
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from server_app.impair import flags
from server_app.impair.relay import KINDS, Relay
from shadowland.errors import ConfigError, TransportError
from shadowland.testing import Lane, Link, flip, normal, pareto, uniform
from tests.server.test_cli import Command, Mistake, command, mistake

__all__ = ["command", "mistake"]
ROOT = Path(__file__).parents[2]
Address = tuple[str, int]


def bound(address: Address = ("127.0.0.1", 0)) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(address)
    made.setblocking(False)
    return made


class Ends:
    """A relay, a target socket behind it and client sockets before it, all in this thread."""

    def __init__(self, up: Link, down: Link | None = None, **settings: Any) -> None:
        self.target = bound()
        self.relay = Relay(("127.0.0.1", 0), self.target.getsockname(), up, down or Link(), **settings)
        self.sockets = [self.target]

    def client(self) -> socket.socket:
        made = bound()
        made.connect(self.relay.local)
        self.sockets.append(made)
        return made

    def turn(self, until: Callable[[], bool], limit_s: float = 5.0) -> None:
        """Let the relay work until it is so."""
        end = time.monotonic() + limit_s
        while not until():
            assert time.monotonic() < end, self.relay.summary()
            self.relay.turn(0.005)

    def settle(self, received: int) -> None:
        """Until the relay has had so many, both ways, and nothing is in flight."""
        counted = self.relay.up.counters, self.relay.down.counters
        self.turn(lambda: sum(counters["received"] for counters in counted) >= received and not self.relay.in_flight)

    def check(self) -> None:
        for direction in (self.relay.up, self.relay.down):
            count = direction.counters
            ends = ("forwarded", "lost", "queue_full", "too_long", "overflow", "send_failed")
            assert count["received"] + count["duplicated"] == sum(count[end] for end in ends)
            assert list(count) == [*KINDS]


@contextmanager
def ends(up: Link, down: Link | None = None, **settings: Any) -> Iterator[Ends]:
    made = Ends(up, down, **settings)
    try:
        yield made
        made.turn(lambda: not made.relay.in_flight)
        made.check()
    finally:
        made.relay.close()
        for each in made.sockets:
            each.close()


def hear(port: socket.socket) -> list[tuple[bytes, Address]]:
    heard = []
    while select.select([port], [], [], 0)[0]:
        heard.append(port.recvfrom(65536))
    return heard


def test_what_gets_through_is_what_a_lane_of_this_seed_lets_through() -> None:
    link = Link(loss=0.2, burst=0.05, corrupt=0.2, duplicate=0.2)
    said = [i.to_bytes(2) * 20 for i in range(300)]
    with ends(link, seed=7) as net:
        client = net.client()
        for data in said:
            client.send(data)
        net.settle(300)
        lane, expected = Lane("7 0 up"), []
        for data in said:
            expected += [flip(data, fate.flips) for fate in lane.fates(link, len(data), 0) if fate.kind == "delivered"]
        assert [data for data, _ in hear(net.target)] == expected
        counters = net.relay.up.counters
        assert counters["lost"] > 50 and counters["corrupted"] > 20 and counters["duplicated"] > 30
        assert counters["bytes"] == sum(map(len, expected))


def test_answers_find_their_client_and_have_a_link_of_their_own() -> None:
    with ends(Link(), Link(mtu=5)) as net:
        clients = [net.client() for _ in range(3)]
        for i, client in enumerate(clients):
            client.send(bytes([i]))
        net.settle(3)
        sources = dict(hear(net.target))
        assert len(set(sources.values())) == 3
        for data, address in sources.items():
            net.target.sendto(b"re " + data, address)
            net.target.sendto(b"far too long", address)
        net.settle(9)
        assert [[data for data, _ in hear(client)] for client in clients] == [[b"re " + bytes([i])] for i in range(3)]
        assert net.relay.down.counters["too_long"] == 3 and net.relay.counters["clients"] == 3


def test_nothing_is_early_and_the_line_is_slow() -> None:
    link = Link(delay_us=30_000, rate_bits_per_s=800_000, buffer_bytes=1_000)
    with ends(link) as net:
        client = net.client()
        begin = time.monotonic()
        for _ in range(20):
            client.send(bytes(72))                              # 100 bytes with headers: 1 ms on the line
        net.settle(20)
        assert time.monotonic() - begin >= 0.030
        through = len(hear(net.target))
        assert 10 <= through < 20 and net.relay.up.counters["queue_full"] == 20 - through


def test_limits_hold_and_are_counted() -> None:
    with ends(Link(delay_us=20_000), clients=2, in_flight_bytes=1000) as net:
        first, second, third = (net.client() for _ in range(3))
        first.send(bytes(600))
        second.send(bytes(400))
        net.turn(lambda: net.relay.in_flight == 2)
        assert net.relay.in_flight_bytes == 1000
        second.send(b"x")
        third.send(b"y")
        net.turn(lambda: net.relay.counters["refused"] == 1 and net.relay.up.counters["overflow"] == 1)
        net.settle(3)
        assert sorted(len(data) for data, _ in hear(net.target)) == [400, 600] and net.relay.in_flight_bytes == 0
        second.send(b"x")
        net.settle(4)
        assert [data for data, _ in hear(net.target)] == [b"x"]


def test_who_is_silent_is_forgotten_and_may_come_again() -> None:
    now_us = 0
    with ends(Link(), idle_us=1_000_000, clock=lambda: now_us) as net:
        client, other = net.client(), net.client()
        client.send(b"a")
        other.send(b"b")
        net.settle(2)
        now_us = 900_000
        other.send(b"c")
        net.settle(3)
        now_us = 1_000_001
        net.turn(lambda: net.relay.counters["expired"] == 1)
        assert net.relay.live == 1
        client.send(b"d")
        net.settle(4)
        assert net.relay.live == 2 and [data for data, _ in hear(net.target)] == [b"a", b"b", b"c", b"d"]


def test_a_client_comes_from_a_new_port_so_often() -> None:
    now_us = 0
    with ends(Link(), rebind_every_us=1_000_000, clock=lambda: now_us) as net:
        client, sources = net.client(), []
        for i in range(3):
            client.send(bytes([i]))
            net.settle(2 * i + 1)
            sources += [address for _, address in hear(net.target)]
            net.target.sendto(b"back", sources[-1])
            net.settle(2 * i + 2)
            assert [data for data, _ in hear(client)] == [b"back"]
            now_us += 1_000_001
            net.turn(lambda: net.relay.counters["rebinds"] == i + 1)        # noqa: B023
        assert len(set(sources)) == 3
        net.target.sendto(b"lost", sources[0])
        net.relay.turn(0.02)
        assert hear(client) == []


def test_ipv6_on_one_side_and_ipv4_on_the_other() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    with bound() as target, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        relay = Relay(("::1", 0), target.getsockname(), Link(), Link())
        client.connect(relay.local)
        client.send(b"six to four")
        while not relay.up.counters["forwarded"]:
            relay.turn(0.1)
        (data, sender), = hear(target)
        target.sendto(b"and back", sender)
        while not relay.down.counters["forwarded"]:
            relay.turn(0.1)
        assert data == b"six to four" and client.recv(100) == b"and back"
        relay.close()


def test_a_target_that_is_away_ends_nothing() -> None:
    with ends(Link()) as net:
        client = net.client()
        address = net.target.getsockname()
        net.target.close()
        for i in range(5):
            client.send(b"x")
            net.settle(i + 1)
        net.turn(lambda: net.relay.counters["target_unreachable"] > 0)
        net.target = bound(address)
        net.sockets.append(net.target)
        client.send(b"there")
        net.settle(6)
        assert [data for data, _ in hear(net.target)][-1:] == [b"there"]


def test_a_port_that_is_taken_says_so() -> None:
    with ends(Link()) as net, pytest.raises(TransportError, match="cannot listen .* take another port"):
        Relay(net.relay.local, ("127.0.0.1", 9), Link(), Link())


@pytest.mark.parametrize(("given", "fields"), [
    ({"loss": "2%"}, {"loss": 0.02}), ({"loss": "0.5"}, {"loss": 0.5}), ({"burst-end": "1"}, {"burst_end": 1.0}),
    ({"delay": "50ms"}, {"delay_us": 50_000}), ({"delay": "1.5 s"}, {"delay_us": 1_500_000}),
    ({"delay": "0"}, {"delay_us": 0}),
    ({"jitter": "250us"}, {"jitter_us": 250}), ({"jitter": "uniform:1ms,2ms"}, {"jitter_us": uniform(1000, 2000)}),
    ({"delay": "normal:50ms,5ms"}, {"delay_us": normal(50_000, 5_000)}),
    ({"delay": "pareto:20ms,2.5"}, {"delay_us": pareto(20_000, 2.5)}),
    ({"delay": "pareto:20ms,2.5,1s"}, {"delay_us": pareto(20_000, 2.5, 1_000_000)}),
    ({"reorder-by": "9ms"}, {"reorder_us": 9_000}), ({"rate": "2mbit"}, {"rate_bits_per_s": 2_000_000}),
    ({"rate": "1.5Mbit/s"}, {"rate_bits_per_s": 1_500_000}), ({"mtu": "1200B"}, {"mtu": 1200}),
    ({"buffer": "200ms"}, {"buffer_us": 200_000, "buffer_bytes": 0}), ({"buffer": "64kB"}, {"buffer_bytes": 64_000}),
    ({"buffer": "64KiB"}, {"buffer_bytes": 65_536}),
], ids=str)
def test_values_are_read_with_their_units(given: dict[str, str], fields: dict[str, Any]) -> None:
    assert flags.link_fields(given) == fields
    Link(**fields)


@pytest.mark.parametrize("given", [
    {"loss": "two"}, {"loss": "101%"}, {"loss": "-1"}, {"loss": "nan"}, {"loss": "%"}, {"delay": "50"}, {"delay": "ms"},
    {"delay": "-5ms"}, {"delay": "50 parsecs"}, {"delay": "9999999999999999s"}, {"delay": "gamma:1ms,2ms"},
    {"jitter": "normal:5ms"}, {"jitter": "pareto:5ms,x"}, {"jitter": "pareto:5ms,0"}, {"jitter": "uniform:9ms,5ms"},
    {"rate": "2mb"}, {"rate": "fast"}, {"buffer": "200"}, {"buffer": "64 kg"}, {"mtu": "1200"},
], ids=str)
def test_values_that_cannot_be_read_say_what_to_give(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="give") as wrong:
        flags.link_fields(given)
    assert len(str(wrong.value).splitlines()) == 1


def test_each_way_may_differ() -> None:
    up, down = flags.links({"loss": "2%", "delay": "9ms"}, ["loss=5%"], ["rate=1mbit", "delay=0"])
    assert up == Link(loss=0.05, delay_us=9_000) and down == Link(loss=0.02, rate_bits_per_s=1_000_000)


@pytest.mark.parametrize(("text", "address"), [
    ("127.0.0.1:4000", ("127.0.0.1", 4000)), ("sl://127.0.0.1:4000", ("127.0.0.1", 4000)),
    ("127.0.0.1", ("127.0.0.1", 3565)),
    ("[::1]:40", ("::1", 40)), ("sl://[::1]", ("::1", 3565)),
])
def test_addresses(text: str, address: Address) -> None:
    assert flags.address("LISTEN", text) == address


@pytest.mark.parametrize(("words", "problem"), [
    (["127.0.0.1:0", "127.0.0.1:0"], "port 0"),
    (["127.0.0.1:7", "127.0.0.1:7"], "talk to itself"),
    (["127.0.0.1:70000", "127.0.0.1:7"], "LISTEN is '127.0.0.1:70000'"),
    (["127.0.0.1:0", "::1:7"], "TARGET is '::1:7'"),
    (["127.0.0.1:0", "127.0.0.1:7", "--loss", "2"], "--loss is '2': give a probability"),
    (["127.0.0.1:0", "127.0.0.1:7", "--up", "loss"], "--up is 'loss': give FLAG=VALUE"),
    (["127.0.0.1:0", "127.0.0.1:7", "--down", "speed=1mbit"], "flags are loss, burst"),
    (["127.0.0.1:0", "127.0.0.1:7", "--down", "rate=1"], "--down rate is '1'"),
    (["127.0.0.1:0", "127.0.0.1:7", "--burst", "1%", "--burst-end", "0"], "burst_end"),
    (["127.0.0.1:0", "127.0.0.1:7", "--clients", "0"], "--clients"),
    (["127.0.0.1:0", "127.0.0.1:7", "--idle", "60"], "--idle is '60'"),
    (["127.0.0.1:0"], "TARGET"),
])
def test_mistakes_are_one_line(mistake: Mistake, words: list[str], problem: str) -> None:
    assert problem in mistake("impair", *words)


def test_the_command_ends_by_itself_and_reports(command: Command) -> None:
    code, out, err = command("impair", "127.0.0.1:0", "127.0.0.1:9", "--loss", "3%", "--down", "rate=2mbit",
                             "--duration", "100ms", "--json")
    report = json.loads(out)
    assert code == 0 and report["up"]["received"] == 0 and "loss 0.03, rate_bits_per_s 2000000" in err


def test_ctrl_c_ends_it_with_a_summary() -> None:
    target = bound()
    target.settimeout(10)
    words = [sys.executable, "-m", "server_app", "impair", "127.0.0.1:0", f"127.0.0.1:{target.getsockname()[1]}",
             "--delay", "5ms"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as relay, target:
        assert relay.stdout is not None
        port = int(relay.stdout.readline().split(" port ")[1].split()[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"hello", ("127.0.0.1", port))
            data, sender = target.recvfrom(100)
            target.sendto(data, sender)
            client.settimeout(10)
            assert client.recv(100) == b"hello"
        relay.send_signal(signal.SIGINT)
        told = relay.stdout.read()
        assert relay.wait(10) == 0
    assert "received 1, forwarded 1 (5 bytes)" in told and "1 clients" in told

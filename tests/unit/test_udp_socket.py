"""UdpSocket over the real loopback. Nothing sleeps: loopback delivers inside the sending call."""
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.errors import ConfigError, TransportError, UsageError
from shadowland._core.udp.socket import UdpSocket, monotonic_us

LOOPBACKS = ["127.0.0.1", "::1"]


@pytest.fixture(params=LOOPBACKS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[UdpSocket, UdpSocket]]:
    with UdpSocket(request.param, 0) as a, UdpSocket(request.param, 0) as b:
        yield a, b


def test_a_batch_crosses_with_its_addresses_and_times(pair: tuple[UdpSocket, UdpSocket]) -> None:
    a, b = pair
    batch = DatagramBatch(300, 64)
    payloads = [bytes([i % 251]) * (i % 65) for i in range(300)]            # more than one chunk, lengths 0 to 64
    assert all(batch.append(payload, b.local) for payload in payloads)
    before = monotonic_us()
    assert a.send(batch) == 300 and batch.count == 0
    now = monotonic_us()
    assert b.receive(batch, now) == batch.count == 300
    assert [batch[i] for i in range(300)] == payloads
    assert {batch.remote(i) for i in range(300)} == {a.local}
    assert {batch.local(i) for i in range(300)} == {b.local}
    times = batch.datagrams["time_us"].tolist()
    assert times == sorted(times) and before - 1000 <= times[0] and times[-1] <= now
    assert len(set(times)) > 1                                              # by the kernel, not the moment of the call
    assert b.receive(batch, now) == 0 == batch.count
    total = sum(map(len, payloads))
    assert (a.counters["sent"], a.counters["sent_bytes"]) == (300, total)
    assert (b.counters["received"], b.counters["received_bytes"]) == (300, total)


def test_receive_stops_at_the_capacity_and_goes_on_later(pair: tuple[UdpSocket, UdpSocket]) -> None:
    a, b = pair
    batch, small = DatagramBatch(200, 16), DatagramBatch(150, 16)
    for i in range(200):
        batch.append(i.to_bytes(2), b.local)
    a.send(batch)
    assert b.receive(small, monotonic_us()) == 150
    assert [small[0], small[149]] == [(0).to_bytes(2), (149).to_bytes(2)]
    assert b.receive(small, monotonic_us()) == 50
    assert [small[0], small[49]] == [(150).to_bytes(2), (199).to_bytes(2)]


def test_oversized_datagrams_are_left_out_and_counted(pair: tuple[UdpSocket, UdpSocket]) -> None:
    a, b = pair
    batch, small = DatagramBatch(8, 64), DatagramBatch(8, 16)
    for payload in (b"first", bytes(17), b"second", bytes(64), b"x" * 16):
        batch.append(payload, b.local)
    a.send(batch)
    assert b.receive(small, monotonic_us()) == 3
    assert [small[i] for i in range(3)] == [b"first", b"second", b"x" * 16]
    assert (b.counters["oversized"], b.counters["received"]) == (2, 3)


def test_a_flood_of_oversized_datagrams_cannot_hold_the_call(pair: tuple[UdpSocket, UdpSocket]) -> None:
    a, b = pair
    batch, small = DatagramBatch(10, 64), DatagramBatch(4, 16)
    for _ in range(10):
        batch.append(bytes(64), b.local)
    a.send(batch)
    assert [b.receive(small, monotonic_us()) for _ in range(3)] == [0, 0, 0]
    assert b.counters["oversized"] == 10


def test_times_never_pass_now_and_never_fall_behind_the_last_empty_queue(pair: tuple[UdpSocket, UdpSocket]) -> None:
    a, b = pair
    batch = DatagramBatch(1, 16)
    future = monotonic_us() + 10**9
    for now, expected in ((1000, 1000), (future, future - 1), (future + 5, future + 4)):
        b.receive(batch, expected)                      # sees the queue empty then
        batch.append(b"x", b.local)
        a.send(batch)
        b.receive(batch, now)
        assert batch.datagrams["time_us"].tolist() == [expected]


def test_one_wildcard_socket_is_many_addresses() -> None:
    with UdpSocket("0.0.0.0", 0) as many, UdpSocket("127.0.0.1", 0) as peer:
        port = many.local[1]
        batch = DatagramBatch(8, 16)
        sources = [(f"127.7.{i}.9", port) for i in range(4)]
        for source in sources:
            batch.append(source[0].encode(), peer.local, local=source)
        assert many.send(batch) == 4
        assert peer.receive(batch, monotonic_us()) == 4
        assert [batch.remote(i) for i in range(4)] == sources
        echo = DatagramBatch(8, 16)
        for i in range(4):
            echo.append(batch[i], batch.remote(i))
        assert peer.send(echo) == 4
        assert many.receive(batch, monotonic_us()) == 4
        assert [batch.local(i) for i in range(4)] == sources
        assert [batch[i].decode() for i in range(4)] == [source[0] for source in sources]


def test_the_ipv6_wildcard_knows_its_address_and_hears_no_ipv4() -> None:
    with UdpSocket("::", 0) as wild, UdpSocket("::1", 0) as peer, UdpSocket("127.0.0.1", 0) as ipv4:
        port = wild.local[1]
        batch = DatagramBatch(4, 16)
        batch.append(b"six", ("::1", port))
        assert peer.send(batch) == 1
        batch.append(b"four", ("127.0.0.1", port))
        ipv4.send(batch)
        assert wild.receive(batch, monotonic_us()) == 1
        assert (batch[0], batch.remote(0), batch.local(0)) == (b"six", peer.local, ("::1", port))
        batch.append(b"back", peer.local, local=("::1", port))
        batch.drop_front(1)
        assert wild.send(batch) == 1
        assert peer.receive(batch, monotonic_us()) == 1 and batch.remote(0) == ("::1", port)


def test_what_a_destination_refuses_harms_no_other(pair: tuple[UdpSocket, UdpSocket]) -> None:
    a, b = pair
    # Cut down to its last four bytes, the IPv6 address would be b's.
    other_family = ("2001:db8::7f00:1", b.local[1]) if a.local[0] == "127.0.0.1" else ("127.0.0.1", 9)
    foreign = "192.0.2.1" if a.local[0] == "127.0.0.1" else "2001:db8::1"
    batch = DatagramBatch(8, 16)
    batch.append(b"0", (a.local[0], 0))                         # port 0: EINVAL
    batch.append(b"1", b.local)
    batch.append(b"2", other_family)
    batch.append(b"3", b.local, local=(foreign, 0))             # a source that is not ours
    batch.append(b"4", b.local)
    assert a.send(batch) == 2 and batch.count == 0
    assert a.counters["send_failed"] == 3
    assert b.receive(batch, monotonic_us()) == 2
    assert [batch[0], batch[1]] == [b"1", b"4"]


def test_too_long_for_ip_is_refused_not_fragmented(pair: tuple[UdpSocket, UdpSocket]) -> None:
    a, b = pair
    batch = DatagramBatch(1, 65536)
    batch.append(bytes(65536), b.local)
    assert a.send(batch) == 0 and batch.count == 0
    assert a.counters["send_too_long"] == 1 and a.counters["send_failed"] == 0     # a probe too long is no failure


# What a full queue does to sendmmsg cannot be had on loopback, so the C library's function is replaced in a process of
# its own. The calls: part of the chunk, no buffers, again later, a signal, then as it is.
FULL_QUEUE_C = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
int sendmmsg(int fd, struct mmsghdr *headers, unsigned int count, int flags) {
    static int calls, errors[] = {0, ENOBUFS, EAGAIN, EINTR};
    int (*real)(int, struct mmsghdr *, unsigned int, int) = dlsym(RTLD_NEXT, "sendmmsg");
    if (calls == 0) count = 10;
    if (++calls <= 4 && errors[calls - 1]) { errno = errors[calls - 1]; return -1; }
    return real(fd, headers, count, flags);
}
"""
FULL_QUEUE_PY = """
from shadowland._core.base.batch import DatagramBatch
from shadowland._core.udp.socket import UdpSocket, monotonic_us
with UdpSocket("127.0.0.1", 0) as a, UdpSocket("127.0.0.1", 0) as b:
    batch, inbox = DatagramBatch(40, 64), DatagramBatch(40, 64)
    for i in range(40):
        batch.append(bytes([i]) * (i + 1), b.local)
    for call, (sent, left) in enumerate([(10, 30), (0, 30), (0, 30), (30, 0)]):
        assert (a.send(batch), batch.count) == (sent, left), (call, batch.count)
        assert not left or batch[0] == bytes([10]) * 11
    assert b.receive(inbox, monotonic_us()) == 40
    assert [inbox[i] for i in range(40)] == [bytes([i]) * (i + 1) for i in range(40)]
    assert (a.counters["send_retries"], a.counters["send_failed"], a.counters["sent"]) == (3, 0, 40)
"""


def test_no_room_keeps_the_rest_in_order(tmp_path: Path) -> None:
    source, library = tmp_path / "full_queue.c", tmp_path / "full_queue.so"
    source.write_text(FULL_QUEUE_C)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    environment = os.environ | {"LD_PRELOAD": str(library)}
    subprocess.run([sys.executable, "-c", FULL_QUEUE_PY], check=True, env=environment, timeout=60)


def test_the_kernel_counts_what_did_not_fit() -> None:
    with UdpSocket("127.0.0.1", 0) as a, UdpSocket("127.0.0.1", 0, receive_buffer=4096) as b:
        batch = DatagramBatch(200, 512)
        for _ in range(200):
            batch.append(bytes(512), b.local)
        sent = a.send(batch)
        assert b.kernel_drops > 0
        received = b.receive(batch, monotonic_us())
        assert received + b.kernel_drops == sent == 200
        dropped = b.kernel_drops
        b.close()
        assert b.kernel_drops == dropped


def test_ecn_bits_arrive(pair: tuple[UdpSocket, UdpSocket]) -> None:
    _, b = pair
    batch = DatagramBatch(4, 16)
    family, level, option = (
        (socket.AF_INET, socket.IPPROTO_IP, socket.IP_TOS) if b.local[0] == "127.0.0.1"
        else (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    )
    with socket.socket(family, socket.SOCK_DGRAM) as plain:
        for ecn in range(4):
            plain.setsockopt(level, option, 0xB8 | ecn)
            plain.sendto(b"marked", b.local)
    assert b.receive(batch, monotonic_us()) == 4
    assert batch.datagrams["ecn"].tolist() == [0, 1, 2, 3]
    batch.clear()
    for _ in range(4):
        batch.append(b"new", b.local)
    assert batch.datagrams["ecn"].tolist() == [0, 0, 0, 0]                  # nothing of an old datagram stays


def test_df_is_set_and_icmp_is_not_believed(pair: tuple[UdpSocket, UdpSocket]) -> None:
    ipv4 = pair[0].local[0] == "127.0.0.1"
    with socket.fromfd(pair[0].fileno(), socket.AF_INET if ipv4 else socket.AF_INET6, socket.SOCK_DGRAM) as view:
        level, option = (socket.IPPROTO_IP, 10) if ipv4 else (socket.IPPROTO_IPV6, 23)     # IP(V6)_MTU_DISCOVER
        assert view.getsockopt(level, option) == 3                                         # PMTUDISC_PROBE
        if not ipv4:
            assert view.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_DONTFRAG) == 1


def test_wait_sees_what_is_there_and_gives_up_in_time(pair: tuple[UdpSocket, UdpSocket]) -> None:
    a, b = pair
    before = monotonic_us()
    assert not b.wait(2000)
    assert monotonic_us() - before >= 2000
    batch = DatagramBatch(1, 16)
    batch.append(b"x", b.local)
    a.send(batch)
    assert b.wait(60_000_000)
    b.receive(batch, monotonic_us())
    assert not b.wait(0)


def test_a_port_in_use_says_what_where_and_the_fix(pair: tuple[UdpSocket, UdpSocket]) -> None:
    host, port = pair[0].local
    with pytest.raises(TransportError, match=f"{host} port {port}: the port is in use.*another port") as caught:
        UdpSocket(host, port)
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize(("host", "words"), [
    ("192.0.2.77", "192.0.2.77 port 0: no interface"), ("2001:db8::77", "2001:db8::77 port 0"),
    ("no.such.name.invalid", "'no.such.name.invalid': the name has no address"), ("a" * 70, "no address"),
])
def test_an_address_that_is_not_ours_says_so(host: str, words: str) -> None:
    with pytest.raises(TransportError, match=words):
        UdpSocket(host, 0)


def test_values_that_no_socket_can_have() -> None:
    for port in (-1, 65536):
        with pytest.raises(ConfigError, match=f"port {port} is outside"):
            UdpSocket("127.0.0.1", port)
    with pytest.raises(ConfigError, match="the host is empty"):
        UdpSocket("", 0)
    for size in (0, 2**31):
        with pytest.raises(ConfigError, match="receive_buffer"):
            UdpSocket("127.0.0.1", 0, receive_buffer=size)
        with pytest.raises(ConfigError, match="send_buffer"):
            UdpSocket("127.0.0.1", 0, send_buffer=size)


def test_a_buffer_smaller_than_asked_names_the_sysctl() -> None:
    with UdpSocket("127.0.0.1", 0, receive_buffer=65536, send_buffer=65536) as enough:
        assert enough.warning is None
    with UdpSocket("127.0.0.1", 0, receive_buffer=2**31 - 1) as starved:      # the kernel grants half of it at most
        assert starved.warning is not None and "net.core.rmem_max=2147483647" in starved.warning
        assert starved.local[0] in starved.warning and "wmem_max" not in starved.warning


def test_a_closed_socket_says_so(pair: tuple[UdpSocket, UdpSocket]) -> None:
    a, _ = pair
    a.close()
    a.close()
    batch = DatagramBatch(1, 16)
    batch.append(b"x", ("127.0.0.1", 9))
    assert a.fileno() == -1
    calls: list[Callable[[], object]] = [
        lambda: a.receive(DatagramBatch(1, 16), 0), lambda: a.send(batch), lambda: a.wait(10**6),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="closed"):
            call()
    assert batch.count == 1
    with pytest.raises(UsageError, match="once"):
        a.__init__("127.0.0.1", 0)


def test_nothing_is_allocated_in_the_steady_state(pair: tuple[UdpSocket, UdpSocket]) -> None:
    a, b = pair
    outbox, inbox = DatagramBatch(64, 64), DatagramBatch(64, 64)
    blocks = []
    for _ in range(5):
        for _ in range(64):
            outbox.append(bytes(64), b.local)
        before = sys.getallocatedblocks()
        for _ in range(20):
            a.send(outbox)
            b.receive(inbox, 10**15)
        blocks.append(sys.getallocatedblocks() - before)
    assert min(blocks) <= 2             # the counts returned, and whatever the test itself holds

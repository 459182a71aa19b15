"""The client's side of the handshake: what it says when, what it believes, what it names as the cause in the end."""
import struct
from itertools import pairwise

import pytest

from shadowland._core.base.status import DisconnectReason, DropReason
from tests.reference import keys, protocol
from tests.unit.desk import (
    CLIENT,
    IDENTITY,
    JOINED,
    LEFT,
    SECOND,
    SERVER,
    SERVER_KEY,
    STRANGER,
    Desk,
    client_desk,
    server_desk,
)

NONE = DropReason.NONE
MAPPED = bytes(10) + b"\xff\xff\x0a\0\0\2"                              # ::ffff:10.0.0.2
IDLE = {"idle_timeout_ms": 15000}


def reference_server(static: bytes = IDENTITY) -> protocol.Server:
    return protocol.Server(static, b"c" * 32, MAPPED, CLIENT[1], schema_hash=7)


def connecting(desk: Desk, server: protocol.Server) -> bytes:
    """HELLO and COOKIE; returns the CONNECT."""
    (hello,) = desk.outbound()
    assert desk.give(server.cookie(hello, 5, bytes(8)), SERVER) == (NONE, [])
    (connect,) = desk.outbound()
    return connect


def joined(desk: Desk, server: protocol.Server) -> protocol.Sealed:
    server.read_connect(connecting(desk, server), 5)
    assert desk.give(server.accept(0x1230, b"s" * 32), SERVER) == (NONE, [])
    assert desk.events == [(JOINED, 1 << 32, 0)] and server.session is not None
    return server.session


def hellos(datagrams: list[bytes]) -> list[bytes]:
    return [datagram for datagram in datagrams if datagram[4] == protocol.HELLO]


def test_a_client_speaks_as_the_document_says() -> None:
    desk, server = client_desk(), reference_server()
    connect = connecting(desk, server)
    assert server.read_connect(connect, 5) == {"schema_hash": 7, "client_build": 0, "suites": 1, "max_ack_delay_ms": 25,
                                               "mtu": 1200, "token_length": 0}
    desk.give(server.accept(0x1230, b"s" * 32), SERVER)
    assert server.session is not None
    (first,) = desk.outbound()
    assert server.session.receive(first) == [bytes([protocol.CONTROL, protocol.CONFIRM])]


def test_confirm_is_repeated_until_it_is_acknowledged() -> None:
    """origin.md: a lost "accepted" was never sent again."""
    desk, server = client_desk(), reference_server()
    session = joined(desk, server)
    desk.outbound()                                                     # lost
    seen = []
    for datagram in desk.wait(4 * SECOND):
        opened = session.open(datagram)
        assert opened is not None
        seen.append(opened)
    confirm = bytes([2, protocol.CONTROL, protocol.CONFIRM])
    assert len([body for _, body in seen if confirm in body]) >= 2      # between them pings, which are not repeated
    assert len({sequence for sequence, _ in seen}) == len(seen)         # each in a new packet
    session.acks.stored |= {sequence for sequence, _ in seen}
    assert desk.give(session.packet(), SERVER)[0] == NONE
    later = [session.open(datagram) for datagram in desk.wait(3 * SECOND)]
    assert not any(confirm in opened[1] for opened in later if opened is not None) and None not in later


def test_hello_is_repeated_with_back_off() -> None:
    """A quarter more or less each time, so that clients that begin at one moment do not keep step."""
    desk = client_desk()
    for _ in range(3):
        desk.endpoint.connect(SERVER, SERVER_KEY, desk.now_us)
    times: dict[bytes, list[int]] = {}
    for _ in range(4_900):
        for datagram in desk.outbound():
            times.setdefault(datagram[6:14], []).append(desk.now_us - 100 * SECOND)
        desk.now_us += 1_000
    assert len(times) == 4 and len({tuple(each) for each in times.values()}) == 4
    for each in times.values():
        waits = [later - earlier for earlier, later in pairwise(each)]
        assert len(waits) >= 5
        for wait, meant in zip(waits, [250_000, 500_000, *[1_000_000] * 5], strict=False):
            assert meant * 3 // 4 <= wait <= meant * 5 // 4 + 1_000


def test_connect_is_sealed_once_and_repeated_as_it_is_then_all_is_new_with_a_smaller_mtu() -> None:
    desk, server = client_desk(), reference_server()
    first = connecting(desk, server)
    assert len(first) == 1200
    said = desk.wait(950_000)
    assert said[0] == first                                             # 250 ms later; then over again at 750 ms
    assert {datagram[4] for datagram in said[1:]} == {protocol.HELLO} and said[1][6:14] != first[6:14]
    assert desk.give(server.cookie(said[1], 5, bytes(8)), SERVER)[0] == NONE
    (second,) = desk.outbound()
    assert len(second) == 1150 and second[64:96] != first[64:96]
    server.read_connect(second, 5)
    assert desk.give(server.accept(0x1230, b"s" * 32), SERVER)[0] == NONE
    assert desk.events[-1][0] == JOINED


def test_a_forged_cookie_delays_the_client_and_no_more() -> None:
    desk, server = client_desk(), reference_server()
    (hello,) = desk.outbound()
    forged = protocol.handshake(protocol.COOKIE, hello[6:14], bytes(56))
    assert desk.give(forged, SERVER) == (NONE, [])
    real = server.cookie(hello, 5, bytes(8))
    assert desk.give(real, SERVER)[0] == DropReason.STALE               # its ephemeral has sealed a CONNECT already
    again = hellos(desk.wait(SECOND))
    assert len(again) == 1
    assert desk.give(server.cookie(again[0], 5, bytes(8)), SERVER)[0] == NONE
    server.read_connect(desk.outbound()[0], 5)
    assert desk.give(server.accept(0x1230, b"s" * 32), SERVER)[0] == NONE
    assert desk.events[-1][0] == JOINED


def test_a_forged_cookie_for_the_smallest_mtu_too_is_overcome() -> None:
    desk = client_desk(mtu=1150, connect_timeout_us=20 * SECOND)
    (hello,) = desk.outbound()
    assert desk.give(protocol.handshake(protocol.COOKIE, hello[6:14], bytes(56)), SERVER)[0] == NONE
    assert len(hellos(desk.wait(8 * SECOND))) >= 1


def test_what_a_stranger_sends_is_dropped() -> None:
    desk, server = client_desk(), reference_server()
    (hello,) = desk.outbound()
    cookie = server.cookie(hello, 5, bytes(8))
    assert desk.give(cookie, STRANGER) == (DropReason.WRONG_PATH, [])
    assert desk.give(cookie, (SERVER[0], 1)) == (DropReason.WRONG_PATH, [])
    other = protocol.handshake(protocol.COOKIE, bytes(8), cookie[16:-4])
    assert desk.give(other, SERVER) == (DropReason.UNKNOWN_CONNECTION, [])
    for kind in (0, 1, 4, 7):
        assert desk.give(protocol.handshake(kind, hello[6:14], bytes(56)), SERVER)[0] == DropReason.BAD_KIND
    assert not hellos(desk.outbound())


@pytest.mark.parametrize("stage", ["cookie", "accepted"])
def test_every_byte_that_is_flipped_is_noticed_and_the_true_answer_still_counts(stage: str) -> None:
    desk, server = client_desk(), reference_server()
    (hello,) = desk.outbound()
    answer = server.cookie(hello, 5, bytes(8))
    if stage == "accepted":
        assert desk.give(answer, SERVER)[0] == NONE
        server.read_connect(desk.outbound()[0], 5)
        answer = server.accept(0x1230, b"s" * 32)
    for position in range(len(answer)):
        changed = answer[:position] + bytes([answer[position] ^ 128]) + answer[position + 1:]
        assert desk.give(changed, SERVER)[0] == (
            DropReason.BAD_FLAGS if position < 4 or position == 5 else
            DropReason.BAD_KIND if position == 4 else DropReason.BAD_CRC)
        if stage == "accepted" and position >= 16 and position < len(answer) - 4:
            assert desk.give(protocol.resummed(changed), SERVER)[0] == DropReason.HANDSHAKE_FAILED
    for length in range(len(answer)):
        assert desk.give(answer[:length], SERVER)[0] in (DropReason.TRUNCATED, DropReason.BAD_CRC)
    assert desk.give(answer, SERVER) == (NONE, [])
    if stage == "accepted":
        assert desk.events[-1][0] == JOINED


def test_the_verdict_stands_inside_the_seal() -> None:
    """Swapping the kinds 5 and 6 on the way changes nothing."""
    desk, server = client_desk(), reference_server()
    server.read_connect(connecting(desk, server), 5)
    answer = server.accept(0x1230, b"s" * 32)
    assert desk.give(protocol.resummed(answer[:4] + bytes([protocol.REJECTED]) + answer[5:]), SERVER)[0] == NONE
    assert desk.events[-1][0] == JOINED


@pytest.mark.parametrize("reason", [DisconnectReason.SERVER_FULL, DisconnectReason.SCHEMA_MISMATCH])
def test_a_rejection_is_told_at_once(reason: DisconnectReason) -> None:
    desk, server = client_desk(), reference_server()
    server.read_connect(connecting(desk, server), 5)
    classes = [(i, i * 7) for i in range(180)] if reason == DisconnectReason.SCHEMA_MISMATCH else []
    assert desk.give(server.reject(reason, classes, b"s" * 32), SERVER)[0] == NONE
    assert desk.events == [(LEFT, 1 << 32, reason)]
    assert desk.endpoint.rejected_classes() == classes and desk.endpoint.live == 0
    assert not desk.wait(SECOND)


@pytest.mark.parametrize("reason", [len(DisconnectReason), 99, 255])
def test_a_reason_that_does_not_exist_becomes_a_protocol_violation(reason: int) -> None:
    desk, server = client_desk(), reference_server()
    server.read_connect(connecting(desk, server), 5)
    desk.give(server.reject(reason, [], b"s" * 32), SERVER)
    assert desk.events == [(LEFT, 1 << 32, DisconnectReason.PROTOCOL_VIOLATION)]


@pytest.mark.parametrize("fields", [
    {"suite": 2}, {"suite": 0}, {"suite": 3}, {"mtu": 1149}, {"mtu": 1201}, {"mtu": 1199}, {"connection_id": 0},
    {"flags": 2}, {"idle_timeout_ms": 0}, {"padding": 1},
])
def test_an_accepted_that_is_not_as_prescribed_ends_the_attempt(fields: dict[str, int]) -> None:
    desk, server = client_desk(), reference_server()
    server.read_connect(connecting(desk, server), 5)
    right = {"verdict": 0, "suite": 1, "mtu": 1200, "connection_id": 16, "tick": 0, "tick_hz": 60,
             "max_ack_delay_ms": 25, "flags": 0, "idle_timeout_ms": 15000, "padding": 0} | fields
    payload = struct.pack("<BBHIIHBBI", *list(right.values())[:-1]) + bytes(300) + bytes([right["padding"]])
    assert desk.give(server._message_2(protocol.ACCEPTED, payload, 1200, b"s" * 32), SERVER)[0] == NONE
    assert desk.events == [(LEFT, 1 << 32, DisconnectReason.PROTOCOL_VIOLATION)]


def test_silence_is_a_connect_timeout() -> None:
    desk = client_desk()
    desk.wait(5_100_000)
    assert desk.events == [(LEFT, 1 << 32, DisconnectReason.CONNECT_TIMEOUT)]


def test_another_server_key_is_named_after_the_timeout() -> None:
    real = server_desk()
    desk = client_desk(keys.public_key(b"w" * 32))
    desk.now_us = real.now_us
    for _ in range(510):
        for datagram in desk.outbound():
            for reply in real.give(datagram, CLIENT)[1]:
                desk.give(reply, SERVER)
        desk.now_us += 10_000
        real.now_us = desk.now_us
    assert desk.events == [(LEFT, 1 << 32, DisconnectReason.WRONG_SERVER_KEY)]
    assert real.endpoint.drops[DropReason.HANDSHAKE_FAILED] >= 2


def versions(hello: bytes, *numbers: int, version: int = 1) -> bytes:
    body = bytes([len(numbers)]) + struct.pack(f"<{len(numbers)}H", *numbers)
    return protocol.handshake(protocol.VERSIONS, hello[6:14], body, version)


@pytest.mark.parametrize("version", [1, 2, 9])
def test_another_version_is_named_after_the_timeout_and_not_before(version: int) -> None:
    """Also when the server writes its own version into the answer: the layout is the same in all of them."""
    desk = client_desk()
    (hello,) = desk.outbound()
    assert desk.give(versions(hello, 2, 3, version=version), SERVER) == (NONE, [])
    said = desk.wait(4_900_000)
    assert not desk.events and all(datagram[14:16] == b"\1\0" for datagram in said)     # it never changes its own
    desk.wait(200_000)
    assert desk.events == [(LEFT, 1 << 32, DisconnectReason.VERSION_MISMATCH)]


def test_a_forged_version_does_not_stop_a_client() -> None:
    desk, server = client_desk(), reference_server()
    (hello,) = desk.outbound()
    desk.give(versions(hello, 2), SERVER)
    desk.give(server.cookie(hello, 5, bytes(8)), SERVER)
    server.read_connect(desk.outbound()[0], 5)
    desk.give(server.accept(0x1230, b"s" * 32), SERVER)
    assert desk.events[-1][0] == JOINED


def test_a_newer_hint_takes_the_older_ones_place() -> None:
    desk, server = client_desk(), reference_server()
    (hello,) = desk.outbound()
    desk.give(versions(hello, 2), SERVER)
    desk.give(server.cookie(hello, 5, bytes(8)), SERVER)                # it speaks our version after all
    desk.wait(5_100_000)
    assert desk.events == [(LEFT, 1 << 32, DisconnectReason.CONNECT_TIMEOUT)]


def test_a_version_list_of_another_length_is_dropped() -> None:
    desk = client_desk()
    (hello,) = desk.outbound()
    for body in (b"\2\2\0", b"\0\2\0", b"\xff" + bytes(30)):
        datagram = protocol.handshake(protocol.VERSIONS, hello[6:14], body)
        assert desk.give(datagram, SERVER) == (DropReason.TRUNCATED, [])


def test_a_server_key_of_low_order_is_named_at_once() -> None:
    desk = client_desk(bytes(32))
    (hello,) = desk.outbound()
    desk.give(protocol.handshake(protocol.COOKIE, hello[6:14], bytes(56)), SERVER)
    assert desk.events == [(LEFT, 1 << 32, DisconnectReason.WRONG_SERVER_KEY)]


def test_two_servers_may_give_the_same_connection_id() -> None:
    desk = client_desk()
    other = ("10.0.0.9", 3565)
    desk.endpoint.connect(other, SERVER_KEY, desk.now_us)
    first, second = desk.outbound()
    sessions = []
    for hello, source in ((first, SERVER), (second, other)):
        server = reference_server()
        desk.give(server.cookie(hello, 5, bytes(8)), source)
        server.read_connect([d for d in desk.outbound() if d[4] == protocol.CONNECT][0], 5)
        desk.give(server.accept(0x1230, b"s" * 32), source)
        sessions.append(server.session)
    assert [event[0] for event in desk.events] == [JOINED, JOINED]
    for session, source in zip(sessions, (SERVER, other), strict=True):
        assert session is not None
        assert desk.give(session.packet(bytes([protocol.UNRELIABLE, 1]) + source[0].encode()), source)[0] == NONE
    assert [message[2] for message in desk.messages] == [b"10.0.0.1", b"10.0.0.9"]
    session = sessions[0]
    assert session is not None
    assert desk.give(session.packet(b"\0\1x"), other)[0] == DropReason.AUTH_FAILED


def test_an_id_that_this_server_gave_already_is_refused() -> None:
    desk = client_desk()
    desk.endpoint.connect(SERVER, SERVER_KEY, desk.now_us)
    for hello in desk.outbound():
        server = reference_server()
        desk.give(server.cookie(hello, 5, bytes(8)), SERVER)
        server.read_connect([d for d in desk.outbound() if d[4] == protocol.CONNECT][0], 5)
        desk.give(server.accept(0x1230, b"s" * 32), SERVER)
    assert [(event[0], event[2]) for event in desk.events] == [(JOINED, 0), (LEFT, DisconnectReason.CAPACITY)]

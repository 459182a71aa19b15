"""State joining: credentials and nothing else until the application takes them; each mistake closes."""

import pytest

from shadowland._core.base.errors import UsageError
from shadowland._core.base.records import AUTHENTICATE
from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland._core.endpoint import players
from tests.reference import protocol
from tests.unit.desk import (
    LEFT,
    SECOND,
    SERVER,
    Desk,
    accepted,
    client_desk,
    get_cookie,
    joined,
    reference_client,
    server_desk,
)
from tests.unit.test_connecting import connecting, reference_server

NONE = DropReason.NONE
CONFIRM = bytes([protocol.CONTROL, protocol.CONFIRM])


def asking(joining: int = 8, capacity: int = 16) -> Desk:
    desk = server_desk(capacity=capacity)
    players.require_authentication(desk.endpoint, joining)
    return desk


def control(number: int, kind: int, data: bytes = b"") -> bytes:
    """A unit of the control stream."""
    return protocol.unit(number, number, bytes([kind]) + data, stream=8)


def said(desk: Desk, session: protocol.Sealed, us: int = 100_000) -> list[bytes]:
    return [content for datagram in desk.wait(us) if int.from_bytes(datagram[:4], "little") == session.connection_id
            for content in session.receive(datagram)]


def close_of(desk: Desk, session: protocol.Sealed) -> DisconnectReason:
    closes = {content[2] for content in said(desk, session) if content[:2] == bytes([protocol.CONTROL, protocol.CLOSE])}
    assert len(closes) == 1
    return DisconnectReason(closes.pop())


def test_credentials_reach_the_application_and_the_verdict_the_client() -> None:
    desk = asking()
    session = joined(desk, reference_client())
    handle = desk.events[-1][1]
    assert players.is_joining(desk.endpoint, handle) and not desk.endpoint.is_live(handle)
    assert players.joining(desk.endpoint) == 1 and players.credentials(desk.endpoint, handle) is None
    assert desk.give(session.packet(control(0, protocol.AUTHENTICATE, b"name:word"))) == (NONE, [])
    assert desk.events[-1] == (AUTHENTICATE, handle, 0)
    assert players.credentials(desk.endpoint, handle) == b"name:word"
    assert players.credentials(desk.endpoint, handle) == b""            # wiped
    with pytest.raises(UsageError, match="not joined yet"):
        desk.endpoint.send(handle, 0, 9, b"too early")
    assert players.admit(desk.endpoint, handle, desk.now_us)
    assert not players.admit(desk.endpoint, handle, desk.now_us)
    assert control(0, protocol.AUTHENTICATED) in said(desk, session)
    assert desk.endpoint.is_live(handle) and players.joining(desk.endpoint) == 0
    assert desk.give(session.packet(b"\0\x09hello")) == (NONE, []) and desk.messages == [(0, 9, b"hello")]
    desk.endpoint.send(handle, 0, 9, b"welcome")
    assert b"\0\x09welcome" in said(desk, session)


@pytest.mark.parametrize("size", [0, 1, 900])
def test_credentials_of_any_size(size: int) -> None:
    desk = asking()
    session = joined(desk, reference_client())
    desk.give(session.packet(control(0, protocol.AUTHENTICATE, bytes(size))))
    assert players.credentials(desk.endpoint, desk.events[-1][1]) == bytes(size)


def fragments(kind: int, data: bytes) -> list[bytes]:
    parts = [(bytes([kind]) + data)[at:at + 960] for at in range(0, len(data) + 1, 960)]
    count = len(parts) if len(parts) > 1 else 0
    return [protocol.unit(i, 0, part, i, count, stream=8) for i, part in enumerate(parts)]


@pytest.mark.parametrize(("size", "fine"), [(1023, True), (1024, True), (1025, False), (4095, False)])
def test_the_longest_credentials(size: int, fine: bool) -> None:
    desk = asking()
    session = joined(desk, reference_client())
    handle = desk.events[-1][1]
    for part in fragments(protocol.AUTHENTICATE, b"c" * size):
        desk.give(session.packet(part))
    if fine:
        assert players.credentials(desk.endpoint, handle) == b"c" * size
    else:
        assert close_of(desk, session) == DisconnectReason.PROTOCOL_VIOLATION


EARLY = {
    "unreliable": b"\0\x09hello", "fragment": b"\x08\5\0\1\2part", "reliable": b"\1\0\0\0\x09first",
    "latest": b"\3\x09new", "input": b"\4\x09\1\0\1\0", "snapshot": b"\5", "channel 6": b"\6", "nothing": b"\1",
}


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize("asked", [False, True])
def test_a_frame_of_the_application_before_the_verdict_closes(name: str, asked: bool) -> None:
    desk = asking()
    session = joined(desk, reference_client())
    if asked:
        desk.give(session.packet(control(0, protocol.AUTHENTICATE, b"x")))
    assert desk.give(session.packet(EARLY[name]))[0] == NONE
    assert desk.messages == [] and close_of(desk, session) == DisconnectReason.PROTOCOL_VIOLATION
    desk.wait(SECOND)
    assert players.joining(desk.endpoint) == desk.endpoint.live == 0 and desk.events[-1][0] == LEFT


def test_pings_are_answered_while_joining() -> None:
    desk = asking()
    session = joined(desk, reference_client())
    assert desk.give(session.packet(bytes([protocol.CONTROL, protocol.PING]) + bytes(8))) == (NONE, [])
    assert any(content[:2] == bytes([protocol.CONTROL, protocol.PONG]) for content in said(desk, session))


@pytest.mark.parametrize(("first", "second"), [
    (protocol.AUTHENTICATE, protocol.AUTHENTICATE), (protocol.AUTHENTICATED, None), (99, None)])
def test_control_messages_that_make_no_sense_close(first: int, second: int | None) -> None:
    desk = asking()
    session = joined(desk, reference_client())
    desk.give(session.packet(control(0, first)))
    if second is not None:
        desk.give(session.packet(control(1, second)))
    assert close_of(desk, session) == DisconnectReason.PROTOCOL_VIOLATION


def test_credentials_that_nobody_asked_for_close() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    desk.give(session.packet(control(0, protocol.AUTHENTICATE, b"x")))
    assert close_of(desk, session) == DisconnectReason.PROTOCOL_VIOLATION
    desk = asking()
    session = joined(desk, reference_client())
    desk.give(session.packet(control(0, protocol.AUTHENTICATE)))
    players.admit(desk.endpoint, desk.events[-1][1], desk.now_us)
    desk.give(session.packet(control(1, protocol.AUTHENTICATE)))        # after the verdict
    assert close_of(desk, session) == DisconnectReason.PROTOCOL_VIOLATION


def test_no_more_are_joining_than_the_limit_says() -> None:
    desk = asking(joining=2)
    sessions = [joined(desk, reference_client(1)), accepted(desk, reference_client(2))]     # half open counts too
    client = reference_client(3)
    client.answer(desk.give(client.connect(get_cookie(desk, client)))[1][0])
    assert client.rejected == (DisconnectReason.SERVER_FULL, [])
    desk.give(sessions[0].packet(control(0, protocol.AUTHENTICATE)))
    assert players.admit(desk.endpoint, desk.events[-1][1], desk.now_us)
    desk.give(accepted(desk, reference_client(4)).packet(CONFIRM))
    assert players.joining(desk.endpoint) == 1


def test_a_session_that_ends_while_joining_leaves_nothing() -> None:
    desk = asking(joining=1)
    for number in range(1, 6):
        session = joined(desk, reference_client(number))
        desk.give(session.packet(control(0, protocol.AUTHENTICATE, b"secret")))
        handle = desk.events[-1][1]
        desk.give(session.packet(bytes([protocol.CONTROL, protocol.CLOSE, 1])))
        assert players.joining(desk.endpoint) == 0 and players.credentials(desk.endpoint, handle) is None
        assert not players.admit(desk.endpoint, handle, desk.now_us)


def joining_client() -> tuple[Desk, protocol.Sealed, int]:
    desk, server = client_desk(), reference_server()
    server.flags = 1
    server.read_connect(connecting(desk, server), 5)
    assert desk.give(server.accept(0x1230, b"s" * 32), SERVER) == (NONE, [])
    assert server.session is not None
    return desk, server.session, desk.events[-1][1]


def test_a_client_shows_credentials_and_waits_for_the_verdict() -> None:
    desk, session, handle = joining_client()
    assert players.is_joining(desk.endpoint, handle) and not desk.endpoint.is_live(handle)
    players.authenticate(desk.endpoint, handle, b"name:word")
    contents = [content for datagram in desk.outbound() for content in session.receive(datagram)]
    assert contents == [CONFIRM, control(0, protocol.AUTHENTICATE, b"name:word")]
    with pytest.raises(UsageError, match="not joined yet"):
        desk.endpoint.send(handle, 0, 9, b"too early")
    assert desk.give(session.packet(b"\0\x09overtakes"), SERVER) == (NONE, [])
    assert desk.messages == [(0, 9, b"overtakes")] and players.is_joining(desk.endpoint, handle)
    assert desk.give(session.packet(control(0, protocol.AUTHENTICATED)), SERVER) == (NONE, [])
    assert desk.events[-1] == (AUTHENTICATE, handle, 0) and desk.endpoint.is_live(handle)
    desk.endpoint.send(handle, 0, 9, b"now")
    with pytest.raises(UsageError, match="is joining"):
        players.authenticate(desk.endpoint, handle, b"again")


@pytest.mark.parametrize("content", [control(0, protocol.AUTHENTICATED, b"x"), control(0, protocol.AUTHENTICATE),
                                     control(0, 99)])
def test_a_verdict_that_is_not_as_prescribed_ends_the_session(content: bytes) -> None:
    desk, session, _ = joining_client()
    assert desk.give(session.packet(content), SERVER)[0] == NONE
    assert close_of(desk, session) == DisconnectReason.PROTOCOL_VIOLATION


def test_a_verdict_that_nobody_waits_for_ends_the_session() -> None:
    desk, session, _ = joining_client()
    for number in range(2):
        desk.give(session.packet(control(number, protocol.AUTHENTICATED)), SERVER)
    assert close_of(desk, session) == DisconnectReason.PROTOCOL_VIOLATION


@pytest.mark.parametrize("flags", [2, 3, 0x80])
def test_unknown_flags_end_the_attempt(flags: int) -> None:
    desk, server = client_desk(), reference_server()
    server.flags = flags
    server.read_connect(connecting(desk, server), 5)
    desk.give(server.accept(0x1230, b"s" * 32), SERVER)
    assert [(kind, reason) for kind, _, reason in desk.events] == [(LEFT, DisconnectReason.PROTOCOL_VIOLATION)]


def test_mistakes_of_the_caller_are_named() -> None:
    desk, _, handle = joining_client()
    with pytest.raises(UsageError, match="1025 bytes; at most 1024"):
        players.authenticate(desk.endpoint, handle, bytes(1025))
    with pytest.raises(UsageError, match="only a server"):
        players.require_authentication(desk.endpoint)
    for value in (0, (1 << 20) + 1, 2**70):
        with pytest.raises(UsageError, match="joining is"):
            players.require_authentication(server_desk().endpoint, value)
    with pytest.raises(UsageError, match="once"):
        players.require_authentication(asking().endpoint)


@pytest.mark.parametrize(("length", "ends"), [(0, True), (64, True), (65, False), (200, False)])
def test_a_farewell_has_at_most_64_bytes(length: int, ends: bool) -> None:
    desk, session, handle = joining_client()
    text = bytes([7]) * length
    desk.give(session.packet(bytes([protocol.CONTROL, protocol.CLOSE, DisconnectReason.KICKED]) + text), SERVER)
    assert (desk.events[-1] == (LEFT, handle, DisconnectReason.KICKED)) == ends
    assert players.farewell_heard(desk.endpoint, handle) == (text if ends else b"")
    assert players.farewell_heard(desk.endpoint, handle + 1) == b""
    assert desk.dropped_messages() == ({} if ends else {DropReason.BAD_FRAME: 1})


def test_a_farewell_stands_in_every_close() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    handle = desk.events[-1][1]
    players.farewell(desk.endpoint, handle, b"be nice")
    desk.endpoint.close(handle, DisconnectReason.KICKED, desk.now_us)
    players.farewell(desk.endpoint, handle, b"too late")
    close = bytes([protocol.CONTROL, protocol.CLOSE, DisconnectReason.KICKED]) + b"be nice"
    assert said(desk, session, 200_000) == [close] * 3

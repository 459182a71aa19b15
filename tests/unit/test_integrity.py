"""Integrity challenges: right answers pass, wrong and late ones end the session, who has no table asks nobody."""
import hashlib
import hmac
import random
import struct

import pytest

from shadowland._core.base.errors import UsageError
from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland._core.endpoint import checks
from tests.reference import protocol
from tests.unit.desk import (
    LEFT,
    SECOND,
    SERVER,
    SERVER_KEY,
    Desk,
    accepted,
    client_desk,
    server_desk,
)
from tests.unit.test_connecting import connecting, reference_server
from tests.unit.test_joining import close_of, control

NONE = DropReason.NONE
CONFIRM = bytes([protocol.CONTROL, protocol.CONFIRM])
FILES = random.Random(1).randbytes(10_000)


def checking(tables: dict[int, bytes] | None = None, **times: int) -> Desk:
    desk = server_desk()
    checks.configure(desk.endpoint, tables or {7: FILES}, **times)
    return desk


def playing(desk: Desk, build: int = 7, number: int = 1) -> tuple[protocol.Sealed, bytes]:
    """A session of a client of that build, and its exporter key."""
    client = protocol.Client(SERVER_KEY, bytes([number]) * 32, schema_hash=7, build=build)
    session = accepted(desk, client)
    desk.give(session.packet(CONFIRM))
    assert checks.build(desk.endpoint, desk.events[-1][1]) == build
    return session, client.noise.exporter()


def challenges(desk: Desk, session: protocol.Sealed, seconds: int = 100) -> list[tuple[float, bytes]]:
    """(when, message) of the challenges in that time, everything acknowledged once a second."""
    found, begin = [], desk.now_us
    while desk.now_us < begin + seconds * SECOND:
        for _ in range(4):
            checks.sweep(desk.endpoint, desk.now_us)
            for datagram in desk.wait(SECOND // 4):
                for content in session.receive(datagram):
                    if content[0] == protocol.RELIABLE and content[6] == protocol.CHALLENGE:
                        found.append(((desk.now_us - begin) / SECOND, content[7:]))
        desk.give(session.packet(bytes([protocol.CONTROL, protocol.PING]) + bytes(8)))
        if found:
            return found
    return found


def answer(key: bytes, challenge: bytes, files: bytes = FILES) -> bytes:
    offset, length = struct.unpack_from("<II", challenge, 16)
    return hmac.new(key, challenge[:16] + files[offset:offset + length], hashlib.sha256).digest()


def test_right_answers_pass_again_and_again_at_random_times_over_random_slices() -> None:
    desk = checking()
    session, key = playing(desk)
    seen = []
    for number in range(5):
        when, challenge = challenges(desk, session)[0]
        assert len(challenge) == 24 and 29 <= when <= 91
        assert desk.give(session.packet(control(number, protocol.ANSWER, answer(key, challenge)))) == (NONE, [])
        assert checks.counts(desk.endpoint) == (number + 1, 0)
        seen.append((round(when), challenge))
    assert len({challenge for _, challenge in seen}) == 5 == len({challenge[16:20] for _, challenge in seen})
    assert len({when for when, _ in seen}) > 1
    offset, length = struct.unpack_from("<II", seen[0][1], 16)
    assert length == checks.SLICE and offset + length <= len(FILES)


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097])
def test_tables_of_any_size(size: int) -> None:
    desk = checking({7: FILES[:size]})
    session, key = playing(desk)
    _, challenge = challenges(desk, session)[0]
    offset, length = struct.unpack_from("<II", challenge, 16)
    assert length == min(size, 4096) and offset + length <= size
    desk.give(session.packet(control(0, protocol.ANSWER, answer(key, challenge, FILES[:size]))))
    assert checks.counts(desk.endpoint) == (1, 0)


@pytest.mark.parametrize("wrong", ["file", "key", "nonce", "bit"])
def test_a_wrong_answer_ends_the_session(wrong: str) -> None:
    desk = checking()
    session, key = playing(desk)
    _, challenge = challenges(desk, session)[0]
    right = answer(key, challenge)
    said = {"file": answer(key, challenge, bytes(10_000)), "key": answer(bytes(32), challenge),
            "nonce": answer(key, bytes(16) + challenge[16:]), "bit": right[:31] + bytes([right[31] ^ 1])}[wrong]
    desk.give(session.packet(control(0, protocol.ANSWER, said)))
    assert close_of(desk, session) == DisconnectReason.INTEGRITY_FAILED and checks.counts(desk.endpoint) == (0, 1)


def test_the_deadline_counts_from_the_acknowledgment() -> None:
    desk = checking(answer_us=10 * SECOND)
    session, key = playing(desk)
    while True:                                     # without acknowledging anything
        checks.sweep(desk.endpoint, desk.now_us)
        contents = [content for datagram in desk.wait(SECOND // 4) for content in session.receive(datagram)]
        asked = [content[7:] for content in contents if content[0] == protocol.RELIABLE]
        if asked:
            break
        desk.give(session.packet(bytes([protocol.CONTROL, protocol.PING]) + bytes(8)))
    for _ in range(20):                             # something opens, but the challenge is not acknowledged: it waits
        desk.give(session.seal(b"\0" + protocol.frame(CONFIRM)))
        for datagram in desk.wait(SECOND):
            session.open(datagram)
        checks.sweep(desk.endpoint, desk.now_us)
    assert desk.events[-1][0] != LEFT
    desk.give(session.packet(CONFIRM))              # now it is: ten seconds from here
    for _ in range(9):
        checks.sweep(desk.endpoint, desk.now_us)
        desk.wait(SECOND)
        desk.give(session.packet(CONFIRM))
    desk.give(session.packet(control(0, protocol.ANSWER, answer(key, asked[0]))))
    assert checks.counts(desk.endpoint) == (1, 0) and desk.events[-1][0] != LEFT


def test_a_late_answer_ends_the_session() -> None:
    desk = checking(answer_us=2 * SECOND)
    session, _ = playing(desk)
    challenges(desk, session)
    for _ in range(4):
        checks.sweep(desk.endpoint, desk.now_us)
        for datagram in desk.wait(SECOND):
            session.open(datagram)
    assert desk.events[-1][0] == LEFT and desk.events[-1][2] == DisconnectReason.INTEGRITY_FAILED
    assert checks.counts(desk.endpoint) == (0, 1)


def test_a_challenge_that_is_never_acknowledged_ends_the_session_too() -> None:
    desk = checking()
    session, _ = playing(desk)
    for _ in range(200):
        checks.sweep(desk.endpoint, desk.now_us)
        desk.wait(SECOND, SECOND // 4)
        desk.give(session.seal(b"\0" + protocol.frame(CONFIRM)))        # no ack block
        if desk.events[-1][0] == LEFT:
            break
    assert desk.events[-1][2] == DisconnectReason.INTEGRITY_FAILED


def test_other_builds_and_servers_without_a_table_challenge_nobody() -> None:
    for desk in (checking(), server_desk()):
        session, _ = playing(desk, build=8)
        assert challenges(desk, session, 200) == []
        desk.give(session.packet(control(0, protocol.ANSWER, bytes(32))))
        assert close_of(desk, session) == DisconnectReason.PROTOCOL_VIOLATION


@pytest.mark.parametrize("content", [
    control(0, protocol.ANSWER, bytes(31)), control(0, protocol.ANSWER, bytes(33)), control(0, protocol.ANSWER),
    control(0, protocol.ANSWER, bytes(32)), control(0, protocol.CHALLENGE, bytes(24))])
def test_what_nobody_asked_for_closes(content: bytes) -> None:
    desk = checking()
    session, _ = playing(desk)
    desk.give(session.packet(content))
    assert close_of(desk, session) == DisconnectReason.PROTOCOL_VIOLATION


def test_a_slot_that_is_taken_again_starts_anew() -> None:
    desk = checking()
    session, key = playing(desk)
    _, challenge = challenges(desk, session)[0]
    desk.give(session.packet(bytes([protocol.CONTROL, protocol.CLOSE, 1])))
    session, key = playing(desk, number=2)
    when, fresh = challenges(desk, session)[0]      # not judged by what the one before was asked
    assert fresh != challenge and when >= 29
    desk.give(session.packet(control(0, protocol.ANSWER, answer(key, fresh))))
    assert checks.counts(desk.endpoint) == (1, 0)
    desk.give(session.packet(bytes([protocol.CONTROL, protocol.CLOSE, 1])))
    session, _ = playing(desk, number=3)
    desk.give(session.packet(control(0, protocol.ANSWER, answer(key, challenge))))      # not asked yet
    assert close_of(desk, session) == DisconnectReason.PROTOCOL_VIOLATION


def asked(challenge: bytes, files: bytes | None) -> tuple[Desk, protocol.Sealed, bytes, list[bytes]]:
    """A client that is challenged: (desk, session, exporter key, its answers)."""
    desk, server = client_desk(), reference_server()
    if files is not None:
        checks.have(desk.endpoint, files)
    server.read_connect(connecting(desk, server), 5)
    desk.give(server.accept(0x1230, b"s" * 32), SERVER)
    assert server.session is not None
    desk.give(server.session.packet(control(0, protocol.CHALLENGE, challenge)), SERVER)
    contents = [content for datagram in desk.wait(SECOND // 10) for content in server.session.receive(datagram)]
    answers = [content[7:] for content in contents if content[0] == protocol.RELIABLE and content[6] == protocol.ANSWER]
    return desk, server.session, server.noise.exporter(), answers


def challenge(offset: int, length: int) -> bytes:
    return b"n" * 16 + struct.pack("<II", offset, length)


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (0, 4096), (5904, 4096), (10_000, 0), (77, 1)])
def test_a_client_answers_what_it_can(offset: int, length: int) -> None:
    _, _, key, answers = asked(challenge(offset, length), FILES)
    assert answers == [answer(key, challenge(offset, length))]


@pytest.mark.parametrize(("offset", "length", "files"), [
    (5905, 4096, FILES), (10_001, 0, FILES), (2**32 - 1, 4096, FILES), (2**32 - 1, 1, FILES), (0, 1, None)])
def test_a_client_that_has_not_the_bytes_says_nothing(offset: int, length: int, files: bytes | None) -> None:
    desk, _, _, answers = asked(challenge(offset, length), files)
    assert answers == [] and all(event[0] != LEFT for event in desk.events)


@pytest.mark.parametrize("wrong", [challenge(0, 4097), challenge(0, 2**32 - 1), b"", bytes(23), bytes(25)])
def test_a_challenge_that_is_not_as_prescribed_ends_the_session(wrong: bytes) -> None:
    desk, session, _, answers = asked(wrong, FILES)
    desk.wait(SECOND)
    assert answers == [] and desk.events[-1][2] == DisconnectReason.PROTOCOL_VIOLATION and session is not None


def test_mistakes_of_the_caller_are_named() -> None:
    client = client_desk().endpoint
    with pytest.raises(UsageError, match="only a server"):
        checks.configure(client, {7: FILES})
    with pytest.raises(UsageError, match="0 bytes"):
        checks.have(client, b"")
    with pytest.raises(UsageError, match="only a client"):
        checks.have(server_desk().endpoint, FILES)
    for tables, says in (({}, "0 builds"), (dict.fromkeys(range(9), b"x"), "9 builds"), ({7: b""}, "0 bytes"),
                         ({-1: b"x"}, "build -1"), ({2**32: b"x"}, "build 4294967296")):
        with pytest.raises(UsageError, match=says):
            checks.configure(server_desk().endpoint, tables)
    for name in ("every_us", "answer_us"):
        for value in (999, 2**40 + 1, 2**70):
            with pytest.raises(UsageError, match=name):
                checks.configure(server_desk().endpoint, {7: FILES}, **{name: value})
    with pytest.raises(UsageError, match="once"):
        checks.configure(checking().endpoint, {7: FILES})

"""Path validation datagram by datagram: who is challenged, which answer counts, what a liar gets (protocol.md 8)."""
import struct

import pytest

from shadowland._core.base.status import DropReason
from tests.reference import protocol
from tests.unit.desk import (
    CLIENT,
    JOINED,
    SECOND,
    SERVER,
    STRANGER,
    Desk,
    accepted,
    client_desk,
    joined,
    reference_client,
    server_desk,
)
from tests.unit.test_connecting import joined as client_joined
from tests.unit.test_connecting import reference_server

NONE = DropReason.NONE
MIGRATED = 7
CHALLENGE, RESPONSE = protocol.PATH_CHALLENGE, protocol.PATH_RESPONSE
THIRD = ("192.0.2.7", 40000)
OTHER_PORT = (CLIENT[0], 40001)
LONE = 14 + 12 + 16                                 # a challenge or response: header, body, tag
Live = tuple[Desk, protocol.Sealed]


@pytest.fixture
def live() -> Live:
    desk = server_desk()
    session = joined(desk, reference_client())
    desk.now_us += 30_000
    desk.outbound()
    return desk, session


def said(desk: Desk) -> list[tuple[tuple[str, int], bytes]]:
    """Everything it sends now, and where to."""
    datagrams = desk.outbound()
    return [(desk.out.remote(i), datagram) for i, datagram in enumerate(datagrams)]


def challenges(desk: Desk, session: protocol.Sealed) -> dict[tuple[str, int], bytes]:
    """Token of the challenge that goes to each address now."""
    found = {}
    for remote, datagram in said(desk):
        for frame in session.receive(datagram):
            if frame[:2] == bytes([protocol.CONTROL, CHALLENGE]):
                assert len(datagram) == LONE and remote not in found
                found[remote] = frame[2:]
    return found


def sent_to(desk: Desk, us: int) -> set[tuple[str, int]]:
    """Let time pass; every address that anything is sent to meanwhile."""
    found = set()
    for _ in range(0, us, 10_000):
        found |= {remote for remote, _ in said(desk)}
        desk.now_us += 10_000
    return found


def hello(session: protocol.Sealed, size: int = 20) -> bytes:
    return session.packet(b"\0\1" + bytes(size))


def respond(desk: Desk, session: protocol.Sealed, token: bytes, source: tuple[str, int]) -> None:
    assert desk.give(session.packet(bytes([protocol.CONTROL, RESPONSE]) + token), source) == (NONE, [])


def where(desk: Desk) -> tuple[str, int] | None:
    return desk.endpoint.remote(next(handle for kind, handle, _ in desk.events if kind == JOINED))


def moves(desk: Desk) -> int:
    assert desk.endpoint.counters["migrations"] == sum(kind == MIGRATED for kind, _, _ in desk.events)
    return desk.endpoint.counters["migrations"]


def test_a_newer_packet_from_elsewhere_challenges_both_paths_and_its_answer_moves_the_session(live: Live) -> None:
    desk, session = live
    assert desk.give(session.packet(b"\0\1first"), STRANGER) == (NONE, [])
    assert desk.messages[-1] == (0, 1, b"first")                        # what it says is proven, only not its address
    tokens = challenges(desk, session)
    assert set(tokens) == {CLIENT, STRANGER} and tokens[CLIENT] != tokens[STRANGER]
    assert where(desk) == CLIENT
    respond(desk, session, tokens[STRANGER], STRANGER)
    assert where(desk) == STRANGER and moves(desk) == 1
    assert {remote for remote, _ in said(desk)} == {STRANGER}           # at once: something that elicits


def test_data_stays_on_the_old_path_until_the_new_one_answered(live: Live) -> None:
    desk, session = live
    handle = desk.events[-1][1]
    desk.give(hello(session), STRANGER)
    desk.endpoint.send(handle, 0, 1, b"data")
    to = {remote: [] for remote in (CLIENT, STRANGER)}                  # type: ignore[var-annotated]
    for remote, datagram in said(desk):
        to[remote] += session.receive(datagram)
    assert b"\0\1data" in to[CLIENT] and [frame[1] for frame in to[STRANGER]] == [CHALLENGE]


@pytest.mark.parametrize("how", ["wrong token", "over the old path", "over a third path", "the old one's token",
                                 "after a challenge that was given up"])
def test_no_other_answer_moves_it(live: Live, how: str) -> None:
    desk, session = live
    desk.give(hello(session), STRANGER)
    tokens = challenges(desk, session)
    token, source = tokens[STRANGER], STRANGER
    if how == "wrong token":
        token = bytes([token[0] ^ 1]) + token[1:]
    elif how == "over the old path":
        source = CLIENT
    elif how == "over a third path":
        source = THIRD
    elif how == "the old one's token":
        token = tokens[CLIENT]
    else:
        desk.wait(4 * SECOND)
        assert desk.endpoint.counters["paths_refused"] == 1
    respond(desk, session, token, source)
    assert moves(desk) == 0 and where(desk) == CLIENT
    assert desk.dropped_messages() == {DropReason.STALE: 1}
    assert len(desk.events) == 1                                        # and the session lives


def test_an_answer_counts_once(live: Live) -> None:
    desk, session = live
    desk.give(hello(session), STRANGER)
    token = challenges(desk, session)[STRANGER]
    respond(desk, session, token, STRANGER)
    respond(desk, session, token, STRANGER)
    assert moves(desk) == 1 and desk.dropped_messages() == {DropReason.STALE: 1}


def test_the_old_path_wins_if_it_answers_and_carries_newer_packets(live: Live) -> None:
    desk, session = live
    desk.give(hello(session), STRANGER)                                 # a copy that overtook the true one
    tokens = challenges(desk, session)
    respond(desk, session, tokens[CLIENT], CLIENT)
    assert desk.endpoint.counters["paths_refused"] == 1
    respond(desk, session, tokens[STRANGER], STRANGER)                  # too late: nothing is pending any more
    assert moves(desk) == 0 and where(desk) == CLIENT


def test_the_new_path_wins_if_it_carries_what_is_newest_although_the_old_one_answers(live: Live) -> None:
    desk, session = live
    desk.give(hello(session), STRANGER)
    tokens = challenges(desk, session)
    late = session.packet(bytes([protocol.CONTROL, RESPONSE]) + tokens[CLIENT])
    desk.give(hello(session), STRANGER)                                 # newer than what is still under way
    assert desk.give(late, CLIENT)[0] == NONE and desk.endpoint.counters["paths_refused"] == 0
    respond(desk, session, tokens[STRANGER], STRANGER)
    assert moves(desk) == 1 and where(desk) == STRANGER


def test_an_older_packet_from_elsewhere_challenges_nobody(live: Live) -> None:
    desk, session = live
    held = hello(session)
    desk.give(hello(session))
    assert desk.give(held, STRANGER) == (NONE, []) and len(desk.messages) == 2
    assert not challenges(desk, session)


def test_a_replayed_packet_from_elsewhere_is_dropped_and_challenges_nobody(live: Live) -> None:
    desk, session = live
    captured = hello(session)
    desk.give(captured)
    for source in (STRANGER, OTHER_PORT, THIRD):
        assert desk.give(captured, source)[0] == DropReason.REPLAYED
    assert not challenges(desk, session)


def test_the_local_address_is_part_of_the_path(live: Live) -> None:
    desk, session = live
    desk.batch.clear()
    desk.batch.append(hello(session), CLIENT, ("10.0.0.99", 3565))
    desk.endpoint.inbound(desk.batch, desk.replies, desk.now_us)
    out = said(desk)
    assert [remote for remote, _ in out] == [CLIENT, CLIENT]
    assert [desk.out.local(i) for i in range(2)] == [("10.0.0.99", 3565), None]


def test_challenges_are_repeated_with_back_off_then_the_path_is_given_up(live: Live) -> None:
    desk, session = live
    start = desk.now_us
    for _ in range(20):                                                 # enough to be allowed every repetition
        desk.give(hello(session), STRANGER)
    times: dict[tuple[str, int], list[int]] = {CLIENT: [], STRANGER: []}
    seen: dict[tuple[str, int], bytes] = {}
    for _ in range(500):
        for remote, token in challenges(desk, session).items():
            times[remote].append(desk.now_us - start)
            assert seen.setdefault(remote, token) == token
        desk.now_us += 10_000
    assert times[CLIENT] == times[STRANGER] == [0, 250_000, 750_000, 1_750_000, 2_750_000]
    assert desk.endpoint.counters["paths_refused"] == 1 and where(desk) == CLIENT


def test_over_an_unproven_path_at_most_three_times_what_came_by_it_is_sent(live: Live) -> None:
    desk, session = live
    came = 14 + 1 + 16
    assert desk.give(session.seal(b"\0"), STRANGER) == (NONE, [])       # the shortest packet there is
    sent = 0
    for _ in range(400):
        sent += sum(len(datagram) for remote, datagram in said(desk) if remote == STRANGER)
        desk.now_us += 10_000
    assert sent == 2 * LONE <= 3 * came < 3 * LONE
    assert where(desk) == CLIENT


def test_room_for_another_challenge_is_used_as_soon_as_it_is_there(live: Live) -> None:
    desk, session = live
    desk.give(session.seal(b"\0"), STRANGER)
    desk.wait(800_000)                                                  # two are sent, the third one has no room
    desk.give(session.seal(b"\0"), STRANGER)
    assert set(challenges(desk, session)) == {STRANGER}


def test_a_third_address_waits_a_second_and_then_takes_the_place_of_the_second(live: Live) -> None:
    desk, session = live
    desk.give(hello(session), STRANGER)
    tokens = challenges(desk, session)
    desk.now_us += SECOND - 1
    assert desk.give(session.packet(b"\0\1busy"), THIRD) == (NONE, []) and desk.messages[-1] == (0, 1, b"busy")
    assert THIRD not in challenges(desk, session) and desk.endpoint.counters["paths_busy"] == 1
    desk.now_us += 1
    desk.give(hello(session), THIRD)
    tokens = challenges(desk, session)
    assert set(tokens) == {CLIENT, THIRD}
    respond(desk, session, tokens[THIRD], THIRD)
    assert where(desk) == THIRD and moves(desk) == 1


def test_who_moves_twice_within_a_second_and_then_is_silent_is_found_when_the_second_is_over(live: Live) -> None:
    desk, session = live
    desk.give(hello(session), STRANGER)
    challenges(desk, session)
    desk.now_us += 300_000
    desk.give(hello(session), THIRD)
    desk.give(hello(session), THIRD)
    assert THIRD not in sent_to(desk, 690_000)
    desk.now_us += 10_000
    tokens = challenges(desk, session)
    assert set(tokens) == {CLIENT, THIRD}
    respond(desk, session, tokens[THIRD], THIRD)
    assert where(desk) == THIRD


def test_who_moves_away_and_comes_back_within_a_second_is_left_alone(live: Live) -> None:
    desk, session = live
    desk.give(hello(session), STRANGER)
    tokens = challenges(desk, session)
    desk.give(hello(session), THIRD)
    respond(desk, session, tokens[CLIENT], CLIENT)
    assert sent_to(desk, 3 * SECOND) <= {CLIENT}
    assert where(desk) == CLIENT and moves(desk) == 0


def test_a_flood_of_addresses_is_answered_once_a_second(live: Live) -> None:
    desk, session = live
    targets = set()
    for i in range(1000):
        desk.give(hello(session), (f"198.51.{i >> 8}.{i & 255}", 1000))
        targets |= set(challenges(desk, session)) - {CLIENT}
        desk.now_us += 5_000
    assert len(targets) == 5 and where(desk) == CLIENT
    assert desk.endpoint.counters["paths_busy"] == 995


def test_only_a_change_of_the_port_keeps_the_round_trip(live: Live) -> None:
    desk, session = live
    handle = desk.events[-1][1]
    desk.endpoint.send(handle, 0, 1, b"x")
    (datagram,) = desk.outbound()
    desk.now_us += 80_000
    session.receive(datagram)
    desk.give(session.packet(b"\0\1y"))
    assert desk.endpoint.stats(handle)["rtt_us"][0] == 80_000
    for source, kept in ((OTHER_PORT, True), (STRANGER, False)):
        desk.now_us += SECOND
        desk.give(hello(session), source)
        token = challenges(desk, session)[source]
        desk.now_us += 30_000
        respond(desk, session, token, source)
        assert desk.endpoint.remote(handle) == source
        assert (desk.endpoint.stats(handle)["rtt_us"][0] > 60_000) == kept      # a ping's round trip moved it by 1/8


def test_the_acknowledgment_of_what_left_over_the_old_path_measures_nothing_of_the_new_one(live: Live) -> None:
    desk, session = live
    handle = desk.events[-1][1]
    desk.endpoint.send(handle, 0, 1, b"x")
    (datagram,) = desk.outbound()
    desk.give(hello(session), STRANGER)
    token = challenges(desk, session)[STRANGER]
    desk.now_us += 300_000
    desk.outbound()                                                     # a second challenge: no doubt-free sample
    respond(desk, session, token, STRANGER)
    assert desk.endpoint.stats(handle)["rtt_us"][0] == 0
    session.receive(datagram)
    desk.give(session.packet(), STRANGER)
    assert desk.endpoint.stats(handle)["rtt_us"][0] == 0


def test_a_half_open_connection_does_not_move() -> None:
    desk = server_desk()
    session = accepted(desk, reference_client())
    confirm = session.packet(bytes([protocol.CONTROL, protocol.CONFIRM]))
    assert desk.give(confirm, STRANGER)[0] == DropReason.WRONG_PATH
    assert desk.give(confirm)[0] == NONE and where(desk) == CLIENT


def test_a_server_that_is_challenged_and_a_client_that_is_answered_count_it() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    desk.give(session.packet(bytes([protocol.CONTROL, CHALLENGE]) + bytes(8)))
    assert desk.dropped_messages() == {DropReason.UNEXPECTED: 1}
    client = client_desk()
    session = client_joined(client, reference_server())
    client.give(session.packet(bytes([protocol.CONTROL, RESPONSE]) + bytes(8)), SERVER)
    assert client.dropped_messages() == {DropReason.UNEXPECTED: 1}


def test_a_client_answers_from_where_the_challenge_came_to_and_its_server_never_moves() -> None:
    desk = client_desk()
    session = client_joined(desk, reference_server())
    desk.outbound()
    desk.batch.clear()
    desk.batch.append(session.packet(bytes([protocol.CONTROL, CHALLENGE]) + bytes(range(8))), SERVER, CLIENT)
    desk.endpoint.inbound(desk.batch, desk.replies, desk.now_us)
    ((remote, datagram),) = said(desk)
    assert (remote, desk.out.local(0)) == (SERVER, CLIENT)
    assert session.receive(datagram) == [bytes([protocol.CONTROL, RESPONSE, *range(8)])]
    for source in (STRANGER, (SERVER[0], 1)):       # a client knows its sessions by the server's address too
        assert desk.give(session.packet(b"\0\1x"), source)[0] == DropReason.UNKNOWN_CONNECTION


def test_a_flood_of_challenges_gets_two_answers_a_pass() -> None:
    desk = client_desk()
    session = client_joined(desk, reference_server())
    desk.outbound()
    flood = [bytes([protocol.CONTROL, CHALLENGE]) + struct.pack("<Q", i // 2) for i in range(100)]
    assert desk.give(session.packet(*flood), SERVER)[0] == NONE
    frames = [frame for datagram in desk.outbound() for frame in session.receive(datagram)]
    answers = [struct.unpack("<Q", frame[2:])[0] for frame in frames if frame[1] == RESPONSE]
    assert sorted(answers) == [48, 49]
    assert not any(frame[1] == RESPONSE for d in desk.wait(SECOND) for frame in session.receive(d))

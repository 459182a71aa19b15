"""Keys over time, datagram by datagram: who says what, which keys open what, and what ends a session."""
import hashlib
from typing import Any

import pytest

from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland.errors import UsageError
from tests.reference import keys, protocol
from tests.sim.peers import new_server
from tests.unit.desk import CLIENT, LEFT, SECOND, SERVER, Desk, client_desk, joined, reference_client, server_desk
from tests.unit.test_connecting import joined as joined_to
from tests.unit.test_connecting import reference_server

NONE, NO_KEYS, AUTH_FAILED, REPLAYED = DropReason.NONE, DropReason.NO_KEYS, DropReason.AUTH_FAILED, DropReason.REPLAYED
GRACE_OVER = 2_100_000              # three probe timeouts without a sample: 3 * 666 ms
ASK, REQUEST, RESPONSE = protocol.REKEY_ASK, protocol.REKEY_REQUEST, protocol.REKEY_RESPONSE
HELLO = b"\0\x09hello"


def secret(number: int) -> bytes:
    return hashlib.sha256(bytes([number])).digest()


def heard(session: protocol.Sealed, datagrams: list[bytes]) -> list[bytes]:
    """What the control stream of these datagrams says, kinds included."""
    units = [content for datagram in datagrams for content in session.receive(datagram)
             if content[0] == protocol.RELIABLE and content[1] == protocol.CONTROL_STREAM]
    fresh = [content for i, content in enumerate(units) if content[2:4] not in
             session.heard | {earlier[2:4] for earlier in units[:i]}]
    session.heard |= {content[2:4] for content in fresh}
    return [content[6:] for content in fresh]


def flags(datagrams: list[bytes]) -> set[int]:
    return {datagram[5] for datagram in datagrams}


def handle(desk: Desk) -> int:
    return desk.events[0][1]


def epoch(desk: Desk) -> int:
    return int(desk.endpoint.stats()["epoch"][0])


def ended(desk: Desk, reason: DisconnectReason) -> bool:
    desk.wait(SECOND)
    return desk.events[-1][::2] == (LEFT, reason)


def begun(desk: Desk, session: protocol.Sealed, number: int = 1) -> None:
    """A client asks and is answered; it has not used the new keys yet."""
    assert session.epochs is not None
    request = session.epochs.request(secret(number))
    assert request is not None
    assert desk.give(session.packet(session.control(REQUEST, request))) == (NONE, [])
    ((kind, *response),) = heard(session, desk.wait(40_000))
    assert kind == RESPONSE and session.epochs.complete(bytes(response))


def rekeyed(desk: Desk, session: protocol.Sealed, number: int = 1) -> None:
    """... and uses them; the grace time is over."""
    begun(desk, session, number)
    assert desk.give(session.packet(HELLO)) == (NONE, [])
    heard(session, desk.wait(GRACE_OVER))
    assert session.epochs is not None and session.epochs.confirmed
    session.epochs.settle()


def test_a_server_answers_and_follows_when_it_has_opened_a_packet_of_the_new_epoch() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    old = session.packet(HELLO)
    begun(desk, session)
    assert epoch(desk) == 1 and desk.endpoint.counters["rekeys"] == 0
    desk.endpoint.send(handle(desk), 0, 9, b"before")
    before = desk.outbound()
    assert flags(before) == {3}                                 # nobody sends what the other may have no key for
    new = session.packet(HELLO)
    assert new[5] == 7 and desk.give(new) == (NONE, [])
    desk.endpoint.send(handle(desk), 0, 9, b"after")
    after = desk.outbound()
    assert flags(after) == {7} and desk.endpoint.counters["rekeys"] == 1
    assert [session.receive(datagram)[-1] for datagram in (*before, *after)] == [b"\0\x09before", b"\0\x09after"]
    assert desk.give(old) == (NONE, [])                         # late, in the grace time
    assert len(desk.messages) == 2


def test_epochs_follow_one_another_and_phases_come_again() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    for number in range(1, 6):
        rekeyed(desk, session, number)
        assert epoch(desk) == number and desk.endpoint.counters["rekeys"] == number
        assert session.packet(HELLO)[5] == (7 if number % 2 else 3)


def test_a_request_within_the_grace_time_waits_for_its_end() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    begun(desk, session)
    assert desk.give(session.packet(HELLO)) == (NONE, [])
    heard(session, desk.wait(100_000))
    assert session.epochs is not None
    session.epochs.settle()                                     # a client whose grace time is shorter
    request = session.epochs.request(secret(2))
    assert request is not None
    assert desk.give(session.packet(session.control(REQUEST, request))) == (NONE, [])
    assert heard(session, desk.wait(1_800_000)) == [] and epoch(desk) == 1
    ((kind, *response),) = heard(session, desk.wait(300_000))
    assert kind == RESPONSE and session.epochs.complete(bytes(response)) and epoch(desk) == 2


def test_a_phase_without_keys_is_dropped_before_opening() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    body = b"\0" + protocol.frame(HELLO)
    assert desk.give(session.seal(body, 50, flags=7)) == (NO_KEYS, [])  # not begun
    begun(desk, session)
    new = session.packet(HELLO)
    assert desk.give(new[:5] + b"\3" + new[6:]) == (AUTH_FAILED, [])    # the phase is authenticated
    assert desk.give(new) == (NONE, [])
    desk.wait(GRACE_OVER)
    assert desk.give(session.seal(body, 3, flags=3)) == (NO_KEYS, [])   # over
    assert desk.give(session.packet(HELLO)) == (NONE, [])


def test_half_open_knows_no_second_phase() -> None:
    from tests.unit.desk import accepted

    desk = server_desk()
    session = accepted(desk, reference_client())
    assert desk.give(session.seal(b"\0\2\7\0", 0, flags=7)) == (NO_KEYS, [])
    assert desk.give(session.seal(b"\0\2\7\0", 0)) == (NONE, [])


def test_old_keys_open_only_sequences_below_the_first_of_the_new_epoch() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    begun(desk, session)
    body = b"\0" + protocol.frame(HELLO)
    assert session.epochs is not None
    assert desk.give(session.epochs.seal(session.connection_id, 20, body)) == (NONE, [])
    for sequence, expected in ((20, REPLAYED), (21, NO_KEYS), (2**40, NO_KEYS), (19, NONE), (19, REPLAYED)):
        assert desk.give(session.seal(body, sequence, flags=3)) == (expected, [])
    assert desk.give(session.epochs.seal(session.connection_id, 10, body)) == (NONE, [])
    assert desk.give(session.seal(body, 11, flags=3)) == (NO_KEYS, [])
    assert desk.give(session.seal(body, 9, flags=3)) == (NONE, [])


def test_acknowledgments_that_come_late_keep_no_old_key_for_more_than_five_seconds() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    desk.endpoint.send(handle(desk), 0, 9, b"x")
    heard(session, desk.outbound())
    desk.now_us += 4 * SECOND
    assert desk.give(session.packet()) == (NONE, [])                    # three probe timeouts are 14 s now
    assert desk.endpoint.stats()["rtt_variance_us"][0] > 900_000
    begun(desk, session)
    body = b"\0" + protocol.frame(HELLO)
    assert session.epochs is not None
    assert desk.give(session.epochs.seal(session.connection_id, 20, body)) == (NONE, [])
    desk.wait(4_900_000)
    assert desk.give(session.seal(body, 10, flags=3)) == (NONE, [])
    desk.wait(200_000)
    assert desk.give(session.seal(body, 11, flags=3)) == (NO_KEYS, [])


def test_replayed_packets_of_an_old_epoch_stay_replays() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    old = session.packet(HELLO)
    assert desk.give(old) == (NONE, [])
    rekeyed(desk, session)
    assert desk.give(old) == (REPLAYED, [])
    rekeyed(desk, session, 2)                                   # the same phase again: still the same numbers
    assert desk.give(old) == (REPLAYED, [])
    assert len(desk.messages) == 3


@pytest.mark.parametrize("kind, data", [
    (ASK, b""), (RESPONSE, keys.public_key(b"x" * 32)), (REQUEST, b""), (REQUEST, bytes(31)), (REQUEST, bytes(33)),
    (REQUEST, bytes(32)), (REQUEST, (1).to_bytes(32, "little")),        # points of low order
])
def test_what_a_client_may_not_say_ends_the_session(kind: int, data: bytes) -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    desk.give(session.packet(session.control(kind, data)))
    assert ended(desk, DisconnectReason.PROTOCOL_VIOLATION)


@pytest.mark.parametrize("when", ["before the new keys are used", "while one is held"])
def test_a_second_request_out_of_turn_ends_the_session(when: str) -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    begun(desk, session)
    if when == "while one is held":
        assert desk.give(session.packet(session.control(REQUEST, keys.public_key(secret(7))))) == (NONE, [])
    desk.give(session.packet(session.control(REQUEST, keys.public_key(secret(8)))))
    if when == "before the new keys are used":                  # that packet was the first of the new epoch
        assert desk.endpoint.is_live(handle(desk))
        desk.give(session.packet(session.control(REQUEST, keys.public_key(secret(9)))))
    assert ended(desk, DisconnectReason.PROTOCOL_VIOLATION)


def test_a_request_in_the_old_epoch_after_the_answer_ends_the_session() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    begun(desk, session)
    body = b"\0" + protocol.frame(session.control(REQUEST, keys.public_key(secret(8))))
    desk.give(session.seal(body, 30, flags=3))
    assert ended(desk, DisconnectReason.PROTOCOL_VIOLATION)


def test_a_server_asks_once_and_its_client_starts() -> None:
    desk = server_desk()
    session = joined(desk, reference_client())
    assert desk.endpoint.rekey(handle(desk)) and desk.endpoint.rekey(handle(desk))
    assert heard(session, desk.wait(3 * SECOND)) == [bytes([ASK])]      # repeated, but as the same unit
    rekeyed(desk, session)
    assert epoch(desk) == 1 and heard(session, desk.wait(3 * SECOND)) == []
    assert not desk.endpoint.rekey(77)


@pytest.mark.parametrize("limits", [{"rekey_packets": 16}, {"rekey_bytes": 1 << 16}, {"rekey_age_us": SECOND}])
def test_bytes_packets_and_age_make_a_server_ask(limits: dict[str, Any]) -> None:
    desk = server_desk(**limits)
    session = joined(desk, reference_client())
    size, said = 1000 if "rekey_bytes" in limits else 10, []
    for turn in range(110):
        desk.endpoint.send(handle(desk), 0, 9, hashlib.shake_128(b"does not shrink").digest(size))
        said += heard(session, desk.wait(10_000))
        if said:
            break
        assert desk.give(session.packet()) == (NONE, []), turn
    assert said[0] == bytes([ASK])
    turns: dict[str, range] = {"rekey_packets": range(12, 17), "rekey_bytes": range(60, 66),
                               "rekey_age_us": range(70, 102)}
    assert turn in turns[next(iter(limits))]


def test_ages_are_spread() -> None:
    desk = server_desk(rekey_age_us=100 * SECOND, idle_timeout_us=1000 * SECOND)
    sessions = [joined(desk, reference_client(number), ("10.0.0.2", 40000 + number)) for number in range(8)]
    asked: dict[int, int] = {}
    start = desk.now_us
    while len(asked) < len(sessions) and desk.now_us < start + 101 * SECOND:
        for number, session in enumerate(sessions):
            desk.give(session.packet(), ("10.0.0.2", 40000 + number))
        for datagram in desk.wait(SECOND, SECOND):
            session = next(s for s in sessions if datagram[:4] == s.connection_id.to_bytes(4, "little"))
            if bytes([ASK]) in heard(session, [datagram]):
                asked.setdefault(session.connection_id, desk.now_us - start)
    assert len(asked) == 8 and all(74 * SECOND <= age <= 102 * SECOND for age in asked.values())
    assert len({age // (2 * SECOND) for age in asked.values()}) >= 4


# --- packets that do not open ---------------------------------------------------------------------------------------

def forged(session: protocol.Sealed, count: int) -> list[bytes]:
    return [session.seal(b"\0", 100 + i)[:-1] + b"?" for i in range(count)]


def test_failed_openings_make_it_ask_and_then_end_it() -> None:
    desk = server_desk(rekey_failures=10, most_failures=25)
    session = joined(desk, reference_client())
    assert desk.give_all(forged(session, 9))[0] == [AUTH_FAILED] * 9
    assert heard(session, desk.wait(100_000)) == []
    assert desk.give_all(forged(session, 1))[0] == [AUTH_FAILED]
    assert bytes([ASK]) in heard(session, desk.wait(100_000))
    assert desk.give_all(forged(session, 14))[0] == [AUTH_FAILED] * 14 and desk.endpoint.is_live(handle(desk))
    assert desk.give_all(forged(session, 1))[0] == [AUTH_FAILED]
    assert ended(desk, DisconnectReason.KEYS_EXHAUSTED)


def test_new_keys_begin_to_count_anew() -> None:
    desk = server_desk(rekey_failures=10, most_failures=25)
    session = joined(desk, reference_client())
    for number in range(1, 4):
        assert desk.give_all(forged(session, 24))[0] == [AUTH_FAILED] * 24
        rekeyed(desk, session, number)
    assert desk.endpoint.is_live(handle(desk))


def test_only_what_is_tried_with_a_key_counts() -> None:
    desk = server_desk(rekey_failures=2, most_failures=3)
    session = joined(desk, reference_client())
    desk.give_all([datagram[:5] + b"\7" + datagram[6:] for datagram in forged(session, 20)])   # a phase without keys
    desk.give_all([session.seal(b"\0", 0)] * 20)                        # replays
    desk.give_all([datagram[:14 + 16] for datagram in forged(session, 20)])                     # too short
    assert desk.endpoint.is_live(handle(desk)) and heard(session, desk.wait(100_000)) == []


@pytest.mark.parametrize("name, low, high", [
    ("rekey_bytes", 1 << 16, 1 << 50), ("rekey_packets", 16, 1 << 40), ("rekey_age_us", SECOND, 1 << 40),
    ("rekey_failures", 1, 1 << 34), ("most_failures", (1 << 24) + 1, 1 << 35),
])
def test_limits_have_ranges(name: str, low: int, high: int) -> None:
    for value in (low, high):
        new_server(**limit(name, value))
    for value in (low - 1, high + 1, -1):
        with pytest.raises(UsageError, match=f"{name} is {value}; it must be {low} to {high}"):
            new_server(**limit(name, value))


def limit(name: str, value: int) -> dict[str, Any]:
    return {name: value}


# --- the client's side ----------------------------------------------------------------------------------------------

def answered(desk: Desk, session: protocol.Sealed, number: int = 1) -> None:
    """The client asked: a server answers."""
    assert session.epochs is not None
    said = heard(session, desk.wait(40_000))
    assert [message[0] for message in said] == [REQUEST]
    response = session.epochs.respond(secret(number), said[0][1:])
    assert response is not None
    assert desk.give(session.packet(session.control(RESPONSE, response)), SERVER) == (NONE, [])


def test_a_client_asks_and_sends_in_the_new_epoch_from_the_answer_on() -> None:
    desk, server = client_desk(), reference_server()
    session = joined_to(desk, server)
    heard(session, desk.outbound())
    assert desk.give(session.packet(), SERVER) == (NONE, [])
    assert desk.endpoint.rekey(1 << 32)
    answered(desk, session)
    said = desk.wait(60_000)
    assert flags(said) == {7} and said                          # without anything to say: the server waits for it
    assert all(session.open(datagram) is not None for datagram in said)
    assert session.epochs is not None and session.epochs.confirmed and epoch(desk) == 1
    assert desk.give(session.seal(b"\0" + protocol.frame(HELLO), 40, flags=3), SERVER) == (NONE, [])
    assert desk.give(session.packet(HELLO), SERVER) == (NONE, [])
    assert desk.give(session.seal(b"\0" + protocol.frame(HELLO), 41, flags=3), SERVER) == (NO_KEYS, [])


def test_an_ask_that_crosses_the_request_makes_no_second_one() -> None:
    desk, server = client_desk(), reference_server()
    session = joined_to(desk, server)
    heard(session, desk.outbound())
    assert desk.endpoint.rekey(1 << 32)
    said = heard(session, desk.outbound())
    assert [message[0] for message in said] == [REQUEST] and session.epochs is not None
    response = session.epochs.respond(secret(1), said[0][1:])
    assert response is not None
    assert desk.give(session.packet(session.control(ASK)), SERVER) == (NONE, [])
    assert desk.give(session.packet(session.control(RESPONSE, response)), SERVER) == (NONE, [])
    heard(session, desk.wait(50_000))
    assert desk.give(session.packet(HELLO), SERVER) == (NONE, [])
    assert heard(session, desk.wait(3 * SECOND)) == [] and epoch(desk) == 1


def test_an_ask_within_the_grace_time_is_followed_afterwards() -> None:
    desk, server = client_desk(), reference_server()
    session = joined_to(desk, server)
    heard(session, desk.outbound())
    assert desk.give(session.packet(session.control(ASK)), SERVER) == (NONE, [])
    answered(desk, session)
    heard(session, desk.wait(50_000))
    assert desk.give(session.packet(session.control(ASK)), SERVER) == (NONE, [])
    assert heard(session, desk.wait(900_000)) == []           # here a sample makes it 1 s
    assert session.epochs is not None
    session.epochs.settle()
    desk.now_us += 100_000
    answered(desk, session, 2)
    assert epoch(desk) == 2


@pytest.mark.parametrize("kind, data", [(RESPONSE, keys.public_key(b"x" * 32)), (REQUEST, keys.public_key(b"x" * 32)),
                                        (ASK, b"?")])
def test_what_a_server_may_not_say_unasked_ends_the_session(kind: int, data: bytes) -> None:
    desk, server = client_desk(), reference_server()
    session = joined_to(desk, server)
    heard(session, desk.outbound())
    desk.give(session.packet(session.control(kind, data)), SERVER)
    assert ended(desk, DisconnectReason.PROTOCOL_VIOLATION)


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(33), bytes(32), (1).to_bytes(32, "little"), b"twice"])
def test_a_wrong_answer_ends_the_session(data: bytes) -> None:
    desk, server = client_desk(), reference_server()
    session = joined_to(desk, server)
    heard(session, desk.outbound())
    assert desk.endpoint.rekey(1 << 32)
    if data == b"twice":
        answered(desk, session)
        data = keys.public_key(secret(1))
    else:
        heard(session, desk.outbound())
    desk.give(session.packet(session.control(RESPONSE, data)), SERVER)
    assert ended(desk, DisconnectReason.PROTOCOL_VIOLATION)


def test_no_key_and_nonce_are_used_twice() -> None:
    """Every packet of both directions through many rekeys, opened with keys that are known here."""
    used: set[tuple[bytes, bytes]] = set()
    desk = server_desk()
    session = joined(desk, reference_client())
    assert session.epochs is not None

    def note(datagrams: list[bytes], secrets: list[bytes]) -> None:
        for datagram in datagrams:
            number = session.epochs.epoch if session.epochs else 0
            key = secrets[number - ((number & 1) != (datagram[5] >> 2 & 1))]
            nonce = datagram[:4] + datagram[6:14]
            assert (key, nonce) not in used
            used.add((key, nonce))

    for number in range(1, 6):
        for _ in range(10):
            packet = session.packet(HELLO)
            note([packet], session.epochs.send)
            assert desk.give(packet, CLIENT) == (NONE, [])
            desk.endpoint.send(handle(desk), 0, 9, b"x")
            said = desk.wait(20_000)
            note(said, session.epochs.receive)
            heard(session, said)
        rekeyed(desk, session, number)
    assert len({key for key, _ in used}) == 10 and len(used) >= 100

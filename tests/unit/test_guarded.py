"""The guard in the path: forged traffic moves nobody's score, what is proven is measured, each refusal is counted."""
import struct

import pytest

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland._core.endpoint.guarded import blame
from shadowland._core.guard.guard import Guard
from tests.reference import protocol
from tests.reference.guard import (
    ADDRESS,
    ALL,
    BAD,
    BAN,
    BYTES,
    CLOSE,
    DROP,
    HANDSHAKES,
    HELLOS,
    PACKETS,
    SESSION,
    SUBNET,
    Rule,
)
from tests.unit.desk import (
    CLIENT,
    IDENTITY,
    LEFT,
    SECOND,
    STRANGER,
    Desk,
    accepted,
    get_cookie,
    joined,
    reference_client,
)

NONE, GUARDED, BANNED = DropReason.NONE, DropReason.GUARDED, DropReason.BANNED
NEIGHBOUR = ("10.0.0.77", 40000)                # in CLIENT's /24
MINUTE = 60 * SECOND
UNKNOWN_CHANNEL = bytes([6, 1])                 # a frame that no version-1 peer sends


def guarded_desk(*rules: Rule, waiting: int = 64) -> tuple[Desk, Guard]:
    guard = Guard(bytes(16), waiting=waiting)
    guard.configure([rule.packed() for rule in rules], [], [])
    endpoint = Endpoint("server", capacity=16, seed=b"s" * 32, identity_secret=IDENTITY, schema_hash=7,
                        schema_classes=((1, 11), (2, 22)), half_open=64, half_open_per_prefix=64, guard=guard)
    return Desk(endpoint), guard


def rule(scope: int, what: int, action: int = DROP, per_second: int = 1, burst: int = 1) -> Rule:
    unit = SECOND * 1000 // per_second
    return Rule(scope, what, action, unit, unit * burst, MINUTE)


def reason_of_closing(session: protocol.Sealed, datagrams: list[bytes]) -> list[int]:
    """Reasons of the CLOSE messages in what the server said."""
    found = []
    for datagram in datagrams:
        found += [frame[2] for frame in session.receive(datagram) if frame[:2] == bytes([protocol.CONTROL, 3])]
    return found


def test_hellos_have_a_budget_that_all_share_and_only_they_are_shed() -> None:
    desk, guard = guarded_desk(rule(ALL, HELLOS, per_second=10, burst=3))
    cookie = get_cookie(desk, reference_client(1))
    for number in (2, 3):
        get_cookie(desk, reference_client(number), STRANGER)
    assert desk.give(reference_client(4).hello(), STRANGER) == (GUARDED, [])
    other = protocol.handshake(protocol.HELLO, bytes(8), bytes(76), version=2)
    assert desk.give(other, STRANGER) == (DropReason.BAD_VERSION, [])           # unproven too: no answer now
    assert desk.give(reference_client(1).connect(cookie))[0] == NONE            # a valid cookie is not shed
    assert guard.hits == [2]
    desk.now_us += 100_000
    get_cookie(desk, reference_client(5))


def test_key_exchanges_have_a_budget_and_a_repeat_costs_none() -> None:
    desk, guard = guarded_desk(rule(ALL, HANDSHAKES, per_second=100, burst=2), waiting=2)
    clients = [reference_client(number) for number in range(1, 7)]
    sources = [(f"10.0.{number}.1", 40000) for number in range(1, 7)]
    connects = [client.connect(get_cookie(desk, client, source))
                for client, source in zip(clients, sources, strict=True)]

    def ask(number: int) -> tuple[DropReason, int]:
        reason, replies = desk.give(connects[number], sources[number])
        return reason, len(replies)

    assert [ask(number) for number in range(6)] == [(NONE, 1)] * 2 + [(NONE, 0)] * 2 + [(GUARDED, 0)] * 2
    assert ask(0) == (NONE, 1)                                                  # the stored answer
    assert ask(3) == (DropReason.RATE_LIMITED, 0)                               # it waits already
    assert desk.endpoint.counters["handshakes"] == 2 and guard.hits == [2] and guard.waiting == 2
    desk.now_us += 10_000
    assert [data[6:14] for data in desk.outbound()] == [clients[2].public[:8]]  # the one that has waited longest
    clients[3] = reference_client(33)                                           # starts over: its place is kept
    cookie = get_cookie(desk, clients[3], sources[3])
    connects[3] = clients[3].connect(cookie)
    assert ask(3) == (DropReason.RATE_LIMITED, 0) and guard.waiting == 1
    assert ask(4) == (NONE, 0) and guard.waiting == 2
    desk.now_us += 20_000
    answered = [data[6:14] for data in desk.outbound()]
    assert answered == [clients[3].public[:8], clients[4].public[:8]] and guard.waiting == 0
    desk.now_us += 20_000
    assert ask(5) == (NONE, 1)
    assert desk.endpoint.counters["handshakes"] == 6


def test_who_waits_is_served_by_the_next_datagrams_too_and_counted_once() -> None:
    desk, guard = guarded_desk(rule(ALL, HANDSHAKES, per_second=100, burst=1))
    first, second = reference_client(1), reference_client(2)
    connects = [client.connect(get_cookie(desk, client)) for client in (first, second)]
    assert desk.give(connects[0])[0] == desk.give(connects[1], CLIENT)[0] == NONE
    accepted_before = desk.endpoint.counters["accepted"]
    desk.now_us += 10_000
    desk.batch.clear()
    desk.replies.clear()
    desk.endpoint.inbound(desk.batch, desk.replies, desk.now_us)                # nothing came: who waits is served
    assert len(desk.replies) == 1 and desk.replies[0][6:14] == second.public[:8] and guard.waiting == 0
    assert desk.endpoint.counters["accepted"] == accepted_before


def test_handshakes_of_an_address_and_of_a_subnet() -> None:
    desk, _ = guarded_desk(rule(ADDRESS, HANDSHAKES, burst=1), rule(SUBNET, HANDSHAKES, burst=2))
    outcomes = []
    for number, source in enumerate((CLIENT, CLIENT, NEIGHBOUR, ("10.0.0.78", 1), ("10.0.1.1", 1)), 1):
        client = reference_client(number)
        outcomes.append(desk.give(client.connect(get_cookie(desk, client, source)), source)[0])
    assert outcomes == [NONE, GUARDED, NONE, GUARDED, NONE]


def test_a_cookie_that_is_wrong_moves_no_budget() -> None:
    desk, guard = guarded_desk(rule(ADDRESS, HANDSHAKES, BAN), rule(ADDRESS, PACKETS, BAN, burst=2))
    client = reference_client()
    right = client.connect(get_cookie(desk, client))
    for number in range(2, 60):
        forged = reference_client(number).connect_with(bytes(48))
        assert desk.give(forged)[0] in (DropReason.BAD_COOKIE, DropReason.COOKIE_EXPIRED)
        assert desk.give(right, STRANGER)[0] == DropReason.BAD_COOKIE           # stolen, from another address
    assert desk.give(right)[0] == NONE and guard.hits == [0, 0] and guard.counters["bans"] == 0


def test_repeated_connects_are_packets_outside_a_session() -> None:
    desk, guard = guarded_desk(rule(ADDRESS, PACKETS, burst=3))
    client = reference_client()
    connect = client.connect(get_cookie(desk, client))
    assert [desk.give(connect)[0] for _ in range(5)] == [NONE, NONE, NONE, GUARDED, GUARDED]
    assert guard.hits == [2]


def test_bytes_outside_a_session_count_whole_datagrams() -> None:
    desk, _ = guarded_desk(rule(SUBNET, BYTES, per_second=1, burst=2400))
    client = reference_client()
    connect = client.connect(get_cookie(desk, client))
    assert [desk.give(connect)[0] for _ in range(3)] == [NONE, NONE, GUARDED]


def ping(session: protocol.Sealed) -> bytes:
    return session.packet(bytes([protocol.CONTROL, protocol.PING]) + bytes(8))


def test_a_session_over_its_packets_is_dropped_whole_and_not_acknowledged() -> None:
    desk, guard = guarded_desk(rule(SESSION, PACKETS, per_second=10, burst=3))
    session = joined(desk, reference_client())
    assert [desk.give(ping(session))[0] for _ in range(4)] == [NONE, NONE, GUARDED, GUARDED]
    for datagram in desk.wait(60_000):
        session.receive(datagram)
    assert session.acked == {0, 1, 2} and guard.hits == [2] and desk.endpoint.live == 1
    desk.now_us += 100_000
    assert desk.give(ping(session))[0] == NONE                                  # the allowance comes back


def test_bytes_of_a_session_are_counted_with_header_and_tag() -> None:
    desk, _ = guarded_desk(rule(SESSION, BYTES, per_second=1, burst=300))
    session = joined(desk, reference_client())
    size = len(ping(session))
    fits = (300 - 34) // size
    assert [desk.give(ping(session))[0] for _ in range(fits + 1)] == [NONE] * fits + [GUARDED]


def test_far_beyond_its_allowance_a_session_is_closed_and_told_why() -> None:
    """Packets that the first rule drops still count for the second."""
    desk, guard = guarded_desk(rule(SESSION, PACKETS, burst=3), rule(SESSION, PACKETS, CLOSE, burst=8))
    session = joined(desk, reference_client())
    assert [desk.give(ping(session))[0] for _ in range(9)] == [NONE, NONE] + [GUARDED] * 6 + [DropReason.CLOSED]
    assert reason_of_closing(session, desk.outbound()) == [DisconnectReason.RATE_LIMITED]
    desk.wait(SECOND)
    assert desk.events[-1][0] == LEFT and desk.events[-1][2] == DisconnectReason.RATE_LIMITED
    assert guard.counters["bans"] == 0


def test_a_ban_ends_the_session_and_the_next_connect_is_told_once() -> None:
    desk, guard = guarded_desk(rule(SESSION, PACKETS, BAN, burst=2))
    neighbour = joined(desk, reference_client(2), NEIGHBOUR)
    session = joined(desk, reference_client(1))
    assert [desk.give(ping(session))[0] for _ in range(3)] == [NONE, GUARDED, DropReason.CLOSED]
    assert guard.counters["bans"] == guard.counters["bans_given"] == 1
    client = reference_client(3)
    reason, replies = desk.give(client.connect(get_cookie(desk, client)))
    assert reason == NONE and len(replies) == 1
    client.answer(replies[0])
    assert client.rejected == (DisconnectReason.BANNED, [])
    assert desk.give(ping(neighbour), NEIGHBOUR)[0] == NONE
    desk.now_us += MINUTE + 1
    accepted(desk, reference_client(4))


def test_telling_the_banned_has_a_budget_too() -> None:
    desk, guard = guarded_desk()
    guard.ban(CLIENT[0], True, desk.now_us + MINUTE, desk.now_us)
    outcomes = []
    for number in range(1, 31):
        client = reference_client(number)
        outcomes.append(desk.give(client.connect(get_cookie(desk, client, NEIGHBOUR)), NEIGHBOUR)[0])
    assert outcomes == [NONE] * 10 + [BANNED] * 20 and desk.endpoint.counters["handshakes"] == 10


def test_a_live_session_is_exempt_from_bans_of_its_address() -> None:
    """Whoever else sits behind the same address does not throw it out."""
    desk, guard = guarded_desk(rule(ADDRESS, PACKETS, BAN, burst=1))
    session = joined(desk, reference_client(1))
    for number in (2, 3):
        client = reference_client(number)
        desk.give(client.connect(get_cookie(desk, client)))
    assert guard.counters["bans"] == 1
    for _ in range(50):
        assert desk.give(ping(session))[0] == NONE
    assert desk.endpoint.live == 1


@pytest.mark.parametrize("action", [CLOSE, BAN])
def test_malformed_frames_that_opened_are_scored(action: int) -> None:
    desk, guard = guarded_desk(rule(SESSION, BAD, action, burst=3))
    session = joined(desk, reference_client())
    for _ in range(3):
        assert desk.give(session.packet(UNKNOWN_CHANNEL))[0] == NONE
        assert desk.endpoint.live == 1 and guard.hits == [0]
    assert desk.give(session.packet(UNKNOWN_CHANNEL))[0] == NONE and guard.hits == [1]
    expected = DisconnectReason.BANNED if action == BAN else DisconnectReason.PROTOCOL_VIOLATION
    assert reason_of_closing(session, desk.outbound()) == [expected]
    assert guard.counters["bans"] == (action == BAN)


def test_a_violation_counts_ten_and_sessions_of_an_address_add_up() -> None:
    desk, guard = guarded_desk(rule(ADDRESS, BAD, BAN, burst=25))
    for number in range(1, 4):
        assert guard.counters["bans"] == 0
        session = joined(desk, reference_client(number))
        desk.give(session.packet(bytes([1])))                               # a reliable frame without its numbers
        assert reason_of_closing(session, desk.wait(400_000))[:1] == [DisconnectReason.PROTOCOL_VIOLATION]
    assert guard.counters["bans"] == 1


def test_forged_traffic_gets_nobody_banned_scored_or_starved() -> None:
    """Everything an outsider can send in a player's name: nothing moves but drop counters."""
    strict = [rule(SESSION, PACKETS, BAN, burst=12), rule(SESSION, BAD, BAN), rule(ADDRESS, BAD, BAN),
              rule(ADDRESS, HANDSHAKES, BAN, burst=2), rule(SUBNET, HANDSHAKES, BAN, burst=2),
              rule(ADDRESS, PACKETS, BAN, burst=4), rule(SUBNET, BYTES, BAN, burst=6000)]
    desk, guard = guarded_desk(*strict)
    client = reference_client()
    connect = client.connect(get_cookie(desk, client))
    client.answer(desk.give(connect)[1][0])
    session = client.session
    assert session is not None
    recorded = [session.packet(bytes([protocol.CONTROL, protocol.CONFIRM])), ping(session)]
    assert desk.give_all(recorded)[0] == []
    identity = recorded[0][:4]
    for number in range(300):
        forged = [
            protocol.handshake(protocol.HELLO, bytes(8), bytes(76)),                    # hellos from its address
            reference_client(number + 2).connect_with(struct.pack("<q", desk.now_us // SECOND) + bytes(40)),
            *recorded,                                                                  # replays
            recorded[1][:-1] + bytes([recorded[1][-1] ^ 1]),                            # tampered
            identity + bytes([0, 3]) + struct.pack("<Q", 10 + number) + bytes(60),      # a sequence of the future
            identity + bytes([0, 3]) + struct.pack("<Q", 2**63 + number) + bytes(60),
            identity + bytes([7, 3]) + struct.pack("<Q", 10 + number) + bytes([3, 1]) + bytes(16),
        ]
        reasons, _ = desk.give_all(forged)
        assert len(reasons) == len(forged) - 1                                          # a HELLO gets its cookie
    assert guard.hits == [0] * len(strict) and guard.counters["bans"] == 0
    assert desk.endpoint.counters["handshakes"] == 1 and desk.endpoint.live == 1
    assert desk.give(ping(session))[0] == NONE
    other = reference_client(1000)
    assert desk.give(other.connect(get_cookie(desk, other)))[0] == NONE                 # the address may still come in


def test_what_the_application_finds_malformed_counts_too() -> None:
    desk, guard = guarded_desk(rule(SESSION, BAD, CLOSE, burst=3))
    session = joined(desk, reference_client())
    handle = desk.events[-1][1]
    assert blame(desk.endpoint, handle, 3, desk.now_us) and desk.endpoint.live == 1 and guard.hits == [0]
    assert not blame(desk.endpoint, handle + 1, 3, desk.now_us)             # another session, or nobody's
    assert blame(desk.endpoint, handle, 0, desk.now_us) and guard.hits == [0]
    assert blame(desk.endpoint, handle, 1 << 70, desk.now_us)
    assert reason_of_closing(session, desk.outbound()) == [DisconnectReason.PROTOCOL_VIOLATION] and guard.hits == [1]
    assert not blame(desk.endpoint, handle, 1, desk.now_us)


def test_one_guard_outlives_its_endpoint() -> None:
    guard = Guard(bytes(16))
    guard.configure([rule(ALL, HELLOS).packed()], [], [])
    desk = Desk(Endpoint("server", capacity=1, seed=b"s" * 32, identity_secret=IDENTITY, guard=guard))
    desk.give(reference_client().hello())
    del desk
    endpoint = Endpoint("server", capacity=1, seed=b"s" * 32, identity_secret=IDENTITY, guard=guard)
    del guard
    batch = DatagramBatch(1)
    batch.append(reference_client().hello(), CLIENT)
    endpoint.inbound(batch, DatagramBatch(1), 1)
    assert int(endpoint.drops[GUARDED]) == 1

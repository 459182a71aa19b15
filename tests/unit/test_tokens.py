"""Connect tokens at the server: each mistake has its problem, CONNECT spends nothing, CONFIRM spends once."""
import pytest

from shadowland._core.base.errors import UsageError
from shadowland._core.base.status import DisconnectReason, DropReason, TokenProblem
from shadowland._core.endpoint import players
from tests.reference import protocol, tokens
from tests.unit.desk import (
    JOINED,
    SECOND,
    SERVER_KEY,
    STRANGER,
    Desk,
    accepted,
    get_cookie,
    joined,
    reference_client,
    server_desk,
)

SEED, OTHER = b"i" * 32, b"o" * 32
ISSUER = tokens.public_key(SEED)
NOW = 1_700_000_000_000
CONFIRM = bytes([protocol.CONTROL, protocol.CONFIRM])


def trusting(*issuers: bytes, required: bool = False, spent: int = 64, capacity: int = 16) -> Desk:
    desk = server_desk(capacity=capacity)
    players.trust(desk.endpoint, issuers or (ISSUER,), unix_ms=NOW, required=required, spent=spent)
    return desk


def token(player: int = 7, issued: int = NOW, expires: int = NOW + 60_000, nonce: int = 1,
          servers: tuple[bytes, ...] = (SERVER_KEY,), data: bytes = b"") -> bytes:
    return tokens.make(SEED, player, issued, expires, nonce, list(servers), data)


def refused(desk: Desk, given: bytes, number: int = 1) -> tuple[int, int]:
    """(reason, detail) of the REJECTED that a CONNECT with this token gets."""
    client = reference_client(number, token=given)
    reason, replies = desk.give(client.connect(get_cookie(desk, client)))
    assert reason == DropReason.NONE and len(replies) == 1
    client.answer(replies[0])
    assert client.rejected is not None and client.rejected[1] == []
    return client.rejected[0], client.rejected_detail


def test_a_player_is_who_the_token_says() -> None:
    desk = trusting()
    joined(desk, reference_client(1, token=token(2**64 - 1, data=b"guild 9")))
    assert players.player(desk.endpoint, desk.events[-1][1]) == (2**64 - 1, b"guild 9")
    joined(desk, reference_client(2))
    assert players.player(desk.endpoint, desk.events[-1][1]) is None
    assert players.player(desk.endpoint, 0) is None and players.spent(desk.endpoint) == 1


def test_the_largest_token_fits_into_the_smallest_connect() -> None:
    desk = trusting(tokens.public_key(OTHER), ISSUER)
    largest = token(servers=(b"1" * 32, b"2" * 32, b"3" * 32, SERVER_KEY), data=b"d" * 256, expires=NOW + 300_000)
    assert len(largest) == 492
    joined(desk, reference_client(1, mtu=1150, token=largest))
    assert players.player(desk.endpoint, desk.events[-1][1]) == (7, b"d" * 256)


BROKEN = {
    "none": (b"", TokenProblem.MISSING),
    "one byte": (b"\1", TokenProblem.MALFORMED),
    "cut": (token()[:-1], TokenProblem.MALFORMED),
    "lengthened": (token() + b"\0", TokenProblem.MALFORMED),
    "another version": (b"\2" + token()[1:], TokenProblem.MALFORMED),
    "no server": (token(servers=()), TokenProblem.MALFORMED),
    "five servers": (token(servers=(SERVER_KEY,) * 5), TokenProblem.MALFORMED),
    "257 bytes of data": (token(data=bytes(257)), TokenProblem.MALFORMED),
    "expires as it is issued": (token(expires=NOW), TokenProblem.MALFORMED),
    "another issuer": (tokens.make(OTHER, 7, NOW, NOW + 1, 1, [SERVER_KEY]), TokenProblem.UNKNOWN_ISSUER),
    "another server": (token(servers=(b"x" * 32,)), TokenProblem.OTHER_SERVER),
    "300.001 s": (token(expires=NOW + 300_001), TokenProblem.TOO_LONG_A_LIFE),
    "2**64 - 1 ms": (token(expires=2**64 - 1), TokenProblem.TOO_LONG_A_LIFE),
    "30.001 s ahead": (token(issued=NOW + 30_001), TokenProblem.FROM_THE_FUTURE),
    "2**64 - 2 ms": (token(issued=2**64 - 2, expires=2**64 - 1), TokenProblem.FROM_THE_FUTURE),
    "expired": (token(issued=NOW - 1000, expires=NOW - 1), TokenProblem.EXPIRED),
    "expires now": (token(issued=NOW - 1000, expires=NOW), TokenProblem.EXPIRED),
    "before the start": (token(issued=NOW - 1), TokenProblem.BEFORE_START),
    "signature": (token()[:-1] + bytes([token()[-1] ^ 0x40]), TokenProblem.BAD_SIGNATURE),
    "another player": (token()[:9] + b"\x08" + token()[10:], TokenProblem.BAD_SIGNATURE),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_token_that_is_not_good_is_refused_and_says_why(name: str) -> None:
    desk = trusting(required=True)
    given, problem = BROKEN[name]
    assert refused(desk, given) == (DisconnectReason.BAD_TOKEN, problem)
    assert players.problems(desk.endpoint)[problem] == 1 == sum(players.problems(desk.endpoint))
    assert desk.endpoint.live == players.spent(desk.endpoint) == 0
    joined(desk, reference_client(2, token=token()))                    # and a good one is taken, at the same limits


@pytest.mark.parametrize("good", [token(expires=NOW + 300_000), token(issued=NOW + 30_000), token(expires=NOW + 1)])
def test_the_limits_themselves_are_allowed(good: bytes) -> None:
    joined(trusting(required=True), reference_client(1, token=good))


def test_a_server_that_takes_no_tokens_refuses_one() -> None:
    assert refused(server_desk(), token()) == (DisconnectReason.BAD_TOKEN, TokenProblem.UNKNOWN_ISSUER)


def test_schema_and_room_come_before_the_token() -> None:
    desk = trusting(capacity=1)
    client = reference_client(1, schema_hash=8, token=b"no token")
    client.answer(desk.give(client.connect(get_cookie(desk, client)))[1][0])
    assert client.rejected is not None and client.rejected[0] == DisconnectReason.SCHEMA_MISMATCH
    joined(desk, reference_client(2))
    assert refused(desk, b"no token", 3) == (DisconnectReason.SERVER_FULL, 0)


def test_a_replayed_connect_costs_nobody_a_token() -> None:
    """protocol.md of the design: only at CONFIRM is a token spent."""
    desk, once = trusting(), token()
    thief = reference_client(1, token=once)                             # somebody who saw the token, and never confirms
    connect = thief.connect(get_cookie(desk, thief, STRANGER))
    for _ in range(5):
        assert desk.give(connect, STRANGER)[0] == DropReason.NONE
    assert players.spent(desk.endpoint) == 0
    joined(desk, reference_client(2, token=once))
    assert players.spent(desk.endpoint) == 1


def test_a_spent_token_is_refused_until_it_expires_and_then_it_is_expired() -> None:
    desk, once = trusting(), token(expires=NOW + 10_000)
    joined(desk, reference_client(1, token=once))
    assert refused(desk, once, 2) == (DisconnectReason.BAD_TOKEN, TokenProblem.SPENT)
    players.set_unix_time(desk.endpoint, NOW + 9_999)
    assert refused(desk, once, 3) == (DisconnectReason.BAD_TOKEN, TokenProblem.SPENT)
    players.set_unix_time(desk.endpoint, NOW + 10_000)
    assert refused(desk, once, 4) == (DisconnectReason.BAD_TOKEN, TokenProblem.EXPIRED)
    joined(desk, reference_client(5, token=token(nonce=2)))
    assert players.spent(desk.endpoint) == 1                            # the first was forgotten


def test_a_clock_that_is_set_back_brings_no_token_to_life() -> None:
    desk, once = trusting(), token(expires=NOW + 10_000)
    joined(desk, reference_client(1, token=once))
    players.set_unix_time(desk.endpoint, NOW + 20_000)
    joined(desk, reference_client(2, token=token(nonce=2)))             # forgets the first
    players.set_unix_time(desk.endpoint, NOW + 5_000)
    assert refused(desk, once, 3) == (DisconnectReason.BAD_TOKEN, TokenProblem.EXPIRED)


def test_of_two_with_one_token_the_first_to_confirm_joins() -> None:
    desk, once = trusting(), token()
    slow, fast = (accepted(desk, reference_client(number, token=once)) for number in (1, 2))
    assert desk.give(fast.packet(CONFIRM)) == (DropReason.NONE, [])
    assert [event[0] for event in desk.events] == [JOINED]
    assert desk.give(slow.packet(CONFIRM)) == (DropReason.CLOSED, [])
    slow_id = slow.connection_id
    said = [datagram for datagram in desk.wait(SECOND) if datagram[:4] == slow_id.to_bytes(4, "little")]
    assert len(said) == 3
    for datagram in said:
        opened = slow.open(datagram)
        assert opened is not None
        assert list(protocol.frames(opened[1][1:])) == [bytes([protocol.CONTROL, protocol.CLOSE,
                                                               DisconnectReason.BAD_TOKEN])]
    assert [event[0] for event in desk.events] == [JOINED]              # nobody heard of the other
    assert desk.endpoint.live == 1 and players.problems(desk.endpoint)[TokenProblem.SPENT] == 1


def test_a_full_memory_of_spent_tokens_refuses_until_some_expire() -> None:
    desk = trusting(spent=3)
    for number in range(1, 4):
        joined(desk, reference_client(number, token=token(nonce=number, expires=NOW + 1000 * number)))
    assert refused(desk, token(nonce=9), 9) == (DisconnectReason.CAPACITY, 0)
    joined(desk, reference_client(10))                                  # who brings none takes no place there
    players.set_unix_time(desk.endpoint, NOW + 1000)
    joined(desk, reference_client(11, token=token(nonce=9)))
    assert players.spent(desk.endpoint) == 3
    assert refused(desk, token(nonce=12), 12) == (DisconnectReason.CAPACITY, 0)


def test_memory_that_fills_while_handshakes_are_under_way_closes_the_last() -> None:
    desk = trusting(spent=1)
    first, second = (accepted(desk, reference_client(number, token=token(nonce=number))) for number in (1, 2))
    assert desk.give(first.packet(CONFIRM)) == (DropReason.NONE, [])
    assert desk.give(second.packet(CONFIRM)) == (DropReason.CLOSED, [])
    assert desk.endpoint.live == 2                                      # the one and the one that says CLOSE
    desk.wait(SECOND)
    assert desk.endpoint.live == 1 == players.spent(desk.endpoint)


def test_a_slot_that_is_taken_again_keeps_nothing_of_who_had_it() -> None:
    desk = trusting(capacity=1)
    session = joined(desk, reference_client(1, token=token(data=b"secret")))
    desk.give(session.packet(bytes([protocol.CONTROL, protocol.CLOSE, 1])))
    joined(desk, reference_client(2))
    assert desk.events[-1][1] & 0xFFFFFFFF == 0 and players.player(desk.endpoint, desk.events[-1][1]) is None


@pytest.mark.parametrize(("issuers", "spent", "says"), [
    ((), 64, "0 issuers"), ((ISSUER,) * 5, 64, "5 issuers"), ((bytes(31),), 64, "issuer 1"),
    ((ISSUER,), 0, "spent is 0"), ((ISSUER,), (1 << 24) + 1, "spent is"), ((ISSUER,), 2**70, "spent is"),
])
def test_a_wrong_configuration_is_refused(issuers: tuple[bytes, ...], spent: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        players.trust(server_desk().endpoint, issuers, unix_ms=NOW, spent=spent)


def test_who_is_trusted_is_said_once_and_in_time() -> None:
    desk = trusting()
    with pytest.raises(UsageError, match="once"):
        players.trust(desk.endpoint, (ISSUER,), unix_ms=NOW)
    late = server_desk()
    joined(late, reference_client(1))
    with pytest.raises(UsageError, match="before"):
        players.trust(late.endpoint, (ISSUER,), unix_ms=NOW)

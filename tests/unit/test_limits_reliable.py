"""The limits of docs/config.md that the protocol fixes, of reliable messages, of the control stream, of paths, keys and
tokens: one test a row, named for it. Each at the limit, one beyond and far beyond, beside one that feels nothing."""
import random

import pytest

from shadowland._core.base.status import DisconnectReason, TokenProblem
from shadowland._core.endpoint import players
from tests.reference import protocol
from tests.unit.desk import CLIENT, SECOND, SERVER_KEY, STRANGER, joined, reference_client, server_desk
from tests.unit.limits import BESIDE, NONE, RELIABLE, UNORDERED, Two, parts
from tests.unit.test_rekey import REQUEST, secret
from tests.unit.test_tokens import NOW, refused, token, trusting

VIOLATION, FLOW = DisconnectReason.PROTOCOL_VIOLATION, DisconnectReason.FLOW_VIOLATION
MESSAGE = b"\5" + random.Random(1).randbytes(262_143)


@pytest.mark.parametrize("stream, channel", [(0, RELIABLE), (None, UNORDERED)])
def test_reliable_message_unordered_too(stream: int | None, channel: int) -> None:
    two = Two()
    units = parts(MESSAGE, stream)
    assert len(units) == 274
    for unit in units:
        two.say(unit)
    assert two.desk.messages == [(channel, 5, MESSAGE[1:])] and two.alive()
    last = parts(MESSAGE + b"x", stream)[-1]                            # one byte more than the longest
    for beyond in (last, protocol.unit(0, 0, bytes(960), 0, 275, stream),
                   protocol.unit(0, 0, bytes(960), 0, 65535, stream), protocol.unit(0, 0, bytes(961), stream=stream),
                   protocol.unit(0, 0, bytes(1400), stream=stream)):
        two = Two()
        two.say(beyond)
        assert two.ended() == VIOLATION and two.desk.endpoint.counters["blocks_used"] == 0


@pytest.mark.parametrize("number, reason", [(255, None), (256, FLOW), (257, FLOW), (32_767, FLOW), (65_535, FLOW)])
def test_reliable_units_that_are_not_acknowledged(number: int, reason: DisconnectReason | None) -> None:
    """Unit 0 is missing: 255 is the last of its window."""
    two = Two()
    two.say(protocol.unit(number, 0, b"\5kept", stream=3))
    assert two.desk.messages == ([(RELIABLE | 3 << 4, 5, b"kept")] if reason is None else [])
    if reason is None:
        assert two.alive()
        two.say(protocol.unit(0, 0, b"\5first"))
        assert two.desk.messages[-1] == (RELIABLE, 5, b"first")
    else:
        assert two.ended() == reason


@pytest.mark.parametrize("third, reason", [(92, None), (93, FLOW), (274, FLOW)])
def test_reliable_units_of_begun_messages(third: int, reason: DisconnectReason | None) -> None:
    two = Two()
    for number, count in enumerate((274, 274, third)):                  # 640 in all, or more
        two.say(protocol.unit(number, 0, bytes([5]) + bytes(959), 0, count, stream=number))
    if reason is None:
        assert two.alive()
        two.say(protocol.unit(3, 0, bytes(960), 0, 2, stream=3))        # not even a short one any more
        reason = FLOW
    assert two.ended() == reason and two.desk.endpoint.counters["blocks_used"] == 0


def test_streams() -> None:
    for stream in range(8):
        two = Two()
        two.say(protocol.unit(0, 0, b"\5on it", stream=stream))
        assert two.desk.messages == [(RELIABLE | stream << 4, 5, b"on it")] and two.alive()
    for stream in (9, 10, 11, 255):
        two = Two()
        two.say(protocol.unit(0, 0, b"\5on it", stream=stream))
        assert not two.desk.messages and two.ended() == VIOLATION


def test_message_of_the_control_stream() -> None:
    for length, kept in ((4096, True), (4097, False), (5760, False), (262_144, False)):
        two = Two()
        two.say(parts(bytes([99]) * length, protocol.CONTROL_STREAM)[-1])
        if kept:                                                        # its last part waits for the others
            assert two.alive()
        else:
            assert two.ended() == VIOLATION
        assert (two.desk.endpoint.counters["blocks_used"] == 1) == kept


@pytest.mark.parametrize("length, fine", [(1023, True), (1024, True), (1025, False), (4095, False)])
def test_credentials(length: int, fine: bool) -> None:
    desk = server_desk()
    players.require_authentication(desk.endpoint, 8)
    beside = joined(desk, reference_client(2), BESIDE)
    handle_beside = desk.events[-1][1]
    leaning = joined(desk, reference_client(1))
    handle = desk.events[-1][1]
    for part in parts(bytes([protocol.AUTHENTICATE]) + b"c" * length, protocol.CONTROL_STREAM):
        desk.give(leaning.packet(part))
    assert players.credentials(desk.endpoint, handle) == (b"c" * length if fine else None)
    desk.wait(SECOND)
    assert [reason for kind, who, reason in desk.events if kind == 2 and who == handle] == ([] if fine else [VIOLATION])
    desk.give(beside.packet(beside.control(protocol.AUTHENTICATE, b"me too")), BESIDE)
    assert players.credentials(desk.endpoint, handle_beside) == b"me too"


def test_new_paths() -> None:
    """One is pending; the next one is challenged a second after it; at most three times what came goes there."""
    two = Two()
    two.desk.wait(50_000)
    ping = bytes([protocol.CONTROL, protocol.PING]) + bytes(8)
    bytes_to: dict[tuple[str, int], int] = {}
    elsewhere = [("198.51.100.7", 1000 + i) for i in range(50)]

    def pass_time(us: int) -> None:
        for _ in range(0, us, 10_000):
            two.desk.outbound()
            for i in range(len(two.desk.out)):
                to = two.desk.out.remote(i)
                bytes_to[to] = bytes_to.get(to, 0) + len(two.desk.out[i])
            two.desk.now_us += 10_000

    shortest = two.leaning.seal(b"\0")
    assert two.desk.give(shortest, elsewhere[0]) == (NONE, [])
    assert two.desk.endpoint.counters["paths_busy"] == 0
    for address in elsewhere[1:]:                                       # within the second: they wait, and are counted
        assert two.desk.give(two.leaning.packet(ping), address)[0] == NONE
        pass_time(10_000)
    assert two.desk.endpoint.counters["paths_busy"] == 49
    assert set(bytes_to) & set(elsewhere) == {elsewhere[0]}
    pass_time(400_000)
    assert set(bytes_to) & set(elsewhere) == {elsewhere[0]}
    pass_time(2 * SECOND)                                               # the newest had its turn after that second
    assert set(bytes_to) & set(elsewhere) == {elsewhere[0], elsewhere[-1]}
    assert bytes_to[elsewhere[0]] <= 3 * len(shortest)
    assert two.desk.endpoint.remote(two.handle) == CLIENT and two.alive()


def test_rekeys() -> None:
    """33 clients ask at once: 32 are answered in one pass, the last one in the next; two requests of one end it."""
    two = Two(capacity=64, half_open=128, half_open_per_prefix=128)
    others = [(joined(two.desk, reference_client(number), ("10.0.1.1", 1000 + number)), ("10.0.1.1", 1000 + number))
              for number in range(33)]
    for number, (session, address) in enumerate(others):
        assert session.epochs is not None
        request = session.epochs.request(secret(number))
        assert request is not None
        assert two.desk.give(session.packet(session.control(REQUEST, request)), address)[0] == NONE
    for answered in (32, 33, 33):
        two.desk.outbound()
        assert int((two.desk.endpoint.stats()["epoch"] == 1).sum()) == answered
    two.unharmed()
    for distance in (1, 30):
        lone = Two()
        assert lone.leaning.epochs is not None
        request = lone.leaning.epochs.request(secret(7))
        assert request is not None
        lone.say(*[lone.leaning.control(REQUEST, request) for _ in range(1 + distance)])
        assert lone.ended() == VIOLATION


def test_connect_token() -> None:
    most = (b"1" * 32, b"2" * 32, b"3" * 32, SERVER_KEY)
    desk = trusting(required=True, spent=64)
    joined(desk, reference_client(1, token=token(servers=most, data=b"d" * 256, expires=NOW + 300_000)))
    assert players.player(desk.endpoint, desk.events[-1][1]) == (7, b"d" * 256)
    for number, (wrong, problem) in enumerate((
            (token(servers=(SERVER_KEY, *most)), TokenProblem.MALFORMED),
            (token(servers=(SERVER_KEY,) * 9), TokenProblem.MALFORMED),
            (token(data=bytes(257)), TokenProblem.MALFORMED), (token(data=bytes(340)), TokenProblem.MALFORMED),
            (token(expires=NOW + 300_001), TokenProblem.TOO_LONG_A_LIFE),
            (token(expires=(1 << 64) - 1), TokenProblem.TOO_LONG_A_LIFE)), 10):
        assert len(wrong) <= 492
        assert refused(desk, wrong, number) == (DisconnectReason.BAD_TOKEN, problem)
    joined(desk, reference_client(3, token=token(nonce=2)), STRANGER)
    assert desk.endpoint.live == 2 and sum(players.problems(desk.endpoint)) == 6

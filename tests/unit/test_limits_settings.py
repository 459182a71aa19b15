"""The settings of docs/config.md that bound times, counts and keys: one test a key, named for it. Each at the limit,
one beyond and far beyond; whoever is not at the limit feels nothing."""
import asyncio
import random
import threading
from time import monotonic, sleep

import pytest

import shadowland as sl
from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland._core.endpoint import checks, players
from shadowland.handlers import Handlers
from shadowland.testing import Network
from tests.reference import protocol
from tests.unit.desk import LEFT, SECOND, Desk, accepted, joined, reference_client, server_desk
from tests.unit.limits import NONE, Two
from tests.unit.test_integrity import FILES, answer, checking, playing
from tests.unit.test_joining import control
from tests.unit.test_limits_memory import Thing, verdict
from tests.unit.test_rekey import ASK, forged, heard
from tests.unit.test_tokens import NOW, refused, token, trusting

SCHEMA = sl.Schema([Thing], [])
CONFIRM = bytes([protocol.CONTROL, protocol.CONFIRM])
HALF_OPEN_FULL = DropReason.HALF_OPEN_FULL


def begun(two: Two, number: int, house: int | None = None) -> tuple[protocol.Sealed, tuple[str, int]]:
    """A handshake as far as ACCEPTED, from a /24 of its own unless `house` names one."""
    address = (f"10.1.{number if house is None else house}.9", 1000 + number)
    return accepted(two.desk, reference_client(number), address), address


def confirms(two: Two, half: tuple[protocol.Sealed, tuple[str, int]]) -> DropReason:
    """What becomes of the first packet of a half-open connection."""
    return two.desk.give(half[0].packet(CONFIRM), half[1])[0]


def test_half_open() -> None:
    two = Two(half_open=4, half_open_per_prefix=4, capacity=64)
    halves = [begun(two, number) for number in range(1, 5)]
    assert two.desk.endpoint.half_open == 4 and HALF_OPEN_FULL not in two.dropped()
    halves.append(begun(two, 5))
    assert two.desk.endpoint.half_open == 4 and two.dropped() == {HALF_OPEN_FULL: 1}
    alive = [confirms(two, half) for half in halves]
    assert alive.count(NONE) == 4 and alive[4] == NONE and alive.count(DropReason.UNKNOWN_CONNECTION) == 1
    for number in range(10, 200):
        begun(two, number)
        assert two.desk.endpoint.half_open <= 4
    assert two.dropped() == {HALF_OPEN_FULL: 1 + 186} and two.alive()


def test_half_open_per_prefix() -> None:
    two = Two(half_open=64, half_open_per_prefix=3, capacity=64)
    other = begun(two, 100)
    halves = []
    for number in range(1, 5):
        halves.append(begun(two, number, house=7))
        two.desk.now_us += 1000
    assert two.desk.endpoint.half_open == 4 and two.dropped() == {HALF_OPEN_FULL: 1}    # 3 of the house and the other
    assert confirms(two, halves[0]) == DropReason.UNKNOWN_CONNECTION                    # its oldest gave way
    for number in range(10, 99):
        begun(two, number, house=7)
        assert two.desk.endpoint.half_open == 4
    assert confirms(two, other) == NONE and two.alive()


@pytest.mark.parametrize("after_us, fine", [(SECOND, True), (SECOND + 1, False), (1000 * SECOND, False)])
def test_half_open_s(after_us: int, fine: bool) -> None:
    desk = server_desk(half_open_us=SECOND)
    session = accepted(desk, reference_client())
    desk.now_us += after_us
    desk.outbound()
    assert desk.give(session.packet(CONFIRM))[0] == (NONE if fine else DropReason.UNKNOWN_CONNECTION)
    assert desk.endpoint.live == fine and desk.endpoint.half_open == 0


@pytest.mark.parametrize("after_us, lives", [(2 * SECOND - 1, True), (2 * SECOND, False), (1000 * SECOND, False)])
def test_idle_timeout_s(after_us: int, lives: bool) -> None:
    two = Two(idle_timeout_us=2 * SECOND)
    assert two.say(CONFIRM) == NONE
    heard_us = two.desk.now_us
    if after_us < 4 * SECOND:
        for _ in range(3):                                              # the one beside goes on
            two.desk.now_us += after_us // 4
            two.unharmed()
    two.desk.now_us = heard_us + after_us
    two.desk.outbound()
    left = [reason for kind, handle, reason in two.desk.events if kind == LEFT and handle == two.handle]
    assert left == ([] if lives else [DisconnectReason.IDLE_TIMEOUT])
    if after_us < 4 * SECOND:
        two.unharmed()
    assert two.say(CONFIRM) == (NONE if lives else DropReason.UNKNOWN_CONNECTION)


def test_joining() -> None:
    desk = server_desk(capacity=64)
    players.require_authentication(desk.endpoint, 2)
    two = Two(desk=desk)
    assert players.joining(desk.endpoint) == 2
    for number in range(1, 30):
        assert verdict(two, number) == DisconnectReason.SERVER_FULL
    assert players.joining(desk.endpoint) == 2
    assert players.admit(desk.endpoint, two.handle, desk.now_us)        # one joins for good: there is room for one
    assert verdict(two, 40) == DisconnectReason.NONE
    assert verdict(two, 41) == DisconnectReason.SERVER_FULL
    assert desk.endpoint.is_live(two.handle)


@pytest.mark.parametrize("ticks, fine", [(20, True), (21, False), (400, False)])
def test_authenticate_s(ticks: int, fine: bool) -> None:
    """20 ticks of 50 ms are the second in which the verdict has to come; another player's has come long before."""
    network, go, said = Network(1), threading.Event(), threading.Event()
    app = sl.Server(schema=SCHEMA, tick_hz=20, capacity=4, authenticate_us=1_000_000)
    left: list[str] = []

    @app.authenticate
    async def check(session: sl.Session, credentials: bytes) -> bool:
        while credentials == b"slow" and not go.is_set():
            await asyncio.sleep(0.001)
        if credentials == b"slow":
            said.set()
        return True

    app.on_join(lambda session: left.append("joined"))
    app.open(simulated=network.attach(("10.0.0.1", 3565)))
    url, key = app.connect_line.split()

    def player(number: int, word: str) -> sl.Client:
        return sl.Client(url, key, schema=SCHEMA, simulated=network.attach((f"10.0.0.{number}", 0)), credentials=word)

    def step(client: sl.Client) -> None:
        network.advance(50_000)
        app.step()
        client.poll()

    quick, until = player(2, "quick"), monotonic() + 10
    while not left and monotonic() < until:                             # the verdict comes from a thread
        step(quick)
        sleep(0.001)
    slow = player(3, "slow")
    while not app.admission.joining and monotonic() < until:
        step(slow)
    reason = None
    try:
        for _ in range(ticks - 1):
            step(slow)
            quick.poll()
        go.set()
        said.wait(10)
        sleep(0.05)                                                     # the verdict is on its way to the next tick
        step(slow)
        step(slow)
    except sl.ConnectError as error:
        reason = error.reason
    assert reason == (None if fine else DisconnectReason.NOT_AUTHENTICATED) and len(left) == 1 + fine
    assert quick.connected
    go.set()
    app.close()


@pytest.mark.parametrize("asked, refused_calls", [(3, 0), (4, 1), (500, 497)])
def test_async_handlers(asked: int, refused_calls: int) -> None:
    handlers, go, begun_calls = Handlers(limit=3), threading.Event(), []

    async def slow(number: int) -> None:
        begun_calls.append(number)
        while not go.is_set():
            await asyncio.sleep(0.001)

    handlers.declare(slow)
    handlers.open()
    try:
        taken = [handlers.call(slow, number) for number in range(asked)]
        assert taken == [number < 3 for number in range(asked)] and handlers.refused == refused_calls
        go.set()
        until = monotonic() + 10
        while handlers.running and monotonic() < until:
            handlers.run()
            sleep(0.001)
        assert begun_calls == list(range(3)) and handlers.call(slow, 999)       # there is room again
    finally:
        handlers.close()


def asked_at(desk: Desk, session: protocol.Sealed, limit_us: int, acknowledge: bool = True) -> tuple[int, bytes]:
    """When the next challenge comes, and what it is."""
    while desk.now_us < limit_us:
        checks.sweep(desk.endpoint, desk.now_us)
        for datagram in desk.wait(SECOND // 4):
            for content in session.receive(datagram):
                if content[0] == protocol.RELIABLE and content[6] == protocol.CHALLENGE:
                    if acknowledge:
                        desk.give(session.packet(CONFIRM))
                    return desk.now_us, content[7:]
        desk.give(session.packet(CONFIRM))
    raise AssertionError("no challenge came")


def test_integrity_every_s() -> None:
    """From half of it to one and a half, whatever the client does; never two at a time."""
    for every_us in (SECOND, 8 * SECOND, 3600 * SECOND):
        desk = checking(every_us=every_us)
        session, key = playing(desk)
        last_us = desk.now_us
        for number in range(4 if every_us < 100 * SECOND else 0):
            when_us, challenge = asked_at(desk, session, last_us + 2 * every_us + SECOND)
            assert every_us // 2 <= when_us - last_us <= every_us * 3 // 2 + SECOND
            last_us = desk.now_us
            assert desk.give(session.packet(control(number, protocol.ANSWER, answer(key, challenge)))) == (NONE, [])
        if every_us > 100 * SECOND:
            with pytest.raises(AssertionError, match="no challenge"):
                asked_at(desk, session, last_us + 60 * SECOND)


@pytest.mark.parametrize("late_us, fine", [(-1, True), (0, False), (100 * SECOND, False)])
def test_integrity_answer_s(late_us: int, fine: bool) -> None:
    desk = checking(every_us=SECOND, answer_us=3 * SECOND)
    assert desk.endpoint.live == 0 and len(FILES) == 10_000
    session, key = playing(desk)
    _, challenge = asked_at(desk, session, desk.now_us + 3 * SECOND)
    checks.sweep(desk.endpoint, desk.now_us)                            # it was acknowledged: the time runs from here
    desk.now_us += 3 * SECOND + late_us
    checks.sweep(desk.endpoint, desk.now_us)
    said = session.packet(control(0, protocol.ANSWER, answer(key, challenge)))
    assert desk.give(said)[0] == (NONE if fine else DropReason.CLOSED)
    assert checks.counts(desk.endpoint) == ((1, 0) if fine else (0, 1))


def test_spent_tokens() -> None:
    desk = trusting(spent=2)
    for number in (1, 2):
        joined(desk, reference_client(number, token=token(nonce=number)))
    for number in range(3, 40):
        assert refused(desk, token(nonce=number), number) == (DisconnectReason.CAPACITY, 0)
    assert desk.endpoint.live == 2 == players.spent(desk.endpoint)
    players.set_unix_time(desk.endpoint, NOW + 60_000)                  # both expired
    joined(desk, reference_client(50, token=token(nonce=50, issued=NOW + 60_000, expires=NOW + 90_000)))


@pytest.mark.parametrize("limit, longest", [(1150, 1150), (1200, 1200), (1201, 1201), (1350, 1350), (1500, 1500)])
def test_mtu_limit(limit: int, longest: int) -> None:
    desk = server_desk(mtu_limit=limit)
    session = joined(desk, reference_client())
    sizes = set()
    for _ in range(400):
        for datagram in desk.wait(20_000):
            sizes.add(len(datagram))
            session.receive(datagram)
        desk.give(session.packet(CONFIRM))
    assert max(sizes) == longest if limit > 1200 else max(sizes) < 200
    assert int(desk.endpoint.stats()["mtu"][0]) == longest
    with pytest.raises(sl.UsageError, match="mtu_limit is 1501"):
        server_desk(mtu_limit=1501)


@pytest.mark.parametrize("positions", [64, 1024, 4096])
def test_replay_positions(positions: int) -> None:
    two = Two(replay_positions=positions)
    body = b"\0" + protocol.frame(b"\0\5late")
    newest = positions + 100
    assert two.desk.give(two.leaning.seal(body, newest)) == (NONE, [])
    for behind, reason in ((positions - 1, NONE), (positions, DropReason.REPLAYED), (newest, DropReason.REPLAYED)):
        assert two.desk.give(two.leaning.seal(body, newest - behind))[0] == reason
        assert two.desk.give(two.leaning.seal(body, newest - behind))[0] == DropReason.REPLAYED
    two.leaning.sequence = newest + 1
    assert two.alive()


def asks(two: Two) -> bool:
    """Whether the server asks the leaning client for new keys in the next tenth of a second."""
    own = [datagram for datagram in two.desk.wait(100_000)
           if int.from_bytes(datagram[:4], "little") == two.leaning.connection_id]
    return bytes([ASK]) in heard(two.leaning, own)


@pytest.mark.parametrize("count, wanted", [(9, False), (10, True), (300, True)])
def test_rekey_failures(count: int, wanted: bool) -> None:
    two = Two(rekey_failures=10, most_failures=1000)
    for at in range(0, count, 30):
        two.desk.give_all(forged(two.leaning, count)[at:at + 30])
    assert asks(two) == wanted and two.alive()


@pytest.mark.parametrize("count, lives", [(24, True), (25, False), (300, False)])
def test_most_failures(count: int, lives: bool) -> None:
    two = Two(rekey_failures=10, most_failures=25)
    for at in range(0, count, 30):
        two.desk.give_all(forged(two.leaning, count)[at:at + 30])
    assert two.ended() == (None if lives else DisconnectReason.KEYS_EXHAUSTED)


def worn(two: Two, column: str, turns: int, size: int) -> int | None:
    """What `column` of the leaning session says when the server asks for new keys; None if it does not in so many
    packets."""
    for turn in range(turns):
        before = int(two.desk.endpoint.stats(two.handle)[column][0])
        two.desk.endpoint.send(two.handle, 0, 9, random.Random(turn).randbytes(size))
        own = [datagram for datagram in two.desk.outbound()
               if int.from_bytes(datagram[:4], "little") == two.leaning.connection_id]
        if bytes([ASK]) in heard(two.leaning, own):
            two.unharmed()
            return before
        two.desk.now_us += 20_000
        two.say()
    return None


@pytest.mark.parametrize("limit, asked", [(16, True), (17, True), (100, True), (1 << 40, False)])
def test_rekey_packets(limit: int, asked: bool) -> None:
    assert worn(Two(rekey_packets=limit), "packets_out", 150, 10) == (limit if asked else None)


@pytest.mark.parametrize("limit, asked", [(1 << 16, True), (70_001, True), (1 << 50, False)])
def test_rekey_bytes(limit: int, asked: bool) -> None:
    used = worn(Two(rekey_bytes=limit), "bytes_out", 120, 1000)
    assert limit <= used < limit + 1100 if used is not None else not asked


def test_rekey_age_s() -> None:
    """Up to a quarter less, by chance; a session beside it has its own chance."""
    for age_us in (SECOND, 20 * SECOND):
        two = Two(rekey_age_us=age_us, idle_timeout_us=100 * SECOND)
        begin, said = two.desk.now_us, False
        while not said:
            said = asks(two)
            assert two.desk.now_us - begin <= age_us + SECOND // 5
            two.say()
        assert two.desk.now_us - begin >= age_us * 3 // 4
    assert not any(asks(Two(rekey_age_us=1 << 40)) for _ in range(3))

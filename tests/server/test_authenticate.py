"""`@app.authenticate`, plain and async, over real sockets: who joins, who is sent away, and what each side is told."""
import asyncio
import threading
from typing import Annotated as A
from typing import Any

import pytest

import shadowland as sl
from shadowland.errors import UsageError
from tests.server.running import running


class Guard(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)


class Ask(sl.Message, channel="reliable"):
    number: A[int, sl.Range(0, 1000)] = 0


class Answer(sl.Message, channel="reliable"):
    number: A[int, sl.Range(0, 100_000)] = 0


SCHEMA = sl.Schema([Guard], [Ask, Answer])


def house(**limits: Any) -> tuple[sl.Server, list[str]]:
    app = sl.Server(schema=SCHEMA, capacity=8, **limits)
    seen: list[str] = []

    @app.on_join
    def join(session: sl.Session) -> None:
        seen.append("join")
        session.avatar = app.world.spawn(Guard(), owner=session)

    @app.on_leave
    def leave(session: sl.Session, reason: sl.DisconnectReason) -> None:
        seen.append(f"leave {reason.name}")

    return app, seen


def refusal(app: sl.Server, url: str, credentials: str | bytes | None) -> sl.ConnectError:
    with sl.Client(url, app.identity.public_text, schema=SCHEMA, credentials=credentials) as client:
        with pytest.raises(sl.ConnectError) as refused:
            client.wait()
        assert not client.connected
        return refused.value


def enter(app: sl.Server, url: str, credentials: str | bytes) -> None:
    """Join, see the world, leave."""
    with sl.Client(url, app.identity.public_text, schema=SCHEMA, credentials=credentials) as client:
        client.wait()
        while client.snapshot is None:
            client.poll()
            client._socket.wait(1000)
        client.send(Ask(number=1))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_shows_the_right_credentials_joins_and_nobody_else(asynchronous: bool) -> None:
    app, seen = house()
    shown: list[bytes] = []
    threads: set[int] = set()

    def right(credentials: bytes) -> bool:
        shown.append(credentials)
        threads.add(threading.get_ident())
        return credentials == b"word"

    if asynchronous:
        @app.authenticate
        async def check(session: sl.Session, credentials: bytes) -> bool:
            assert not await app.in_tick(lambda: session.live)
            return right(credentials)
    else:
        @app.authenticate
        def plain(session: sl.Session, credentials: bytes) -> bool:
            assert not session.live
            return right(credentials)

    before = threading.active_count()
    with running(app) as url:
        assert threading.active_count() == before + 1 + asynchronous
        enter(app, url, "word")
        wrong = refusal(app, url, b"wrong")
        assert wrong.reason == sl.DisconnectReason.NOT_AUTHENTICATED and "did not take the credentials" in str(wrong)
        none = refusal(app, url, None)
        assert none.reason == sl.DisconnectReason.NOT_AUTHENTICATED and "credentials=" in str(none)
        assert "did not take" in str(refusal(app, url, b""))
    assert shown == [b"word", b"wrong", b""]
    assert seen == ["join", "leave CLIENT_LEFT"] and app.admission.joining == {}
    assert threading.active_count() == before and len(threads) == 1


def test_a_handler_that_raises_or_says_something_else_lets_nobody_in() -> None:
    app, seen = house()

    @app.authenticate
    def check(session: sl.Session, credentials: bytes) -> object:
        if credentials == b"raise":
            raise KeyError(credentials)
        return {b"text": "the account is \x1b[31mclosed", b"long": "é" * 70, b"one": 1, b"none": None}[credentials]

    with running(app) as url:
        for credentials in (b"raise", b"text", b"one", b"none"):
            assert refusal(app, url, credentials).reason == sl.DisconnectReason.NOT_AUTHENTICATED
        assert app.stats().handler_errors == 1
        assert str(refusal(app, url, b"text")).endswith("did not take the credentials: the account is ?[31mclosed")
        assert str(refusal(app, url, b"long")).endswith(": " + "é" * 32)
    assert seen == []


def test_who_is_kicked_hears_why() -> None:
    app, _ = house()

    @app.on(Ask)
    def ask(session: sl.Session, message: Ask) -> None:
        with pytest.raises(UsageError, match="65 bytes; at most 64"):
            session.close(text="x" * 65)
        session.close(text="x" * 64)

    with running(app) as url, sl.Client(url, app.identity.public_text, schema=SCHEMA) as client:
        client.wait()
        client.send(Ask())
        with pytest.raises(sl.ConnectionLost) as lost:
            while True:
                client.poll()
        assert lost.value.reason == sl.DisconnectReason.KICKED
        assert str(lost.value) == "The application ended the session. " + "x" * 64


def test_a_verdict_that_takes_too_long_is_none() -> None:
    app, seen = house(authenticate_us=200_000)
    begun, go = threading.Event(), threading.Event()

    @app.authenticate
    async def check(session: sl.Session, credentials: bytes) -> bool:
        begun.set()
        await asyncio.get_running_loop().run_in_executor(None, go.wait, 10)
        return True

    with running(app) as url:
        assert refusal(app, url, b"word").reason == sl.DisconnectReason.NOT_AUTHENTICATED
        assert begun.is_set()
        go.set()                                # the verdict comes when it is over: it lets nobody in
    assert seen == []


def test_more_checks_than_may_be_under_way_are_refused() -> None:
    app, _ = house(async_handlers=1)
    begun, go = threading.Event(), threading.Event()

    @app.authenticate
    async def check(session: sl.Session, credentials: bytes) -> bool:
        begun.set()
        while not go.is_set():
            await app.in_tick(lambda: None)
        return True

    with running(app) as url, sl.Client(url, app.identity.public_text, schema=SCHEMA, credentials="a") as first:
        while not begun.is_set():
            first.poll()
        assert refusal(app, url, "b").reason == sl.DisconnectReason.NOT_AUTHENTICATED
        assert app.stats().handlers_refused == 1
        go.set()
        first.wait()


def test_credentials_go_only_to_a_server_that_asks() -> None:
    app, seen = house()
    with running(app) as url:
        enter(app, url, "word")
    assert seen[0] == "join"
    with pytest.raises(sl.ConfigError, match="1025 bytes; at most 1024"):
        sl.Client("sl://127.0.0.1:1", app.identity.public_text, schema=SCHEMA, credentials=bytes(1025))


def test_async_handlers_of_every_sort_reach_the_world_by_in_tick() -> None:
    app = sl.Server(schema=SCHEMA, capacity=8)
    order: list[str] = []
    wrong: list[Exception] = []
    ticks: set[int] = set()

    @app.on_join
    async def join(session: sl.Session) -> None:
        try:
            session.send(Answer())
        except UsageError as error:
            wrong.append(error)
        try:
            app.world.spawn(Guard())
        except UsageError as error:
            wrong.append(error)
        await app.in_tick(lambda: order.append("join"))

    @app.on(Ask)
    async def ask(session: sl.Session, message: Ask) -> None:
        number = await app.in_tick(lambda: app.tick_number)
        ticks.add(number)
        with pytest.raises(ZeroDivisionError):
            await app.in_tick(lambda: 1 // 0)
        await app.in_tick(lambda: session.send(Answer(number=message.number * 2)))
        raise LookupError("counted and logged once")

    @app.on_leave
    async def leave(session: sl.Session, reason: sl.DisconnectReason) -> None:
        await app.in_tick(lambda: order.append(f"leave {reason.name}"))

    with running(app) as url:
        with sl.Client(url, app.identity.public_text, schema=SCHEMA) as client:
            client.wait()
            answers: list[sl.Message] = []
            for number in range(20):
                client.send(Ask(number=number))
            while len(answers) < 20:
                answers += client.poll()
                client._socket.wait(1000)
            assert sorted(answer.number for answer in answers if isinstance(answer, Answer)) == [*range(0, 40, 2)]
            while app.stats().handler_errors < 20:
                client.poll()
    assert order == ["join", "leave CLIENT_LEFT"] and ticks
    assert len(wrong) == 2 and all("await app.in_tick" in str(error) for error in wrong)


def test_a_server_that_closes_waits_for_its_handlers_but_not_for_ever() -> None:
    app = sl.Server(schema=SCHEMA, capacity=8)
    begun, cancelled = threading.Event(), threading.Event()

    @app.on_join
    async def join(session: sl.Session) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()        # nobody sets it
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with running(app) as url, sl.Client(url, app.identity.public_text, schema=SCHEMA) as client:
        client.wait()
        while not begun.is_set():
            client.poll()
    assert cancelled.is_set()


def test_a_second_start_has_its_handlers_again() -> None:
    app, seen = house()

    @app.authenticate
    async def check(session: sl.Session, credentials: bytes) -> bool:
        return True

    for _ in range(2):
        with running(app) as url:
            enter(app, url, "x")
    assert seen == ["join", "leave CLIENT_LEFT"] * 2


def test_mistakes_of_the_application_are_named() -> None:
    app, _ = house()
    with pytest.raises(UsageError, match="a tick waits for nobody"):
        @app.tick
        async def step(t: sl.Tick) -> None: ...

    async def nothing() -> None: ...

    async def outside() -> None:
        with pytest.raises(UsageError, match="not open"):
            await app.in_tick(lambda: None)
        with pytest.raises(UsageError, match="it is async"):
            await app.in_tick(nothing)  # type: ignore[unused-coroutine]  # wrong on purpose

    asyncio.run(outside())

    @app.authenticate
    def check(session: sl.Session, credentials: bytes) -> bool:
        return True

    with pytest.raises(UsageError, match="one authenticate handler"):
        app.authenticate(check)
    for wrong in ({"joining": 0}, {"authenticate_us": 0}):
        other, _ = house(**wrong)
        other.authenticate(check)
        with pytest.raises(UsageError, match="joining is 0|authenticate_us is 0"):
            other.open(port=0)

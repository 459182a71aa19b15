"""Server and clients over real loopback sockets: joining, leaving, refusing, and what each side is told."""
import asyncio
import threading
import time
from collections.abc import Callable
from typing import Annotated as A

import pytest

import shadowland as sl
from shadowland._core.base.batch import DatagramBatch
from shadowland._core.udp.socket import UdpSocket
from shadowland.errors import TransportError
from tests.server.running import running


class Walker(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)
    gold: A[int, sl.OwnerOnly, sl.Range(0, 1000)] = 0


class Say(sl.Message, channel="reliable", per_second=3):
    text: A[str, sl.MaxLen(4000)] = ""


class Other(sl.Message, channel="reliable"):
    number: A[int, sl.Range(0, 10)] = 0


SCHEMA = sl.Schema([Walker], [Say])


def world(capacity: int = 1024) -> sl.Server:
    return sl.Server(tick_hz=60, aoi=sl.Grid(cell=10, radius=30), schema=SCHEMA, capacity=capacity)


def poll_until(client: sl.Client, done: Callable[[], bool], seconds: float = 5.0,
               into: list[sl.Message] | None = None) -> list[sl.Message]:
    """Poll until `done()`, which may look at the messages in `into` but must not poll for them: each comes once."""
    messages: list[sl.Message] = [] if into is None else into
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        messages += client.poll()
        client._socket.wait(2000)
    assert done(), "it did not happen in time"
    return messages


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_two_players_see_each_other_and_only_their_own_gold(host: str) -> None:
    app = world()

    @app.on_join
    def join(session: sl.Session) -> None:
        session.avatar = app.world.spawn(Walker(position=(len(app.sessions), 0), gold=7), owner=session)

    @app.on_leave
    def leave(session: sl.Session, reason: sl.DisconnectReason) -> None:
        app.world.despawn(session.avatar)

    with running(app, host) as url:
        key = app.identity.public_text
        with sl.Client(url, key, schema=SCHEMA) as one, sl.Client(url, key, schema=SCHEMA) as two:
            one.wait()
            two.wait()

            def both_see_two() -> bool:
                two.poll()
                return all(c.snapshot is not None and len(c.snapshot[Walker]) == 2 for c in (one, two))

            poll_until(one, both_see_two)
            snapshot = one.snapshot
            assert snapshot is not None
            assert snapshot.own(Walker).gold == 7
            seen = snapshot[Walker]
            assert sorted(seen.gold[seen.handles != snapshot.mine].tolist()) == [0]
            assert sorted(seen.position[:, 0].tolist()) == [1.0, 2.0]
            two.close()
            poll_until(one, lambda: one.snapshot is not None and len(one.snapshot[Walker]) == 1)


def test_reliable_messages_are_echoed_whole_and_in_order_within_their_allowance() -> None:
    app = world()
    heard: list[str] = []

    @app.on(Say)
    def say(session: sl.Session, message: Say) -> None:
        heard.append(message.text)
        session.send(message)

    with running(app) as url, sl.Client(url, app.identity.public_text, schema=SCHEMA) as me:
        me.wait()
        texts = ["a", "b" * 4000, "c", "over the allowance", "this one too"]
        for text in texts:
            me.send(Say(text=text))
        got: list[sl.Message] = []
        poll_until(me, lambda: len(got) >= 3, into=got)
        assert heard == texts[:3] == [message.text for message in got if isinstance(message, Say)]
        assert app.stats().message_drops == {"RATE_LIMITED": 2}


def test_a_full_server_refuses_at_once_and_says_so() -> None:
    app = world(capacity=1)
    with running(app) as url, sl.Client(url, app.identity.public_text, schema=SCHEMA) as first:
        first.wait()
        began = time.monotonic()
        key = app.identity.public_text
        with pytest.raises(sl.ConnectError) as refusal, sl.Client(url, key, schema=SCHEMA) as second:
            second.wait()
        assert refusal.value.reason == sl.DisconnectReason.SERVER_FULL
        assert time.monotonic() - began < 3


def test_another_schema_is_refused_with_what_differs() -> None:
    app = world()
    other = sl.Schema([Walker], [Say, Other])
    with running(app) as url, pytest.raises(sl.ConnectError) as refusal:
        with sl.Client(url, app.identity.public_text, schema=other) as me:
            me.wait()
    assert refusal.value.reason == sl.DisconnectReason.SCHEMA_MISMATCH
    assert "message Other: the other side has none like it (here: number int 0..10)" in str(refusal.value)


def test_a_class_that_is_declared_otherwise_is_named_with_its_fields() -> None:
    app = world()
    walker = type("Walker", (sl.Entity,), {"__annotations__": {"gold": A[int, sl.Range(0, 9)]}})
    with running(app) as url, pytest.raises(sl.ConnectError) as refusal:
        with sl.Client(url, app.identity.public_text, schema=sl.Schema([walker], [Say])) as me:
            me.wait()
    assert "entity Walker: is declared otherwise on the other side (here: gold int 0..9)" in str(refusal.value)


class Route(sl.Message, channel="reliable"):
    points: A[list[sl.Vec2], sl.Quantized(step=0.5), sl.MaxLen(200)] = []
    names: A[list[A[str, sl.MaxLen(20)]], sl.MaxLen(8)] = []


def test_lists_travel_both_ways_by_handler_and_in_columns() -> None:
    schema = sl.Schema([Walker], [Route])
    app = sl.Server(tick_hz=60, aoi=sl.Grid(cell=10, radius=30), schema=schema)
    route = Route(points=[(index, -index) for index in range(200)], names=["é" * 20] * 8)
    heard: list[Route] = []
    lengths: list[int] = []

    @app.on(Route)
    def answer(session: sl.Session, message: Route) -> None:
        heard.append(message)
        session.send(message)

    @app.tick
    def step(t: sl.Tick) -> None:
        lengths.extend(len(points) for points in t[Route].points)

    @app.on_join
    def join(session: sl.Session) -> None:
        session.avatar = app.world.spawn(Walker(), owner=session)

    with running(app) as url, sl.Client(url, app.identity.public_text, schema=schema) as me:
        me.wait()
        got: list[sl.Message] = []
        poll_until(me, lambda: len(app.world) == 1)
        me.send(route)
        poll_until(me, lambda: bool(got), into=got)
    assert heard == [route] == got and lengths == [200]


def test_a_wrong_server_key_is_named_as_the_likely_cause() -> None:
    app = world()
    with running(app) as url, pytest.raises(sl.ConnectError, match="another key") as refusal:
        with sl.Client(url, sl.Identity.generate().public_text, schema=SCHEMA, timeout_s=1) as me:
            me.wait()
    assert refusal.value.reason == sl.DisconnectReason.WRONG_SERVER_KEY


def test_nobody_there_is_a_connect_timeout() -> None:
    with pytest.raises(sl.ConnectError, match="no answer") as refusal:
        with sl.Client("sl://127.0.0.1:9", sl.Identity.generate().public_text, schema=SCHEMA, timeout_s=0.3) as me:
            me.wait()
    assert refusal.value.reason == sl.DisconnectReason.CONNECT_TIMEOUT


def test_a_server_that_breaks_says_so_to_its_players() -> None:
    app = world()
    app.open("127.0.0.1", 0)
    url = "sl://{}:{}".format(*app.address)
    joined = threading.Event()

    def breaks() -> bool:
        if joined.is_set():
            raise MemoryError("a bug of the loop, not of a handler")
        return False

    def serve() -> None:
        with pytest.raises(MemoryError), app.closing():
            app.loop(until=breaks)

    thread = threading.Thread(target=serve)
    thread.start()
    with sl.Client(url, app.identity.public_text, schema=SCHEMA) as me:
        me.wait()
        poll_until(me, lambda: me.snapshot is not None or len(app.sessions) == 1)
        joined.set()
        with pytest.raises(sl.ConnectionLost) as lost:
            poll_until(me, lambda: False, 2.0)
    thread.join()
    assert lost.value.reason == sl.DisconnectReason.INTERNAL_ERROR


def test_closing_the_server_tells_every_client_why() -> None:
    app = world()
    with running(app) as url:
        me = sl.Client(url, app.identity.public_text, schema=SCHEMA)
        me.wait()
    with pytest.raises(sl.ConnectionLost) as end:
        poll_until(me, lambda: False, seconds=1)
    assert end.value.reason == sl.DisconnectReason.SERVER_SHUTDOWN
    me.close()


def test_a_kick_ends_the_async_iteration_with_its_reason() -> None:
    app = world()

    @app.on(Say)
    def say(session: sl.Session, message: Say) -> None:
        session.close()

    async def play(url: str) -> None:
        async with sl.connect(url, server_key=app.identity.public_text, schema=SCHEMA) as me:
            me.send(Say(text="kick me"))
            async for _ in me.snapshots():
                pass

    with running(app) as url, pytest.raises(sl.ConnectionLost) as end:
        asyncio.run(play(url))
    assert end.value.reason == sl.DisconnectReason.KICKED


def test_both_sides_can_ask_for_new_keys() -> None:
    app = world()
    with running(app) as url, sl.Client(url, app.identity.public_text, schema=SCHEMA) as me:
        me.wait()
        poll_until(me, lambda: len(app.sessions) == 1)
        (session,) = app.sessions.values()
        for number, ask in enumerate((session.rekey, me.rekey), 1):
            assert ask()
            poll_until(me, lambda number=number: app.endpoint.counters["rekeys"] == number)    # type: ignore[misc]
        assert app.endpoint.stats(session.handle)["epoch"][0] == 2
        assert app.rekey() == 1                                         # all of them
        poll_until(me, lambda: app.endpoint.counters["rekeys"] == 3)
    assert not me.rekey()


def test_a_handler_that_raises_is_counted_and_the_tick_goes_on() -> None:
    app = world()

    @app.tick
    def broken(t: sl.Tick) -> None:
        raise RuntimeError("by the test")

    app.open(port=0)
    app.step()
    app.step()
    assert app.stats().handler_errors == 2
    app.close()


def test_a_port_in_use_is_one_clear_error() -> None:
    first, second = world(), world()
    first.open(port=0)
    with pytest.raises(TransportError, match="in use"):
        second.open(port=first.address[1])
    first.close()


def test_what_the_kernel_lost_or_refused_to_send_stands_among_the_drops() -> None:
    app = world(capacity=2)
    app.open("127.0.0.1", 0)
    try:
        app.step()
        assert app.stats().drops == {}
        assert app._socket is not None
        nowhere = DatagramBatch(2, 16)
        for _ in range(2):
            nowhere.append(b"x", ("127.0.0.1", 0))          # port 0: EINVAL
        app._socket.send(nowhere)
        assert app.stats().drops == {"SEND_FAILED": 2}
        flood = DatagramBatch(1024, 1500)
        with UdpSocket("127.0.0.1", 0) as stranger:
            for _ in range(16):                             # 23 MB into a buffer of 4 MiB
                while flood.count < flood.capacity:
                    flood.append(bytes(1400), app.address)
                while flood.count:
                    stranger.send(flood)
        drops = app.stats().drops
        assert drops["KERNEL_OVERFLOW"] > 0 and drops["SEND_FAILED"] == 2
    finally:
        app.close()


def test_a_client_that_changes_its_socket_stays_the_same_player() -> None:
    app = world()
    heard: list[tuple[str, tuple[str, int] | None]] = []

    @app.on(Say)
    def say(session: sl.Session, message: Say) -> None:
        heard.append((message.text, session.remote))
        session.send(message)

    with running(app) as url, sl.Client(url, app.identity.public_text, schema=SCHEMA) as me:
        me.wait()
        got: list[sl.Message] = []
        me.send(Say(text="here"))
        poll_until(me, lambda: len(got) == 1, into=got)
        me.rebind()
        me.send(Say(text="there"))
        poll_until(me, lambda: len(got) == 2, into=got)
        poll_until(me, lambda: app.endpoint.counters["migrations"] == 1)
        me.send(Say(text="and everywhere"))
        poll_until(me, lambda: len(got) == 3, into=got)
        assert [text for text, _ in heard] == ["here", "there", "and everywhere"] and len(app.sessions) == 1
        ports = [remote[1] for _, remote in heard if remote is not None]
        assert ports[0] == ports[1] != ports[2] == me._socket.local[1]

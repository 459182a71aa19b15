"""Server and clients over loopback: streams, unordered messages, and what awaiting a message says."""
import asyncio
import gc
import threading
import time
from typing import Annotated as A

import numpy as np
import pytest

import shadowland as sl
from shadowland._core.base.records import EVENT_DTYPE
from shadowland.delivery import Deliveries, Delivery
from tests.server.running import running


class Walker(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)


class Order(sl.Message, channel="reliable"):
    text: A[str, sl.MaxLen(200)] = ""


class Bulk(sl.Message, channel="reliable", stream=7):
    text: A[str, sl.MaxLen(60_000)] = ""


class Pickup(sl.Message, channel="unordered"):
    number: A[int, sl.Range(0, 1000)] = 0


class Shout(sl.Message):
    number: A[int, sl.Range(0, 1000)] = 0


SCHEMA = sl.Schema([Walker], [Order, Bulk, Pickup, Shout])


def test_what_each_side_sends_is_delivered_and_can_be_awaited() -> None:
    app = sl.Server(schema=SCHEMA)
    heard: list[sl.Message] = []
    sent: list[Delivery] = []
    rows = 0

    for cls in (Order, Bulk, Pickup):
        app.on(cls)(lambda session, message: heard.append(message))

    @app.on_join
    def join(session: sl.Session) -> None:
        sent.extend(session.send(message) for message in (Bulk(text="y" * 50_000), Order(text="go"), Pickup(number=3)))

    @app.tick
    def tick(t: sl.Tick) -> None:
        nonlocal rows
        rows += len(t.deliveries)
        assert t.deliveries.delivered.all() and set(t.deliveries.sessions.tolist()) <= set(app.sessions)

    async def play(url: str) -> list[bool]:
        async with sl.connect(url, server_key=app.identity.public_text, schema=SCHEMA) as me:
            bulk, order, pickup = me.send(Bulk(text="x" * 50_000)), me.send(Order(text="a")), me.send(Pickup(number=1))
            assert not order.done and order.delivered is None
            answers = list(await asyncio.gather(bulk, order, pickup, order))
            while len(sent) < 3 or not all(delivery.done for delivery in sent):
                await asyncio.sleep(0.01)
            return answers + [bool(await delivery) for delivery in sent]

    with running(app) as url:
        assert asyncio.run(asyncio.wait_for(play(url), 20)) == [True] * 7
    assert {type(message) for message in heard} == {Order, Bulk, Pickup} and rows == 3


def test_a_session_that_ends_first_answers_false() -> None:
    app = sl.Server(schema=SCHEMA)
    sent: list[Delivery] = []

    @app.on_join
    def join(session: sl.Session) -> None:
        sent.append(session.send(Order(text="too late")))
        session.close()

    with running(app) as url, sl.Client(url, app.identity.public_text, schema=SCHEMA) as client:
        with pytest.raises(sl.ConnectionLost):
            while True:
                client.poll()
                time.sleep(0.005)
        end = time.monotonic() + 5
        while not sent[0].done and time.monotonic() < end:
            time.sleep(0.01)
    assert sent[0].delivered is False

    async def ask() -> bool:
        return await sent[0]

    assert asyncio.run(ask()) is False


def test_awaiting_what_nobody_acknowledges_is_a_usage_error() -> None:
    delivery = Deliveries().open(0)
    assert delivery.done and delivery.delivered is None

    async def ask() -> bool:
        return await delivery

    with pytest.raises(sl.UsageError, match="reliable"):
        asyncio.run(ask())


def test_a_delivery_wakes_loops_of_several_threads_and_outlives_one_that_gives_up() -> None:
    open_ones = Deliveries()
    delivery, answers = open_ones.open(1), []
    gave_up = threading.Barrier(4)

    async def wait() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(delivery, 0.02)
        gave_up.wait(5)
        answers.append(await delivery)

    threads = [threading.Thread(target=lambda: asyncio.run(wait())) for _ in range(3)]
    for thread in threads:
        thread.start()
    gave_up.wait(5)                     # only then does the answer come
    events = np.zeros(1, EVENT_DTYPE)
    events[0] = (1, 0, delivery.ticket, 5, 0, 0)
    open_ones.take(events)
    for thread in threads:
        thread.join(5)
    assert answers == [True] * 3


def test_nothing_is_kept_of_deliveries_that_nobody_holds_and_tickets_are_never_zero() -> None:
    open_ones = Deliveries()
    kept = [open_ones.open(1 + 16 * 7) for _ in range(100)]
    for _ in range(1000):
        open_ones.open(2)
    gc.collect()
    assert len(open_ones._open) == 100 and len({delivery.ticket for delivery in kept}) == 100
    open_ones._next = 2**32 - 3
    assert open_ones.tickets(4).tolist() == [2**32 - 2, 2**32 - 1, 1, 2]
    assert open_ones.open(1).ticket == 101          # 1 to 100 are still open
    open_ones.end()
    assert all(delivery.delivered is False for delivery in kept)

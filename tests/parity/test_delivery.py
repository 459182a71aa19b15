"""Invariant: both halves of reliable delivery do what the reference does, also where the 16-bit numbers wrap."""
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.session import receiving, sending
from tests.reference import delivery as reference

starts = st.sampled_from([0, 3, 65_300, 65_536 * 3 - 20, 2**32 - 50])
sizes = st.sampled_from([1, 1, 1, 255, 256, 257, 960, 961, 3000, 20_000, 100_000, 262_144, 262_145])
streams = st.sampled_from([0, 1, 3, 7, 8, 10, 10])


def test_the_constants_agree() -> None:
    for name in ("WINDOW", "POSITIONS", "UNIT_SIZE", "MESSAGE_LIMIT", "MESSAGE_UNITS", "UNITS_BEGUN", "CONTROL",
                 "UNORDERED", "UNORDERED_PARTS"):
        assert getattr(sending, name) == getattr(reference, name)
    for name in ("KEPT", "DUPLICATE", "NO_ROOM", "BEYOND_WINDOW", "BAD", "OVER_LIMIT", "BLOCKS_ASIDE"):
        assert getattr(receiving, name) == getattr(reference, name)


actions = st.lists(st.one_of(
    st.tuples(st.just("queue"), streams, sizes, st.integers(0, 3)), st.tuples(st.just("take"), st.integers(1, 80)),
    st.tuples(st.just("acked"), st.integers(-5, 260), st.integers(1, 90)),
    st.tuples(st.just("lost"), st.integers(-5, 260), st.integers(1, 20)), st.tuples(st.just("told")),
    st.tuples(st.just("probe")),
), min_size=5, max_size=80)


@given(starts, st.sampled_from([2720, 3584]), actions)
def test_the_sender_does_what_the_reference_does(start: int, quota: int, plan: list[tuple[Any, ...]]) -> None:
    sender, model = sending.Sender(8192, quota, start), reference.Sender(quota, start, start)
    for step, (what, *numbers) in enumerate(plan):
        if what == "queue":
            stream, size, ticket = numbers
            message = bytes([step & 0xFF]) * size
            assert sender.queue(stream, message, ticket) == model.queue(stream, message, ticket)
        elif what == "take":
            for _ in range(numbers[0]):
                assert sender.take() == model.take()
        elif what == "probe":
            sender.probe()
            model.probe()
        elif what == "told":
            assert sender.told() == model.told()
        else:
            first = max(model.base + numbers[0], 0)
            if any(number in model.waiting for number in range(first, first + numbers[1])):
                continue                        # only what was sent can be acknowledged or lost
            assert getattr(sender, what)(first, numbers[1]) == getattr(model, what)(first, numbers[1])
        assert sender.outstanding == model.outstanding
        assert sender.blocks_used == model.used
        assert sender.wants == (bool(model.waiting) or model.choose() is not None)
    sender.end()
    model.end()
    sender.end()
    assert sorted(sender.told()) == sorted(model.told())
    assert sender.blocks_used == 0 and sender.outstanding[2:] == (0, 0)


arrivals = st.lists(st.tuples(
    streams, st.integers(-3, 260), st.sampled_from([0, 0, 0, 0, 1, 2, -1, 255, 256]), st.integers(-1, 2),
    st.sampled_from([0, 0, 0, 1, 2, 2, 3, 274, 275, 5, 6]), st.sampled_from([0, 1, 256, 257, 960, 961]),
    st.sampled_from([None, None, 0, 1, 1000]), st.sampled_from([False, False, False, True]),
), min_size=5, max_size=150)


@given(starts, st.sampled_from([2720, 3584]), arrivals)
def test_the_receiver_does_what_the_reference_does(start: int, quota: int, plan: list[tuple[Any, ...]]) -> None:
    """Whatever arrives, in whatever order; units are near what is next in their streams, so much fits."""
    receiver, model = receiving.Receiver(8192, quota, start), reference.Receiver(quota, start)
    for step, (stream, ahead, message, index, count, size, room, odd) in enumerate(plan):
        if stream == 10 and count:
            stream = 9
        low = model.missing + ahead % (4 if ahead % 3 else 300) & 0xFFFF
        incoming = model.streams[stream]
        count = incoming.count if incoming.count and message == 0 and step % 5 else count
        index = max(0, len(incoming.parts) + index) if count else 0
        size = 960 if count and index + 1 < count and step % 11 else size
        compressed = odd != (incoming.compressed if incoming.count else stream % 2 > 0)
        unit = (stream, low, incoming.message + message & 0xFFFF, index, count, bytes([step & 0xFF]) * size, compressed)
        kept = receiver.receive(*unit)
        assert kept == model.receive(*unit)
        if kept in (receiving.BAD, receiving.OVER_LIMIT, receiving.BEYOND_WINDOW) and step % 4 == 0:
            break                               # the session ends; often enough it is also looked at what comes after
        if room is not None and receiver.make_room(room) != model.make_room(room):
            raise AssertionError("there is room")
        assert receiver.progress == (model.expected, model.missing, model.begun)
        assert receiver.take() == model.take()
        assert (receiver.blocks_used, receiver.blocks_claimed) == (model.used(), model.claimed)
    receiver.clear()
    assert receiver.blocks_used == receiver.blocks_claimed == 0


flights = st.lists(st.tuples(streams, sizes), min_size=1, max_size=25)


@given(starts, flights, st.integers(0, 2**32), st.sampled_from([0.0, 0.3, 0.6]))
def test_what_one_half_sends_the_other_delivers(start: int, messages: list[tuple[int, int]], seed: int,
                                                loss: float) -> None:
    """Every stream exactly once and in order over a network that loses, doubles and shuffles; inboxes that are full."""
    sender, receiver = sending.Sender(1 << 16, 1 << 15, start), receiving.Receiver(4096, 3584, start)
    random = Random(seed)
    said: dict[int, list[bytes]] = {}
    for number, (stream, size) in enumerate(messages):
        data = bytes([number]) * min(size, 4096 if stream == 8 else 262_144)
        if sender.queue(stream, data, number + 1):
            said.setdefault(stream, []).append(data)
    heard: dict[int, list[bytes]] = {}
    done: list[tuple[int, bool]] = []
    for _ in range(5000):
        flight = list(iter(sender.take, None))[:300]
        random.shuffle(flight)
        for number, stream, message, index, parts, part in [*flight, *random.sample(flight, len(flight) // 4)]:
            if random.random() < loss:
                continue
            kept = receiver.receive(stream, number & 0xFFFF, message, index, parts, part)
            assert kept in (receiving.KEPT, receiving.DUPLICATE, receiving.NO_ROOM)
            if kept != receiving.NO_ROOM and random.random() > loss / 2:
                sender.acked(number, 1)
        for number, *_ in flight:
            sender.lost(number, 1)
        assert receiver.make_room(random.choice([0, 1, 1 << 20])) == receiving.KEPT
        for stream, data in receiver.take():
            heard.setdefault(10 if stream == 9 else stream, []).append(data)
        done += sender.told()
        if sender.outstanding[0] == sender.outstanding[1] and not sender.outstanding[2] and receiver.room:
            break
    for stream in said:
        if stream == 10:
            assert sorted(heard[stream]) == sorted(said[stream])
        else:
            assert heard[stream] == said[stream]
    assert len(done) == sum(map(len, said.values())) and all(arrived for _, arrived in done)
    assert sender.blocks_used == receiver.blocks_used == receiver.blocks_claimed == 0


def test_a_unit_below_zero_is_beyond_the_window_and_not_a_duplicate() -> None:
    receiver = receiving.Receiver()
    assert receiver.receive(0, 65_535, 0, 0, 0, b"x") == receiving.BEYOND_WINDOW
    assert receiver.receive(0, 0, 0, 0, 0, b"x") == receiving.KEPT
    assert receiver.receive(0, 0, 0, 0, 0, b"x") == receiving.DUPLICATE


@pytest.mark.parametrize("stream", [0, 8, 9])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("bits", list(product([False, True], repeat=3)))
def test_all_parts_of_a_message_are_compressed_or_none(stream: int, order: tuple[int, ...],
                                                       bits: tuple[bool, ...]) -> None:
    receiver, model = receiving.Receiver(), reference.Receiver(4096)
    kept = []
    for index in order:
        unit = (stream, index, 0, index, 3, b"p" * (9 if index == 2 else 960), bits[index])
        kept.append(receiver.receive(*unit))
        assert kept[-1] == model.receive(*unit)
        assert receiver.take() == model.take()
    fine = len(set(bits)) == 1 and not (stream == 8 and any(bits))
    assert (kept == [receiving.KEPT] * 3) == fine


def test_what_is_begun_is_bounded_and_what_is_over_is_a_violation() -> None:
    """Two messages of the longest and one of 92 units are within the limit of 640; one of 93 is not."""
    part = bytes(960)
    for count, kept in ((92, receiving.KEPT), (93, receiving.OVER_LIMIT)):
        receiver = receiving.Receiver()
        assert receiver.receive(0, 0, 0, 0, 274, part) == receiving.KEPT
        assert receiver.receive(1, 1, 0, 0, 274, part) == receiving.KEPT
        assert receiver.receive(2, 2, 0, 0, count, part) == kept
    assert receiver.blocks_claimed == 4 * 2 * 274


def test_an_urgent_message_overtakes_a_long_one_although_the_window_is_full_of_it() -> None:
    sender = sending.Sender()
    sender.queue(5, bytes(262_144))
    flight = list(iter(sender.take, None))
    assert {unit[1] for unit in flight} == {5} and len(flight) == 256 - 16 - 5 * 8
    sender.queue(1, b"urgent")
    sender.queue(0, b"more urgent")
    sender.queue(8, b"the endpoint's own")
    assert [unit[1] for unit in iter(sender.take, None)] == [8, 0, 1]

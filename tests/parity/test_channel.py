"""Invariant: both halves of reliable delivery do what the reference does, also where the 16-bit numbers wrap."""
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.session import channel
from tests.reference import channel as reference

starts = st.sampled_from([0, 3, 65_400, 65_536 * 3 - 20, 2**32 - 50])
sizes = st.sampled_from([0, 1, 255, 256, 257, 960, 961, 3000, 20_000, 65_536, 65_537])


def test_the_constants_agree() -> None:
    for name in ("WINDOW", "POSITIONS", "UNIT_SIZE", "MESSAGE_LIMIT", "STORED", "DUPLICATE", "NO_ROOM",
                 "BEYOND_WINDOW", "BAD_FRAGMENT"):
        assert getattr(channel, name) == getattr(reference, name)


actions = st.lists(st.one_of(
    st.tuples(st.just("queue"), sizes), st.tuples(st.just("take"), st.integers(1, 60)),
    st.tuples(st.just("acked"), st.integers(-5, 140), st.integers(1, 20)),
    st.tuples(st.just("lost"), st.integers(-5, 140), st.integers(1, 20)),
), min_size=5, max_size=80)


@given(starts, st.sampled_from([100, 400, 1024]), actions)
def test_the_sender_does_what_the_reference_does(start: int, quota: int, plan: list[tuple[Any, ...]]) -> None:
    sender, model = channel.Sender(1024, quota, start), reference.Sender(quota, start, start)
    for what, *numbers in plan:
        if what == "queue":
            message = bytes([len(model.units) & 0xFF]) * numbers[0]
            assert sender.queue(message) == model.queue(message)
        elif what == "take":
            for _ in range(numbers[0]):
                assert sender.take() == model.take()
        else:
            first = max(model.base + numbers[0], 0)
            flying = [number for number in range(first, first + numbers[1])
                      if number >= model.base and number in model.waiting]
            if flying:                          # only what was sent can be acknowledged or lost
                continue
            assert getattr(sender, what)(first, numbers[1]) == getattr(model, what)(first, numbers[1])
        assert sender.outstanding == (model.base, model.next)
        assert sender.blocks_used == model.used()
    sender.clear()
    assert sender.blocks_used == 0


arrivals = st.lists(st.tuples(
    st.integers(-3, 140), st.integers(0, 3), st.sampled_from([0, 0, 0, 1, 2, 3, 69, 70]),
    st.sampled_from([0, 1, 256, 257, 960]), st.booleans(),
), min_size=5, max_size=200)


@given(starts, st.sampled_from([20, 300, 1024]), arrivals)
def test_the_receiver_does_what_the_reference_does(start: int, quota: int,
                                                   plan: list[tuple[int, int, int, int, bool]]) -> None:
    receiver, model = channel.Receiver(1024, quota, start), reference.Receiver(quota, start)
    for ahead, index, count, size, take in plan:
        low = model.missing + ahead & 0xFFFF
        data = bytes([low & 0xFF]) * size
        assert receiver.receive(low, index, count, data) == model.receive(low, index, count, data)
        while take:
            message = model.take()
            assert receiver.take() == message
            take = isinstance(message, bytes)
        assert receiver.progress == (model.expected, model.missing)
        assert receiver.blocks_used == model.used()
    receiver.clear()
    assert receiver.blocks_used == 0


def test_a_unit_below_zero_is_beyond_the_window_and_not_a_duplicate() -> None:
    receiver = channel.Receiver()
    assert receiver.receive(65_535, 0, 0, b"x") == channel.BEYOND_WINDOW
    assert receiver.receive(0, 0, 0, b"x") == channel.STORED
    assert receiver.receive(0, 0, 0, b"x") == channel.DUPLICATE

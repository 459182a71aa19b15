"""The compiled effects do what the lists of the slow model do, whatever is applied, dispelled and left to time."""
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland._core.world import effects as core
from tests.reference import effects as model

SLOTS = 2
CAPACITY = 12

kinds = st.builds(
    model.Kind, flags=st.sampled_from([0, 1, 2, 3, 1 << 31]), blocked_by=st.sampled_from([0, 0, 0, 2]),
    duration=st.sampled_from([0, 1, 5, 20]), period=st.sampled_from([0, 1, 3, 7, 7]), amount=st.integers(-9, 9),
    most=st.integers(1, 3), stacking=st.integers(0, 3), group=st.integers(0, 31), per_source=st.booleans())
targets = st.integers(1, SLOTS)
actions = st.one_of(
    st.tuples(st.just("apply"), st.integers(0, 3), targets, st.integers(0, 3), st.integers(-3, 3),
              st.sampled_from([0, 1, 4, 4, 50])),
    st.tuples(st.just("step"), st.sampled_from([0, 1, 2, 3, 12])),
    st.tuples(st.just("dispel"), targets, st.sampled_from([0xFFFFFFFF, 1, 0]), st.integers(0, 3)),
    st.tuples(st.just("forget"), targets),
)


def handle(target: int, generation: int = 1) -> int:
    return generation << 32 | target - 1


def both(kinds: list[model.Kind], rows: int) -> tuple[core.Effects, model.Effects]:
    fast = core.Effects(CAPACITY, SLOTS, rows)
    for number, kind in enumerate(kinds):
        fast.define(number, **vars(kind))
    return fast, model.Effects(kinds, CAPACITY)


def apply(fast: core.Effects, number: int, target: int, source: int, intensity: int, duration: int, tick: int) -> int:
    results = np.zeros(1, np.uint8)
    fast.apply(number, np.array([target], np.uint64), np.array([source], np.uint64), np.array([intensity], np.int32),
               np.array([duration], np.uint32), tick, results)
    return int(results[0])


def happenings(fast: core.Effects, tick: int) -> list[tuple[int, ...]]:
    rows: list[tuple[int, ...]] = []
    done = False
    while not done:
        done = fast.step(tick)
        rows += [tuple(int(row[name]) for name in ("target", "source", "amount", "tick", "kind", "what", "stacks"))
                 for row in fast.happenings]
    return rows


def flags(fast: core.Effects, targets: list[int]) -> list[int]:
    out = np.zeros(len(targets), np.uint32)
    fast.flags(np.array(targets, np.uint64), out)
    return [int(bits) for bits in out]


@settings(max_examples=300)
@given(st.lists(kinds, min_size=4, max_size=4), st.lists(actions, max_size=60), st.sampled_from([1, 2, 1000]))
def test_the_same_happens(kinds: list[model.Kind], script: list[tuple[object, ...]], rows: int) -> None:
    fast, slow = both(kinds, rows)
    tick = 100
    for action in script:
        match action:
            case ("apply", int(number), int(target), int(source), int(intensity), int(duration)):
                assert (apply(fast, number, handle(target), source, intensity, duration, tick)
                        == slow.apply(number, target, source, intensity, duration, tick))
            case ("step", int(ticks)):
                tick += ticks
                expected = [(handle(row[0]), *row[1:]) for row in slow.step(tick)]
                assert sorted(happenings(fast, tick)) == sorted(expected)
            case ("dispel", int(target), int(groups), int(most)):
                wanted = np.array([handle(target)], np.uint64)
                assert fast.dispel(wanted, groups, most) == slow.dispel(target, groups, most)
            case ("forget", int(target)):
                fast.forget(np.array([handle(target)], np.uint64))
                slow.forget(target)
        everybody = range(1, SLOTS + 1)
        assert fast.live == slow.live()
        for target in everybody:                        # in their order, so that the one that gives way is the same
            lived = [(effect.kind, effect.source, -1 if effect.ends == model.FOREVER else effect.ends, effect.stacks,
                      effect.intensity) for effect in slow.on.get(target, [])]
            assert fast.of(handle(target)) == lived
        assert flags(fast, [handle(target) for target in everybody]) == [slow.flags(target) for target in everybody]


def test_an_entity_does_not_inherit_the_effects_of_the_one_before_it() -> None:
    fast, _ = both([model.Kind(flags=4)], 10)
    assert apply(fast, 0, handle(1), 0, 1, 0, 0) == core.NEW
    assert flags(fast, [handle(1), handle(1, 2)]) == [4, 0]
    assert apply(fast, 0, handle(1, 2), 0, 1, 0, 0) == core.NEW and fast.live == 1
    assert flags(fast, [handle(1), handle(1, 2)]) == [0, 4]


def test_who_is_no_entity_gets_none() -> None:
    fast, _ = both([model.Kind()], 10)
    for target in (0, SLOTS + (1 << 32), (1 << 64) - 1):
        assert apply(fast, 0, target, 0, 1, 5, 0) == core.REFUSED
    assert fast.live == 0 and flags(fast, [0, (1 << 64) - 1]) == [0, 0]

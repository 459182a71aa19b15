"""The compiled relations say what the dictionaries of the slow model say, whatever was declared, said and forgotten."""
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland._core.world import relations as core
from tests.reference import relations as model

SLOTS = 6
WORDS = 5

entities = st.builds(lambda slot, generation: generation << 32 | slot, st.integers(0, SLOTS),
                     st.sampled_from([1, 1, 2]))
placed = st.builds(lambda slot, generation: generation << 32 | slot, st.integers(0, SLOTS - 1),
                   st.sampled_from([1, 1, 1, 2]))
small = st.integers(0, 2)
actions = st.one_of(
    st.tuples(st.just("declare"), st.integers(0, 63), st.integers(0, 63), small),
    st.tuples(st.just("declare"), small, small, small),
    st.tuples(st.just("place"), placed, small, small, small),
    st.tuples(st.just("place"), placed, st.sampled_from([0, 63]), st.just(0), st.just(0xFFFFFFFF)),
    st.tuples(st.just("duel"), entities, st.one_of(entities, st.just(0))),
    st.tuples(st.just("put"), entities, entities, small),
    st.tuples(st.just("put"), entities, entities, small),
    st.tuples(st.just("remove"), entities, entities),
    st.tuples(st.just("forget"), entities),
)


@settings(max_examples=300)
@given(st.lists(actions, max_size=60))
def test_the_same_is_said(script: list[tuple[object, ...]]) -> None:
    fast, slow = core.Relations(SLOTS, WORDS), model.Relations(SLOTS, WORDS)
    for name, *arguments in script:
        numbers = [number for number in arguments if isinstance(number, int)]
        assert getattr(fast, str(name))(*numbers) == getattr(slow, str(name))(*numbers)
        assert fast.words == len(slow.words)
    everybody = [generation << 32 | slot for slot in range(SLOTS + 1) for generation in (1, 2)] + [0]
    out = np.zeros(len(everybody), np.uint8)
    subjects = np.array(everybody, np.uint64)
    for observer in everybody:
        fast.between(np.array([observer], np.uint64), subjects, out)
        assert out.tolist() == [slow.between(observer, subject) for subject in everybody]
        fast.between(np.repeat(np.uint64(observer), len(everybody)), subjects, out)
        assert out.tolist() == [slow.between(observer, subject) for subject in everybody]
    columns = np.zeros((2, len(everybody)), np.int64)
    fast.places(subjects, columns[0], columns[1])
    for entity in everybody:
        assert fast.placed(entity) == slow.placed.get(entity) and fast.opponent(entity) == slow.duels.get(entity, 0)
        assert fast.said_by(entity) == slow.said_by(entity)
        assert sorted(fast.said_about(entity)) == sorted(slow.said_about(entity))
    assert columns.tolist() == [[slow.placed.get(entity, (0, 0, 0))[which] for entity in everybody] for which in (0, 2)]


def test_words_are_found_after_many_came_and_went() -> None:
    fast, slow = core.Relations(1000, 400), model.Relations(1000, 400)
    luck = np.random.default_rng(5)
    for entity in range(1000):
        for one in (fast, slow):
            one.place(1 << 32 | entity, 0, 0, 0)
    for by, about, stance in luck.integers(0, (30, 30, 3), (20_000, 3)).tolist():
        by, about = 1 << 32 | by, 1 << 32 | about
        if luck.random() < 0.01:
            for one in (fast, slow):
                one.forget(by)
                one.place(by, 0, 0, 0)
        if stance == 0:
            assert fast.remove(by, about) == slow.remove(by, about)
        else:
            assert fast.put(by, about, stance) == slow.put(by, about, stance)
        assert fast.words == len(slow.words)
    pairs = [(1 << 32 | a, 1 << 32 | b) for a in range(30) for b in range(30)]
    out = np.zeros(len(pairs), np.uint8)
    sides = np.array(pairs, np.uint64).T.copy()
    fast.between(sides[0], sides[1], out)
    assert out.tolist() == [slow.between(*pair) for pair in pairs] and fast.words > 100
    for entity in range(1 << 32, 30 + (1 << 32)):
        assert fast.said_by(entity) == slow.said_by(entity)
        assert sorted(fast.said_about(entity)) == sorted(slow.said_about(entity))

"""Invariant: fragments are put together, given up and evicted as the reference does it."""
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.session import fragment
from tests.reference import fragment as reference

parts = st.lists(st.tuples(
    st.integers(1, 3), st.integers(0, 7), st.integers(0, 3), st.sampled_from([2, 2, 3, 3, 4, 0, 1, 17]),
    st.sampled_from([960, 960, 960, 5, 0, 961]), st.sampled_from([0, 1, 1, 1000, 3_000_000]),
    st.sampled_from([0, 0, 0, 0x10]),
), min_size=10, max_size=200)


def test_the_constants_agree() -> None:
    for name in ("SETS", "SETS_PER_SESSION", "PARTS", "SIZE", "LIFE_US", "STORED", "DUPLICATE", "BAD", "NO_ROOM"):
        assert getattr(fragment, name) == getattr(reference, name)


@given(st.sampled_from([10, 40, 4096]), parts)
def test_parts_become_what_the_reference_makes_of_them(blocks: int,
                                                       plan: list[tuple[int, int, int, int, int, int, int]]) -> None:
    assembly, model = fragment.Assembly(blocks), reference.Assembly(blocks)
    now_us = 1
    for connection, id, index, count, length, wait_us, head in plan:
        now_us += wait_us + 1                   # no two sets begin at the same time: which of them is older is open
        data = bytes([id * 16 + index]) * length
        assert (assembly.add(connection, id, index, count, data, now_us, head)
                == model.add(connection, id, index, count, data, now_us, head))
        assert assembly.counters == (len(model.sets), model.blocks(), model.expired, model.evicted)
    assembly.forget(2)
    model.forget(2)
    assembly.sweep(now_us + 5_000_000)
    model.sweep(now_us + 5_000_000)
    assert assembly.counters == (len(model.sets), model.blocks(), model.expired, model.evicted)


def test_a_set_too_old_goes_though_a_part_of_a_younger_one_before_it_came() -> None:
    assembly, model = fragment.Assembly(), reference.Assembly(4096)
    seconds = 1_000_000
    for one in (assembly, model):
        one.add(1, 0, 0, 2, bytes(960), 1 * seconds)
        one.add(1, 1, 0, 2, bytes(960), 2 * seconds)
        assert one.add(1, 0, 1, 2, b"x", 3 * seconds) == bytes(960) + b"x"
        one.add(1, 2, 0, 3, bytes(960), 9 * seconds)            # in the place of the first
        one.add(1, 2, 1, 3, bytes(960), 13 * seconds)           # the second is 11 s old
    assert assembly.counters == (1, 8, 1, 0) == (len(model.sets), model.blocks(), model.expired, model.evicted)


def test_a_table_full_of_sets_evicts_the_oldest_of_all() -> None:
    assembly, model = fragment.Assembly(), reference.Assembly(4096)
    for i in range(300):
        for one in (assembly, model):
            assert one.add(1 + i // 3, i, 0, 2, bytes(960), 1 + i) == fragment.STORED
    assert assembly.counters == (256, 256 * 4, 0, 44) == (len(model.sets), model.blocks(), 0, model.evicted)
    assert assembly.add(1, 0, 1, 2, b"x", 400) == fragment.STORED       # its first part is gone
    assert assembly.add(100, 299, 1, 2, b"x", 400) == bytes(960) + b"x"

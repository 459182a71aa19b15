"""Invariants: a table is a dict of bounded size; a slab gives back what was put in and takes no block too many."""
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.base.slab import BLOCK, Blocks
from shadowland._core.endpoint.table import Numbers

keys = st.one_of(st.integers(0, 40), st.integers(2**64 - 5, 2**64 - 1))
steps = st.lists(st.tuples(st.sampled_from(["insert", "insert", "remove", "find"]), keys, st.integers(0, 2**32 - 2)),
                 min_size=10, max_size=400)


@given(st.integers(1, 24), st.integers(0, 2**64 - 1), steps)
def test_a_table_holds_what_a_dict_holds(capacity: int, secret: int, plan: list[tuple[str, int, int]]) -> None:
    table, model = Numbers(capacity, secret), dict[int, int]()
    for what, key, value in plan:
        if what == "insert":
            fits = key in model or len(model) < capacity
            assert table.insert(key, value) == fits
            if fits:
                model[key] = value
        elif what == "remove":
            table.remove(key)
            model.pop(key, None)
        assert table.find(key) == model.get(key)
        assert len(table) == len(model)
    for key in range(41):
        assert table.find(key) == model.get(key)


def test_keys_that_share_a_home_survive_each_others_removal() -> None:
    table = Numbers(8)
    same = [key for key in range(2000) if table.home(key) == 15][:8]    # the last place: probes wrap around
    assert len(same) == 8
    for key in same:
        assert table.insert(key, key)
    for gone in (0, 3, 7):
        table.remove(same[gone])
    assert [table.find(key) is not None for key in same] == [i not in (0, 3, 7) for i in range(8)]


def test_a_secret_moves_the_homes() -> None:
    """Whoever picks keys without it cannot pick where they land."""
    homes = [[Numbers(512, secret).home(key) for key in range(64)] for secret in (1, 2)]
    assert sum(one == other for one, other in zip(*homes, strict=True)) < 8


slab_steps = st.lists(st.one_of(st.sampled_from([0, 1, 255, 256, 257, 1000, 5000]), st.integers(-9, -1)), max_size=120)


@given(st.integers(0, 60), slab_steps)
def test_a_slab_gives_back_what_was_put_in(capacity: int, plan: list[int]) -> None:
    slab, kept = Blocks(capacity), list[tuple[int, bytes]]()
    for number, step in enumerate(plan):
        if step >= 0:
            data = bytes([number & 0xFF]) * step
            need = max(1, -(-step // BLOCK))
            chain = slab.store(data)
            assert (chain is None) == (need > capacity - sum(max(1, -(-len(one) // BLOCK)) for _, one in kept))
            if chain is not None:
                kept.append((chain, data))
        elif kept:
            slab.release(kept.pop(step % len(kept))[0])
        assert all(slab.load(chain, len(data)) == data for chain, data in kept)
        assert slab.used == sum(max(1, -(-len(data) // BLOCK)) for _, data in kept)
    for chain, _ in kept:
        slab.release(chain)
    assert slab.used == 0

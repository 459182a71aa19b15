"""Invariant: whatever arrives or is lost at whatever time, the compiled search probes and settles as the model does."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.session import mtu
from tests.reference.mtu import SIZES, Search

steps = st.one_of(
    st.tuples(st.just("time"), st.sampled_from([0, 1, 999_999, 1_000_000, 3_000_000, 60_000_000, 600_000_000])),
    st.tuples(st.just("answer"), st.sampled_from(["acked", "acked", "lost", "lost twice", "an older one's loss"])),
    st.tuples(st.sampled_from(["long_lost", "long_acked"])),
    st.tuples(st.just("late"), st.sampled_from(SIZES)),
)


@given(st.sampled_from([1150, 1200, 1400]), st.sampled_from([0, 30, 82, 100]), st.lists(steps, max_size=80))
def test_the_compiled_search_agrees_with_the_model(start: int, above: int, script: list[tuple]) -> None:    # type: ignore[type-arg]
    limit = min(1500, start + 3 * above)
    search, model = mtu.Search(start, limit, 5), Search(start, limit, 5)
    now_us, sequence, size = 5, 1, 0
    for name, *arguments in script:
        if name == "time":
            now_us += arguments[0]
            size = model.due(now_us)
            assert search.due(now_us) == size
            if size:
                sequence += 1
                for one in (search, model):
                    one.sent(size, sequence, now_us, 3_000_000)
        elif name == "answer":
            for one in (search, model):
                if arguments[0] == "acked":
                    if size:
                        one.acked(size, now_us)
                else:
                    one.lost(sequence - (arguments[0] == "an older one's loss"), now_us)
                    if arguments[0] == "lost twice":
                        one.lost(sequence, now_us)
        elif name == "late":
            if arguments[0] <= limit:
                search.acked(arguments[0], now_us)
                model.acked(arguments[0], now_us)
        elif name == "long_lost":
            search.long_lost(now_us)
            model.long_lost(now_us)
        else:
            search.long_acked()
            model.long_acked()
        assert search.mtu == model.mtu and search.due_us == model.due_us()


@pytest.mark.parametrize("limit", [1150, 1151, 1199, 1200, 1201, 1472, 1499, 1500])
def test_a_path_that_carries_everything_is_climbed_to_the_limit_and_left_alone(limit: int) -> None:
    search, probes = mtu.Search(1150, limit, 0), []
    now_us = mtu.FIRST_US
    while size := search.due(now_us):
        probes.append(size)
        search.sent(size, len(probes), now_us, 0)
        search.acked(size, now_us)
    assert search.mtu == limit and search.due_us == 0
    assert probes == [size for size in SIZES if size < limit] + [limit] * (limit > 1150)

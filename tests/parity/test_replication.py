"""Invariant: the compiled world and view do, byte for byte, what the reference does, whatever is lost on the way."""
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parity.worlds import Traffic


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.05, 0.4]), delay=st.sampled_from([0, 3, 12]),
       budget=st.sampled_from([40, 200, 3000]), seats=st.sampled_from([3, 6, 40]), payload=st.sampled_from([128, 1100]))
def test_compiled_world_and_views_follow_the_reference(
        seed: int, loss: float, delay: int, budget: int, seats: int, payload: int) -> None:
    run = Traffic(seed, seats, max_payload=payload, reference=True)
    for _ in range(200):
        run.step(loss, delay, budget)

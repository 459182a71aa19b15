"""Invariant: the compiled world and view do, byte for byte, what the reference does, whatever is lost on the way."""
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland._core.world.view import Views
from tests.parity.worlds import KINDS, WALKER, Traffic, kind_table
from tests.reference.replication import OK, View
from tests.reference.world_records import encode_absolute


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.05, 0.4]), delay=st.sampled_from([0, 3, 12]),
       budget=st.sampled_from([40, 200, 3000]), seats=st.sampled_from([3, 6, 40]), payload=st.sampled_from([128, 1100]))
def test_compiled_world_and_views_follow_the_reference(
        seed: int, loss: float, delay: int, budget: int, seats: int, payload: int) -> None:
    run = Traffic(seed, seats, max_payload=payload, reference=True)
    for _ in range(200):
        run.step(loss, delay, budget)


def test_a_leave_that_overtakes_its_enter_is_not_forgotten() -> None:
    """Else the entity, whose seat the server holds for free by then, would stand in the view for ever."""
    body = encode_absolute(WALKER, (0,) * 9, False)
    views, reference = Views(kind_table(), 1, 6, 16), View(KINDS, 6, 16)
    for view in (views, reference):
        assert view.apply(b"\x0c\x00\x02\x03") == OK                        # tick 12: seat 2 is left
        assert view.apply(b"\x0b\x00\x02\x02\x00\x05\x01" + body) == OK     # tick 11: entity 1/5 takes it
        assert view.apply(b"\x0d\x00\x01\x02\x00\x06\x01" + body) == OK     # tick 13: 1/6 takes seat 1
    assert views.known()["handle"].tolist() == [1 << 32 | 6]
    assert list(reference.entities()) == [(6, 1)]

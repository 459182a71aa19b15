"""Invariant: the compiled world and view do, byte for byte, what the reference does, whatever is lost on the way."""
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland._core.base.records import SNAPSHOT_ACKED
from shadowland._core.world.view import Views
from tests.parity.worlds import ADAPTIVE, ALWAYS, KINDS, NOMADS, WALKER, Both, Traffic, kind_table
from tests.reference.replication_view import OK, View
from tests.reference.world_records import Kind, encode_absolute


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.05, 0.4]), delay=st.sampled_from([0, 3, 12]),
       budget=st.sampled_from([40, 200, 3000]), seats=st.sampled_from([3, 6, 40]), payload=st.sampled_from([134, 1100]),
       kinds=st.sampled_from([KINDS, ADAPTIVE, ALWAYS, NOMADS]))
def test_compiled_world_and_views_follow_the_reference(
        seed: int, loss: float, delay: int, budget: int, seats: int, payload: int,
        kinds: tuple[Kind, ...]) -> None:
    run = Traffic(seed, seats, max_payload=payload, reference=True, kinds=kinds)
    for _ in range(200):
        run.step(loss, delay, budget)


def test_a_leave_that_overtakes_its_enter_is_not_forgotten() -> None:
    """Else the entity, whose seat the server holds for free by then, would stand in the view for ever."""
    body = encode_absolute(WALKER, (0,) * 11, 0)
    views, reference = Views(kind_table(), 1, 6, 16), View(KINDS, 6, 16)
    for view in (views, reference):
        assert view.apply(b"\x0c\x00\x02\x03") == OK                        # tick 12: seat 2 is left
        assert view.apply(b"\x0b\x00\x02\x02\x00\x05\x01" + body) == OK     # tick 11: entity 1/5 takes it
        assert view.apply(b"\x0d\x00\x01\x02\x00\x06\x01" + body) == OK     # tick 13: 1/6 takes seat 1
    assert views.known()["handle"].tolist() == [1 << 32 | 6]
    assert list(reference.entities()) == [(6, 1)]


def test_a_reference_older_than_a_rest_is_not_taken_for_it() -> None:
    """Seen while it walked, unseen while it stopped, rested and walked on: only an absolute record can tell."""
    both = Both(seats=6)
    views = Views(kind_table(), 1, 6, 16)
    both.join(0, 1)
    both.watch(0, both.spawn(0, [0.0] * 7 + [50, 7, 0, 0], 0))
    walker = both.spawn(0, [5, 0, 0, 2.0, 0, 0, 0, 50, 7, 0, 0])
    for tick in range(1, 121):
        values = both.values[walker]
        values[3] = 0.0 if 20 <= tick < 90 else 2.0
        values[0] += values[3] / 30
        both.publish()
        for token, payload in both.replicate({0: 0 if 8 <= tick < 100 else 3000})[0]:
            assert views.apply(payload) == OK
            both.event(0, SNAPSHOT_ACKED, token)
    shown = views.known()
    seat = shown["seat"][shown["handle"] == walker]
    assert views.states(seat, 0)[0].tolist()[:4] == (both.world.published(walker) or [])[:4]

"""Invariant: whatever comes by whatever path at whatever time, the compiled state does what the model does."""
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.session import path
from tests.reference.path import Path, Session

LOCAL = ("10.0.0.1", 3565)
PATHS: list[Path] = [(("10.0.0.2", 1), LOCAL), (("10.0.0.2", 2), LOCAL), (("10.0.0.2", 1), ("10.0.0.9", 3565)),
                     (("2001:db8::1", 1), ("2001:db8::2", 3565))]
TOP = 2**64 - 1
VIAS = {"OLD_PATH": path.OLD_PATH, "PENDING_PATH": path.PENDING_PATH, "OTHER_PATH": path.OTHER_PATH}
CODES = {name: getattr(path, name) for name in ("PENDING", "LATE", "BUSY", "NEW", "STRANGE", "WAITING", "KEPT",
                                                "MOVED")}

steps = st.one_of(
    st.tuples(st.just("arrived"), st.integers(0, len(PATHS) - 1), st.sampled_from([31, 42, 43, 1500]), st.booleans()),
    st.tuples(st.just("time"), st.sampled_from([0, 1, 1000, 249_999, 250_000, 500_000, 999_999, 1_000_000])),
    st.tuples(st.just("send"), st.sampled_from([42, 58, 94])),
    st.tuples(st.just("answered"), st.sampled_from(sorted(VIAS)), st.sampled_from(["token", "old", "wrong"]),
              st.sampled_from([-1, 0, 1])),
)


@given(st.sampled_from([0, 2**63]), st.lists(steps, min_size=10, max_size=80))
def test_the_compiled_state_agrees_with_the_model(start: int, script: list[tuple]) -> None:     # type: ignore[type-arg]
    pending, model = path.Pending(), Session()
    now_us, newest, token = start, 100, 0
    for name, *arguments in script:
        if name == "arrived":
            which, length, is_newest = arguments
            newest += is_newest
            sequence = newest if is_newest else newest - 1
            said = model.arrived(PATHS[which], sequence, is_newest, length, now_us)
            assert pending.arrived(PATHS[which], sequence, is_newest, length, now_us) == CODES[said]
            if said == "NEW":
                token += 2
                model.begin(PATHS[which], sequence, length, token, TOP - token, now_us)
                pending.begin(PATHS[which], sequence, length, token, TOP - token, now_us)
        elif name == "time":
            now_us += arguments[0]
            said = model.due(newest, now_us)
            assert pending.due(newest, now_us) == CODES[said]
            if said == "NEW":
                assert pending.later == model.later
                token += 2
                model.begin(*pending.later, token, TOP - token, now_us)
                pending.begin(*pending.later, token, TOP - token, now_us)
        elif name == "send":
            assert pending.challenge(arguments[0], now_us) == model.challenge(arguments[0])
            assert pending.challenge_old() == model.challenge_old()
        else:
            via, which_token, behind = arguments
            answer = {"token": token, "old": TOP - token, "wrong": token ^ 1}[which_token]
            said = model.answered(via, answer, newest + behind)
            assert pending.answered(VIAS[via], answer, newest + behind) == CODES[said]
        one = model.candidate
        assert pending.path == (None if one is None else one.path)
        assert pending.bytes == ((0, 0) if one is None else (sum(one.lengths), sum(one.challenge_lengths)))
        assert one is None or pending.due_us == one.due_us()


def test_three_times_what_came_may_be_sent_and_not_a_byte_more() -> None:
    pending = path.Pending()
    pending.begin(PATHS[0], 5, 31, 1, 2, 0)
    pending.due(5, 0)
    assert not pending.challenge(94, 0) and pending.challenge(93, 0)
    pending.due(5, 250_000)
    assert not pending.challenge(1, 250_000)
    pending.arrived(PATHS[0], 6, True, 1, 250_000)
    assert not pending.challenge(4, 250_000) and pending.challenge(3, 250_000) and pending.bytes == (32, 96)

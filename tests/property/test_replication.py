"""What replication promises, said without looking inside: only payloads, verdicts, columns and what views show."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parity.worlds import ADAPTIVE, ALWAYS, KINDS, NOMADS, Traffic
from tests.reference.world_records import Kind, State
from tests.reference.world_records import apart as apart_in

LOSSES = st.sampled_from([0.0, 0.1, 0.4])
DELAYS = st.sampled_from([0, 2, 9])
SEEDS = st.integers(0, 2**32)
BOTH = st.sampled_from([KINDS, NOMADS])


def place_of(traffic: Traffic, handle: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    kind, state = traffic.both.kinds[traffic.both.world.kind_of(handle)], traffic.both.world.published(handle)
    assert state is not None
    axes = kind.place(state)
    return np.array(axes + [0.0] * (3 - len(axes)))


def distance(traffic: Traffic, observer: int, key: tuple[int, int]) -> float:
    if traffic.both.avatars[observer] not in traffic.both.values:
        return 0.0                              # it looks from nowhere: nothing is far
    here, there = (place_of(traffic, handle) for handle in (traffic.both.avatars[observer], key[1] << 32 | key[0]))
    return float(np.linalg.norm(here - there))


def in_view(traffic: Traffic, observer: int, extra: float) -> set[tuple[int, int]]:
    """(slot, generation) of what it may see at any distance or within radius + extra hystereses of its avatar, as
    published."""
    both = traffic.both
    looks = both.avatars[observer] in both.values
    found: set[tuple[int, int]] = set()
    for handle in both.values:
        kind, key = both.kinds[both.world.kind_of(handle)], (handle & 0xFFFFFFFF, handle >> 32)
        near = looks and distance(traffic, observer, key) <= kind.radius + extra * kind.hysteresis
        if (near or both.is_chosen(observer, handle)) and both.may_see(observer, handle):
            found.add((handle & 0xFFFFFFFF, handle >> 32))
    return found


def apart(traffic: Traffic, key: tuple[int, int], kind: int, state: State, audience: int, exact: bool) -> list[int]:
    """Components of what a view shows that are farther from what was published than they may be."""
    published = traffic.both.world.published(key[1] << 32 | key[0])
    assert published is not None
    wrong, declared = [], traffic.both.kinds[kind]
    for i in declared.visible(audience):
        c = declared.components[i]
        moves = c.predict >= 0 and published[c.predict] != 0
        if abs(apart_in(declared, i, state, published)) > (c.tolerance if moves and not exact else 0):
            wrong.append(i)
    return wrong


@settings(max_examples=20, deadline=None)
@given(SEEDS, LOSSES, DELAYS, st.sampled_from([60, 300, 3000]), st.sampled_from([134, 997]),
       st.sampled_from([KINDS, ADAPTIVE, ALWAYS, NOMADS]))
def test_at_rest_every_view_equals_what_was_published(
        seed: int, loss: float, delay: int, budget: int, payload: int, kinds: tuple[Kind, ...]) -> None:
    traffic = Traffic(seed, seats=40, max_payload=payload, kinds=kinds)
    for _ in range(120):
        traffic.step(loss, delay, budget)
    traffic.halt()
    for _ in range(60):
        traffic.step(0.0, 2, 3000, quiet=True)
    for observer in range(3):
        shown = traffic.seen(observer)
        must, may = in_view(traffic, observer, 0), in_view(traffic, observer, 1)
        assert must <= shown.keys() <= may
        for key, (kind, state, audience) in shown.items():
            assert apart(traffic, key, kind, state, audience, exact=True) == []
            assert audience == traffic.both.audience(observer, key[1] << 32 | key[0])


@settings(max_examples=15, deadline=None)
@given(SEEDS, BOTH)
def test_in_motion_everything_known_is_within_the_tolerance_at_each_tick(seed: int, kinds: tuple[Kind, ...]) -> None:
    traffic = Traffic(seed, seats=40, kinds=kinds)
    for _ in range(150):
        traffic.step(0.0, 0, 4000)
        for observer in range(3):
            if traffic.views.tick(observer) != traffic.both.tick:
                continue                        # it got nothing this tick
            shown = traffic.seen(observer)
            assert in_view(traffic, observer, 0) <= shown.keys()
            for key, (kind, state, audience) in shown.items():
                assert apart(traffic, key, kind, state, audience, exact=False) == []


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_in_motion_what_is_far_is_within_the_tolerance_at_each_of_its_turns(seed: int) -> None:
    traffic = Traffic(seed, seats=40, kinds=ADAPTIVE)
    late = 0
    for _ in range(150):
        traffic.step(0.0, 0, 4000)
        for observer in range(3):
            if traffic.views.tick(observer) != traffic.both.tick:
                continue
            for key, (kind, state, audience) in traffic.seen(observer).items():
                wrong = apart(traffic, key, kind, state, audience, exact=False)
                far = distance(traffic, observer, key) > ADAPTIVE[kind].far * KINDS[kind].radius * 0.99
                turn = (traffic.both.tick + key[0]) % ADAPTIVE[kind].far_ticks == 0
                assert not wrong or (far and not turn)
                late += bool(wrong)
    assert late                                 # else nothing was held back


@settings(max_examples=20, deadline=None)
@given(SEEDS, LOSSES, BOTH)
def test_what_may_no_longer_be_seen_is_gone_one_delivered_snapshot_after(
        seed: int, loss: float, kinds: tuple[Kind, ...]) -> None:
    traffic = Traffic(seed, seats=40, kinds=kinds)
    for _ in range(150):
        traffic.step(loss, 0, 4000)             # at once or never
        for observer in range(3):
            if traffic.views.tick(observer) == traffic.both.tick:
                assert traffic.seen(observer).keys() <= in_view(traffic, observer, 1)


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_values_of_owners_and_groups_change_no_byte_of_anybody_elses_traffic(seed: int) -> None:
    """Two runs that differ in nothing but secrets: a spectator, who owns nothing, is sent the same to the last byte."""
    runs = [Traffic(seed, seats=40, gold_seed=gold, spectator=True) for gold in (1, 2)]
    for _ in range(100):
        for run in runs:
            run.step(0.1, 2, 4000)
        assert runs[0].sent[0] == runs[1].sent[0]
        for kind, state, audience in runs[0].seen(0).values():
            hidden = [i for i, c in enumerate(KINDS[kind].components) if c.audience]
            assert audience == 0 and [state[i] for i in hidden] == [KINDS[kind].components[i].low for i in hidden]
    for run in runs:
        run.rejoin(1)                           # it owns an avatar for certain now, and is told that first
        run.step(0.0, 0, 4000, quiet=True)
    assert runs[0].sent[0] == runs[1].sent[0]
    assert runs[0].sent[1] != runs[1].sent[1]   # else there was no gold to be seen by anybody


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.data(), BOTH)
def test_a_mangled_payload_is_refused_whole_or_taken_and_never_raises(
        seed: int, data: st.DataObject, kinds: tuple[Kind, ...]) -> None:
    traffic = Traffic(seed, seats=12, reference=True, kinds=kinds)
    for _ in range(25):
        traffic.step(0.2, 2, 3000)
    sent = [payload for observer in range(3) for _, payload in traffic.sent[observer]] or [b"\x01\x00"]
    for _ in range(20):
        payload = bytearray(data.draw(st.sampled_from(sent)))
        for _ in range(data.draw(st.integers(0, 4))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(payload)))
        mangled = bytes(payload[:cut]) + data.draw(st.binary(max_size=12))
        before = traffic.seen(0), traffic.views.tick(0)
        status = traffic.views.apply(mangled, 0)
        assert status == traffic.references[0].apply(mangled)
        if status:
            assert before == (traffic.seen(0), traffic.views.tick(0))
        traffic.compare_views()


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_small_budget_starves_nobody(loss: float) -> None:
    """28 bytes a tick for 20 walkers that all change each tick: the oldest wait is bounded."""
    traffic = Traffic(7, seats=40)
    waits = []
    for _ in range(300):
        traffic.step(loss, 1, 28)
        waits.append(traffic.both.world.stats["oldest_wait_ticks"])
    assert max(waits) > 0                       # else there was nothing to share
    assert max(waits) < 120

"""Claims: what rounding can have done is nobody's fault, and what is more than that gains nothing."""
import math

import numpy as np
import pytest

from shadowland.authority import Map, Movement, Movers, Verdict
from tests.unit.test_authority import HZ, SECOND, TICK_US, One

HALF = 0.01                             # of claim_step
WALL = Map(low=(0, 0), blocked=[[0, 1]])


def test_who_leans_on_a_wall_and_is_rounded_into_it_is_not_blamed() -> None:
    one = One(WALL, at=(0.96, 0.5), claim_step=2 * HALF)
    for _ in range(99):
        assert one.claim(1.0 + HALF, 0.5) == 0 and 1 - 1e-4 < one.at[0] < 1
    assert one.claim(1.0 + HALF + 0.001, 0.5) == Verdict.BLOCKED and one.at[0] < 1


def test_exact_claims_are_not_rounded() -> None:
    one = One(WALL, at=(0.96, 0.5))
    assert one.claim(0.999, 0.5) == 0 and one.claim(1.0, 0.5) == Verdict.BLOCKED and one.at[0] == 0.999


def test_who_was_rounded_round_a_corner_is_not_blamed() -> None:
    corner = Map(low=(0, 0), blocked=[[0, 0], [0, 1]])
    one = One(corner, at=(0.99, 1.03), claim_step=2 * HALF)
    assert one.claim(1.03, 0.99) == 0 and one.at == [1.03, 0.99]    # the straight line cuts the corner by HALF
    assert one.claim(0.99, 1.03) == 0 and one.at == [0.99, 1.03]
    deep = One(corner, at=(0.97, 1.06), claim_step=2 * HALF, speed=5.2)
    assert deep.claim(1.06, 0.98) == Verdict.BLOCKED                # by more, and the way round is too long


def test_who_was_rounded_over_the_edge_of_a_cliff_has_not_fallen() -> None:
    cliff = Map(low=(0, 0), heights=[[2.0, 0.0]])
    one = One(cliff, at=(0.97, 0.5, 2.0), claim_step=2 * HALF)
    assert one.claim(1.0, 0.5, 2.0) == 0 and one.at[2] == 2.0       # by its height it stands above
    assert one.claim(0.98, 0.5, 2.0) == 0
    assert one.claim(1.0, 0.5, 0.0) == 0 and one.at == [1.0, 0.5, 0.0]
    assert one.claim(0.98, 0.5, 2.0) & Verdict.BLOCKED              # nobody climbs it by rounding
    flat = One(cliff, at=(0.97, 0.5), claim_step=2 * HALF)
    assert flat.claim(1.0, 0.5) == 0 and flat.claim(0.98, 0.5) == 0     # without a height it stays above, too
    assert flat.claim(1.0 + 2 * HALF, 0.5) == 0 and flat.claim(0.98, 0.5) == Verdict.BLOCKED


@pytest.mark.parametrize("way", ["claim", "steer"])
def test_a_place_that_is_rounded_when_kept_is_judged_as_it_is_kept(way: str) -> None:
    """A float of 32 bits rounds 300.99999 to 301: so it would stand in the wall, and leave it on the other side."""
    blocked = np.zeros((1, 600), np.uint8)
    blocked[0, 301] = 1
    movers = Movers(Movement(speed=5), capacity=1, tick_hz=HZ, map=Map(low=(0, 0), blocked=blocked))
    movers.reset(0, SECOND)
    place, speed = np.array([[300.95, 0.5]], np.float32), np.zeros((1, 2), np.float32)
    for tick in range(1, 60):
        far = 300.99999 - float(place[0, 0]) if tick == 1 else 5 / HZ
        wanted = {"positions": [(float(place[0, 0]) + far, 0.5)]} if way == "claim" else \
            {"directions": [(far / (5 / HZ), 0.0)]}
        getattr(movers, way)(place, speed, rows=[0], slots=[0], times_us=[SECOND + tick * TICK_US], **wanted)
        assert place[0, 0] < 301


def test_numbers_that_leap_ahead_of_the_servers_time_turn_and_accelerate_nobody() -> None:
    one, turned = One(turn_rate=1.0, allowance_s=0.5, lag_s=0.0), 0.0
    for index in range(HZ):
        before = one.yaw[0]
        one.claim(0.0, 0.0, number=1 + 4000 * index, facing=before + 3.0)
        turned += abs(one.yaw[0] - before)
    assert turned <= 1.02 + 0.5 + 0.05 + 1e-9
    fast = One(acceleration=1.0, allowance_s=0.5, lag_s=0.0)
    for index in range(HZ):
        fast.claim(99.0 + index, 0.0, number=1 + 4000 * index)
    assert fast.at[0] <= 0.5 * 1.0 * 1.52**2 * 1.01 + 1.52 * 1.0 * 0.5 + 0.05     # half a t squared, and a burst


def test_who_sends_few_claims_does_not_hover_for_long() -> None:
    one = One(jump_height=1.0, jump_s=0.5, allowance_s=0.5, lag_s=1.0)
    verdicts = [one.claim(0.0, 0.0, 0.9, later=SECOND // 2, number=number) for number in range(1, 12)]
    assert verdicts[:4] == [Verdict(0)] * 4                         # half a second, and what lag may explain
    assert set(verdicts[4:]) == {Verdict.AIRBORNE} and one.at[2] == 0.0
    assert one.claim(0.0, 0.0, 0.0, number=12) == 0 and one.claim(0.0, 0.0, 0.9, number=13) == 0


def test_a_claim_beside_a_wall_is_paid_for() -> None:
    """To be put across a border, further than the speed allows, is taken from the next claim."""
    one = One(WALL, at=(0.5, 0.5), claim_step=2 * HALF, tolerance=0.0)
    assert one.claim(0.58, 0.5) == 0
    state = one.movers._core.state
    low = 0.0
    for _ in range(50):
        one.claim(one.at[0] + 5 / HZ * 1.01, 0.5)
        low = min(low, float(state["carry"][0]))
    assert low >= -math.sqrt(2) * (HALF + 2**-16) and one.at[0] < 1

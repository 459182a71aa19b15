"""Invariant: a cheat who uses all that rounding may explain, at every claim, gains one quantum in total: whatever it
claims it is never where nobody can walk to, and its way is never longer than speed, time and one quantum lead."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland.authority import Map, Movement, Movers
from tests.reference.authority_map import Area

HZ = 20
SIDE = 8
CLAIM_STEP = 0.04
TICKS = 60


def reachable(area: Area, start: tuple[int, int], climb: int) -> set[tuple[int, int]]:
    """Cells that a walker can come to from `start`, step by step along the axes."""
    found, left = {start}, [start]
    while left:
        x, y = left.pop()
        for there in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            inside = 0 <= there[0] < SIDE and 0 <= there[1] < SIDE
            if inside and there not in found and area.enters(255, climb, -(1 << 30), (x, y), there):
                found.add(there)
                left.append(there)
    return found


@settings(max_examples=120)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(0.0, 1.0), (-3.0, 1.0), (1000.3, 0.7)]), st.booleans(),
       st.booleans(), st.sampled_from([2, 3]), st.sampled_from([0.0, 3 * CLAIM_STEP]))
def test_the_tolerance_of_every_claim_gains_one_quantum_in_total(
        seed: int, where: tuple[float, float], narrow: bool, hills: bool, axes: int, tolerance: float) -> None:
    rng, (low, cell) = np.random.default_rng(seed), where
    blocked = (rng.random((SIDE, SIDE)) < 0.35).astype(np.uint8)
    blocked[4, 4] = 0
    heights = rng.choice([0.0, 0.25, 0.5, 3.0], (SIDE, SIDE)) if hills else None
    area = Area(low=(low, low, -math.inf), high=(low + SIDE * cell, low + SIDE * cell, math.inf), cell=cell,
                cells=blocked.tolist(),
                ground=None if heights is None else np.round(heights * 1024).astype(int).tolist())
    free = reachable(area, (4, 4), 256 + 1)
    rule = Movement(speed=5.0, step_height=0.25, tolerance=tolerance, claim_step=CLAIM_STEP, lag_s=0.0)
    movers = Movers(rule, capacity=1, tick_hz=HZ,
                    map=Map(low=(low, low), cell=cell, blocked=blocked, heights=heights))
    now = 1_000_000
    movers.reset(0, now)
    place = np.full((1, axes), low + 4.5 * cell, np.float32 if narrow else np.float64)
    if axes == 3:
        place[0, 2] = 0.0 if heights is None else heights[4, 4]
    speed, start, way, number = np.zeros((1, axes)), now, 0.0, 0
    rounding = np.array([rng.choice([-1, 0, 1]), rng.choice([-1, 0, 1]), 0])[:axes] * CLAIM_STEP / 2
    for _ in range(TICKS):
        now += int(rng.choice([0, 1_000, 50_000, 50_000, 50_000, 300_000]))
        number += int(rng.choice([1, 1, 1, 4]))
        before = place[0].astype(np.float64)
        if rng.random() < 0.2:
            rounding = np.array([rng.choice([-1, 1]), rng.choice([-1, 1]), 0])[:axes] * CLAIM_STEP / 2
        claim = before.copy()
        angle, far = rng.uniform(-math.pi, math.pi), rng.choice([0.0, 0.02, 0.25, 0.27, 1.0, 4.0])
        claim[:2] += far * np.array([math.cos(angle), math.sin(angle)])
        if rng.random() < 0.5:                              # just beyond the next border, as far as rounding goes
            axis = rng.integers(2)
            claim[axis] = low + round((before[axis] - low) / cell) * cell + rng.choice([-1, 1]) * CLAIM_STEP * 0.499
        claim += rounding
        if axes == 3:
            claim[2] = rng.choice([0.0, 0.25, 0.5, 3.0])
        movers.claim(place, speed, rows=[0], slots=[0], positions=[claim], numbers=[number], times_us=[now])
        after = place[0].astype(np.float64).tolist()
        assert area.cell_of(area.steps(after)) in free
        way += math.dist(after[:2], before[:2])
        seconds = (now - start) * 1e-6
        quantum = math.sqrt(2) * (CLAIM_STEP / 2 + cell / 65536)
        kept = TICKS * 2**-14 if narrow else 1e-9           # what 32 bits round, each time
        assert way <= 5.0 * 1.01 * (0.5 + 1.02 * seconds) + tolerance + quantum + kept
        if axes == 3:
            assert after[2] == area.ground_at(after)


@pytest.mark.parametrize("claim_step", [0.0, CLAIM_STEP])
def test_a_zigzag_by_the_tolerance_is_no_faster_than_a_straight_way(claim_step: float) -> None:
    """Half a step more at each claim, along a wall, for a minute: one quantum in all."""
    blocked = np.zeros((2, 1000), np.uint8)
    blocked[1] = 1
    movers = Movers(Movement(speed=5.0, tolerance=0.0, claim_step=claim_step, lag_s=0.0), capacity=1, tick_hz=HZ,
                    map=Map(low=(0, 0), blocked=blocked))
    movers.reset(0, 1)
    place, speed = np.array([[0.5, 0.9]]), np.zeros((1, 2))
    for tick in range(60 * HZ):
        claim = (place[0, 0] + 5 / HZ + CLAIM_STEP / 2, 1.0 + CLAIM_STEP / 2 * (-1) ** tick)
        movers.claim(place, speed, rows=[0], slots=[0], positions=[claim], times_us=[1 + (tick + 1) * 1_000_000 // HZ])
        assert place[0, 1] < 1.0
    assert place[0, 0] - 0.5 <= 5.0 * 1.01 * (60 * 1.02 + 0.5) + math.sqrt(2) * (CLAIM_STEP / 2 + 2**-16)

"""Invariant: the compiled movement gives the slow model's positions, velocities and verdicts to the last bit, whatever
clients wish or claim; ways and lines of sight are those of the fractions."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland.authority import Map, Movement, Movers, Verdict
from tests.reference import authority as model
from tests.reference.authority_map import Area, climb

HZ = 30
DT = 1.0 / HZ
SIDE = 6

grids = st.lists(st.lists(st.sampled_from([0, 0, 0, 0, 1, 2]), min_size=SIDE, max_size=SIDE), min_size=SIDE,
                 max_size=SIDE)
heights = st.lists(st.lists(st.sampled_from([0.0, 0.0, 0.3, 0.5, 1.0, -2.0]), min_size=SIDE, max_size=SIDE),
                   min_size=SIDE, max_size=SIDE)
# On the borders, on the corners, near them, and anywhere.
coordinates = st.one_of(st.integers(-3, 3).map(float), st.integers(-6, 6).map(lambda half: half / 2),
                        st.floats(-3, 3), st.floats(-3, 3).map(lambda x: math.nextafter(round(x), math.inf)))
places = st.tuples(coordinates, coordinates, st.sampled_from([0.0, 0.25, 1.0, 5.0]))


def both(cells: list[list[int]] | None, ground: list[list[float]] | None) -> tuple[Map, Area]:
    steps = None if ground is None else [[round(height * 1024) for height in row] for row in ground]
    slow = Area(cells=cells, ground=steps)
    if cells is None and ground is None:
        slow.low, slow.high = (-3.0, -3.0, -math.inf), (3.0, 3.0, math.inf)
        return Map(low=(-3, -3), high=(3, 3)), slow
    slow.low, slow.high = (-3.0, -3.0, -math.inf), (3.0, 3.0, math.inf)
    return Map(low=(-3, -3), blocked=cells, heights=ground), slow


@settings(max_examples=300)
@given(grids | st.none(), heights | st.none(), st.lists(st.tuples(places, places), min_size=1, max_size=8),
       st.sampled_from([0.0, 0.3, 0.5]), st.sampled_from([1, 2, 255]))
def test_ways_and_lines_are_those_of_the_fractions(
        cells: list[list[int]] | None, ground: list[list[float]] | None,
        pairs: list[tuple[tuple[float, ...], tuple[float, ...]]], step: float, mask: int) -> None:
    fast, slow = both(cells, ground)
    a, b = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    walks = fast.walkable(a, b, step_height=step, blocked_by=mask).tolist()
    sees, back = fast.sees(a, b, eye=0.5).tolist(), fast.sees(b, a, eye=0.5).tolist()
    for i, (first, second) in enumerate(pairs):
        one, other = list(first), list(second)
        assert walks[i] == slow.walk(mask, climb(step), -(1 << 30), one, other)
        assert fast.ground([one])[0] == slow.ground_at(one)
        one[2] += 0.5
        other[2] += 0.5
        assert sees[i] == slow.line(255, False, one, other)
    assert sees == back


rules = st.builds(
    model.Rule, speed=st.sampled_from([5.0, 0.0, 40.0]), acceleration=st.sampled_from([0.0, 0.0, 20.0, 1000.0]),
    turn_rate=st.sampled_from([0.0, 3.0]), step_height=st.sampled_from([0.4, 0.0]),
    jump_height=st.sampled_from([0.0, 0.0, 1.0]), jump_s=st.sampled_from([1.0, 0.1]), fly=st.booleans(),
    blocked_by=st.sampled_from([255, 1]), velocity_step=st.sampled_from([0.0, 0.05]),
    tolerance=st.sampled_from([0.05, 0.0]), claim_step=st.sampled_from([0.0, 0.02, 0.25]),
    allowance_s=st.sampled_from([0.5, 0.05]),
    lag_s=st.sampled_from([3.0, 0.0, 0.2]))
tiny = st.sampled_from([0.0, 1e-6, -1e-6, 0.009, -0.009, 0.0101, -0.0101, 0.1, -0.1])
odd = st.sampled_from([math.nan, math.inf, -math.inf, 1e9, -2e9, 1e300, 0.0, 1.0])
wished = st.tuples(*[st.floats(-1, 1) | odd] * 3)
# A claim is a way from where the mover is or from what it claimed last, short or long, or any place, or near a corner.
claimed = st.tuples(st.sampled_from(["here", "last", "last", "last", "any", "corner", "corner"]),
                    st.floats(-0.3, 0.3) | st.floats(-9, 9) | odd | tiny, st.floats(-0.3, 0.3) | tiny,
                    st.floats(-0.2, 1.2) | st.sampled_from([0.0, 0.3, 0.5]))
inputs = st.tuples(st.integers(0, 1), wished, claimed, st.floats(-4, 4) | odd,
                   st.sampled_from([0, 0, 33_333, 33_333, 33_333, 700_000, -50_000]),
                   st.sampled_from([1, 1, 1, 1, 0, 2, 9, -3, 1 << 31, 5000]),
                   st.sampled_from([None, None, 0.5, 0.0, 1.5]))


@settings(max_examples=400)
@given(st.data(), rules, grids | st.none(), heights | st.none(), st.booleans(), st.sampled_from([2, 3]), st.booleans(),
       st.booleans(), st.integers(0, (1 << 32) - 1), st.booleans())
def test_inputs_are_taken_as_the_slow_model_takes_them(
        data: st.DataObject, rule: model.Rule, cells: list[list[int]] | None, ground: list[list[float]] | None,
        claims: bool, axes: int, facing: bool, numbered: bool, number: int, narrow: bool) -> None:
    area, slow_area = both(cells, ground)
    movers = Movers(Movement(**vars(rule)), capacity=2, tick_hz=HZ, map=area)
    slow = model.World(slow_area, DT)
    now = [1_000_000, 1_000_000]
    numbers = [number, number]
    bodies = []
    for slot in (0, 1):
        movers.reset(slot, now[slot])
        slow.movers[slot] = model.Mover(rule, now[slot])
        x, y, _ = data.draw(places)
        x, y = (float(np.float32(min(one, 3.0))) for one in (x, y))
        bodies.append(model.Body([x, y, 0.0], [0.0, 0.0, 0.0], narrow=narrow))
    position = np.array([body.at[:axes] for body in bodies], np.float32 if narrow else np.float64)
    velocity, yaw = np.zeros((2, axes)), np.zeros(2)
    for slot, wish, (origin, dx, dy, dz), face, later, ahead, scale in data.draw(st.lists(inputs, max_size=14)):
        now[slot] += later
        numbers[slot] = (numbers[slot] + ahead) % (1 << 32)
        mover, body = slow.movers[slot], bodies[slot]
        if scale is not None:
            movers.scale[slot] = mover.scale = scale
        base = {"here": body.at, "last": mover.claim or body.at, "any": [0.0, 0.0, 0.0],
                "corner": [float(round(x)) for x in body.at]}[origin]
        wanted = [base[0] + dx, base[1] + dy, dz] if claims else list(wish)
        run = movers.claim if claims else movers.steer
        word = "positions" if claims else "directions"
        verdict = run(position, velocity, yaw, rows=[slot], slots=[slot], times_us=[now[slot]],
                      facings=[face] if facing else None, numbers=[numbers[slot]] if numbered else None,
                      **{word: [wanted[:axes]]})
        do = slow.claim if claims else slow.steer
        wanted = wanted if axes == 3 else [*wanted[:2], 0.0]
        expected = do(mover, wanted, now[slot], body, axes, facing=face if facing else None,
                      number=numbers[slot] if numbered else None)
        assert Verdict(int(verdict[0])) == Verdict(expected)
        assert position[slot].tolist() == body.at[:axes]
        assert velocity[slot].tolist() == body.velocity[:axes]
        assert yaw[slot] == body.yaw
        assert np.isfinite(position).all() and (np.abs(position[:, :2]) <= 3).all()


@given(st.lists(st.tuples(wished, st.integers(0, 1)), min_size=1, max_size=10), rules)
def test_a_client_that_simulates_is_where_the_server_has_it(wishes: list[tuple[tuple[float, ...], int]],
                                                            rule: model.Rule) -> None:
    area, _ = both([[0, 0, 1, 0, 0, 0]] * SIDE, None)
    here, there = (Movers(Movement(**vars(rule) | {"allowance_s": 10}), capacity=2, tick_hz=HZ, map=area)
                   for _ in range(2))
    rows = [row for _, row in wishes]
    directions = np.array([wish for wish, _ in wishes])
    columns = [(np.zeros((2, 3)), np.zeros((2, 3), np.float32)) for _ in range(2)]
    for slot in (0, 1):
        here.reset(slot, 1)
    here.steer(*columns[0], rows=rows, slots=rows, directions=directions, times_us=[1] * len(rows))
    for row, direction in zip(rows, directions, strict=True):
        there.simulate(*columns[1], [direction], rows=[row])
    for server, client in zip(*columns, strict=True):
        assert server.tobytes() == client.tobytes()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_bits_are_those_of_the_slow_model(verdict: Verdict) -> None:
    assert verdict == getattr(model, str(verdict.name))

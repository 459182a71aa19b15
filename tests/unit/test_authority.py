"""The Authority rows of the list of systems, one by one, and the mistakes of the original server that belong here."""
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shadowland.authority import Map, Movement, Movers, Verdict
from shadowland.errors import ConfigError

HZ = 60
TICK_US = 1_000_000 // HZ
SECOND = 1_000_000


class One:
    """One mover, at (0, 0, 0) or at `at`."""

    def __init__(self, map: Map | None = None, at: tuple[float, ...] = (0.0, 0.0, 0.0), **rule: Any) -> None:
        self.movers = Movers(Movement(**{"speed": 5.0} | rule), capacity=1, tick_hz=HZ, map=map)
        self.now = SECOND
        self.movers.reset(0, self.now)
        self.position, self.velocity, self.yaw = np.array([at]), np.zeros((1, len(at))), np.zeros(1)

    @property
    def at(self) -> list[float]:
        row: list[float] = self.position[0].tolist()
        return row

    def claim(self, *place: float, later: int = TICK_US, number: int | None = None,
              facing: float | None = None) -> Verdict:
        self.now += later
        full = [*place, *[0.0] * (self.position.shape[1] - len(place))]
        found = self.movers.claim(self.position, self.velocity, self.yaw, rows=[0], slots=[0], positions=[full],
                                  times_us=[self.now], numbers=None if number is None else [number],
                                  facings=None if facing is None else [facing])
        return Verdict(int(found[0]))

    def steer(self, *wish: float, later: int = TICK_US, facing: float | None = None) -> Verdict:
        self.now += later
        found = self.movers.steer(self.position, self.velocity, self.yaw, rows=[0], slots=[0], directions=[wish],
                                  times_us=[self.now], facings=None if facing is None else [facing])
        return Verdict(int(found[0]))


def test_position_rotation_an_honest_walk_is_taken_as_it_is() -> None:
    one, x = One(tolerance=0.03), 0.0
    for tick in range(600):
        x += 5 / HZ
        assert one.claim(round(x, 2), facing=0.01 * tick) == 0
        assert one.at[0] == round(x, 2)


def test_movement_validation_speed() -> None:
    one, x, scored = One(lag_s=0.0), 0.0, 0
    for _ in range(10 * HZ):
        x += 2 * 5 / HZ
        verdict = one.claim(x)
        scored += bool(verdict & (Verdict.FAST | Verdict.TELEPORTED))
    assert scored > 500
    assert one.at[0] <= 10 * 5 * 1.02 * 1.01 + 5 * 0.5 + 0.1


def test_movement_validation_acceleration() -> None:
    one = One(acceleration=10.0, lag_s=0.0)
    assert Verdict.ACCELERATED in [one.claim(0.08), one.claim(0.16), one.claim(0.24)]
    assert one.at[0] < 0.12
    wish = One(acceleration=10.0)
    wish.steer(1.0, 0.0)
    assert wish.velocity[0, 0] == 10 / HZ


def test_movement_validation_turn_rate() -> None:
    for way in ("claim", "steer"):
        one = One(turn_rate=3.0)
        verdict = getattr(one, way)(0.0, 0.0, facing=2.0)
        assert verdict == Verdict.TURNED and one.yaw[0] == pytest.approx(3 / HZ + 0.05)
        assert getattr(one, way)(0.0, 0.0, facing=one.yaw[0] + 2.9 / HZ) == 0
    assert One(turn_rate=0.0).steer(0.0, 0.0, facing=3.0) == 0


def test_movement_validation_teleport() -> None:
    one = One(lag_s=0.0)
    assert one.claim(500.0, 500.0) == Verdict.TELEPORTED
    assert math.hypot(*one.at[:2]) < 5 / HZ * 1.01 + 0.06
    assert one.claim(500.0, 500.08) == Verdict.ADRIFT       # told once, and then it walks where it thinks it is


def test_movement_validation_bounds() -> None:
    one = One(Map(low=(-1, -1), high=(1, 1)), lag_s=0.0)
    for _ in range(HZ):
        one.steer(1.0, 0.0)
    assert one.at[:2] == [1.0, 0.0] and one.velocity[0, 0] == 0
    assert one.claim(1.06, 0.0) == Verdict.OUTSIDE and one.at[:2] == [1.0, 0.0]
    assert one.claim(1.05, 0.0) == 0                        # rounding is no fault


def test_movement_validation_height_field() -> None:
    hill = Map(low=(0, 0), heights=[[0.0, 0.4, 0.9, 0.2]])
    one = One(hill, at=(0.5, 0.5, 0.0), step_height=0.4)
    seen = {}
    for _ in range(30):
        verdict = one.steer(1.0, 0.0)
        seen[math.floor(one.at[0])] = one.at[2]
    assert verdict == Verdict.BLOCKED and seen == {0: 0.0, 1: pytest.approx(0.4, abs=0.001)}


def test_movement_validation_blocked_cells() -> None:
    wall = Map(low=(0, 0), blocked=[[0, 1, 0]])
    one = One(wall, at=(0.5, 0.5))
    assert one.claim(0.58, 0.5) == 0
    for _ in range(60):
        verdict = one.steer(1.0, 0.0)
    assert verdict == Verdict.BLOCKED and one.at[0] < 1.0


def test_nobody_tunnels_through_a_wall_however_far_a_tick_leads() -> None:
    blocked = np.zeros((1, 1000), np.uint8)
    blocked[0, 500] = 1
    for way, wanted in (("claim", (999.0, 0.5)), ("steer", (1.0, 0.0))):
        one = One(Map(low=(0, 0), blocked=blocked), at=(0.5, 0.5), speed=1e5, allowance_s=10.0)
        assert getattr(one, way)(*wanted) & Verdict.BLOCKED
        assert one.at[0] == 0.5


def test_flying_is_refused_to_walkers_and_a_jump_ends() -> None:
    one = One(lag_s=0.0)
    assert one.claim(0.0, 0.0, 3.0) == Verdict.AIRBORNE and one.at[2] == 0.0
    jumper = One(jump_height=1.2, jump_s=0.5)
    verdicts = [jumper.claim(0.0, 0.0, 1.0) for _ in range(60)]
    assert verdicts[:29] == [Verdict(0)] * 29 and set(verdicts[31:]) == {Verdict.AIRBORNE} and jumper.at[2] == 0.0
    assert jumper.claim(0.0, 0.0, 0.0) == 0 and jumper.claim(0.0, 0.0, 1.3) == Verdict.AIRBORNE


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e10, 1.7e308])
def test_origin_mistake_positions_nan_included_were_taken_from_clients(bad: float) -> None:
    for way in ("claim", "steer"):
        for wanted in ((bad, 0.0, 0.0), (0.0, bad, 0.0)):
            one = One()
            assert getattr(one, way)(*wanted) == Verdict.BAD
            assert one.at == [0.0, 0.0, 0.0] and one.velocity.tolist() == [[0.0] * 3]
    one = One()
    assert one.steer(0.0, 0.0, facing=bad) == Verdict.BAD and one.yaw[0] == 0


def test_origin_mistake_an_allowance_for_each_update_gave_31_times_the_speed() -> None:
    """Many updates in one instant, each with its own Δt and latency: here they share one budget of server time."""
    one, x, start = One(lag_s=0.0), 0.0, SECOND
    for number in range(1, 60_000):                         # a thousand claims a second for a minute
        x += 5 / HZ
        one.claim(x, later=1000, number=number)
    seconds = (one.now - start) / SECOND
    assert one.at[0] <= 5 * 1.01 * (1.02 * seconds + 0.5) + 0.1


def test_a_burst_after_a_spike_is_taken_up_to_the_allowance_and_no_more() -> None:
    one = One(allowance_s=0.5)
    for _ in range(HZ):
        one.steer(1.0, 0.0)
    before = one.at[0]
    one.now += SECOND                                       # nothing came for a second, then all of it at once
    verdicts = [one.steer(1.0, 0.0, later=0) for _ in range(HZ)]
    assert verdicts.count(Verdict(0)) == HZ // 2
    assert set(verdicts[HZ // 2:]) == {Verdict.HURRIED | Verdict.LATE}
    assert one.at[0] - before == pytest.approx(2.5)


def test_honest_lag_is_corrected_and_not_held_against_anybody() -> None:
    one, x, seen = One(), 0.0, []
    for tick in range(20 * HZ):
        x += 5 / HZ
        spike = tick // HZ % 3 == 2                         # every third second comes as a burst
        seen.append(one.claim(round(x, 2), later=0 if spike else SECOND + TICK_US if tick % (3 * HZ) == 0 else TICK_US))
    assert {verdict & ~(Verdict.LATE | Verdict.ADRIFT) for verdict in seen} == {Verdict(0)}
    assert Verdict.LATE in seen


def test_numbers_that_are_skipped_cost_the_time_they_stand_for() -> None:
    one = One(lag_s=0.0)
    assert one.claim(0.08, number=1) == 0
    assert one.claim(0.40, number=5) == Verdict.GAP
    assert one.claim(99.0, number=4) == Verdict.OLD and one.at[0] == 0.40
    assert one.claim(90.0, number=3000) & Verdict.TELEPORTED and one.at[0] < 0.4 + 2.6


def test_numbers_wrap() -> None:
    one = One()
    assert [one.claim(0.0, number=number) for number in (0xFFFFFFFE, 0xFFFFFFFF, 0, 1)] == [Verdict(0)] * 4
    assert one.claim(0.0, number=0xFFFFFFFF) == Verdict.OLD


def test_who_was_slowed_and_does_not_know_it_is_not_blamed() -> None:
    one, x, seen = One(lag_s=0.0), 0.0, Verdict(0)
    for tick in range(HZ):
        if tick == 10:
            one.movers.scale[0] = 0
        x += 5 / HZ if tick < 30 else 0
        seen |= one.claim(x)
    assert seen & ~(Verdict.LATE | Verdict.ADRIFT) == 0 and one.at[0] < 11 * 5 / HZ + 0.06


def wrong(one: One, claims: list[tuple[float, float]], now_us: int) -> list[int]:
    zeros = np.zeros(len(claims), np.int64)
    found: list[int] = one.movers.wrong(one.position, claims, rows=zeros, slots=zeros, now_us=now_us).tolist()
    return found


def test_corrections_name_the_last_input_of_a_session_that_is_wrong() -> None:
    assert wrong(One(), [(0.5, 0.0)], SECOND) == [] and wrong(One(), [(0.51, 0.0)], SECOND) == [0]
    assert wrong(One(), [(math.nan, 0.0)], SECOND) == [0]
    assert wrong(One(), [(9.0, 0.0), (0.0, 0.0)], SECOND) == []
    assert wrong(One(), [(0.0, 0.0), (9.0, 0.0)], SECOND) == [1]
    one = One()
    assert [bool(wrong(one, [(9.0, 0.0)], SECOND + tick * TICK_US)) for tick in range(33)].count(True) == 3


def test_a_map_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "town.npz", walls=np.eye(4, dtype=np.uint8), heights=np.arange(16.0).reshape(4, 4))
    text = 'low = [-2, -2, -5]\nhigh = [9, 9, 50]\ncell = 0.5\nblocked = "town.npz:walls"\nheights = "town.npz"\n'
    (tmp_path / "town.toml").write_text(text)
    town = Map.load(tmp_path / "town.toml")
    assert (town.low, town.high, town.shape) == ((-2, -2, -5), (0, 0, 50), (4, 4))
    assert town.ground([(-2, -2), (-1.2, -1.7), (0, 0), (99, 99)]).tolist() == [0, 1, 15, 15]


@pytest.mark.parametrize(("text", "words"), [
    ("cell = 0", "cell is 0; give the edge"), ("cell = nan", "cell is nan"), ("low = [1, 2]", "high is missing"),
    ("low = [1, nan]\nhigh = [2, 3]", "low is [1, nan]; give 2 or 3"),
    ("low = [1, 2]\nhigh = [1, 3]", "low is 1.0 and high 1.0"),
    ("height = 3", "no key 'height'; the keys are"), ("opaque = 256", "opaque is 256"), ("x = ", "correct the TOML"),
    ('low = [0, 0]\nblocked = "none.npy"', "blocked is 'none.npy'; No such file"),
    ("blocked = 3", "blocked is 3; name"),
    ('low = [0, 0]\nblocked = "map.toml"', "no array of numbers"), ('blocked = "a.npy"', "low is missing"),
    ('low = [0, 0]\nheights = "bad.npy"', "heights holds float64"),
    ('low = [0, 0]\nblocked = "bad.npy"', "blocked holds float64"),
    ('low = [0, 0]\nblocked = "a.npy"\nheights = "b.npy"', "must be the same"),
    ('low = [0, 0]\nblocked = "big.npy"', "out of range"),
])
def test_a_mistake_in_a_map_file_names_key_value_and_range(text: str, words: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2), np.uint8))
    np.save(tmp_path / "b.npy", np.zeros((2, 3)))
    np.save(tmp_path / "bad.npy", np.full((2, 2), np.nan))
    np.save(tmp_path / "big.npy", np.full((2, 2), 256))
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Map.load(tmp_path / "map.toml")
    assert words in str(caught.value) and str(tmp_path / "map.toml") in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [
    ("speed", -1), ("speed", math.nan), ("acceleration", math.inf), ("blocked_by", 256), ("blocked_by", 1.5),
    ("allowance_s", 0), ("fly", 1), ("tolerance", "wide"), ("turn_rate", True),
])
def test_a_rule_out_of_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"Movement: {name} is"):
        Movement(**{"speed": 5.0} | {name: value})

"""The Effects rows of the list of systems, one by one: apply, stack, refresh, expire, and what observers see of it."""
import time
from typing import Annotated as A

import numpy as np

import shadowland as sl
from shadowland.effects import Effects, Kind, Stacking
from shadowland.testing import Link, Network
from shadowland.world import World

HZ = 60
FROZEN = 1
FROST = Kind("frost", flags=FROZEN, duration_s=2)
POISON = Kind("poison", flags=2, duration_s=5, stacking=Stacking.COUNT, most=3)
IDENTITY = sl.Identity.generate()


class Walker(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)
    flags: A[int, sl.Range(0, 255)] = 0


SCHEMA = sl.Schema([Walker], [])


def made(count: int = 1, capacity: int = 16) -> tuple[Effects, list[int]]:
    world = World(SCHEMA, tick_hz=HZ, aoi=sl.Grid(cell=10, radius=30), capacity=count, observers=1)
    effects = Effects(world, [FROST, POISON], capacity=capacity)
    handles = [world.spawn(Walker()) for _ in range(count)]
    world.publish(1)
    list(effects.step(1))
    return effects, handles


def test_buffs_and_debuffs_apply() -> None:
    effects, (who,) = made()
    effects.apply(FROST, who)
    assert effects.flags(who)[0] == FROZEN and [live.kind for live in effects.of(who)] == [FROST]


def test_buffs_and_debuffs_stack() -> None:
    effects, (who,) = made()
    for _ in range(5):
        effects.apply(POISON, who)
    assert [live.stacks for live in effects.of(who)] == [3]


def test_buffs_and_debuffs_refresh() -> None:
    effects, (who,) = made()
    effects.apply(FROST, who)
    list(effects.step(1 + HZ))
    effects.apply(FROST, who)
    list(effects.step(1 + 3 * HZ - 1))
    assert effects.flags(who)[0] == FROZEN
    list(effects.step(1 + 3 * HZ))
    assert effects.flags(who)[0] == 0


def test_buffs_and_debuffs_expire() -> None:
    effects, (who,) = made()
    effects.apply(FROST, who)
    list(effects.step(1 + 2 * HZ - 1))
    assert effects.flags(who)[0] == FROZEN
    list(effects.step(1 + 2 * HZ))
    assert effects.flags(who)[0] == 0 and len(effects) == 0


def test_100000_live_effects_fit_into_a_tick() -> None:
    world = World(SCHEMA, tick_hz=HZ, aoi=sl.Grid(cell=10, radius=30), capacity=10_000, observers=1)
    kinds = [Kind(f"k{number}", flags=1 << number, duration_s=2.0 + number, period_s=1.0 + number / HZ, amount=-1)
             for number in range(10)]
    effects = Effects(world, kinds, capacity=100_000)
    everybody = np.array([world.spawn(Walker()) for _ in range(10_000)], np.uint64)
    world.publish(1)
    list(effects.step(1))
    for kind in kinds:
        effects.apply(kind, everybody)
    took, periods = [], 0
    for tick in range(2, 2 + HZ + 10):
        begin = time.process_time()
        periods += sum(len(part.periods) for part in effects.step(tick))
        took.append(time.process_time() - begin)
    assert len(effects) == 100_000 and periods == 100_000
    assert np.median(took) < 0.5 / HZ and min(took) > 0


def test_observers_see_an_effect_change_within_one_tick_plus_latency() -> None:
    network, tick_us, delay_us = Network(3, Link(delay_us=30_000)), 1_000_000 // HZ, 30_000
    app = sl.Server(schema=SCHEMA, identity=IDENTITY, tick_hz=HZ, capacity=2, entities=8)
    effects = Effects(app.world, [FROST, POISON], capacity=16)
    other = app.world.spawn(Walker())
    app.on_join(lambda session: setattr(session, "avatar", app.world.spawn(Walker(), owner=session)))

    @app.tick
    def step(t: sl.Tick) -> None:
        list(effects.step(t.number))
        walkers = app.world[Walker]
        walkers.flags[:] = effects.flags(walkers.handles)

    app.open(simulated=network.attach(("10.0.0.1", 3565)))
    url, key = app.connect_line.split()
    client = sl.Client(url, key, schema=SCHEMA, simulated=network.attach(("10.0.0.2", 0)))

    def frame() -> int:
        network.advance(tick_us)
        app.step()
        client.poll()
        if client.snapshot is None:
            return -1
        seen = client.snapshot[Walker]
        return int(seen.flags[seen.handles == other].sum())

    for _ in range(60):
        frame()
    effects.apply(FROST, other)
    ticks = next(count for count in range(1, 60) if frame() == FROZEN)
    assert ticks <= 2 + -(-delay_us // tick_us)              # the tick that says it, the way, and the frame that looks
    for _ in range(2 * HZ + 4):
        frame()
    assert frame() == 0
    client.close()

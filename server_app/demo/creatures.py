"""What lives in the demo's world without a player: NPCs that wander, monsters that chase. Functions over columns.

Whoever decides does so for seconds (monsters for half a second), and walks straight in between: prediction covers that.
"""
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server_app.demo.movement import WALK_SPEED
from server_app.demo.schema import VELOCITY_STEP

Floats = NDArray[np.float64]

WALKING: Final = 0.7                # share of those who walk; the others stand
SIGHT: Final = 15.0                 # metres from which a monster sees a player
REACH: Final = 1.5                  # metres from which it bites
CHASE_SPEED: Final = 4.0            # slower than a player: whoever walks away gets away
CHASE_S: Final = 0.5
BITE: Final = 5


def headings(rng: np.random.Generator, count: int, fastest: float) -> Floats:
    """Velocities (count, 2) for the next seconds: some stand, the others walk some way at up to `fastest` m/s."""
    angle = rng.uniform(-np.pi, np.pi, count)
    speed = fastest * rng.uniform(0.5, 1.0, count) * (rng.random(count) < WALKING)
    return stepped(np.stack((np.cos(angle), np.sin(angle)), axis=1) * speed[:, None])


def stepped(velocities: Floats) -> Floats:
    """The nearest velocities that travel exactly."""
    return np.floor(velocities / VELOCITY_STEP + 0.5) * VELOCITY_STEP


def decide_until(rng: np.random.Generator, count: int, tick: int, tick_hz: int) -> NDArray[np.int64]:
    """Ticks of the next decisions: in 2 to 4 seconds."""
    return tick + rng.integers(2 * tick_hz, 4 * tick_hz + 1, count)


def wander(rng: np.random.Generator, tick: int, tick_hz: int, velocity: NDArray[np.floating],
           until: NDArray[np.int64]) -> NDArray[np.intp]:
    """New headings for those whose time has come; returns their rows."""
    due = np.flatnonzero(until <= tick)
    if len(due):
        velocity[due, :2] = headings(rng, len(due), WALK_SPEED)
        until[due] = decide_until(rng, len(due), tick, tick_hz)
    return due


def walk(position: Floats, velocity: NDArray[np.floating], dt: float, bound: float) -> NDArray[np.intp]:
    """Everybody walks on; at the edge of the world they turn round. Returns the rows that turned."""
    # In 64 bits and from whole steps: a float32 velocity is not the number of steps that travels.
    place = position[:, :2]
    place += stepped(velocity[:, :2].astype(np.float64)) * dt
    outside = np.abs(place) > bound
    turned = np.flatnonzero(outside.any(axis=1))
    if len(turned):
        np.clip(place, -bound, bound, out=place)
        velocity[turned, :2] = np.where(outside[turned], -velocity[turned, :2], velocity[turned, :2])
    return turned


def face(yaw: NDArray[np.floating], velocity: NDArray[np.floating], rows: NDArray[np.intp]) -> None:
    """These rows look where they walk; who stands goes on looking where he looked."""
    if len(rows) == 0:
        return
    moving = rows[(velocity[rows, 0] != 0) | (velocity[rows, 1] != 0)]
    yaw[moving] = np.arctan2(velocity[moving, 1], velocity[moving, 0])


def hunt(rng: np.random.Generator, tick: int, tick_hz: int, position: Floats, velocity: NDArray[np.floating],
         until: NDArray[np.int64], anger: Floats, prey: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Monsters whose time has come look for the nearest of `prey` (m, 2): chase it, bite it, or wander on.

    Returns (rows of monsters that decided, rows of prey that was bitten; one that two bite stands twice).
    """
    due = np.flatnonzero(until <= tick)
    nobody = np.zeros(0, np.intp)
    if len(due) == 0 or len(prey) == 0:
        return wander(rng, tick, tick_hz, velocity, until), nobody
    away = prey[None, :, :] - position[due, None, :2]
    distance2 = np.square(away).sum(axis=2)
    nearest = distance2.argmin(axis=1)
    distance = np.sqrt(distance2[np.arange(len(due)), nearest])
    sees, bites = distance <= SIGHT, distance <= REACH
    chase = away[np.arange(len(due)), nearest] / np.maximum(distance, 1e-9)[:, None] * CHASE_SPEED
    chase[bites] = 0.0
    velocity[due, :2] = np.where(sees[:, None], stepped(chase), headings(rng, len(due), 0.5 * WALK_SPEED))
    until[due] = np.where(sees, tick + round(CHASE_S * tick_hz), decide_until(rng, len(due), tick, tick_hz))
    anger[due] = np.where(sees, anger[due] + CHASE_S, 0.0)
    return due, nearest[bites]

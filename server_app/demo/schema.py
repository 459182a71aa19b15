"""What the demo's world consists of and what its players send."""
from typing import Annotated as A
from typing import Final

import shadowland as sl

WORLD_LIMIT: Final = 8000.0         # metres: as far from the middle as a position can be said
SPEED_LIMIT: Final = 6.0            # metres a second
VELOCITY_STEP: Final = 0.05


class Player(sl.Entity):
    """Somebody who is connected."""

    position: A[
        sl.Vec3, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT), sl.Predicted(by="velocity"),
    ] = (0.0, 0.0, 0.0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05), sl.Range(-SPEED_LIMIT, SPEED_LIMIT)] = (0.0, 0.0, 0.0)
    yaw: A[sl.Angle, sl.Quantized(step=0.1)] = 0.0
    health: A[int, sl.Range(0, 100), sl.Rate(hz=5)] = 100
    gold: A[int, sl.Range(0, 1_000_000), sl.OwnerOnly] = 0
    walked: A[float, sl.Local] = 0.0            # metres since the last piece of gold
    quiet: A[int, sl.Local] = 0                 # ticks since the last input


class Npc(sl.Entity):
    """Wanders about."""

    position: A[
        sl.Vec3, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT), sl.Predicted(by="velocity"),
    ] = (0.0, 0.0, 0.0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05), sl.Range(-SPEED_LIMIT, SPEED_LIMIT)] = (0.0, 0.0, 0.0)
    yaw: A[sl.Angle, sl.Quantized(step=0.1)] = 0.0
    until: A[int, sl.Local] = 0                 # tick of the next decision


class Monster(sl.Entity):
    """Wanders about until a player comes near."""

    position: A[
        sl.Vec3, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT), sl.Predicted(by="velocity"),
    ] = (0.0, 0.0, 0.0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05), sl.Range(-SPEED_LIMIT, SPEED_LIMIT)] = (0.0, 0.0, 0.0)
    yaw: A[sl.Angle, sl.Quantized(step=0.1)] = 0.0
    health: A[int, sl.Range(0, 100), sl.Rate(hz=5)] = 100
    until: A[int, sl.Local] = 0
    anger: A[float, sl.Local] = 0.0             # grows while it has prey


class Move(sl.Message, channel="input"):
    """One tick of walking, and where the client thinks that it leads."""

    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0.0, 0.0)
    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT)] = (0.0, 0.0)


class Welcome(sl.Message, channel="reliable"):
    """Where a new player begins, and how far the world reaches from the middle."""

    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT)] = (0.0, 0.0)
    bound: A[float, sl.Quantized(step=0.01), sl.Range(0.0, WORLD_LIMIT)] = 0.0


class Correction(sl.Message, channel="latest"):
    """Where the server has the player after the input `number`, when the claim was too far from it."""

    number: A[int, sl.Range(0, 2**31 - 1)] = 0  # of the input, without its highest bit
    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT)] = (0.0, 0.0)


SCHEMA: Final = sl.Schema([Player, Npc, Monster], [Move, Welcome, Correction])

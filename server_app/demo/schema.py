"""What the demo's world consists of and what its players send."""
import enum
from typing import Annotated as A
from typing import Final

import shadowland as sl
from shadowland.schema import GroupOnly
from shadowland.standing import Standing

WORLD_LIMIT: Final = 8000.0         # metres: as far from the middle as a position can be said
SPEED_LIMIT: Final = 6.0            # metres a second
ARROW_SPEED: Final = 15.0
VELOCITY_STEP: Final = 0.05
GUILDS: Final = 6


class Status(enum.IntFlag):
    """What lies on somebody, from the effects that live (demo/ailments.py)."""

    POISONED = 1
    STUNNED = 2
    MENDING = 4
    HIDDEN = 8


class Sort(enum.IntEnum):
    """Of an item."""

    GOLD = 0
    POTION = 1
    CLOAK = 2


class Placed(sl.Entity, abstract=True):
    """Stands somewhere and moves."""

    position: A[
        sl.Vec3, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT), sl.Predicted(by="velocity"),
    ] = (0.0, 0.0, 0.0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05), sl.Range(-SPEED_LIMIT, SPEED_LIMIT)] = (0.0, 0.0, 0.0)


class Being(Placed, abstract=True):
    """Looks somewhere."""

    yaw: A[sl.Angle, sl.Quantized(step=0.1)] = 0.0


class Player(Being):
    """Somebody who is connected."""

    health: A[int, sl.Range(0, 100), sl.Rate(hz=5)] = 100
    status: Status = Status(0)
    faction: A[int, sl.Range(0, 3)] = 0
    guild: A[int, sl.Range(0, GUILDS)] = 0
    gold: A[int, sl.Range(0, 1_000_000), GroupOnly("party")] = 0
    walked: A[float, sl.Local] = 0.0            # metres since the last piece of gold
    quiet: A[int, sl.Local] = 0                 # ticks since the last input
    armed: A[int, sl.Local] = 0                 # tick from which on it may shoot again
    party: A[int, sl.Local] = 0                 # number of the last party it was in
    duel_until: A[int, sl.Local] = 0            # tick on which its duel is over, 0: it is in none


class Npc(Being):
    """Wanders about."""

    until: A[int, sl.Local] = 0                 # tick of the next decision


class Monster(Being):
    """Wanders about until a player comes near."""

    health: A[int, sl.Range(0, 100), sl.Rate(hz=5)] = 100
    status: Status = Status(0)
    until: A[int, sl.Local] = 0
    anger: A[float, sl.Local] = 0.0             # grows while it has prey


class Arrow(Placed):
    """Flies straight until it hits, or its time is over."""

    velocity: A[sl.Vec3, sl.Quantized(step=0.05), sl.Range(-ARROW_SPEED, ARROW_SPEED)] = (0.0, 0.0, 0.0)
    shooter: A[int, sl.Local] = 0               # the bits of a handle
    until: A[int, sl.Local] = 0                 # tick on which it is gone


class Item(sl.Entity):
    """Lies about until somebody picks it up."""

    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT)] = (0.0, 0.0, 0.0)
    sort: Sort = Sort.GOLD


class Move(sl.Message, channel="input"):
    """One tick of walking, and where the client thinks that it leads."""

    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0.0, 0.0)
    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT)] = (0.0, 0.0)


class Shoot(sl.Message, channel="unordered", per_second=4):
    """An arrow that way; (0, 0): at the nearest foe in reach."""

    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0.0, 0.0)


class Bolt(sl.Message, channel="unordered", per_second=4):
    """Hits at once whoever stands that way in the snapshot of tick `seen`."""

    direction: A[sl.Vec2, sl.Unit(bits=12)] = (0.0, 0.0)
    seen: A[int, sl.Range(0, 2**31 - 1)] = 0


class Team(sl.Message, per_second=2):
    """Be of one party with the nearest player of one's faction; who is in a party leaves it."""


class Challenge(sl.Message, per_second=2):
    """A duel with the nearest player."""


class PickUp(sl.Message, per_second=4):
    """Take the nearest item at hand. Asked again, so it may be lost."""


class Chat(sl.Message, channel="reliable", stream=1, per_second=2):
    """Heard by who is near the speaker."""

    text: A[str, sl.MaxLen(200)] = ""


class Welcome(sl.Message, channel="reliable"):
    """Where a new player begins, and how far the world reaches from the middle."""

    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT)] = (0.0, 0.0)
    bound: A[float, sl.Quantized(step=0.01), sl.Range(0.0, WORLD_LIMIT)] = 0.0


class Correction(sl.Message, channel="latest"):
    """Where the server has the player after the input `number`, when the claim was too far from it."""

    number: A[int, sl.Range(0, 2**31 - 1)] = 0  # of the input, without its highest bit
    position: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-WORLD_LIMIT, WORLD_LIMIT)] = (0.0, 0.0)


SCHEMA: Final = sl.Schema([Player, Npc, Monster, Arrow, Item],
                          [Move, Shoot, Bolt, PickUp, Team, Challenge, Chat, Welcome, Correction, Standing])

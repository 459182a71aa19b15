"""Why did this client (not) get that entity: an answer in one line, with the facts behind it.

    print(why(app.world, session, wolf).text)
    # not shown: 131.2 away, it comes into view within 100

For people who look for a fault; it costs some microseconds a question, and nothing while nobody asks.
"""
import enum
import math
from dataclasses import dataclass
from typing import Any

from shadowland._core.world import why as _core
from shadowland.errors import UsageError
from shadowland.schema.classes import contract_of
from shadowland.world import HasHandle, World

__all__ = ["Verdict", "Why", "why"]


class Verdict(enum.Enum):
    """What decides. Of several the first in this order is the reason."""

    NO_SESSION = "no session"           # the session is over, or has not joined
    GONE = "gone"                       # there is no such entity (any more)
    UNBORN = "unborn"                   # spawned in this tick: it is there from its end on
    LEAVING = "leaving"                 # out of view by now, and the client has not acknowledged it yet
    NO_AVATAR = "no avatar"             # the session looks from nowhere
    HIDDEN = "hidden"                   # set_visible_to and set_sees share no bit
    FAR = "far"                         # outside the radius of its class
    NO_SEAT = "no seat"                 # in view, but all seats are taken by nearer ones
    NEW = "new"                         # it came into view after the last snapshot
    STALLED = "stalled"                 # the client acknowledges nothing, so it gets little until it does
    WAITING = "waiting"                 # a record is due and does not fit into the session's bytes
    IN_FLIGHT = "in flight"             # sent, and neither acknowledged nor lost
    KNOWN = "known"                     # acknowledged, and what the client predicts from it is right


@dataclass(frozen=True, slots=True)
class Why:
    """An answer. Ticks are 0 where there is none; distances are in user units, None where one of the two has no place.

    shown          whether the client has it in view, as far as the server can know: it acknowledged so.
    fields         what of it the client is sent.
    waiting_ticks  how long a due record has waited for room.
    sent, acknowledged   newest tick whose record is on its way, and newest that was acknowledged.
    """

    verdict: Verdict
    text: str
    shown: bool
    distance: float | None = None
    fields: tuple[str, ...] = ()
    waiting_ticks: int = 0
    sent: int = 0
    acknowledged: int = 0

    def __str__(self) -> str:
        return self.text


def why(world: World, session: HasHandle | int, entity: int) -> Why:
    """Why the session (or the observer in slot `session`) is told of an entity, or is not, as things stand now.

    UsageError for a slot that the world does not have.
    """
    slot = session if isinstance(session, int) else session.handle & 0xFFFFFFFF
    try:
        facts = _core.standing(world.core, slot, entity)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not isinstance(session, int) and facts["handle"] != session.handle:
        facts["handle"] = 0                                 # the slot is somebody else's by now
    seat: dict[str, Any] = facts["seat"] or {}
    shown = bool(seat) and seat["reference"] > 0
    verdict, reason = _verdict(world, facts, seat, entity)
    fields: tuple[str, ...] = ()
    if seat and facts["alive"] and verdict is not Verdict.LEAVING:
        contract = contract_of(world.schema.entities[world.core.kind_of(entity)])
        fields = tuple(field.name for field in contract.fields.values() if not field.local
                       and (field.audience == 0 or seat["audience"] >> (field.audience - 1) & 1))
    wanted = seat.get("wanted", 0)
    return Why(verdict, f"{'shown' if shown else 'not shown'}: {reason}", shown, facts.get("distance"), fields,
               world.core.tick - wanted if wanted else 0, seat.get("sent", 0), seat.get("reference", 0))


def _verdict(world: World, facts: dict[str, Any], seat: dict[str, Any], entity: int) -> tuple[Verdict, str]:
    tick = world.core.tick
    if facts["handle"] == 0:
        return Verdict.NO_SESSION, "nobody is joined in this slot"
    if seat and seat["state"] == _core.LEAVING:
        return Verdict.LEAVING, "it is out of view, and the client has not acknowledged that yet"
    if not facts["alive"]:
        return Verdict.GONE, f"there is no entity {entity:#x} (any more)"
    if not facts["published"]:
        return Verdict.UNBORN, "it was spawned in this tick and is there from its end on"
    if not facts["watching"] and not facts["chosen"]:
        return Verdict.NO_AVATAR, "the session has no avatar to look from (session.avatar, World.set_avatar)"
    if not facts["masks"]:
        return Verdict.HIDDEN, "it is visible to none of the bits that the session sees (set_visible_to, set_sees)"
    limit = math.inf if facts["chosen"] else facts["leave"] if seat else facts["radius"]
    if facts.get("distance", 0.0) > limit:
        what = "it stays in view up to" if seat else "it comes into view within"
        return Verdict.FAR, f"{facts['distance']:.1f} away, {what} {limit:g}"
    if not seat and facts["taken"] >= facts["seats"]:
        return Verdict.NO_SEAT, f"all {facts['seats']} seats are taken, and seats go to the nearest first"
    if not seat:
        return Verdict.NEW, "it came into view since the session's last snapshot"
    if facts["stalled"]:
        return Verdict.STALLED, "the client has acknowledged nothing for half a second, so it is sent little"
    if seat["wanted"]:
        waits = (tick - seat["wanted"]) * 1000 / world.tick_hz
        return Verdict.WAITING, f"a record waits since {waits:.0f} ms: more is due than the session's bytes allow"
    if seat["sent"] > seat["reference"]:
        lost = ", the one before was lost" if seat["lost"] else ""
        return Verdict.IN_FLIGHT, f"told {tick - seat['sent']} ticks ago, not acknowledged yet{lost}"
    far = "; being far, it is told at some ticks only" if seat["far"] else ""
    return Verdict.KNOWN, f"acknowledged as of {tick - seat['reference']} ticks ago{far}"

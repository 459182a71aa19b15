"""How players of the demo move: the rules, which server and bots hold themselves to (docs/authority.md)."""
from typing import Final

from server_app.demo.schema import VELOCITY_STEP
from shadowland.authority import Map, Movement, Movers

WALK_SPEED: Final = 5.0             # metres a second at a direction of length 1
WALK: Final = Movement(speed=WALK_SPEED, velocity_step=VELOCITY_STEP)


def walkers(count: int, tick_hz: int, bound: float) -> Movers:
    """`count` players in a square world of half edge `bound`: sessions of a server, or bots that simulate."""
    return Movers(WALK, capacity=count, tick_hz=tick_hz, map=Map(low=(-bound, -bound), high=(bound, bound)))

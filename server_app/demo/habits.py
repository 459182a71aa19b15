"""What bots do besides walking: they shoot, pick up what is at hand, and chat, each in its own rhythm."""
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server_app.demo.schema import Chat, PickUp, Shoot
from shadowland.swarm import Swarm

SHOOT_S: Final = 2.0
PICK_UP_S: Final = 1.0
CHAT_S: Final = 20.0
LINES: Final = (
    "hello", "has anybody seen a potion?", "monsters to the east",
    "I walked all the way from the swamp to the town, found two heaps of gold on the way, lost them to a monster, and "
    "would do it again; who comes with me to the arena?",
)


class Habits:
    """Of bots at `tick_hz`; their turns are spread over the ticks."""

    def __init__(self, tick_hz: int) -> None:
        self._hz = tick_hz

    def turn(self, bots: NDArray[np.intp], tick: int, every_s: float) -> NDArray[np.intp]:
        """Which of `bots` have their turn in this tick."""
        period = max(1, round(every_s * self._hz))
        offsets = (bots * 0.6180339887 * period).astype(np.int64)      # golden: any few of them are spread evenly
        due: NDArray[np.intp] = bots[(offsets + tick) % period == 0]
        return due

    def act(self, swarm: Swarm, bots: NDArray[np.intp], directions: NDArray[np.floating], tick: int) -> None:
        """One tick of these bots. Every second shot is aimed by the server, the others go where the bot walks."""
        shooting = self.turn(bots, tick, SHOOT_S)
        if len(shooting):
            ahead = (shooting + tick // self._hz) % 4 == 0
            swarm.send(Shoot, shooting, direction=np.where(ahead[:, None], directions[shooting], 0.0))
        picking = self.turn(bots, tick, PICK_UP_S)
        if len(picking):
            swarm.send(PickUp, picking)
        for bot in self.turn(bots, tick, CHAT_S).tolist():
            swarm.send(Chat, np.array([bot]), text=[LINES[(bot + tick) % len(LINES)]])

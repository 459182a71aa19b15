"""What bots do besides walking: they shoot, pick up what is at hand, make friends and enemies, and chat; each thing has
its rhythm."""
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server_app.demo.schema import Bolt, Challenge, Chat, PickUp, Shoot, Team
from server_app.demo.ties import Ties
from server_app.demo.walkers import Walkers
from shadowland.swarm import Swarm

SHOOT_S: Final = 2.0
BOLT_S: Final = 3.0
TEAM_S: Final = 15.0
CHALLENGE_S: Final = 60.0
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

    def act(self, swarm: Swarm, bots: NDArray[np.intp], walkers: Walkers, ties: Ties, tick: int) -> None:
        """One tick of these bots. Every second shot is aimed by the server, the others go where the bot walks."""
        shooting = self.turn(bots, tick, SHOOT_S)
        if len(shooting):
            ahead = (shooting + tick // self._hz) % 4 == 0
            swarm.send(Shoot, shooting, direction=np.where(ahead[:, None], walkers.direction[shooting], 0.0))
        self._bolt(swarm, self.turn(bots, tick, BOLT_S), walkers, ties)
        picking = self.turn(bots, tick, PICK_UP_S)
        if len(picking):
            swarm.send(PickUp, picking)
        swarm.send(Team, self.turn(bots, tick, TEAM_S))
        swarm.send(Challenge, self.turn(bots, tick, CHALLENGE_S))
        for bot in self.turn(bots, tick, CHAT_S).tolist():
            swarm.send(Chat, np.array([bot]), text=[LINES[(bot + tick) % len(LINES)]])

    def _bolt(self, swarm: Swarm, bots: NDArray[np.intp], walkers: Walkers, ties: Ties) -> None:
        """These shoot at whom they see, and say in which snapshot they saw it."""
        shooting, ways, seen = [], [], []
        for bot in bots.tolist():
            snapshot = swarm.snapshot(bot)
            way = ties.aim(bot, snapshot, walkers.position[bot], walkers.bound) if snapshot is not None else None
            if snapshot is not None and way is not None:
                shooting.append(bot)
                ways.append(way)
                seen.append(snapshot.tick)
        if shooting:
            swarm.send(Bolt, np.array(shooting), direction=np.array(ways), seen=seen)

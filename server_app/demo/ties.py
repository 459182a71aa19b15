"""What bots know of friends and enemies, and at whom they aim: by what they were told and see, as a client would."""
import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from server_app.demo.bolts import REACH
from server_app.demo.schema import Monster, Player
from server_app.demo.zones import DUELS, zone_of
from shadowland.relations import Stance
from shadowland.standing import Standing, Standings
from shadowland.swarm import Swarm


class Ties:
    """Of `count` bots."""

    def __init__(self, count: int) -> None:
        self.of = [Standings() for _ in range(count)]

    def listen(self, swarm: Swarm) -> None:
        """Take what they were told in this tick."""
        bots, words = swarm.messages(Standing)
        for index, bot in enumerate(bots.tolist()):
            self.of[bot].take(words.row(index))

    @property
    def in_party(self) -> int:
        """Bots that know of somebody in their party."""
        return sum(bool(known.party) for known in self.of)

    @property
    def in_duel(self) -> int:
        """Bots that know whom they duel with."""
        return sum(known.opponent != 0 for known in self.of)

    def aim(self, bot: int, snapshot: sl.Snapshot, here: NDArray[np.floating], bound: float) -> (
            NDArray[np.float64] | None):
        """The way from `here` (length 1) to the nearest that this bot may harm and sees; None if nobody is in reach."""
        known, monsters, players = self.of[bot], snapshot[Monster], snapshot[Player]
        foes = known.stances(snapshot, Player) == Stance.ENEMY
        foes &= DUELS[zone_of(players.position[:, :2], bound)] | (players.handles == np.uint64(known.opponent))
        ways = np.concatenate((monsters.position[:, :2], players.position[foes, :2])).astype(np.float64) - here
        far = np.hypot(ways[:, 0], ways[:, 1])
        if len(far) == 0 or not 0 < far.min() <= REACH:
            return None
        way: NDArray[np.float64] = ways[far.argmin()] / far.min()
        return way

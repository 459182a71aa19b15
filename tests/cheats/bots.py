"""Honest players and those who cheat: columns over all of them, in one swarm."""
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shadowland._core.base.records import MESSAGE_DTYPE
from shadowland.authority import Map, Movers
from shadowland.swarm import LIVE, Swarm
from tests.cheats.arena import BOLT, HALF, HZ, RULE, SCHEMA, Bolt, Claim, Correction, Fighter, Raw, Welcome, Wish

CHEATS: Final = ("speed", "teleport", "nan", "fly", "wall", "bounds", "turn", "flood", "spam", "resources", "range",
                 "sight", "stunned", "rewind")
WALKING: Final = CHEATS.index("spam")   # from here on they walk rightly and throw wrongly
TURN: Final = 0.9 * RULE.turn_rate / HZ
REMEMBERED: Final = 256
UNIT: Final = 127
AWFUL: Final = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e10], np.float32)


class Players:
    """Bots 0 to `honest` - 1 keep to the rules, half by wishes and half by claims; then as many of each cheat."""

    def __init__(self, swarm: Swarm, honest: int, town: Map, seed: int) -> None:
        count = swarm.count
        self.swarm, self.honest, self.map = swarm, honest, town
        self.movers = Movers(RULE, capacity=1, tick_hz=HZ, map=town)
        self.position, self.velocity = np.zeros((count, 3)), np.zeros((count, 3), np.float32)
        self.direction: NDArray[np.float32] = np.zeros((count, 2), np.float32)
        self.facing = np.zeros(count)
        self.slot: NDArray[np.int64] = np.full(count, -1, np.int64)
        self.number: NDArray[np.int64] = np.zeros(count, np.int64)
        self.inputs = self.corrections = self.bolts = 0
        self.tried = dict.fromkeys(CHEATS, 0)       # messages of each cheat that cannot be
        self._until: NDArray[np.int64] = np.zeros(count, np.int64)
        self._history = np.zeros((REMEMBERED, count, 3))
        self._rng = np.random.default_rng(seed)
        self.kind: NDArray[np.int64] = np.full(count, -1, np.int64)
        self.kind[honest:] = np.arange(count - honest) % len(CHEATS)

    def of(self, cheat: str) -> NDArray[np.intp]:
        """The bots of one sort that are in the game."""
        return np.flatnonzero((self.kind == CHEATS.index(cheat)) & (self.slot >= 0) & (self.swarm.state == LIVE))

    def step(self, tick: int) -> None:
        """Once a tick, between `take` and `flush` of the swarm."""
        self._listen()
        rng = self._rng
        due = np.flatnonzero(self._until <= tick)
        angle = rng.uniform(-np.pi, np.pi, len(due))
        way = np.stack((np.cos(angle), np.sin(angle)), axis=1)
        self.direction[due] = (np.trunc(way * UNIT) / UNIT).astype(np.float32)
        self._until[due] = tick + rng.integers(HZ, 4 * HZ, len(due))
        everybody = np.flatnonzero((self.slot >= 0) & (self.swarm.state == LIVE))
        walkers = everybody[(self.kind[everybody] < 0) | (self.kind[everybody] >= WALKING)]
        self._walk(walkers)
        self._cheat_moves(tick)
        self._throw(tick, everybody)

    def _listen(self) -> None:
        bots, welcomes = self.swarm.messages(Welcome)
        self.position[bots], self.slot[bots] = welcomes.position, welcomes.slot
        bots, corrections = self.swarm.messages(Correction)
        self.corrections += int((bots < self.honest).sum())
        known = (corrections.number <= self.number[bots]) & (self.number[bots] - corrections.number < REMEMBERED)
        bots, numbers, places = bots[known], corrections.number[known], corrections.position[known]
        wrong = places - self._history[numbers % REMEMBERED, bots]
        obeying = (self.kind[bots] < 0) | (self.kind[bots] >= WALKING)
        bots, wrong = bots[obeying], wrong[obeying]
        self.position[bots] += wrong
        self._history[:, bots] += wrong

    def _walk(self, bots: NDArray[np.intp]) -> None:
        """Rightly: even ones wish, odd ones claim."""
        moved, velocity = self.position[bots].astype(np.float32), self.velocity[bots]      # as the server's columns are
        if len(bots) == 0:
            return
        self.movers.simulate(moved, velocity, self.direction[bots])
        turn = np.arctan2(self.direction[bots, 1], self.direction[bots, 0]) - self.facing[bots]
        facing = self.facing[bots] + np.clip(np.arctan2(np.sin(turn), np.cos(turn)), -TURN, TURN)
        taken = np.zeros(len(bots), np.bool_)
        even = bots % 2 == 0
        taken[even] = self.swarm.send(Wish, bots[even], direction=self.direction[bots[even]],
                                      position=moved[even, :2], facing=facing[even])
        taken[~even] = self.swarm.send(Claim, bots[~even], position=moved[~even], facing=facing[~even])
        bots, moved, velocity, self.facing[bots[taken]] = bots[taken], moved[taken], velocity[taken], facing[taken]
        self.position[bots], self.velocity[bots] = moved, velocity
        self.number[bots] += 1
        self._history[self.number[bots] % REMEMBERED, bots] = moved
        self.inputs += int((bots < self.honest).sum())

    def _cheat_moves(self, tick: int) -> None:
        rng, step = self._rng, RULE.speed / HZ
        bots = self.of("speed")
        self.position[bots, :2] += self.direction[bots] * step * 3
        self._claim(bots, "speed")
        bots = self.of("teleport")
        if tick % HZ == 0:
            self.position[bots, :2] = rng.uniform(-HALF, HALF, (len(bots), 2))
        self._claim(bots, "teleport")
        bots = self.of("fly")
        self.position[bots, :2] += self.direction[bots] * step
        self.position[bots, 2] = rng.choice([5.0, 40.0, -3.0, 900.0])
        self._claim(bots, "fly")
        bots = self.of("wall")                          # straight on, whatever stands there
        self.position[bots, :2] += self.direction[bots] * step
        self._claim(bots, "wall")
        bots = self.of("bounds")                        # outwards, and on
        way = np.where(np.abs(self.position[bots, :1]) > np.abs(self.position[bots, 1:2]), (1, 0), (0, 1))
        outwards = self.position[bots, :2] + way * np.sign(self.position[bots, :2]) * step
        self.position[bots, :2] = np.clip(outwards, -999, 999)
        self._claim(bots, "bounds")
        bots = self.of("turn")                          # there and back, or round and round
        self.facing[bots] += np.where(bots % 2, np.pi / 2, (-1) ** tick * 0.9 * np.pi)
        self.position[bots, :2] += self.direction[bots] * step
        self._claim(bots, "turn")
        bots = self.of("flood")
        for _ in range(8):
            self.tried["flood"] += int(self.swarm.send(
                Wish, bots, direction=self.direction[bots], position=self.position[bots, :2], facing=0.0).sum())
        self._awful(self.of("nan"))

    def _claim(self, bots: NDArray[np.intp], cheat: str) -> None:
        if cheat != "bounds":
            self.position[bots, :2] = np.clip(self.position[bots, :2], -HALF - 3, HALF + 3)
        self.tried[cheat] += int(self.swarm.send(
            Claim, bots, position=self.position[bots], facing=self.facing[bots]).sum())

    def _awful(self, bots: NDArray[np.intp]) -> None:
        """Places that no honest encoder writes, byte by byte."""
        if len(bots) == 0:
            return
        arena = self._rng.choice(AWFUL, (len(bots), 4)).astype("<f4").view(np.uint8).reshape(-1)
        records = np.zeros(len(bots), MESSAGE_DTYPE)
        records["connection"], records["length"] = self.swarm._handles[bots], 16
        records["offset"] = 16 * np.arange(len(bots))
        records["channel"], records["kind"] = SCHEMA.channel_of(Raw), SCHEMA.id_of(Raw)
        self.swarm._endpoint.queue(records, arena)
        self.tried["nan"] += int((records["flags"] == 0).sum())

    def _throw(self, tick: int, everybody: NDArray[np.intp]) -> None:
        rng = self._rng
        reach = BOLT.range or 0.0
        fair = everybody[(self.kind[everybody] < 0) & (everybody % (2 * HZ) == tick % (2 * HZ))]
        self._bolt(fair, 0.5 * reach)
        self._bolt(self.of("spam"), 0.5 * reach)
        if tick % HZ == 0:                              # as often as the cooldown allows, whatever it costs
            self._bolt(self.of("resources"), 0.5 * reach)
            self._bolt(self.of("rewind"), 0.5 * reach, seen=-10.0 * HZ)
        self._bolt(self.of("range"), 4 * reach)
        # Through walls: at places they do not see; while stunned: all the time, also then.
        self._bolt(self.of("sight"), reach, hidden=True)
        if tick % 3 == 0:
            self._bolt(self.of("stunned"), 0.5 * reach, action=int(rng.choice([0, 0, 255])))

    def _bolt(self, bots: NDArray[np.intp], far: float, *, hidden: bool = False, action: int = 0,
              seen: float = 0.0) -> None:
        angle = self._rng.uniform(-np.pi, np.pi, len(bots))
        aim = self.position[bots, :2] + far * 0.95 * np.stack((np.cos(angle), np.sin(angle)), axis=1)
        aim = np.clip(aim, -HALF, HALF)
        if hidden and len(bots):
            targets = np.column_stack((aim, self.map.ground(aim)))
            unseen = ~self.map.sees(self.position[bots], targets, eye=BOLT.eye)
            bots, aim = bots[unseen], aim[unseen]
        sent = self.swarm.send(Bolt, bots, action=np.full(len(bots), action), target=aim,
                               seen=self.swarm.tick + seen)
        self.bolts += int(sent.sum())
        for kind in self.kind[bots[sent]].tolist():
            if kind >= 0:
                self.tried[CHEATS[kind]] += 1


assert SCHEMA.id_of(Fighter) == 0       # the one class that is watched

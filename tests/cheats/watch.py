"""What honest players see, held against the rules by plain arithmetic, without any code of shadowland.authority.

What came in a record of this tick is the server's word: it is off by rounding alone. Between two records a view moves
entities on by their velocity, as docs/replication.md says, and knows no walls: then it is held against how far the
rules let anybody go since the record.
"""
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shadowland.schema.values import column_from_quanta
from shadowland.swarm import Swarm
from tests.cheats.arena import BOLT, COST, HALF, HZ, MOST_MANA, RULE, SCHEMA, STEP, Fighter
from tests.reference.authority_map import Area

BLUR: Final = STEP / 2 + 0.001          # metres that rounding puts a record's place off
SPEED: Final = RULE.speed * 1.02 * 1.01 # what docs/authority.md says about slack
TURN: Final = RULE.turn_rate * 1.02
WINDOW: Final = 10 * HZ                 # ticks after which a fighter is watched anew
SEATS: Final = 256
BACK: Final = HZ // 2                   # ticks: 500 ms
BREAKABLE: Final = ("speed", "jump", "bounds", "wall", "fly", "turn", "cooldown", "range", "sight", "stunned",
                    "resources", "rewind", "overshoot")


class Watch:
    """The views of the bots 0 to `count` - 1 of a swarm.

    seen       looks at a fighter whose record came in that tick; predicted: at one that the view moved on by itself.
    broken     what cannot be, by rule.
    """

    def __init__(self, swarm: Swarm, count: int, blocked: NDArray[np.uint8], heights: NDArray[np.float64]) -> None:
        self.swarm, self.count = swarm, count
        self._blocked, self._heights = blocked, heights
        self._kind = SCHEMA.id_of(Fighter)
        self._columns = {column.name: column for column in swarm.layouts[Fighter].columns}
        self._area = Area(low=(-HALF, -HALF, -10.0), high=(HALF, HALF, 60.0), cells=blocked.tolist(),
                          ground=np.round(heights * 1024).astype(int).tolist())
        shape = count, SEATS
        self._handle = np.zeros(shape, np.uint64)
        self._first_tick, self._last_tick = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._first, self._last = np.zeros((*shape, 3)), np.zeros((*shape, 3))
        self._first_strikes, self._last_strikes = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._first_mana = np.zeros(shape, np.int64)
        self._last_status, self._last_yaw, self._turned = np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)
        self._first_s = np.zeros(shape)
        self._now, self._longest_s = time.monotonic(), 0.0      # of the last look; between two looks
        self.seen = self.predicted = self.strikes_seen = 0
        self.broken: dict[str, int] = dict.fromkeys(BREAKABLE, 0)

    def look(self) -> None:
        """Once a tick, after `swarm.take`."""
        # A server that cannot keep up skips ticks, and time goes on: that of who looks counts, if it is more.
        before, self._now = self._now, time.monotonic()
        self._longest_s = max(self._longest_s, min(self._now - before, 1.0))
        views, found, states = self.swarm.views, [], []
        for bot in range(self.count):
            known = views.known(bot)
            if len(known):
                found.append((np.full(len(known), bot), np.full(len(known), views.tick(bot)), known["seat"],
                              known["handle"], known["tick"]))
                states.append(views.states(np.ascontiguousarray(known["seat"]), self._kind, bot))
        if found:
            bots, ticks, seats, handles, records = map(np.concatenate, zip(*found, strict=True))
            quanta, fresh = np.concatenate(states), records == ticks
            seats = seats.astype(np.intp)
            # Where a record was overtaken by the next snapshot nobody saw from where the view moves on.
            between = records == self._last_tick[bots, seats]
            self._between(bots[between], ticks[between], seats[between], handles[between], quanta[between])
            self._judge(bots[fresh], ticks[fresh], seats[fresh], handles[fresh], quanta[fresh])

    def _column(self, name: str, quanta: NDArray[np.int32]) -> NDArray[np.float64]:
        column = self._columns[name]
        return column_from_quanta(column.field, quanta[:, column.first:column.first + column.lanes])

    def _between(self, bot: NDArray[np.intp], tick: NDArray[np.int64], seats: NDArray[np.intp],
                 handles: NDArray[np.uint64], quanta: NDArray[np.int32]) -> None:
        """Moved on by their velocity since their last record: no further than the rules and a burst's velocity lead."""
        known = self._handle[bot, seats] == handles
        bot, tick, seats, place = bot[known], tick[known], seats[known], self._column("position", quanta[known])
        self.predicted += len(bot)
        away = np.hypot(*(place[:, :2] - self._last[bot, seats, :2]).T)
        passed = (tick - self._last_tick[bot, seats]) / HZ
        self.broken["overshoot"] += int((away > (SPEED + RULE.tolerance * HZ) * passed + BLUR).sum())

    def _judge(self, bot: NDArray[np.intp], tick: NDArray[np.int64], seats: NDArray[np.intp],
               handles: NDArray[np.uint64], quanta: NDArray[np.int32]) -> None:
        place, strikes, aim, status, yaw, mana, back = (
            self._column(name, quanta) for name in ("position", "strikes", "aim", "status", "yaw", "mana", "back"))
        self.seen += len(seats)
        same = (self._handle[bot, seats] == handles) & (tick - self._first_tick[bot, seats] < WINDOW)
        new = bot[~same], seats[~same]
        self._handle[new], self._first_tick[new], self._last_tick[new] = handles[~same], tick[~same], tick[~same]
        self._first_s[new], self._turned[new], self._last_yaw[new] = self._now, 0.0, yaw[~same]
        self._first[new], self._last[new], self._last_status[new] = place[~same], place[~same], status[~same]
        self._first_strikes[new] = self._last_strikes[new] = strikes[~same]
        self._first_mana[new] = mana[~same]
        self._places(place)
        # Never further from where it was first than time leads, and one allowance.
        ticks = tick - self._first_tick[bot, seats]
        passed = np.maximum(ticks / HZ, self._now - self._first_s[bot, seats]) + 0.1 + self._longest_s
        away = np.hypot(*(place[:, :2] - self._first[bot, seats, :2]).T)
        self.broken["speed"] += int((away > SPEED * passed + RULE.speed * RULE.allowance_s + BLUR).sum())
        # From one record to the next neither: that is what a teleport would be.
        gap = (tick - self._last_tick[bot, seats]) / HZ
        away = np.hypot(*(place[:, :2] - self._last[bot, seats, :2]).T)
        lag = self._longest_s + 0.1
        self.broken["jump"] += int((away > SPEED * (gap + lag) + RULE.speed * RULE.allowance_s + BLUR).sum())
        turn = yaw - self._last_yaw[bot, seats]
        self._turned[bot, seats] += np.abs(np.arctan2(np.sin(turn), np.cos(turn)))
        rounding = 0.05 + 2 * np.pi / 256 * (1 + ticks / HZ)
        self.broken["turn"] += int((self._turned[bot, seats] > TURN * (passed + RULE.allowance_s) + rounding).sum())
        self._acts(bot, seats, strikes, mana, passed)
        self.broken["rewind"] += int((back > BACK).sum())
        for index in np.flatnonzero(strikes != self._last_strikes[bot, seats]).tolist():
            which = bot[index], seats[index]
            self._strike(self._last[which], place[index], aim[index], int(tick[index] - self._last_tick[which]),
                         bool(status[index] and self._last_status[which]))
        self._last[bot, seats], self._last_strikes[bot, seats] = place, strikes
        self._last_tick[bot, seats], self._last_status[bot, seats] = tick, status
        self._last_yaw[bot, seats] = yaw

    def _acts(self, bot: NDArray[np.intp], seats: NDArray[np.intp], strikes: NDArray[np.float64],
              mana: NDArray[np.float64], passed: NDArray[np.float64]) -> None:
        """How often one may have thrown by the cooldown, and by what it had."""
        thrown = (strikes - self._first_strikes[bot, seats]) % 65536
        most = 1 + (passed + 2 / HZ) * 1000 / BOLT.cooldown_ms + BOLT.grace_ms / BOLT.cooldown_ms + 0.2
        self.broken["cooldown"] += int((thrown > most).sum())
        # A point comes back each tick: what was spent is what one had, and what came, without what one has.
        had = self._first_mana[bot, seats] + (passed + 2 / HZ) * HZ - mana
        self.broken["resources"] += int(((thrown * COST > had) | (mana < 0) | (mana > MOST_MANA)).sum())

    def _places(self, place: NDArray[np.float64]) -> None:
        """Which places are in a wall, above the ground, out of the map: by more than rounding."""
        self.broken["bounds"] += int((np.abs(place[:, :2]) > HALF + BLUR).any(axis=1).sum())
        free, level = np.zeros(len(place), np.bool_), np.zeros(len(place), np.bool_)
        for dx in (-BLUR, BLUR):
            for dy in (-BLUR, BLUR):
                x, y = (np.clip(np.floor(place[:, axis] + by), -HALF, HALF - 1).astype(np.intp) + HALF
                        for axis, by in ((0, dx), (1, dy)))
                free |= self._blocked[y, x] == 0
                level |= np.abs(place[:, 2] - self._heights[y, x]) <= BLUR
        self.broken["fly"] += int((~level).sum())
        self.broken["wall"] += int((~free).sum())

    def _strike(self, before: NDArray[np.float64], now: NDArray[np.float64], aim: NDArray[np.float64], ticks: int,
                stunned: bool) -> None:
        """A bolt was thrown from somewhere between `before` and `now`."""
        self.strikes_seen += 1
        blur = BLUR + SPEED * ticks / HZ + RULE.speed * RULE.allowance_s * (ticks > 2)
        if min(np.hypot(*(place[:2] - aim)) for place in (before, now)) > (BOLT.range or 0) + blur:
            self.broken["range"] += 1
        if stunned and ticks <= 2:
            self.broken["stunned"] += 1
        if ticks > 2:
            return
        # From where one can stand between the two, in steps that no gap between walls fits into.
        target = [*aim.tolist(), self._area.ground_at([*aim.tolist(), 0.0]) + BOLT.eye]
        for place in (before, now, (before + now) / 2):
            for dx in (-BLUR, 0.0, BLUR):
                for dy in (-BLUR, 0.0, BLUR):
                    eye = [place[0] + dx, place[1] + dy, place[2] + BOLT.eye]
                    self._area.clamp(eye, 3, 0)
                    if self._area.line(255, False, eye, target):
                        return
        self.broken["sight"] += 1

"""Conduct: what breaks a rule adds to a session's score, time takes from it; too much of it warns, ends or bans."""
import enum
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland.authority.actions import Outcome
from shadowland.authority.map import number
from shadowland.authority.movement import Verdict
from shadowland.errors import ConfigError, DisconnectReason

if TYPE_CHECKING:
    from shadowland.server import Server
    from shadowland.session import Session

logger = logging.getLogger("shadowland.authority")

# What an honest client cannot do weighs much, what it does now and then, not knowing better yet, little or nothing.
MOVES: Final[dict[str, float]] = {
    "bad": 10, "long": 5, "hurried": 0.2, "fast": 1, "accelerated": 0.5, "teleported": 10, "turned": 0.2,
    "outside": 0, "blocked": 0, "airborne": 1, "old": 0,
}
ACTIONS: Final[dict[str, float]] = {
    "unknown": 5, "bad": 10, "state": 0.2, "cooldown": 0.2, "resources": 0.1, "range": 0.2, "sight": 0.1,
}
EXCUSED: Final = Verdict.LATE | Verdict.ADRIFT | Verdict.GAP    # its place is not where it thinks: walls mean nothing
TEXT: Final = "moves or acts as nobody can"


class Level(enum.IntEnum):
    """What a score has reached."""

    FINE = 0
    WARN = 1
    KICK = 2
    BAN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """What counts, and what follows.

    moves        points for each verdict by name, as {"fast": 1}; what is left out keeps its default.
    actions      points for each outcome of an action, likewise.
    forgiven_per_s   points that time takes away.
    warn, kick, ban  scores at which a line is logged, the session ends with CHEATING, its address is banned for `ban_s`
                 seconds as well; 0: never. In this order, each above the one before.

    ConfigError names the field, its value and what it may be.
    """

    moves: Mapping[str, float] = field(default_factory=dict)
    actions: Mapping[str, float] = field(default_factory=dict)
    forgiven_per_s: float = 1.0
    warn: float = 30.0
    kick: float = 100.0
    ban: float = 0.0
    ban_s: float = 600.0

    def __post_init__(self) -> None:
        for name, table, known in (("moves", self.moves, MOVES), ("actions", self.actions, ACTIONS)):
            if not isinstance(table, Mapping):
                raise ConfigError(f"Conduct: {name} is {table!r}; give points by name")
            for key, points in table.items():
                if key not in known:
                    raise ConfigError(f"Conduct: {name} has no {key!r}; there are {', '.join(known)}")
                if not number(points, 0, 1e6):
                    raise ConfigError(f"Conduct: {name}.{key} is {points!r}; it must be 0 to 1,000,000 points")
        limits = {"forgiven_per_s": (0.001, 1e6), "warn": (0, 1e9), "kick": (0, 1e9), "ban": (0, 1e9),
                  "ban_s": (1, 1e9)}
        for name, (low, high) in limits.items():
            if not number(getattr(self, name), low, high):
                raise ConfigError(f"Conduct: {name} is {getattr(self, name)!r}; it must be {low:,} to {high:,.0f}")
        given = [(name, getattr(self, name)) for name in ("warn", "kick", "ban") if getattr(self, name)]
        for (lower, least), (name, value) in zip(given, given[1:], strict=False):
            if not value > least:
                raise ConfigError(f"Conduct: {name} is {value}, not above {lower} ({least}); raise it, or 0: never")


class Scores:
    """The scores of `capacity` sessions.

    scores   by slot, as they were when something last happened.
    warned, kicked, banned   how often each followed.
    """

    def __init__(self, conduct: Conduct, *, capacity: int) -> None:
        self.conduct = conduct
        self.scores: NDArray[np.float64] = np.zeros(capacity)
        self.warned = self.kicked = self.banned = 0
        self._seen_us: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._levels: NDArray[np.uint8] = np.zeros(capacity, np.uint8)
        self._due: dict[int, Level] = {}
        steps = [conduct.warn, conduct.kick, conduct.ban]
        self._steps = [step or np.inf for step in steps]
        bits = np.arange(1 << 16)
        self._moves: NDArray[np.float64] = np.zeros(1 << 16)
        for name, points in (MOVES | dict(conduct.moves)).items():
            verdict = Verdict[name.upper()]
            fault = (bits & verdict) != 0
            if verdict in Verdict.BLOCKED | Verdict.OUTSIDE | Verdict.AIRBORNE:
                fault &= (bits & EXCUSED) == 0
            elif verdict == Verdict.HURRIED:
                fault &= (bits & Verdict.LATE) == 0
            self._moves += fault * points
        self._actions: NDArray[np.float64] = np.zeros(256)
        for name, points in (ACTIONS | dict(conduct.actions)).items():
            self._actions[Outcome[name.upper()]] = points

    def reset(self, slot: int) -> None:
        """A new session has the slot."""
        self.scores[slot], self._levels[slot] = 0.0, Level.FINE
        self._due.pop(slot, None)

    def moves(self, slots: ArrayLike, verdicts: NDArray[np.uint16], now_us: int) -> None:
        """What `steer` or `claim` found about inputs of these slots counts."""
        self._count(np.asarray(slots), self._moves[verdicts], now_us)

    def actions(self, slots: ArrayLike, outcomes: NDArray[np.uint8], now_us: int) -> None:
        """What became of actions of these slots counts."""
        self._count(np.asarray(slots), self._actions[outcomes], now_us)

    def add(self, slots: ArrayLike, points: ArrayLike, now_us: int) -> None:
        """What a game finds by itself counts."""
        self._count(np.asarray(slots), np.asarray(points, np.float64), now_us)

    def _count(self, slots: NDArray[Any], points: NDArray[np.float64], now_us: int) -> None:
        faults = np.flatnonzero(points)
        if len(faults) == 0:                        # nearly always
            return
        who = np.unique(slots[faults])
        passed = (now_us - self._seen_us[who]) * 1e-6
        self.scores[who] = np.maximum(self.scores[who] - passed * self.conduct.forgiven_per_s, 0.0)
        self._seen_us[who] = now_us
        self._levels[who[self.scores[who] == 0]] = Level.FINE
        np.add.at(self.scores, slots[faults], points[faults])
        levels = np.zeros(len(who), np.uint8)
        for level, step in zip((Level.WARN, Level.KICK, Level.BAN), self._steps, strict=True):
            levels[self.scores[who] >= step] = level
        for slot, reached in zip(who.tolist(), levels.tolist(), strict=True):
            if reached > self._levels[slot]:
                self._levels[slot] = reached
                self._due[slot] = Level(reached)

    def judge(self, server: "Server") -> list[tuple["Session", Level]]:
        """Once a tick: let follow what is due, and say for whom."""
        if not self._due:
            return []
        due, self._due = self._due, {}
        found = [(session, due[session.slot]) for session in server.sessions.values() if session.slot in due]
        for session, level in found:
            score = self.scores[session.slot]
            if level == Level.WARN:
                self.warned += 1
                logger.warning("%r has a score of %.0f for breaking rules", session, score)
            elif level == Level.KICK:
                self.kicked += 1
                logger.warning("%r has a score of %.0f and must go", session, score)
                session.close(DisconnectReason.CHEATING, TEXT)
            elif session.remote is not None:        # else it is over already, and its address is not known any more
                self.banned += 1
                logger.warning("%r has a score of %.0f and is banned", session, score)
                session.ban(self.conduct.ban_s)
        return found

"""The bots' brains: columns over all bots of a process, no object per bot.

Each walks straight for about three seconds, then turns: somewhere, towards the nearest meeting place, or not at all. It
holds its own position exactly as the server simulates it, claims it with every input, and obeys corrections.
"""
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server_app.demo import movement

Floats = NDArray[np.float64]

WALKING: Final = 0.7
MEETING: Final = 0.25               # share of turns that lead to a meeting place
MEETING_GAP: Final = 64.0           # metres between meeting places
EDGE: Final = 15.0                  # metres from the edge of the world where they turn back
REMEMBERED: Final = 256             # inputs whose outcome is kept for corrections; a power of two
UNIT: Final = 127                   # steps of a direction of length 1 (Unit(bits=8))


class Walkers:
    """`count` bots at `tick_hz`.

    position    (count, 2), where each thinks it is.
    direction   (count, 2), whole steps of 1/127, at most length 1.
    number      how many inputs each has made.
    ready       who has been told where it begins.
    """

    def __init__(self, count: int, tick_hz: int, seed: int) -> None:
        self.position: Floats = np.zeros((count, 2))
        self.direction: NDArray[np.float32] = np.zeros((count, 2), np.float32)
        self.number: NDArray[np.int64] = np.zeros(count, np.int64)
        self.ready: NDArray[np.bool_] = np.zeros(count, np.bool_)
        self.bound = 0.0
        self.corrected = 0
        self._until: NDArray[np.int64] = np.zeros(count, np.int64)
        self._history: Floats = np.zeros((REMEMBERED, count, 2))
        self._rng = np.random.default_rng(seed)
        self._tick_hz = tick_hz

    def place(self, bots: NDArray[np.intp], positions: NDArray[np.floating], bound: float) -> None:
        """These bots begin at `positions`, in a world of half edge `bound`."""
        self.position[bots] = positions
        self.ready[bots] = True
        if bound != self.bound:
            self.bound = bound
            self._movers = movement.walkers(1, self._tick_hz, bound)

    def think(self, tick: int) -> None:
        """New directions for those whose time has come."""
        due = np.flatnonzero(self.ready & (self._until <= tick))
        if len(due) == 0:
            return
        rng, here = self._rng, self.position[due]
        angle = rng.uniform(-np.pi, np.pi, len(due))
        place = (np.floor(here / MEETING_GAP) + 0.5) * MEETING_GAP - here
        angle = np.where(rng.random(len(due)) < MEETING, np.arctan2(place[:, 1], place[:, 0]), angle)
        edge = (np.abs(here) > self.bound - EDGE).any(axis=1)
        back = np.arctan2(-here[:, 1], -here[:, 0]) + rng.uniform(-1.0, 1.0, len(due))
        angle = np.where(edge, back, angle)
        walking = edge | (rng.random(len(due)) < WALKING)
        heading = np.stack((np.cos(angle), np.sin(angle)), axis=1) * walking[:, None]
        # Cut to whole steps here: what is simulated must be what travels.
        self.direction[due] = (np.trunc(heading * UNIT) / UNIT).astype(np.float32)
        self._until[due] = tick + rng.integers(2 * self._tick_hz, 4 * self._tick_hz + 1, len(due))

    def plan(self, bots: NDArray[np.intp]) -> Floats:
        """Where one more tick of walking leads these bots: what their inputs, `direction` and this, will claim."""
        places = self.position[bots]
        if len(bots):                               # else nobody may know yet how large the world is
            self._movers.simulate(places, np.zeros(places.shape, np.float32), self.direction[bots])
        return places

    def commit(self, bots: NDArray[np.intp], moved: Floats) -> None:
        """The inputs of these bots are on their way: they stand where `plan` said."""
        self.position[bots] = moved
        self.number[bots] += 1
        self._history[self.number[bots] % REMEMBERED, bots] = moved

    def correct(self, bots: NDArray[np.intp], numbers: NDArray[np.int64], positions: NDArray[np.floating]) -> None:
        """The server had these bots at `positions` after the inputs `numbers`: move by what they were wrong then."""
        self.corrected += len(bots)
        known = (numbers <= self.number[bots]) & (self.number[bots] - numbers < REMEMBERED)
        bots, numbers, positions = bots[known], numbers[known], positions[known]
        wrong = positions - self._history[numbers % REMEMBERED, bots]
        self.position[bots] = np.clip(self.position[bots] + wrong, -self.bound, self.bound)
        self._history[:, bots] += wrong

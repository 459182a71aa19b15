"""The bots' brains: columns over all bots of a process, no object per bot.

Each walks straight for about three seconds, then turns: somewhere, towards the nearest meeting place, or not at all. It
predicts its own position as the server simulates it (docs/prediction.md), claims it with every input, and takes
corrections: what it has done since is replayed from where the server had it.
"""
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server_app.demo import movement
from server_app.demo.zones import SPEEDS, zone_of
from shadowland.prediction import Predictions

Floats = NDArray[np.float64]

WALKING: Final = 0.7
MEETING: Final = 0.25               # share of turns that lead to a meeting place
MEETING_GAP: Final = 64.0           # metres between meeting places
EDGE: Final = 15.0                  # metres from the edge of the world where they turn back
REMEMBERED: Final = 256             # inputs that are kept for corrections
ROUNDED: Final = 0.006              # metres that a correction is off by, as it travels in whole centimetres
UNIT: Final = 127                   # steps of a direction of length 1 (Unit(bits=8))


class Walkers:
    """`count` bots at `tick_hz`.

    direction   (count, 2), whole steps of 1/127, at most length 1.
    ready       who has been told where it begins.
    predictions where each thinks it is, and what the server said to that.
    """

    def __init__(self, count: int, tick_hz: int, seed: int) -> None:
        self.direction: NDArray[np.float32] = np.zeros((count, 2), np.float32)
        self.ready: NDArray[np.bool_] = np.zeros(count, np.bool_)
        self.predictions = Predictions(self._step, count, state=2, inputs=2, dt=1 / tick_hz, remembered=REMEMBERED,
                                       tolerance=ROUNDED, bits=31)
        self.bound = 0.0
        self._until: NDArray[np.int64] = np.zeros(count, np.int64)
        self._rng = np.random.default_rng(seed)
        self._tick_hz = tick_hz

    @property
    def position(self) -> Floats:
        """(count, 2), where each thinks it is."""
        return self.predictions.states

    @property
    def number(self) -> NDArray[np.int64]:
        """How many inputs each has made."""
        return self.predictions.newest

    @property
    def corrected(self) -> int:
        """How often a prediction was wrong."""
        return int(self.predictions.corrections.sum())

    def _step(self, places: Floats, directions: Floats, _dt: float) -> Floats:
        """One tick of walking, by the rules of the server."""
        after = places.copy()
        if len(places):                             # else nobody may know yet how large the world is
            self._movers.simulate(after, np.zeros(places.shape, np.float32), directions,
                                  scale=SPEEDS[zone_of(places, self.bound)])
        return after

    def place(self, bots: NDArray[np.intp], positions: NDArray[np.floating], bound: float) -> None:
        """These bots begin at `positions`, in a world of half edge `bound`."""
        self.predictions.place(bots, positions)
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
        return self.predictions.plan(bots, self.direction[bots])

    def commit(self, bots: NDArray[np.intp], moved: Floats) -> None:
        """The inputs of these bots are on their way: they stand where `plan` said."""
        self.predictions.predict(bots, self.direction[bots], moved)

    def correct(self, bots: NDArray[np.intp], numbers: NDArray[np.int64], positions: NDArray[np.floating]) -> None:
        """The server had these bots at `positions` after the inputs `numbers`: they walk again from there."""
        self.predictions.correct(bots, numbers, positions)

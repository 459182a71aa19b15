"""Prediction and reconciliation: one's own avatar moves at once, and agrees with the server in the end.

    walk = Prediction(step, state=(0.0, 0.0), inputs=2, dt=1 / 60)     # step: the function that the server calls too
    number = walk.predict(direction)                # each frame: applied at once, kept until the server has it
    client.send(Move(direction=direction))
    walk.correct(position, number)                  # the server's state after that input: what is newer is replayed
    draw(walk.show(seconds))                        # what was wrong fades away in a tenth of a second

`Predictions` does so for many avatars in columns, for bots by the thousand.
"""
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland.errors import ConfigError, UsageError

__all__ = ["Prediction", "Predictions", "Step"]

Floats = NDArray[np.float64]
Step = Callable[[Any, Any, float], ArrayLike]
"""(states (n, lanes), inputs (n, lanes), seconds) → states after that one input each: pure, the same on both sides."""

FADED: Final = 3.0                  # time constants until 5 % of an error is left
MOST_REMEMBERED: Final = 1 << 14


class Predictions:
    """`count` avatars, each predicted by its own inputs: rows of columns, numbered from 0.

    step         the game's movement, as the server calls it: (states (n, state), inputs (n, inputs), dt) → states.
    state        numbers in a state; inputs: numbers in an input; both are kept as float64.
    dt           seconds that one input lasts.
    remembered   inputs of an avatar that are kept at most; the oldest gives way.
    tolerance    what a state may be off by and is no correction: one number, or one for each of the state's. What
                 travels is rounded: half its step, for a state that is read from a snapshot.
    smooth       which numbers of the state the eye sees; what is wrong in them fades, in all others it is gone at once.
    angles       which numbers of the state are angles in radians.
    smooth_ms    time in which 95 % of a visible error is gone. snap: beyond this distance it is gone at once.
    bits         width of the numbers of inputs in what the server sends; they wrap.

    An avatar's inputs count from 1, as a session's do: predict once for each input message that is sent. `states` are
    where the avatars are; `newest` and `settled` the numbers of the last input that was made, and of the last that the
    server is known to have consumed. Counted per avatar: `corrections`, `snaps`, `stale` (states that came late or
    twice), `refused` (with the number of an input that was not made, or not finite), `overrun` (older than all that
    is kept).

    ConfigError for what cannot be. All memory is there from the start: count × remembered × (state + inputs) × 8 bytes.
    """

    def __init__(self, step: Step, count: int, *, state: int, inputs: int, dt: float, remembered: int = 128,
                 tolerance: ArrayLike = 0.0, smooth: Sequence[int] | None = None, angles: Sequence[int] = (),
                 smooth_ms: float = 100.0, snap: float = 2.0, bits: int = 32) -> None:
        limits: dict[str, tuple[float, float, float]] = {
            "count": (count, 1, 1 << 24), "state": (state, 1, 1024), "inputs": (inputs, 1, 1024),
            "remembered": (remembered, 2, MOST_REMEMBERED), "bits": (bits, 8, 62), "dt": (dt, 1e-6, 10.0),
            "smooth_ms": (smooth_ms, 0.0, 10_000.0), "snap": (snap, 0.0, 1e300),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:                # so that NaN is refused too
                raise ConfigError(f"Predictions: {name} is {value}; it must be {low:,} to {high:,}")
        if wrong := [lane for lane in (*(smooth or ()), *angles) if not 0 <= lane < state]:
            raise ConfigError(f"Predictions: a state has no number {wrong[0]}; they are 0 to {state - 1}")
        try:
            self._tolerance: Floats = np.broadcast_to(np.asarray(tolerance, np.float64), (state,))
        except ValueError:
            raise ConfigError(f"Predictions: tolerance is one number, or {state}") from None
        if not (self._tolerance >= 0).all():
            raise ConfigError("Predictions: a tolerance is at least 0")
        self.count, self.dt = count, dt
        self.states: Floats = np.zeros((count, state))
        self.newest: NDArray[np.int64] = np.zeros(count, np.int64)
        self.settled: NDArray[np.int64] = np.zeros(count, np.int64)
        self.corrections: NDArray[np.int64] = np.zeros(count, np.int64)
        self.snaps: NDArray[np.int64] = np.zeros(count, np.int64)
        self.stale: NDArray[np.int64] = np.zeros(count, np.int64)
        self.refused: NDArray[np.int64] = np.zeros(count, np.int64)
        self.overrun: NDArray[np.int64] = np.zeros(count, np.int64)
        self._step, self._size, self._half = step, remembered, 1 << bits - 1
        self._fade_s, self._snap = smooth_ms / 1000 / FADED, snap
        self._smooth = np.arange(state) if smooth is None else np.array(sorted(set(smooth)), np.intp)
        self._angles = np.array(sorted(set(angles)), np.intp)
        self._errors: Floats = np.zeros((count, state))
        self._inputs: Floats = np.zeros((remembered, count, inputs))
        self._after: Floats = np.zeros((remembered, count, state))     # states after each input, as predicted
        self._ticks: NDArray[np.int64] = np.full(count, -1, np.int64)
        self._order: NDArray[np.intp] = np.zeros(count, np.intp)

    @property
    def pending(self) -> NDArray[np.int64]:
        """How many inputs of each avatar the server is not known to have consumed."""
        return self.newest - self.settled

    def _rows(self, rows: ArrayLike, values: ArrayLike, lanes: int, what: str) -> tuple[NDArray[np.intp], Floats]:
        """Rows and their values, checked: each row once, (n, lanes)."""
        chosen = np.atleast_1d(np.asarray(rows, np.intp))
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < self.count:
            raise UsageError(f"there are avatars 0 to {self.count - 1}")
        try:
            matrix = np.broadcast_to(np.asarray(values, np.float64), (len(chosen), lanes))
        except ValueError:
            raise UsageError(f"{what} of {len(chosen)} avatars must have shape ({len(chosen)}, {lanes})") from None
        return chosen, matrix

    def place(self, rows: ArrayLike, states: ArrayLike, numbers: ArrayLike | None = None) -> None:
        """These avatars are at `states` now (spawned, teleported): nothing fades, no input is replayed.

        numbers: of their last inputs; by default they go on counting.
        """
        chosen, matrix = self._rows(rows, states, self.states.shape[1], "states")
        if numbers is not None:
            self.newest[chosen] = np.asarray(numbers, np.int64)
            self._ticks[chosen] = -1
        self.states[chosen], self._errors[chosen] = matrix, 0.0
        self.settled[chosen] = self.newest[chosen]
        self._after[self.newest[chosen] % self._size, chosen] = matrix

    def _stepped(self, states: Floats, inputs: Floats) -> Floats:
        after = np.asarray(self._step(states, inputs, self.dt), np.float64)
        if after.shape != states.shape:
            raise UsageError(f"step was given states of shape {states.shape} and returned {after.shape}")
        return after

    def plan(self, rows: ArrayLike, inputs: ArrayLike) -> Floats:
        """Where one input each would lead these avatars; nothing changes."""
        chosen, matrix = self._rows(rows, inputs, self._inputs.shape[2], "inputs")
        return self._stepped(self.states[chosen], matrix)

    def predict(self, rows: ArrayLike, inputs: ArrayLike, states: ArrayLike | None = None) -> NDArray[np.int64]:
        """One input for each of these avatars (none twice), applied at once; returns their numbers.

        states: where it leads, if `plan` has said so already.
        """
        chosen, matrix = self._rows(rows, inputs, self._inputs.shape[2], "inputs")
        every = np.arange(len(chosen))
        self._order[chosen] = every
        if (self._order[chosen] != every).any():
            raise UsageError("an avatar stands twice in one call of predict; call it once for each input")
        if states is None:
            after = self._stepped(self.states[chosen], matrix)
        else:
            _, after = self._rows(chosen, states, self.states.shape[1], "states")
        numbers = self.newest[chosen] + 1
        self.newest[chosen] = numbers
        at = numbers % self._size
        self._inputs[at, chosen], self._after[at, chosen], self.states[chosen] = matrix, after, after
        return numbers

    # What the server says -------------------------------------------------------------------------------------------

    def correct(self, rows: ArrayLike, numbers: ArrayLike, states: ArrayLike,
                ticks: ArrayLike | None = None) -> NDArray[np.bool_]:
        """The server had these avatars at `states` when `numbers` were the last inputs it had consumed.

        Inputs up to there are settled; where the prediction was wrong, the others are replayed from the server's state.
        What is older than the last that was taken, or as old, is left out; with `ticks` of the server a state counts as
        newer also where no input was consumed since (it was pushed). An avatar may stand twice: its newest counts.

        Returns which were wrong.
        """
        chosen, matrix = self._rows(rows, states, self.states.shape[1], "states")
        wire = np.broadcast_to(np.asarray(numbers), chosen.shape).astype(np.int64)
        when = None if ticks is None else np.broadcast_to(np.asarray(ticks), chosen.shape).astype(np.int64)
        newest = self.newest[chosen]
        ahead = (wire - newest + self._half & 2 * self._half - 1) - self._half
        fine = (ahead <= 0) & np.isfinite(matrix).all(axis=1)
        np.add.at(self.refused, chosen[~fine], 1)
        at = newest + ahead
        taken = self._newest_of_each(chosen, at, when, fine)
        np.add.at(self.stale, chosen[fine & ~taken], 1)
        index = np.flatnonzero(taken)
        rows_, at_, truth = chosen[index], at[index], matrix[index]
        if when is not None:
            self._ticks[rows_] = when[index]
        self.settled[rows_] = at_
        kept = self.newest[rows_] - at_ < self._size
        self.overrun[rows_[~kept]] += 1
        off = np.abs(self._apart(truth, self._after[at_ % self._size, rows_]))
        wrong = ~kept | (off > self._tolerance).any(axis=1)
        self._replay(rows_[wrong], at_[wrong], truth[wrong])
        result = np.zeros(len(chosen), np.bool_)
        result[index[wrong]] = True
        return result

    def _newest_of_each(self, rows: NDArray[np.intp], at: NDArray[np.int64], ticks: NDArray[np.int64] | None,
                        fine: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of these states are newer than the last that was taken of their avatar, only the newest of each."""
        settled = self.settled[rows]
        newer = at > settled if ticks is None else (at >= settled) & (ticks > self._ticks[rows])
        index = np.flatnonzero(fine & newer)
        index = index[np.argsort(at[index] if ticks is None else ticks[index], kind="stable")]
        self._order[rows[index]] = index                # of indices that repeat, the last stays
        last = np.zeros(len(rows), np.bool_)
        last[index] = self._order[rows[index]] == index
        return last

    def _apart(self, there: Floats, here: Floats) -> Floats:
        """there - here, angles the short way round."""
        apart: Floats = there - here
        if len(self._angles):
            turn = apart[:, self._angles]
            apart[:, self._angles] = np.arctan2(np.sin(turn), np.cos(turn))
        return apart

    def _replay(self, rows: NDArray[np.intp], at: NDArray[np.int64], truth: Floats) -> None:
        if len(rows) == 0:
            return
        shown = self.states[rows] + self._errors[rows]
        newest = self.newest[rows]
        number = np.maximum(at, newest - self._size)    # what is no longer kept cannot be replayed
        state = truth.copy()
        self._after[number % self._size, rows] = state
        while True:
            left = np.flatnonzero(number < newest)
            if len(left) == 0:
                break
            number[left] += 1
            place, who = number[left] % self._size, rows[left]
            state[left] = self._stepped(state[left], self._inputs[place, who])
            self._after[place, who] = state[left]
        self.states[rows] = state
        self.corrections[rows] += 1
        error = np.zeros_like(state)
        error[:, self._smooth] = self._apart(shown, state)[:, self._smooth]
        far = np.square(error).sum(axis=1) > self._snap**2
        error[far] = 0.0
        self.snaps[rows[far]] += 1
        self._errors[rows] = error

    # What the eye sees ----------------------------------------------------------------------------------------------

    @property
    def errors(self) -> Floats:
        """What is still visible of corrections: shown states minus `states`, as of the last `show`."""
        return self._errors

    def show(self, seconds: float) -> Floats:
        """Once a frame, `seconds` after the last: states as they are to be drawn, errors faded. A copy."""
        if not seconds >= 0:
            raise UsageError(f"{seconds} seconds since the last frame; time does not go back")
        self._errors *= np.exp(-seconds / self._fade_s) if self._fade_s > 0 else 0.0
        shown: Floats = self.states + self._errors
        return shown


class Prediction:
    """One avatar that begins at `state`; all else as `Predictions`. `step` gets and gives arrays of one row."""

    def __init__(self, step: Step, state: ArrayLike, *, inputs: int, dt: float, remembered: int = 128,
                 tolerance: ArrayLike = 0.0, smooth: Sequence[int] | None = None, angles: Sequence[int] = (),
                 smooth_ms: float = 100.0, snap: float = 2.0, bits: int = 32) -> None:
        begin = np.atleast_1d(np.asarray(state, np.float64))
        self._all = Predictions(step, 1, state=len(begin), inputs=inputs, dt=dt, remembered=remembered,
                                tolerance=tolerance, smooth=smooth, angles=angles, smooth_ms=smooth_ms, snap=snap,
                                bits=bits)
        self._all.place(0, begin)

    def place(self, state: ArrayLike) -> None:
        """The avatar is at `state` now: spawned, teleported."""
        self._all.place(0, state)

    def predict(self, given: ArrayLike) -> int:
        """Apply one input at once; returns its number."""
        return int(self._all.predict(0, given)[0])

    def correct(self, state: ArrayLike, number: int, tick: int | None = None) -> bool:
        """The server had the avatar at `state` when input `number` was the last it had consumed, at its `tick`.

        Whether the prediction was wrong. What comes late, twice or out of order changes nothing.
        """
        return bool(self._all.correct(0, number, state, tick)[0])

    def show(self, seconds: float) -> Floats:
        """Once a frame, `seconds` after the last: the state as it is to be drawn."""
        shown: Floats = self._all.show(seconds)[0]
        return shown

    @property
    def state(self) -> Floats:
        """Where the avatar is, as far as is known here; a copy."""
        state: Floats = self._all.states[0].copy()
        return state

    @property
    def pending(self) -> int:
        """Inputs that the server is not known to have consumed."""
        return int(self._all.pending[0])

    @property
    def counters(self) -> dict[str, int]:
        """corrections, snaps, stale, refused, overrun: see Predictions."""
        names = ("corrections", "snaps", "stale", "refused", "overrun")
        return {name: int(getattr(self._all, name)[0]) for name in names}

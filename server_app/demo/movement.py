"""Movement by the server's authority: every input is one tick of walking, and the server alone says where it leads.

Pure functions over columns, and one class for what is kept per session. A player cannot be faster than one input a tick
by the server's clock: inputs have a budget that refills by the time at which the server received them. What a client
claims about its position only decides whether it is told the true one.
"""
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server_app.demo.schema import VELOCITY_STEP

Floats = NDArray[np.float64]

WALK_SPEED: Final = 5.0             # metres a second at a direction of length 1
CLAIM_TOLERANCE: Final = 0.5        # metres between claim and truth before the client is corrected
BUDGET_S: Final = 0.5               # seconds of inputs that a session can have saved up
BUDGET_SLACK: Final = 1.02          # the client's clock may run that much faster than ours
CORRECTION_GAP_US: Final = 250_000  # between two corrections of one session: about when the first has had its effect


def velocity_of(directions: NDArray[np.floating]) -> Floats:
    """Velocities (n, 2) of directions (n, 2), whole steps of what travels: so prediction from the wire is exact."""
    stepped: Floats = np.floor(directions.astype(np.float64) * (WALK_SPEED / VELOCITY_STEP) + 0.5)
    return stepped * VELOCITY_STEP


def simulate(positions: Floats, directions: NDArray[np.floating], dt: float, bound: float) -> tuple[Floats, Floats]:
    """One tick of walking: new positions and velocities, each (n, 2).

    Server and client call exactly this, so that they agree to the last bit. A direction that is not finite or longer
    than 1 (by more than its quantum) stands still; nobody leaves the square of half edge `bound`.
    """
    lengths2 = np.square(directions, dtype=np.float64).sum(axis=1)
    fine = lengths2 <= 1.02                         # False for NaN
    wanted = np.where(fine[:, None], directions, 0.0)
    velocities = velocity_of(wanted)
    return np.clip(positions + velocities * dt, -bound, bound), velocities


def rounds(slots: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Indices of inputs, in groups in which no session stands twice: the first input of each, the second, ..."""
    if len(slots) == 0:
        return []
    if np.bincount(slots).max() == 1:               # nearly always
        return [np.arange(len(slots))]
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    rank = np.arange(len(slots)) - np.repeat(starts, np.diff(np.append(starts, len(slots))))
    return [order[rank == turn] for turn in range(int(rank.max()) + 1)]


class Budget:
    """How many inputs each session may still have simulated, by the server's receive time.

    capacity   sessions; tick_hz: inputs a second that are fair.
    """

    def __init__(self, capacity: int, tick_hz: int) -> None:
        self.per_us = tick_hz * BUDGET_SLACK / 1e6
        self.most = max(2.0, tick_hz * BUDGET_S)
        self.tokens: Floats = np.full(capacity, self.most)
        self.seen_us: NDArray[np.uint64] = np.zeros(capacity, np.uint64)

    def reset(self, slot: int, now_us: int) -> None:
        """A new session has the slot."""
        self.tokens[slot] = self.most
        self.seen_us[slot] = now_us

    def take(self, slots: NDArray[np.intp], times_us: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these inputs (no slot twice, received at `times_us`) are within budget; they are paid for."""
        times = np.maximum(times_us, self.seen_us[slots])       # an older datagram refills nothing
        gained = (times - self.seen_us[slots]) * self.per_us
        tokens = np.minimum(self.tokens[slots] + gained, self.most)
        fine: NDArray[np.bool_] = tokens >= 1.0
        self.tokens[slots] = tokens - fine
        self.seen_us[slots] = times
        return fine


class Authority:
    """Takes the inputs of a tick and says which positions are true and who must be told.

    inputs, refused, corrections   counted since the start: simulated, beyond the budget, claims answered.
    """

    def __init__(self, capacity: int, tick_hz: int, bound: float) -> None:
        self.budget = Budget(capacity, tick_hz)
        self.dt = 1.0 / tick_hz
        self.bound = bound
        self.inputs = self.refused = self.corrections = 0
        self._corrected_us: NDArray[np.int64] = np.full(capacity, -CORRECTION_GAP_US, np.int64)
        self._last: NDArray[np.intp] = np.zeros(capacity, np.intp)

    def reset(self, slot: int, now_us: int) -> None:
        """A new session has the slot."""
        self.budget.reset(slot, now_us)
        self._corrected_us[slot] = now_us - CORRECTION_GAP_US

    def apply(self, position: Floats, velocity: NDArray[np.floating], *, rows: NDArray[np.intp],
              slots: NDArray[np.intp], directions: NDArray[np.floating],
              times_us: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Simulate the inputs in the order in which they stand, writing rows of `position` and `velocity` (x and y).

        Returns which were simulated. Each input counts once; those beyond the budget change nothing.
        """
        done = np.zeros(len(slots), np.bool_)
        for group in rounds(slots):
            fine = self.budget.take(slots[group], times_us[group])
            group = group[fine]
            where = rows[group]
            moved, speeds = simulate(position[where, :2], directions[group], self.dt, self.bound)
            position[where, :2] = moved
            velocity[where, :2] = speeds
            done[group] = True
        self.inputs += int(np.count_nonzero(done))
        self.refused += int(np.count_nonzero(~done))
        return done

    def wrong(self, position: Floats, claims: NDArray[np.floating], *, rows: NDArray[np.intp],
              slots: NDArray[np.intp], now_us: int) -> NDArray[np.intp]:
        """Indices of the inputs whose session is to be corrected: the last of each session, if its claim is too far
        from the truth (or no number at all) and its last correction is long enough ago."""
        apart = claims - position[rows, :2]
        far = np.flatnonzero(~(np.einsum("ij,ij->i", apart, apart) <= CLAIM_TOLERANCE**2))     # NaN is far too
        if len(far) == 0:
            return far
        every = np.arange(len(slots))
        self._last[slots] = every                   # of indices that repeat, the last stays
        due = now_us - self._corrected_us[slots[far]] >= CORRECTION_GAP_US
        chosen: NDArray[np.intp] = far[(self._last[slots[far]] == far) & due]
        self._corrected_us[slots[chosen]] = now_us
        self.corrections += len(chosen)
        return chosen

"""Prediction as docs/prediction.md says it, for one avatar: dictionaries, and everything is replayed every time."""
from collections.abc import Callable
from dataclasses import dataclass, field

State = tuple[float, ...]


@dataclass
class Prediction:
    step: Callable[[State, State], State]
    begin: State
    remembered: int
    bits: int
    tolerance: float = 0.0
    inputs: dict[int, State] = field(default_factory=dict)
    after: dict[int, State] = field(default_factory=dict)      # what was thought to be the state after each input
    newest: int = 0
    settled: int = 0
    tick: int = -1
    state: State = ()
    corrections: int = 0
    stale: int = 0
    refused: int = 0
    overrun: int = 0

    def __post_init__(self) -> None:
        self.state = self.after[0] = self.begin

    def predict(self, given: State) -> None:
        self.newest += 1
        self.inputs[self.newest] = given
        self.state = self.after[self.newest] = self.step(self.state, given)

    def correct(self, wire: int, state: State, tick: int | None) -> bool:
        """`wire`: the number's lowest bits. The number meant is the one nearest to the newest made."""
        span = 1 << self.bits
        number = min((n for n in range(self.newest - span, self.newest + span) if n % span == wire % span),
                     key=lambda n: (abs(n - self.newest), n))
        if number > self.newest:
            self.refused += 1
            return False
        late = number <= self.settled if tick is None else number < self.settled or tick <= self.tick
        if late:
            self.stale += 1
            return False
        self.tick = self.tick if tick is None else tick
        self.settled = number
        if self.newest - number >= self.remembered:
            self.overrun += 1
        elif all(abs(a - b) <= self.tolerance for a, b in zip(state, self.after[number], strict=True)):
            return False
        self.corrections += 1
        first = max(number, self.newest - self.remembered)
        self.state = self.after[first] = state
        for again in range(first + 1, self.newest + 1):
            self.state = self.after[again] = self.step(self.state, self.inputs[again])
        return True

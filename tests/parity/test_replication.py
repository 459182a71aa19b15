"""Invariant: the compiled world and view do, byte for byte, what the reference does, whatever is lost on the way."""
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland._core.base.records import SNAPSHOT_ACKED, SNAPSHOT_LOST
from shadowland._core.world.view import Views
from tests.parity.worlds import KINDS, Both, kind_table
from tests.reference.replication import OK, View


class Run:
    """A world with walkers and stones, three observers, and datagrams that are lost, late, doubled and out of order."""

    def __init__(self, seed: int, seats: int = 6, history: int = 16, max_payload: int = 1100) -> None:
        self.random = np.random.default_rng(seed)
        self.both = Both(seats=seats, max_payload=max_payload)
        self.views = Views(kind_table(), 3, seats, history)
        self.references = [View(KINDS, seats, history) for _ in range(3)]
        self.flying: list[tuple[int, int, int, bytes]] = []     # arrival, observer, token, payload
        self.generation = 0
        for observer in range(3):
            self.join(observer)

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def walker(self) -> list[float]:
        place, velocity = self.random.uniform(-25, 25, 3), np.zeros(3)
        place[2] = 0
        if self.chance(0.7):
            velocity[:2] = self.random.uniform(-5, 5, 2)
        return [*place, *velocity, float(self.random.uniform(-4, 4)), 50.0, 7.0]

    def stone(self) -> list[float]:
        return [*self.random.uniform(-25, 25, 2), float(self.random.integers(1, 10))]

    def join(self, observer: int) -> None:
        self.generation += 1
        self.both.join(observer, self.generation)
        self.views.reset(observer)
        self.references[observer] = View(KINDS, self.references[observer].seat_count, self.references[observer].depth)
        self.flying = [entry for entry in self.flying if entry[1] != observer]
        self.both.watch(observer, self.both.spawn(0, self.walker(), observer))

    def rejoin(self, observer: int) -> None:
        if self.both.avatars[observer] in self.both.values:
            self.both.despawn(self.both.avatars[observer])
        self.both.leave(observer)
        self.join(observer)

    def change_world(self) -> None:
        both = self.both
        if len(both.values) < 20 and self.chance(0.3):
            kind = int(self.chance(0.4))
            both.spawn(kind, self.stone() if kind else self.walker())
        for handle in list(both.values):
            values = both.values[handle]
            if handle not in both.avatars and self.chance(0.01):
                both.despawn(handle)
                continue
            if both.world.kind_of(handle):
                if self.chance(0.02):
                    values[:] = self.stone()
                continue
            values[:3] = [p + v / 30 for p, v in zip(values[:3], values[3:6], strict=True)]
            for i in range(2):          # turn round at the borders, so that they keep meeting
                if abs(values[i]) > 25:
                    values[3 + i] = -abs(values[3 + i]) if values[i] > 0 else abs(values[3 + i])
            self.change_walker(values)

    def change_walker(self, values: list[float]) -> None:
        if self.chance(0.03):
            values[3:5] = [0, 0] if self.chance(0.4) else list(self.random.uniform(-5, 5, 2))
        if self.chance(0.05):
            values[6] += float(self.random.uniform(-1, 1))
        if self.chance(0.1):
            values[7] = float(self.random.integers(-20, 120))
        if self.chance(0.05):
            values[8] = float(self.random.integers(-2**31, 2**31))
        if self.chance(0.01):
            values[int(self.random.integers(0, 9))] = float("nan")
        if self.chance(0.01):
            values[:] = self.walker()   # a jump, and no NaN any more

    def deliver(self, loss: float) -> None:
        both = self.both
        due = [entry for entry in self.flying if entry[0] <= both.tick]
        self.flying = [entry for entry in self.flying if entry[0] > both.tick]
        for _, observer, token, payload in due:
            if self.chance(loss):
                both.event(observer, SNAPSHOT_LOST, token)
                continue
            for _ in range(1 + self.chance(0.1)):
                status = self.views.apply(payload, observer, both.tick)
                assert status == self.references[observer].apply(payload, both.tick)
            if status == OK and not self.chance(loss / 2):      # an acknowledgment may be lost for good
                both.event(observer, SNAPSHOT_ACKED, token)
            else:
                both.event(observer, SNAPSHOT_LOST, token)

    def step(self, loss: float, delay: int, budget: int, quiet: bool = False) -> None:
        if not quiet:
            self.change_world()
            if self.chance(0.005):
                self.rejoin(int(self.random.integers(0, 3)))
        self.both.publish()
        budgets = {o: int(self.random.choice([0, budget, budget])) if not quiet else 4000 for o in range(3)}
        for observer, payloads in self.both.replicate(budgets).items():
            for token, payload in payloads:
                arrival = self.both.tick + int(self.random.integers(0, delay + 1))
                self.flying.append((arrival, observer, token, payload))
        self.deliver(loss)
        self.compare_views()

    def compare_views(self) -> None:
        for observer, reference in enumerate(self.references):
            assert self.seen(observer) == reference.entities()
            assert self.views.tick(observer) == reference.tick

    def seen(self, observer: int) -> dict[tuple[int, int], tuple[int, tuple[int, ...], bool]]:
        out = {}
        for entity in self.views.known(observer):
            handle, kind = int(entity["handle"]), int(entity["kind"])
            state = self.views.states(np.array([entity["seat"]]), kind, observer)[0]
            out[handle & 0xFFFFFFFF, handle >> 32] = (kind, tuple(int(q) for q in state), bool(entity["mine"]))
        return out


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.05, 0.4]), delay=st.sampled_from([0, 3, 12]),
       budget=st.sampled_from([40, 200, 3000]), seats=st.sampled_from([3, 6, 40]), payload=st.sampled_from([128, 1100]))
def test_compiled_world_and_views_follow_the_reference(
        seed: int, loss: float, delay: int, budget: int, seats: int, payload: int) -> None:
    run = Run(seed, seats, max_payload=payload)
    for _ in range(200):
        run.step(loss, delay, budget)

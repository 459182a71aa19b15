"""Invariant: a bot stands exactly where the server has it, unless they disagreed; once corrected, it does again."""
import numpy as np

from server_app.demo.movement import walkers as movers_of
from server_app.demo.walkers import UNIT, Walkers
from server_app.demo.zones import SPEEDS, Zone, zone_of

HZ = 30
BOUND = 60.0
COUNT = 40


class Server:
    """What the server does with inputs, in its own columns."""

    def __init__(self, start: np.ndarray) -> None:
        self.position = np.zeros((COUNT, 3))
        self.position[:, :2] = start
        self.velocity = np.zeros((COUNT, 3), np.float32)
        self.authority = movers_of(COUNT, HZ, BOUND)
        for slot in range(COUNT):
            self.authority.reset(slot, 0)

    def take(self, walkers: Walkers, tick: int) -> None:
        every = np.arange(COUNT)
        self.authority.scale[:] = SPEEDS[zone_of(self.position[:, :2], BOUND)]
        times = np.full(COUNT, tick * 1_000_000 // HZ, np.uint64)
        self.authority.steer(self.position, self.velocity, rows=every, slots=every, directions=walkers.direction,
                             times_us=times)


def walk(walkers: Walkers) -> None:
    every = np.arange(COUNT)
    walkers.commit(every, walkers.plan(every))


def started() -> tuple[Walkers, Server]:
    walkers = Walkers(COUNT, HZ, seed=3)
    start = np.random.default_rng(5).uniform(-BOUND, BOUND, (COUNT, 2))
    walkers.place(np.arange(COUNT), start, BOUND)
    return walkers, Server(start)


def test_a_bot_and_the_server_agree_to_the_last_bit() -> None:
    walkers, server = started()
    swamped = 0
    for tick in range(30 * HZ):
        walkers.think(tick)
        walk(walkers)
        server.take(walkers, tick)
        assert (walkers.position == server.position[:, :2]).all()
        assert np.abs(walkers.position).max() <= BOUND
        swamped += int(np.count_nonzero(zone_of(walkers.position, BOUND) == Zone.SWAMP))
    assert swamped > 100                                        # the swamp is slow on both sides
    assert server.authority.hurried == 0


def test_a_correction_puts_a_bot_where_the_server_has_it_although_it_walked_on() -> None:
    walkers, server = started()
    server.position[7, 0] -= 3.0                                # they disagree
    for tick in range(2 * HZ):
        walkers.think(tick)
        walk(walkers)
        server.take(walkers, tick)
        if tick == HZ:
            told = walkers.number[[7]].copy(), server.position[[7], :2].copy()
        if tick == HZ + 5:                                      # on its way for five ticks
            walkers.correct(np.array([7]), *told)
    assert abs(walkers.position - server.position[:, :2]).max() < 1e-9
    assert walkers.corrected == 1


def test_two_corrections_of_one_disagreement_move_a_bot_once() -> None:
    walkers, server = started()
    told = []
    server.position[7, 0] -= 3.0
    for tick in range(10):
        walkers.think(tick)
        walk(walkers)
        server.take(walkers, tick)
        if tick in (3, 5):                                      # both are on their way before the first arrives
            told.append((walkers.number[[7]].copy(), server.position[[7], :2].copy()))
    for number, position in told:
        walkers.correct(np.array([7]), number, position)
    assert abs(walkers.position - server.position[:, :2]).max() < 1e-9


def test_a_correction_for_an_input_that_never_was_changes_nothing() -> None:
    walkers, _ = started()
    before = walkers.position.copy()
    walkers.correct(np.array([1, 2]), np.array([5, 10**6]), np.full((2, 2), 3.0))
    assert (walkers.position == before).all()


def test_directions_are_whole_steps_of_length_at_most_one() -> None:
    walkers, _ = started()
    for tick in range(0, 60 * HZ, HZ):
        walkers.think(tick)
        steps = walkers.direction.astype(np.float64) * UNIT
        assert np.abs(steps - np.round(steps)).max() < 1e-4
        assert (np.square(np.round(steps)).sum(axis=1) <= UNIT**2).all()


def test_they_walk_for_seconds_then_turn_and_some_stand() -> None:
    walkers, _ = started()
    turns = standing = 0
    before = walkers.direction.copy()
    for tick in range(60 * HZ):
        walkers.think(tick)
        walk(walkers)
        turns += int(np.count_nonzero((walkers.direction != before).any(axis=1)))
        standing += int(np.count_nonzero(~walkers.direction.any(axis=1)))
        before = walkers.direction.copy()
    assert 2.5 < 60 * COUNT / turns < 4.5                       # seconds
    assert 0.1 < standing / (60 * HZ * COUNT) < 0.4             # fewer near the edges, where all turn back

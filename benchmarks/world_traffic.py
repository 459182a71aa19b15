"""A scene, the world it happens in, some observers of it, and what they see held against what was published."""
from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.world_bytes import Ledger
from benchmarks.world_path import Path, joined
from benchmarks.world_scenes import RADIUS, SCENES, edge_for
from shadowland._core.base.records import SNAPSHOT_ACKED
from shadowland._core.world.view import Views
from shadowland.world import Grid, World
from tests.reference.world_records import ANGLE, FLAGS, State

MOST_ERROR = 1 << 16                    # steps; what is off by more counts as this
SLOT = np.uint64(0xFFFFFFFF)


class Errors:
    """How far views were from what was published: for each field a histogram in steps, of the largest lane."""

    def __init__(self) -> None:
        self.held: dict[tuple[int, int], NDArray[np.int64]] = {}    # of what is told at once and had arrived
        self.any: dict[tuple[int, int], NDArray[np.int64]] = {}     # of all
        self.wrong: Counter[tuple[int, int]] = Counter()            # beyond what docs/replication.md 4 allows
        self.resting: Counter[tuple[int, int]] = Counter()          # the largest, of what rests

    def add(self, at: tuple[int, int], off: NDArray[np.int64], allowed: NDArray[np.int64],
            held: NDArray[np.bool_]) -> None:
        """`off`, `allowed`: rows x lanes, in steps."""
        worst = np.minimum(off.max(axis=1), MOST_ERROR - 1)
        for where, rows in ((self.held, worst[held]), (self.any, worst)):
            counts = np.bincount(rows, minlength=1)
            so_far = where.setdefault(at, np.zeros(0, np.int64))
            grown = np.zeros(max(len(counts), len(so_far)), np.int64)
            grown[:len(so_far)] += so_far
            grown[:len(counts)] += counts
            where[at] = grown
        self.wrong[at] += int((off > allowed)[held].any(axis=1).sum())
        still = off[held][allowed[held] == 0]
        self.resting[at] = max(self.resting[at], int(still.max(initial=0)))


def quantile(counts: NDArray[np.int64], share: float) -> int:
    """The error that `share` of the counted do not exceed."""
    return int(np.searchsorted(np.cumsum(counts), share * counts.sum())) if counts.sum() else 0


class Traffic:
    """One scene with its observers, ticking. Everything that happens follows from `seed`."""

    def __init__(self, scene: str, people: int, observers: int, visible: float, hz: int, delay_ms: float, loss: float,
                 seed: int, far: float = Grid.far) -> None:
        self.scene = SCENES[scene](people, edge_for(people, visible), hz, seed)
        self.grid = Grid(cell=RADIUS / 2, radius=RADIUS, far=far)
        self.world = World(self.scene.schema, tick_hz=hz, aoi=self.grid, capacity=4 * people, observers=observers)
        self.observers = np.arange(observers, dtype=np.uint32)
        self.views = Views(self.world.table, observers)
        self.path = Path(hz, delay_ms, loss, np.random.default_rng(seed + 1_000_000))
        self.layouts = [self.world.layouts[cls] for cls in self.scene.schema.entities.values()]
        self.ledger = Ledger(self.layouts, hz)
        self.errors = Errors()
        self.tick = self.visible = self.snapshots = self.whole_bytes = 0
        self.world.events(joined(observers))
        for observer, avatar in enumerate(self.scene.spawn(self.world, observers)[:observers]):
            self.world.set_avatar(observer, avatar)

    def clear(self) -> None:
        """Count anew."""
        self.ledger.clear()
        self.errors = Errors()
        self.visible = self.snapshots = self.whole_bytes = 0

    def step(self) -> None:
        self.tick += 1
        for events in self.path.due(self.tick):
            self.world.events(events)
            for event in events:
                told = self.ledger.acked if event["kind"] == SNAPSHOT_ACKED else self.ledger.lost
                told(int(event["connection"]) & 0xFFFFFFFF, int(event["token"]))
        if self.tick > 1:
            self.scene.step(self.tick)
        self.world.publish(self.tick)
        before = self.world.core.stats["visible"]
        records, arena = self.world.replicate(self.observers)
        self.visible += self.world.core.stats["visible"] - before - len(self.observers)     # oneself is no news
        self.snapshots += len(self.observers)
        arrives = self.path.send(records, self.tick)
        truth = {handle & 0xFFFFFFFF: (handle >> 32, self.world.core.kind_of(handle), self.published(handle))
                 for handle in self.world}
        payloads = arena.tobytes()
        for record, arrived in zip(records, arrives.tolist(), strict=True):
            start = int(record["offset"])
            self.ledger.sent(int(record["connection"]) & 0xFFFFFFFF, int(record["number"]),
                             payloads[start:start + int(record["length"])], self.tick, arrived, truth)
        taken = np.ascontiguousarray(records[arrives])
        assert self.views.apply_records(taken, arena, (taken["connection"] & SLOT).astype(np.int32)) == len(taken)
        self.look(truth)

    def published(self, handle: int) -> State:
        state = self.world.core.published(handle)
        assert state is not None
        return tuple(state)

    def look(self, truth: dict[int, tuple[int, int, State]]) -> None:
        """Hold all views that are of this tick against what was published."""
        matrix = np.zeros((self.world.capacity, self.world.table.stride), np.int64)
        slots = np.fromiter(truth, np.intp, len(truth))
        for kind, layout in enumerate(self.layouts):
            rows = [(slot, state) for slot, (_, number, state) in truth.items() if number == kind]
            if rows:
                matrix[[slot for slot, _ in rows], :len(layout.components)] = [state for _, state in rows]
        whole = np.zeros(self.world.capacity, np.int64)
        whole[slots] = 2                                        # gap and head, and no class: as an absolute record
        places = np.zeros((self.world.capacity, 3))
        for kind, layout in enumerate(self.layouts):
            rows_of = slots[[truth[slot][1] == kind for slot in slots.tolist()]]
            whole[rows_of] += whole_bytes(layout.components, matrix[rows_of])
            places[rows_of] = matrix[rows_of, :3] * layout.components["step"][:3]
        for observer in range(len(self.observers)):
            self.look_at(observer, matrix, whole, places)

    def look_at(self, observer: int, matrix: NDArray[np.int64], whole: NDArray[np.int64],
                places: NDArray[np.float64]) -> None:
        known = self.views.known(observer)
        slots = (known["handle"] & SLOT).astype(np.intp)
        mine = known["mine"]
        self.whole_bytes += int(whole[slots[~mine]].sum())
        if self.views.tick(observer) != self.tick or not mine.any():
            return
        apart = np.linalg.norm(places[slots] - places[slots[mine][0]], axis=1)
        due = (self.tick + slots) % self.grid.far_ticks == 0
        seats = self.ledger.seats
        held = np.array([seats[observer, seat].known for seat in known["seat"].tolist()], np.bool_)
        held &= due | (self.grid.far >= 1) | (apart < 0.99 * self.grid.far * RADIUS)
        for kind in np.unique(known["kind"]).tolist():
            rows = np.flatnonzero(known["kind"] == kind)
            shown = self.views.states(np.ascontiguousarray(known["seat"][rows]), kind, observer)
            self.compare(kind, shown, matrix[slots[rows]], held[rows], known["audience"][rows])

    def compare(self, kind: int, shown: NDArray[np.int32], published: NDArray[np.int64], held: NDArray[np.bool_],
                audiences: NDArray[np.uint8]) -> None:
        components = self.layouts[kind].components
        published = published[:, :len(components)]
        off = np.abs(shown - published)
        span = components["high"].astype(np.int64) - components["low"] + 1
        off = np.where(components["kind"] == ANGLE, np.minimum(off, span - off), off)
        off = np.where((components["kind"] == FLAGS) & (off > 0), 1, off)
        moving = (components["predict"] >= 0) & (published[:, components["predict"]] != 0)
        allowed = np.where(moving, components["tolerance"], 0)
        for column in np.unique(components["column"]).tolist():
            lanes = np.flatnonzero(components["column"] == column)
            audience = int(components["audience"][lanes[0]])
            told = (audiences >> (audience - 1) & 1 == 1) if audience else np.ones(len(off), np.bool_)
            if told.any():
                self.errors.add((kind, column), off[told][:, lanes], allowed[told][:, lanes], held[told])


def whole_bytes(components: NDArray[Any], states: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bytes of the absolute body of each row, everybody's components: the per-entity full quantized state."""
    bits = np.zeros(len(states), np.int64)
    for i, c in enumerate(components):
        if c["audience"]:
            continue
        if c["bits"] <= 12:
            bits += int(c["bits"])
            continue
        apart = states[:, i] - min(max(0, int(c["low"])), int(c["high"]))
        zigzag = np.where(apart >= 0, 2 * apart, -2 * apart - 1)
        widths = [(int(c["bits"]) * (code + 1) + 3) // 4 for code in range(4)]
        code = (zigzag[:, None] >= np.int64(1) << np.array(widths[:3])).sum(axis=1)
        bits += 2 + np.array(widths)[code]
    return (bits + 7) // 8

"""Two worlds side by side for the replication tests: the compiled one and the reference, driven by the same steps."""
import numpy as np
from numpy.typing import NDArray

from shadowland._core.base.records import EVENT_DTYPE, JOINED, LEFT, SNAPSHOT_ACKED, SNAPSHOT_LOST
from shadowland._core.world.columns import COMPONENT_DTYPE, KindTable
from shadowland._core.world.replicate import World
from tests.reference.replication import Entity, Observer, Server
from tests.reference.world_records import ANGLE, FLOAT, INT, OWNER, Component, Kind

HZ = 30
NUM, SHIFT = 174763, 20                 # 0.05 a second to steps of 0.01 a 30th: 5 / 30

WALKER = Kind(components=(
    *(Component(-2**19, 2**19 - 1, 0.01, FLOAT, predict=3 + i, num=NUM, shift=SHIFT, tolerance=3, column=0, small=4,
                medium=10) for i in range(3)),
    *(Component(-512, 511, 0.05, FLOAT, column=1, small=4, medium=11) for i in range(3)),
    Component(-128, 127, 2 * np.pi / 256, ANGLE, column=2, small=4, medium=8),
    Component(0, 100, kind=INT, column=3, rate_ticks=6, small=3, medium=8),
    Component(-2**31, 2**31 - 1, kind=INT, column=4, audience=OWNER, small=4, medium=16),
), position=(0, 1, 2), radius=20.0, hysteresis=2.0)

STONE = Kind(components=(
    *(Component(-2**15, 2**15 - 1, 0.1, FLOAT, column=0, small=4, medium=9) for i in range(2)),
    Component(1, 9, kind=INT, column=1, small=2, medium=5),
), position=(0, 1), radius=8.0, hysteresis=0.5)

KINDS = (WALKER, STONE)


def component_array(kind: Kind) -> NDArray[np.void]:
    """The kind as the schema would hand it over."""
    array = np.zeros(len(kind.components), COMPONENT_DTYPE)
    for row, c in zip(array, kind.components, strict=True):
        for name in ("step", "num", "low", "high", "tolerance", "predict", "column", "kind", "bits", "audience",
                     "shift", "rate_ticks", "small", "medium"):
            row[name] = getattr(c, name)
    for field in kind.fields(mine=True):
        array["lanes"][field] = len(field)
        array["lane"][field] = range(len(field))
    return array


def kind_table(kinds: tuple[Kind, ...] = KINDS) -> KindTable:
    table = KindTable()
    for kind in kinds:
        table.add(component_array(kind), kind.position, kind.radius, kind.hysteresis)
    return table


class Both:
    """The compiled world and the reference, told the same."""

    def __init__(self, entities: int = 24, observers: int = 3, seats: int = 6, max_payload: int = 1100) -> None:
        self.world = World(kind_table(), HZ, entities, observers, 4.0, seats=seats, max_payload=max_payload)
        self.server = Server(KINDS, HZ, seats, max_payload)
        self.columns: list[list[NDArray[np.float64]]] = []
        for number, kind in enumerate(KINDS):
            self.columns.append([np.zeros((entities, len(field))) for field in kind.fields(mine=True)])
            self.world.set_columns(number, self.columns[number], entities)
        self.values: dict[int, list[float]] = {}        # by handle
        self.avatars = [0] * observers
        self.connections = [0] * observers
        self.tick = 0

    def join(self, observer: int, generation: int) -> None:
        self.connections[observer] = generation << 32 | observer
        self.server.observers[observer] = Observer()
        self.avatars[observer] = 0
        self.event(observer, JOINED)

    def leave(self, observer: int) -> None:
        del self.server.observers[observer]
        for entity in self.server.entities.values():
            entity.owner = -1 if entity.owner == observer else entity.owner
        self.event(observer, LEFT)

    def event(self, observer: int, kind: int, token: int = 0) -> None:
        event = np.zeros(1, EVENT_DTYPE)
        event["connection"], event["kind"], event["token"] = self.connections[observer], kind, token
        self.world.events(event)
        if kind == SNAPSHOT_ACKED:
            self.server.acked(self.server.observers[observer], token)
        elif kind == SNAPSHOT_LOST:
            self.server.lost(self.server.observers[observer], token)

    def spawn(self, kind: int, values: list[float], owner: int = -1) -> int:
        handle = self.world.reserve(kind, self.connections[owner] if owner >= 0 else 0)
        if handle:
            assert self.world.place(handle) >= 0
            self.values[handle] = values
            self.server.entities[handle & 0xFFFFFFFF] = Entity(kind, handle >> 32, owner)
        return handle

    def despawn(self, handle: int) -> None:
        kind = self.world.kind_of(handle)
        row, last = self.world.remove(handle)
        for column in self.columns[kind]:
            column[row] = column[last]
        del self.values[handle], self.server.entities[handle & 0xFFFFFFFF]

    def watch(self, observer: int, handle: int) -> None:
        self.avatars[observer] = handle
        self.world.watch(observer, handle)

    def publish(self) -> None:
        self.tick += 1
        for handle, values in self.values.items():
            kind, row = self.world.kind_of(handle), self.world.row_of(handle)
            for field, column in zip(KINDS[kind].fields(mine=True), self.columns[kind], strict=True):
                column[row] = [values[i] for i in field]
        self.world.publish(self.tick)
        self.server.publish(self.tick, {handle & 0xFFFFFFFF: values for handle, values in self.values.items()})

    def replicate(self, budgets: dict[int, int]) -> dict[int, list[tuple[int, bytes]]]:
        """Token and payload of each observer's datagrams; both worlds must say the same."""
        observers = list(budgets)
        self.world.replicate(np.array(observers, np.uint32), np.array([budgets[o] for o in observers], np.uint32))
        records, arena = self.world.outbox
        out: dict[int, list[tuple[int, bytes]]] = {observer: [] for observer in observers}
        for record in records:
            begin, end = int(record["offset"]), int(record["offset"]) + int(record["length"])
            out[int(record["connection"]) & 0xFFFFFFFF].append((int(record["number"]), arena[begin:end].tobytes()))
        for observer in observers:
            avatar = self.avatars[observer]
            slot = avatar & 0xFFFFFFFF if avatar in self.values else -1
            expected = self.server.replicate(observer, slot, budgets[observer])
            assert out[observer] == expected, f"tick {self.tick}, observer {observer}"
        return out

"""Two worlds side by side for the replication tests: the compiled one and the reference, driven by the same steps."""
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shadowland._core.base.records import EVENT_DTYPE, JOINED, LEFT, SNAPSHOT_ACKED, SNAPSHOT_LOST
from shadowland._core.world.columns import COMPONENT_DTYPE, KindTable
from shadowland._core.world.replicate import World
from shadowland._core.world.view import Views
from tests.reference.replication import EVERYBODY, Entity, Observer, Server
from tests.reference.replication_view import OK, View
from tests.reference.world_records import ANGLE, FLOAT, INT, OFFSET, OWNER, QUADRANT, Component, Kind

HZ = 30
MASKS = (EVERYBODY, EVERYBODY, EVERYBODY, 1, 1 << 63, 0)
NUM, SHIFT = 174763, 20                 # 0.05 a second to steps of 0.01 a 30th: 5 / 30

WALKER = Kind(components=(
    *(Component(-2**19, 2**19 - 1, 0.01, FLOAT, predict=3 + i, num=NUM, shift=SHIFT, tolerance=3, column=0, small=4,
                medium=10) for i in range(3)),
    *(Component(-512, 511, 0.05, FLOAT, column=1, small=4, medium=11) for i in range(3)),
    Component(-128, 127, 2 * np.pi / 256, ANGLE, column=2, small=4, medium=8),
    Component(0, 100, kind=INT, column=3, rate_ticks=6, small=3, medium=8),
    Component(-2**31, 2**31 - 1, kind=INT, column=4, audience=OWNER, small=4, medium=16),
    Component(0, 1000, kind=INT, column=5, audience=2, small=4, medium=10),
    Component(-2**20, 2**20, kind=INT, column=6, audience=3, small=4, medium=12),
), position=(0, 1, 2), radius=20.0, hysteresis=2.0, groups=(1, 0), weight=24)

STONE = Kind(components=(
    *(Component(-2**15, 2**15 - 1, 0.1, FLOAT, column=0, small=4, medium=9) for i in range(2)),
    Component(1, 9, kind=INT, column=1, small=2, medium=5),
    Component(0, 7, kind=INT, column=2, audience=2, small=2, medium=5),
), position=(0, 1), radius=8.0, hysteresis=0.5, groups=(0,), weight=9)

# The same walker in quadrants of 10.24, four along each axis: it comes to the world's ends too.
_PLACES = WALKER.components[:3]
NOMAD = replace(WALKER, components=(
    *(replace(c, low=0, high=1023, kind=OFFSET, pair=11 + i) for i, c in enumerate(_PLACES)),
    *WALKER.components[3:],
    *(replace(c, low=-2, high=1, kind=QUADRANT, step=10.24, pair=i, column=7, small=2,
              medium=4) for i, c in enumerate(_PLACES))))

KINDS = (WALKER, STONE)
NOMADS = (NOMAD, STONE)
ALWAYS = (WALKER, replace(STONE, always=True))
ADAPTIVE = (replace(WALKER, far=0.5, far_ticks=3), replace(STONE, far=0.3, far_ticks=7))


def component_array(kind: Kind) -> NDArray[np.void]:
    """The kind as the schema would hand it over."""
    array = np.zeros(len(kind.components), COMPONENT_DTYPE)
    for row, c in zip(array, kind.components, strict=True):
        for name in ("step", "num", "low", "high", "tolerance", "predict", "column", "kind", "bits", "audience",
                     "shift", "rate_ticks", "small", "medium", "pair"):
            row[name] = getattr(c, name)
    for field in kind.fields(kind.shows_all):
        array["lanes"][field] = len(field)
        array["lane"][field] = range(len(field))
    return array


def kind_table(kinds: tuple[Kind, ...] = KINDS) -> KindTable:
    table = KindTable()
    for kind in kinds:
        table.add(component_array(kind), kind.position, kind.radius, kind.hysteresis, kind.groups,
                  weight=kind.weight, far=kind.far, far_ticks=kind.far_ticks, always=kind.always)
    return table


class Both:
    """The compiled world and, if wanted, the reference, told the same."""

    def __init__(self, entities: int = 24, observers: int = 3, seats: int = 6, max_payload: int = 1100,
                 reference: bool = True, kinds: tuple[Kind, ...] = KINDS) -> None:
        self.reference, self.kinds = reference, kinds
        self.world = World(kind_table(kinds), HZ, entities, observers, 4.0, seats=seats, max_payload=max_payload)
        self.server = Server(kinds, HZ, seats, max_payload)
        self.columns: list[list[NDArray[np.float64]]] = []
        for number, kind in enumerate(kinds):
            self.columns.append([np.zeros((entities, len(field))) for field in kind.fields(kind.shows_all)])
            self.world.set_columns(number, self.columns[number], entities)
        self.values: dict[int, list[float]] = {}        # by handle
        self.avatars = [0] * observers
        self.connections = [0] * observers
        self.sees = [EVERYBODY] * observers
        self.visible_to: dict[int, int] = {}            # by handle, where it was set
        self.groups: dict[tuple[int, int], int] = {}    # by handle and sort, where it was set
        self.always: set[int] = set()                   # handles
        self.given = 0
        self.tick = 0

    def join(self, observer: int, generation: int) -> None:
        self.connections[observer] = generation << 32 | observer
        self.sees[observer] = EVERYBODY
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
            self.given += 1
            self.server.entities[handle & 0xFFFFFFFF] = Entity(
                kind, handle >> 32, owner, always=self.kinds[kind].always, given=self.given)
            if self.kinds[kind].always:
                self.always.add(handle)
        return handle

    def despawn(self, handle: int) -> None:
        kind = self.world.kind_of(handle)
        row, last = self.world.remove(handle)
        for column in self.columns[kind]:
            column[row] = column[last]
        self.always.discard(handle)
        del self.values[handle], self.server.entities[handle & 0xFFFFFFFF]

    def give(self, handle: int, owner: int) -> None:
        self.world.give(handle, self.connections[owner] if owner >= 0 else 0)
        entity = self.server.entities[handle & 0xFFFFFFFF]
        if entity.owner != owner:
            self.given += 1
            entity.owner, entity.given = owner, self.given

    def set_always(self, handle: int, on: bool) -> None:
        self.server.entities[handle & 0xFFFFFFFF].always = on
        (self.always.add if on else self.always.discard)(handle)
        self.world.set_always(handle, on)

    def is_chosen(self, observer: int, handle: int) -> bool:
        """Whether it is seen at any distance, as far as masks allow; nobody here owns more than that holds for."""
        return handle in self.always or handle == self.avatars[observer] or \
            self.world.owner_of(handle) == self.connections[observer]

    def watch(self, observer: int, handle: int) -> None:
        self.avatars[observer] = handle
        self.world.watch(observer, handle)

    def set_sees(self, observer: int, mask: int) -> None:
        self.sees[observer] = self.server.observers[observer].sees = mask
        self.world.set_sees(observer, mask)

    def set_visible_to(self, handle: int, mask: int) -> None:
        self.visible_to[handle] = self.server.entities[handle & 0xFFFFFFFF].visible_to = mask
        self.world.set_visible_to(handle, mask)

    def set_group(self, sort: int, handle: int, number: int) -> None:
        self.groups[handle, sort] = self.server.entities[handle & 0xFFFFFFFF].groups[sort] = number
        self.world.set_group(sort, np.array([handle], np.uint64), np.array([number], np.uint32))

    def audience(self, observer: int, handle: int) -> int:
        """The set that should be shown of the entity: 1 the owner's, 2 its class's first group's, 4 ..."""
        kind = self.kinds[self.world.kind_of(handle)]
        if self.world.owner_of(handle) == self.connections[observer]:
            return kind.shows_all
        avatar = self.avatars[observer] if self.avatars[observer] in self.values else 0
        return sum(2 << i for i, sort in enumerate(kind.groups) if self.groups.get((handle, sort), 0) != 0
                   and self.groups[handle, sort] == self.groups.get((avatar, sort), 0))

    def may_see(self, observer: int, handle: int) -> bool:
        shared = self.visible_to.get(handle, EVERYBODY) & self.sees[observer]
        return shared != 0 or self.world.owner_of(handle) == self.connections[observer]

    def publish(self) -> None:
        self.tick += 1
        for handle, values in self.values.items():
            kind, row = self.world.kind_of(handle), self.world.row_of(handle)
            components, fields = self.kinds[kind].components, self.kinds[kind].fields(self.kinds[kind].shows_all)
            for field, column in zip(fields, self.columns[kind], strict=True):
                if components[field[0]].kind != QUADRANT:       # which comes of the offset's column
                    column[row] = [values[i] for i in field]
        self.world.publish(self.tick)
        if not self.reference:
            return
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
        for observer in observers if self.reference else ():
            avatar = self.avatars[observer]
            slot = avatar & 0xFFFFFFFF if avatar in self.values else -1
            expected = self.server.replicate(observer, slot, budgets[observer])
            assert out[observer] == expected, f"tick {self.tick}, observer {observer}"
        return out


class Traffic:
    """A world with walkers and stones, three observers, and datagrams that are lost, late, doubled and out of order.

    Everything follows from `seed`, but what only owners and groups see: that is drawn from `gold_seed`. With
    `spectator`, observer 0 owns nothing and is of no group. With `reference`, the slow model runs beside and every
    byte and view is compared.
    """

    def __init__(self, seed: int, seats: int = 6, history: int = 16, max_payload: int = 1100, *, gold_seed: int = 0,
                 spectator: bool = False, reference: bool = False,
                 kinds: tuple[Kind, ...] = KINDS) -> None:
        self.random, self.gold = np.random.default_rng(seed), np.random.default_rng(gold_seed)
        self.both = Both(seats=seats, max_payload=max_payload, reference=reference, kinds=kinds)
        self.views = Views(kind_table(kinds), 3, seats, history)
        self.references = [View(kinds, seats, history) for _ in range(3)] if reference else []
        self.flying: list[tuple[int, int, int, bytes]] = []     # arrival, observer, token, payload
        self.sent: dict[int, list[tuple[int, bytes]]] = {}
        self.spectator = spectator
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
        return [*place, *velocity, float(self.random.uniform(-4, 4)), 50.0, *self.secrets()]

    def secrets(self) -> list[float]:
        return [float(self.gold.integers(0, most)) for most in (2**31, 1000, 2**20)]

    def stone(self) -> list[float]:
        return [*self.random.uniform(-25, 25, 2), float(self.random.integers(1, 10)), float(self.gold.integers(0, 8))]

    def join(self, observer: int) -> None:
        self.generation += 1
        self.both.join(observer, self.generation)
        self.views.reset(observer)
        if self.references:
            old = self.references[observer]
            self.references[observer] = View(self.both.kinds, old.seat_count, old.depth)
        self.flying = [entry for entry in self.flying if entry[1] != observer]
        owner = -1 if self.spectator and observer == 0 else observer
        self.both.watch(observer, self.both.spawn(0, self.walker(), owner))

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
            elif both.world.kind_of(handle):
                if self.chance(0.02):
                    values[:] = self.stone()
            else:
                values[:3] = [p + v / 30 for p, v in zip(values[:3], values[3:6], strict=True)]
                for i in range(2):      # turn round at the borders, so that they keep meeting
                    if abs(values[i]) > 25:
                        values[3 + i] = -abs(values[3 + i]) if values[i] > 0 else abs(values[3 + i])
                self.change_walker(values)
        if self.chance(0.02):
            handle = int(self.random.choice(list(both.values)))
            both.give(handle, int(self.random.integers(1 if self.spectator else -1, 3)))
        self.change_masks()
        self.change_groups()
        self.change_chosen()

    def change_masks(self) -> None:
        """Two teams at the ends of a mask: mostly all are seen by all."""
        if self.chance(0.1):
            handle = int(self.random.choice(list(self.both.values)))
            self.both.set_visible_to(handle, MASKS[int(self.random.integers(0, len(MASKS)))])
        if self.chance(0.03):
            self.both.set_sees(int(self.random.integers(0, 3)), MASKS[int(self.random.integers(0, len(MASKS)))])

    def change_chosen(self) -> None:
        """One or two are always relevant; now and then somebody looks from nowhere, or from somewhere else."""
        both = self.both
        if self.chance(0.1):
            handle = int(self.random.choice(sorted(both.always) or list(both.values)))
            both.set_always(handle if handle in both.values else next(iter(both.values)), self.chance(0.5))
        if self.chance(0.02):
            observer = int(self.random.integers(1 if self.spectator else 0, 3))
            both.watch(observer, int(self.random.choice([0, *both.values])))

    def change_groups(self) -> None:
        """Two groups of each sort; a spectator's avatar is of none."""
        if not self.chance(0.15):
            return
        handle = int(self.random.choice(list(self.both.values)))
        sort, number = int(self.random.integers(0, 2)), int(self.random.integers(0, 3))
        if not (self.spectator and handle == self.both.avatars[0]):
            self.both.set_group(sort, handle, (0, 7, 2**32 - 1)[number])

    def change_walker(self, values: list[float]) -> None:
        if self.chance(0.03):
            values[3:5] = [0, 0] if self.chance(0.4) else list(self.random.uniform(-5, 5, 2))
        if self.chance(0.05):
            values[6] += float(self.random.uniform(-1, 1))
        if self.chance(0.1):
            values[7] = float(self.random.integers(-20, 120))
        if self.chance(0.05):
            values[8:] = self.secrets()
        if self.chance(0.01):
            values[int(self.random.integers(0, 8))] = float("nan")
        if self.chance(0.01):
            values[:] = self.walker()   # a jump, and no NaN any more

    def halt(self) -> None:
        """Everything stands still from now on."""
        for handle, values in self.both.values.items():
            published = self.both.world.published(handle)
            if self.both.world.kind_of(handle) == 0:
                values[3:6] = [0, 0, 0]
                for i in range(3):      # where the last number was none, it stands where it was seen last
                    if np.isnan(values[i]):
                        values[i] = self.both.kinds[0].place(published)[i] if published else 0.0

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
                if self.references:
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
        self.sent = self.both.replicate(budgets)
        for observer, payloads in self.sent.items():
            for token, payload in payloads:
                arrival = self.both.tick + int(self.random.integers(0, delay + 1))
                self.flying.append((arrival, observer, token, payload))
        self.deliver(loss)
        self.compare_views()

    def compare_views(self) -> None:
        for observer, reference in enumerate(self.references):
            assert self.seen(observer) == reference.entities()
            assert self.views.tick(observer) == reference.tick

    def seen(self, observer: int) -> dict[tuple[int, int], tuple[int, tuple[int, ...], int]]:
        """(slot, generation) of what the view shows: kind, state at its newest snapshot's tick, audience set."""
        out = {}
        for entity in self.views.known(observer):
            handle, kind = int(entity["handle"]), int(entity["kind"])
            state = self.views.states(np.array([entity["seat"]]), kind, observer)[0]
            out[handle & 0xFFFFFFFF, handle >> 32] = (kind, tuple(int(q) for q in state), int(entity["audience"]))
        return out

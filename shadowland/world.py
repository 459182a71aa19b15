"""The world as games see it: entities spawned from instances, kept as columns, published and replicated once a tick."""
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland._core.world import replicate as _core
from shadowland._core.world.columns import KindTable
from shadowland.errors import CapacityError, ConfigError, UsageError
from shadowland.schema import Column, Entity, Layout, Schema, layout
from shadowland.schema.classes import contract_of
from shadowland.sight import Sight

Some = TypeVar("Some", bound=Entity)

SLOT_MASK = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)
MOST_GROUP = 2**32 - 1


class HasHandle(Protocol):
    """A session, as owner of an entity."""

    handle: int


@dataclass(frozen=True)
class Grid:
    """Area of interest: who sees what.

    cell         edge of a grid cell in user units; about a third of the radius works well.
    radius       an entity comes into view within this distance of the observer's avatar.
    hysteresis   it leaves beyond radius + hysteresis; default a tenth of the radius.
    radii        other radii for some classes.
    layer        height of a cell for worlds with floors above each other; 0: one layer.
    always       classes whose entities all see at any distance: always relevant, at most 64 entities at once.
    weights      how urgent some classes are when an observer's bytes do not suffice: 1/16 to 15, others have 1. Beside
                 that the nearer goes first, one's own before others', and what has waited for two seconds before all.
    far          beyond this part of its radius an entity is told at `far_rate` of the ticks; 1: it is told at each.
    far_rate     above 0, at most 1. It is rounded to once in a whole number of ticks: 0.3 to every third.
    """

    cell: float
    radius: float
    hysteresis: float | None = None
    radii: Mapping[type[Entity], float] = field(default_factory=dict)
    layer: float = 0.0
    always: tuple[type[Entity], ...] = ()
    weights: Mapping[type[Entity], float] = field(default_factory=dict)
    far: float = 0.5
    far_rate: float = 0.3

    @property
    def far_ticks(self) -> int:
        """Every how many ticks what is far is told."""
        return max(round(1 / self.far_rate), 1)

    def __post_init__(self) -> None:
        distances = {"cell": self.cell, "radius": self.radius, **{cls.__name__: r for cls, r in self.radii.items()}}
        for name, value in distances.items():
            if not 0 < value < float("inf"):
                raise ConfigError(f"Grid: {name} is {value}; it must be a finite distance above 0")
        if self.hysteresis is not None and not 0 <= self.hysteresis < float("inf"):
            raise ConfigError(f"Grid: hysteresis is {self.hysteresis}; it must be a finite distance of at least 0")
        for cls, weight in self.weights.items():
            if not 1 / 16 <= weight <= 15:
                raise ConfigError(f"Grid: the weight of {cls.__name__} is {weight}; it must be 1/16 to 15")
        if not 0 < self.far <= 1:
            raise ConfigError(f"Grid: far is {self.far}; it must be above 0, and at most 1 (never)")
        if not 1 / 255 <= self.far_rate <= 1:
            raise ConfigError(f"Grid: far_rate is {self.far_rate}; it must be 1/255 to 1")


class Suggesting:
    """Columns with named fields: a misspelt one is an AttributeError with a suggestion."""

    _cls: type[Entity]
    _names: tuple[str, ...]

    def __getattr__(self, name: str) -> NDArray[Any]:
        known = self.__dict__.get("_names", ())
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
        owner = self.__dict__["_cls"].__name__ if "_cls" in self.__dict__ else "this class"
        raise AttributeError(f"{owner} has no column {name!r}; {hint}", name=name, obj=self)


class Columns(Suggesting, Generic[Some]):
    """All living entities of one class: each field an array with one row per entity, the class's memory itself.

    Numbers have shape (n,), vectors (n, lanes). Rows stay where they are during a tick; spawning and despawning take
    effect at its end. A misspelt name is an AttributeError with a suggestion.
    """

    _table: "_Table"

    def __init__(self, table: "_Table") -> None:
        self.__dict__.update(_table=table, _cls=table.cls, _names=tuple(table.arrays))

    def __len__(self) -> int:
        return self._table.count

    def __getattr__(self, name: str) -> NDArray[Any]:
        table: _Table | None = self.__dict__.get("_table")
        if table is None or name not in table.arrays:
            return super().__getattr__(name)
        return table.arrays[name][:table.count]

    def __setattr__(self, name: str, value: ArrayLike) -> None:
        column = getattr(self, name)
        if value is not column:                 # `columns.x += y` gives back the view itself
            column[...] = value

    @property
    def handles(self) -> NDArray[np.uint64]:
        """The entities of the rows."""
        return self._table.handles[:self._table.count]

    def __repr__(self) -> str:
        return f"<{len(self)} {self._table.cls.__name__}: {', '.join(self._table.arrays)}>"


class _Table:
    """The memory of one class."""

    def __init__(self, cls: type[Entity], kind: int, columns: tuple[Column, ...], capacity: int) -> None:
        self.cls, self.kind, self.count = cls, kind, 0
        self.arrays: dict[str, NDArray[Any]] = {
            column.name: np.zeros((capacity, column.lanes) if column.lanes > 1 else capacity, column.dtype)
            for column in columns
        }
        self.handles: NDArray[np.uint64] = np.zeros(capacity, np.uint64)
        self.travelling = [self.arrays[column.name] for column in columns if column.first >= 0
                           for _ in range(2 if column.field.edge else 1)]       # offsets, and quadrants


def kind_table(schema: Schema, tick_hz: float, aoi: Grid) -> tuple[KindTable, dict[type[Entity], Layout[Any]]]:
    """The compiled table of a schema's entity classes, and their layouts; the same for servers and views."""
    table = KindTable()
    layouts: dict[type[Entity], Layout[Any]] = {}
    for cls in schema.entities.values():
        found = layouts[cls] = layout(cls, tick_hz)
        place = next((column for column in found.columns if column.name == "position"), None)
        radius = aoi.radii.get(cls, aoi.radius)
        hysteresis = radius / 10 if aoi.hysteresis is None else aoi.hysteresis
        axes = tuple(range(place.first, place.first + place.lanes)) if place is not None else ()
        groups = tuple(map(schema.groups.index, contract_of(cls).groups))
        table.add(found.components, axes, radius, hysteresis, groups, weight=round(16 * aoi.weights.get(cls, 1)),
                  far=aoi.far, far_ticks=aoi.far_ticks, always=cls in aoi.always)
    return table, layouts


class World(Sight):
    """Entities of all classes of a schema.

    capacity      most entities alive at once, of all classes together.
    observers     most observers (players) at once.
    max_payload   most bytes of one snapshot.
    """

    def __init__(self, schema: Schema, *, tick_hz: int, aoi: Grid, capacity: int = 16384, observers: int = 1024,
                 max_payload: int = 997) -> None:
        if not schema.entities:
            raise ConfigError("the schema has no Entity class; define one before the world is used")
        self.schema, self.tick_hz, self.aoi, self.capacity = schema, tick_hz, aoi, capacity
        self.table, self.layouts = kind_table(schema, tick_hz, aoi)
        self.core = _core.World(self.table, tick_hz, capacity, observers, aoi.cell, layer=aoi.layer,
                                max_payload=max_payload)
        self._tables: dict[type[Entity], _Table] = {}
        for kind, cls in schema.entities.items():
            table = self._tables[cls] = _Table(cls, kind, self.layouts[cls].columns, capacity)
            self.core.set_columns(kind, table.travelling, capacity)
        self._rows: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        self._generations: NDArray[np.uint64] = np.zeros(capacity, np.uint64)
        self._spawning: list[tuple[int, Entity]] = []
        self._despawning: list[int] = []
        self._despawned: list[Callable[[NDArray[np.uint64]], object]] = []
        self._published: list[Callable[[int], object]] = []
        self.budget_bytes = 2 * max_payload     # most that an observer is sent in a tick, however fast its path is

    def __getitem__(self, cls: type[Some]) -> Columns[Some]:
        return Columns(self._table(cls))

    def __iter__(self) -> Iterator[int]:
        for table in self._tables.values():
            yield from table.handles[:table.count].tolist()

    def __len__(self) -> int:
        return sum(table.count for table in self._tables.values())

    def spawn(self, entity: Entity, owner: HasHandle | None = None) -> int:
        """Queue an entity to be there from the end of this tick on; returns its handle.

        owner: the session that sees its OwnerOnly fields, and the entity itself at any distance. CapacityError when the
        world is full, or holds as many entities that are always relevant as there may be.
        """
        table = self._table(type(entity))
        handle: int = self.core.reserve(table.kind, owner.handle if owner is not None else 0)
        if handle == 0:
            raise CapacityError(f"the world is full: {self.capacity} entities; raise entities=")
        self._spawning.append((handle, entity))
        return handle

    def despawn(self, entity: int) -> None:
        """Queue an entity to be gone at the end of this tick. UsageError if it is gone; twice in a tick is fine."""
        if entity not in self:
            raise UsageError(f"entity {entity:#x} is gone already")
        if entity not in self._despawning:
            self._despawning.append(entity)

    def on_despawn(self, tell: Callable[[NDArray[np.uint64]], object]) -> None:
        """Call `tell` at the end of each tick with the handles of the entities that are gone, if there are any."""
        self._despawned.append(tell)

    def on_publish(self, tell: Callable[[int], object]) -> None:
        """Call `tell` with the tick whenever one was published: the columns are its state."""
        self._published.append(tell)

    def row_of(self, entity: int) -> int:
        """The entity's row in the columns of its class; UsageError if it is gone, or there only when this tick ends."""
        row = int(self.rows_of(np.array([entity], np.uint64))[0])
        if row < 0:
            raise UsageError(f"entity {entity:#x} has no row: it is gone, or will be there at the end of this tick")
        return row

    def rows_of(self, entities: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Rows of many entities in the columns of their classes; -1 where there is none."""
        slots = (entities & SLOT_MASK).astype(np.intp)
        known = slots < self.capacity
        slots = np.where(known, slots, 0)
        same = known & (entities != 0) & (self._generations[slots] == entities >> SHIFT)
        return np.where(same, self._rows[slots], -1)

    def set_group(self, group: str, entities: ArrayLike, numbers: ArrayLike) -> None:
        """Say which group of a sort ("party") entities are of; GroupOnly fields of that sort go to its players alone.

        entities: a handle or many. numbers: one for all or one each, 1 to 2**32 - 1; 0: of none, as new entities are. A
        player belongs to the groups of its avatar. Who comes in is sent the whole entity with the next snapshot, who
        goes no more of those fields from then on. UsageError for a sort that no field speaks of, a number out of range
        or an entity that is gone, and then nothing is changed.
        """
        if group not in self.schema.groups:
            close = difflib.get_close_matches(group, self.schema.groups, 1)
            known = f"there are {', '.join(self.schema.groups)}" if self.schema.groups else "no field is GroupOnly"
            raise UsageError(f"{group!r} is no group of the schema; "
                             f"{f'did you mean {close[0]!r}?' if close else known}")
        handles = np.atleast_1d(np.asarray(entities, np.uint64))
        given = np.broadcast_to(np.asarray(numbers), handles.shape)
        if given.dtype.kind not in "iu" or np.any(given < 0) or np.any(given > MOST_GROUP):
            raise UsageError(f"group numbers are {numbers!r}; they must be whole, 0 (none) to 2**32 - 1")
        try:
            self.core.set_group(self.schema.groups.index(group), handles, given.astype(np.uint32))
        except ValueError as error:
            raise UsageError(f"{error} already") from None

    @property
    def oldest_unsent_ms(self) -> float:
        """How long the oldest change that an observer should know has waited for room in its byte budget, in ms.

        Over all observers that were sent to at the tick published last; 0.0 where everything due was sent.
        """
        return float(self.core.stats["oldest_wait_ticks"] * 1000 / self.tick_hz)

    def unsent_ms(self, observer: int) -> float:
        """As `oldest_unsent_ms`, for the observer in slot `observer` alone and as of its last snapshot."""
        return self.core.oldest_wait(observer) * 1000 / self.tick_hz

    # Once a tick ------------------------------------------------------------------------------------------------

    def events(self, events: NDArray[Any]) -> None:
        """Observers that joined and left, snapshots that arrived or were lost (EVENT_DTYPE, from the endpoint)."""
        self.core.events(events)

    def publish(self, tick: int) -> None:
        """End the tick: what was spawned and despawned takes effect, and the columns become the state of `tick`."""
        for handle, entity in self._spawning:
            self._place(handle, entity)
        for handle in self._despawning:
            self._remove(handle)
        if self._despawning:
            gone = np.array(self._despawning, np.uint64)
            for tell in self._despawned:
                tell(gone)
        self._spawning.clear()
        self._despawning.clear()
        self.core.publish(tick)
        for published in self._published:
            published(tick)

    def _place(self, handle: int, entity: Entity) -> None:
        table = self._tables[type(entity)]
        row = self.core.place(handle)
        for name, array in table.arrays.items():
            array[row] = getattr(entity, name)
        table.handles[row] = handle
        table.count = row + 1
        slot = handle & 0xFFFFFFFF
        self._rows[slot], self._generations[slot] = row, handle >> 32

    def _remove(self, handle: int) -> None:
        table = self._tables[self.schema.entities[self.core.kind_of(handle)]]
        row, last = self.core.remove(handle)
        self._rows[handle & 0xFFFFFFFF] = -1
        if row < 0:
            return
        if row != last:                         # the last row fills the hole
            for array in table.arrays.values():
                array[row] = array[last]
            moved = table.handles[row] = table.handles[last]
            self._rows[int(moved) & 0xFFFFFFFF] = row
        table.count = last

    def replicate(self, observers: NDArray[np.uint32], now_us: int = 0,
                  budgets: NDArray[np.uint32] | None = None) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Make the snapshots of the tick published last for these observer slots: (records of MESSAGE_DTYPE, arena).

        budgets: bytes that each may be sent now; by default `budget_bytes` for everyone.
        """
        if budgets is None:
            budgets = np.full(len(observers), self.budget_bytes, np.uint32)
        self.core.replicate(observers, budgets, now_us)
        return self.core.outbox

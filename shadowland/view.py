"""What a client sees: the snapshots that came, as columns in user units."""
from types import SimpleNamespace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from shadowland._core.world.view import Views
from shadowland.errors import UsageError
from shadowland.schema import Column, Entity, Layout, Schema
from shadowland.schema.classes import contract_of
from shadowland.schema.values import column_from_quanta
from shadowland.world import Grid, Suggesting, kind_table

Some = TypeVar("Some", bound=Entity)

SNAPSHOT_CHANNEL = 5
ANY_GRID = Grid(cell=1.0, radius=1.0)           # views look at no distances


class Seen(Suggesting, Generic[Some]):
    """The entities of one class that are in sight: `handles` (uint64) and each field as an array, one row per entity.

    OwnerOnly and GroupOnly fields hold their smallest value in entities whose field you are not sent: see `shown`.
    """

    handles: NDArray[np.uint64]

    def __init__(self, cls: type[Some], arrays: dict[str, NDArray[Any]], handles: NDArray[np.uint64],
                 audiences: NDArray[np.uint8] | None = None) -> None:
        self._cls, self._names = cls, tuple(arrays)
        self.handles = handles
        self._audiences = np.zeros(len(handles), np.uint8) if audiences is None else audiences
        self.__dict__.update(arrays)

    def shown(self, field: str) -> NDArray[np.bool_]:
        """Of which of these entities you are sent the field `field`. AttributeError if there is no such column."""
        getattr(self, field)
        audience = contract_of(self._cls).fields[field].audience
        if audience == 0:
            return np.ones(len(self), np.bool_)
        return (self._audiences >> np.uint8(audience - 1) & 1).astype(np.bool_)

    def __len__(self) -> int:
        return len(self.handles)

    def __repr__(self) -> str:
        return f"<{len(self)} {self._cls.__name__} in sight: {', '.join(self._names)}>"


class HasViews(Protocol):
    """Whose snapshots can be looked at: a client's view, or a swarm."""

    schema: Schema
    views: Views
    columns: dict[type[Entity], list[Column]]


class Snapshot:
    """The world as last seen, at `tick` of the server. `snapshot[Player]` gives the entities of a class in columns.

    mine   handle of the entity you own (your avatar, as a rule), 0 while there is none.
    """

    def __init__(self, view: "HasViews", tick: int, number: int = 0) -> None:
        self._view, self.tick, self._number = view, tick, number
        self._known = view.views.known(number)
        own = self._known[self._known["mine"]]
        self.mine = int(own["handle"][0]) if len(own) else 0

    def __len__(self) -> int:
        return len(self._known)

    def __getitem__(self, cls: type[Some]) -> Seen[Some]:
        kind = self._view.schema.id_of(cls)
        return self._seen(cls, self._known[self._known["kind"] == kind])

    def _seen(self, cls: type[Some], rows: NDArray[Any]) -> Seen[Some]:
        view = self._view
        if view.views.tick(self._number) != self.tick:
            raise UsageError(f"the snapshot of tick {self.tick} is over; read it before the next poll")
        quanta = view.views.states(np.ascontiguousarray(rows["seat"]), view.schema.id_of(cls), self._number)
        arrays = {
            column.name: column_from_quanta(column.field, quanta[:, column.numbers])
            for column in view.columns[cls]
        }
        return Seen(cls, arrays, rows["handle"].copy(), rows["audience"].copy())

    def own(self, cls: type[Some]) -> Any:
        """The entity of a class that you own: an object with all its fields. UsageError if none is in sight."""
        kind = self._view.schema.id_of(cls)
        rows = self._known[self._known["mine"] & (self._known["kind"] == kind)]
        if len(rows) == 0:
            raise UsageError(f"no {cls.__name__} in sight is yours")
        seen = self._seen(cls, rows[:1])
        return SimpleNamespace(handle=int(rows["handle"][0]), **{name: getattr(seen, name)[0] for name in seen._names})

    def __repr__(self) -> str:
        return f"<Snapshot of tick {self.tick}: {len(self)} entities in sight>"


def travelling(layouts: dict[type[Entity], Layout[Any]]) -> dict[type[Entity], list[Column]]:
    """The columns of each class that a snapshot has."""
    return {cls: [column for column in found.columns if column.first >= 0] for cls, found in layouts.items()}


class View:
    """One observer's view. `tick` is the newest snapshot's, -1 before the first."""

    def __init__(self, schema: Schema, *, tick_hz: int, tick: int) -> None:
        self.schema = schema
        table, layouts = kind_table(schema, tick_hz, ANY_GRID)
        self.columns = travelling(layouts)
        self.views = Views(table)
        self._hint = tick

    @property
    def tick(self) -> int:
        """Tick of the newest snapshot, -1 before the first."""
        return self.views.tick(0) or -1

    def apply(self, records: NDArray[Any], arena: NDArray[np.uint8]) -> int:
        """Take the snapshots among the records of an inbox; flags those that cannot be kept. Returns how many were."""
        which = np.where(records["channel"] == SNAPSHOT_CHANNEL, 0, -1).astype(np.int32)
        return self.views.apply_records(records, arena, which, self._hint)

    def snapshot(self) -> Snapshot:
        """The world as it is seen now."""
        return Snapshot(self, self.tick)

"""Who sees what, and who stands near: the part of World that asks the grid and speaks of observers."""
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland._core.world import near as _near
from shadowland.errors import UsageError
from shadowland.schema import Entity, Schema

if TYPE_CHECKING:
    from shadowland._core.world.replicate import World as Core
    from shadowland.world import HasHandle, _Table

AXES = 3


def check_mask(mask: int) -> None:
    if not 0 <= mask < 2**64:
        raise UsageError(f"mask is {mask}; it must be 64 bits, 0 to 2**64 - 1")


def handles_of(entities: int | Iterable[int]) -> NDArray[np.uint64]:
    """One handle or many as an array. UsageError for what can be none."""
    if isinstance(entities, int | np.integer):
        entities = [int(entities)]
    try:
        return np.array(entities if isinstance(entities, np.ndarray) else list(entities), np.uint64).reshape(-1)
    except (OverflowError, ValueError, TypeError) as error:
        raise UsageError(f"entities are handles, as spawn() returned them: {error}") from None


def points_of(points: ArrayLike) -> NDArray[np.float64]:
    """Points as (n, 3); a height that is not given is 0."""
    given = np.atleast_2d(np.asarray(points, np.float64))
    if given.ndim != 2 or given.shape[1] not in (2, AXES):
        raise UsageError(f"points have shape {np.shape(points)}; a point has 2 or 3 numbers")
    if not np.isfinite(given).all():
        raise UsageError("a point must be finite numbers")
    return np.pad(given, ((0, 0), (0, AXES - given.shape[1])))


def check_radius(radius: ArrayLike) -> None:
    if not np.all(np.asarray(radius) >= 0):
        raise UsageError(f"radius is {radius!r}; it must be a distance of at least 0, or infinite")


class Sight:
    """What World derives from."""

    core: "Core"
    schema: Schema
    _spawning: list[tuple[int, Entity]]
    _tables: dict[type[Entity], "_Table"]

    def _table(self, cls: type[Entity]) -> "_Table":
        try:
            return self._tables[cls]
        except KeyError:
            raise UsageError(f"{cls.__name__} is not in the world's schema; define it before the first use") from None

    def __contains__(self, entity: int) -> bool:
        return entity != 0 and self.core.kind_of(entity) >= 0

    # Observers ----------------------------------------------------------------------------------------------------

    def set_avatar(self, observer: int, entity: int) -> None:
        """The observer in slot `observer` looks from `entity`; 0: from nowhere, and distance lets nothing in."""
        self.core.watch(observer, entity)

    def set_visible_to(self, entities: int | Iterable[int], mask: int) -> None:
        """Show entities only to observers whose `sees` (set_sees) shares a bit with `mask`, and to their owner.

        entities: one handle or many; an entity spawned in this tick is never shown to others. mask: 64 bits, such as
        1 << team; all are set in a new entity, none hides it. An observer who may no longer see it is told that it left
        with the next snapshot. UsageError if one is gone, and then none is changed.
        """
        check_mask(mask)
        try:
            self.core.set_visible_to(handles_of(entities), mask)
        except ValueError as error:
            raise UsageError(f"{error} already") from None

    def set_always(self, entities: int | Iterable[int], on: bool = True) -> None:
        """Let all observers see entities at any distance (a leader, a flag, what a match stands at), or no longer.

        entities: one handle or many. Masks hide them still; observers without an avatar see them too. An entity of a
        class in Grid(always=...) is so from its spawn. At most 64 are at once, since each costs every observer a seat:
        CapacityError beyond. UsageError if one is gone. In both cases none is changed.
        """
        try:
            self.core.set_always(handles_of(entities), on)
        except ValueError as error:
            raise UsageError(f"{error} already") from None

    def give(self, entity: int, owner: "HasHandle | None") -> None:
        """Make a session the owner of an entity, or nobody. It sees its OwnerOnly fields, whole with the next snapshot.

        Whatever a session owns it sees at any distance, too, and whatever masks say: the 64 that it has had longest.
        UsageError if the entity is gone.
        """
        if entity not in self:
            raise UsageError(f"entity {entity:#x} is gone already")
        self.core.give(entity, 0 if owner is None else owner.handle)

    def set_sees(self, observer: int, mask: int) -> None:
        """The observer in slot `observer` (`session.slot`) is shown what is visible to these 64 bits, and its own.

        All bits are set when it joins. mask: 0 to 2**64 - 1.
        """
        check_mask(mask)
        self.core.set_sees(observer, mask)

    def sees(self, observer: int) -> int:
        """The bits that the observer in slot `observer` sees with."""
        return self.core.sees(observer)

    # Neighbours ---------------------------------------------------------------------------------------------------

    def near(self, where: int | ArrayLike, radius: float, cls: type[Entity] | None = None) -> NDArray[np.uint64]:
        """Handles of the entities (of one class, or all) within `radius` of an entity, itself included, or of a point.

        As they were published last: the columns as they stood when the last tick ended, in steps of their fields; who
        was spawned since is not found, who was despawned in this tick still is. where: a handle, or a point of 2 or 3
        numbers. An entity spawned in this tick is looked from where it was spawned. radius: in user units, its border
        included; any, infinity too. Entities of classes with fewer axes, or a point of 2 numbers, stand at 0 on the
        others. In no order. UsageError for an entity that is gone, a point or radius that is none.

        It asks the grid and costs what is found in the cells around; beyond 64 cells it looks at all entities.
        """
        check_radius(radius)
        point = self._point(int(where)) if isinstance(where, int | np.integer) else points_of(where)
        if len(point) != 1:
            raise UsageError(f"where has shape {np.shape(where)}; for many points there is near_many()")
        x, y, z = point[0].tolist()
        return _near.near(self.core, x, y, z, float(radius), self._kind(cls))

    def near_many(self, points: ArrayLike, radius: ArrayLike,
                  cls: type[Entity] | None = None) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """As near() for many points at once: (handles, offsets), those of point i `handles[offsets[i]:offsets[i + 1]]`.

        points: (n, 2) or (n, 3) numbers, or n handles (uint64). radius: one for all, or n. offsets: n + 1.
        """
        check_radius(radius)
        given: NDArray[Any] = np.asarray(points)
        if given.dtype == np.uint64:
            places = _near.places(self.core, given)
            for i in np.flatnonzero(np.isnan(places[:, 0])).tolist():
                places[i] = self._point(int(given[i]))
        else:
            places = points_of(given) if given.size else np.zeros((0, AXES))
        try:
            radii = np.broadcast_to(np.asarray(radius, np.float64), len(places))
        except ValueError:
            raise UsageError(f"{np.shape(radius)[0]} radii for {len(places)} points; give one, or one each") from None
        return _near.near_many(self.core, places, radii, self._kind(cls))

    def _kind(self, cls: type[Entity] | None) -> int:
        return -1 if cls is None else self._table(cls).kind

    def _point(self, entity: int) -> NDArray[np.float64]:
        """Where an entity was published last or, if it is new, was spawned."""
        if entity not in self:
            raise UsageError(f"entity {entity:#x} is gone already")
        place = _near.places(self.core, np.array([entity], np.uint64))
        if np.isnan(place[0, 0]):
            waiting = next(spawned for handle, spawned in self._spawning if handle == entity)
            return points_of(getattr(waiting, "position", (0, 0, 0)))
        return place

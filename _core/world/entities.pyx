"""Python door to the entities of a world: slots, handles, columns, owners, masks and groups. World derives from it."""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from shadowland._core.base.pages cimport HUGE_PAGE, pages_free, pages_zeroed
from shadowland._core.world.chosen cimport MAX_ALWAYS, Chosen, Link, choose_always, disown, own
from shadowland._core.world.columns cimport HISTORY, MAX_KINDS, NOBODY, EntityKind
from shadowland._core.world.grid cimport MIN_BUCKETS, GridItem
from shadowland._core.world.state cimport (
    COLUMN_BOOL, COLUMN_FLOAT32, COLUMN_FLOAT64, COLUMN_INT8, COLUMN_INT16, COLUMN_INT32, COLUMN_INT64, COLUMN_UINT8,
    COLUMN_UINT16, COLUMN_UINT32, KindRows, Place, Slot, WorldState, state_at)

import numpy as np

from shadowland._core.base.errors import CapacityError

_TOO_MANY = (f"at most {MAX_ALWAYS} entities may be always relevant at once, as each of them costs every observer a "
             "seat; make the others so no longer (set_always), or give their class a larger radius")
_COLUMN_TYPES = {
    np.dtype(np.float32): COLUMN_FLOAT32, np.dtype(np.float64): COLUMN_FLOAT64, np.dtype(np.bool_): COLUMN_BOOL,
    np.dtype(np.int8): COLUMN_INT8, np.dtype(np.int16): COLUMN_INT16, np.dtype(np.int32): COLUMN_INT32,
    np.dtype(np.int64): COLUMN_INT64, np.dtype(np.uint8): COLUMN_UINT8, np.dtype(np.uint16): COLUMN_UINT16,
    np.dtype(np.uint32): COLUMN_UINT32,
}


cdef class Entities:
    """What is there: an entity is a slot with a generation, and a row in the columns of its class.

    An entity's handle, like a connection's, is generation << 32 | slot; 0 is none.
    """

    def __cinit__(self):
        self.columns, self.memory = [], []

    cdef void* _take(self, size_t count, size_t size) except NULL:
        """Zeroed memory for the world's life. Large tables in huge pages: a tick asks for entities in no order."""
        cdef size_t total = max(count * size, 1)
        cdef bint large = total >= HUGE_PAGE // 4
        cdef void* memory = pages_zeroed(total) if large else calloc(total, 1)
        if memory == NULL:
            raise MemoryError(f"{total} bytes for the world")
        self.memory.append((<size_t>memory, total if large else 0))
        return memory

    def __dealloc__(self):
        for memory, size in self.memory or ():
            if size:
                pages_free(<void*><size_t>memory, size)
            else:
                free(<void*><size_t>memory)

    cdef int _make_state(self, uint32_t hz, uint32_t entities, uint32_t observers, double cell,
                         double layer) except -1:
        cdef WorldState* world = &self.state
        cdef uint32_t buckets = MIN_BUCKETS, i
        while buckets < 2 * entities:
            buckets *= 2
        world.hz, world.slots, world.stride = hz, entities, self.table.stride
        world.kinds, world.kind_count = self.table.kinds, self.table.count
        world.rows = <KindRows*>self._take(MAX_KINDS, sizeof(KindRows))
        world.slot = <Slot*>self._take(entities, sizeof(Slot))
        world.place = <Place*>self._take(entities, sizeof(Place))
        world.history = <int32_t*>self._take(<size_t>HISTORY * entities, world.stride * sizeof(int32_t))
        world.group_of = <uint32_t*>self._take(<size_t>self.table.groups * entities, sizeof(uint32_t))
        world.field_changed = <uint32_t*>self._take(entities, world.stride * sizeof(uint32_t))
        world.grid.items = <GridItem*>self._take(entities, sizeof(GridItem))
        world.grid.unsorted = <GridItem*>self._take(entities, sizeof(GridItem))
        world.grid.buckets = <uint32_t*>self._take(entities, sizeof(uint32_t))
        world.grid.starts = <uint32_t*>self._take(buckets + 1, sizeof(uint32_t))
        world.grid.mask, world.grid.capacity, world.grid.cell, world.grid.layer = buckets - 1, entities, cell, layer
        world.chosen.observers = observers
        world.chosen.link = <Link*>self._take(entities, sizeof(Link))
        world.chosen.always_at = <uint32_t*>self._take(entities, sizeof(uint32_t))
        world.chosen.first = <uint32_t*>self._take(observers, sizeof(uint32_t))
        world.chosen.last = <uint32_t*>self._take(observers, sizeof(uint32_t))
        self.free_slots = <uint32_t*>self._take(entities, sizeof(uint32_t))
        self.slot_row = <uint32_t*>self._take(entities, sizeof(uint32_t))
        self.free_first, self.free_count = 0, entities
        for i in range(entities):
            self.free_slots[i] = i
        return 0

    def set_columns(self, kind: int, columns: list, capacity: int) -> None:
        """Where the values of class `kind` stand: one C-contiguous NumPy array per field that travels.

        Shape (capacity,) or (capacity, lanes), in the order of the components. They are kept; rows 0 to count(kind) - 1
        are alive. ValueError if they do not fit the class.
        """
        cdef EntityKind* table = &self.table.kinds[kind]
        cdef KindRows* rows = &self.state.rows[kind]
        cdef uint32_t f
        if not 0 <= kind < self.table.count or len(columns) != table.fields or capacity < 1 or rows.slots != NULL:
            raise ValueError("no such class, not its number of fields, or columns set twice")
        for f, column in enumerate(columns):
            lanes = table.first[f + 1] - table.first[f]
            shape = (capacity,) if column.ndim == 1 else (capacity, lanes)
            if column.dtype not in _COLUMN_TYPES or column.shape != shape or not column.flags.c_contiguous or \
                    (column.ndim == 1 and lanes != 1):
                raise ValueError(f"field {f}: an array of {capacity} rows and {lanes} lanes is needed")
            rows.column[f].data = <void*><size_t>column.ctypes.data
            rows.column[f].lanes = lanes
            rows.column[f].type = _COLUMN_TYPES[column.dtype]
        rows.slots = <uint32_t*>self._take(capacity, sizeof(uint32_t))
        rows.capacity = capacity
        self.columns.append(columns)

    def reserve(self, kind: int, owner: int = 0) -> int:
        """Take a slot for a new entity of class `kind`; its handle, or 0 if the world is full.

        owner: handle of the observer who sees its owner-only fields; 0 nobody. It is nowhere yet: see place().
        CapacityError if its class is always relevant and as many as there may be are so already.
        """
        cdef Slot* slot
        cdef uint32_t index
        if not 0 <= kind < self.table.count:
            raise ValueError(f"there is no class {kind}")
        if self.free_count == 0:
            return 0
        if self.state.kinds[kind].always and self.state.chosen.always_count == MAX_ALWAYS:
            raise CapacityError(_TOO_MANY)
        index = self.free_slots[self.free_first]
        self.free_first = (self.free_first + 1) % self.state.slots
        self.free_count -= 1
        slot = &self.state.slot[index]
        slot.generation = slot.generation % 0xFFFFFFFF + 1
        slot.kind, slot.owner, slot.visible_to, slot.last, slot.alive = kind, owner, ~<uint64_t>0, 0, 0
        memset(&self.state.place[index], 0, sizeof(Place))    # of its last life: not every class has three axes
        for group in range(self.table.groups):
            self.state.group_of[<size_t>group * self.state.slots + index] = 0
        own(&self.state.chosen, index, owner)
        choose_always(&self.state.chosen, index, self.state.kinds[kind].always)
        return <uint64_t>slot.generation << 32 | index

    def place(self, handle: int) -> int:
        """Give a reserved entity the next row of its class; the row, or -1 if the class has no row left."""
        cdef Slot* slot = self._slot(handle)
        cdef KindRows* rows
        if slot == NULL or slot.alive:
            raise ValueError(f"entity {handle:#x} is not reserved")
        rows = &self.state.rows[slot.kind]
        if rows.count == rows.capacity:
            return -1
        slot.alive = 1
        self.slot_row[<uint32_t><uint64_t>handle] = rows.count
        rows.slots[rows.count] = <uint32_t><uint64_t>handle
        rows.count += 1
        return rows.count - 1

    def remove(self, handle: int) -> tuple[int, int]:
        """Remove an entity; (its row, the last row): the caller moves the last row's values to its row. (-1, -1) if it
        was only reserved. ValueError for a stale handle."""
        cdef Slot* slot = self._slot(handle)
        cdef KindRows* rows
        cdef uint32_t row = 0
        if slot == NULL:
            raise ValueError(f"entity {handle:#x} is gone")
        rows = &self.state.rows[slot.kind]
        cdef bint placed = slot.alive
        if placed:
            row = self.slot_row[<uint32_t><uint64_t>handle]
            rows.count -= 1
            rows.slots[row] = rows.slots[rows.count]
            self.slot_row[rows.slots[row]] = row
        slot.alive, slot.owner, slot.last = 0, 0, 0
        disown(&self.state.chosen, <uint32_t><uint64_t>handle)
        choose_always(&self.state.chosen, <uint32_t><uint64_t>handle, False)
        self.state.place[<uint32_t><uint64_t>handle].generation = 0
        slot.kind = NOBODY              # no handle names it before it is reserved again
        self.free_slots[(self.free_first + self.free_count) % self.state.slots] = <uint32_t><uint64_t>handle
        self.free_count += 1
        if not placed:
            return -1, -1
        return row, rows.count

    cdef Slot* _slot(self, uint64_t handle) noexcept:
        cdef uint32_t index = <uint32_t><uint64_t>handle
        if index >= self.state.slots or self.state.slot[index].generation != handle >> 32 or \
                self.state.slot[index].kind == NOBODY:
            return NULL
        return &self.state.slot[index]

    def row_of(self, handle: int) -> int:
        """Row of an entity in its class; -1 if it is only reserved, -2 if the handle is stale."""
        cdef Slot* slot = self._slot(handle)
        if slot == NULL or handle == 0:
            return -2
        return self.slot_row[<uint32_t><uint64_t>handle] if slot.alive else -1

    def rows_of(self, handles):
        """Rows of many entities, int32, as row_of() gives them; handles: uint64."""
        cdef const uint64_t[::1] asked = np.ascontiguousarray(handles, np.uint64)
        cdef Py_ssize_t i
        cdef Slot* slot
        out = np.empty(asked.shape[0], np.int32)
        cdef int32_t[::1] rows = out
        for i in range(asked.shape[0]):
            slot = self._slot(asked[i])
            rows[i] = -2 if slot == NULL or asked[i] == 0 else \
                <int32_t>self.slot_row[<uint32_t>asked[i]] if slot.alive else -1
        return out

    def kind_of(self, handle: int) -> int:
        """Type id of an entity, -1 if the handle is stale."""
        cdef Slot* slot = self._slot(handle)
        return -1 if slot == NULL or handle == 0 else slot.kind

    def owner_of(self, handle: int) -> int:
        """Handle of its owner, 0 if it has none or is gone."""
        cdef Slot* slot = self._slot(handle)
        return 0 if slot == NULL else slot.owner

    def give(self, handle: int, owner: int) -> None:
        """Change the owner; its fields travel whole to the new one. ValueError for a stale handle."""
        cdef Slot* slot = self._slot(handle)
        if slot == NULL:
            raise ValueError(f"entity {handle:#x} is gone")
        if slot.owner != <uint64_t>owner:
            own(&self.state.chosen, <uint32_t><uint64_t>handle, owner)
        slot.owner = owner

    def set_always(self, handles, on: bool) -> None:
        """Let all observers see the entities at any distance, as far as masks allow, or no longer.

        handles: uint64, one or many. ValueError for a stale one, CapacityError if too many would be so; then none is
        changed.
        """
        cdef const uint64_t[::1] asked = np.unique(np.ascontiguousarray(handles, np.uint64))
        cdef Chosen* chosen = &self.state.chosen
        cdef Py_ssize_t i, fresh = 0
        self._check(asked)
        for i in range(asked.shape[0]):
            fresh += chosen.always_at[<uint32_t>asked[i]] == 0
        if on and chosen.always_count + fresh > MAX_ALWAYS:
            raise CapacityError(_TOO_MANY)
        for i in range(asked.shape[0]):
            choose_always(chosen, <uint32_t>asked[i], on)

    cdef int _check(self, const uint64_t[::1] handles) except -1:
        """ValueError if one of them is gone."""
        cdef Py_ssize_t i
        for i in range(handles.shape[0]):
            if handles[i] == 0 or self._slot(handles[i]) == NULL:
                raise ValueError(f"entity {handles[i]:#x} is gone")
        return 0

    def set_visible_to(self, handles, mask: int) -> None:
        """Who may see the entities: their owners, and observers whose `sees` shares a bit with `mask`.

        handles: uint64, one or many. ValueError for a stale one, and then none is changed.
        """
        cdef const uint64_t[::1] asked = np.ascontiguousarray(handles, np.uint64)
        cdef uint64_t bits = mask
        cdef Py_ssize_t i
        self._check(asked)
        for i in range(asked.shape[0]):
            self.state.slot[<uint32_t>asked[i]].visible_to = bits
        self.masked = True

    def set_group(self, group: int, handles, numbers) -> None:
        """Which group of sort `group` the entities (uint64) are of: a number each (uint32), 0 none. ValueError for a
        handle that is gone, and then none is changed."""
        cdef const uint64_t[::1] asked = np.ascontiguousarray(handles, np.uint64)
        cdef const uint32_t[::1] given = np.ascontiguousarray(numbers, np.uint32)
        cdef uint32_t* number
        cdef Py_ssize_t i
        if not 0 <= group < self.table.groups or given.shape[0] != asked.shape[0]:
            raise ValueError(f"there is no group {group}, or not a number for each entity")
        number = &self.state.group_of[<size_t>group * self.state.slots]
        self._check(asked)
        for i in range(asked.shape[0]):
            number[<uint32_t>asked[i]] = given[i]

    def count(self, kind: int) -> int:
        """Rows alive of a class."""
        return self.state.rows[kind].count if 0 <= kind < self.table.count else 0

    def handles(self, kind: int):
        """Handles of the rows of a class, uint64, a copy."""
        cdef KindRows* rows = &self.state.rows[kind]
        cdef uint32_t i
        if not 0 <= kind < self.table.count:
            raise ValueError(f"there is no class {kind}")
        out = np.empty(rows.count, np.uint64)
        cdef uint64_t[::1] view = out
        for i in range(rows.count):
            view[i] = <uint64_t>self.state.slot[rows.slots[i]].generation << 32 | rows.slots[i]
        return out

    def published(self, handle: int) -> list[int] | None:
        """Quanta of an entity at the tick published last; None if it is gone or not published yet."""
        cdef Slot* slot = self._slot(handle)
        cdef const int32_t* state
        if slot == NULL or slot.last == 0:
            return None
        state = state_at(&self.state, slot.last, <uint32_t><uint64_t>handle)
        return [state[i] for i in range(self.table.kinds[slot.kind].components)]

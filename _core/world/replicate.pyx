"""Python door to the world: entities, columns, publishing, replication. A handful of calls a tick at any load."""
from cython cimport final
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from shadowland._core.base.pages cimport HUGE_PAGE, pages_free, pages_zeroed
from shadowland._core.base.records cimport (
    EVENT_JOINED, EVENT_LEFT, EVENT_SNAPSHOT_ACKED, EVENT_SNAPSHOT_LOST, EventRecord)
from shadowland._core.world.columns cimport HISTORY, KindTable
from shadowland._core.world.grid cimport MAX_REACH, MIN_BUCKETS, GridItem, grid_add, grid_clear, grid_finish
from shadowland._core.world.reference cimport MAX_SEATS, observer_reset, token_acked, token_lost
from shadowland._core.world.state cimport (
    COLUMN_BOOL, COLUMN_FLOAT32, COLUMN_FLOAT64, COLUMN_INT8, COLUMN_INT16, COLUMN_INT32, COLUMN_INT64, COLUMN_UINT8,
    COLUMN_UINT16, COLUMN_UINT32, KindRows, publish_row)

import numpy as np

from shadowland._core.base.records import EVENT_DTYPE as _EVENT_DTYPE
from shadowland._core.base.records import MESSAGE_DTYPE as _MESSAGE_DTYPE

_COLUMN_TYPES = {
    np.dtype(np.float32): COLUMN_FLOAT32, np.dtype(np.float64): COLUMN_FLOAT64, np.dtype(np.bool_): COLUMN_BOOL,
    np.dtype(np.int8): COLUMN_INT8, np.dtype(np.int16): COLUMN_INT16, np.dtype(np.int32): COLUMN_INT32,
    np.dtype(np.int64): COLUMN_INT64, np.dtype(np.uint8): COLUMN_UINT8, np.dtype(np.uint16): COLUMN_UINT16,
    np.dtype(np.uint32): COLUMN_UINT32,
}
MAX_TICK_STEP = HISTORY // 2

cdef enum:
    BLOCK = 64                          # observers: looked at and sent to while their seats are in the cache


@final
cdef class World:
    """Entities and what each observer is told of them. Wrapped by shadowland.world.World, which games use.

    table: the classes; complete, as it is copied by reference. hz: ticks a second (1 to 1000). entities: slots in all.
    observers: connection slots. cell: edge of a grid cell, layer: its height (0: one layer), both in user units.
    seats: entities an observer may know at once. max_payload: bytes of a snapshot. channel: of its records.

    clock: None, or a function that counts nanoseconds (time.perf_counter_ns): timing_ns then holds what the last tick's
    publish, grid, interest and encode took.

    An entity's handle, like a connection's, is generation << 32 | slot; 0 is none.
    """
    def __cinit__(self, KindTable table, hz: int, entities: int, observers: int, cell: float, *, layer: float = 0.0,
                  seats: int = 256, max_payload: int = 1100, channel: int = 5):
        cdef Replication* r = &self.r
        cdef Entry* entries
        cdef size_t i
        memset(r, 0, sizeof(Replication))
        if not (0 < entities < 2**31 and 0 < observers < 2**24 and 0 < seats <= MAX_SEATS and 1 <= hz <= 1000):
            raise ValueError(f"entities, observers, seats (at most {MAX_SEATS}) and hz (at most 1000) must be positive")
        if not (cell > 0 and layer >= 0) or not 64 + table.stride * 5 <= max_payload <= 65000:
            raise ValueError("cell must be above 0, and max_payload hold the largest record")
        self.table = table
        self.columns, self.memory = [], []
        self.timing_ns = {}
        self.clock = None
        r.seats, r.max_payload, r.observer_count, r.channel = seats, max_payload, observers, channel
        self._make_state(hz, entities, cell, layer)
        r.observers = <Observer*>self._take(observers, sizeof(Observer))
        entries = <Entry*>self._take(<size_t>observers * <size_t>seats, sizeof(Entry))
        for i in range(<size_t>observers):
            r.observers[i].entries = entries + i * r.seats
        r.encoding_capacity = 4 * entities + 1024
        r.encodings = <Encoding*>self._take(r.encoding_capacity, sizeof(Encoding))
        r.bodies_capacity = <size_t>r.encoding_capacity * min(RECORD_BYTES, 5 * table.stride) + RECORD_BYTES
        r.bodies_capacity = min(r.bodies_capacity, 2**32 - 1)
        r.bodies = <uint8_t*>self._take(r.bodies_capacity, 1)
        r.hits = <GridHit*>self._take(entities, sizeof(GridHit))
        r.ranks = <Ranked*>self._take(max(entities, seats), sizeof(Ranked))
        r.queue = <QueueItem*>self._take(seats, sizeof(QueueItem))
        r.marks = <uint64_t*>self._take(entities, sizeof(uint64_t))
        self._make_outbox(observers, max_payload)

    cdef int _make_state(self, uint32_t hz, uint32_t entities, double cell, double layer) except -1:
        cdef WorldState* world = &self.r.world
        cdef uint32_t buckets = MIN_BUCKETS, i
        while buckets < 2 * entities:
            buckets *= 2
        world.hz, world.slots, world.stride = hz, entities, self.table.stride
        world.kinds, world.kind_count = self.table.kinds, self.table.count
        world.rows = <KindRows*>self._take(MAX_KINDS, sizeof(KindRows))
        world.slot = <Slot*>self._take(entities, sizeof(Slot))
        world.place = <Place*>self._take(entities, sizeof(Place))
        world.history = <int32_t*>self._take(<size_t>HISTORY * entities, world.stride * sizeof(int32_t))
        world.field_changed = <uint32_t*>self._take(entities, world.stride * sizeof(uint32_t))
        world.grid.items = <GridItem*>self._take(entities, sizeof(GridItem))
        world.grid.unsorted = <GridItem*>self._take(entities, sizeof(GridItem))
        world.grid.buckets = <uint32_t*>self._take(entities, sizeof(uint32_t))
        world.grid.starts = <uint32_t*>self._take(buckets + 1, sizeof(uint32_t))
        world.grid.mask, world.grid.capacity, world.grid.cell, world.grid.layer = buckets - 1, entities, cell, layer
        self.free_slots = <uint32_t*>self._take(entities, sizeof(uint32_t))
        self.slot_row = <uint32_t*>self._take(entities, sizeof(uint32_t))
        self.free_first, self.free_count = 0, entities
        for i in range(entities):
            self.free_slots[i] = i
        for i in range(self.table.count):
            self.r.radius2[i], self.r.leave2[i] = world.kinds[i].radius2, world.kinds[i].leave2
            self.r.reach = max(self.r.reach, world.kinds[i].radius)
        if self.r.reach / cell >= MAX_REACH or (layer > 0 and self.r.reach / layer >= MAX_REACH):
            raise ValueError(f"radius {self.r.reach:g} is {MAX_REACH} cells or more; make the grid's cells larger")
        return 0

    cdef int _make_outbox(self, size_t observers, size_t max_payload) except -1:
        cdef uint8_t[::1] arena, records
        self.r.out_capacity = 2 * observers + DATAGRAMS
        self.r.arena_capacity = self.r.out_capacity * max_payload
        self.out_records = np.zeros(self.r.out_capacity, _MESSAGE_DTYPE)
        self.out_arena = np.zeros(self.r.arena_capacity, np.uint8)
        records, arena = self.out_records.view(np.uint8), self.out_arena
        self.r.out, self.r.arena = <MessageRecord*>&records[0], &arena[0]
        return 0

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

    # --- entities

    def set_columns(self, kind: int, columns: list, capacity: int) -> None:
        """Where the values of class `kind` stand: one C-contiguous NumPy array per field that travels.

        Shape (capacity,) or (capacity, lanes), in the order of the components. They are kept; rows 0 to count(kind) - 1
        are alive. ValueError if they do not fit the class.
        """
        cdef EntityKind* table = &self.table.kinds[kind]
        cdef KindRows* rows = &self.r.world.rows[kind]
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
        """
        cdef Slot* slot
        cdef uint32_t index
        if not 0 <= kind < self.table.count:
            raise ValueError(f"there is no class {kind}")
        if self.free_count == 0:
            return 0
        index = self.free_slots[self.free_first]
        self.free_first = (self.free_first + 1) % self.r.world.slots
        self.free_count -= 1
        slot = &self.r.world.slot[index]
        slot.generation = slot.generation % 0xFFFFFFFF + 1
        slot.kind, slot.owner, slot.visible_to, slot.last, slot.alive = kind, owner, ~<uint64_t>0, 0, 0
        memset(&self.r.world.place[index], 0, sizeof(Place))    # of its last life: not every class has three axes
        return <uint64_t>slot.generation << 32 | index

    def place(self, handle: int) -> int:
        """Give a reserved entity the next row of its class; the row, or -1 if the class has no row left."""
        cdef Slot* slot = self._slot(handle)
        cdef KindRows* rows
        if slot == NULL or slot.alive:
            raise ValueError(f"entity {handle:#x} is not reserved")
        rows = &self.r.world.rows[slot.kind]
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
        rows = &self.r.world.rows[slot.kind]
        cdef bint placed = slot.alive
        if placed:
            row = self.slot_row[<uint32_t><uint64_t>handle]
            rows.count -= 1
            rows.slots[row] = rows.slots[rows.count]
            self.slot_row[rows.slots[row]] = row
        slot.alive, slot.owner, slot.last = 0, 0, 0
        self.r.world.place[<uint32_t><uint64_t>handle].generation = 0
        slot.kind = 0xFF                # no handle names it before it is reserved again
        self.free_slots[(self.free_first + self.free_count) % self.r.world.slots] = <uint32_t><uint64_t>handle
        self.free_count += 1
        if not placed:
            return -1, -1
        return row, rows.count

    cdef Slot* _slot(self, uint64_t handle) noexcept:
        cdef uint32_t index = <uint32_t><uint64_t>handle
        if index >= self.r.world.slots or self.r.world.slot[index].generation != handle >> 32 or \
                self.r.world.slot[index].kind == 0xFF:
            return NULL
        return &self.r.world.slot[index]

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
        slot.owner = owner

    def set_visible_to(self, handle: int, mask: int) -> None:
        """Who may see the entity: its owner, and observers whose `sees` shares a bit. ValueError for a stale handle."""
        cdef Slot* slot = self._slot(handle)
        if slot == NULL or handle == 0:
            raise ValueError(f"entity {handle:#x} is gone")
        slot.visible_to, self.r.masked = mask, True

    def count(self, kind: int) -> int:
        """Rows alive of a class."""
        return self.r.world.rows[kind].count if 0 <= kind < self.table.count else 0

    def handles(self, kind: int):
        """Handles of the rows of a class, uint64, a copy."""
        cdef KindRows* rows = &self.r.world.rows[kind]
        cdef uint32_t i
        if not 0 <= kind < self.table.count:
            raise ValueError(f"there is no class {kind}")
        out = np.empty(rows.count, np.uint64)
        cdef uint64_t[::1] view = out
        for i in range(rows.count):
            view[i] = <uint64_t>self.r.world.slot[rows.slots[i]].generation << 32 | rows.slots[i]
        return out

    # --- observers

    def watch(self, observer: int, avatar: int) -> None:
        """The observer in slot `observer` looks from the entity `avatar` (a handle; 0: it sees nothing)."""
        if not 0 <= observer < self.r.observer_count:
            raise ValueError(f"there is no observer slot {observer}")
        self.r.observers[observer].avatar = avatar

    def set_sees(self, observer: int, mask: int) -> None:
        """The observer in slot `observer` is shown what is visible to one of these bits. JOINED sets all of them."""
        if not 0 <= observer < self.r.observer_count:
            raise ValueError(f"there is no observer slot {observer}")
        self.r.observers[observer].sees, self.r.masked = mask, True

    def events(self, events) -> None:
        """Take EVENT_DTYPE records: joined, left, snapshot acked, snapshot lost. Others are none of the world's.

        Events that name an observer who is not (or no longer) there change nothing.
        """
        cdef const uint8_t[::1] raw
        cdef const EventRecord* records
        cdef size_t i, count = len(events)
        cdef Observer* observer
        if events.dtype != _EVENT_DTYPE:
            raise ValueError("events must be of EVENT_DTYPE")
        if count == 0:
            return
        raw = np.ascontiguousarray(events).view(np.uint8)
        records = <const EventRecord*>&raw[0]
        with nogil:
            for i in range(count):
                if <uint32_t>records[i].connection >= self.r.observer_count:
                    continue
                observer = &self.r.observers[<uint32_t>records[i].connection]
                if records[i].kind == EVENT_JOINED:
                    observer_reset(observer, records[i].connection, self.r.seats)
                elif observer.handle != records[i].connection:
                    continue
                elif records[i].kind == EVENT_LEFT:
                    observer_reset(observer, 0, self.r.seats)
                elif records[i].kind == EVENT_SNAPSHOT_ACKED:
                    token_acked(observer, records[i].token, self.r.world.tick)
                elif records[i].kind == EVENT_SNAPSHOT_LOST:
                    token_lost(observer, records[i].token)

    # --- a tick

    cdef object _clock(self):
        return 0 if self.clock is None else self.clock()

    @property
    def tick(self) -> int:
        """The tick published last, 0 before the first."""
        return self.r.world.tick

    def publish(self, tick: int) -> None:
        """Quantize all columns as the state of `tick` and sort the entities into the grid.

        tick: 1 to 32 above the last one (the first may be any from 1); ValueError otherwise.
        """
        cdef WorldState* world = &self.r.world
        cdef uint32_t kind, row, number = tick, index
        cdef const Place* at
        if not 0 < tick < 2**32 or (world.tick and not 0 < tick - world.tick <= MAX_TICK_STEP):
            raise ValueError(f"tick {tick} does not follow {world.tick} (1 to {MAX_TICK_STEP} above it)")
        started = self._clock()
        with nogil:
            for kind in range(world.kind_count):
                for row in range(world.rows[kind].count):
                    publish_row(world, kind, row, number)
            world.tick = number
        published = self._clock()
        with nogil:
            grid_clear(&world.grid)
            for kind in range(world.kind_count):
                for row in range(world.rows[kind].count):
                    index = world.rows[kind].slots[row]
                    at = &world.place[index]
                    grid_add(&world.grid, index, kind, at.x, at.y, at.z)
            grid_finish(&world.grid)
        self.timing_ns["publish"], self.timing_ns["grid"] = published - started, self._clock() - published

    def replicate(self, observers, budgets, now_us: int = 0) -> int:
        """Make the snapshots of the tick published last; the number of datagrams in `outbox`.

        observers: uint32 slots, each at most once. budgets: uint32 bytes each may be sent now; 0: nothing this tick.
        """
        cdef const uint32_t[::1] slots = np.ascontiguousarray(observers, np.uint32)
        cdef const uint32_t[::1] bytes_ = np.ascontiguousarray(budgets, np.uint32)
        cdef Replication* r = &self.r
        cdef Py_ssize_t i, first, last, count = slots.shape[0]
        if bytes_.shape[0] != count:
            raise ValueError("as many budgets as observers are needed")
        r.out_count, r.arena_used, r.now_us = 0, 0, now_us
        r.encoding_count, r.bodies_used = 0, 0
        r.round += 1
        if r.world.tick == 0:
            return 0                    # nothing was published yet
        r.stats.entering = r.stats.leaving = r.stats.oldest_wait_ticks = 0
        started = self._clock()
        interest = encode = 0
        for first in range(0, count, BLOCK):
            last = min(first + BLOCK, count)
            with nogil:
                for i in range(first, last):
                    if slots[i] < r.observer_count and may_send(r, &r.observers[slots[i]], bytes_[i]):
                        update_interest(r, &r.observers[slots[i]])
            looked = self._clock()
            interest += looked - started
            with nogil:
                for i in range(first, last):
                    if slots[i] >= r.observer_count:
                        continue
                    if may_send(r, &r.observers[slots[i]], bytes_[i]):
                        send_snapshot(r, &r.observers[slots[i]], bytes_[i])
                    elif bytes_[i] and r.observers[slots[i]].handle:
                        r.stats.stalled += 1
            started = self._clock()
            encode += started - looked
        self.timing_ns["interest"], self.timing_ns["encode"] = interest, encode
        return r.out_count

    def near(self, x: float, y: float, z: float, radius: float):
        """Handles (uint64) of all entities published within `radius` (less than 64 grid cells) of a point."""
        cdef double radius2[MAX_KINDS]
        cdef WorldState* world = &self.r.world
        cdef uint32_t i, found
        if not 0 <= radius < MAX_REACH * world.grid.cell or \
                (world.grid.layer > 0 and radius >= MAX_REACH * world.grid.layer):
            raise ValueError(f"radius {radius} is not below {MAX_REACH} cells")
        for i in range(world.kind_count):
            radius2[i] = <double>radius * <double>radius
        found = grid_query(&world.grid, x, y, z, radius, radius2, self.r.hits)
        out = np.empty(found, np.uint64)
        cdef uint64_t[::1] handles = out
        for i in range(found):
            handles[i] = <uint64_t>world.slot[self.r.hits[i].slot].generation << 32 | self.r.hits[i].slot
        return out

    @property
    def outbox(self):
        """(records of MESSAGE_DTYPE, arena of uint8): what replicate() made. Views, valid until its next call."""
        return self.out_records[:self.r.out_count], self.out_arena[:self.r.arena_used]

    @property
    def stats(self) -> dict[str, int]:
        """Totals since the start (entering, leaving and oldest_wait_ticks: of the last tick)."""
        return {**self.r.stats, "refused_values": self.r.world.stats.refused,
                "saturated_values": self.r.world.stats.saturated}

    def published(self, handle: int) -> list[int] | None:
        """Quanta of an entity at the tick published last; None if it is gone or not published yet."""
        cdef Slot* slot = self._slot(handle)
        cdef const int32_t* state
        if slot == NULL or slot.last == 0:
            return None
        state = state_at(&self.r.world, slot.last, <uint32_t><uint64_t>handle)
        return [state[i] for i in range(self.table.kinds[slot.kind].components)]

"""Python door to the world: entities, columns, publishing, replication. A handful of calls a tick at any load."""
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.base.pages cimport prefetch
from shadowland._core.base.records cimport (
    EVENT_JOINED, EVENT_LEFT, EVENT_SNAPSHOT_ACKED, EVENT_SNAPSHOT_LOST, EventRecord, MessageRecord)
from shadowland._core.world.chosen cimport MAX_ALWAYS, MAX_OWNED
from shadowland._core.world.columns cimport HISTORY, KindTable
from shadowland._core.world.entities cimport Entities
from shadowland._core.world.grid cimport MAX_REACH, GridHit, grid_add, grid_clear, grid_finish
from shadowland._core.world.interest cimport Interest, update_interest
from shadowland._core.world.rank cimport Ranked
from shadowland._core.world.record cimport RECORD_BYTES
from shadowland._core.world.reference cimport (
    MAX_SEATS, Entry, Observer, fetch_observer, observer_reset, token_acked, token_lost)
from shadowland._core.world.state cimport Place, WorldState, publish_row

import numpy as np

from shadowland._core.base.records import EVENT_DTYPE as _EVENT_DTYPE
from shadowland._core.base.records import MESSAGE_DTYPE as _MESSAGE_DTYPE

MAX_TICK_STEP = HISTORY // 2

cdef enum:
    BLOCK = 64                          # observers: looked at and sent to while their seats are in the cache
    AHEAD = 8                           # so many observers before its turn the memory is asked for its first line


@final
cdef class World(Entities):
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
        self.timing_ns = {}
        self.clock = None
        r.world, r.interest.seats = &self.state, seats
        r.max_payload, r.observer_count, r.channel = max_payload, observers, channel
        self._make_state(hz, entities, observers, cell, layer)
        self._make_interest(cell, layer)
        r.observers = <Observer*>self._take(observers, sizeof(Observer))
        entries = <Entry*>self._take(<size_t>observers * <size_t>seats, sizeof(Entry))
        for i in range(<size_t>observers):
            r.observers[i].entries = entries + i * <size_t>r.interest.seats
        r.encoding_capacity = 4 * entities + 1024
        r.encodings = <Encoding*>self._take(r.encoding_capacity, sizeof(Encoding))
        r.bodies_capacity = <size_t>r.encoding_capacity * min(RECORD_BYTES, 5 * table.stride) + RECORD_BYTES
        r.bodies_capacity = min(r.bodies_capacity, 2**32 - 1)
        r.bodies = <uint8_t*>self._take(r.bodies_capacity, 1)
        r.interest.hits = <GridHit*>self._take(entities, sizeof(GridHit))
        r.interest.chosen = <uint32_t*>self._take(MAX_ALWAYS + MAX_OWNED + 1, sizeof(uint32_t))
        r.interest.ranks = <Ranked*>self._take(max(entities, seats), sizeof(Ranked))
        r.queue = <QueueItem*>self._take(seats, sizeof(QueueItem))
        r.interest.marks = <uint64_t*>self._take(entities, sizeof(uint64_t))
        self._make_outbox(observers, max_payload)

    cdef int _make_interest(self, double cell, double layer) except -1:
        cdef Interest* look = &self.r.interest
        cdef uint32_t i
        for i in range(self.table.count):
            look.radius2[i], look.leave2[i] = self.state.kinds[i].radius2, self.state.kinds[i].leave2
            look.reach = max(look.reach, self.state.kinds[i].radius)
        if look.reach / cell >= MAX_REACH or (layer > 0 and look.reach / layer >= MAX_REACH):
            raise ValueError(f"radius {look.reach:g} is {MAX_REACH} cells or more; make the grid's cells larger")
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

    # --- observers

    def watch(self, observer: int, avatar: int) -> None:
        """The observer in slot `observer` looks from the entity `avatar` (a handle; 0: from nowhere)."""
        if not 0 <= observer < self.r.observer_count:
            raise ValueError(f"there is no observer slot {observer}")
        self.r.observers[observer].avatar = avatar

    def set_sees(self, observer: int, mask: int) -> None:
        """The observer in slot `observer` is shown what is visible to one of these bits. JOINED sets all of them."""
        if not 0 <= observer < self.r.observer_count:
            raise ValueError(f"there is no observer slot {observer}")
        self.r.observers[observer].sees, self.masked = mask, True

    def oldest_wait(self, observer: int) -> int:
        """Ticks that the oldest record due to the observer had waited when it was sent to last, 0 none."""
        if not 0 <= observer < self.r.observer_count:
            raise ValueError(f"there is no observer slot {observer}")
        return self.r.observers[observer].oldest_wait

    def sees(self, observer: int) -> int:
        """The bits that set_sees() set."""
        if not 0 <= observer < self.r.observer_count:
            raise ValueError(f"there is no observer slot {observer}")
        return self.r.observers[observer].sees

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
                    observer_reset(observer, records[i].connection, self.r.interest.seats)
                elif observer.handle != records[i].connection:
                    continue
                elif records[i].kind == EVENT_LEFT:
                    observer_reset(observer, 0, self.r.interest.seats)
                elif records[i].kind == EVENT_SNAPSHOT_ACKED:
                    token_acked(observer, records[i].token, self.state.tick)
                elif records[i].kind == EVENT_SNAPSHOT_LOST:
                    token_lost(observer, records[i].token)

    # --- a tick

    cdef object _clock(self):
        return 0 if self.clock is None else self.clock()

    @property
    def tick(self) -> int:
        """The tick published last, 0 before the first."""
        return self.state.tick

    def publish(self, tick: int) -> None:
        """Quantize all columns as the state of `tick` and sort the entities into the grid.

        tick: 1 to 32 above the last one (the first may be any from 1); ValueError otherwise.
        """
        cdef WorldState* world = &self.state
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
        r.interest.masked = self.masked
        if r.world.tick == 0:
            return 0                    # nothing was published yet
        r.stats.entering = r.stats.leaving = r.stats.oldest_wait_ticks = 0
        started = self._clock()
        interest = encode = 0
        for first in range(0, count, BLOCK):
            last = min(first + BLOCK, count)
            with nogil:
                for i in range(first, last):
                    if i + AHEAD < count and slots[i + AHEAD] < r.observer_count:
                        prefetch(&r.observers[slots[i + AHEAD]])
                    if i + 2 < count and slots[i + 2] < r.observer_count:
                        fetch_observer(&r.observers[slots[i + 2]])
                    if slots[i] < r.observer_count and may_send(r, &r.observers[slots[i]], bytes_[i]):
                        update_interest(&r.interest, r.world, &r.observers[slots[i]])
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

    @property
    def outbox(self):
        """(records of MESSAGE_DTYPE, arena of uint8): what replicate() made. Views, valid until its next call."""
        return self.out_records[:self.r.out_count], self.out_arena[:self.r.arena_used]

    @property
    def stats(self) -> dict[str, int]:
        """Totals since the start (entering, leaving and oldest_wait_ticks: of the last tick)."""
        return {**self.r.stats, "unseated": self.r.interest.unseated, "refused_values": self.state.stats.refused,
                "saturated_values": self.state.stats.saturated}

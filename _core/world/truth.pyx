"""Python door to the truth ring: the server writes it, bots in another process verify their views against it."""
from cython cimport final
from libc.math cimport sqrt
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from shadowland._core.world.columns cimport MAX_COMPONENTS, SHOW_OWNER, KindTable
from shadowland._core.world.priority cimport farness_of
from shadowland._core.world.replicate cimport World
from shadowland._core.world.view cimport Views

import mmap
import os


@final
cdef class Truth:
    """The ring in the file `path`. Give `world` to create and write it, `table` alone to read what another one writes.

    ValueError if the file is not such a ring, or of another world than the table's.
    """
    cdef KindTable table
    cdef World world
    cdef object mapping
    cdef uint8_t[::1] raw
    cdef uint8_t* base
    cdef TruthHeader* header
    cdef uint32_t* since                # views x slots: tick at which it became wrong, and EPISODE_COUNTED
    cdef size_t since_views
    cdef uint32_t* seat_of              # slots: seat + 1 in the view being looked at
    cdef VerifyStats stats_

    def __init__(self, path: str, KindTable table, World world = None) -> None:
        cdef TruthHeader header
        self.table, self.world = table, world
        if world is not None:
            memset(&header, 0, sizeof(header))
            header.magic, header.hz = TRUTH_MAGIC, world.state.hz
            header.slots, header.stride = world.state.slots, world.state.stride
            header.observers = world.r.observer_count
            size = sizeof(TruthHeader) + RING * truth_tick_size(&header)
            with open(path, "wb") as file:
                file.write((<const char*>&header)[:sizeof(header)])
                file.truncate(size)
        with open(path, "r+b") as file:
            if os.fstat(file.fileno()).st_size < <Py_ssize_t>sizeof(TruthHeader):
                raise ValueError(f"{path}: too short to be a ring of truth")
            self.mapping = mmap.mmap(file.fileno(), 0)
        self.raw = self.mapping
        self.base = &self.raw[0]
        self.header = <TruthHeader*>self.base
        size = sizeof(TruthHeader) + RING * truth_tick_size(self.header)
        if self.header.magic != TRUTH_MAGIC or self.raw.shape[0] < <Py_ssize_t>size or \
                self.header.stride != table.stride:
            raise ValueError(f"{path}: not a ring of truth, or one of another world")

    def __dealloc__(self):
        free(self.since)
        free(self.seat_of)

    def write(self, tick: int) -> None:
        """Quantize the world's columns as they are now as the truth of `tick`. Call it next to World.publish()."""
        cdef TruthTick now, before
        cdef const WorldState* state
        cdef uint32_t kind, row, number
        if self.world is None:
            raise ValueError("this ring is only read; give it the world to write it")
        state = &self.world.state
        now = truth_at(self.base, tick)
        before = truth_at(self.base, tick - 1)
        with nogil:
            now.tick[0] = 0
            truth_fence()
            memset(now.slot, 0, state.slots * sizeof(TruthSlot))
            for kind in range(state.kind_count):
                for row in range(state.rows[kind].count):
                    truth_write_row(state, &now, &before, kind, row)
            for number in range(self.header.observers):
                truth_write_observer(state, &self.world.r.observers[number], number, &now)
            truth_fence()
        now.tick[0] = tick

    def read(self, tick: int, handle: int) -> list[int] | None:
        """Quanta of an entity at `tick`; None if the ring does not hold it (any more)."""
        cdef TruthTick at = truth_at(self.base, tick)
        cdef uint32_t slot = <uint32_t><uint64_t>handle, i
        if at.tick[0] != tick or slot >= self.header.slots or at.slot[slot].generation != <uint64_t>handle >> 32 \
                or at.slot[slot].kind >= self.table.count:
            return None
        return [at.state[<size_t>slot * self.header.stride + i]
                for i in range(self.table.kinds[at.slot[slot].kind].components)]

    def verify(self, Views views, first: int = 0, count: int = -1) -> int:
        """Hold views `first` to `first + count - 1` (-1: all) against the truth of their ticks; mismatches so far.

        A pair of view and entity that is wrong for over half a second counts once, until it was right again. Wrong is:
        off by more than the tolerance; missing within radius - hysteresis or, if it is seen at any distance, at all;
        present beyond radius + hysteresis if it is not, or dead. A pair that is present although masks keep it apart
        counts each time that it is looked at.
        """
        cdef size_t view, begin = first, end = views.v.views if count < 0 else min(first + count, views.v.views)
        if self.since == NULL or self.since_views != views.v.views:
            free(self.since)
            free(self.seat_of)
            self.since = <uint32_t*>calloc(<size_t>views.v.views * self.header.slots, sizeof(uint32_t))
            self.seat_of = <uint32_t*>calloc(self.header.slots, sizeof(uint32_t))
            self.since_views = views.v.views
            if self.since == NULL or self.seat_of == NULL:
                raise MemoryError("marks for the views to verify")
        if views.v.stride != self.header.stride:
            raise ValueError("views of another world")
        self.stats_.off = self.stats_.missing = self.stats_.ghosts = 0
        with nogil:
            for view in range(begin, end):
                self._verify_view(&views.v, <uint32_t>view)
        return self.stats_.mismatches

    def forget(self, view: int) -> None:
        """Begin anew with a view: its session ended or begins."""
        if self.since != NULL and 0 <= view < self.since_views:
            memset(&self.since[<size_t>view * self.header.slots], 0, self.header.slots * sizeof(uint32_t))

    @property
    def stats(self) -> dict[str, int]:
        """checked, hidden, leaked, mismatches, unchecked so far; off, missing and ghosts of the last verify()."""
        return dict(self.stats_)

    cdef void _verify_view(self, ViewSet* v, uint32_t view) noexcept nogil:
        cdef uint32_t tick = v.newest[view], slot, seat, seated = 0
        cdef TruthTick at = truth_at(self.base, tick)
        cdef TruthLook look
        cdef uint32_t* since = &self.since[<size_t>view * self.header.slots]
        cdef uint32_t wrong
        if tick == 0 or at.tick[0] != tick or not self._look_of(v, view, &at, &look):
            self.stats_.unchecked += 1
            return
        memset(self.seat_of, 0, self.header.slots * sizeof(uint32_t))
        for seat in range(v.seats):
            if in_view(view_seat(v, view, seat)):
                seated += 1
                if view_seat(v, view, seat).slot < self.header.slots:
                    self.seat_of[view_seat(v, view, seat).slot] = seat + 1
        for slot in range(self.header.slots):
            wrong = self._wrong(v, view, slot, &at, &look, seated == v.seats)
            if wrong == 0:
                since[slot] = 0
            elif since[slot] == 0:
                since[slot] = tick & ~EPISODE_COUNTED
        truth_fence()
        if at.tick[0] != tick:
            return                      # written over meanwhile: what was read may be of two ticks
        for slot in range(self.header.slots):
            if since[slot] and not since[slot] & EPISODE_COUNTED and tick - since[slot] > self.header.hz // 2:
                since[slot] |= EPISODE_COUNTED
                self.stats_.mismatches += 1

    cdef bint _look_of(self, ViewSet* v, uint32_t view, const TruthTick* at, TruthLook* look) noexcept nogil:
        """Whose view it is, which it shows by what is its own, and where that one looks from; False if it owns nothing
        in truth."""
        cdef uint32_t seat, number, avatar
        cdef const Seat* sitting
        for seat in range(v.seats):
            sitting = view_seat(v, view, seat)
            if not in_view(sitting) or not v.audience[kept_at(v, view, seat) + sitting.newest] & SHOW_OWNER:
                continue
            if sitting.slot >= self.header.slots or at.slot[sitting.slot].generation != sitting.generation:
                continue
            number = <uint32_t>at.slot[sitting.slot].owner
            if at.slot[sitting.slot].owner == 0 or number >= self.header.observers or \
                    at.observer[number].handle != at.slot[sitting.slot].owner:
                continue
            look.who = &at.observer[number]
            avatar = <uint32_t>look.who.avatar
            look.looks = look.who.avatar != 0 and avatar < self.header.slots and \
                at.slot[avatar].generation == look.who.avatar >> 32 and at.slot[avatar].kind < self.table.count
            if look.looks:
                truth_place(&self.table.kinds[at.slot[avatar].kind],
                            &at.state[<size_t>avatar * self.header.stride], look.centre)
            return True
        return False

    cdef uint32_t _wrong(self, ViewSet* v, uint32_t view, uint32_t slot, const TruthTick* at, const TruthLook* look,
                         bint full) noexcept nogil:
        """1 if what the view has of this slot is wrong, now. `full`: it has no seat left, so nothing is missing."""
        cdef uint32_t seat = self.seat_of[slot], number = at.slot[slot].kind
        cdef const EntityKind* kind
        cdef const int32_t* truth = &at.state[<size_t>slot * self.header.stride]
        cdef int32_t seen[MAX_COMPONENTS]
        cdef const Seat* sitting = view_seat(v, view, seat - 1) if seat else NULL
        cdef bint may
        if at.slot[slot].generation == 0 or number >= self.table.count:
            self.stats_.ghosts += seat != 0
            return seat != 0
        kind = &self.table.kinds[number]
        may = truth_may_see(look.who, &at.slot[slot])
        if seat == 0:
            # Within radius - hysteresis, or at any distance.
            if full or not truth_reaches(look, at, slot, kind, truth, 2.0 * kind.radius - sqrt(kind.leave2)):
                return 0
            if not may:
                self.stats_.hidden += 1
                return 0
            self.stats_.missing += 1
            return 1
        self.stats_.checked += 1
        if sitting.generation == at.slot[slot].generation and not may:
            self.stats_.leaked += 1
            self.stats_.mismatches += 1
            return 0
        if sitting.generation != at.slot[slot].generation or \
                not truth_reaches(look, at, slot, kind, truth, sqrt(kind.leave2) * (1.0 + 1e-9)):
            self.stats_.ghosts += 1
            return 1
        view_state(v, view, seat - 1, v.newest[view], seen)
        if not truth_is_off(kind, truth, seen, v.audience[kept_at(v, view, seat - 1) + sitting.newest]):
            return 0
        if self._lags(v, view, seat - 1, slot, look, truth):
            return 0
        self.stats_.off += 1
        return 1

    cdef bint _lags(self, ViewSet* v, uint32_t view, uint32_t seat, uint32_t slot, const TruthLook* look,
                    const int32_t* truth) noexcept nogil:
        """What is far is told once in `far_ticks`: true if the view had it right at one of the last so many ticks."""
        cdef const Seat* sitting = view_seat(v, view, seat)
        cdef const EntityKind* kind = &self.table.kinds[sitting.kind]
        cdef size_t newest = kept_at(v, view, seat) + sitting.newest
        cdef uint32_t back, tick, axis
        cdef double place[3]
        cdef double distance2 = 0.0
        cdef TruthTick then
        cdef int32_t seen[MAX_COMPONENTS]
        truth_place(kind, truth, place)
        for axis in range(3):
            distance2 += (place[axis] - look.centre[axis]) * (place[axis] - look.centre[axis])
        if look.looks and farness_of(kind, distance2) + FAR_MARGIN < kind.far_from:
            return False
        for back in range(1, kind.far_ticks):
            tick = v.newest[view] - back
            if tick < v.ticks[newest]:
                return False
            then = truth_at(self.base, tick)
            if then.tick[0] != tick or then.slot[slot].generation != sitting.generation:
                return False
            view_state(v, view, seat, tick, seen)
            if not truth_is_off(kind, &then.state[<size_t>slot * self.header.stride], seen, v.audience[newest]):
                return True
        return False

"""Python door to views: what observers know. A client has one; a swarm has one a bot, fed in one call."""
from cython cimport final
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from shadowland._core.base.records cimport MESSAGE_UNDECODABLE, MessageRecord
from shadowland._core.world.columns cimport SHOW_OWNER, KindTable
from shadowland._core.world.reference cimport MAX_SEATS

import numpy as np

from shadowland._core.base.records import MESSAGE_DTYPE as _MESSAGE_DTYPE

OK = VIEW_OK
BAD_MESSAGE = VIEW_BAD_MESSAGE
UNDECODABLE = VIEW_UNDECODABLE
KNOWN_DTYPE = np.dtype([("handle", np.uint64), ("seat", np.uint32), ("kind", np.uint8), ("mine", np.bool_),
                        ("audience", np.uint8), ("tick", np.uint32)], align=True)


cdef void* _zeros(size_t count, size_t size) except NULL:
    cdef void* memory = calloc(count if count else 1, size)
    if memory == NULL:
        raise MemoryError(f"{count * size} bytes for views")
    return memory


@final
cdef class Views:
    """`views` observers' views of one world.

    table: the classes, the same as the server's. seats: entities a view holds, as on the server. history: states
    kept per entity (2 to 64); a server that gets acknowledgments late refers to older ones. Memory: views x seats x
    history x 4 bytes per component at most, touched as it is used.
    """

    def __cinit__(self, KindTable table, views: int = 1, seats: int = 256, history: int = 64):
        cdef ViewSet* v = &self.v
        memset(v, 0, sizeof(ViewSet))
        if not (0 < views < 2**24 and 0 < seats <= MAX_SEATS and 2 <= history <= 64) or table.count == 0:
            raise ValueError(f"views must be positive, seats 1 to {MAX_SEATS}, history 2 to 64, the table not empty")
        self.table = table
        v.kinds, v.kind_count, v.stride = table.kinds, table.count, table.stride
        v.views, v.seats, v.depth = views, seats, history
        cdef size_t places = <size_t>v.views * v.seats
        v.table = <Seat*>_zeros(places, sizeof(Seat))
        v.ticks = <uint32_t*>_zeros(places * v.depth, sizeof(uint32_t))
        v.audience = <uint8_t*>_zeros(places * v.depth, 1)
        v.states = <int32_t*>_zeros(places * v.depth, v.stride * sizeof(int32_t))
        v.newest = <uint32_t*>_zeros(v.views, sizeof(uint32_t))
        v.parsed = <Parsed*>_zeros(v.seats, sizeof(Parsed))
        v.parsed_states = <int32_t*>_zeros(v.seats, v.stride * sizeof(int32_t))

    def __dealloc__(self):
        free(self.v.table)
        free(self.v.ticks)
        free(self.v.audience)
        free(self.v.states)
        free(self.v.newest)
        free(self.v.parsed)
        free(self.v.parsed_states)

    cdef uint32_t _view(self, object view) except? 0xFFFFFFFF:
        if not 0 <= view < self.v.views:
            raise IndexError(f"there is no view {view}")
        return view

    @property
    def count(self) -> int:
        """Number of views."""
        return self.v.views

    def reset(self, view: int = 0) -> None:
        """Forget everything: the view of a new session."""
        cdef uint32_t index = self._view(view)
        memset(view_seat(&self.v, index, 0), 0, self.v.seats * sizeof(Seat))
        self.v.newest[index] = 0

    def apply(self, payload, view: int = 0, hint: int = 0) -> int:
        """Take one snapshot payload (bytes-like): OK, BAD_MESSAGE or UNDECODABLE; what is refused changes nothing.

        hint: about the world's tick, for the upper bits of the first snapshot's (16 are sent).
        """
        cdef const uint8_t[::1] data = payload
        cdef uint32_t index = self._view(view)
        if data.shape[0] == 0:
            return VIEW_BAD_MESSAGE
        return view_apply(&self.v, index, &data[0], data.shape[0], hint)

    def apply_records(self, records, arena, views, hint: int = 0) -> int:
        """Take a batch of snapshots in one call; the number taken.

        records: MESSAGE_DTYPE, C-contiguous, writable; payloads stand in `arena` (uint8). views: int32, the view of
        each record; a record with another number than a view's is left alone. Refused ones get flags |= UNDECODABLE,
        so that the endpoint withdraws their acknowledgment.
        """
        cdef uint8_t[::1] raw
        cdef const uint8_t[::1] payloads = arena
        cdef const int32_t[::1] indices = views
        cdef MessageRecord* message
        cdef Py_ssize_t i, taken = 0, count = len(records)
        cdef uint32_t near = hint
        cdef int status
        if records.dtype != _MESSAGE_DTYPE or indices.shape[0] != count:
            raise ValueError("records must be of MESSAGE_DTYPE, with a view number for each")
        if count == 0:
            return 0
        raw = records.view(np.uint8)
        message = <MessageRecord*>&raw[0]
        with nogil:
            for i in range(count):
                if indices[i] < 0 or <uint32_t>indices[i] >= self.v.views:
                    continue
                status = VIEW_BAD_MESSAGE
                if message[i].length != 0 and message[i].offset < payloads.shape[0] \
                        and message[i].length <= payloads.shape[0] - message[i].offset:
                    status = view_apply(&self.v, indices[i], &payloads[message[i].offset], message[i].length, near)
                if status == VIEW_OK:
                    taken += 1
                else:
                    message[i].flags |= MESSAGE_UNDECODABLE
        return taken

    def tick(self, view: int = 0) -> int:
        """Tick of the newest snapshot, 0 before the first."""
        return self.v.newest[self._view(view)]

    def known(self, view: int = 0):
        """All entities in view: an array of KNOWN_DTYPE (handle, seat, kind, mine, audience set, tick of its newest
        record), a copy, in order of seats."""
        cdef uint32_t index = self._view(view), seat, count = 0
        cdef const Seat* sitting
        cdef size_t at
        out = np.zeros(self.v.seats, KNOWN_DTYPE)
        cdef uint64_t[:] handles = out["handle"]
        cdef uint32_t[:] seats = out["seat"]
        cdef uint8_t[:] kinds = out["kind"]
        cdef uint8_t[:] mine = out["mine"].view(np.uint8)
        cdef uint8_t[:] audiences = out["audience"]
        cdef uint32_t[:] ticks = out["tick"]
        for seat in range(self.v.seats):
            sitting = view_seat(&self.v, index, seat)
            if in_view(sitting):
                at = kept_at(&self.v, index, seat) + sitting.newest
                handles[count] = <uint64_t>sitting.generation << 32 | sitting.slot
                seats[count], kinds[count], audiences[count] = seat, sitting.kind, self.v.audience[at]
                mine[count], ticks[count] = self.v.audience[at] & SHOW_OWNER, self.v.ticks[at]
                count += 1
        return out[:count]

    def states(self, seats, kind: int, view: int = 0, ahead: int = 0):
        """Quanta of the entities in `seats` (uint32, all of class `kind`), int32 (n, components), a copy.

        They are predicted for the newest snapshot's tick plus `ahead`. ValueError for a seat without such an entity.
        """
        cdef const uint32_t[::1] places = np.ascontiguousarray(seats, np.uint32)
        cdef uint32_t index = self._view(view)
        cdef Py_ssize_t i
        if not 0 <= kind < self.v.kind_count:
            raise ValueError(f"there is no class {kind}")
        out = np.empty((places.shape[0], self.v.kinds[kind].components), np.int32)
        cdef int32_t[:, ::1] numbers = out
        for i in range(places.shape[0]):
            if places[i] >= self.v.seats or view_seat(&self.v, index, places[i]).kind != kind or not view_state(
                    &self.v, index, places[i], self.v.newest[index] + <uint32_t>ahead, &numbers[i, 0]):
                raise ValueError(f"in seat {places[i]} is no entity of class {kind}")
        return out

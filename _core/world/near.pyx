"""Python door to the question who stands near a point: by the grid, which stands as the last publish() sorted it."""
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from shadowland._core.world.columns cimport MAX_KINDS
from shadowland._core.world.grid cimport GridHit, grid_within
from shadowland._core.world.replicate cimport World
from shadowland._core.world.state cimport WorldState

import numpy as np

cdef enum:
    FIRST_ROOM = 64                     # hits a point for which there is room before the array of all must grow


cdef inline uint32_t alive_within(const WorldState* world, const double* point, double radius, int32_t kind,
                                  GridHit* hits) noexcept nogil:
    """Hits around one point, at the front of `hits`; who was removed since the grid was sorted is left out."""
    cdef double radius2[MAX_KINDS]
    cdef uint32_t i, found, alive = 0
    for i in range(world.kind_count):
        radius2[i] = radius * radius if kind < 0 or i == <uint32_t>kind else -1.0
    found = grid_within(&world.grid, point[0], point[1], point[2], radius, radius2, hits)
    for i in range(found):
        if world.place[hits[i].slot].generation != 0:
            hits[alive].slot = hits[i].slot
            alive += 1
    return alive


cdef inline uint64_t handle_at(const WorldState* world, uint32_t slot) noexcept nogil:
    return <uint64_t>world.slot[slot].generation << 32 | slot


def _check(World world, radius: float, kind: int) -> None:
    if not radius >= 0:
        raise ValueError(f"radius is {radius}; it must be at least 0")
    if not -1 <= kind < world.table.count:
        raise ValueError(f"there is no class {kind}")


def near(World world, x: float, y: float, z: float, radius: float, kind: int = -1):
    """Handles (uint64) of the entities, of class `kind` or (-1) of all, published within `radius` (inf: everywhere).

    In no order. Those without an axis stand at 0 on it. ValueError for a point or radius that is no number.
    """
    cdef double point[3]
    cdef WorldState* state = &world.state
    cdef GridHit* hits = world.r.interest.hits
    cdef uint32_t i, found
    _check(world, radius, kind)
    point[0], point[1], point[2] = x, y, z
    if not (isfinite(point[0]) and isfinite(point[1]) and isfinite(point[2])):
        raise ValueError(f"the point is {(x, y, z)}; it must be finite")
    found = alive_within(state, point, radius, kind, hits)
    out = np.empty(found, np.uint64)
    cdef uint64_t[::1] handles = out
    for i in range(found):
        handles[i] = handle_at(state, hits[i].slot)
    return out


def near_many(World world, points, radii, kind: int = -1):
    """As near() for many points: (handles, offsets); those of point i are handles[offsets[i]:offsets[i + 1]].

    points: float64, (n, 3). radii: float64, (n,). offsets: int64, (n + 1,).
    """
    points, radii = np.ascontiguousarray(points, np.float64), np.ascontiguousarray(radii, np.float64)
    cdef const double[:, ::1] at = points
    cdef const double[::1] within = radii
    cdef WorldState* state = &world.state
    cdef GridHit* hits = world.r.interest.hits
    cdef Py_ssize_t i = 0, count = at.shape[0], used = 0, room, k
    cdef uint32_t found = 0
    cdef int32_t only = kind
    if at.shape[1] != 3 or within.shape[0] != count:
        raise ValueError("points have three axes, and each point a radius")
    _check(world, radii.min(initial=0.0), kind)         # which is NaN where any is
    if not np.isfinite(points).all():
        raise ValueError("points must be finite")
    ends = np.zeros(count + 1, np.int64)
    out = np.empty(FIRST_ROOM * (count + 1), np.uint64)
    cdef int64_t[::1] offsets = ends
    cdef uint64_t[::1] handles = out
    while i < count:
        room = handles.shape[0]
        with nogil:
            while i < count:
                found = alive_within(state, &at[i, 0], within[i], only, hits)
                if found > room - used:
                    break
                for k in range(found):
                    handles[used + k] = handle_at(state, hits[k].slot)
                used += found
                i += 1
                offsets[i] = used
        if i < count:                   # that point once more, with room for it
            out = np.concatenate([out[:used], np.empty(room + found, np.uint64)])
            handles = out
    return out[:used], ends


def places(World world, handles):
    """Where entities were published last: float64, (n, 3), user units; NaN where one is gone or not published yet."""
    cdef const uint64_t[::1] asked = np.ascontiguousarray(handles, np.uint64)
    cdef WorldState* state = &world.state
    cdef Py_ssize_t i
    cdef uint32_t slot
    out = np.full((asked.shape[0], 3), np.nan)
    cdef double[:, ::1] at = out
    for i in range(asked.shape[0]):
        slot = <uint32_t>asked[i]
        if slot < state.slots and asked[i] >> 32 != 0 and state.place[slot].generation == asked[i] >> 32:
            at[i, 0], at[i, 1], at[i, 2] = state.place[slot].x, state.place[slot].y, state.place[slot].z
    return out

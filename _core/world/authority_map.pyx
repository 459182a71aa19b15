"""Python door to the map: arrays in, ways and lines over them in batches."""
from cython cimport final
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memset

SIDE, HIGHEST, REACH, HEIGHTS = AREA_SIDE, AREA_HIGHEST, AREA_REACH, AREA_HEIGHTS


@final
cdef class AreaMap:
    """Bounds, and if there is a grid its blocked cells (uint8 bits) and heights (int32, in 1/1024 m), each [y, x]."""

    def __init__(self, low: tuple[float, float, float], high: tuple[float, float, float], cell: float, width: int,
                 height: int, const uint8_t[:, ::1] cells, const int32_t[:, ::1] ground, opaque: int) -> None:
        cdef int i
        for name, grid in (("cells", cells), ("ground", ground)):
            if grid is not None and (grid.shape[0] != height or grid.shape[1] != width or not width or not height):
                raise ValueError(f"{name} has another shape than {height} rows of {width} cells")
        if not 0 <= width <= AREA_SIDE or not 0 <= height <= AREA_SIDE or not cell > 0:
            raise ValueError(f"width and height must be 0 to {AREA_SIDE}, cell above 0")
        memset(&self.area, 0, sizeof(Area))
        self.cells, self.ground = cells, ground
        for i in range(3):
            self.area.low[i], self.area.high[i] = low[i], high[i]
        self.area.cell, self.area.width, self.area.height, self.area.opaque = cell, width, height, opaque
        if cells is not None:
            self.area.cells = &cells[0, 0]
        if ground is not None:
            self.area.ground = &ground[0, 0]

    def walks(self, const double[:, ::1] a, const double[:, ::1] b, blocked_by: int, climb: float,
              uint8_t[::1] out) -> None:
        """For each pair of places whether the straight way is open to a walker who climbs `climb` metres a cell."""
        cdef double one[3]
        cdef double other[3]
        cdef int64_t rise = area_climb(climb), height = -(<int64_t>AREA_HIGHEST * AREA_HEIGHTS)
        cdef uint8_t bits = blocked_by
        cdef Py_ssize_t i
        self._check(a, b, out)
        with nogil:
            for i in range(out.shape[0]):
                _pair(&self.area, a, b, i, one, other)
                out[i] = area_walk(&self.area, bits, rise, height, one, other)

    def lines(self, const double[:, ::1] a, const double[:, ::1] b, blocked_by: int, enters: bool,
              uint8_t[::1] out) -> None:
        """For each pair of places whether the straight line between them is free."""
        cdef double one[3]
        cdef double other[3]
        cdef uint8_t bits = blocked_by
        cdef bint into = enters
        cdef Py_ssize_t i
        self._check(a, b, out)
        with nogil:
            for i in range(out.shape[0]):
                _pair(&self.area, a, b, i, one, other)
                out[i] = area_line(&self.area, bits, into, one, other)

    def grounds(self, const double[:, ::1] places, double[::1] out) -> None:
        """Height of the ground in metres below each place; 0 without a height field."""
        cdef double at[3]
        cdef Py_ssize_t i
        if places.shape[1] < 2 or places.shape[0] != out.shape[0]:
            raise ValueError("places must have 2 or 3 axes, and out as many rows")
        with nogil:
            for i in range(out.shape[0]):
                _pair(&self.area, places, places, i, at, at)
                out[i] = area_ground(&self.area, at) / <double>AREA_HEIGHTS if self.area.ground != NULL else 0.0

    def _check(self, a, b, out):
        if not a.shape[0] == b.shape[0] == out.shape[0] or not 2 <= a.shape[1] <= 3 or a.shape[1] != b.shape[1]:
            raise ValueError("a, b and out differ in length, or places have not 2 or 3 axes")


cdef void _pair(const Area* area, const double[:, ::1] a, const double[:, ::1] b, Py_ssize_t i, double* one,
                double* other) noexcept nogil:
    """Row i of both, inside the bounds; what is no number stands at the lower edge."""
    cdef int axis
    one[2] = other[2] = 0
    for axis in range(<int>a.shape[1]):
        one[axis] = a[i, axis] if a[i, axis] == a[i, axis] else area.low[axis]
        other[axis] = b[i, axis] if b[i, axis] == b[i, axis] else area.low[axis]
    area_clamp(area, one, <int>a.shape[1], 0)
    area_clamp(area, other, <int>a.shape[1], 0)

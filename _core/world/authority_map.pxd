"""What stands in the way: bounds, blocked cells and the height of the ground; straight ways and lines of sight over it.

Owner    The arrays belong to whoever fills the Area; the door class.
Limit    AREA_SIDE cells a side, AREA_HIGHEST metres; a way or a line crosses at most AREA_REACH cells along an axis,
         what is longer counts as blocked.
Threads  Read only once filled: any number.

Ways are looked through in integers, so that they are exact and the same on every machine: 65,536 steps a cell, 1,024 a
metre of height. A straight way enters each cell that it touches, one after the other:

    +----+----+----+        the borders it crosses are sorted by where: along x at (border - a.x) / |dx|,
    |    |   _|_-b |        along y at (border - a.y) / |dy|, compared by cross multiplication.
    +----+_-~-+----+        Exactly through a corner both cells beside it have to be free.
    | a-~|    |    |        The same cells are touched from b to a as from a to b.
    +----+----+----+
"""
from cython cimport final
from libc.math cimport INFINITY, floor, nextafterf
from libc.stdint cimport int32_t, int64_t, uint8_t

cdef enum:
    AREA_SHIFT = 16
    AREA_STEPS = 1 << 16                # of a cell
    AREA_HEIGHTS = 1024                 # steps of a metre
    AREA_HIGHEST = 1 << 20              # metres, above and below
    AREA_SIDE = 1 << 15
    AREA_REACH = 4096

cdef struct Area:
    const uint8_t* cells                # height * width, row by row along x; bits; NULL: nothing is blocked
    const int32_t* ground               # likewise, in steps; NULL: there is no height field
    double low[3]                       # nobody leaves the box from low to high
    double high[3]
    double cell                         # edge in metres
    int32_t width                       # cells along x; 0: bounds alone
    int32_t height                      # along y
    uint8_t opaque                      # bits of cells that no line of sight goes through

cdef struct AreaWay:
    int64_t ax                          # from, in steps
    int64_t ay
    int64_t dx                          # to - from
    int64_t dy
    int32_t x                           # cell where it is
    int32_t y
    int32_t left_x                      # borders that it still has to cross
    int32_t left_y
    int64_t numerator                   # of where it crossed the last border, between 0 and
    int64_t denominator

cdef inline int64_t area_step(const Area* area, double at, int axis) noexcept nogil:
    """A coordinate in steps; what is outside of the map stands at its edge."""
    cdef double steps = floor((at - area.low[axis]) / area.cell * AREA_STEPS + 0.5)
    cdef int64_t most = <int64_t>(area.width if axis == 0 else area.height) << AREA_SHIFT
    return 0 if not steps > 0 else most if steps > most else <int64_t>steps

cdef inline int32_t area_cell(int64_t step, int32_t cells) noexcept nogil:
    """Its cell; the upper edge of the map belongs to the last one."""
    cdef int64_t cell = step >> AREA_SHIFT
    return <int32_t>(0 if cell < 0 else cells - 1 if cell >= cells else cell)

cdef inline int64_t area_rise(double height) noexcept nogil:
    """A height in steps; beyond AREA_HIGHEST it is that."""
    cdef double steps = floor(height * AREA_HEIGHTS + 0.5), most = <double>(<int64_t>AREA_HIGHEST * AREA_HEIGHTS)
    return <int64_t>(most if steps > most else -most if steps < -most else steps)

cdef inline int64_t area_climb(double height) noexcept nogil:
    """Steps that a walker may climb: heights are rounded, so that two may be one step further apart than they were."""
    return area_rise(height) + 1

cdef inline bint area_clamp(const Area* area, double* at, int axes, double slack) noexcept nogil:
    """Bring a place inside the bounds; whether it was further than `slack` out of them."""
    cdef bint outside = False
    cdef int i
    for i in range(axes):
        if at[i] < area.low[i]:
            outside = outside or at[i] < area.low[i] - slack
            at[i] = area.low[i]
        elif at[i] > area.high[i]:
            outside = outside or at[i] > area.high[i] + slack
            at[i] = area.high[i]
    return outside

cdef inline bint area_beside(const Area* area, double* at, int axis, double most, bint narrow) noexcept nogil:
    """Move a place just across the nearest border of cells along an axis, if that is at most `most` metres away (and a
    step, for what area_step rounds); whether it is. `narrow`: it is kept as a float of 32 bits."""
    cdef int32_t cells = area.width if axis == 0 else area.height
    cdef int64_t step = area_step(area, at[axis], axis), cell = area_cell(step, cells)
    cdef int64_t border = cell << AREA_SHIFT, reach = <int64_t>(most / area.cell * AREA_STEPS) + 1
    cdef bint up = step - border > AREA_STEPS // 2
    if up:
        border += AREA_STEPS
    if (cell == cells - 1 if up else cell == 0) or (border - step if up else step - border + 1) > reach:
        return False
    at[axis] = area.low[axis] + <double>(border if up else border - 1) / AREA_STEPS * area.cell
    if narrow:
        at[axis] = <float>at[axis]
        if not up and area_step(area, at[axis], axis) >= border:
            at[axis] = nextafterf(<float>at[axis], <float>-INFINITY)
    return True

cdef inline int64_t area_index(const Area* area, const double* at) noexcept nogil:
    cdef int32_t x = area_cell(area_step(area, at[0], 0), area.width)
    cdef int32_t y = area_cell(area_step(area, at[1], 1), area.height)
    return <int64_t>y * area.width + x

cdef inline int32_t area_ground(const Area* area, const double* at) noexcept nogil:
    """Height of the ground at a place, in steps. Only of an area that has a height field."""
    return area.ground[area_index(area, at)]

cdef inline bint way_begin(const Area* area, AreaWay* way, const double* a, const double* b) noexcept nogil:
    """A straight way from a to b, both inside the bounds; False if it is too long."""
    cdef int64_t bx = area_step(area, b[0], 0), by = area_step(area, b[1], 1)
    way.ax, way.ay = area_step(area, a[0], 0), area_step(area, a[1], 1)
    way.dx, way.dy = bx - way.ax, by - way.ay
    way.x, way.y = area_cell(way.ax, area.width), area_cell(way.ay, area.height)
    way.left_x = area_cell(bx, area.width) - way.x
    way.left_y = area_cell(by, area.height) - way.y
    return -AREA_REACH <= way.left_x <= AREA_REACH and -AREA_REACH <= way.left_y <= AREA_REACH

cdef inline int64_t way_border(int64_t at, int64_t change, int32_t cell) noexcept nogil:
    """Steps from `at` to the next border along one axis."""
    return ((<int64_t>cell + 1) << AREA_SHIFT) - at if change > 0 else at - (<int64_t>cell << AREA_SHIFT)

cdef inline int way_next(AreaWay* way) noexcept nogil:
    """Which borders are next: 0 none (it has arrived), 1 along x, 2 along y, 3 both: a corner."""
    cdef int64_t along_x = 0, along_y = 0, size_x = way.dx if way.dx > 0 else -way.dx
    cdef int64_t size_y = way.dy if way.dy > 0 else -way.dy
    cdef int which
    if way.left_x == 0 and way.left_y == 0:
        return 0
    if way.left_x != 0:
        along_x = way_border(way.ax, way.dx, way.x)
    if way.left_y != 0:
        along_y = way_border(way.ay, way.dy, way.y)
    if way.left_y == 0:
        which = 1
    elif way.left_x == 0:
        which = 2
    elif along_x * size_y == along_y * size_x:
        which = 3
    else:
        which = 1 if along_x * size_y < along_y * size_x else 2
    way.numerator, way.denominator = (along_y, size_y) if which == 2 else (along_x, size_x)
    return which

cdef inline int32_t way_toward(int32_t left) noexcept nogil:
    return (1 if left > 0 else -1) if left != 0 else 0

cdef inline void way_cross(AreaWay* way, int which) noexcept nogil:
    cdef int32_t toward_x = way_toward(way.left_x), toward_y = way_toward(way.left_y)
    if which & 1:
        way.x += toward_x
        way.left_x -= toward_x
    if which & 2:
        way.y += toward_y
        way.left_y -= toward_y

cdef struct AreaCells:              # where a way stands and what it comes to next
    int64_t here
    int64_t beside_x                # the neighbour in x, in y, and across the corner
    int64_t beside_y
    int64_t there                   # that of these which is entered

cdef inline int way_cells(AreaWay* way, const Area* area, AreaCells* cells) noexcept nogil:
    """As way_next, with the cells of the step."""
    cdef int which = way_next(way)
    cells.here = <int64_t>way.y * area.width + way.x
    cells.beside_x = cells.here + way_toward(way.left_x)
    cells.beside_y = cells.here + <int64_t>area.width * way_toward(way.left_y)
    if which == 3:
        cells.there = cells.beside_y + way_toward(way.left_x)
    else:
        cells.there = cells.beside_x if which == 1 else cells.beside_y
    return which

cdef inline bint area_enters(const Area* area, uint8_t blocked_by, int64_t step, int64_t height, int64_t here,
                             int64_t there) noexcept nogil:
    """Whether a walker at `height` (at least that of the ground of cell `here`) can step into the cell `there`."""
    if area.cells != NULL and area.cells[there] & blocked_by:
        return False
    if area.ground != NULL:
        if area.ground[here] > height:
            height = area.ground[here]
        if area.ground[there] - height > step:
            return False
    return True

cdef inline bint area_walk(const Area* area, uint8_t blocked_by, int64_t step, int64_t height, const double* a,
                           const double* b) noexcept nogil:
    """Whether the straight way from a to b is open to a walker: no blocked cell, and no rise of more than `step`.

    Only cells that are entered count, so that whoever stands in a wall can leave it.
    """
    cdef AreaWay way
    cdef AreaCells at
    cdef int which
    if area.width == 0:
        return True
    if not way_begin(area, &way, a, b):
        return False
    while True:
        which = way_cells(&way, area, &at)
        if which == 0:
            return True
        if which == 3:
            if not (area_enters(area, blocked_by, step, height, at.here, at.beside_x)
                    and area_enters(area, blocked_by, step, height, at.here, at.beside_y)
                    and area_enters(area, blocked_by, step, height, at.beside_x, at.there)
                    and area_enters(area, blocked_by, step, height, at.beside_y, at.there)):
                return False
        elif not area_enters(area, blocked_by, step, height, at.here, at.there):
            return False
        way_cross(&way, which)

cdef inline bint area_below(const Area* area, const AreaWay* way, int64_t z, int64_t rise, int64_t cell) noexcept nogil:
    """Whether a line is below the ground of a cell where it crosses the border."""
    if area.ground == NULL:
        return False
    return z * way.denominator + rise * way.numerator < <int64_t>area.ground[cell] * way.denominator

cdef inline bint area_line(const Area* area, uint8_t blocked_by, bint enters, const double* a,
                           const double* b) noexcept nogil:
    """Whether the straight line from a to b (three axes) touches no blocked cell and does not run below the ground.

    The cell of a does not block it, and that of b only if it `enters` there; if it does not, each way round gives the
    same answer.
    """
    cdef AreaWay way
    cdef AreaCells at
    cdef int64_t z = area_rise(a[2]), rise = area_rise(b[2]) - area_rise(a[2])
    cdef int which
    cdef bint end
    if area.width == 0:
        return True
    if not way_begin(area, &way, a, b):
        return False
    while True:
        which = way_cells(&way, area, &at)
        if which == 0:
            return True
        if area_below(area, &way, z, rise, at.here) or area_below(area, &way, z, rise, at.there):
            return False
        if which == 3:
            if area_below(area, &way, z, rise, at.beside_x) or area_below(area, &way, z, rise, at.beside_y):
                return False
            if area.cells != NULL and (area.cells[at.beside_x] | area.cells[at.beside_y]) & blocked_by:
                return False
        way_cross(&way, which)
        end = way.left_x == 0 and way.left_y == 0
        if (enters or not end) and area.cells != NULL and area.cells[at.there] & blocked_by:
            return False

@final
cdef class AreaMap:
    cdef Area area
    cdef object cells                   # the arrays that area points into
    cdef object ground

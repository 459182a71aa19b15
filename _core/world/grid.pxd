"""Grid of the world: who stands within a radius of a point, for a world without borders.

Owner    The arrays belong to whoever fills the Grid; the door class, or the world.
Limit    `capacity` items; a query reaches at most MAX_REACH cells to each side (checked where the grid is made).
Threads  One writer; queries may share it between two builds.

Cells are not stored: items are sorted by a hash of their cell, and neighbours along x stand in neighbouring buckets, so
that a row of cells is one run of items. Rebuilt each tick by counting.

    bucket = (hash(cell y, cell z) + cell x) & mask
    items of row (y, z), from x to x + n:      starts[bucket] .. starts[bucket + n]

Rows may share buckets by chance, so every item says which row it is of: nothing is found twice, nothing too much.
"""
from libc.math cimport floor
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef enum:
    MAX_REACH = 64                      # cells; a row of a query never runs once around the buckets
    MIN_BUCKETS = 256

cdef struct GridItem:                   # 40 bytes
    double x
    double y
    double z
    int32_t row                         # cell along y
    int32_t layer                       # cell along z
    uint32_t slot
    uint32_t kind

cdef struct GridHit:
    double distance2
    uint32_t slot
    uint32_t kind

cdef struct Grid:
    GridItem* items                     # capacity; sorted by bucket after grid_finish
    GridItem* unsorted                  # capacity
    uint32_t* buckets                   # capacity: of each unsorted item
    uint32_t* starts                    # mask + 2
    double cell                         # edge along x and y
    double layer                        # edge along z; 0: one layer
    uint32_t mask
    uint32_t count
    uint32_t capacity

cdef inline int32_t grid_cell(double position, double edge) noexcept nogil:
    """Cell of a coordinate: floor, so that the cells around 0 are as wide as all others. Far away is the last cell."""
    cdef double cell = floor(position / edge)
    return <int32_t>(-(1 << 30) if cell < -(1 << 30) else 1 << 30 if cell > 1 << 30 else cell)

cdef inline uint32_t grid_row(int32_t row, int32_t layer) noexcept nogil:
    cdef uint64_t mixed = (<uint64_t><uint32_t>row << 32 | <uint32_t>layer) * <uint64_t>0x9E3779B97F4A7C15
    return <uint32_t>(mixed >> 32)

cdef inline void grid_clear(Grid* grid) noexcept nogil:
    cdef uint32_t i
    grid.count = 0
    for i in range(grid.mask + 2):
        grid.starts[i] = 0

cdef inline void grid_add(Grid* grid, uint32_t slot, uint32_t kind, double x, double y, double z) noexcept nogil:
    """One more item; the caller adds at most `capacity`."""
    cdef GridItem* item = &grid.unsorted[grid.count]
    cdef uint32_t bucket
    item.x, item.y, item.z, item.slot, item.kind = x, y, z, slot, kind
    item.row = grid_cell(y, grid.cell)
    item.layer = grid_cell(z, grid.layer) if grid.layer > 0 else 0
    bucket = (grid_row(item.row, item.layer) + <uint32_t>grid_cell(x, grid.cell)) & grid.mask
    grid.buckets[grid.count] = bucket
    grid.starts[bucket + 1] += 1
    grid.count += 1

cdef inline void grid_finish(Grid* grid) noexcept nogil:
    """Sort what was added. Afterwards bucket b is items[starts[b]] to items[starts[b + 1] - 1]."""
    cdef uint32_t i, bucket, at = 0, size
    for i in range(grid.mask + 1):      # starts[b + 1] held the size of bucket b: make it the place of its next item
        size = grid.starts[i + 1]
        grid.starts[i + 1] = at
        at += size
    for i in range(grid.count):
        bucket = grid.buckets[i]
        grid.items[grid.starts[bucket + 1]] = grid.unsorted[i]
        grid.starts[bucket + 1] += 1
    grid.starts[0] = 0

cdef inline uint32_t grid_scan(const Grid* grid, uint32_t begin, uint32_t end, const GridItem* centre,
                               const double* radius2, GridHit* hits) noexcept nogil:
    cdef uint32_t i, found = 0
    cdef const GridItem* item
    cdef double dx, dy, dz, distance2
    for i in range(begin, end):
        item = &grid.items[i]
        dx = item.x - centre.x
        dy = item.y - centre.y
        dz = item.z - centre.z
        distance2 = dx * dx + dy * dy + dz * dz
        if distance2 <= radius2[item.kind] and item.row == centre.row and item.layer == centre.layer:
            hits[found].distance2 = distance2
            hits[found].slot = item.slot
            hits[found].kind = item.kind
            found += 1
    return found

cdef inline double grid_fringe(double reach, double at) noexcept nogil:
    """`reach` and a little more: rounding must not lose who stands exactly on the border."""
    return reach + reach * 1e-9 + 1e-12 * (at if at > 0 else -at)

cdef inline uint32_t grid_query(const Grid* grid, double x, double y, double z, double reach, const double* radius2,
                                GridHit* hits) noexcept nogil:
    """Every item whose squared distance is at most radius2[its kind], each once, in no order; their number.

    `reach`: the largest of the radii, at most MAX_REACH cells. `hits` has room for all items there are.
    """
    cdef GridItem centre
    cdef int64_t row, layer
    cdef int32_t first_row, last_row, first_layer = 0, last_layer = 0, first_x, last_x
    cdef uint32_t begin, end, found = 0
    cdef double wide
    wide = grid_fringe(reach, x)
    first_x, last_x = grid_cell(x - wide, grid.cell), grid_cell(x + wide, grid.cell)
    wide = grid_fringe(reach, y)
    first_row, last_row = grid_cell(y - wide, grid.cell), grid_cell(y + wide, grid.cell)
    if grid.layer > 0:
        wide = grid_fringe(reach, z)
        first_layer, last_layer = grid_cell(z - wide, grid.layer), grid_cell(z + wide, grid.layer)
    centre.x, centre.y, centre.z = x, y, z
    for layer in range(first_layer, <int64_t>last_layer + 1):
        for row in range(first_row, <int64_t>last_row + 1):
            centre.row, centre.layer = <int32_t>row, <int32_t>layer
            begin = (grid_row(centre.row, centre.layer) + <uint32_t>first_x) & grid.mask
            end = begin + <uint32_t>(last_x - first_x) + 1
            if end <= grid.mask + 1:
                found += grid_scan(grid, grid.starts[begin], grid.starts[end], &centre, radius2, &hits[found])
            else:                       # the run goes on at the first bucket
                found += grid_scan(grid, grid.starts[begin], grid.starts[grid.mask + 1], &centre, radius2, &hits[found])
                found += grid_scan(grid, 0, grid.starts[end - grid.mask - 1], &centre, radius2, &hits[found])
    return found

cdef inline uint32_t grid_within(const Grid* grid, double x, double y, double z, double reach, const double* radius2,
                                 GridHit* hits) noexcept nogil:
    """As grid_query(), for a reach of any length, infinite too: beyond MAX_REACH cells, or where there are more rows of
    cells to look into than items, it looks at all items."""
    cdef double rows = 2.0 * reach / grid.cell + 2.0, dx, dy, dz, distance2
    cdef bint far = reach >= MAX_REACH * grid.cell
    cdef uint32_t i, found = 0
    cdef const GridItem* item
    if grid.layer > 0:
        rows *= 2.0 * reach / grid.layer + 2.0
        far = far or reach >= MAX_REACH * grid.layer
    if not far and rows <= grid.count:
        return grid_query(grid, x, y, z, reach, radius2, hits)
    for i in range(grid.count):
        item = &grid.items[i]
        dx, dy, dz = item.x - x, item.y - y, item.z - z
        distance2 = dx * dx + dy * dy + dz * dz
        if distance2 <= radius2[item.kind]:
            hits[found].distance2, hits[found].slot, hits[found].kind = distance2, item.slot, item.kind
            found += 1
    return found

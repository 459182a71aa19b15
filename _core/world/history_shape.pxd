"""Targets of a shot: spheres and capsules, and where a segment enters one.

Owner    Plain values of the caller.
Limit    None: every number is met, and what is no number meets nothing.
Threads  Any.
"""
from libc.math cimport INFINITY, fabs, sqrt

from shadowland._core.world.history cimport dot

cdef struct Shape:                  # of every target: within `radius` of the line from place + foot to place + head
    double radius
    double foot[3]
    double head[3]

cdef struct Segment:
    double start[3]
    double way[3]                   # end - start

cdef struct Body:                   # a shape, ready to be met
    double radius
    double foot[3]
    double axis[3]                  # head - foot
    double middle[3]
    double extent                   # from the middle it reaches this far

cdef inline double axis_distance2(const double* point, const double* foot, const double* axis,
                                  double axis2) noexcept nogil:
    """Squared distance of a point from the line from `foot` to `foot + axis`."""
    cdef double off[3]
    cdef double part = 0.0
    off[0], off[1], off[2] = point[0] - foot[0], point[1] - foot[1], point[2] - foot[2]
    if axis2 > 0.0:
        part = dot(off, axis) / axis2
        part = 0.0 if part < 0.0 else 1.0 if part > 1.0 else part
    off[0] -= part * axis[0]
    off[1] -= part * axis[1]
    off[2] -= part * axis[2]
    return dot(off, off)

cdef inline double sphere_entry(const double* off, const double* way, double way2, double radius) noexcept nogil:
    """Part of the way at which it enters the sphere round 0, from `off` outside it; infinity if it does not."""
    cdef double along = dot(off, way), root = along * along - way2 * (dot(off, off) - radius * radius)
    if root < 0.0 or along >= 0.0 or way2 <= 0.0:
        return INFINITY
    return (-along - sqrt(root)) / way2

cdef inline double capsule_entry(const Segment* shot, const double* foot, const double* axis,
                                 double radius) noexcept nogil:
    """Part of the segment at which it enters a capsule (0 to 1), infinity if it does not; 0 where it begins inside.

    A capsule is two spheres and the cylinder between them: the earliest entry of the three.
    """
    cdef double axis2 = dot(axis, axis), way2 = dot(shot.way, shot.way)
    cdef double off[3]
    cdef double top[3]
    cdef double a, b, c, along, above, entry, other, root
    if axis_distance2(shot.start, foot, axis, axis2) <= radius * radius:
        return 0.0
    off[0], off[1], off[2] = shot.start[0] - foot[0], shot.start[1] - foot[1], shot.start[2] - foot[2]
    entry = sphere_entry(off, shot.way, way2, radius)
    if axis2 > 0.0:
        top[0], top[1], top[2] = off[0] - axis[0], off[1] - axis[1], off[2] - axis[2]
        other = sphere_entry(top, shot.way, way2, radius)
        entry = other if other < entry else entry
        along, above = dot(axis, shot.way), dot(axis, off)
        a = axis2 * way2 - along * along
        if a > 1e-12 * axis2 * way2:                # else it runs along the axis and meets a sphere first
            b = axis2 * dot(off, shot.way) - above * along
            c = axis2 * dot(off, off) - above * above - radius * radius * axis2
            root = b * b - a * c
            if root >= 0.0:
                other = (-b - sqrt(root)) / a
                if 0.0 <= other < entry and 0.0 <= above + other * along <= axis2:
                    entry = other
    return entry if entry <= 1.0 else INFINITY

cdef inline Body shape_body(const Shape* shape) noexcept nogil:
    cdef Body body
    cdef int i
    body.radius = shape.radius
    for i in range(3):
        body.foot[i] = shape.foot[i]
        body.axis[i] = shape.head[i] - shape.foot[i]
        body.middle[i] = 0.5 * (shape.head[i] + shape.foot[i])
    body.extent = shape.radius + 0.5 * sqrt(dot(body.axis, body.axis))
    return body

cdef inline double sizes(const Segment* shot, const Body* body) noexcept nogil:
    """What rounding is measured by: how long a shot is, how far out it begins, how large its targets are."""
    return (sqrt(dot(shot.way, shot.way)) + fabs(shot.start[0]) + fabs(shot.start[1]) + fabs(shot.start[2])
            + fabs(body.middle[0]) + fabs(body.middle[1]) + fabs(body.middle[2]) + body.extent)

cdef inline double body_entry(const Segment* shot, const Body* body, const double* place,
                              double rounding) noexcept nogil:
    """Part of the segment at which it enters the body of who stands at `place`; infinity if it does not.

    An entry that is further than `rounding` outside of the body is an error of long or nearly parallel lines, and none.
    """
    cdef double foot[3]
    cdef double off[3]
    cdef double entry, far = body.extent + rounding
    cdef int i
    for i in range(3):
        foot[i] = place[i] + body.foot[i]
    entry = capsule_entry(shot, foot, body.axis, body.radius)
    if not entry <= 1.0:
        return INFINITY
    for i in range(3):
        off[i] = shot.start[i] + entry * shot.way[i] - (place[i] + body.middle[i])
    return entry if dot(off, off) <= far * far else INFINITY

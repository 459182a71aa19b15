"""Columns of the world and their quantized state: what a class of entities consists of, and how a value moves on.

Owner    Component tables are made by the schema; the door class KindTable keeps copies for world and view.
Limit    MAX_KINDS classes, MAX_COMPONENTS numbers an entity; every number is an int32 of quanta.
Threads  Pure functions of their arguments.

A vector field is several components, one after the other (`lane` 0 to `lanes` - 1). Local fields have none: they never
leave the server. A field with quadrants is two groups of lanes: the offsets, and then the quadrants they are in.
"""
from libc.math cimport floor, isfinite
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from shadowland._core.wire.quantize cimport QUANTIZE_REFUSED, QUANTIZE_SATURATED, origin_join, origin_split

cdef enum:
    MAX_COMPONENTS = 64                 # so that a set of components is one 64-bit word

cdef enum:                              # Component.kind
    KIND_FLOAT = 0                      # user value = quanta * step
    KIND_INT = 1
    KIND_ANGLE = 2                      # wraps: high + 1 is low again
    KIND_FLAGS = 3                      # bool, enum, flags
    KIND_OFFSET = 4                     # in a quadrant: the two are one number, quadrant * span + offset
    KIND_QUADRANT = 5                   # step: the quadrant's edge

cdef enum:                              # Component.audience
    AUDIENCE_ALL = 0
    AUDIENCE_OWNER = 1
    AUDIENCE_GROUP = 2                  # to 6: the owner, and whose avatar is of the same group as the entity
    AUDIENCE_LOCAL = 255
    CLASS_GROUPS = 5                    # groups that a class can speak of: an audience set fits a record's head
    MAX_GROUPS = 16                     # groups of a world
    SHOW_OWNER = 1                      # bit of an audience set: the owner's components; bit 1 + g: those of group g

cdef struct Component:                  # 64 bytes; NumPy dtype shadowland._core.world.columns.COMPONENT_DTYPE
    double step                         # quantum in user units (1.0 for ints, bools, enums)
    int64_t num                         # prediction: q + ((v * dt_ticks * num + 2**(shift - 1)) >> shift)
    int32_t low                         # range in quanta, both ends included; values beyond saturate and are counted
    int32_t high
    int32_t tolerance                   # quanta; while moving, a residual up to this is not sent
    int16_t predict                     # index of the component that is its velocity; -1: stays as it is
    uint16_t column                     # index of the field it belongs to
    uint8_t lane                        # index within the vector
    uint8_t lanes                       # components of that field
    uint8_t kind
    uint8_t bits                        # width of an absolute value, high - low fits; at most 32
    uint8_t audience
    uint8_t shift                       # of the prediction, 0 to 62
    uint16_t rate_ticks                 # least ticks between two published changes; 0: every tick
    uint8_t small                       # class widths of residuals: 0 < small < medium < 32
    uint8_t medium
    int16_t pair                        # of an offset the index of its quadrant, of a quadrant that of its offset
    uint8_t reserved[20]

cdef enum:
    HISTORY = 64                        # ticks of published state; a power of two, so that the ring index is a mask
    HISTORY_MASK = HISTORY - 1
    WINDOW = 62                         # oldest age a reference can have in one byte; 63 says that its tick follows
    PREDICT_LIMIT = 64                  # ticks a prediction reaches at most: the schema's num and shift are made for it
    MAX_KINDS = 255                     # entity classes of a world
    NO_SLOT = 0xFFFFFFFF
    NOBODY = 0xFF                       # kind of a slot that is free

cdef struct EntityKind:
    Component component[MAX_COMPONENTS]
    double radius2                      # enter within, squared; user units
    double leave2                       # leave beyond, squared
    double radius
    uint32_t components
    uint32_t fields
    bint always                         # a new one is always relevant: all see it at any distance
    int32_t position[3]                 # components that decide who sees it; -1: no such axis
    uint8_t first[MAX_COMPONENTS + 1]   # first component of each field; then the number of components
    uint8_t groups                      # that some component is for
    uint8_t group[CLASS_GROUPS]         # number in the world of each
    uint8_t shows_all                   # audience set of the owner
    uint8_t far_from                    # farness (priority.pxd) above which it is far,
    uint8_t far_ticks                   # and then is told once in so many ticks
    uint8_t weight                      # in sixteenths: how it gains on others while it waits
    double farness_scale               # squared distance to farness

cdef inline int32_t wrap_into(const Component* c, int64_t value) noexcept nogil:
    """`value` on the circle low..high."""
    cdef int64_t span = <int64_t>c.high - c.low + 1
    cdef int64_t rest = (value - c.low) % span
    if rest < 0:
        rest += span
    return <int32_t>(rest + c.low)

cdef inline int32_t pair_part(const EntityKind* kind, uint32_t i, const int32_t* state, int64_t way) noexcept nogil:
    """Component i, an offset or a quadrant, when the number that both are is moved by `way`: it stops at the ends."""
    cdef uint32_t at = i if kind.component[i].kind == KIND_OFFSET else kind.component[i].pair
    cdef const Component* quadrant = &kind.component[kind.component[at].pair]
    cdef int64_t span = <int64_t>kind.component[at].high + 1, value = state[at] + way
    cdef int64_t place = state[kind.component[at].pair]
    if value < 0 or value >= span:
        place += value // span - (value % span < 0)         # C divides towards zero
        value %= span
        value += span if value < 0 else 0
    if place < quadrant.low:
        place, value = quadrant.low, 0
    elif place > quadrant.high:
        place, value = quadrant.high, span - 1
    return <int32_t>(value if at == i else place)

cdef inline int32_t predict_component(const EntityKind* kind, uint32_t i, const int32_t* state,
                                      uint32_t ticks) noexcept nogil:
    """Component i of `state` moved on by `ticks`. Integers only: both ends get the same number on every machine."""
    cdef const Component* c = &kind.component[i]
    cdef int64_t value
    if c.predict < 0:
        return state[i]
    if ticks > PREDICT_LIMIT:
        ticks = PREDICT_LIMIT
    value = <int64_t>state[c.predict] * <int64_t>ticks * c.num + ((<int64_t>1 << c.shift) >> 1)
    value >>= c.shift
    if c.kind >= KIND_OFFSET:
        return pair_part(kind, i, state, value)
    value += state[i]
    if c.kind == KIND_ANGLE:
        return wrap_into(c, value)
    return <int32_t>(c.low if value < c.low else c.high if value > c.high else value)

cdef inline int32_t difference(const Component* c, int32_t value, int32_t predicted) noexcept nogil:
    """What must be added to `predicted`: modulo 2**32, for angles and offsets the short way round."""
    cdef int64_t span, apart
    if c.kind == KIND_ANGLE or c.kind == KIND_OFFSET:
        span = <int64_t>c.high - c.low + 1
        apart = (<int64_t>value - predicted + span // 2) % span
        if apart < 0:
            apart += span
        return <int32_t>(apart - span // 2)
    return <int32_t>(<uint32_t>value - <uint32_t>predicted)

cdef inline int32_t expected_component(const EntityKind* kind, uint32_t i, const int32_t* base, uint32_t ticks,
                                       const int32_t* state) noexcept nogil:
    """Component i without a residual, when those before it are as in `state`: its prediction; but a quadrant is the one
    that its offset is in when that is taken the short way from where it was predicted."""
    cdef const Component* c = &kind.component[i]
    cdef int32_t predicted = predict_component(kind, i, base, ticks), offset
    cdef int64_t value
    if c.kind != KIND_QUADRANT:
        return predicted
    c = &kind.component[c.pair]
    offset = predict_component(kind, kind.component[i].pair, base, ticks)
    value = <int64_t>offset + difference(c, state[kind.component[i].pair], offset)
    return <int32_t>(<uint32_t>predicted + <uint32_t>((value > c.high) - (value < 0)))

cdef inline int64_t pair_apart(const Component* offset, int32_t value, int32_t quadrant, int32_t other,
                               int32_t other_quadrant) noexcept nogil:
    """How far apart two places are, each an offset and its quadrant, in steps. At most 2**63 - 1."""
    return (<int64_t>quadrant - other_quadrant) * (<int64_t>offset.high + 1) + (<int64_t>value - other)

cdef inline double place_of(const EntityKind* kind, uint32_t i, const int32_t* state) noexcept nogil:
    """Component i in user units; of an offset the whole number, in world units."""
    cdef const Component* c = &kind.component[i]
    if c.kind == KIND_OFFSET:
        return origin_join(state[c.pair], state[i], kind.component[c.pair].step, c.step, 0)
    return state[i] * c.step

cdef inline bint quantize(const Component* c, double value, int32_t* out, uint64_t* saturated) noexcept nogil:
    """`value` in user units to quanta: floor(value / step + 0.5). False if it is no finite number; `out` stays then."""
    cdef double quanta
    if not isfinite(value):
        return False
    quanta = floor(value / c.step + 0.5)
    if c.kind == KIND_ANGLE:
        if not -4e18 < quanta < 4e18:               # beyond, it has no angle left
            return False
        out[0] = wrap_into(c, <int64_t>quanta)
    elif quanta < c.low:
        out[0] = c.low
        saturated[0] += 1
    elif quanta > c.high:
        out[0] = c.high
        saturated[0] += 1
    else:
        out[0] = <int32_t>quanta
    return True

cdef inline bint quantize_pair(const EntityKind* kind, uint32_t i, double value, int32_t* state,
                               uint64_t* saturated) noexcept nogil:
    """`value` in world units to the offset i of `state` and its quadrant; False if it is no finite number."""
    cdef const Component* c = &kind.component[i]
    cdef const Component* quadrant = &kind.component[c.pair]
    cdef int32_t corner = 0
    cdef int64_t offset = 0, place
    cdef int status = origin_split(value, quadrant.step, c.step, &corner, &offset)
    if status == QUANTIZE_REFUSED:
        return False
    place = corner
    if offset > c.high:                 # rounded up to the border: the next quadrant begins there
        place, offset = place + 1, 0
    if place < quadrant.low:
        place, offset, status = quadrant.low, 0, QUANTIZE_SATURATED
    elif place > quadrant.high:
        place, offset, status = quadrant.high, c.high, QUANTIZE_SATURATED
    state[i], state[c.pair] = <int32_t>offset, <int32_t>place
    saturated[0] += status == QUANTIZE_SATURATED
    return True

cdef inline bint is_moving(const EntityKind* kind, const int32_t* state) noexcept nogil:
    """True if a velocity that predicts something is not zero."""
    cdef uint32_t i
    for i in range(kind.components):
        if kind.component[i].predict >= 0 and state[kind.component[i].predict] != 0:
            return True
    return False

cdef inline bint is_shown(const Component* c, uint32_t audience) noexcept nogil:
    """True if who belongs to the audience set `audience` (0: just anybody) is sent the component."""
    return c.audience == AUDIENCE_ALL or audience >> (c.audience - 1) & 1

cdef inline bint within_tolerance(const EntityKind* kind, const int32_t* base, uint32_t ticks, const int32_t* state,
                                  uint32_t audience) noexcept nogil:
    """True if who predicts `state` from `base`, `ticks` older, is right as far as it is asked of him.

    Tolerance is for what moves: where the velocity is zero, and in whatever is not predicted, every quantum counts.
    """
    cdef uint32_t i
    cdef int64_t apart, tolerance
    cdef const Component* c
    for i in range(kind.components):
        c = &kind.component[i]
        if not is_shown(c, audience):
            continue
        if c.predict < 0:
            if state[i] != base[i]:
                return False
            continue
        tolerance = c.tolerance if state[c.predict] != 0 else 0
        if c.kind < KIND_OFFSET:
            apart = difference(c, state[i], predict_component(kind, i, base, ticks))
        elif c.kind == KIND_OFFSET:
            apart = pair_apart(c, state[i], state[c.pair], predict_component(kind, i, base, ticks),
                               predict_component(kind, c.pair, base, ticks))
        else:
            continue                        # a quadrant was looked at with its offset
        if apart > tolerance or apart < -tolerance:
            return False
    return True

cdef class KindTable:
    cdef EntityKind kinds[MAX_KINDS]
    cdef readonly uint32_t count
    cdef readonly uint32_t stride       # the most components of a kind
    cdef readonly uint32_t groups       # groups that its kinds speak of

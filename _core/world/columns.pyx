"""Python door to component tables: the classes of entities that world, views and truth agree on."""
from cython cimport final
from libc.string cimport memcpy, memset

import numpy as np

COMPONENT_DTYPE = np.dtype({
    "names": ["step", "num", "low", "high", "tolerance", "predict", "column", "lane", "lanes", "kind", "bits",
              "audience", "shift", "rate_ticks", "small", "medium", "pair"],
    "formats": [np.float64, np.int64, np.int32, np.int32, np.int32, np.int16, np.uint16, np.uint8, np.uint8, np.uint8,
                np.uint8, np.uint8, np.uint8, np.uint16, np.uint8, np.uint8, np.int16],
    "offsets": [0, 8, 16, 20, 24, 28, 30, 32, 33, 34, 35, 36, 37, 38, 40, 41, 42],
    "itemsize": 64,
})

if sizeof(Component) != COMPONENT_DTYPE.itemsize:
    raise ImportError(f"Component: {sizeof(Component)} bytes in columns.pxd, {COMPONENT_DTYPE.itemsize} in columns.pyx")


cdef object _wrong_component(const EntityKind* kind, uint32_t i):
    """What is wrong with component i of `kind`, or None: everything that kernels rely on without looking again."""
    cdef const Component* c = &kind.component[i]
    cdef const Component* by
    if not c.step > 0 or c.low > c.high or not 0 < c.bits <= 32 or <int64_t>c.high - c.low >> c.bits or c.tolerance < 0:
        return "step, range, bits or tolerance"
    if not 0 < c.small < c.medium < 32 or c.audience > AUDIENCE_OWNER + kind.groups or c.kind > KIND_QUADRANT:
        return "class widths, audience or kind"
    if c.lane >= c.lanes or (i == 0 and c.lane) or (c.lane and kind.component[i - 1].column != c.column):
        return "lanes: those of a field stand together"
    if c.lane and (kind.component[i - 1].audience != c.audience or kind.component[i - 1].rate_ticks != c.rate_ticks):
        return "audience or rate: lanes of a field share them"
    if c.kind >= KIND_OFFSET and not _is_pair(kind, i):
        return "pair: an offset from 0 on, and after it its quadrant, in all else alike"
    if c.predict < 0:
        return None
    if c.predict >= <int>kind.components or c.shift > 62:
        return "predict or shift"
    by = &kind.component[c.predict]
    if by.audience not in (AUDIENCE_ALL, c.audience) and c.audience != AUDIENCE_OWNER:
        return "audience: its velocity is seen by fewer than itself"
    reach = max(-int(by.low), int(by.high))
    if abs(int(c.num)) * reach * PREDICT_LIMIT + (1 << int(c.shift) >> 1) > 2**62:
        return "num and shift: a prediction could overflow 64 bits"
    return None


cdef bint _is_pair(const EntityKind* kind, uint32_t i):
    cdef const Component* c = &kind.component[i]
    cdef const Component* other
    if not 0 <= c.pair < <int>kind.components:
        return False
    other = &kind.component[c.pair]
    if c.kind == KIND_QUADRANT:
        return other.kind == KIND_OFFSET and other.pair == <int>i
    return c.low == 0 < c.high and c.pair > <int>i and other.kind == KIND_QUADRANT and other.pair == <int>i and \
        other.predict == c.predict and other.num == c.num and other.shift == c.shift and \
        other.audience == c.audience and other.rate_ticks == c.rate_ticks


@final
cdef class KindTable:
    """Entity classes in the order of their type ids.

    components of each: a NumPy array of COMPONENT_DTYPE, copied.
    """

    def add(self, components, position=(), radius: float = 0.0, hysteresis: float = 0.0, groups=(), *,
            weight: int = 16, far: float = 1.0, far_ticks: int = 1, always: bool = False) -> int:
        """Add a class; its type id (0, 1, ...).

        components: COMPONENT_DTYPE, in the order of the fields, lanes together. position: indices of up to three
        components whose distance decides who sees the entity. radius, hysteresis: in user units; it comes into view
        within `radius` and leaves it beyond `radius + hysteresis`. groups: the world's numbers (below 16) of the groups
        that audiences 2, 3, ... stand for, at most 5. weight: 1 to 255, sixteenths of the usual gain of priority while
        a record waits. far, far_ticks: beyond this part of its radius (1: never) it is told once in so many ticks (1 to
        255). always: all see it at any distance, as far as masks allow. ValueError names what is wrong.
        """
        cdef EntityKind* kind
        cdef const unsigned char[::1] raw
        cdef uint32_t i
        if self.count == MAX_KINDS:
            raise ValueError(f"a world has at most {MAX_KINDS} entity classes")
        if components.dtype != COMPONENT_DTYPE or not 0 < len(components) <= MAX_COMPONENTS:
            raise ValueError(f"components must be 1 to {MAX_COMPONENTS} of COMPONENT_DTYPE")
        if len(position) > 3 or not all(0 <= axis < len(components) for axis in position):
            raise ValueError("position names up to three components")
        if not (0 <= radius < float("inf") and 0 <= hysteresis < float("inf")):
            raise ValueError("radius and hysteresis are finite and not negative")
        if len(groups) > CLASS_GROUPS or not all(0 <= group < MAX_GROUPS for group in groups):
            raise ValueError(f"a class speaks of at most {CLASS_GROUPS} groups, numbered 0 to {MAX_GROUPS - 1}")
        if not (0 < weight < 256 and 0 < far <= 1 and 0 < far_ticks < 256):
            raise ValueError("weight and far_ticks are 1 to 255, far is above 0 and at most 1")
        kind = &self.kinds[self.count]
        memset(kind, 0, sizeof(EntityKind))
        kind.groups, kind.always = len(groups), always
        kind.shows_all = SHOW_OWNER | ((1 << kind.groups) - 1) << 1
        for i, group in enumerate(groups):
            kind.group[i] = group
        raw = np.ascontiguousarray(components).view(np.uint8).reshape(-1)
        kind.components = len(components)
        memcpy(kind.component, &raw[0], kind.components * sizeof(Component))
        for i in range(kind.components):
            wrong = _wrong_component(kind, i)
            if wrong:
                raise ValueError(f"component {i}: {wrong}")
            if kind.component[i].lane == 0:
                kind.first[kind.fields] = i
                kind.fields += 1
        kind.first[kind.fields] = kind.components
        for i in range(3):
            kind.position[i] = position[i] if i < <uint32_t>len(position) else -1
        kind.radius = radius
        kind.radius2 = kind.radius * kind.radius
        kind.leave2 = (kind.radius + <double>hysteresis) * (kind.radius + <double>hysteresis)
        kind.weight, kind.far_ticks, kind.far_from = weight, far_ticks, 255
        if kind.leave2 > 0:
            kind.farness_scale = 255.0 / kind.leave2
        if far < 1:
            kind.far_from = <uint8_t>(<double>far * kind.radius * (<double>far * kind.radius) * kind.farness_scale)
        self.stride = max(self.stride, kind.components)
        self.groups = max(self.groups, 1 + max(groups, default=-1))
        self.count += 1
        return self.count - 1

    def predict(self, kind: int, state, ticks: int) -> list[int]:
        """`state` (quanta of each component) of class `kind` moved on by `ticks`; for tests and vectors."""
        cdef int32_t[MAX_COMPONENTS] numbers
        cdef const EntityKind* table = &self.kinds[kind]
        if not 0 <= kind < self.count or len(state) != table.components:
            raise ValueError("no such class, or not its number of components")
        for i, value in enumerate(state):
            numbers[i] = value
        return [predict_component(table, i, numbers, ticks) for i in range(len(state))]

    def quantize(self, kind: int, component: int, value: float) -> int | tuple[int, int] | None:
        """`value` in user units as quanta, of an offset with its quadrant; None if it is no finite number."""
        cdef int32_t[MAX_COMPONENTS] quanta
        cdef uint64_t saturated = 0
        cdef const EntityKind* table
        if not (0 <= kind < self.count and 0 <= component < self.kinds[kind].components):
            raise ValueError("no such component")
        table = &self.kinds[kind]
        if table.component[component].kind == KIND_OFFSET:
            known = quantize_pair(table, component, value, quanta, &saturated)
            return (quanta[component], quanta[table.component[component].pair]) if known else None
        known = quantize(&table.component[component], value, &quanta[component], &saturated)
        return quanta[component] if known else None

"""The bytes of one entity record's body: bit-packed values, least significant bit first, padded with zeros to a byte.

Owner    Writers and readers point into the caller's memory.
Limit    RECORD_BYTES a body; a reader never looks past its length and fails for good at the first wrong bit.
Threads  Pure functions of their arguments.

    absolute   each component the audience sees: value - low in `bits` bits; one that is wider than WIDE_BITS begins
               with a 2-bit class: zigzag from its origin in a quarter, half or three quarters of `bits`, or value - low
    delta      one bit a field: changed | for each changed field, each lane: 2-bit class, then 0, small, medium or 32
               bits of the zigzag residual against the predicted reference; the smallest class that fits, no other

docs/replication.md is the normative description.
"""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from shadowland._core.world.columns cimport (
    KIND_ANGLE, KIND_OFFSET, KIND_QUADRANT, MAX_COMPONENTS, Component, EntityKind, difference, expected_component,
    is_shown, wrap_into)

cdef enum:
    RECORD_BYTES = 288                  # 64 components of 34 bits, 64 field bits
    WIDE_BITS = 12
    RECORD_UPDATE = 0                   # low two bits of a record's head
    RECORD_ABSOLUTE = 1
    RECORD_ENTER = 2
    RECORD_LEAVE = 3
    RECORD_LONG = 63                    # age code: 16 bits of the reference's tick follow

cdef struct RecordWriter:
    uint8_t* data                       # RECORD_BYTES of room
    size_t length
    uint64_t pending
    uint32_t count                      # bits pending, less than 8 between calls

cdef struct RecordReader:
    const uint8_t* data
    size_t length
    size_t position
    uint64_t pending
    uint32_t count
    bint failed

cdef inline void put_bits(RecordWriter* w, uint32_t value, uint32_t width) noexcept nogil:
    w.pending |= <uint64_t>value << w.count
    w.count += width
    while w.count >= 8:
        w.data[w.length] = <uint8_t>w.pending
        w.length += 1
        w.pending >>= 8
        w.count -= 8

cdef inline void put_end(RecordWriter* w) noexcept nogil:
    if w.count:
        put_bits(w, 0, 8 - w.count)

cdef inline uint32_t take_bits(RecordReader* r, uint32_t width) noexcept nogil:
    """The next `width` (0 to 32) bits; 0 and `failed` where the payload ends before."""
    cdef uint32_t value
    while r.count < width:
        if r.failed or r.position >= r.length:
            r.failed = True
            return 0
        r.pending |= <uint64_t>r.data[r.position] << r.count
        r.position += 1
        r.count += 8
    value = <uint32_t>(r.pending & ((<uint64_t>1 << width) - 1))
    r.pending >>= width
    r.count -= width
    return value

cdef inline void take_end(RecordReader* r) noexcept nogil:
    """Skip to the next byte; the bits between must be zero, so that a record has one encoding."""
    if r.pending:
        r.failed = True
    r.pending = 0
    r.count = 0

cdef inline uint32_t take_uvarint(RecordReader* r, uint32_t limit) noexcept nogil:
    """LEB128 at a byte border, canonical, at most `limit`; 0 and `failed` otherwise."""
    cdef uint64_t value = 0
    cdef uint32_t byte, shift
    for shift in range(0, 35, 7):
        byte = take_bits(r, 8)
        value |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            if (shift and byte == 0) or value > limit:
                break
            return <uint32_t>value
    r.failed = True
    return 0

cdef inline uint32_t put_uvarint(uint8_t* data, uint32_t value) noexcept nogil:
    """Write `value` as LEB128; the number of bytes, 5 at most."""
    cdef uint32_t length = 0
    while value >= 0x80:
        data[length] = <uint8_t>(value | 0x80)
        value >>= 7
        length += 1
    data[length] = <uint8_t>value
    return length + 1

cdef inline uint32_t uvarint_size(uint32_t value) noexcept nogil:
    return 1 if value < 1 << 7 else 2 if value < 1 << 14 else 3 if value < 1 << 21 else 4 if value < 1 << 28 else 5

cdef inline void put_class(RecordWriter* w, const Component* c, int32_t residual) noexcept nogil:
    cdef uint32_t z = (<uint32_t>residual << 1) ^ <uint32_t>(residual >> 31)
    if z == 0:
        put_bits(w, 0, 2)
    elif z >> c.small == 0:
        put_bits(w, 1 | z << 2, 2 + c.small)
    elif z >> c.medium == 0:
        put_bits(w, 2, 2)
        put_bits(w, z, c.medium)
    else:
        put_bits(w, 3, 2)
        put_bits(w, z, 32)

cdef inline int32_t take_class(RecordReader* r, const Component* c) noexcept nogil:
    cdef uint32_t code = take_bits(r, 2), z
    if code == 0:
        return 0
    z = take_bits(r, c.small if code == 1 else c.medium if code == 2 else 32)
    if (z == 0 if code == 1 else z >> (c.small if code == 2 else c.medium) == 0):
        r.failed = True                 # a smaller class would have held it
    return <int32_t>(z >> 1) ^ -<int32_t>(z & 1)

cdef inline int32_t origin_of(const Component* c) noexcept nogil:
    """The value of the range that is nearest to 0: wide ranges are rarely used far from it."""
    return c.low if c.low > 0 else c.high if c.high < 0 else 0

cdef inline uint64_t wide_zigzag(const Component* c, int32_t value) noexcept nogil:
    cdef int64_t apart = <int64_t>value - origin_of(c)
    return (<uint64_t>apart << 1) ^ <uint64_t>(apart >> 63)

cdef inline uint32_t wide_width(const Component* c, uint32_t code) noexcept nogil:
    return (c.bits * (code + 1) + 3) >> 2

cdef inline void put_wide(RecordWriter* w, const Component* c, int32_t value) noexcept nogil:
    cdef uint64_t z = wide_zigzag(c, value)
    cdef uint32_t code = 0
    while code < 3 and z >> wide_width(c, code):
        code += 1
    put_bits(w, code, 2)
    put_bits(w, <uint32_t>z if code < 3 else <uint32_t>value - <uint32_t>c.low, wide_width(c, code))

cdef inline int64_t take_wide(RecordReader* r, const Component* c) noexcept nogil:
    """The value; the caller checks that it is in its range."""
    cdef uint32_t code = take_bits(r, 2)
    cdef uint32_t number = take_bits(r, wide_width(c, code))
    cdef int64_t value
    if code == 3:
        value = <int64_t>c.low + number
        if value <= c.high and not wide_zigzag(c, <int32_t>value) >> wide_width(c, 2):
            r.failed = True             # a smaller class would have held it
        return value
    if code and not number >> wide_width(c, code - 1):
        r.failed = True
    return origin_of(c) + (<int64_t>(number >> 1) ^ -<int64_t>(number & 1))

cdef inline size_t encode_absolute(const EntityKind* kind, const int32_t* state, uint32_t audience,
                                   uint8_t* out) noexcept nogil:
    """Write the body of an absolute record to `out` (RECORD_BYTES of room); its length."""
    cdef RecordWriter w
    cdef uint32_t i
    w.data, w.length, w.pending, w.count = out, 0, 0, 0
    for i in range(kind.components):
        if is_shown(&kind.component[i], audience):
            if kind.component[i].bits > WIDE_BITS:
                put_wide(&w, &kind.component[i], state[i])
            else:
                put_bits(&w, <uint32_t>state[i] - <uint32_t>kind.component[i].low, kind.component[i].bits)
    put_end(&w)
    return w.length

cdef inline void decode_absolute(const EntityKind* kind, RecordReader* r, uint32_t audience,
                                 int32_t* out) noexcept nogil:
    """Read the body of an absolute record; components the audience does not see become `low`. Look at r.failed."""
    cdef uint32_t i
    cdef int64_t value
    for i in range(kind.components):
        value = kind.component[i].low
        if is_shown(&kind.component[i], audience):
            if kind.component[i].bits > WIDE_BITS:
                value = take_wide(r, &kind.component[i])
            else:
                value += take_bits(r, kind.component[i].bits)
            if value < kind.component[i].low or value > kind.component[i].high:
                r.failed = True
                return
        out[i] = <int32_t>value
    take_end(r)

cdef inline size_t encode_delta(const EntityKind* kind, const int32_t* state, const int32_t* reference, uint32_t ticks,
                                uint32_t audience, uint8_t* out) noexcept nogil:
    """Write the body of an update of `reference`, which is `ticks` old, to `out` (RECORD_BYTES of room); its length."""
    cdef RecordWriter w
    cdef int32_t residual[MAX_COMPONENTS]
    cdef bint changed[MAX_COMPONENTS]
    cdef uint32_t i, f
    w.data, w.length, w.pending, w.count = out, 0, 0, 0
    for f in range(kind.fields):
        if not is_shown(&kind.component[kind.first[f]], audience):
            changed[f] = False
            continue
        changed[f] = False
        for i in range(kind.first[f], kind.first[f + 1]):
            residual[i] = difference(&kind.component[i], state[i], expected_component(kind, i, reference, ticks, state))
            if residual[i]:
                changed[f] = True
        put_bits(&w, changed[f], 1)
    for f in range(kind.fields):
        if changed[f]:
            for i in range(kind.first[f], kind.first[f + 1]):
                put_class(&w, &kind.component[i], residual[i])
    put_end(&w)
    return w.length

cdef inline int32_t add_residual(const Component* c, int32_t predicted, int32_t residual,
                                 RecordReader* r) noexcept nogil:
    cdef int64_t span
    cdef int32_t value
    if c.kind == KIND_ANGLE or c.kind == KIND_OFFSET:
        span = <int64_t>c.high - c.low + 1
        if residual < -(span // 2) or residual >= (span + 1) // 2:
            r.failed = True
        return wrap_into(c, <int64_t>predicted + residual)
    value = <int32_t>(<uint32_t>predicted + <uint32_t>residual)
    if value < c.low or value > c.high:
        r.failed = True
    return value

cdef inline void decode_delta(const EntityKind* kind, RecordReader* r, const int32_t* reference, uint32_t ticks,
                              uint32_t audience, int32_t* out) noexcept nogil:
    """Read the body of an update of `reference`, which is `ticks` old. Look at r.failed; `out` means nothing then."""
    cdef uint64_t changed = 0
    cdef uint32_t i, f
    for f in range(kind.fields):
        if is_shown(&kind.component[kind.first[f]], audience):
            changed |= <uint64_t>take_bits(r, 1) << f
    for f in range(kind.fields):
        for i in range(kind.first[f], kind.first[f + 1]):
            out[i] = expected_component(kind, i, reference, ticks, out)
            if changed >> f & 1:
                out[i] = add_residual(&kind.component[i], out[i], take_class(r, &kind.component[i]), r)
            elif kind.component[i].kind == KIND_QUADRANT:
                out[i] = add_residual(&kind.component[i], out[i], 0, r)     # the offset may lie beyond the last
    take_end(r)

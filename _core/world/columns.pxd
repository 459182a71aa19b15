"""Columns of the world and their quantized state: what a class of entities consists of, and how a value moves on.

Owner    Component tables are made by the schema and copied by whoever keeps them; nothing here allocates.
Limit    MAX_COMPONENTS numbers an entity; every number is an int32 of quanta.
Threads  Pure functions of their arguments.

A vector field is several components, one after the other (`lane` 0 to `lanes` - 1). Local fields have no component: they
never leave the server.
"""
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t

cdef enum:
    MAX_COMPONENTS = 64                 # so that a set of components is one 64-bit word

cdef enum:                              # Component.kind
    KIND_FLOAT = 0                      # user value = quanta * step
    KIND_INT = 1
    KIND_ANGLE = 2                      # wraps: high + 1 is low again
    KIND_FLAGS = 3                      # bool, enum, flags

cdef enum:                              # Component.audience
    AUDIENCE_ALL = 0
    AUDIENCE_OWNER = 1
    AUDIENCE_LOCAL = 255

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
    uint8_t reserved[22]

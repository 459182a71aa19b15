"""What one endpoint needs to pack its messages and to gather packed ones that came in parts.

Owner    The endpoint's state holds it; packer_init takes its memory, packer_free gives it back.
Limit    `room` bytes, the longest message; messages below `least` bytes and those of `plain` kinds stay as they are.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from shadowland._core.compress.lz4 cimport Workspace, pack_message

cdef enum:
    PACK_LEAST = 128                # below it nothing is gained (docs/decisions.md)

cdef struct Packer:
    Workspace* workspace
    uint8_t* buffer                 # a packed message: one that is about to be sent, or one whose parts have all come
    uint32_t room
    uint32_t least                  # 0: nothing is packed
    uint8_t plain[256]              # by kind: never packed, and refused when it comes packed

cdef inline bint packer_init(Packer* packer, uint32_t room) noexcept nogil:
    """Allocate; False when memory is short."""
    memset(packer, 0, sizeof(Packer))
    packer.workspace = <Workspace*>calloc(1, sizeof(Workspace))
    packer.buffer = <uint8_t*>calloc(room, 1)
    packer.room = room
    packer.least = PACK_LEAST
    return packer.workspace != NULL and packer.buffer != NULL

cdef inline void packer_free(Packer* packer) noexcept nogil:
    free(packer.workspace)
    free(packer.buffer)
    packer.workspace = NULL
    packer.buffer = NULL

cdef inline uint32_t packer_pack(Packer* packer, uint8_t kind, const uint8_t* payload, uint32_t length) noexcept nogil:
    """The payload packed in `buffer`: its size there, 0 if it stays as it is."""
    if packer.least == 0 or length < packer.least or length > packer.room or packer.plain[kind]:
        return 0
    return pack_message(packer.workspace, packer.buffer, payload, length)

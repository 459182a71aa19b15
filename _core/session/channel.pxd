"""Reliable delivery: what both halves must agree on (docs/protocol.md 5.2). The halves: sending.pxd, receiving.pxd.

Owner    Claims lie inside the connection.
Limit    The constants below, and from them the memory of a session: docs/config.md adds them up.
Threads  As the halves.

A message is cut into units of at most RELIABLE_UNIT_SIZE bytes. Units are numbered over the whole session, in the order
in which they were cut, whatever stream they belong to: there is one window and one record of what is lost. Beside its
number each unit says its stream, its message's number in that stream and its place in the message.
"""
from libc.stdint cimport uint32_t

cdef enum:
    RELIABLE_POSITIONS = 256                        # power of two
    RELIABLE_MASK = RELIABLE_POSITIONS - 1
    RELIABLE_WINDOW = RELIABLE_POSITIONS
    RELIABLE_UNIT_SIZE = 960                        # fits beside the largest ack block into the smallest MTU
    RELIABLE_MESSAGE_LIMIT = 262144                 # 256 KiB, its kind included
    RELIABLE_MESSAGE_UNITS = 274                    # RELIABLE_MESSAGE_LIMIT in units

    # Units of messages of several units that were begun and are not wholly acknowledged: two of the longest and some.
    # The receiver sets the memory of a message aside with the first of its units that comes when it is the next of its
    # stream, so what was begun can always be ended.
    RECEIVE_UNITS = 640

    STREAMS = 8                                     # of the application; lower ones are more urgent
    STREAM_CONTROL = 8                              # the endpoints' own
    STREAM_UNORDERED_PARTS = 9                      # unordered messages of several units go one after another
    STREAM_UNORDERED = 10                           # those of one unit in any order
    STREAM_COUNT = 11

    CONTROL_LIMIT = 4096                            # bytes of a message of the control stream, its kind included
    CONTROL_BLOCKS = 64                             # blocks that the control stream of a session may hold

    SESSION_RESERVE = 12                            # blocks that every session can have, whatever the others hold
    CONTROL_RESERVE = 4                             # and its control stream
    BLOCKS_RESERVED = SESSION_RESERVE + CONTROL_RESERVE

    UNIT_BLOCKS = 4                                 # blocks of a full unit
    RECEIVE_BLOCKS = RECEIVE_UNITS * UNIT_BLOCKS
    BLOCKS_LEAST = RECEIVE_BLOCKS + 160             # a session's quota: those and some units that wait for their turn

cdef struct Claims:                                 # blocks of the slab that a session may take (base/slab)
    uint32_t held
    uint32_t control

cdef inline uint32_t reliable_units(uint32_t length) noexcept nogil:
    return 1 if length <= RELIABLE_UNIT_SIZE else (length + RELIABLE_UNIT_SIZE - 1) // RELIABLE_UNIT_SIZE

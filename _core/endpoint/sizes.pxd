"""How long the messages of each channel may get: constants that follow from the smallest packet.

Owner    Nobody: constants only.
Limit    These are the limits.
Threads  Any.
"""
from shadowland._core.crypto.aead cimport AEAD_TAG_LARGEST
from shadowland._core.endpoint.state cimport MTU_MINIMUM
from shadowland._core.session.ack cimport ACK_BLOCK_MAX
from shadowland._core.session.fragment cimport FRAGMENT_PARTS, FRAGMENT_SIZE
from shadowland._core.wire.header cimport HEADER_SIZE

cdef enum:
    CONTROL_MOST = 33               # CONFIRM, PONG and PING together
    # What fits into a packet of the smallest MTU whatever else must be in it, so that snapshots need not know the path.
    SNAPSHOT_LIMIT = MTU_MINIMUM - HEADER_SIZE - AEAD_TAG_LARGEST - ACK_BLOCK_MAX - CONTROL_MOST - 3
    LATEST_LIMIT = SNAPSHOT_LIMIT - 1                       # one frame as well, with its kind
    UNRELIABLE_LIMIT = FRAGMENT_PARTS * FRAGMENT_SIZE - 1

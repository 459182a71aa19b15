"""Path validation: may a session move to the address from which its newest packet came (docs/protocol.md 8)?

Owner    A PathPending lies inside the connection; nothing here allocates, sends or draws random numbers.
Limit    One pending path a session, another at most every PATH_GAP_US; PATH_TRIES challenges over each of the two
         paths; over the pending one at most PATH_AMPLIFICATION times the bytes that came by it.
Threads  One at a time per connection.

    packet opens, is the newest, other address ─▶ pending ─┬─ it answers over itself ─────────────▶ moved
    (within PATH_GAP_US of the last: kept for later,       ├─ the old one answers, carries newer ──▶ kept
     if nothing newer came by then)                        └─ PATH_TRIES challenges, no answer ────▶ given up
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.base.records cimport Address, address_same

cdef enum:
    PATH_GAP_US = 1000000
    PATH_RESEND_US = 250000
    PATH_RESEND_LONGEST_US = 1000000
    PATH_TRIES = 5
    PATH_AMPLIFICATION = 3                          # RFC 9000 8

    # What a packet from elsewhere is.
    PATH_PENDING = 0                                # it came by the pending path
    PATH_LATE = 1                                   # newer ones came: it left before the peer moved, or was held back
    PATH_BUSY = 2                                   # another path was challenged a moment ago: this one's turn comes
    PATH_NEW = 3                                    # challenge it

    # By which path a response came.
    VIA_VALIDATED = 0
    VIA_PENDING = 1
    VIA_OTHER = 2

    # What a response means.
    PATH_STRANGE = 0                                # of no challenge that is open, or over another path than its own
    PATH_WAITING = 1                                # the old path lives; whether it carries newer packets must be seen
    PATH_KEPT = 2
    PATH_MOVED = 3

cdef struct PathSeen:           # where the newest packet came from while another path could not be challenged yet
    Address remote
    Address local
    uint64_t newest
    uint64_t received
    bint some

cdef struct PathPending:
    Address remote
    Address local
    PathSeen later
    uint64_t token              # challenge over the pending path
    uint64_t token_old          # challenge over the validated one
    uint64_t free_us            # no other path is challenged before
    uint64_t sent_us            # when the first challenge over the pending path left
    uint64_t due_us             # when both are challenged again, or the pending one is given up
    uint64_t newest             # newest sequence that came by the pending path
    uint64_t received           # bytes of UDP payload that opened and came by it
    uint64_t sent               # bytes of UDP payload sent over it
    uint32_t tries
    bint some
    bint old_answered
    bint wants_new              # a challenge over the pending path is to be sent now
    bint wants_old

cdef inline bint path_is(const PathPending* path, const Address* remote, const Address* local) noexcept nogil:
    """Whether the pending path is this one: a path is a remote and a local address."""
    return path.some and address_same(&path.remote, remote) and address_same(&path.local, local)

cdef inline int path_arrived(PathPending* path, const Address* remote, const Address* local, uint64_t sequence,
                             bint newest, uint32_t length, uint64_t now_us) noexcept nogil:
    """A packet opened and did not come by the validated path; `newest`: no packet before it had a higher sequence."""
    if path_is(path, remote, local):
        path.received += length
        if sequence > path.newest:
            path.newest = sequence
        return PATH_PENDING
    if not newest:
        return PATH_LATE
    if now_us >= path.free_us:
        return PATH_NEW
    if not (path.later.some and address_same(&path.later.remote, remote) and address_same(&path.later.local, local)):
        path.later.some = True
        path.later.remote = remote[0]
        path.later.local = local[0]
        path.later.received = 0
    path.later.received += length
    path.later.newest = sequence
    return PATH_BUSY

cdef inline void path_begin(PathPending* path, const Address* remote, const Address* local, uint64_t sequence,
                            uint64_t received, uint64_t token, uint64_t token_old, uint64_t now_us) noexcept nogil:
    """Make this the pending path, in place of one that still waits: the peer was seen here last."""
    memset(path, 0, sizeof(PathPending))
    path.some = True
    path.remote = remote[0]
    path.local = local[0]
    path.newest = sequence
    path.received = received
    path.token = token
    path.token_old = token_old
    path.free_us = now_us + PATH_GAP_US
    path.due_us = now_us

cdef inline void path_drop(PathPending* path) noexcept nogil:
    """Nothing is pending any more; which one is next and when stays known."""
    cdef uint64_t free_us = path.free_us
    cdef PathSeen later = path.later
    memset(path, 0, sizeof(PathPending))
    path.free_us = free_us
    path.later = later

cdef inline bint path_room(const PathPending* path, uint32_t size) noexcept nogil:
    """Whether `size` bytes may be sent over the pending path; `sent` never passes its limit."""
    return size <= PATH_AMPLIFICATION * path.received - path.sent

cdef inline int path_due(PathPending* path, uint64_t session_newest, uint64_t now_us) noexcept nogil:
    """Time has passed. PATH_KEPT: the pending path lost or is given up. PATH_NEW: begin with path.later (a copy of it).
    Else what is to be sent is marked."""
    cdef uint64_t wait_us
    if path.later.some and path.free_us <= now_us:
        path.later.some = False
        if path.later.newest == session_newest:     # else the peer is elsewhere by now
            return PATH_NEW
    if not path.some or path.due_us > now_us:
        return PATH_WAITING
    if (path.old_answered and session_newest > path.newest) or path.tries >= PATH_TRIES:
        return PATH_KEPT
    wait_us = <uint64_t>PATH_RESEND_US << path.tries
    path.due_us = now_us + (wait_us if wait_us < PATH_RESEND_LONGEST_US else PATH_RESEND_LONGEST_US)
    path.tries += 1
    path.wants_new = True
    path.wants_old = not path.old_answered
    return PATH_WAITING

cdef inline void path_challenged(PathPending* path, uint32_t size, uint64_t now_us) noexcept nogil:
    """A challenge of `size` bytes leaves over the pending path."""
    path.sent += size
    path.wants_new = False
    if path.sent_us == 0:
        path.sent_us = now_us

cdef inline int path_answered(PathPending* path, int via, uint64_t token, uint64_t session_newest) noexcept nogil:
    """A response came `via` a path; session_newest is the newest sequence of the session, this packet included."""
    if not path.some:
        return PATH_STRANGE
    if via == VIA_VALIDATED and token == path.token_old:
        path.old_answered = True
        path.wants_old = False
    elif via != VIA_PENDING or token != path.token:
        return PATH_STRANGE
    if path.old_answered and session_newest > path.newest:
        return PATH_KEPT
    return PATH_MOVED if via == VIA_PENDING else PATH_WAITING

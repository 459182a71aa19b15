"""Integrity: what a server compares its clients' files with, and how far each challenge is (docs/protocol.md 5.6).

Owner    The endpoint; endpoint/checks.pyx takes the memory, and keeps alive what `data` points to.
Limit    INTEGRITY_TABLES builds, one challenge under way for each session, INTEGRITY_SLICE bytes hashed for each.
Threads  One at a time.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

cdef enum:
    INTEGRITY_TABLES = 8
    INTEGRITY_SLICE = 4096
    INTEGRITY_NONCE = 16

    CHECK_IDLE = 0
    CHECK_SAID = 1              # the challenge is on its way
    CHECK_HEARD = 2             # it was acknowledged: the answer is due

cdef struct IntegrityTable:
    uint32_t build
    uint32_t size
    const uint8_t* data

cdef struct IntegrityCheck:
    uint64_t due_us             # IDLE: of the next challenge (0: not set yet); otherwise when the session ends
    uint64_t session            # whose it is: the slot may have a new one
    uint32_t offset
    uint32_t length
    uint8_t state
    uint8_t nonce[INTEGRITY_NONCE]

cdef struct Integrity:
    uint32_t count              # server: 0: nobody is ever challenged, and nothing below is there
    IntegrityTable tables[INTEGRITY_TABLES]
    IntegrityCheck* checks      # per slot
    uint64_t every_us           # on average; a challenge comes after 0.5 to 1.5 times that
    uint64_t answer_us          # from its acknowledgment
    uint64_t passed
    uint64_t failed
    IntegrityTable own          # client: what it has; NULL: nothing

cdef inline void integrity_free(Integrity* integrity) noexcept nogil:
    free(integrity.checks)
    memset(integrity, 0, sizeof(Integrity))

cdef inline const IntegrityTable* integrity_table(const Integrity* integrity, uint32_t build) noexcept nogil:
    """What clients of a build should have; NULL: they are not challenged."""
    cdef uint32_t i
    for i in range(integrity.count):
        if integrity.tables[i].build == build:
            return &integrity.tables[i]
    return NULL

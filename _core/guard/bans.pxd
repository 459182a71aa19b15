"""Bans: addresses and subnets that may not begin a session until a stated time, exact, in a table of their own.

Owner    A Bans belongs to one guard; it takes its memory once.
Limit    `capacity` bans at a load of at most one half. When it is full, bans that are over go first, then the one that
         ends soonest: a new ban is never refused.
Threads  One at a time.

Open addressing with linear probing and deletion by shifting back, places by a keyed hash.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from shadowland._core.guard.network cimport Prefix
from shadowland._core.guard.sources cimport HASH_KEY, prefix_hash

cdef enum:
    BAN_CAUSE_OPERATOR = 255        # else the WHAT_ of the rule that did it

cdef struct Ban:
    Prefix prefix                   # tag 0: a free place
    uint64_t until_us
    uint64_t cause

cdef struct Bans:
    Ban* entries
    uint64_t mask
    uint32_t count
    uint32_t capacity
    uint64_t evicted                # bans that gave way before their time
    uint8_t key[HASH_KEY]

cdef inline bint bans_init(Bans* bans, uint32_t capacity, const uint8_t* key) noexcept nogil:
    cdef uint64_t size = 2
    memset(bans, 0, sizeof(Bans))
    while size < <uint64_t>capacity * 2:
        size *= 2
    bans.entries = <Ban*>calloc(size, sizeof(Ban))
    bans.mask = size - 1
    bans.capacity = capacity
    memcpy(bans.key, key, HASH_KEY)
    return bans.entries != NULL

cdef inline void bans_free(Bans* bans) noexcept nogil:
    free(bans.entries)
    bans.entries = NULL

cdef inline Ban* ban_place(const Bans* bans, Prefix prefix) noexcept nogil:
    """Where `prefix` stands, or the free place where it would."""
    cdef uint64_t at = prefix_hash(&prefix, bans.key) & bans.mask
    while bans.entries[at].prefix.tag != 0:
        if bans.entries[at].prefix.tag == prefix.tag and bans.entries[at].prefix.bits == prefix.bits:
            break
        at = (at + 1) & bans.mask
    return &bans.entries[at]

cdef inline bint ban_active(const Bans* bans, Prefix prefix, uint64_t now_us) noexcept nogil:
    """Whether `prefix` is banned at `now_us`."""
    cdef const Ban* ban
    if bans.count == 0:
        return False
    ban = ban_place(bans, prefix)
    return ban.prefix.tag != 0 and now_us < ban.until_us

cdef inline void ban_erase(Bans* bans, uint64_t hole) noexcept nogil:
    cdef uint64_t at = hole, home
    while True:
        at = (at + 1) & bans.mask
        if bans.entries[at].prefix.tag == 0:
            break
        home = prefix_hash(&bans.entries[at].prefix, bans.key) & bans.mask
        # An entry may move back into the hole unless its home lies behind the hole (all distances modulo the size).
        if ((at - home) & bans.mask) >= ((at - hole) & bans.mask):
            bans.entries[hole] = bans.entries[at]
            hole = at
    memset(&bans.entries[hole], 0, sizeof(Ban))
    bans.count -= 1

cdef inline bint ban_lift(Bans* bans, Prefix prefix) noexcept nogil:
    """End a ban; False if there was none."""
    cdef Ban* ban = ban_place(bans, prefix)
    if ban.prefix.tag == 0:
        return False
    ban_erase(bans, ban - bans.entries)
    return True

cdef inline void bans_expire(Bans* bans, uint64_t now_us) noexcept nogil:
    """Give the places of bans that are over back."""
    cdef uint64_t at = 0
    while at <= bans.mask and bans.count > 0:
        if bans.entries[at].prefix.tag != 0 and bans.entries[at].until_us <= now_us:
            ban_erase(bans, at)         # another may have moved in here: look again
        else:
            at += 1

cdef inline uint64_t ban_soonest(const Bans* bans) noexcept nogil:
    cdef uint64_t at, found = 0, soonest = <uint64_t>-1
    for at in range(bans.mask + 1):
        if bans.entries[at].prefix.tag != 0 and bans.entries[at].until_us <= soonest:
            soonest = bans.entries[at].until_us
            found = at
    return found

cdef inline void ban_put(Bans* bans, Prefix prefix, uint64_t until_us, uint64_t now_us, uint64_t cause) noexcept nogil:
    """Ban `prefix` until `until_us`; a ban that lasts longer stays as it is."""
    cdef Ban* ban = ban_place(bans, prefix)
    if ban.prefix.tag != 0:
        if until_us > ban.until_us:
            ban.until_us = until_us
            ban.cause = cause
        return
    if bans.count >= bans.capacity:
        bans_expire(bans, now_us)
        if bans.count >= bans.capacity:
            ban_erase(bans, ban_soonest(bans))
            bans.evicted += 1
        ban = ban_place(bans, prefix)
    ban.prefix = prefix
    ban.until_us = until_us
    ban.cause = cause
    bans.count += 1

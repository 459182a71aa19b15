"""Relations between entities: who regards whom as friend or enemy, and why, in O(1) a pair.

Owner    The Relations class (relations.pyx) allocates everything at start-up.
Limit    `slots` entities, RELATION_FACTIONS factions, `words` personal words at a load of at most one half; a full
         table is an ordinary answer.
Threads  One at a time.

What one entity is to another follows from the first of these that says something:

    itself ─▶ duel between the two ─▶ personal word ─▶ same party ─▶ same guild ─▶ stances[faction][faction]

An entity of which nothing was said, or that is gone, is in faction 0 and in nothing else. Handle 0 is nobody.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    RELATION_FACTIONS = 64

    STANCE_NEUTRAL = 0
    STANCE_FRIEND = 1
    STANCE_ENEMY = 2

    BECAUSE_NOBODY = 0          # one of the two is no handle of this world
    BECAUSE_SELF = 1
    BECAUSE_DUEL = 2
    BECAUSE_PERSONAL = 3
    BECAUSE_PARTY = 4
    BECAUSE_GUILD = 5
    BECAUSE_FACTION = 6

    BECAUSE_SHIFT = 2           # a relation is stance | because << 2

cdef struct Member:
    uint64_t duel               # whom it duels with, 0: nobody
    uint32_t generation         # 0: nobody is here
    uint32_t party              # 0: none
    uint32_t guild              # 0: none
    uint32_t words              # personal words that it has said
    uint32_t faction
    uint32_t reserved

cdef struct Word:
    uint64_t by                 # 0: empty
    uint64_t about
    uint64_t stance

cdef struct RelationsState:
    Member* members
    Word* words
    uint64_t mask
    uint32_t slots
    uint32_t capacity
    uint32_t count
    uint32_t reserved
    uint8_t stances[64][64]

cdef inline Member* relation_member(const RelationsState* state, uint64_t entity) noexcept nogil:
    """Where the entity stands, NULL if the slot is not its own."""
    cdef uint32_t slot = <uint32_t>entity, generation = <uint32_t>(entity >> 32)
    if slot >= state.slots or entity == 0 or state.members[slot].generation != generation:
        return NULL
    return &state.members[slot]

cdef inline uint64_t word_home(const RelationsState* state, uint64_t by, uint64_t about) noexcept nogil:
    # Both handles are the server's own numbers: nobody can choose where they land.
    cdef uint64_t key = by * <uint64_t>0x9E3779B97F4A7C15 ^ about
    key = (key ^ (key >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    key = (key ^ (key >> 27)) * <uint64_t>0x94D049BB133111EB
    return (key ^ (key >> 31)) & state.mask

cdef inline uint64_t word_place(const RelationsState* state, uint64_t by, uint64_t about) noexcept nogil:
    """Where the word stands, or the empty place where it would."""
    cdef uint64_t at = word_home(state, by, about)
    while state.words[at].by != 0 and (state.words[at].by != by or state.words[at].about != about):
        at = (at + 1) & state.mask
    return at

cdef inline bint word_put(RelationsState* state, uint64_t by, uint64_t about, uint8_t stance) noexcept nogil:
    """`by` says what `about` is to it; False when the table is full or `by` is no entity."""
    cdef Member* member = relation_member(state, by)
    cdef uint64_t at
    if member == NULL:
        return False
    at = word_place(state, by, about)
    if state.words[at].by == 0:
        if state.count >= state.capacity:
            return False
        state.count += 1
        member.words += 1
    state.words[at].by, state.words[at].about, state.words[at].stance = by, about, stance
    return True

cdef inline bint word_remove(RelationsState* state, uint64_t by, uint64_t about) noexcept nogil:
    """Take a word back, also one about or by an entity that is gone; False if there was none."""
    cdef Member* member = relation_member(state, by)
    cdef uint64_t hole = word_place(state, by, about), at, home
    if state.words[hole].by == 0:
        return False
    at = hole
    while True:
        at = (at + 1) & state.mask
        if state.words[at].by == 0:
            break
        home = word_home(state, state.words[at].by, state.words[at].about)
        # An entry may move back into the hole unless its home lies behind the hole (all distances modulo the size).
        if ((at - home) & state.mask) >= ((at - hole) & state.mask):
            state.words[hole] = state.words[at]
            hole = at
    state.words[hole].by = 0
    state.count -= 1
    if member != NULL:
        member.words -= 1
    return True

cdef inline uint8_t relation_between(const RelationsState* state, uint64_t observer,
                                     uint64_t subject) noexcept nogil:
    """What `subject` is to `observer`: stance | because << BECAUSE_SHIFT."""
    cdef const Member* own = relation_member(state, observer)
    cdef const Member* other = relation_member(state, subject)
    cdef uint64_t at
    if observer == 0 or subject == 0 or <uint32_t>observer >= state.slots or <uint32_t>subject >= state.slots:
        return STANCE_NEUTRAL | BECAUSE_NOBODY << BECAUSE_SHIFT
    if observer == subject:
        return STANCE_FRIEND | BECAUSE_SELF << BECAUSE_SHIFT
    if own != NULL:
        if own.duel == subject:
            return STANCE_ENEMY | BECAUSE_DUEL << BECAUSE_SHIFT
        if own.words > 0:
            at = word_place(state, observer, subject)
            if state.words[at].by != 0:
                return <uint8_t>(state.words[at].stance | BECAUSE_PERSONAL << BECAUSE_SHIFT)
        if other != NULL and own.party != 0 and own.party == other.party:
            return STANCE_FRIEND | BECAUSE_PARTY << BECAUSE_SHIFT
        if other != NULL and own.guild != 0 and own.guild == other.guild:
            return STANCE_FRIEND | BECAUSE_GUILD << BECAUSE_SHIFT
    return <uint8_t>(state.stances[own.faction if own != NULL else 0][other.faction if other != NULL else 0]
                     | BECAUSE_FACTION << BECAUSE_SHIFT)

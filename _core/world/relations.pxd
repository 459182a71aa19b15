"""Relations between entities: who regards whom as friend or enemy, and why, in O(1) a pair.

Owner    The Relations class (relations.pyx) allocates everything at start-up. A word is in the table by its pair, and
         in two lists: those by the same entity and those about the same, so that whoever is gone takes its own along.
Limit    `slots` entities, RELATION_FACTIONS factions, `words` personal words at a load of at most one half; a full
         table is an ordinary answer.
Threads  One at a time.

What one entity is to another follows from the first of these that says something:

    itself ─▶ duel between the two ─▶ personal word ─▶ same party ─▶ same guild ─▶ stances[faction][faction]

An entity of which nothing was said, or that is gone, is in faction 0 and in nothing else. Handle 0 is nobody.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

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
    uint32_t faction
    uint32_t said               # first personal word by it and first one about it: place in `words` + 1, 0: none
    uint32_t heard
    uint32_t words              # how many it has said
    uint32_t reserved

cdef struct Word:
    uint64_t by
    uint64_t about
    uint32_t said[2]            # neighbours (before, after), as place + 1, among the words by the same
    uint32_t heard[2]           # and among those about the same; said[1] leads on in the list of free places too
    uint32_t stance
    uint32_t reserved

cdef struct RelationsState:
    Member* members
    Word* words
    uint32_t* table             # place + 1 by hash of (by, about), 0: empty
    uint64_t mask
    uint32_t slots
    uint32_t capacity
    uint32_t count
    uint32_t free               # first free place + 1
    uint32_t used               # places that were ever taken
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
    """Where in the table the word stands, or the empty place where it would."""
    cdef uint64_t at = word_home(state, by, about)
    while state.table[at] != 0 and (state.words[state.table[at] - 1].by != by
                                    or state.words[state.table[at] - 1].about != about):
        at = (at + 1) & state.mask
    return at

cdef inline bint word_put(RelationsState* state, uint64_t by, uint64_t about, uint8_t stance) noexcept nogil:
    """`by` says what `about` is to it; False when there is no room or one of them is no entity."""
    cdef Member* member = relation_member(state, by)
    cdef Member* other = relation_member(state, about)
    cdef Word* word
    cdef uint64_t at
    cdef uint32_t number
    if member == NULL or other == NULL:
        return False
    at = word_place(state, by, about)
    number = state.table[at]
    if number != 0:
        state.words[number - 1].stance = stance
        return True
    if state.count >= state.capacity:
        return False
    if state.free != 0:
        number = state.free
        state.free = state.words[number - 1].said[1]
    else:
        state.used += 1
        number = state.used
    word = &state.words[number - 1]
    word.by, word.about, word.stance = by, about, stance
    word.said[0], word.said[1], word.heard[0], word.heard[1] = 0, member.said, 0, other.heard
    if member.said != 0:
        state.words[member.said - 1].said[0] = number
    if other.heard != 0:
        state.words[other.heard - 1].heard[0] = number
    member.said = other.heard = state.table[at] = number
    member.words += 1
    state.count += 1
    return True

cdef inline bint word_remove(RelationsState* state, uint64_t by, uint64_t about) noexcept nogil:
    """Take a word back; False if there was none."""
    cdef uint64_t hole = word_place(state, by, about), at, home
    cdef uint32_t number = state.table[hole]
    cdef Word* word
    cdef Member* member
    if number == 0:
        return False
    word = &state.words[number - 1]
    member = &state.members[<uint32_t>by]           # of both: who is gone has taken its words along
    if word.said[0] != 0:
        state.words[word.said[0] - 1].said[1] = word.said[1]
    else:
        member.said = word.said[1]
    if word.said[1] != 0:
        state.words[word.said[1] - 1].said[0] = word.said[0]
    if word.heard[0] != 0:
        state.words[word.heard[0] - 1].heard[1] = word.heard[1]
    else:
        state.members[<uint32_t>about].heard = word.heard[1]
    if word.heard[1] != 0:
        state.words[word.heard[1] - 1].heard[0] = word.heard[0]
    word.said[1] = state.free
    state.free = number
    member.words -= 1
    state.count -= 1
    at = hole
    while True:
        at = (at + 1) & state.mask
        if state.table[at] == 0:
            break
        home = word_home(state, state.words[state.table[at] - 1].by, state.words[state.table[at] - 1].about)
        # An entry may move back into the hole unless its home lies behind the hole (all distances modulo the size).
        if ((at - home) & state.mask) >= ((at - hole) & state.mask):
            state.table[hole] = state.table[at]
            hole = at
    state.table[hole] = 0
    return True

cdef inline void member_forget(RelationsState* state, Member* member) noexcept nogil:
    """Whoever is here is gone, with the words by it and about it."""
    cdef Word* word
    while member.said != 0:
        word = &state.words[member.said - 1]
        word_remove(state, word.by, word.about)
    while member.heard != 0:
        word = &state.words[member.heard - 1]
        word_remove(state, word.by, word.about)
    memset(member, 0, sizeof(Member))

cdef inline uint8_t relation_between(const RelationsState* state, uint64_t observer,
                                     uint64_t subject) noexcept nogil:
    """What `subject` is to `observer`: stance | because << BECAUSE_SHIFT."""
    cdef const Member* own = relation_member(state, observer)
    cdef const Member* other = relation_member(state, subject)
    cdef uint32_t number
    if observer == 0 or subject == 0 or <uint32_t>observer >= state.slots or <uint32_t>subject >= state.slots:
        return STANCE_NEUTRAL | BECAUSE_NOBODY << BECAUSE_SHIFT
    if observer == subject:
        return STANCE_FRIEND | BECAUSE_SELF << BECAUSE_SHIFT
    if own != NULL:
        if own.duel == subject:
            return STANCE_ENEMY | BECAUSE_DUEL << BECAUSE_SHIFT
        if own.words > 0:
            number = state.table[word_place(state, observer, subject)]
            if number != 0:
                return <uint8_t>(state.words[number - 1].stance | BECAUSE_PERSONAL << BECAUSE_SHIFT)
        if other != NULL and own.party != 0 and own.party == other.party:
            return STANCE_FRIEND | BECAUSE_PARTY << BECAUSE_SHIFT
        if other != NULL and own.guild != 0 and own.guild == other.guild:
            return STANCE_FRIEND | BECAUSE_GUILD << BECAUSE_SHIFT
    return <uint8_t>(state.stances[own.faction if own != NULL else 0][other.faction if other != NULL else 0]
                     | BECAUSE_FACTION << BECAUSE_SHIFT)

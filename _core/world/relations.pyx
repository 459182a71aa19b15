"""Python door to relations: arrays of pairs in, an array of relations out."""
from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

FACTIONS = RELATION_FACTIONS
NEUTRAL, FRIEND, ENEMY = STANCE_NEUTRAL, STANCE_FRIEND, STANCE_ENEMY
NOBODY, SELF, DUEL, PERSONAL = BECAUSE_NOBODY, BECAUSE_SELF, BECAUSE_DUEL, BECAUSE_PERSONAL
PARTY, GUILD, FACTION = BECAUSE_PARTY, BECAUSE_GUILD, BECAUSE_FACTION
SHIFT = BECAUSE_SHIFT


@final
cdef class Relations:
    """Relations of a world of `slots` entities; at most `words` personal words at once."""
    cdef RelationsState state

    def __init__(self, slots: int, words: int) -> None:
        cdef RelationsState* state = &self.state
        cdef uint64_t size = 16
        if state.members != NULL:
            raise ValueError("Relations is initialised once")
        for name, value in (("slots", slots), ("words", words)):
            if not 1 <= value <= 1 << 24:
                raise ValueError(f"{name} is {value}; it must be 1 to {1 << 24}")
        while size < <uint64_t>words * 2:
            size *= 2
        state.slots, state.capacity, state.mask = slots, words, size - 1
        state.members = <Member*>calloc(slots, sizeof(Member))
        state.words = <Word*>calloc(words, sizeof(Word))
        state.table = <uint32_t*>calloc(size, sizeof(uint32_t))
        if state.members == NULL or state.words == NULL or state.table == NULL:
            raise MemoryError(f"Relations: no memory for {slots} entities and {words} words")

    def __dealloc__(self):
        free(self.state.members)
        free(self.state.words)
        free(self.state.table)

    @property
    def words(self) -> int:
        """Personal words that stand."""
        return self.state.count

    def declare(self, a: int, b: int, stance: int) -> None:
        """How faction `a` regards faction `b`."""
        if not (0 <= a < RELATION_FACTIONS and 0 <= b < RELATION_FACTIONS and 0 <= stance <= STANCE_ENEMY):
            raise ValueError("factions must be 0 to 63 and a stance 0 to 2")
        self.state.stances[<int>a][<int>b] = stance

    def place(self, entity: int, faction: int, party: int, guild: int) -> None:
        """An entity's faction, party and guild; whoever had its slot before has none any more."""
        cdef uint64_t handle = entity
        cdef uint32_t slot = <uint32_t>handle
        cdef Member* member
        if handle >> 32 == 0 or slot >= self.state.slots or not 0 <= faction < RELATION_FACTIONS:
            raise ValueError("an entity of this world and a faction of 0 to 63 are needed")
        member = &self.state.members[slot]
        if member.generation != <uint32_t>(handle >> 32):
            member_forget(&self.state, member)
            member.generation = <uint32_t>(handle >> 32)
        member.faction, member.party, member.guild = faction, party, guild

    def duel(self, a: int, b: int) -> None:
        """`a` duels with `b` from its side; b is 0: with nobody."""
        cdef Member* member = relation_member(&self.state, a)
        if member != NULL:
            member.duel = b

    def forget(self, entity: int) -> None:
        """The entity is gone, with the words by it and about it."""
        cdef Member* member = relation_member(&self.state, entity)
        if member != NULL:
            member_forget(&self.state, member)

    def placed(self, entity: int) -> tuple[int, int, int] | None:
        """An entity's faction, party and guild; None if it was given no place."""
        cdef Member* member = relation_member(&self.state, entity)
        return None if member == NULL else (member.faction, member.party, member.guild)

    def opponent(self, entity: int) -> int:
        """Whom an entity duels with, 0: nobody."""
        cdef Member* member = relation_member(&self.state, entity)
        return 0 if member == NULL else member.duel

    def said_by(self, entity: int) -> dict[int, int]:
        """Stances of the others about whom an entity has said a word."""
        cdef Member* member = relation_member(&self.state, entity)
        cdef uint32_t number = 0 if member == NULL else member.said
        found = {}
        while number != 0:
            found[self.state.words[number - 1].about] = self.state.words[number - 1].stance
            number = self.state.words[number - 1].said[1]
        return found

    def said_about(self, entity: int) -> list[int]:
        """Who has said a word about an entity."""
        cdef Member* member = relation_member(&self.state, entity)
        cdef uint32_t number = 0 if member == NULL else member.heard
        found = []
        while number != 0:
            found.append(self.state.words[number - 1].by)
            number = self.state.words[number - 1].heard[1]
        return found

    def put(self, by: int, about: int, stance: int) -> bool:
        """A personal word; False when there is no room or one of the two was given no place."""
        if not 0 <= stance <= STANCE_ENEMY:
            raise ValueError("a stance must be 0 to 2")
        return bool(word_put(&self.state, by, about, stance))

    def remove(self, by: int, about: int) -> bool:
        """Take a personal word back; False if there was none."""
        return bool(word_remove(&self.state, by, about))

    def between(self, const uint64_t[::1] observers, const uint64_t[::1] subjects, uint8_t[::1] out) -> None:
        """What each subject is to the observer in the same place, or to the only one: stance | because << 2."""
        cdef Py_ssize_t i, count = subjects.shape[0], step = 1 if observers.shape[0] != 1 else 0
        if (observers.shape[0] not in (1, count)) or out.shape[0] != count:
            raise ValueError("observers, subjects and out differ in length")
        with nogil:
            for i in range(count):
                out[i] = relation_between(&self.state, observers[i * step], subjects[i])

    def places(self, const uint64_t[::1] entities, int64_t[::1] factions, int64_t[::1] guilds) -> None:
        """Faction and guild of each entity; 0 for none, and for one that is gone."""
        cdef Py_ssize_t i
        cdef Member* member
        if not entities.shape[0] == factions.shape[0] == guilds.shape[0]:
            raise ValueError("entities, factions and guilds differ in length")
        with nogil:
            for i in range(entities.shape[0]):
                member = relation_member(&self.state, entities[i])
                factions[i] = member.faction if member != NULL else 0
                guilds[i] = member.guild if member != NULL else 0

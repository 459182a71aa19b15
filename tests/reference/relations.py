"""Relations as docs/relations.md says them: dictionaries, asked one pair at a time."""
from dataclasses import dataclass, field

NEUTRAL, FRIEND, ENEMY = range(3)
NOBODY, SELF, DUEL, PERSONAL, PARTY, GUILD, FACTION = range(7)


@dataclass
class Relations:
    slots: int
    capacity: int
    stances: dict[tuple[int, int], int] = field(default_factory=dict)
    placed: dict[int, tuple[int, int, int]] = field(default_factory=dict)      # faction, party, guild
    duels: dict[int, int] = field(default_factory=dict)
    words: dict[tuple[int, int], int] = field(default_factory=dict)

    def declare(self, a: int, b: int, stance: int) -> None:
        self.stances[a, b] = stance

    def place(self, entity: int, faction: int, party: int, guild: int) -> None:
        for old in [known for known in self.placed if known & 0xFFFFFFFF == entity & 0xFFFFFFFF and known != entity]:
            self.forget(old)
        self.placed[entity] = faction, party, guild

    def duel(self, a: int, b: int) -> None:
        if a in self.placed:
            self.duels[a] = b

    def forget(self, entity: int) -> None:
        self.placed.pop(entity, None)
        self.duels.pop(entity, None)
        for pair in [pair for pair in self.words if entity in pair]:
            del self.words[pair]

    def put(self, by: int, about: int, stance: int) -> bool:
        full = (by, about) not in self.words and len(self.words) >= self.capacity
        if full or not {by, about} <= self.placed.keys():
            return False
        self.words[by, about] = stance
        return True

    def remove(self, by: int, about: int) -> bool:
        return self.words.pop((by, about), None) is not None

    def said_by(self, entity: int) -> dict[int, int]:
        return {about: stance for (by, about), stance in self.words.items() if by == entity}

    def said_about(self, entity: int) -> list[int]:
        return [by for by, about in self.words if about == entity]

    def between(self, observer: int, subject: int) -> int:
        if any(entity == 0 or entity & 0xFFFFFFFF >= self.slots for entity in (observer, subject)):
            return NEUTRAL | NOBODY << 2
        if observer == subject:
            return FRIEND | SELF << 2
        own, other = self.placed.get(observer, (0, 0, 0)), self.placed.get(subject, (0, 0, 0))
        if self.duels.get(observer) == subject:
            return ENEMY | DUEL << 2
        if observer in self.placed and (observer, subject) in self.words:
            return self.words[observer, subject] | PERSONAL << 2
        if own[1] and own[1] == other[1]:
            return FRIEND | PARTY << 2
        if own[2] and own[2] == other[2]:
            return FRIEND | GUILD << 2
        return self.stances.get((own[0], other[0]), NEUTRAL) | FACTION << 2

"""Unreliable messages in parts as docs/protocol.md 5.2 says it: a dict of dicts. Slow and obvious."""
from dataclasses import dataclass, field

SETS, SETS_PER_SESSION, PARTS, SIZE, LIFE_US = 256, 4, 16, 960, 10_000_000
STORED, DUPLICATE, BAD, NO_ROOM = 0, 2, 3, 4


@dataclass
class Parts:
    count: int
    head: int
    started_us: int
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Assembly:
    capacity_blocks: int
    sets: dict[tuple[int, int], Parts] = field(default_factory=dict)
    expired: int = 0
    evicted: int = 0

    def add(self, connection: int, id: int, index: int, count: int, data: bytes, now_us: int,
            head: int = 0) -> bytes | int:
        last = index == count - 1
        if not 2 <= count <= PARTS or index >= count or not 1 <= len(data) <= SIZE or len(data) < SIZE and not last:
            return BAD
        self.sweep(now_us)
        key = connection, id
        if key not in self.sets:
            self.make_room(connection)
            self.sets[key] = Parts(count, head, now_us)
        found = self.sets[key]
        if (found.count, found.head) != (count, head):
            return BAD
        if index in found.parts:
            return DUPLICATE
        if self.blocks() + -(-len(data) // 256) > self.capacity_blocks:
            if not found.parts:
                del self.sets[key]
            return NO_ROOM
        found.parts[index] = data
        if len(found.parts) < count:
            return STORED
        del self.sets[key]
        return b"".join(found.parts[i] for i in range(count))

    def make_room(self, connection: int) -> None:
        """The oldest of the session's own sets if it has all it may have, else the oldest of all if all are taken."""
        own = [key for key in self.sets if key[0] == connection]
        victims = own if len(own) >= SETS_PER_SESSION else list(self.sets) if len(self.sets) >= SETS else []
        if victims:
            del self.sets[min(victims, key=lambda key: self.sets[key].started_us)]
            self.evicted += 1

    def sweep(self, now_us: int) -> None:
        old = [key for key, found in self.sets.items() if now_us > found.started_us + LIFE_US]
        for key in old:
            del self.sets[key]
        self.expired += len(old)

    def forget(self, connection: int) -> None:
        self.sets = {key: found for key, found in self.sets.items() if key[0] != connection}

    def blocks(self) -> int:
        return sum(-(-len(part) // 256) for found in self.sets.values() for part in found.parts.values())

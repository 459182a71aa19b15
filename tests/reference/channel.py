"""Reliable ordered delivery as docs/protocol.md 5.2 says it: dicts of numbered units. Slow and obvious."""
from dataclasses import dataclass, field

WINDOW, POSITIONS, UNIT_SIZE, MESSAGE_LIMIT, MESSAGE_UNITS = 128, 256, 960, 65536, 69
STORED, DUPLICATE, NO_ROOM, BEYOND_WINDOW, BAD_FRAGMENT = range(5)
Unit = tuple[int, int, bytes]                   # index, count (0: a whole message), bytes


def blocks(data: bytes) -> int:
    """Blocks of 256 bytes that a unit takes."""
    return max(1, -(-len(data) // 256))


@dataclass
class Sender:
    quota: int
    base: int = 0
    next: int = 0
    units: dict[int, Unit] = field(default_factory=dict)        # not acknowledged yet
    waiting: set[int] = field(default_factory=set)

    def queue(self, message: bytes) -> bool:
        parts = [message[at:at + UNIT_SIZE] for at in range(0, len(message), UNIT_SIZE)] or [b""]
        need = sum(map(blocks, parts)) + self.used()
        if len(message) > MESSAGE_LIMIT or self.next - self.base + len(parts) > POSITIONS or need > self.quota:
            return False
        for index, part in enumerate(parts):
            self.units[self.next] = index, len(parts) if len(parts) > 1 else 0, part
            self.waiting.add(self.next)
            self.next += 1
        return True

    def take(self) -> tuple[int, int, int, bytes] | None:
        number = min((number for number in self.waiting if number < self.base + WINDOW), default=None)
        if number is None:
            return None
        self.waiting.discard(number)
        return number, *self.units[number]

    def acked(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.units.pop(number, None)
            self.waiting.discard(number)
        self.base = min(self.units, default=self.next)

    def lost(self, first: int, count: int) -> bool:
        again = {number for number in range(first, first + count) if number in self.units} - self.waiting
        self.waiting |= again
        return bool(again)

    def used(self) -> int:
        return sum(blocks(part) for _, _, part in self.units.values())


@dataclass
class Receiver:
    quota: int
    expected: int = 0
    units: dict[int, Unit] = field(default_factory=dict)        # received and not delivered

    @property
    def missing(self) -> int:
        return next(number for number in range(self.expected, 2**65) if number not in self.units)

    def receive(self, low: int, index: int, count: int, data: bytes) -> int:
        if count == 1 or count > MESSAGE_UNITS or count and index >= count:
            return BAD_FRAGMENT
        number = self.missing + (low - self.missing + 32768) % 65536 - 32768    # the nearest one with these low bits
        if number < 0 or number >= self.missing + WINDOW:
            return BEYOND_WINDOW
        if number < self.missing:
            return DUPLICATE
        if number >= self.expected + POSITIONS:
            return NO_ROOM
        if number in self.units:
            return DUPLICATE
        if self.used() + blocks(data) > self.quota:
            return NO_ROOM
        self.units[number] = index, count, data
        return STORED

    def take(self) -> bytes | int | None:
        if self.expected not in self.units:
            return None
        count = self.units[self.expected][1]
        if self.units[self.expected][0] != 0:
            return -1
        message = b""
        for index in range(count or 1):
            if self.expected + index not in self.units:
                return None
            unit = self.units[self.expected + index]
            if unit[1] != count or unit[0] != index and count:
                return -1
            message += unit[2]
        if len(message) > MESSAGE_LIMIT:
            return -1
        for index in range(count or 1):
            del self.units[self.expected + index]
        self.expected += count or 1
        return message

    def used(self) -> int:
        return sum(blocks(part) for _, _, part in self.units.values())

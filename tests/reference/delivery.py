"""Reliable delivery as docs/protocol.md 5.2 says it: lists and dicts of units. Slow and obvious."""
from collections import defaultdict
from dataclasses import dataclass, field

WINDOW = POSITIONS = 256
UNIT_SIZE, MESSAGE_LIMIT, MESSAGE_UNITS, UNITS_BEGUN, BLOCKS_ASIDE = 960, 262_144, 274, 640, 2560
CONTROL, UNORDERED_PARTS, UNORDERED, CONTROL_LIMIT, CONTROL_BLOCKS, HEAD = 8, 9, 10, 4096, 64, 32
KEPT, DUPLICATE, NO_ROOM, BEYOND_WINDOW, BAD, OVER_LIMIT = range(6)


def blocks(length: int) -> int:
    """Blocks of 256 bytes."""
    return max(1, -(-length // 256))


@dataclass
class Message:
    stream: int
    number: int
    data: bytes
    ticket: int
    cut: int = 0                                # units that were numbered
    acked: int = 0

    @property
    def units(self) -> int:
        return max(1, -(-len(self.data) // UNIT_SIZE))

    @property
    def blocks(self) -> int:
        return blocks(HEAD + len(self.data))


@dataclass
class Sender:
    quota: int
    base: int = 0
    next: int = 0
    queues: dict[int, list[Message]] = field(default_factory=lambda: defaultdict(list))
    numbers: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    units: dict[int, tuple[Message, int]] = field(default_factory=dict)     # not acknowledged: message and index
    waiting: set[int] = field(default_factory=set)                          # of them: to be sent (again)
    held: list[Message] = field(default_factory=list)                       # in the slab: waiting, under way
    ends: list[tuple[int, bool]] = field(default_factory=list)              # ticket, arrived
    turn: int = 0

    def queue(self, stream: int, data: bytes, ticket: int = 0) -> bool:
        message = Message(stream, 0, data, ticket)
        if stream == UNORDERED and message.units > 1:
            message.stream = UNORDERED_PARTS
        control = stream == CONTROL
        used = sum(other.blocks for other in self.held if (other.stream == CONTROL) == control)
        used += 0 if control else len(self.ends)
        if len(data) > (CONTROL_LIMIT if control else MESSAGE_LIMIT):
            return False
        if used + message.blocks > (CONTROL_BLOCKS if control else self.quota):
            return False
        message.number = self.numbers[message.stream] & 0xFFFF
        self.numbers[message.stream] += 1
        self.queues[message.stream].append(message)
        self.held.append(message)
        return True

    @property
    def begun(self) -> int:
        return sum(message.units for message in self.held if message.units > 1 and message.cut)

    def choose(self) -> int | None:
        """The stream that may cut its next unit: control first, then 0 and the unordered ones in turns, then 1 to 7."""
        first = [0, UNORDERED_PARTS, UNORDERED]
        order: list[int] = [CONTROL, *(first[(self.turn + i) % 3] for i in (1, 2, 3)), *range(1, 8)]
        left = WINDOW - (self.next - self.base)
        for stream in order:
            kept = 0 if stream == CONTROL else 16 + (8 * stream if stream < 8 else 0)
            if not self.queues[stream] or left <= kept:
                continue
            message = self.queues[stream][0]
            if message.units == 1 or message.cut or self.begun + message.units <= UNITS_BEGUN:
                return stream
        return None

    def take(self) -> tuple[int, int, int, int, int, bytes] | None:
        if not self.waiting:
            stream = self.choose()
            if stream is None:
                return None
            message = self.queues[stream][0]
            self.units[self.next] = message, message.cut
            self.waiting.add(self.next)
            self.next += 1
            message.cut += 1
            if message.cut == message.units:
                self.queues[stream].pop(0)
            if stream in (0, UNORDERED_PARTS, UNORDERED):
                self.turn = (0, UNORDERED_PARTS, UNORDERED).index(stream)
        number = min(self.waiting)
        self.waiting.discard(number)
        message, index = self.units[number]
        part = message.data[index * UNIT_SIZE:][:UNIT_SIZE]
        return number, message.stream, message.number, index, message.units if message.units > 1 else 0, part

    def acked(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.waiting.discard(number)
            if number in self.units:
                message = self.units.pop(number)[0]
                message.acked += 1
                if message.acked == message.units:
                    self.end_message(message, True)
        self.base = min(self.units, default=self.next)

    def lost(self, first: int, count: int) -> bool:
        again = {number for number in range(first, first + count) if number in self.units} - self.waiting
        self.waiting |= again
        return bool(again)

    def probe(self) -> None:
        room = 2 * (UNIT_SIZE + HEAD)
        for number, (message, index) in sorted(self.units.items()):
            room -= len(message.data[index * UNIT_SIZE:][:UNIT_SIZE]) + HEAD
            if room < 0:
                break
            self.waiting.add(number)

    def end_message(self, message: Message, delivered: bool) -> None:
        self.held = [other for other in self.held if other is not message]
        if message.ticket:
            self.ends.append((message.ticket, delivered))

    def told(self) -> list[tuple[int, bool]]:
        found, self.ends = self.ends, []
        return found

    def end(self) -> None:
        for message in list(self.held):
            self.end_message(message, False)
        self.units.clear()
        self.queues.clear()

    @property
    def outstanding(self) -> tuple[int, int, int, int]:
        uncut = sum(message.units - message.cut for queue in self.queues.values() for message in queue)
        return self.base, self.next, uncut, self.begun

    @property
    def used(self) -> int:
        return sum(message.blocks for message in self.held) + len(self.ends)


Unit = tuple[int, int, int, int, bool, bytes]   # stream, message, index, count (0: a whole message), compressed, bytes


@dataclass
class Incoming:
    message: int = 0                            # the next one, or the one that is put together
    count: int = 0                              # its parts once there is one, else 0
    compressed: bool = False                    # as all of them then are
    parts: list[bytes] = field(default_factory=list)
    whole: bool = False                         # all parts are there; there is no room for the message


@dataclass
class Receiver:
    quota: int
    expected: int = 0
    room: int = 1 << 30
    units: dict[int, Unit] = field(default_factory=dict)        # wait
    inside: set[int] = field(default_factory=set)               # of them, in memory set aside for their message
    done: set[int] = field(default_factory=set)                 # received and done with, from `expected` on
    streams: dict[int, Incoming] = field(default_factory=lambda: defaultdict(Incoming))
    delivered: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def missing(self) -> int:
        return next(n for n in range(self.expected, 2**65) if n not in self.units and n not in self.done)

    @property
    def begun(self) -> int:
        return sum(incoming.count for incoming in self.streams.values() if not incoming.whole)

    def aside(self, control: bool) -> int:
        return sum(4 * incoming.count for stream, incoming in self.streams.items() if (stream == CONTROL) == control)

    def outside(self) -> int:
        return sum(blocks(len(unit[5])) for number, unit in self.units.items() if number not in self.inside)

    @property
    def claimed(self) -> int:
        return self.aside(False) + self.aside(True) + self.outside()

    def used(self) -> int:
        parts = [sum(map(len, incoming.parts)) for incoming in self.streams.values()]
        waiting = sum(blocks(len(unit[5])) for unit in self.units.values())
        return waiting + sum(blocks(length) for length in parts if length)

    def turn(self, stream: int, message: int, index: int, count: int, compressed: bool) -> int:
        """0: next of its stream; above: later; below: cannot be."""
        incoming = self.streams[stream]
        if stream == UNORDERED:
            return 0
        ahead = (message - incoming.message + 32768) % 65536 - 32768
        if ahead < 0 or ahead >= POSITIONS:
            return -1
        if ahead > 0:
            return ahead
        if index < len(incoming.parts):
            return -1
        if incoming.count and (count, compressed) != (incoming.count, incoming.compressed):
            return -1
        return index - len(incoming.parts)

    def receive(self, stream: int, low: int, message: int, index: int, count: int, data: bytes,
                compressed: bool = False) -> int:
        limit = CONTROL_LIMIT if stream == CONTROL else MESSAGE_LIMIT
        if len(data) > UNIT_SIZE or count == 1 or (count == 0 and index) or (compressed and stream == CONTROL):
            return BAD
        if count and (index >= count or (count - 1) * UNIT_SIZE >= limit):
            return BAD
        if count and (len(data) != UNIT_SIZE if index < count - 1 else not 1 <= len(data) <= limit - index * UNIT_SIZE):
            return BAD
        missing = self.missing
        number = missing + (low - missing + 32768) % 65536 - 32768      # the nearest one with these low bits
        if number < 0 or number >= missing + WINDOW:
            return BEYOND_WINDOW
        if number < missing:
            return DUPLICATE
        if number >= self.expected + POSITIONS:
            return NO_ROOM
        if number in self.units or number in self.done:
            return DUPLICATE
        turn = self.turn(stream, message, index, count, compressed)
        if turn < 0:
            return BAD
        unit = stream, message, index, count, compressed, data
        kept = self.begin(unit)
        if kept != KEPT:
            return kept
        if turn > 0 or self.streams[stream].whole:
            return KEPT if self.hold(number, unit) else NO_ROOM
        kept = self.go(number, unit, arriving=True)
        return self.go_on(stream) if kept == KEPT else kept

    def begin(self, unit: Unit) -> int:
        """Set memory aside for a message of several units that is the next of its stream, once."""
        stream, message, _, count, compressed, _ = unit
        incoming = self.streams[stream]
        if count == 0 or message != incoming.message or incoming.count:
            return KEPT
        if self.begun + count > UNITS_BEGUN:
            return OVER_LIMIT
        if self.aside(stream == CONTROL) + 4 * count > (CONTROL_BLOCKS if stream == CONTROL else BLOCKS_ASIDE):
            return NO_ROOM
        incoming.count, incoming.compressed = count, compressed
        return KEPT

    def hold(self, number: int, unit: Unit) -> bool:
        incoming = self.streams[unit[0]]
        if incoming.count and unit[1] == incoming.message and unit[2] >= len(incoming.parts):
            self.inside.add(number)
        elif self.outside() + blocks(len(unit[5])) > self.quota - BLOCKS_ASIDE:
            return False
        self.units[number] = unit
        return True

    def go(self, number: int, unit: Unit, arriving: bool) -> int:
        """The unit is the next of its stream: put it behind the others, or deliver the message that it ends."""
        stream, _, index, count, _, data = unit
        incoming = self.streams[stream]
        if index + 1 >= count:
            if self.room == 0:
                if arriving and not self.hold(number, unit):
                    return NO_ROOM
                incoming.whole = count > 0
                return KEPT
            self.room -= 1
            self.delivered.append((stream, b"".join(incoming.parts) + data))
            self.streams[stream] = Incoming(incoming.message + 1 & 0xFFFF)
        else:
            incoming.parts.append(data)
        self.units.pop(number, None)
        self.inside.discard(number)
        self.done.add(number)
        while self.expected in self.done:
            self.done.discard(self.expected)
            self.expected += 1
        return KEPT

    def go_on(self, stream: int) -> int:
        """Units of the stream that waited and whose turn came."""
        for number, unit in sorted(self.units.items()):
            if unit[0] != stream:
                continue
            turn = self.turn(*unit[:5])
            if turn:
                return KEPT if turn > 0 else BAD
            kept = self.begin(unit)
            if kept != KEPT:
                return KEPT if kept == NO_ROOM else kept
            full = unit[2] + 1 >= unit[3] and self.room == 0
            kept = self.go(number, unit, arriving=False)
            if full or kept != KEPT:
                return KEPT if kept == NO_ROOM else kept
        return KEPT

    def make_room(self, messages: int) -> int:
        self.room = messages
        for stream in range(11):
            found = self.go_on(stream)
            if found != KEPT:
                return found
        return KEPT

    def take(self) -> list[tuple[int, bytes]]:
        found, self.delivered = self.delivered, []
        return found

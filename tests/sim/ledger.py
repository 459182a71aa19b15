"""What was said on one way of one session and what came of it, held to the promise of each channel. Memory is constant:
a message says its session, channel, number and length, and the rest follows from them.

    number u32 ‖ session u32 ‖ lane u16 ‖ length u32 ‖ filler
"""
import random
import struct
from collections import Counter

UNRELIABLE, RELIABLE, UNORDERED, LATEST, INPUT, SNAPSHOT = range(6)
HEAD = struct.Struct("<IIHI")
HEAD_BYTES = HEAD.size
STREAMS = 8
OLDEST = 20_000                     # an unreliable message this much older than the newest does not come any more


def filler(number: int, lane: int, size: int) -> bytes:
    """The rest of a message: every other one can be compressed."""
    if number & 1:
        return random.Random(number << 8 | lane).randbytes(size)
    return bytes([number * 7 + lane & 0xFF]) * size


class Way:
    """One direction of one session. A lane is a channel, and on the reliable channel a channel and a stream."""

    def __init__(self, session: int) -> None:
        self.session = session
        self.said: Counter[int] = Counter()             # how many, by lane
        self.heard: Counter[int] = Counter()
        self.got: dict[int, int] = {}                   # ordered: the next number; latest and inputs: the last one
        self.seen: dict[int, set[int]] = {}             # what may come in any order but once, above `floor`
        self.floor: Counter[int] = Counter()            # every number below it came, or is too old to
        self.tokens: set[int] = set()                   # snapshots of which nobody has told the end
        self.tickets: set[int] = set()                  # reliable messages of which nobody has told the end
        self.last_ticket = 0

    def next(self, channel: int, size: int, stream: int = 0) -> bytes:
        """The next message; it counts once it was `add`ed. The head comes on top of `size`."""
        lane = channel * STREAMS + stream
        number = self.said[lane]
        return HEAD.pack(number, self.session, lane, size) + filler(number, lane, size)

    def add(self, channel: int, stream: int = 0) -> None:
        """What `next` gave was taken."""
        lane = channel * STREAMS + stream
        self.said[lane] += 1
        if channel == SNAPSHOT:
            self.tokens.add(self.said[lane])

    def token(self) -> int:
        """Token of the next snapshot."""
        return self.said[SNAPSHOT * STREAMS] + 1

    def ticket(self) -> int:
        """Ticket of the next reliable message; it counts once `begin` took it."""
        return self.last_ticket + 1

    def begin(self, ticket: int) -> None:
        """A message with this ticket was taken."""
        self.last_ticket = ticket
        self.tickets.add(ticket)

    def hear(self, code: int, payload: bytes) -> None:
        """A message came on channel + 16 × stream: was it said, and may it come now?"""
        channel, stream = code & 15, code >> 4
        number, session, lane, size = HEAD.unpack_from(payload)
        what = f"session {self.session}, channel {channel}, lane {lane}: number {number}"
        assert session == self.session and lane == channel * STREAMS + stream, f"{what} is of session {session}"
        assert number < self.said[lane], f"{what} was never said"
        assert payload[HEAD_BYTES:] == filler(number, lane, size), f"{what} came changed"
        self.heard[lane] += 1
        if channel == RELIABLE:
            assert number == self.got.get(lane, 0), f"{what} came, {self.got.get(lane, 0)} was next"
            self.got[lane] = number + 1
        elif channel in (LATEST, INPUT):
            assert number > self.got.get(lane, -1), f"{what} came late or twice"
            self.got[lane] = number
        else:
            self._once(lane, number, what)

    def _once(self, lane: int, number: int, what: str) -> None:
        seen = self.seen.setdefault(lane, set())
        assert number >= self.floor[lane] and number not in seen, f"{what} came twice, or far too late"
        seen.add(number)
        while self.floor[lane] in seen:
            seen.remove(self.floor[lane])
            self.floor[lane] += 1
        if len(seen) > OLDEST:
            self.floor[lane] = sorted(seen)[OLDEST // 2]
            self.seen[lane] = {number for number in seen if number >= self.floor[lane]}

    def told(self, token: int, acknowledged: bool) -> None:
        """The end of a snapshot: once each, and what is acknowledged was heard."""
        self.tokens.remove(token)
        lane = SNAPSHOT * STREAMS
        assert not acknowledged or token - 1 < self.floor[lane] or token - 1 in self.seen.get(lane, set())

    @property
    def owed(self) -> int:
        """Reliable messages that have not come yet, and messages of which nobody has told the end."""
        reliable = (lane for lane in self.said if lane // STREAMS in (RELIABLE, UNORDERED))
        return sum(self.said[lane] - self.heard[lane] for lane in reliable) + len(self.tokens) + len(self.tickets)


def session_of(payload: bytes) -> int:
    """Whose message it is."""
    return int(HEAD.unpack_from(payload)[1])

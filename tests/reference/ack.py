"""Acknowledgments as docs/protocol.md 5.1 says them: sets of sequences and bytes made of them. Slow and obvious."""
from dataclasses import dataclass, field

POSITIONS = 512


@dataclass
class Block:
    """A parsed block. `received` holds every sequence it names, the newest included."""

    length: int
    newest: int = -1
    delay_us: int = 0
    received: frozenset[int] = frozenset()


class Malformed(Exception):
    """A block that drops the whole body."""


def truncated_width(newest: int, confirmed: int) -> int:
    """RFC 9000 A.2: bytes for twice the distance to what the peer is known to know."""
    bits = (2 * abs(newest - confirmed) + 1).bit_length()
    return 1 if bits <= 8 else 2 if bits <= 16 else 4


def expand(truncated: int, width: int, largest_acked: int) -> int:
    """RFC 9000 A.3, as its pseudocode stands there."""
    expected = largest_acked + 1
    window = 1 << 8 * width
    half = window // 2
    candidate = (expected & ~(window - 1)) | truncated
    if candidate <= expected - half and candidate < (1 << 64) - window:
        return candidate + window
    if candidate > expected + half and candidate >= window:
        return candidate - window
    return candidate


def pack(newest: int, width: int, delay_us: int, received: set[int], oldest: int) -> bytes:
    """A block that names `newest` and what of `received` lies from newest - 1 down to `oldest`."""
    bits = 0
    for sequence in received:
        if max(oldest, newest - POSITIONS) <= sequence < newest:
            bits |= 1 << newest - 1 - sequence
    bitfield = bits.to_bytes(POSITIONS // 8, "little").rstrip(b"\0")
    n = len(bitfield)
    code = {1: 1, 2: 2, 4: 3}[width]
    first = bytes([code | n << 2]) if n < 63 else bytes([code | 63 << 2, n])
    return first + (newest % (1 << 8 * width)).to_bytes(width, "little") + bytes([min(delay_us // 256, 255)]) + bitfield


def parse(data: bytes, largest_acked: int) -> Block:
    """Read a block from the start of a body; `largest_acked` is -1 + 1 = 0 before anything was acknowledged."""
    if not data:
        raise Malformed("empty")
    code, n, at = data[0] & 3, data[0] >> 2, 1
    if code == 0:
        if n:
            raise Malformed("a field without a newest")
        return Block(1)
    if n == 63:
        if len(data) < 2 or data[1] not in (63, 64):
            raise Malformed("n")
        n, at = data[1], 2
    width = {1: 1, 2: 2, 3: 4}[code]
    if len(data) < at + width + 1 + n:
        raise Malformed("short")
    newest = expand(int.from_bytes(data[at:at + width], "little"), width, largest_acked)
    delay = data[at + width] * 256
    bitfield = data[at + width + 1:at + width + 1 + n]
    if n and bitfield[-1] == 0:
        raise Malformed("trailing zero byte")
    bits = int.from_bytes(bitfield, "little")
    named = [newest - 1 - i for i in range(8 * n) if bits >> i & 1]
    if named and named[-1] < 0:
        raise Malformed("below zero")
    return Block(at + width + 1 + n, newest, delay, frozenset([newest, *named]))


@dataclass
class Receiver:
    """What one side has stored, said and knows to have been heard."""

    stored: set[int] = field(default_factory=set)
    said: dict[int, tuple[int, set[int]]] = field(default_factory=dict)     # own sequence -> newest, everything named
    heard: set[int] = field(default_factory=set)
    confirmed: int = 0

    def note(self, sequence: int) -> None:
        self.stored.add(sequence)

    def withdraw(self, sequence: int) -> None:
        self.stored.discard(sequence)

    def due(self) -> set[int]:
        """What the next block must name: stored, within reach, and not known to have been heard."""
        newest = max(self.stored, default=0)
        return {s for s in self.stored - self.heard if newest - s <= POSITIONS}

    def block(self, own_sequence: int, delay_us: int) -> bytes:
        """The shortest block that names all that is due; remembers what it said."""
        if not self.stored:
            return b"\0"
        newest = max(self.stored)
        oldest = min(self.due() | {newest})
        packed = pack(newest, truncated_width(newest, self.confirmed), delay_us, self.stored, oldest)
        self.said[own_sequence] = newest, {s for s in self.stored if s >= max(oldest, newest - POSITIONS)}
        return packed

    def confirm(self, own_sequence: int) -> None:
        """The peer acknowledged our packet `own_sequence`."""
        newest, named = self.said.pop(own_sequence, (0, set()))
        self.heard |= named
        self.confirmed = max(self.confirmed, newest)

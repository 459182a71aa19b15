"""Quantized state, prediction and the bytes of one record, as docs/replication.md says them. Slow and obvious."""
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.reference.quantize import REFUSED, origin_join, origin_split

FLOAT, INT, ANGLE, FLAGS, OFFSET, QUADRANT = range(6)
EVERYBODY, OWNER = 0, 1
UPDATE, ABSOLUTE, ENTER, LEAVE = range(4)
WIDE = 12                               # bits of a component from which on an absolute value has a class
LONG = 63                               # age code: the reference's tick follows
PREDICT_LIMIT = 64                      # ticks that a prediction reaches at most


class Malformed(Exception):
    pass


class NoReference(Exception):
    pass


@dataclass(frozen=True)
class Component:
    low: int
    high: int
    step: float = 1.0
    kind: int = FLOAT
    predict: int = -1
    num: int = 0
    shift: int = 0
    tolerance: int = 0
    column: int = 0
    audience: int = EVERYBODY
    rate_ticks: int = 0
    small: int = 4
    medium: int = 9
    pair: int = -1                      # of an offset its quadrant's index, of a quadrant its offset's

    @property
    def bits(self) -> int:
        return (self.high - self.low).bit_length()

    @property
    def span(self) -> int:
        return self.high - self.low + 1


@dataclass(frozen=True)
class Kind:
    """A class of entities: its components, and how far away it is seen."""
    components: tuple[Component, ...]
    position: tuple[int, ...]           # the components whose distance decides who sees it
    radius: float
    hysteresis: float

    groups: tuple[int, ...] = ()        # the world's numbers of those that audiences 2, 3, ... stand for
    weight: int = 16                    # sixteenths: how it gains on others while it waits
    far: float = 1.0                    # beyond this part of its radius, if it is below 1,
    far_ticks: int = 1                  # it is told once in so many ticks
    always: bool = False                # a new one is seen by all at any distance

    @property
    def leave2(self) -> float:
        return (self.radius + self.hysteresis) * (self.radius + self.hysteresis)

    def farness(self, distance2: float) -> int:
        """0 beside the avatar, 255 where it goes out of view."""
        return min(int(distance2 * (255 / self.leave2)), 255)

    @property
    def far_from(self) -> int:
        return self.farness(self.far * self.radius * (self.far * self.radius)) if self.far < 1 else 255

    @property
    def shows_all(self) -> int:
        """The owner's audience set."""
        return (1 << 1 + len(self.groups)) - 1

    def visible(self, audience: int) -> list[int]:
        """Components that are sent to who belongs to the set: bit 0 the owner's (audience 1), bit 1 audience 2, ..."""
        return [i for i, c in enumerate(self.components) if c.audience == EVERYBODY or audience >> (c.audience - 1) & 1]

    def fields(self, audience: int) -> list[list[int]]:
        """Visible components, field by field."""
        groups: dict[int, list[int]] = {}
        for i in self.visible(audience):
            groups.setdefault(self.components[i].column, []).append(i)
        return list(groups.values())

    def place(self, state: Sequence[int]) -> list[float]:
        """Where it stands, in user units."""
        out = []
        for i in self.position:
            c = self.components[i]
            edge = self.components[c.pair].step
            out.append(origin_join(state[c.pair], state[i], edge, c.step, 0) if c.kind == OFFSET else state[i] * c.step)
        return out


State = tuple[int, ...]


def joined(kind: Kind, i: int, state: Sequence[int]) -> int:
    """The one number that the offset i and its quadrant stand for."""
    c = kind.components[i]
    return state[c.pair] * c.span + state[i]


def part(kind: Kind, i: int, number: int) -> int:
    """What component i, an offset or a quadrant, is of such a number, which stops at the world's ends."""
    offset = kind.components[i] if kind.components[i].kind == OFFSET else kind.components[kind.components[i].pair]
    quadrant = kind.components[offset.pair]
    number = min(max(number, quadrant.low * offset.span), (quadrant.high + 1) * offset.span - 1)
    return number % offset.span if kind.components[i] is offset else number // offset.span


def quantize_pair(kind: Kind, i: int, value: float) -> tuple[int, int] | None:
    """Offset and quadrant of a value for the offset i; None if it is no number."""
    c = kind.components[i]
    status, quadrant, offset = origin_split(value, kind.components[c.pair].step, c.step)
    if status == REFUSED or quadrant is None or offset is None:
        return None
    number = quadrant * c.span + offset                     # one rounded up to the border lies beyond it
    return part(kind, i, number), part(kind, c.pair, number)


def quantize(c: Component, value: float) -> int | None:
    """None if the value is no number."""
    if not math.isfinite(value):
        return None
    quanta = math.floor(value / c.step + 0.5)
    if c.kind == ANGLE:
        if abs(quanta) >= 4e18:
            return None                 # no angle is left in such a number
        return (quanta - c.low) % c.span + c.low
    return min(max(quanta, c.low), c.high)


def predict(kind: Kind, state: State, ticks: int) -> State:
    def one(i: int, c: Component) -> int:
        if c.predict < 0:
            return state[i]
        half = 1 << c.shift >> 1
        way = (state[c.predict] * min(ticks, PREDICT_LIMIT) * c.num + half) >> c.shift
        if c.kind in (OFFSET, QUADRANT):
            return part(kind, i, joined(kind, i if c.kind == OFFSET else c.pair, state) + way)
        moved = state[i] + way
        if c.kind == ANGLE:
            return (moved - c.low) % c.span + c.low
        return min(max(moved, c.low), c.high)
    return tuple(one(i, c) for i, c in enumerate(kind.components))


def difference(c: Component, value: int, predicted: int) -> int:
    """What must be added to the prediction; the short way round for angles and offsets."""
    if c.kind in (ANGLE, OFFSET):
        return (value - predicted + c.span // 2) % c.span - c.span // 2
    return (value - predicted + 2**31) % 2**32 - 2**31


def apart(kind: Kind, i: int, state: Sequence[int], seen: Sequence[int]) -> int:
    """How far what is seen is off in component i. A quadrant is looked at with its offset."""
    c = kind.components[i]
    if c.kind == QUADRANT:
        return 0
    if c.kind == OFFSET:
        return joined(kind, i, state) - joined(kind, i, seen)
    return difference(c, state[i], seen[i])


def expected(kind: Kind, i: int, predicted: Sequence[int], state: Sequence[int]) -> int:
    """What component i would be without a residual. Of a quadrant: the one that its offset in `state` lies in if it is
    taken the short way from the prediction."""
    c = kind.components[i]
    if c.kind != QUADRANT:
        return predicted[i]
    offset = kind.components[c.pair]
    way = difference(offset, state[c.pair], predicted[c.pair])
    return (joined(kind, c.pair, predicted) + way) // offset.span


def add(c: Component, predicted: int, residual: int) -> int:
    if c.kind in (ANGLE, OFFSET):
        if not -(c.span // 2) <= residual < (c.span + 1) // 2:
            raise Malformed
        return (predicted + residual - c.low) % c.span + c.low
    value = (predicted + residual + 2**31) % 2**32 - 2**31
    if not c.low <= value <= c.high:
        raise Malformed
    return value


# --- bits and bytes

class BitWriter:
    def __init__(self) -> None:
        self.bits: list[int] = []

    def write(self, value: int, width: int) -> None:
        self.bits += [value >> i & 1 for i in range(width)]

    def write_class(self, value: int, small: int, medium: int) -> None:
        z = value * 2 if value >= 0 else -value * 2 - 1
        code = 0 if z == 0 else 1 if z < 1 << small else 2 if z < 1 << medium else 3
        self.write(code, 2)
        self.write(z, (0, small, medium, 32)[code])

    def done(self) -> bytes:
        padded = self.bits + [0] * (-len(self.bits) % 8)
        return bytes(sum(bit << i for i, bit in enumerate(padded[at:at + 8])) for at in range(0, len(padded), 8))


class Reader:
    """Bytes, and bits within bytes; raises Malformed at the end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0        # position in bits

    @property
    def ended(self) -> bool:
        return self.at >= len(self.data) * 8

    def read(self, width: int) -> int:
        if self.at + width > len(self.data) * 8:
            raise Malformed
        value = sum((self.data[at >> 3] >> (at & 7) & 1) << i for i, at in enumerate(range(self.at, self.at + width)))
        self.at += width
        return value

    def read_class(self, small: int, medium: int) -> int:
        code = self.read(2)
        z = self.read((0, small, medium, 32)[code])
        if z < (0, 1, 1 << small, 1 << medium)[code]:
            raise Malformed                 # a smaller class would have held it
        return -(z >> 1) - 1 if z & 1 else z >> 1

    def align(self) -> None:
        if self.read(-self.at % 8):
            raise Malformed

    def read_uvarint(self, limit: int) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = self.read(8)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if (shift and byte == 0) or value > limit:
                    raise Malformed
                return value
        raise Malformed


def uvarint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


# --- bodies

def wide_code(c: Component, value: int) -> tuple[int, int, int]:
    """Class, number and width of a component of more than WIDE bits: small where the value is near its origin."""
    apart = value - min(max(0, c.low), c.high)
    zigzag = apart * 2 if apart >= 0 else -apart * 2 - 1
    for code in range(3):
        if zigzag < 1 << wide_width(c, code):
            return code, zigzag, wide_width(c, code)
    return 3, value - c.low, c.bits


def wide_width(c: Component, code: int) -> int:
    return (c.bits * (code + 1) + 3) // 4


def encode_absolute(kind: Kind, state: State, audience: int) -> bytes:
    bits = BitWriter()
    for i in kind.visible(audience):
        c = kind.components[i]
        if c.bits > WIDE:
            code, number, width = wide_code(c, state[i])
            bits.write(code, 2)
            bits.write(number, width)
        else:
            bits.write(state[i] - c.low, c.bits)
    return bits.done()


def read_wide(c: Component, reader: Reader) -> int:
    code = reader.read(2)
    number = reader.read(wide_width(c, code))
    origin = min(max(0, c.low), c.high)
    value = c.low + number if code == 3 else origin + (-(number >> 1) - 1 if number & 1 else number >> 1)
    if c.low <= value <= c.high and wide_code(c, value)[0] != code:
        raise Malformed                 # a smaller class would have held it
    return value


def decode_absolute(kind: Kind, reader: Reader, audience: int) -> State:
    state = [c.low for c in kind.components]
    for i in kind.visible(audience):
        c = kind.components[i]
        state[i] = read_wide(c, reader) if c.bits > WIDE else c.low + reader.read(c.bits)
        if not c.low <= state[i] <= c.high:
            raise Malformed
    reader.align()
    return tuple(state)


def encode_delta(kind: Kind, state: State, predicted: State, audience: int) -> bytes:
    bits = BitWriter()
    fields = kind.fields(audience)
    changed = [any(state[i] != expected(kind, i, predicted, state) for i in field) for field in fields]
    for flag in changed:
        bits.write(flag, 1)
    for field, flag in zip(fields, changed, strict=True):
        for i in field if flag else ():
            c = kind.components[i]
            bits.write_class(difference(c, state[i], expected(kind, i, predicted, state)), c.small, c.medium)
    return bits.done()


def decode_delta(kind: Kind, reader: Reader, predicted: State, audience: int) -> State:
    state = list(predicted)
    fields = kind.fields(audience)
    changed = [reader.read(1) for _ in fields]
    for field, flag in zip(fields, changed, strict=True):
        for i in field:
            c = kind.components[i]
            if flag or c.kind == QUADRANT:
                residual = reader.read_class(c.small, c.medium) if flag else 0
                state[i] = add(c, expected(kind, i, predicted, state), residual)
    reader.align()
    return tuple(state)

"""Bodies as docs/protocol.md 5 says it: ack block, frames. Written from the document alone."""
from dataclasses import dataclass
from struct import unpack

from tests.reference import varint

NONE, BAD_FRAME, UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, BAD_FRAGMENT = 0, 20, 21, 22, 28
UNRELIABLE, RELIABLE, UNORDERED, LATEST, INPUT, SNAPSHOT, CONTROL = 0, 1, 2, 3, 4, 5, 7
ARGUMENTS = {0: 0, 1: 8, 2: 16, 3: 1, 4: 8, 5: 8}                  # control code -> bytes of its arguments


@dataclass
class Frame:
    status: int
    channel: int = 0
    fragment: bool = False
    kind: int = 0
    stream: int = 0
    number: int = 0
    message: int = 0
    index: int = 0
    count: int = 0
    newest: int = 0
    payload: bytes = b""
    compressed: bool = False


@dataclass
class Acks:
    width: int
    newest: int
    delay: int
    bitfield: bytes


def read_acks(body: bytes) -> tuple[Acks, int] | None:
    """(the block as it stands, its length), None if it is malformed."""
    if not body:
        return None
    width, count, at = (0, 1, 2, 4)[body[0] & 3], body[0] >> 2, 1
    if width == 0:
        return (Acks(0, 0, 0, b""), 1) if count == 0 else None
    if count == 63:
        if len(body) < 2 or not 63 <= body[1] <= 64:
            return None
        count, at = body[1], 2
    end = at + width + 1 + count
    bitfield = body[end - count:end]
    if len(body) < end or bitfield.endswith(b"\0"):
        return None
    return Acks(width, int.from_bytes(body[at:at + width], "little"), body[at + width], bitfield), end


def read_frames(data: bytes) -> list[Frame]:
    frames: list[Frame] = []
    while data:
        found = varint.decode_unsigned(data)
        if found is None or found[0] > len(data) - found[1]:
            return [*frames, Frame(BAD_FRAME)]
        length, size = found
        if length > 0:
            frames.append(read_frame(data[size:size + length]))
            frames[-1].compressed = bool(data[size] & 0x10)
        data = data[size + length:]
    return frames


def read_frame(data: bytes) -> Frame:
    head, rest = data[0], data[1:]
    channel, fragment = head & 7, bool(head & 8)
    if channel == 6:
        return Frame(UNKNOWN_CHANNEL, channel)
    if head & 0x10 and channel > LATEST:
        return Frame(BAD_FRAME, channel)
    if head & 0xE0 or (fragment and channel not in (UNRELIABLE, RELIABLE, UNORDERED)):
        return Frame(BAD_FRAME, channel)
    if channel == SNAPSHOT:
        return Frame(NONE, channel, payload=rest)
    if channel == INPUT:
        return read_input(rest)
    if channel == CONTROL:
        if not rest or ARGUMENTS.get(rest[0]) != len(rest) - 1:
            return Frame(BAD_FRAME, channel)
        return Frame(NONE, channel, kind=rest[0], payload=rest[1:])
    if channel == UNRELIABLE and fragment:
        if len(rest) < 4 or not 2 <= rest[3] <= 16 or rest[2] >= rest[3]:
            return Frame(BAD_FRAGMENT, channel)
        number = unpack("<H", rest[:2])[0]
        return Frame(NONE, channel, True, number=number, index=rest[2], count=rest[3], payload=rest[4:])
    stream = number = message = 0
    if channel == RELIABLE:
        if len(rest) < 5 or rest[0] > 8:
            return Frame(BAD_FRAME, channel)
        (stream, number, message), rest = unpack("<BHH", rest[:5]), rest[5:]
    elif channel == UNORDERED:
        if len(rest) < (4 if fragment else 2):
            return Frame(BAD_FRAME, channel)
        number, rest = unpack("<H", rest[:2])[0], rest[2:]
        if fragment:
            message, rest = unpack("<H", rest[:2])[0], rest[2:]
    if fragment:
        index, count = unpack("<HH", rest[:4]) if len(rest) >= 4 else (0, 0)
        if count < 2 or index >= count:
            return Frame(BAD_FRAGMENT, channel)
        return Frame(NONE, channel, True, 0, stream, number, message, index, count, payload=rest[4:])
    if not rest:
        return Frame(BAD_FRAME, channel)
    if not 1 <= rest[0] <= 200:
        return Frame(UNKNOWN_MESSAGE, channel)
    return Frame(NONE, channel, False, rest[0], stream, number, message, payload=rest[1:])


def read_input(data: bytes) -> Frame:
    if len(data) < 4 or not 1 <= data[3] <= 8:
        return Frame(BAD_FRAME, INPUT)
    if not 1 <= data[0] <= 200:
        return Frame(UNKNOWN_MESSAGE, INPUT)
    rest = data[4:]
    for _ in range(data[3]):
        if not rest or len(rest) - 1 < rest[0]:
            return Frame(BAD_FRAME, INPUT)
        rest = rest[1 + rest[0]:]
    if rest:
        return Frame(BAD_FRAME, INPUT)
    return Frame(NONE, INPUT, kind=data[0], newest=unpack("<H", data[1:3])[0], count=data[3], payload=data[4:])

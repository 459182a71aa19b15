"""Python door to the frames of a session body, for tests and tools; the hot path cimports the kernels instead."""
from dataclasses import make_dataclass

from shadowland._core.base.errors import UsageError
from shadowland._core.base.status import DropReason

from libc.string cimport memset

from shadowland._core.wire.cursor cimport writer_init

CHANNELS = {
    FRAME_UNRELIABLE: "unreliable", FRAME_RELIABLE: "reliable", FRAME_UNORDERED: "unordered", FRAME_LATEST: "latest",
    FRAME_INPUT: "input", FRAME_SNAPSHOT: "snapshot", FRAME_CONTROL: "control",
}
CODES = {
    CODE_CONFIRM: "confirm", CODE_PING: "ping", CODE_PONG: "pong", CODE_CLOSE: "close",
    CODE_PATH_CHALLENGE: "path_challenge", CODE_PATH_RESPONSE: "path_response",
}

Fields = make_dataclass(
    "Fields",
    [
        ("status", DropReason), ("channel", int), ("fragment", bool), ("kind", int), ("stream", int), ("number", int),
        ("message", int), ("index", int), ("count", int), ("newest", int), ("payload", bytes),
        ("violates", bool, False), ("elicits", bool, True), ("compressed", bool, False),
    ],
    frozen=True,
)
Fields.__module__ = __name__
Fields.__doc__ = """One frame, with the names of docs/protocol.md 5.2.

`status` is DropReason.NONE, or why the frame cannot be used; then the other fields hold what was read before.
`kind` is that of the message or inputs, the code of a control frame, 0 for fragments and snapshots. `number` is
the low 16 bits of a reliable unit's number, or the id of an unreliable fragment; `message` those of the number
of a reliable message in its stream. `violates`: the session must be closed; `elicits`: the packet wants an
acknowledgment. `compressed`: `payload` is a declared size and an LZ4 block.
"""


def frames(const uint8_t[::1] body not None) -> list[Fields]:
    """The frames of a body without its ack block, bad ones included; a broken length is the last.

    >>> frames(bytes.fromhex("03000768"))[0].kind
    7
    """
    cdef Reader reader
    cdef Frame frame
    found = []
    reader_init(&reader, &body[0] if body.shape[0] else NULL, body.shape[0])
    while frame_next(&reader, &frame):
        found.append(Fields(
            DropReason(frame.status), frame.channel, bool(frame.fragment), frame.kind, frame.stream, frame.number,
            frame.message, frame.index, frame.count, frame.newest,
            frame.payload[:frame.length] if frame.length else b"",
            bool(frame_violates(&frame)), bool(frame_elicits(&frame)), bool(frame.compressed),
        ))
    return found


def inputs(const uint8_t[::1] payload not None, int count) -> list[bytes] | None:
    """The `count` inputs of an input frame's payload, oldest first; None if it does not hold exactly so many."""
    cdef Reader reader
    cdef const uint8_t* start
    cdef size_t size
    found = []
    reader_init(&reader, &payload[0] if payload.shape[0] else NULL, payload.shape[0])
    for _ in range(count):
        size = read_u8(&reader)
        start = read_bytes(&reader, size)
        if reader.failed:
            return None
        found.append(start[:size])
    return found if reader_left(&reader) == 0 else None


def pack(frame, size_t capacity=1500) -> bytes | None:
    """The bytes of one frame (Fields, `status` not looked at); None if they exceed `capacity`.

    OverflowError if a field is beyond its width, UsageError if the channel does not exist.
    """
    cdef Frame raw
    cdef Writer writer
    cdef const uint8_t[::1] payload = frame.payload
    if frame.channel not in CHANNELS:
        raise UsageError(f"channel {frame.channel}; there are {', '.join(map(str, CHANNELS))}")
    memset(&raw, 0, sizeof(raw))
    raw.channel, raw.fragment, raw.kind, raw.stream = frame.channel, frame.fragment, frame.kind, frame.stream
    raw.compressed = frame.compressed
    raw.number, raw.message, raw.newest = frame.number, frame.message, frame.newest
    raw.index, raw.count = frame.index, frame.count
    raw.payload = &payload[0] if payload.shape[0] else NULL
    raw.length = payload.shape[0]
    room = bytearray(capacity)
    cdef uint8_t[::1] out = room
    writer_init(&writer, &out[0] if capacity else NULL, capacity)
    if not frame_pack(&writer, &raw):
        return None
    return bytes(room[:writer.position])

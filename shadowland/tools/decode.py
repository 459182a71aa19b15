"""Reads one datagram as far as the key at hand allows, by docs/protocol.md.

    >>> decode(bytes.fromhex("0700000000030500000000000000"))["sequence"]
    5
"""
from typing import Any

from shadowland._core.compress import lz4
from shadowland._core.crypto import aead, keys
from shadowland._core.session import ack
from shadowland._core.wire import crc32c, header, message
from shadowland.errors import DisconnectReason, DropReason, UsageError

VERSION = 1
SUITES = {"chacha20-poly1305": aead.CHACHA20_POLY1305, "aegis-128l": aead.AEGIS_128L}
CRC_SIZE = 4
SMALLEST_TAG = 16
KINDS = {1: "HELLO", 2: "COOKIE", 3: "VERSION", 4: "CONNECT", 5: "ACCEPTED", 6: "REJECTED"}
LENGTHS = {1: (96, 96), 2: (76, 76), 3: (21, 49), 4: (1150, 1500), 5: (1150, 1500), 6: (1150, 1500)}
LARGEST = 1500
LONGEST_MESSAGE = 2**18                     # of what a compressed message may declare, whatever its channel
FAR_ALONG = 2**48                           # a session so old that no bit of an ack block can lie before its start

Decoded = dict[str, Any]


def from_hex(text: str, what: str) -> bytes:
    """Bytes of a hex text, with or without spaces, colons and 0x. UsageError names `what` but never quotes the text,
    which may be a key.
    """
    try:
        return bytes.fromhex(text.strip().removeprefix("0x").replace(":", " "))
    except ValueError:
        raise UsageError(f"{what} is not hex: two digits 0-9 a-f for each byte") from None


def session_key(key: bytes, suite: str, epoch: int | None) -> aead.Aead:
    """The key that opens: `key` itself, or with `epoch` the one derived from `key` out of Noise's Split (section 4).

    UsageError if the suite is unknown or not on this machine, or the length does not fit.
    """
    number = SUITES.get(suite)
    if number is None:
        raise UsageError(f"suite {suite!r} is unknown; there are {' and '.join(SUITES)}")
    size = aead.key_size(number)
    if size == 0:
        raise UsageError(f"suite {suite} needs AES instructions, which this processor does not have")
    if epoch is None:
        if len(key) != size:
            raise UsageError(f"a key of {suite} has {size} bytes, not {len(key)}")
        return aead.Aead(key, number)
    if not 0 <= epoch < 2**32:
        raise UsageError(f"epoch {epoch}; it must be 0 to 2**32 - 1")
    if len(key) != 32:
        raise UsageError(f"with an epoch the key is one of Noise's Split and has 32 bytes, not {len(key)}")
    return aead.Aead(keys.derive(key, number, epoch), number)


def decode(
    datagram: bytes, key: bytes | None = None, epoch: int | None = None, suite: str = "chacha20-poly1305"
) -> Decoded:
    """What a datagram says: its header, the parts of a handshake datagram, and with a key the body of a session's.

    The result can be written as JSON; bytes are hex. `problem` is null, or the drop reason that a receiver which knows
    nothing of the session would count. UsageError if the datagram has no header or the key cannot be used.
    """
    fields = header.parse(datagram)
    if fields is None:
        raise UsageError(f"{len(datagram)} bytes are no datagram: its header alone has {header.SIZE}")
    opener = None if key is None else session_key(key, suite, epoch)
    found: Decoded = {
        **fields._asdict(), "length": len(datagram),
        "sort": "session" if fields.connection_id else "handshake", "problem": None,
    }
    if len(datagram) > LARGEST:
        problem(found, DropReason.OVERSIZED)
    elif fields.connection_id:
        decode_session(found, datagram, opener)
    else:
        decode_handshake(found, datagram)
    return found


def problem(found: Decoded, reason: DropReason) -> None:
    """Note why the datagram would be dropped; the first reason stands, as it does for a receiver."""
    if found["problem"] is None:
        found["problem"] = {"reason": reason.name, "meaning": reason.sentence}


# --- handshake (section 2) -----------------------------------------------------------------------------------------

def decode_handshake(found: Decoded, datagram: bytes) -> None:
    kind = found["channel"]
    found["kind"] = KINDS.get(kind)
    found["echo"] = found["sequence"].to_bytes(8, "little").hex()
    if len(datagram) < header.SIZE + 2 + CRC_SIZE:
        return problem(found, DropReason.TRUNCATED)
    stored, computed = int.from_bytes(datagram[-CRC_SIZE:], "little"), crc32c.checksum(datagram[:-CRC_SIZE])
    found["crc32c"] = {"stored": f"{stored:08x}", "computed": f"{computed:08x}", "matches": stored == computed}
    if stored != computed:
        problem(found, DropReason.BAD_CRC)
    if kind not in KINDS:
        return problem(found, DropReason.BAD_KIND)
    if found["flags"] != 0:
        problem(found, DropReason.BAD_FLAGS)
    found["version"] = int.from_bytes(datagram[14:16], "little")
    if found["version"] != VERSION and kind != 3:       # the server says VERSION to those who speak another one
        return problem(found, DropReason.BAD_VERSION)
    lowest, highest = LENGTHS[kind]
    if not lowest <= len(datagram) <= highest:
        return problem(found, DropReason.TRUNCATED if len(datagram) < lowest else DropReason.BAD_PADDING)
    decode_parts(found, kind, datagram[16:-CRC_SIZE])


def decode_parts(found: Decoded, kind: int, body: bytes) -> None:
    """The body between version and checksum; its length has been checked against the kind."""
    if kind == 1:
        found["ephemeral"] = body[:32].hex()
        if any(body[32:]):
            problem(found, DropReason.BAD_PADDING)
    elif kind == 2:
        found["cookie"], found["hint"] = body[:48].hex(), body[48:].hex()
    elif kind == 3:
        if body[0] == 0 or len(body) != 1 + 2 * body[0]:
            return problem(found, DropReason.BAD_PADDING)
        found["versions"] = [int.from_bytes(body[at:at + 2], "little") for at in range(1, len(body), 2)]
    else:
        if kind == 4:
            found["cookie"], body = body[:48].hex(), body[48:]
        found["ephemeral"], found["sealed_payload"] = body[:32].hex(), body[32:].hex()
    if kind in (1, 4):
        found["echo_matches"] = found["ephemeral"][:16] == found["echo"]


# --- session (sections 4 and 5) ------------------------------------------------------------------------------------

def decode_session(found: Decoded, datagram: bytes, opener: aead.Aead | None) -> None:
    flags = found["flags"]
    if found["channel"] != 0 or flags & ~header.PHASE != header.ENCRYPTED | header.AEAD:
        problem(found, DropReason.BAD_FLAGS)
    found["key_phase"] = int(flags & header.PHASE != 0)
    if len(datagram) <= header.SIZE + (SMALLEST_TAG if opener is None else opener.tag_size):
        return problem(found, DropReason.TRUNCATED)
    if opener is None:
        return
    body = open_sealed(found, datagram, opener)
    if body is None and int.from_bytes(datagram[-CRC_SIZE:], "little") == crc32c.checksum(datagram[:-CRC_SIZE]):
        # The server that this one follows appended a CRC32C to sealed datagrams. Its value and the tag before it prove
        # that it is one; no byte of the datagram says so.
        body = open_sealed(found, datagram[:-CRC_SIZE], opener)
        if body is not None:
            found["crc32c"] = {"stored": datagram[-CRC_SIZE:][::-1].hex(), "matches": True}
    found["opened"] = body is not None
    if body is None:
        return problem(found, DropReason.AUTH_FAILED)
    found["body"] = body.hex()
    decode_body(found, body)


def open_sealed(found: Decoded, datagram: bytes, opener: aead.Aead) -> bytes | None:
    ad, sealed = datagram[:header.SIZE], datagram[header.SIZE:]
    return opener.open(found["connection_id"], found["sequence"], ad, sealed)


def decode_body(found: Decoded, body: bytes) -> None:
    """Ack block and frames. A body that is none of ours has `frames` null; its hex is there all the same."""
    found["acks"] = found["frames"] = None
    read = read_acks(body)
    if read is None:
        return problem(found, DropReason.BAD_ACK_BLOCK)
    found["acks"], used = read
    found["frames"] = [frame_fields(frame) for frame in message.frames(body[used:])]


def read_acks(body: bytes) -> tuple[Decoded | None, int] | None:
    """The ack block that a body begins with (None in place of one that says nothing) and its length; None if malformed.

    `newest` is shown as it stands, truncated: only a session knows around what to expand it.
    """
    read = ack.parse(body, FAR_ALONG)
    if read is None:
        return None
    length, newest, delay_us, bitfield = read
    if newest is None:
        return None, length
    width = (0, 8, 16, 32)[body[0] & 3]
    older = [i + 1 for i in range(8 * len(bitfield)) if bitfield[i >> 3] >> (i & 7) & 1]
    return {"newest_low_bits": newest % 2**width, "bits": width, "delay_us": delay_us,
            "also_received_before_newest": older}, length


def frame_fields(frame: message.Fields) -> Decoded:
    """The fields that the frame's channel has."""
    said: Decoded = {"channel": message.CHANNELS.get(frame.channel, str(frame.channel))}
    if frame.status != DropReason.NONE:
        return said | {"problem": {"reason": frame.status.name, "meaning": frame.status.sentence}}
    if said["channel"] == "control":
        return said | control_fields(frame)
    if said["channel"] == "reliable":
        said |= {"stream": frame.stream, "number": frame.number, "message": frame.message}
    if said["channel"] == "unordered":
        said |= {"number": frame.number} | ({"message": frame.message} if frame.fragment else {})
    if frame.compressed:
        said["compressed"] = True
    if frame.fragment:
        if said["channel"] == "unreliable":
            said["fragment_id"] = frame.number
        return said | {"index": frame.index, "count": frame.count, "part": frame.payload.hex()}
    if said["channel"] == "input":
        each = message.inputs(frame.payload, frame.count) or []
        return said | {"kind": frame.kind, "newest": frame.newest, "inputs": [payload.hex() for payload in each]}
    if said["channel"] != "snapshot":
        said["kind"] = frame.kind
    if frame.compressed:
        opened = lz4.unpack(frame.payload, LONGEST_MESSAGE)
        if opened is None:
            reason = DropReason.BAD_COMPRESSION
            return said | {"problem": {"reason": reason.name, "meaning": reason.sentence}}
        return said | {"payload": opened.hex()}
    return said | {"payload": frame.payload.hex()}


def control_fields(frame: message.Fields) -> Decoded:
    code = message.CODES[frame.kind]
    said: Decoded = {"code": code}
    if code == "ping":
        said["time_us"] = int.from_bytes(frame.payload, "little")
    elif code.startswith("path_"):
        said["token"] = frame.payload.hex()
    elif code == "pong":
        said["ping_time_us"] = int.from_bytes(frame.payload[:8], "little")
        said["time_us"] = int.from_bytes(frame.payload[8:], "little")
    elif code == "close":
        value = frame.payload[0]
        said["reason"] = DisconnectReason(value).name if value < len(DisconnectReason) else value
    return said

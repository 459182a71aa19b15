"""Writes tests/vectors/wire.json: `python -m tests.reference.wire_vectors > tests/vectors/wire.json`.

Inputs are written here by hand, outputs come from the references. Every vector that the page on the original server
prints is among them, marked with the expected result typed in, so that a wrong reference cannot confirm itself.
"""
import json
from dataclasses import asdict
from typing import Any

from tests.reference import bits, body, crc32c, header, quantize, replay, varint

# From the original server's numbers.
PRINTED_VARINTS = {0: "00", -1: "01", 1: "02", 63: "7e", -64: "7f", 64: "8001", 300: "d804",
                   2**31 - 1: "feffffff0f", -2**31: "ffffffff0f"}
PRINTED_WALK = [(0, 1), (0, 0), (1, 1), (3, 1), (2, 1), (2, 0), (66, 1), (3, 0), (2, 0), (1, 0), (67, 1), (4, 1),
                (3, 0), (200, 1), (137, 1), (136, 0)]

REFUSED_VARINTS = {
    "8000": "over-long: 0 takes one byte", "818000": "over-long by one byte", "80": "cut off", "": "nothing there",
    "ffffffffffffffffff02": "beyond 64 bits", "ffffffffffffffffffff01": "eleven bytes",
    "80808080808080808000": "over-long: ten bytes of 0",
}
FRAMES = {
    "unreliable": "03000768", "unreliable, empty": "020007", "unreliable fragment": "0708341201036162",
    "reliable": "080100000102000968", "reliable fragment": "0c0900050003000000020061" "62",
    "reliable, stream 7": "080107000102000968", "reliable, control stream": "080108000102000168",
    "unordered": "05020001" "0968", "unordered fragment": "0b0a0500030000000200" "6162", "latest": "03030968",
    "inputs": "0a0409ff000202abcd01ef", "one input, empty": "06040901000100", "snapshot": "0405aabbcc",
    "confirm": "020700", "ping": "0a07010807060504030201", "close": "03070301",
    "pong": "12070208070605040302010807060504030201", "padding, then confirm": "0000020700",
    "path challenge": "0a07040807060504030201", "path response": "0a07050807060504030201",
    "channel 6 is not used": "020600", "unknown bit of the head": "03400768",
    "compressed": "03100768", "latest compressed": "03130768", "input compressed": "03140768",
    "fragment on latest": "030b0968", "kind 0": "03000068",
    "kind 201": "0300c968", "no kind": "0100", "fragment count 1": "0708341200016162",
    "fragment index = count": "0708341203036162", "fragment count 17": "0708341200116162",
    "fragment cut off": "03083412", "reliable stream 9": "080109000102000968",
    "reliable without number": "03010000", "reliable without message": "0401000001",
    "unordered without number": "020200", "reliable fragment index = count": "0b0900050003000200020061",
    "reliable compressed": "081100000102000968", "no inputs": "050409010000", "nine inputs": "0e0409010009" + "00" * 9,
    "an input is cut off": "0704090100010261", "a byte after the inputs": "07040901000100aa",
    "ping of 7 bytes": "09070108070605040302",
    "pong of 17 bytes": "130702" + "00" * 17, "confirm with an argument": "03070000",
    "path challenge of 7 bytes": "09070408070605040302", "path response of 9 bytes": "0b0705" + "00" * 9,
    "unknown code": "020706", "close without reason": "020703",
    "longer than what is left": "05000768", "over-long length": "8300000768",
    "one bad, the next good": "0106020700",
}
BLOCKS = {
    "nothing": "00", "newest 5": "010500", "newest 5 and 3": "05050a02", "two bytes": "02e8030a",
    "four bytes": "0300000100ff", "63 bytes of bits": "fe3fe80300" + "ff" * 63,
    "nothing, with bits": "04", "trailing zero": "05050000", "cut off": "0205",
    "62 bytes said in two": "fd3e0500" + "ff" * 62,
    "65 bytes": "fd410500" + "ff" * 65, "empty": "",
}


def varints() -> dict[str, Any]:
    values = [*PRINTED_VARINTS, *(sign * 2**power for power in (6, 13, 20, 34, 62) for sign in (1, -1)),
              2**63 - 1, -2**63]
    unsigned = [0, 127, 128, 16383, 16384, 2**32, 2**63, 2**64 - 1]
    return {
        "printed": {str(value): data for value, data in PRINTED_VARINTS.items()},
        "signed": [{"value": value, "hex": varint.encode(value).hex()} for value in values],
        "unsigned": [{"value": value, "hex": varint.encode_unsigned(value).hex()} for value in unsigned],
        "refused": REFUSED_VARINTS,
    }


def bit_streams() -> list[dict[str, Any]]:
    streams = [[(1, 1), (0, 1), (1, 1), (1, 1)], [(5, 3), (2**57 - 1, 57), (0, 7), (1, 1)], [(0x1234, 16), (3, 2)], []]
    found = []
    for steps in streams:
        writer = bits.Writer(64)
        for value, count in steps:
            writer.write(value, count)
        named = [{"value": value, "bits": count} for value, count in steps]
        found.append({"steps": named, "hex": writer.written.hex()})
    return found


def classes() -> list[dict[str, Any]]:
    found = []
    for small, medium in ((4, 10), (1, 2), (3, 32)):
        for value in (0, 1, -1, 7, -8, 8, 511, -512, 512, 2**31 - 1, -2**31):
            writer = bits.Writer(8)
            writer.write_class(value, small, medium)
            found.append({"value": value, "small": small, "medium": medium, "bits": len(writer.bits),
                          "hex": writer.written.hex()})
    return found


def quanta() -> list[dict[str, Any]]:
    cases = [(value, 0.01, -32767, 32767) for value in (
        0.0, 0.004, 0.005, 0.006, -0.004, -0.005, -0.006, 1.234, -1.234, 3276.7, 3276.71, -3276.8, 1e30, -1e30)]
    cases += [(0.49999999999999994, 1.0, -5, 5), (-0.5, 1.0, -5, 5), (2.5, 1.0, -5, 5), (100.4, 1.0, 0, 100)]
    return [dict(zip(("value", "step", "low", "high", "status", "quantum"),
                     (*case, *quantize.quantize(*case)), strict=True)) for case in cases]


def origins() -> list[dict[str, Any]]:
    cases = [(position, 102400.0, 0.01) for position in (
        0.0, 102399.99, 102400.0, -0.01, -102400.0, -102400.01, 51200.005, 1e9, -1e9, 2.0**31 * 102400 + 1, -1e300)]
    cases += [(-0.004, 6400.0, 0.01), (6399.996, 6400.0, 0.01)]
    return [dict(zip(("position", "edge", "step", "status", "quadrant", "value"),
                     (*case, *quantize.origin_split(*case)), strict=True)) for case in cases]


def frames() -> list[dict[str, Any]]:
    return [{"name": name, "hex": data, "frames": [
        asdict(frame) | {"payload": frame.payload.hex()} for frame in body.read_frames(bytes.fromhex(data))]}
        for name, data in FRAMES.items()]


def blocks() -> list[dict[str, Any]]:
    found = []
    for name, data in BLOCKS.items():
        read = body.read_acks(bytes.fromhex(data))
        block = None if read is None else asdict(read[0]) | {"bitfield": read[0].bitfield.hex(), "length": read[1]}
        found.append({"name": name, "hex": data, "block": block})
    return found


def walk() -> dict[str, Any]:
    window = replay.Window(64)
    steps = [{"sequence": sequence, "accepted": window.commit(sequence)} for sequence, _ in PRINTED_WALK]
    return {"positions": 64, "steps": steps}


def document() -> dict[str, Any]:
    fields = {"connection_id": 0x12345678, "channel": 1, "flags": 3, "sequence": 0x0102030405060708}
    packed = header.pack(*fields.values())
    checksums = [b"", b"123456789", bytes(32), b"\xff" * 32, bytes(range(32))]
    return {
        "generated": "python -m tests.reference.wire_vectors > tests/vectors/wire.json",
        "header": {**fields, "hex": packed.hex(), "nonce": (packed[:4] + packed[6:]).hex()},
        "crc32c": [{"data": data.hex(), "crc32c": f"{crc32c.checksum(data):08x}"} for data in checksums],
        "varint": varints(),
        "bits": bit_streams(),
        "classes": classes(),
        "quantize": quanta(),
        "origin": origins(),
        "ack_blocks": blocks(),
        "frames": frames(),
        "replay": walk(),
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))

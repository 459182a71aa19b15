"""The compiled wire rooms agree with the vectors, those that must be refused included; the file is what the reference
writes, and what the page on the original server prints is typed in there by hand."""
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from shadowland._core.crypto.aead import Aead
from shadowland._core.session import replay
from shadowland._core.wire import bits, crc32c, header, message, quantize, varint
from tests.reference import wire_vectors
from tests.reference.replay import Window as ReferenceWindow

PATH = Path(__file__).parents[1] / "vectors" / "wire.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text())


def test_the_file_is_what_the_references_write() -> None:
    assert json.loads(json.dumps(wire_vectors.document())) == VECTORS


def test_header_and_nonce() -> None:
    vector = VECTORS["header"]
    assert vector["hex"] == "7856341201030807060504030201"
    assert vector["nonce"] == "785634120807060504030201"
    fields = header.Fields(*(vector[name] for name in ("connection_id", "channel", "flags", "sequence")))
    packed = header.pack(*fields)
    assert packed.hex() == vector["hex"] and header.parse(packed) == fields
    sealed = Aead(bytes(range(32))).seal(fields.connection_id, fields.sequence, packed, b"text")
    assert sealed == ChaCha20Poly1305(bytes(range(32))).encrypt(bytes.fromhex(vector["nonce"]), b"text", packed)


def test_checksums() -> None:
    assert {"data": b"123456789".hex(), "crc32c": "e3069283"} in VECTORS["crc32c"]
    assert {"data": "", "crc32c": "00000000"} in VECTORS["crc32c"]
    for vector in VECTORS["crc32c"]:
        for arm in crc32c.ARMS:
            assert f"{crc32c.checksum(bytes.fromhex(vector['data']), arm):08x}" == vector["crc32c"]


def test_varints() -> None:
    vectors = VECTORS["varint"]
    for value, data in vectors["printed"].items():
        assert varint.encode(int(value)).hex() == data
    for vector in vectors["signed"]:
        data = bytes.fromhex(vector["hex"])
        assert varint.encode(vector["value"]) == data and varint.decode(data) == (vector["value"], len(data))
    for vector in vectors["unsigned"]:
        data = bytes.fromhex(vector["hex"])
        assert varint.encode_unsigned(vector["value"]) == data
        assert varint.decode_unsigned(data) == (vector["value"], len(data))
    for refused, why in vectors["refused"].items():
        assert varint.decode_unsigned(bytes.fromhex(refused)) is None, why


def test_bits() -> None:
    assert VECTORS["bits"][0]["hex"] == "0d"
    for vector in VECTORS["bits"]:
        buffer = bits.BitBuffer(bytearray(64))
        for step in vector["steps"]:
            buffer.write(step["value"], step["bits"])
        assert buffer.written.hex() == vector["hex"]
        assert [buffer.read(step["bits"]) for step in vector["steps"]] == [step["value"] for step in vector["steps"]]


def test_class_coded_numbers() -> None:
    for vector in VECTORS["classes"]:
        buffer = bits.BitBuffer(bytearray(8))
        buffer.write_class(vector["value"], vector["small"], vector["medium"])
        assert (buffer.written.hex(), buffer.write_position) == (vector["hex"], vector["bits"])
        assert buffer.read_class(vector["small"], vector["medium"]) == vector["value"]


def test_quanta() -> None:
    for vector in VECTORS["quantize"]:
        quanta = np.zeros(1, dtype=np.int32)
        saturated, refused = quantize.quantize_array(
            np.array([vector["value"]]), vector["step"], vector["low"], vector["high"], quanta)
        assert (quanta[0], saturated, refused) == (vector["quantum"], vector["status"], 0)


def test_origins() -> None:
    for vector in VECTORS["origin"]:
        quadrants, values = np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int64)
        saturated, refused = quantize.split(
            np.array([vector["position"]]), vector["edge"], vector["step"], quadrants, values)
        assert (quadrants[0], values[0]) == (vector["quadrant"], vector["value"])
        assert (saturated, refused) == (vector["status"], 0)


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda vector: vector["name"])
def test_frames(vector: dict[str, Any]) -> None:
    found = message.frames(bytes.fromhex(vector["hex"]))
    assert [frame.status for frame in found] == [frame["status"] for frame in vector["frames"]]
    for frame, expected in zip(found, vector["frames"], strict=True):
        if frame.status == 0:
            assert {name: getattr(frame, name) for name in expected if name != "payload"} | {
                "payload": frame.payload.hex()} == expected


def test_replay_walk() -> None:
    """Printed for 64 positions; a wider window differs only where it still remembers."""
    walk = VECTORS["replay"]
    printed = [bool(accepted) for _, accepted in wire_vectors.PRINTED_WALK]
    assert [step["accepted"] for step in walk["steps"]] == printed
    narrow, window, wide = replay.Window(walk["positions"]), replay.Window(), ReferenceWindow(1024)
    for step in walk["steps"]:
        assert narrow.commit(step["sequence"]) == step["accepted"]
        assert window.commit(step["sequence"]) == wide.commit(step["sequence"])

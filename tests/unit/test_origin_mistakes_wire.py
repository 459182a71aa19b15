"""Mistakes of the original server that belong to reading and writing bytes, each with the test that keeps it out."""
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shadowland._core.wire import crc32c, header, message, quantize, varint
from shadowland._core.wire.cursor import FlatBuffer
from shadowland.errors import DropReason

POSITION_STEP = 0.1                         # the original's: int16 at a tenth, so ±3,276.7


def test_over_long_varints_are_not_accepted() -> None:
    for over_long in ("8000", "808000", "ff00", "8100", "80808080808080808000"):
        data = bytes.fromhex(over_long)
        assert varint.decode(data) is None and varint.decode_unsigned(data) is None
        buffer = FlatBuffer(data)
        assert buffer.read_uvarint() == 0 and buffer.failed
        assert varint.decode_array(b"\x02" + data, 2)[0].tolist() == [1]
    broken = message.frames(bytes.fromhex("8200") + b"\x07\x00")    # a frame's length in two bytes where one serves
    assert [frame.status for frame in broken] == [DropReason.BAD_FRAME]


def test_values_are_rounded_and_not_truncated() -> None:
    values = np.array([0.9, -0.9, 0.6, -0.6, 0.4, -0.4, 1.5, -1.5])
    quanta = np.zeros(len(values), dtype=np.int32)
    quantize.quantize_array(values, 1.0, -10, 10, quanta)
    assert quanta.tolist() == [1, -1, 1, -1, 0, 0, 2, -1]


def test_the_quantum_around_zero_is_no_wider_than_the_others() -> None:
    values = np.linspace(-4.5, 4.5, 9001)[:-1]                      # a thousand per quantum
    quanta = np.zeros(len(values), dtype=np.int32)
    quantize.quantize_array(values, 1.0, -10, 10, quanta)
    numbers, widths = np.unique(quanta, return_counts=True)
    assert numbers.tolist() == list(range(-4, 5)) and widths.tolist() == [1000] * 9


def test_int16_does_not_wrap_beyond_its_range() -> None:
    low, high = quantize.width_range(16)
    values = np.array([3276.7, 3276.8, 3300.0, 1e9, -3276.7, -3276.8, -3300.0, -1e300])
    quanta = np.zeros(len(values), dtype=np.int32)
    counts = quantize.quantize_array(values, POSITION_STEP, low, high, quanta)
    assert quanta.tolist() == [32767] * 4 + [-32767] * 4            # it saturates, and says how often
    assert counts == (6, 0)


def test_not_a_number_is_refused_and_counted() -> None:
    quanta = np.array([11, 12, 13], dtype=np.int32)
    assert quantize.quantize_array(np.array([np.nan, np.inf, -np.inf]), 1.0, -5, 5, quanta) == (0, 3)
    assert quanta.tolist() == [11, 12, 13]


def test_encoder_and_decoder_use_the_same_quadrant_origin() -> None:
    edge, step = 102_400.0, 0.01
    positions = np.array([-0.01, 0.0, 0.01, -102_400.0, 102_399.99, 102_400.0, -307_200.25, 1e9 + 0.5, -1e9 - 0.5])
    quadrants, values = np.zeros(len(positions), dtype=np.int32), np.zeros(len(positions), dtype=np.int64)
    assert quantize.split(positions, edge, step, quadrants, values) == (0, 0)
    assert quadrants[:6].tolist() == [-1, 0, 0, -1, 0, 1]           # the floor, not toward zero: -0.01 is in -1
    assert (values >= 0).all()
    assert np.abs(quantize.join(quadrants, values, edge, step) - positions).max() <= step / 2 + 1e-7


def test_nothing_behind_the_received_length_is_read() -> None:
    """A slot of an arena holds an older, longer datagram: its rest must not show."""
    slot = bytearray(b"\x07" * 64)
    slot[:6] = bytes.fromhex("010203040506")
    buffer = FlatBuffer(slot, 6)
    assert buffer.read_u32() == 0x04030201
    assert buffer.read_u32() == 0 and buffer.failed
    assert buffer.read_bytes(1) == b""
    assert header.parse(memoryview(slot)[:13]) is None
    assert varint.decode(memoryview(bytearray(b"\x80\x01"))[:1]) is None
    cut = message.frames(memoryview(bytes.fromhex("0300076868"))[:3])
    assert [frame.status for frame in cut] == [DropReason.BAD_FRAME] and cut[0].payload == b""


def test_the_checksum_is_not_recognised_by_a_byte_of_another_field() -> None:
    """There, whether a checksum followed was read from a byte that belonged to another field. In ours lengths say where
    a frame ends: whatever channel, flags and payload hold, nothing of a session body is taken for a checksum.
    """
    payload = bytes.fromhex("aabbccdd")
    frame = message.Fields(DropReason.NONE, 5, False, 0, 0, 0, 0, 0, 0, 0, payload)
    packed = message.pack(frame) or b""
    trailed = packed + crc32c.checksum(packed).to_bytes(4, "little")
    assert message.frames(packed)[0].payload == payload
    assert message.frames(trailed)[0].payload == payload            # the length says where it ends, not what follows
    for channel in range(256):
        fields = header.parse(header.pack(1, channel, 255 - channel, 2**64 - 1))
        assert fields == header.Fields(1, channel, 255 - channel, 2**64 - 1)


def captured() -> Any:
    folder = os.environ.get("SHADOWLAND_VECTORS", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SHADOWLAND_VECTORS names no folder")
    return json.loads((Path(folder) / "captured-datagrams.json").read_text())


def test_headers_and_checksums_of_captured_datagrams() -> None:
    for vector in captured()["client_to_server_datagrams"]:
        datagram = bytes.fromhex(vector["datagram"])
        fields = header.parse(datagram)
        assert fields is not None and (fields.channel, fields.flags, fields.sequence) == (0, 3, 0)
        assert header.pack(*fields) == datagram[:header.SIZE]
        for arm in crc32c.ARMS:
            assert crc32c.checksum(datagram[:-4], arm) == int(vector["crc32c"], 16)
        assert int.from_bytes(datagram[-4:], "little") == int(vector["crc32c"], 16)
    for vector in captured()["server_side_decrypts"]:
        fields = header.parse(bytes.fromhex(vector["aad"]))
        assert fields is not None
        packed = header.pack(*fields)
        assert (packed[:4] + packed[6:]).hex() == vector["nonce"]

"""Vectors from elsewhere, read where SHADOWLAND_VECTORS points; skipped where it points nowhere.

The datagrams were captured between the server and the client that Shadowland replaces; our header, nonce and AEAD must
open every one.
"""
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from shadowland._core.crypto import aead

hexed = bytes.fromhex


def load(name: str) -> Any:
    folder = os.environ.get("SHADOWLAND_VECTORS", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SHADOWLAND_VECTORS names no folder")
    return json.loads((Path(folder) / name).read_text())


def test_captured_datagrams_open() -> None:
    captured = load("captured-datagrams.json")["client_to_server_datagrams"]
    assert captured
    for entry in captured:
        datagram = hexed(entry["datagram"])[:-4]                # without that protocol's CRC32C trailer
        header = datagram[:14]
        connection_id, _channel, _flags, sequence = struct.unpack("<IBBQ", header)
        box = aead.Aead(hexed(entry["tx_key"]))
        assert box.open(connection_id, sequence, header, datagram[14:]) == hexed(entry["plaintext"])
        assert box.seal(connection_id, sequence, header, hexed(entry["plaintext"])) == datagram[14:]


def test_captured_decrypts_open() -> None:
    captured = load("captured-datagrams.json")["server_side_decrypts"]
    assert captured
    for entry in captured:
        connection_id, sequence = struct.unpack("<IQ", hexed(entry["nonce"]))
        box = aead.Aead(hexed(entry["rx_key"]))
        opened = box.open(connection_id, sequence, hexed(entry["aad"]), hexed(entry["ciphertext_and_tag"]))
        assert opened == hexed(entry["plaintext"])

"""Vectors from elsewhere, read where SHADOWLAND_VECTORS points; skipped where it points nowhere.

The Noise vector is the published one of the cacophony set. The datagrams were captured between the server and the
client that Shadowland replaces; our header, nonce and AEAD must open every one.
"""
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from shadowland._core.crypto import aead, noise
from tests.reference import noise as reference_noise

hexed = bytes.fromhex


def load(name: str) -> Any:
    folder = os.environ.get("SHADOWLAND_VECTORS", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SHADOWLAND_VECTORS names no folder")
    return json.loads((Path(folder) / name).read_text())


def test_published_noise_vector() -> None:
    for vector in load("noise-nk-vectors.json")["vectors"]:
        messages = [(hexed(m["payload"]), hexed(m["ciphertext"])) for m in vector["messages"]]
        client_secret, server_secret = hexed(vector["init_ephemeral"]), hexed(vector["resp_ephemeral"])
        client = noise.Initiator(hexed(vector["init_prologue"]), hexed(vector["init_remote_static"]), client_secret)
        server = noise.Responder(hexed(vector["resp_prologue"]), hexed(vector["resp_static"]))
        (first, first_sealed), (second, second_sealed), *transport = messages
        assert client.write(first) == first_sealed
        assert server.read(first_sealed) == first
        assert server.write(server_secret, second) == second_sealed
        assert client.read(second_sealed) == second
        up, down, handshake_hash, root = client.split()
        assert server.split() == (up, down, handshake_hash, root)
        assert handshake_hash == hexed(vector["handshake_hash"])
        # Transport messages alternate; Noise's nonce is four zero bytes and a counter, as ours with connection id 0.
        for i, (payload, ciphertext) in enumerate(transport):
            sequence, key = i // 2, (up, down)[i % 2]
            assert aead.Aead(key).seal(0, sequence, b"", payload) == ciphertext


def test_published_noise_vector_in_the_reference() -> None:
    for vector in load("noise-nk-vectors.json")["vectors"]:
        client = reference_noise.Initiator(
            hexed(vector["init_prologue"]), hexed(vector["init_remote_static"]), hexed(vector["init_ephemeral"]))
        first, second = vector["messages"][:2]
        assert client.write(hexed(first["payload"])) == hexed(first["ciphertext"])
        assert client.read(hexed(second["ciphertext"])) == hexed(second["payload"])
        assert client.split()[2] == hexed(vector["handshake_hash"])


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

"""The compiled crypto floor agrees with the vectors, byte for byte; the file is what the references write."""
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from shadowland._core.crypto import aead, chain, cookie, drbg, keys, noise
from tests.reference import crypto_vectors

PATH = Path(__file__).parents[1] / "vectors" / "crypto.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text())
hexed = bytes.fromhex


def test_the_file_is_what_the_references_write() -> None:
    assert json.loads(json.dumps(crypto_vectors.document())) == VECTORS


@pytest.mark.parametrize("row", VECTORS["cookies"]["checks"], ids=lambda row: row["name"])
def test_cookies(row: dict[str, Any]) -> None:
    given = VECTORS["cookies"]
    secrets = cookie.Secrets(hexed(given["previous"]))
    secrets.rotate(hexed(given["current"]))
    status = secrets.check(hexed(row["ip"]), row["port"], hexed(given["ephemeral"]), row["now_s"], hexed(row["cookie"]))
    assert status == row["status"]


def test_handshake_and_session_keys() -> None:
    given = VECTORS["handshake"]
    prologue = hexed(given["prologue"])
    client = noise.Initiator(prologue, hexed(given["static_public"]), hexed(given["client_ephemeral_private"]))
    server = noise.Responder(prologue, hexed(given["static_private"]))
    assert client.write(hexed(given["payload_1"])) == hexed(given["message_1"])
    assert server.read(hexed(given["message_1"])) == hexed(given["payload_1"])
    message_2 = server.write(hexed(given["server_ephemeral_private"]), hexed(given["payload_2"]))
    assert message_2 == hexed(given["message_2"])
    assert client.read(hexed(given["message_2"])) == hexed(given["payload_2"])
    names = ("split_client_to_server", "split_server_to_client", "handshake_hash", "root")
    assert client.split() == server.split() == tuple(hexed(given[name]) for name in names)
    for row in given["session_keys"]:
        if aead.key_size(row["suite"]):
            assert keys.derive(hexed(row["split"]), row["suite"], row["epoch"]) == hexed(row["key"])


def test_rekeys() -> None:
    given = VECTORS["rekeys"]
    client, server = (chain.Secrets(hexed(given["root"]), hexed(given["handshake_hash"])) for _ in range(2))
    for row in given["epochs"]:
        ours, theirs, c, s = (hexed(row[name]) for name in (
            "client_ephemeral_private", "server_ephemeral_private", "request", "response"))
        assert keys.exchange(ours, s) == keys.exchange(theirs, c) == hexed(row["shared"])
        split = hexed(row["k1"]), hexed(row["k2"])
        assert client.advance(ours, s, c, s) == server.advance(theirs, c, c, s) == split
        assert client.transcript == hexed(row["transcript"]) and client.epoch == row["epoch"]
        for suite in row["keys"]:
            if aead.key_size(suite["suite"]):
                derived = [keys.derive(key, suite["suite"], row["epoch"]).hex() for key in split]
                assert derived == [suite["client_to_server"], suite["server_to_client"]]


@pytest.mark.parametrize("row", VECTORS["packets"])
def test_packets(row: dict[str, Any]) -> None:
    if not aead.key_size(row["suite"]):
        pytest.skip("this machine has no AES instructions")
    box, datagram, body = aead.Aead(hexed(row["key"]), row["suite"]), hexed(row["datagram"]), hexed(row["body"])
    connection_id, _channel, _flags, sequence = struct.unpack_from("<IBBQ", datagram)
    assert box.open(connection_id, sequence, datagram[:14], datagram[14:]) == body
    assert box.seal(connection_id, sequence, datagram[:14], body) == datagram[14:]


def test_generator() -> None:
    given = VECTORS["generator"]
    assert drbg.Generator(hexed(given["seed"])).fill(600) == hexed(given["first_600_bytes"])

"""With the seeds of the vectors the compiled endpoints change keys by exactly the datagrams of the reference."""
import json
import logging
import struct
from typing import Any

import pytest

from shadowland._core.base.status import DropReason
from shadowland._core.crypto import sodium
from tests.golden.test_session_vectors import CLIENT, SERVER, desks
from tests.reference import aead, aegis, rekey_vectors, session_vectors
from tests.unit.desk import Desk

VECTORS: dict[str, Any] = json.loads((session_vectors.VECTORS / "rekey.json").read_text())
NAMES = ["ChaCha20-Poly1305", "AEGIS-128L"]
hexed = bytes.fromhex


def test_the_file_is_what_the_reference_writes() -> None:
    assert json.loads(json.dumps(rekey_vectors.document())) == VECTORS


@pytest.mark.parametrize("given", VECTORS["transcripts"], ids=NAMES)
def test_the_keys_that_stand_there_open_the_datagrams(given: dict[str, Any]) -> None:
    """With nothing but a key, a header and the rules of section 4: no state of any side."""
    exchange, opened = given["exchange"], 0
    directions = {"server": [exchange["client_to_server"]], "client": [exchange["server_to_client"]]}
    for row in given["rows"]:
        if "client_to_server" in row:
            directions["server"].append(row["client_to_server"])
            directions["client"].append(row["server_to_client"])
    assert len(directions["server"]) == 3
    for row in given["rows"]:
        if "datagram" in row and row.get("reason", "NONE") == "NONE":
            data, key = hexed(row["datagram"]), hexed(directions[row["to"]][row["epoch"]])
            assert data[5] == 3 | (row["epoch"] & 1) << 2
            nonce = data[:4] + data[6:14]
            body = aegis.open_sealed(key, nonce + bytes(4), data[:14], data[14:]) if given["suite"] == 2 else \
                aead.open_sealed(key, nonce, data[:14], data[14:])
            assert body is not None and body.hex() == row["body"]
            opened += 1
    assert opened > 12


@pytest.mark.parametrize("given", VECTORS["transcripts"], ids=NAMES)
def test_two_rekeys_byte_for_byte(given: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    if given["suite"] == 2 and not sodium.has_aes():
        pytest.skip("this processor has no AES instructions")
    exchange = given["exchange"]
    caplog.set_level(logging.DEBUG)
    server, client = desks(exchange["schema_hash"], given["suites"])
    client.outbound()
    server.give(hexed(exchange["hello"]), CLIENT)
    client.give(hexed(exchange["cookie"]), SERVER)
    assert [data.hex() for data in client.outbound()] == [exchange["connect"]]
    server.give(hexed(exchange["connect"]), CLIENT)
    client.give(hexed(exchange["answer"]), SERVER)
    sides = {"server": (server, client, CLIENT), "client": (client, server, SERVER)}
    for row in given["rows"]:
        if row["to"] == "both":
            pass_time(server, client, row["us"])
            continue
        to, own, source = sides[row["to"]]
        if "rekey" in row:
            wishing = server if row["rekey"] == "server" else client
            assert wishing.endpoint.rekey(wishing.events[-1][1])
        if row["said"]:
            assert [data.hex() for data in own.outbound()] == [row["datagram"]], row["name"]
        heard = len(to.messages)
        reason, replies = to.give(hexed(row["datagram"]), source)
        assert (reason.name, replies) == (row.get("reason", "NONE"), []), row["name"]
        assert len(to.messages) - heard == (not row["said"] and reason == DropReason.NONE), row["name"]
    for desk in (server, client):
        assert desk.endpoint.stats()["epoch"].tolist() == [2] and desk.endpoint.counters["rekeys"] == 2
        told = repr([desk.endpoint, desk.endpoint.stats().tobytes().hex(), desk.endpoint.counters, caplog.text])
        secrets = [value for row in (exchange, *given["rows"]) for name, value in row.items()
                   if "private" in name or name in ("client_to_server", "server_to_client")]
        assert len(secrets) == 11 and not any(secret[:16] in told or repr(hexed(secret))[2:-1] in told
                                              for secret in secrets)


def pass_time(server: Desk, client: Desk, us: int) -> None:
    """In small steps, in which nobody says anything; what is due at the end is said there."""
    for _ in range(9):
        for desk in (server, client):
            desk.now_us += us // 10
            assert us < 1_000_000 or desk.outbound() == []
    for desk in (server, client):
        desk.now_us += us - 9 * (us // 10)


def test_what_is_laid_before_them_is_one_of_everything() -> None:
    reasons = [row["reason"] for given in VECTORS["transcripts"] for row in given["rows"] if "reason" in row]
    assert {*reasons} == {"NONE", "NO_KEYS", "AUTH_FAILED", "REPLAYED"} and len(reasons) == 18
    assert all(struct.unpack_from("<I", hexed(row["datagram"]))[0] == given["exchange"]["connection_id"]
               for given in VECTORS["transcripts"] for row in given["rows"] if "datagram" in row)

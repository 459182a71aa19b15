"""With the seeds of the vectors the compiled endpoints send and accept exactly the bytes that the reference wrote."""
import json
from pathlib import Path
from typing import Any

import pytest

from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland._core.crypto import sodium
from shadowland._core.endpoint.endpoint import Endpoint
from tests.reference import session_vectors
from tests.unit.desk import LEFT, SECOND, Desk

FILES = {name: json.loads((session_vectors.VECTORS / name).read_text()) for name in ("handshake.json", "session.json")}
HANDSHAKES: dict[str, Any] = FILES["handshake.json"]
SESSIONS: dict[str, Any] = FILES["session.json"]
hexed = bytes.fromhex
SERVER, CLIENT = session_vectors.SERVER, session_vectors.CLIENT
QUIET_US = 100 * SECOND             # between pings: the transcripts hold none


def test_the_files_are_what_the_reference_writes() -> None:
    assert json.loads(json.dumps(session_vectors.documents())) == FILES
    assert Path(session_vectors.VECTORS).name == "vectors"


def desks(schema_hash: int, suites: int = 1) -> tuple[Desk, Desk]:
    given, cipher = HANDSHAKES, "auto" if suites & 2 else "chacha20-poly1305"
    server = Desk(Endpoint("server", capacity=4, seed=hexed(given["server_seed"]),
                           identity_secret=hexed(given["static_private"]), schema_hash=given["server_schema_hash"],
                           schema_classes=tuple((one, digest) for one, digest in given["server_classes"]),
                           cipher=cipher, ping_us=QUIET_US),
                  given["now_us"])
    client = Desk(Endpoint("client", capacity=4, seed=hexed(given["client_seed"]), schema_hash=schema_hash,
                           cipher=cipher, ping_us=QUIET_US), given["now_us"])
    client.endpoint.connect(SERVER, hexed(given["static_public"]), client.now_us)
    return server, client


@pytest.mark.parametrize("row", HANDSHAKES["exchanges"], ids=["accepted", "rejected", "AEGIS-128L"])
def test_a_handshake_byte_for_byte(row: dict[str, Any]) -> None:
    if row["suites"] & 2 and not sodium.has_aes():
        pytest.skip("this processor has no AES instructions")
    server, client = desks(row["schema_hash"], row["suites"])
    assert server.endpoint.public_key.hex() == HANDSHAKES["static_public"]
    (hello,) = client.outbound()
    assert hello.hex() == row["hello"]
    reason, (cookie,) = server.give(hello, CLIENT)
    assert reason == DropReason.NONE and cookie.hex() == row["cookie"]
    assert client.give(cookie, SERVER) == (DropReason.NONE, [])
    (connect,) = client.outbound()
    assert connect.hex() == row["connect"]
    reason, (answer,) = server.give(connect, CLIENT)
    assert reason == DropReason.NONE and answer.hex() == row["answer"]
    assert client.give(answer, SERVER) == (DropReason.NONE, [])
    if "rejected" in row:
        assert client.events[-1][::2] == (LEFT, row["rejected"][0])
        assert client.endpoint.rejected_classes() == [tuple(pair) for pair in row["rejected"][1]]
    else:
        assert [datagram.hex() for datagram in client.outbound()] == [row["confirm"]]


def test_another_version_byte_for_byte() -> None:
    server, _ = desks(7)
    answer = server.give(hexed(HANDSHAKES["other_version"]["hello"]), CLIENT)
    assert answer == (DropReason.BAD_VERSION, [hexed(HANDSHAKES["other_version"]["answer"])])


@pytest.mark.parametrize("row", SESSIONS["packets"], ids=lambda row: f"{row['name']} to the {row['to']}")
def test_a_packet_does_what_the_vector_says(row: dict[str, Any]) -> None:
    exchange = SESSIONS["exchange"]
    server, client = desks(exchange["schema_hash"])
    client.outbound()
    client.give(hexed(exchange["cookie"]), SERVER)
    client.outbound()
    client.give(hexed(exchange["answer"]), SERVER)
    server.give(hexed(exchange["hello"]), CLIENT)
    server.give(hexed(exchange["connect"]), CLIENT)
    desk, source = (server, CLIENT) if row["to"] == "server" else (client, SERVER)
    first = SESSIONS["first_to_server"] if row["to"] == "server" else SESSIONS["first_to_client"]
    assert desk.give(hexed(first), source)[0] == DropReason.NONE
    handle = desk.events[-1][1]
    assert desk.give(hexed(row["datagram"]), source)[0].name == row["reason"]
    for _ in range(4):                                                  # inputs wait for their tick
        desk.endpoint.collect()
        desk.read()
    assert [[channel, kind, payload.hex()] for channel, kind, payload in desk.messages] == row["messages"]
    assert {reason.name: n for reason, n in desk.dropped_messages().items()} == row["message_drops"]
    assert desk.endpoint.is_live(handle) == (row["close"] is None)
    if row["close"] is not None:
        desk.wait(SECOND)
        assert desk.events[-1] == (LEFT, handle, DisconnectReason[row["close"]])

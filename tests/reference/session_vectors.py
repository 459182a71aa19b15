"""Writes tests/vectors/handshake.json and session.json: whole transcripts and one packet of every sort, byte for byte.

Random numbers come out of the seeds by the generator of section crypto.json, in the order in which an endpoint takes
them: secrets of its tables, then what the handshake needs. With the same seeds the compiled endpoints must send and
accept exactly these bytes.
"""
import json
import struct
import sys
from pathlib import Path
from typing import Any

from tests.reference import ack, drbg, keys, lz4, protocol

STATIC, SERVER_SEED, CLIENT_SEED = b"k" * 32, b"s" * 32, b"c" * 32
SERVER, CLIENT = ("10.0.0.1", 3565), ("10.0.0.2", 40000)
MAPPED = bytes(10) + b"\xff\xff\x0a\0\0\2"
NOW_US, SCHEMA = 100_000_000, 7
CLASSES = [(1, 11), (2, 22)]
VECTORS = Path(__file__).parents[1] / "vectors"


def exchange(schema_hash: int, suites: int = 1) -> tuple[dict[str, Any], protocol.Client, protocol.Server]:
    """HELLO, COOKIE, CONNECT and the answer, with everything they were made of."""
    return exchange_of(drbg.Generator(CLIENT_SEED), drbg.Generator(SERVER_SEED), schema_hash, suites)


def exchange_of(client_random: drbg.Generator, server_random: drbg.Generator, schema_hash: int,
                suites: int) -> tuple[dict[str, Any], protocol.Client, protocol.Server]:
    """The same with random numbers from elsewhere."""
    client_random.fill(2 * 8)
    server_random.fill(3 * 8)
    client = protocol.Client(keys.public_key(STATIC), client_random.fill(32), schema_hash=schema_hash,
                             suites=suites)
    server = protocol.Server(STATIC, server_random.fill(32), MAPPED, CLIENT[1], schema_hash=SCHEMA, suites=suites)
    hello = client.hello()
    cookie = server.cookie(hello, NOW_US // 1_000_000, server_random.fill(8))
    connect = client.connect(cookie)
    fields = server.read_connect(connect, NOW_US // 1_000_000)
    connection_id = int.from_bytes(server_random.fill(4), "little") & ~15
    if fields["schema_hash"] == SCHEMA:
        answer = server.accept(connection_id, server_random.fill(32))
    else:
        answer = server.reject(6, CLASSES, server_random.fill(32))
    client.answer(answer)
    row: dict[str, Any] = {
        "schema_hash": schema_hash, "suites": suites, "client_ephemeral_private": client.secret.hex(),
        "cookie_secret": server.cookie_secret.hex(),
        "hello": hello.hex(), "cookie": cookie.hex(), "connect": connect.hex(), "answer": answer.hex(),
    }
    if client.session is not None:
        row |= {"connection_id": client.session.connection_id, "client_to_server": client.session.send_key.hex(),
                "server_to_client": client.session.receive_key.hex(), "accepted": client.accepted,
                "confirm": client.session.seal(b"\0\2\7\0", 0).hex()}
    else:
        row |= {"rejected": client.rejected}
    return row, client, server


def handshakes() -> dict[str, Any]:
    other = protocol.handshake(protocol.HELLO, bytes(8), bytes(76), version=2)
    return {
        "generated": "python -m tests.reference.session_vectors",
        "static_private": STATIC.hex(), "static_public": keys.public_key(STATIC).hex(),
        "server_seed": SERVER_SEED.hex(), "client_seed": CLIENT_SEED.hex(), "now_us": NOW_US,
        "server": SERVER, "client": CLIENT, "server_schema_hash": SCHEMA, "server_classes": CLASSES,
        "exchanges": [exchange(SCHEMA)[0], exchange(8)[0], exchange(SCHEMA, 3)[0]],
        "other_version": {"hello": other.hex(),
                          "answer": protocol.handshake(protocol.VERSIONS, bytes(8), struct.pack("<BH", 1, 1)).hex()},
    }


CONTROL, LATEST, INPUT = protocol.CONTROL, protocol.LATEST, protocol.INPUT
LONG = bytes(i & 0xFF for i in range(1500))
SONG = b"la " * 50 + b"finale"
PACKED = protocol.uvarint(len(SONG)) + lz4.repeat(b"la ", 50, b"finale")
PLAIN_PACKED = protocol.uvarint(1100) + lz4.literals(LONG[:1100])          # valid, though no sender would

# name: frames, [(channel, kind, payload)] that are delivered, drops {reason: count} inside the packet, close reason
GOOD: dict[str, tuple[list[bytes], list[tuple[int, int, bytes]]]] = {
    "confirm": ([b"\7\0"], []),
    "ping": ([b"\7\1" + struct.pack("<Q", 123_456_789)], []),
    "pong": ([b"\7\2" + struct.pack("<QQ", 123, 456)], []),
    "unreliable": ([b"\0\x09hello"], [(0, 9, b"hello")]),
    "unreliable, empty": ([b"\0\x09"], [(0, 9, b"")]),
    "unreliable, the last of two parts": ([b"\x08\5\0\1\2" + LONG[960:1000]], []),
    "reliable": ([b"\1\0\0\0\0\0\x09first", b"\1\0\1\0\1\0\x0asecond"], [(1, 9, b"first"), (1, 10, b"second")]),
    "reliable, out of order": ([b"\1\0\1\0\1\0\x0asecond", b"\1\0\0\0\0\0\x09first"],
                               [(1, 9, b"first"), (1, 10, b"second")]),
    "reliable, two streams, the first unit is missing": ([b"\1\0\1\0\1\0\x0asecond", b"\1\7\2\0\0\0\x09first"],
                                                         [(1 + 7 * 16, 9, b"first")]),
    "reliable, the last part of two": ([b"\x09\0\1\0\0\0\1\0\2\0end"], []),
    "unordered, the first unit is missing": ([b"\2\2\0\x0athird", b"\2\1\0\x09second"],
                                             [(2, 10, b"third"), (2, 9, b"second")]),
    "latest": ([b"\3\x09old", b"\3\x09new"], [(3, 9, b"old"), (3, 9, b"new")]),
    "unreliable, compressed": ([b"\x10\x09" + PACKED], [(0, 9, SONG)]),
    "reliable, compressed": ([b"\x11\3\0\0\0\0\x09" + PACKED, b"\x12\1\0\x09" + PACKED],
                             [(0x31, 9, SONG), (2, 9, SONG)]),
    "reliable, compressed, in two parts": (
        [b"\x19\0\0\0\0\0\0\0\2\0\x09" + PLAIN_PACKED[:959], b"\x19\0\1\0\0\0\1\0\2\0" + PLAIN_PACKED[959:]],
        [(1, 9, LONG[:1100])]),
    "latest, compressed": ([b"\x13\x09" + PACKED], [(3, 9, SONG)]),
    "unreliable, compressed, the last of two parts": ([b"\x18\5\0\1\2" + PLAIN_PACKED[959:]], []),
    "several channels": ([b"\0\1a", b"\1\0\0\0\0\0\2b", b"\3\3c"], [(0, 1, b"a"), (1, 2, b"b"), (3, 3, b"c")]),
}
TO_SERVER: dict[str, tuple[list[bytes], list[tuple[int, int, bytes]]]] = {
    "inputs": ([b"\4\x06\3\0\3\1a\0\2bc"], [(4, 6, b"a"), (4, 6, b""), (4, 6, b"bc")]),
}
TO_CLIENT: dict[str, tuple[list[bytes], list[tuple[int, int, bytes]]]] = {
    "snapshot": ([b"\5" + LONG[:700]], [(5, 0, LONG[:700])]),
    "path challenge": ([b"\7\4" + struct.pack("<Q", 2**64 - 1)], []),
}
BAD: dict[str, tuple[list[bytes], dict[str, int], str | None]] = {
    "an unknown channel": ([b"\6x"], {"UNKNOWN_CHANNEL": 1}, None),
    "compressed, cut off": ([b"\x10\1x", b"\x10\1", b"\x10\1" + PACKED[:-1]], {"BAD_COMPRESSION": 3}, None),
    "compressed, more than declared": ([b"\x10\1\x9b\1" + PACKED[2:], b"\x13\1" + PACKED + b"x"],
                                       {"BAD_COMPRESSION": 2}, None),
    "compressed, less than declared": ([b"\x10\1\x9d\1" + PACKED[2:]], {"BAD_COMPRESSION": 1}, None),
    "compressed, nothing declared": ([b"\x10\1\0\0"], {"BAD_COMPRESSION": 1}, None),
    "compressed, more than the channel carries": ([b"\x10\1\x80\x78\0", b"\x13\1\xe5\7\0"],
                                                  {"BAD_COMPRESSION": 2}, None),
    "compressed, absurd": ([b"\x10\1" + b"\xff" * 9 + b"\1\0"], {"BAD_COMPRESSION": 1}, None),
    "compressed, parts that differ": ([b"\x18\5\0\1\2x", b"\x08\5\0\0\2" + LONG[:960]], {"BAD_FRAGMENT": 1}, None),
    "compressed inputs, snapshot, control": ([b"\x14\6\1\0\1\1a", b"\x15abc", b"\x17\0"], {"BAD_FRAME": 3}, None),
    "kinds out of range": ([b"\0\0x", b"\0\xc9x", b"\3\0"], {"UNKNOWN_MESSAGE": 3}, None),
    "a count of one": ([b"\x08\1\0\0\1x"], {"BAD_FRAGMENT": 1}, None),
    "an index not below the count": ([b"\x08\1\0\2\2x"], {"BAD_FRAGMENT": 1}, None),
    "a short part that is not the last": ([b"\x08\1\0\0\2x"], {"BAD_FRAGMENT": 1}, None),
    "an unknown control code": ([b"\7\x09"], {"BAD_FRAME": 1}, None),
    "the same unit twice": ([b"\1\0\1\0\1\0\x09x", b"\1\0\1\0\1\0\x09x"], {"DUPLICATE": 1}, None),
    "a stream that does not exist": ([b"\1\x09\0\0\0\0\x09x"], {}, "PROTOCOL_VIOLATION"),
    "a unit beyond the window": ([b"\1\0\0\1\0\0\x09x"], {}, "FLOW_VIOLATION"),
    "a unit below zero": ([b"\1\0\xff\xff\0\0\x09x"], {}, "FLOW_VIOLATION"),
    "a message that was there, under a new number": ([b"\1\0\0\0\0\0\0", b"\1\0\1\0\0\0\x09x"], {"UNKNOWN_MESSAGE": 1},
                                                     "PROTOCOL_VIOLATION"),
    "a short part that is not the last, reliable": ([b"\x09\0\0\0\0\0\0\0\2\0x"], {}, "PROTOCOL_VIOLATION"),
    "a compressed reliable message that does not open": ([b"\x11\0\0\0\0\0\x09x"], {}, "PROTOCOL_VIOLATION"),
    "a compressed reliable message, more than declared": ([b"\x12\0\0\1\x9b\1" + PACKED[2:]], {}, "PROTOCOL_VIOLATION"),
    "a compressed reliable message, more than the channel carries": ([b"\x12\0\0\1\x80\x80\x10" + PACKED[2:]], {},
                                                                     "PROTOCOL_VIOLATION"),
    "compressed and plain parts of one message": (
        [b"\x19\0\0\0\0\0\0\0\2\0\x09" + PLAIN_PACKED[:959], b"\x09\0\1\0\0\0\1\0\2\0" + PLAIN_PACKED[959:]],
        {}, "PROTOCOL_VIOLATION"),
    "a compressed message of the control stream": ([b"\x11\x08\0\0\0\0\x0a" + PACKED], {}, "PROTOCOL_VIOLATION"),
    "an unknown message of the control stream": ([b"\1\x08\0\0\0\0\xc8x"], {}, "PROTOCOL_VIOLATION"),
}
RAW: dict[str, tuple[bytes, int, str, str | None]] = {
    # body, sequence, what becomes of the datagram, close reason
    "padding only": (b"\0" + bytes(20), 1, "NONE", None),
    "a block that names nothing but has a field": (b"\4", 1, "BAD_ACK_BLOCK", None),
    "a block cut short": (b"\1\0", 1, "BAD_ACK_BLOCK", None),
    "a field that ends in zeros": (b"\5\0\0\0", 1, "BAD_ACK_BLOCK", None),
    "a field below zero": (b"\5\0\0\1", 1, "BAD_ACK_BLOCK", None),
    "a field length in the long form that is short": (b"\xfd\x3e\0\0" + bytes(61) + b"\1", 1, "BAD_ACK_BLOCK", None),
    "an ack of what was never sent": (ack.pack(99, 1, 0, set(), 99), 1, "NONE", "ACK_OF_UNSENT"),
    "a sequence too far ahead": (b"\0", 1_048_577, "SEQUENCE_JUMP", "SEQUENCE_JUMP"),
    "the last sequence there is": (b"\0", 2**64 - 1, "SEQUENCE_JUMP", "SEQUENCE_JUMP"),
    "the same sequence again": (b"\0", 0, "REPLAYED", None),
}


def sessions() -> dict[str, Any]:
    """Every packet is the second of its direction, after one that holds a CONFIRM (to the server) or a PING."""
    rows: list[dict[str, Any]] = []
    row, client, server = exchange(SCHEMA)
    assert client.session is not None and server.session is not None
    for to, sealer, own in (("server", client.session, TO_SERVER), ("client", server.session, TO_CLIENT)):
        for name, (contents, messages) in (GOOD | own).items():
            body = b"\0" + b"".join(map(protocol.frame, contents))
            rows.append({"name": name, "to": to, "body": body.hex(), "datagram": sealer.seal(body, 1).hex(),
                         "messages": [(channel, kind, payload.hex()) for channel, kind, payload in messages],
                         "reason": "NONE", "message_drops": {}, "close": None})
        for name, (contents, drops, close) in BAD.items():
            body = b"\0" + b"".join(map(protocol.frame, contents))
            rows.append({"name": name, "to": to, "body": body.hex(), "datagram": sealer.seal(body, 1).hex(),
                         "messages": [], "reason": "NONE", "message_drops": drops, "close": close})
        for name, (body, sequence, reason, close) in RAW.items():
            rows.append({"name": name, "to": to, "body": body.hex(), "datagram": sealer.seal(body, sequence).hex(),
                         "messages": [], "reason": reason, "message_drops": {}, "close": close})
    return {
        "generated": "python -m tests.reference.session_vectors", "exchange": row,
        "first_to_server": client.session.seal(b"\0\2\7\0", 0).hex(),
        "first_to_client": server.session.seal(b"\0\x0a\7\1" + bytes(8), 0).hex(),
        "packets": rows,
    }


def documents() -> dict[str, Any]:
    return {"handshake.json": handshakes(), "session.json": sessions()}


if __name__ == "__main__":
    for name, document in documents().items():
        (VECTORS / name).write_text(json.dumps(document, indent=1) + "\n")
        print(VECTORS / name, file=sys.stderr)

"""The decoder says of every datagram what docs/protocol.md says of it, and of a bad one why it would be dropped."""
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from shadowland._core.crypto import aead, keys
from shadowland.errors import UsageError
from shadowland.tools.decode import decode, from_hex, read_acks
from tests.reference import body as reference
from tests.reference.aead import seal
from tests.reference.crc32c import checksum

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "wire.json").read_text())
KEY = bytes(range(32))
EPHEMERAL = bytes(range(100, 132))
ECHO = int.from_bytes(EPHEMERAL[:8], "little")
SESSION = struct.Struct("<IBBQ").pack(7, 0, 3, 9)


def handshake(kind: int, body: bytes, *, version: int = 1, flags: int = 0, echo: int = ECHO) -> bytes:
    data = struct.pack("<IBBQH", 0, kind, flags, echo, version) + body
    return data + checksum(data).to_bytes(4, "little")


def sealed(body: bytes, header: bytes = SESSION, key: bytes = KEY) -> bytes:
    return header + seal(key, header[:4] + header[6:], header, body)


def problem(found: dict[str, Any]) -> Any:
    return found["problem"]["reason"] if found["problem"] else None


def test_hello() -> None:
    found = decode(handshake(1, EPHEMERAL + bytes(44)))
    assert (found["kind"], found["version"], found["ephemeral"]) == ("HELLO", 1, EPHEMERAL.hex())
    assert found["echo_matches"] and found["crc32c"]["matches"] and found["problem"] is None
    assert found["echo"] == EPHEMERAL[:8].hex()
    assert not decode(handshake(1, EPHEMERAL + bytes(44), echo=5))["echo_matches"]


def test_answers_of_the_server() -> None:
    found = decode(handshake(2, bytes(range(48)) + b"hinthint"))
    assert (found["kind"], found["cookie"], found["hint"]) == ("COOKIE", bytes(range(48)).hex(), b"hinthint".hex())
    found = decode(handshake(3, bytes([2]) + struct.pack("<HH", 1, 5), version=9))
    assert (found["kind"], found["versions"], found["problem"]) == ("VERSION", [1, 5], None)
    for kind, name in ((5, "ACCEPTED"), (6, "REJECTED")):
        found = decode(handshake(kind, EPHEMERAL + bytes(1180 - 32)))
        assert (found["kind"], found["ephemeral"], found["problem"]) == (name, EPHEMERAL.hex(), None)
        assert len(found["sealed_payload"]) == 2 * (1180 - 32)


def test_connect() -> None:
    found = decode(handshake(4, bytes(48) + EPHEMERAL + bytes(1200 - 20 - 80)))
    assert (found["kind"], found["cookie"], found["length"]) == ("CONNECT", bytes(48).hex(), 1200)
    assert found["echo_matches"] and found["problem"] is None


HELLO = handshake(1, EPHEMERAL + bytes(44))
BAD = {
    "a flipped bit": (HELLO[:20] + bytes([HELLO[20] ^ 1]) + HELLO[21:], "BAD_CRC"),
    "no room for a version": (HELLO[:19], "TRUNCATED"),
    "an unknown kind": (handshake(7, bytes(76)), "BAD_KIND"),
    "kind 0": (handshake(0, bytes(76)), "BAD_KIND"),
    "flags": (handshake(1, EPHEMERAL + bytes(44), flags=1), "BAD_FLAGS"),
    "another version": (handshake(1, EPHEMERAL + bytes(44), version=2), "BAD_VERSION"),
    "padding that is not zero": (handshake(1, EPHEMERAL + bytes(43) + b"\1"), "BAD_PADDING"),
    "a hello too long": (handshake(1, EPHEMERAL + bytes(45)), "BAD_PADDING"),
    "a hello too short": (handshake(1, EPHEMERAL + bytes(43)), "TRUNCATED"),
    "a cookie too short": (handshake(2, bytes(55)), "TRUNCATED"),
    "no versions": (handshake(3, bytes(3)), "BAD_PADDING"),
    "fewer versions than said": (handshake(3, bytes([3, 1, 0])), "BAD_PADDING"),
    "a connect below the least MTU": (handshake(4, bytes(1000)), "TRUNCATED"),
    "longer than any": (handshake(4, bytes(1481)), "OVERSIZED"),
    "a session without AEAD": (struct.pack("<IBBQ", 7, 0, 1, 9) + bytes(40), "BAD_FLAGS"),
    "a session with a channel": (struct.pack("<IBBQ", 7, 1, 3, 9) + bytes(40), "BAD_FLAGS"),
    "a session with an unknown flag": (struct.pack("<IBBQ", 7, 0, 11, 9) + bytes(40), "BAD_FLAGS"),
    "nothing but a tag": (SESSION + bytes(16), "TRUNCATED"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_datagram_has_its_reason(name: str) -> None:
    datagram, reason = BAD[name]
    assert problem(decode(datagram)) == reason


def test_every_cut_of_every_sort_is_read_without_an_error() -> None:
    answers = [handshake(2, bytes(56)), handshake(3, bytes([1, 1, 0])), handshake(4, bytes(1180))]
    for datagram in (HELLO, *answers, sealed(bytes(9))):
        for length in range(14, len(datagram), 7):
            found = decode(datagram[:length], KEY)
            assert found["problem"] is not None
            assert json.loads(json.dumps(found)) == found


def test_less_than_a_header_is_no_datagram() -> None:
    for length in range(14):
        with pytest.raises(UsageError, match=f"{length} bytes are no datagram"):
            decode(bytes(length))


FRAMES = bytes.fromhex("05050a02" "0300076800" "080100000102000968" "0c0900050003000000020061" "62" "05020001" "0968"
                       "0a0409ff000202abcd01ef" "0708341201036162" "0405aabbcc" "0a07010807060504030201"
                       "03070304" "0106")


def test_a_body_with_every_sort_of_frame() -> None:
    found = decode(sealed(FRAMES), KEY)
    assert found["opened"] and found["body"] == FRAMES.hex() and found["problem"] is None
    assert found["acks"] == {"newest_low_bits": 5, "bits": 8, "delay_us": 2560, "also_received_before_newest": [2]}
    plain = [
        {"channel": "unreliable", "kind": 7, "payload": "68"},
        {"channel": "reliable", "stream": 0, "number": 256, "message": 2, "kind": 9, "payload": "68"},
        {"channel": "reliable", "stream": 0, "number": 5, "message": 3, "index": 0, "count": 2, "part": "6162"},
        {"channel": "unordered", "number": 256, "kind": 9, "payload": "68"},
        {"channel": "input", "kind": 9, "newest": 255, "inputs": ["abcd", "ef"]},
        {"channel": "unreliable", "fragment_id": 0x1234, "index": 1, "count": 3, "part": "6162"},
        {"channel": "snapshot", "payload": "aabbcc"},
        {"channel": "control", "code": "ping", "time_us": 0x0102030405060708},
        {"channel": "control", "code": "close", "reason": "CONNECT_TIMEOUT"},
    ]
    assert found["frames"][:-1] == plain
    assert found["frames"][-1]["problem"]["reason"] == "UNKNOWN_CHANNEL"


def test_without_a_key_a_session_shows_its_header_only() -> None:
    found = decode(sealed(FRAMES))
    assert found["problem"] is None and "body" not in found and "opened" not in found
    assert (found["connection_id"], found["channel"], found["flags"], found["sequence"]) == (7, 0, 3, 9)


def test_a_wrong_key_opens_nothing() -> None:
    found = decode(sealed(FRAMES), bytes(32))
    assert problem(found) == "AUTH_FAILED" and found["opened"] is False and "body" not in found


def test_an_epochs_key_is_derived() -> None:
    split = bytes(range(50, 82))
    header = struct.pack("<IBBQ", 7, 0, 7, 2**64 - 1)
    datagram = sealed(b"\0", header, keys.derive(split, aead.CHACHA20_POLY1305, 3))
    found = decode(datagram, split, 3)
    assert (found["body"], found["acks"], found["frames"], found["key_phase"]) == ("00", None, [], 1)
    assert problem(decode(datagram, split, 2)) == problem(decode(datagram, split)) == "AUTH_FAILED"


@pytest.mark.skipif(aead.key_size(aead.AEGIS_128L) == 0, reason="this processor has no AES instructions")
def test_the_other_suite() -> None:
    box = aead.Aead(bytes(16), aead.AEGIS_128L)
    datagram = SESSION + box.seal(7, 9, SESSION, b"\0")
    assert decode(datagram, bytes(16), suite="aegis-128l")["body"] == "00"


def test_keys_that_cannot_be_are_named_but_never_quoted() -> None:
    for key, epoch, suite, text in (
        (bytes(31), None, "chacha20-poly1305", "has 32 bytes, not 31"), (KEY, None, "rot13", "rot13.*unknown"),
        (bytes(16), 0, "aegis-128l", "Split"), (KEY, -1, "chacha20-poly1305", "epoch -1"),
        (KEY, 2**32, "chacha20-poly1305", "epoch"),
    ):
        if suite != "aegis-128l" or aead.key_size(aead.AEGIS_128L):
            with pytest.raises(UsageError, match=text):
                decode(sealed(b"\0"), key, epoch, suite)
    with pytest.raises(UsageError) as caught:
        from_hex("5ecre7", "--key")
    assert "5ecre7" not in str(caught.value)


def test_hex_as_people_paste_it() -> None:
    for text in ("0xAbCd", "ab cd", "ab:cd", " abcd\n"):
        assert from_hex(text, "x") == b"\xab\xcd"


@pytest.mark.parametrize("vector", VECTORS["ack_blocks"], ids=lambda vector: vector["name"])
def test_ack_blocks_as_the_vectors_have_them(vector: dict[str, Any]) -> None:
    read, expected = read_acks(bytes.fromhex(vector["hex"])), vector["block"]
    assert (read is None) == (expected is None)
    if read is None:
        return
    said, length = read
    assert length == expected["length"] and (said is None) == (expected["width"] == 0)
    if said is not None:
        model = reference.read_acks(bytes.fromhex(vector["hex"]))
        assert model is not None
        bits = [i + 1 for i in range(8 * len(model[0].bitfield)) if model[0].bitfield[i // 8] >> i % 8 & 1]
        assert (said["newest_low_bits"], said["bits"]) == (expected["newest"], 8 * expected["width"])
        assert (said["delay_us"], said["also_received_before_newest"]) == (256 * expected["delay"], bits)


def captured() -> Any:
    folder = os.environ.get("SHADOWLAND_VECTORS", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SHADOWLAND_VECTORS names no folder")
    return json.loads((Path(folder) / "captured-datagrams.json").read_text())


def test_every_captured_datagram_opens() -> None:
    for vector in captured()["client_to_server_datagrams"]:
        found = decode(bytes.fromhex(vector["datagram"]), bytes.fromhex(vector["tx_key"]))
        assert found["opened"] and found["body"] == vector["plaintext"]
        assert found["crc32c"] == {"stored": vector["crc32c"], "matches": True}
    for vector in captured()["server_side_decrypts"]:
        datagram = bytes.fromhex(vector["aad"] + vector["ciphertext_and_tag"])
        found = decode(datagram, bytes.fromhex(vector["rx_key"]))
        assert found["opened"] and found["body"] == vector["plaintext"] and "crc32c" not in found


def test_a_trailing_checksum_is_no_authentication() -> None:
    """A datagram with a right CRC32C behind a wrong tag stays shut."""
    datagram = bytearray(sealed(b"\0"))
    datagram[-1] ^= 1
    trailed = bytes(datagram) + checksum(bytes(datagram)).to_bytes(4, "little")
    assert problem(decode(trailed, KEY)) == "AUTH_FAILED"

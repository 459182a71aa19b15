"""Writes tests/vectors/crypto.json: `python -m tests.reference.crypto_vectors > tests/vectors/crypto.json`.

Made by the references alone: cookies, one handshake from prologue to session keys, sealed packets, the generator. Each
value is hex. The compiled code is checked against the file, and so can be a client in another language.
"""
import json
import struct
from typing import Any

from tests.reference import aead, aegis, chain, cookie, drbg, keys, noise

STATIC, CLIENT, SERVER = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
SECRETS = [b"current secret of the server ....", b"previous secret of the server ..."]
IPV4 = bytes(10) + b"\xff\xff\xc0\x00\x02\x01"                         # 192.0.2.1
IPV6 = bytes.fromhex("20010db8000000000000000000000001")               # 2001:db8::1
NOW_S = 1_000_000


def cookies() -> list[dict[str, Any]]:
    current, previous = (secret[:32] for secret in SECRETS)
    e = keys.public_key(CLIENT)
    good = cookie.make(current, IPV4, 3565, e, NOW_S, b"\1\2\3\4\5\6\7\x08")
    rows = [
        ("192.0.2.1", IPV4, 3565, NOW_S, good),
        ("the last second", IPV4, 3565, NOW_S + 10, good),
        ("too old", IPV4, 3565, NOW_S + 11, good),
        ("from the future", IPV4, 3565, NOW_S - 1, good),
        ("another port", IPV4, 3566, NOW_S, good),
        ("another address", IPV6, 3565, NOW_S, good),
        ("a bit flipped", IPV4, 3565, NOW_S, good[:47] + bytes([good[47] ^ 0x80])),
        ("2001:db8::1, previous secret", IPV6, 65535, NOW_S,
         cookie.make(previous, IPV6, 65535, e, NOW_S - 9, bytes(8))),
        ("unknown secret", IPV4, 3565, NOW_S, cookie.make(bytes(32), IPV4, 3565, e, NOW_S, bytes(8))),
    ]
    return [{"name": name, "ip": ip.hex(), "port": port, "now_s": now_s, "cookie": given.hex(),
             "status": cookie.check([current, previous], ip, port, e, now_s, given)}
            for name, ip, port, now_s, given in rows]


def handshake() -> dict[str, Any]:
    """The prologue has the shape of a real one (protocol.md section 2.1): label, version, header, version, cookie."""
    e = keys.public_key(CLIENT)
    header = struct.pack("<IBB", 0, 4, 0) + e[:8]
    given = cookie.make(SECRETS[0][:32], IPV4, 3565, e, NOW_S, bytes(8))
    prologue = b"shadowland-net" + struct.pack("<H", 1) + header + struct.pack("<H", 1) + given
    client = noise.Initiator(prologue, keys.public_key(STATIC), CLIENT)
    server = noise.Responder(prologue, STATIC)
    payloads = [b"payload of CONNECT".ljust(64, b"\0"), b"payload of ACCEPTED".ljust(64, b"\0")]
    first = client.write(payloads[0])
    assert server.read(first) == payloads[0]
    second = server.write(SERVER, payloads[1])
    assert client.read(second) == payloads[1]
    up, down, handshake_hash, root = client.split()
    return {
        "static_private": STATIC.hex(), "static_public": keys.public_key(STATIC).hex(),
        "client_ephemeral_private": CLIENT.hex(), "server_ephemeral_private": SERVER.hex(),
        "prologue": prologue.hex(), "payload_1": payloads[0].hex(), "message_1": first.hex(),
        "payload_2": payloads[1].hex(), "message_2": second.hex(), "handshake_hash": handshake_hash.hex(),
        "root": root.hex(),
        "split_client_to_server": up.hex(), "split_server_to_client": down.hex(),
        "session_keys": [
            {"split": split.hex(), "suite": suite, "epoch": epoch, "key": keys.derive(split, suite, epoch).hex()}
            for split in (up, down) for suite in (1, 2) for epoch in (0, 1, 0x01020304)],
    }


def rekeys() -> dict[str, Any]:
    """Two rekeys after the handshake above: what both sides say and everything that is derived from it."""
    client = noise.Initiator(b"", keys.public_key(STATIC), CLIENT)
    server = noise.Responder(b"", STATIC)
    server.read(client.write(b""))
    client.read(server.write(SERVER, b""))
    k1, k2, h, root = client.split()
    secrets, rows = chain.Chain(root, h), []
    for number in (1, 2):
        ours, theirs = bytes([number]) * 32, bytes([number + 64]) * 32
        request, response = keys.public_key(ours), keys.public_key(theirs)
        shared = keys.x25519(ours, response)
        k1, k2 = secrets.advance(shared, request, response)
        rows.append({
            "epoch": number, "client_ephemeral_private": ours.hex(), "server_ephemeral_private": theirs.hex(),
            "request": request.hex(), "response": response.hex(), "shared": shared.hex(),
            "transcript": secrets.transcript.hex(), "root": secrets.root.hex(), "k1": k1.hex(), "k2": k2.hex(),
            "keys": [{"suite": suite, "client_to_server": keys.derive(k1, suite, number).hex(),
                      "server_to_client": keys.derive(k2, suite, number).hex()} for suite in (1, 2)]})
    return {"root": root.hex(), "handshake_hash": h.hex(), "epochs": rows}


def packets() -> list[dict[str, Any]]:
    rows = []
    for suite, size in ((1, 32), (2, 16)):
        key = keys.derive(STATIC, suite, 0)
        assert len(key) == size
        for connection_id, sequence, length in (
                (0x12345678, 0x0102030405060708, 0), (1, 0, 1), (0xFFFFFFFF, 2**64 - 1, 64)):
            header = struct.pack("<IBBQ", connection_id, 0, 3, sequence)
            nonce, text = aead.packet_nonce(connection_id, sequence), bytes(i & 255 for i in range(length))
            if suite == 1:
                sealed = aead.seal(key, nonce, header, text)
            else:
                sealed = aegis.seal(key, nonce + bytes(4), header, text)
            rows.append({"suite": suite, "key": key.hex(), "datagram": (header + sealed).hex(), "body": text.hex()})
    return rows


def document() -> dict[str, Any]:
    return {
        "generated": "python -m tests.reference.crypto_vectors > tests/vectors/crypto.json",
        "cookies": {"current": SECRETS[0][:32].hex(), "previous": SECRETS[1][:32].hex(),
                    "ephemeral": keys.public_key(CLIENT).hex(), "checks": cookies()},
        "handshake": handshake(),
        "rekeys": rekeys(),
        "packets": packets(),
        "generator": {"seed": STATIC.hex(), "first_600_bytes": drbg.Generator(STATIC).fill(600).hex()},
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))

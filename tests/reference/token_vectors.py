"""Writes tests/vectors/tokens.json: `python -m tests.reference.token_vectors > tests/vectors/tokens.json`.

Made by the reference alone: good tokens and one of every problem that CONNECT can show, at one moment. Bytes are hex.
"""
import json
from typing import Any

from tests.reference import tokens

SEED, OTHER = b"i" * 32, b"o" * 32
SERVER, ANOTHER = b"s" * 32, b"a" * 32
NOW_MS = 1_700_000_000_000


def rows() -> list[tuple[str, bytes]]:
    def made(player: int = 77, issued: int = NOW_MS, expires: int = NOW_MS + 60_000, nonce: int = 1,
             servers: tuple[bytes, ...] = (SERVER,), data: bytes = b"") -> bytes:
        return tokens.make(SEED, player, issued, expires, nonce, list(servers), data)

    good = made()
    return [
        ("good", good),
        ("the largest", made(2**64 - 1, NOW_MS, NOW_MS + 300_000, 2**64 - 1, (ANOTHER,) * 3 + (SERVER,), b"d" * 256)),
        ("the clocks differ by 30 s", made(issued=NOW_MS + 30_000)),
        ("cut", good[:-1]),
        ("version 2", b"\2" + good[1:]),
        ("another issuer", tokens.make(OTHER, 77, NOW_MS, NOW_MS + 60_000, 1, [SERVER])),
        ("another server", made(servers=(ANOTHER,))),
        ("300.001 s", made(expires=NOW_MS + 300_001)),
        ("from the future", made(issued=NOW_MS + 30_001)),
        ("expires now", made(issued=NOW_MS - 1, expires=NOW_MS)),
        ("before the start", made(issued=NOW_MS - 1001)),
        ("another player", good[:9] + b"\x4e" + good[10:]),
        ("signature", good[:-1] + bytes([good[-1] ^ 1])),
    ]


def document() -> dict[str, Any]:
    issuer = tokens.public_key(SEED)
    return {
        "generated": "python -m tests.reference.token_vectors", "issuer_private": SEED.hex(), "issuer": issuer.hex(),
        "server": SERVER.hex(), "now_ms": NOW_MS, "since_ms": NOW_MS - 1000,
        "tokens": [{"name": name, "token": token.hex(),
                    "problem": tokens.check(token, [issuer], SERVER, NOW_MS, NOW_MS - 1000)} for name, token in rows()],
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))

"""Connect tokens as protocol.md section 2.3 says it, signed and verified by another library."""
import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LABEL = b"shadowland-net token"
FINE, MISSING, MALFORMED, UNKNOWN_ISSUER, OTHER_SERVER, TOO_LONG_A_LIFE = 0, 1, 2, 3, 4, 5
FROM_THE_FUTURE, EXPIRED, BEFORE_START, SPENT, BAD_SIGNATURE = 6, 7, 8, 9, 10


def public_key(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:8]


def sign(seed: bytes, body: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(LABEL + body)


def signed(seed: bytes, body: bytes) -> bytes:
    """A body made into a token."""
    return body + sign(seed, body)


def body(public: bytes, player_id: int, issued_ms: int, expires_ms: int, nonce: int, servers: list[bytes],
         data: bytes = b"", version: int = 1) -> bytes:
    return (struct.pack("<B8sQQQQB", version, key_id(public), player_id, issued_ms, expires_ms, nonce, len(servers))
            + b"".join(servers) + struct.pack("<H", len(data)) + data)


def make(seed: bytes, player_id: int, issued_ms: int, expires_ms: int, nonce: int, servers: list[bytes],
         data: bytes = b"") -> bytes:
    return signed(seed, body(public_key(seed), player_id, issued_ms, expires_ms, nonce, servers, data))


@dataclass
class Token:
    key_id: bytes
    player_id: int
    issued_ms: int
    expires_ms: int
    nonce: int
    servers: list[bytes]
    data: bytes


def read(token: bytes) -> Token | None:
    """The fields; None if it is malformed."""
    fixed = struct.calcsize("<B8sQQQQB")
    if len(token) < fixed + 2 + 64 or len(token) > 492:
        return None
    version, issuer, player_id, issued_ms, expires_ms, nonce, count = struct.unpack_from("<B8sQQQQB", token)
    rest = token[fixed:-64]
    if version != 1 or not 1 <= count <= 4 or len(rest) < 32 * count + 2:
        return None
    servers = [rest[32 * i:32 * i + 32] for i in range(count)]
    (length,) = struct.unpack_from("<H", rest, 32 * count)
    data = rest[32 * count + 2:]
    if length > 256 or len(data) != length or expires_ms <= issued_ms:
        return None
    return Token(issuer, player_id, issued_ms, expires_ms, nonce, servers, data)


def check(token: bytes, issuers: list[bytes], server_key: bytes, now_ms: int, since_ms: int) -> int:
    read_token = read(token)
    if read_token is None:
        return MALFORMED
    known = [public for public in issuers if key_id(public) == read_token.key_id]
    if not known:
        return UNKNOWN_ISSUER
    if server_key not in read_token.servers:
        return OTHER_SERVER
    if read_token.expires_ms - read_token.issued_ms > 300_000:
        return TOO_LONG_A_LIFE
    if read_token.issued_ms > now_ms + 30_000:
        return FROM_THE_FUTURE
    if read_token.expires_ms <= now_ms:
        return EXPIRED
    if read_token.issued_ms < since_ms:
        return BEFORE_START
    try:
        Ed25519PublicKey.from_public_bytes(known[0]).verify(token[-64:], LABEL + token[:-64])
    except InvalidSignature:
        return BAD_SIGNATURE
    return FINE

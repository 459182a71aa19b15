"""X25519 (RFC 7748) on integers, HKDF (RFC 5869) on the standard library's HMAC, and the keys of a session."""
import hashlib
import hmac
import struct

P = 2**255 - 19
BASE = (9).to_bytes(32, "little")


def x25519(private: bytes, public: bytes) -> bytes:
    """RFC 7748 section 5, the Montgomery ladder as printed there. All zeros for a low-order point."""
    k = int.from_bytes(private, "little") & ~7 & (2**254 - 1) | 2**254
    u = int.from_bytes(public, "little") & (2**255 - 1)
    x2, z2, x3, z3 = 1, 0, u, 1
    for t in reversed(range(255)):
        swap = k >> t & 1
        if swap:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a, c * b
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        aa, bb = a * a % P, b * b % P
        e = aa - bb
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
        if swap:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public_key(private: bytes) -> bytes:
    return x25519(private, BASE)


def exchange(private: bytes, public: bytes) -> bytes | None:
    shared = x25519(private, public)
    return shared if any(shared) else None


def hmac256(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def extract(salt: bytes, material: bytes) -> bytes:
    return hmac256(salt, material)


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    out, block = b"", b""
    for counter in range(1, (length + 31) // 32 + 1):
        block = hmac256(prk, block + info + bytes([counter]))
        out += block
    return out[:length]


def derive(split: bytes, suite: int, epoch: int) -> bytes:
    """protocol.md section 4."""
    return expand(split, b"shadowland-net key" + struct.pack("<BI", suite, epoch), {1: 32, 2: 16}[suite])

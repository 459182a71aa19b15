"""Cookies as protocol.md section 3 says it."""
import hashlib
import hmac
import struct

OK, BAD_COOKIE, COOKIE_EXPIRED = 0, 8, 9


def make(secret: bytes, ip: bytes, port: int, ephemeral: bytes, now_s: int, random: bytes) -> bytes:
    stamp = struct.pack("<q", now_s) + random
    return stamp + hmac.new(secret, ip + struct.pack("<H", port) + ephemeral + stamp, hashlib.sha256).digest()


def check(secrets: list[bytes], ip: bytes, port: int, ephemeral: bytes, now_s: int, cookie: bytes) -> int:
    """`secrets` is the current one and, after a rotation, the previous one."""
    (stamp,) = struct.unpack("<q", cookie[:8])
    if stamp > now_s:
        return BAD_COOKIE
    if now_s - stamp > 10:
        return COOKIE_EXPIRED
    right = [make(secret, ip, port, ephemeral, stamp, cookie[8:16]) for secret in secrets]
    return OK if cookie in right else BAD_COOKIE

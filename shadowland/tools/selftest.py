"""What this installation is made of, and whether every primitive still gives the published answers here."""
import ctypes
import platform
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import numpy as np

import shadowland
from shadowland._core.base import build
from shadowland._core.compress import lz4
from shadowland._core.crypto import aead, cookie, drbg, keys, noise, sodium
from shadowland._core.session import replay
from shadowland._core.wire import bits, crc32c, header, message, quantize, varint
from shadowland.tools.decode import SUITES

hexed = bytes.fromhex

Check = tuple[str, Callable[[], bool]]


def libsodium_version() -> str:
    """The library's own word where it exports it, else that of PyNaCl, whose wheel carries it."""
    try:
        ask = ctypes.CDLL(sodium.LIBRARY).sodium_version_string
    except (OSError, AttributeError):
        return f"as in PyNaCl {metadata.version('pynacl')}"
    ask.restype = ctypes.c_char_p
    return str(ask().decode())


def versions() -> dict[str, str]:
    return {
        "shadowland": shadowland.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cython": f"{build.CYTHON}{' (debug build)' if build.DEBUG else ''}",
        "compiler": build.COMPILER,
        "libsodium": libsodium_version(),
        "lz4": lz4.version(),
    }


def processor() -> dict[str, Any]:
    """Which arm of each primitive this processor takes."""
    return {
        "machine": f"{sys.platform} {platform.machine()}",
        "crc32c": crc32c.ARM,
        "crc32c_arms": list(crc32c.ARMS),
        "aes": sodium.has_aes(),
        "aead": [name for name, suite in SUITES.items() if aead.key_size(suite)],
    }


def wire_checks() -> Iterator[Check]:
    for arm in crc32c.ARMS:
        yield f"crc32c {arm}", lambda arm=arm: crc32c.checksum(b"123456789", arm) == 0xE3069283      # type: ignore[misc]
    packed = hexed("7856341201030807060504030201")
    yield "header", lambda: (header.pack(0x12345678, 1, 3, 0x0102030405060708) == packed
                             and header.parse(packed) == (0x12345678, 1, 3, 0x0102030405060708))
    yield "varint", lambda: (varint.encode(-2**31) == hexed("ffffffff0f") and varint.decode(hexed("d804")) == (300, 2)
                             and varint.decode(hexed("8000")) is None)
    yield "bits", bits_answer
    yield "quantize", quantize_answer
    yield "frames", lambda: [(f.status, f.kind, f.payload) for f in message.frames(hexed("0300076800020700"))] == [
        (0, 7, b"h"), (0, 0, b"")]


def bits_answer() -> bool:
    buffer = bits.BitBuffer(bytearray(1))
    for bit in (1, 0, 1, 1):
        buffer.write(bit, 1)
    return buffer.written == hexed("0d")


def quantize_answer() -> bool:
    quanta = np.zeros(4, dtype=np.int32)
    counts = quantize.quantize_array(np.array([0.5, -0.6, 99.0, np.nan]), 1.0, -8, 7, quanta)
    return counts == (1, 1) and quanta.tolist() == [1, -1, 7, 0]


def crypto_checks() -> Iterator[Check]:
    yield "sha256 (FIPS 180-4)", lambda: keys.hash256(b"abc") == hexed(
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    yield "hmac-sha256 (RFC 4231)", lambda: keys.hmac256(b"Jefe", b"what do ya want for nothing?") == hexed(
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    yield "hkdf-sha256 (RFC 5869)", lambda: keys.expand(
        keys.extract(bytes(range(13)), b"\x0b" * 22), bytes(range(0xF0, 0xFA)), 42) == hexed(
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    yield "x25519 (RFC 7748)", lambda: keys.exchange(
        hexed("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        hexed("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")) == hexed(
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    yield "x25519 refuses low-order points", lambda: keys.exchange(bytes(range(32)), bytes(32)) is None
    yield "chacha20-poly1305 (RFC 8439)", chacha_answer
    if aead.key_size(aead.AEGIS_128L):
        yield "aegis-128l", lambda: aead.Aead(hexed("1001" + "00" * 14), aead.AEGIS_128L).seal(
            0x00020010, 0, b"", bytes(16)) == hexed(
            "c1c0e58bd913006feba00f4b3cc3594e25835bfbb21632176cf03840687cb968cace4617af1bd0f7d064c639a5c79ee4")
    yield "noise nk", noise_answer
    yield "cookie", cookie_answer
    # ChaCha20's first block under zeros (RFC 8439 A.1): its first half is the next key, the second what comes out.
    yield "generator", lambda: drbg.Generator(bytes(32)).fill(16) == hexed("da41597c5157488d7724e03fb8d84a37")
    yield "replay window", replay_answer
    yield "lz4", lambda: lz4.unpack(lz4.pack(bytes(1000)) or b"", 1000) == bytes(1000)


def chacha_answer() -> bool:
    """RFC 8439, 2.8.2; its nonce read as connection id and sequence."""
    box = aead.Aead(bytes(range(0x80, 0xA0)))
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
            b"sunscreen would be it.")
    ad, sequence = hexed("50515253c0c1c2c3c4c5c6c7"), int.from_bytes(hexed("4041424344454647"), "little")
    sealed = box.seal(7, sequence, ad, text)
    spoilt = sealed[:-1] + bytes([sealed[-1] ^ 1])
    return (sealed[-16:] == hexed("1ae10b594f09e26a7e902ecbd0600691") and box.open(7, sequence, ad, sealed) == text
            and box.open(7, sequence, ad, spoilt) is None)


def noise_answer() -> bool:
    static, first, second = (bytes([number]) * 32 for number in (1, 2, 3))
    client = noise.Initiator(b"self-test", keys.public_key(static), first)
    server = noise.Responder(b"self-test", static)
    message_1 = client.write(b"hello")
    if message_1 is None or server.read(message_1) != b"hello":
        return False
    message_2 = server.write(second, b"welcome")
    return message_2 is not None and client.read(message_2) == b"welcome" and client.split() == server.split()


def cookie_answer() -> bool:
    secrets = cookie.Secrets(bytes(range(32)))
    made = secrets.make(bytes(16), 3565, bytes(32), 100, bytes(8))
    return (secrets.check(bytes(16), 3565, bytes(32), 105, made) == 0
            and secrets.check(bytes(16), 3566, bytes(32), 105, made) != 0
            and secrets.check(bytes(16), 3565, bytes(32), 100 + cookie.LIFE_S + 1, made) != 0)


def replay_answer() -> bool:
    window = replay.Window()
    return window.commit(7) and not window.commit(7) and window.commit(5) and window.seen(5)


def run() -> dict[str, str]:
    """Every primitive's name, and "ok" or what went wrong. An exception fails its own check only."""
    results = {}
    for name, check in (*wire_checks(), *crypto_checks()):
        try:
            results[name] = "ok" if check() else "wrong answer"
        except Exception as error:                  # whatever is broken here, the others shall still be tried
            results[name] = f"{type(error).__name__}: {error}"
    return results

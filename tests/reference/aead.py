"""ChaCha20-Poly1305 as RFC 8439 says it, on integers. Slow, obvious, and not in constant time."""
import struct


def rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF


def quarter_round(state: list[int], a: int, b: int, c: int, d: int) -> None:
    """Section 2.1."""
    for into, other, mixed, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[into] = (state[into] + state[other]) & 0xFFFFFFFF
        state[mixed] = rotate(state[mixed] ^ state[into], bits)


def chacha20_block(key: bytes, counter: int, nonce: bytes) -> bytes:
    """Section 2.3: 64 bytes of keystream."""
    constant = struct.unpack("<4I", b"expand 32-byte k")
    start = [*constant, *struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce)]
    state = list(start)
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter_round(state, a, b, c, d)
    return struct.pack("<16I", *((one + other) & 0xFFFFFFFF for one, other in zip(state, start, strict=True)))


def keystream(key: bytes, counter: int, nonce: bytes, length: int) -> bytes:
    """Section 2.4, of zeros."""
    blocks = (chacha20_block(key, counter + i, nonce) for i in range((length + 63) // 64))
    return b"".join(blocks)[:length]


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def poly1305(key: bytes, data: bytes) -> bytes:
    """Section 2.5."""
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at:at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def tag(key: bytes, nonce: bytes, ad: bytes, ciphertext: bytes) -> bytes:
    """Section 2.8."""
    lengths = struct.pack("<QQ", len(ad), len(ciphertext))
    return poly1305(chacha20_block(key, 0, nonce)[:32], padded(ad) + padded(ciphertext) + lengths)


def seal(key: bytes, nonce: bytes, ad: bytes, plaintext: bytes) -> bytes:
    ciphertext = xor(plaintext, keystream(key, 1, nonce, len(plaintext)))
    return ciphertext + tag(key, nonce, ad, ciphertext)


def open_sealed(key: bytes, nonce: bytes, ad: bytes, sealed: bytes) -> bytes | None:
    if len(sealed) < 16 or tag(key, nonce, ad, sealed[:-16]) != sealed[-16:]:
        return None
    return xor(sealed[:-16], keystream(key, 1, nonce, len(sealed) - 16))


def packet_nonce(connection_id: int, sequence: int) -> bytes:
    """The nonce of a session datagram (protocol.md section 4)."""
    return struct.pack("<IQ", connection_id, sequence)

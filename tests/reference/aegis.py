"""AEGIS-128L as draft-irtf-cfrg-aegis-aead says it, with the AES round of FIPS 197 on bytes. Slow and obvious."""
from tests.reference.aead import xor


def times(a: int, b: int) -> int:
    """Product in GF(2**8) with AES's polynomial."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def substitute(value: int) -> int:
    """FIPS 197 section 5.1.1: the inverse (value**254), then the affine map."""
    inverse = 1
    for _ in range(254):
        inverse = times(inverse, value)
    turned = inverse
    for _ in range(4):
        inverse = (inverse << 1 | inverse >> 7) & 0xFF
        turned ^= inverse
    return turned ^ 0x63


SBOX = [substitute(value) for value in range(256)]


def aes_round(block: bytes, key: bytes) -> bytes:
    """SubBytes, ShiftRows, MixColumns, AddRoundKey."""
    out = bytearray()
    for column in range(4):
        a = [SBOX[block[(4 * column + 5 * row) % 16]] for row in range(4)]
        out += bytes(times(a[i], 2) ^ times(a[(i + 1) % 4], 3) ^ a[(i + 2) % 4] ^ a[(i + 3) % 4] for i in range(4))
    return xor(bytes(out), key)


def bitand(one: bytes, other: bytes) -> bytes:
    return bytes(a & b for a, b in zip(one, other, strict=True))


def update(s: list[bytes], first: bytes, second: bytes) -> list[bytes]:
    mixed = [aes_round(s[i - 1], s[i]) for i in range(8)]
    return [xor(mixed[0], first), *mixed[1:4], xor(mixed[4], second), *mixed[5:]]


C0 = bytes.fromhex("000101020305080d1522375990e97962")
C1 = bytes.fromhex("db3d18556dc22ff12011314273b528dd")


def blocks(data: bytes) -> list[bytes]:
    whole = data + bytes(-len(data) % 32)
    return [whole[at:at + 32] for at in range(0, len(whole), 32)]


def begin(key: bytes, nonce: bytes, ad: bytes) -> list[bytes]:
    """The state when key, nonce and associated data are in it."""
    s = [xor(key, nonce), C1, C0, C1, xor(key, nonce), xor(key, C0), xor(key, C1), xor(key, C0)]
    for _ in range(10):
        s = update(s, nonce, key)
    for block in blocks(ad):
        s = update(s, block[:16], block[16:])
    return s


def keystream(s: list[bytes]) -> bytes:
    """32 bytes for the next block."""
    return xor(xor(s[6], s[1]), bitand(s[2], s[3])) + xor(xor(s[2], s[5]), bitand(s[6], s[7]))


def tag(s: list[bytes], ad_length: int, length: int) -> bytes:
    """The 256-bit tag."""
    mixed = xor(s[2], (8 * ad_length).to_bytes(8, "little") + (8 * length).to_bytes(8, "little"))
    for _ in range(7):
        s = update(s, mixed, mixed)
    return xor(xor(s[0], s[1]), xor(s[2], s[3])) + xor(xor(s[4], s[5]), xor(s[6], s[7]))


def seal(key: bytes, nonce: bytes, ad: bytes, plaintext: bytes) -> bytes:
    """Ciphertext and the 32-byte tag."""
    s, ciphertext = begin(key, nonce, ad), b""
    for block in blocks(plaintext):
        ciphertext += xor(block, keystream(s))
        s = update(s, block[:16], block[16:])
    return ciphertext[:len(plaintext)] + tag(s, len(ad), len(plaintext))


def open_sealed(key: bytes, nonce: bytes, ad: bytes, sealed: bytes) -> bytes | None:
    """Plaintext of ciphertext and tag, None if the tag is wrong."""
    if len(sealed) < 32:
        return None
    s, plaintext, length = begin(key, nonce, ad), b"", len(sealed) - 32
    for block in blocks(sealed[:length]):
        plaintext = (plaintext + xor(block, keystream(s)))[:length]
        last = (plaintext[-(len(plaintext) % 32 or 32):] + bytes(32))[:32] # zeros, not keystream, go in
        s = update(s, last[:16], last[16:])
    return plaintext if tag(s, len(ad), length) == sealed[length:] else None

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


def seal(key: bytes, nonce: bytes, ad: bytes, plaintext: bytes) -> bytes:
    """Ciphertext and the 32-byte tag."""
    s = [xor(key, nonce), C1, C0, C1, xor(key, nonce), xor(key, C0), xor(key, C1), xor(key, C0)]
    for _ in range(10):
        s = update(s, nonce, key)
    for block in blocks(ad):
        s = update(s, block[:16], block[16:])
    ciphertext = b""
    for block in blocks(plaintext):
        first = xor(xor(s[6], s[1]), bitand(s[2], s[3]))
        second = xor(xor(s[2], s[5]), bitand(s[6], s[7]))
        ciphertext += xor(block, first + second)
        s = update(s, block[:16], block[16:])
    lengths = (8 * len(ad)).to_bytes(8, "little") + (8 * len(plaintext)).to_bytes(8, "little")
    mixed = xor(s[2], lengths)
    for _ in range(7):
        s = update(s, mixed, mixed)
    first = xor(xor(s[0], s[1]), xor(s[2], s[3]))
    second = xor(xor(s[4], s[5]), xor(s[6], s[7]))
    return ciphertext[:len(plaintext)] + first + second

"""Bech32m (BIP-350): bytes as text of small letters and digits, with a checksum that finds typos.

Any four wrong characters in a text of up to 90 are found, any three in one of up to 1,023; of more, nearly all.
"""

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"                                      # BIP-173
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
BECH32M = 0x2BC830A3                                                               # BIP-350


def _polymod(values: list[int]) -> int:
    """Checksum of BIP-173."""
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, term in enumerate(GENERATOR):
            if top >> i & 1:
                check ^= term
    return check


def _expand(prefix: str) -> list[int]:
    return [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix)]


def encode(prefix: str, data: bytes) -> str:
    """Text of `data`: groups of 5 bits, highest first, the last one filled with zeros."""
    fill = -8 * len(data) % 5
    bits = int.from_bytes(data, "big") << fill
    count = (8 * len(data) + fill) // 5
    values = [bits >> 5 * i & 31 for i in reversed(range(count))]
    check = _polymod([*_expand(prefix), *values, *[0] * 6]) ^ BECH32M
    values += [check >> 5 * i & 31 for i in reversed(range(6))]
    return prefix + "1" + "".join(ALPHABET[value] for value in values)


def groups(prefix: str, text: str) -> list[int]:
    """The groups of 5 bits behind `prefix`, checksum verified and cut off; ValueError says what is wrong."""
    if text != text.lower() and text != text.upper():
        raise ValueError("capitals and small letters are mixed")
    text = text.lower()
    if not text.startswith(prefix + "1"):
        raise ValueError(f"it does not begin with {prefix}1")
    symbols = text[len(prefix) + 1:]
    for at, symbol in enumerate(symbols, start=len(prefix) + 2):
        if symbol not in ALPHABET:
            raise ValueError(f"character {at} ({symbol!r}) never occurs in it")
    values = [ALPHABET.index(symbol) for symbol in symbols]
    if len(values) < 6 or _polymod([*_expand(prefix), *values]) != BECH32M:
        raise ValueError("its checksum does not match, so it has a typo or a part is missing")
    return values[:-6]


def decode(prefix: str, text: str) -> bytes:
    """The bytes behind `prefix`; ValueError says what is wrong."""
    values = groups(prefix, text)
    bits, size = 0, 5 * len(values) // 8
    for value in values:
        bits = bits << 5 | value
    fill = 5 * len(values) - 8 * size
    if fill >= 5 or bits & ((1 << fill) - 1):
        raise ValueError("it has not the length of whole bytes")
    return (bits >> fill).to_bytes(size, "big")

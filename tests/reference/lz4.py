"""LZ4 blocks as their description has them (lz4_Block_format.md), the reading half, one byte after the other."""


class Malformed(Exception):
    """The block ends too early, reaches before its beginning, or grows too long."""


def _length(block: bytes, at: int, first: int) -> tuple[int, int]:
    """A length of which `first` stood in the token: 15 says that bytes follow, the last one below 255."""
    total = first
    if first == 15:
        while True:
            if at >= len(block):
                raise Malformed
            total += block[at]
            at += 1
            if block[at - 1] != 255:
                break
    return total, at


def decompress(block: bytes, limit: int) -> bytes:
    """What a block stands for; Malformed if it stands for nothing or for more than `limit` bytes."""
    out, at = bytearray(), 0
    while True:
        if at >= len(block):
            raise Malformed
        token = block[at]
        literals, at = _length(block, at + 1, token >> 4)
        if literals > len(block) - at or len(out) + literals > limit:
            raise Malformed
        out += block[at:at + literals]
        at += literals
        if at == len(block):                        # the last sequence has no match
            return bytes(out)
        if at + 2 > len(block):
            raise Malformed
        offset = block[at] | block[at + 1] << 8
        match, at = _length(block, at + 2, token & 15)
        if offset == 0 or offset > len(out) or len(out) + match + 4 > limit:
            raise Malformed
        for _ in range(match + 4):
            out.append(out[-offset])


def literals(data: bytes) -> bytes:
    """The simplest block for `data`, which is no shorter: one run of literals."""
    length = len(data)
    if length < 15:
        return bytes([length << 4]) + data
    return b"\xf0" + b"\xff" * ((length - 15) // 255) + bytes([(length - 15) % 255]) + data


def repeat(unit: bytes, times: int, tail: bytes) -> bytes:
    """A block for `unit` again and again and then `tail`, at least five bytes that stand as they are."""
    assert 0 < len(unit) < 15 and len(tail) >= 5 and 19 <= len(unit) * (times - 1) < 19 + 255
    match = len(unit) * (times - 1) - 19
    return bytes([len(unit) << 4 | 15]) + unit + len(unit).to_bytes(2, "little") + bytes([match]) + literals(tail)


def unpack(packed: bytes, limit: int) -> bytes | None:
    """What `declared size uvarint ‖ block` stands for (docs/protocol.md 5.7), None if it is none."""
    declared, at = 0, 0
    while True:
        if at >= len(packed) or at == 10:
            return None
        declared |= (packed[at] & 0x7F) << 7 * at
        at += 1
        if packed[at - 1] < 0x80:
            break
    if (at > 1 and packed[at - 1] == 0) or not 1 <= declared <= limit:
        return None
    try:
        found = decompress(packed[at:], declared)
    except Malformed:
        return None
    return found if len(found) == declared else None

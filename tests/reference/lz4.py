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


def unpack(packed: bytes, limit: int) -> bytes | None:
    """What `declared size uvarint ‖ block` stands for (docs/protocol.md 5.4), None if it is none."""
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

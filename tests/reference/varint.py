"""Variable-length integers as the protocol says it, over Python's unlimited integers."""


def encode_unsigned(value: int) -> bytes:
    groups = []
    while True:
        value, group = divmod(value, 128)
        groups.append(group)
        if value == 0:
            break
    return bytes([group + 128 for group in groups[:-1]] + [groups[-1]])


def decode_unsigned(data: bytes) -> tuple[int, int] | None:
    """Read the groups, and accept them only if writing the number again gives the same bytes."""
    for size in range(1, len(data) + 1):
        if data[size - 1] < 128:
            value = sum((byte % 128) * 128**i for i, byte in enumerate(data[:size]))
            return (value, size) if value < 2**64 and encode_unsigned(value) == data[:size] else None
    return None


def zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(value: int) -> int:
    return value // 2 if value % 2 == 0 else -(value + 1) // 2


def encode(value: int) -> bytes:
    return encode_unsigned(zigzag(value))


def decode(data: bytes) -> tuple[int, int] | None:
    found = decode_unsigned(data)
    return None if found is None else (unzigzag(found[0]), found[1])


def decode_array(data: bytes, count: int) -> tuple[list[int], int]:
    values: list[int] = []
    position = 0
    while len(values) < count:
        found = decode(data[position:])
        if found is None:
            break
        values.append(found[0])
        position += found[1]
    return values, position

"""Messages as docs/schema.md says: one big number of bits, then texts. Slow and obvious.

A component is (kind, low, high, bits, lanes, unit_squared, members), as the compiled codec takes it.
"""
import math
import struct

Component = tuple[int, int, int, int, int, int, int]
RANGE, FLOAT32, ENUM, FLAGS = range(4)


class Codec:
    def __init__(self, components: list[Component], text_limits: list[int]) -> None:
        self.components = components
        self.text_limits = text_limits
        self.fixed_bytes = math.ceil(sum(component[3] for component in components) / 8)

    def valid(self, numbers: list[int]) -> bool:
        for index, (kind, low, high, _, lanes, unit_squared, members) in enumerate(self.components):
            number = numbers[index]
            if kind == FLOAT32:
                if not math.isfinite(struct.unpack("<f", struct.pack("<i", number))[0]):
                    return False
                continue
            if number not in range(low, high + 1):
                return False
            if kind == ENUM and number not in [low + bit for bit in range(64) if members & 2**bit]:
                return False
            if kind == FLAGS and number | members != members:
                return False
            if unit_squared and sum(lane**2 for lane in numbers[index:index + lanes]) > unit_squared:
                return False
        return True

    def encode(self, numbers: list[int], texts: list[bytes]) -> bytes | None:
        if not self.valid(numbers):
            return None
        bits = ""                                           # the first bit on the wire is the last character
        for number, (_, low, _, width, *_rest) in zip(numbers, self.components, strict=True):
            bits = format((number - low) % 2**width, f"0{width}b") + bits
        payload = int(bits or "0", 2).to_bytes(self.fixed_bytes, "little")
        for text, limit in zip(texts, self.text_limits, strict=True):
            try:
                if len(text.decode()) > limit:
                    return None
            except UnicodeDecodeError:
                return None
            payload += leb128(len(text)) + text
        return payload

    def decode(self, payload: bytes) -> tuple[list[int], list[str]] | None:
        """Only what the encoder makes of some numbers and texts is a message."""
        if len(payload) < self.fixed_bytes:
            return None
        bits = int.from_bytes(payload[:self.fixed_bytes], "little")
        numbers = []
        for kind, low, _, width, *_rest in self.components:
            number = bits % 2**width + low
            numbers.append(number - 2**32 if kind == FLOAT32 and number >= 2**31 else number)
            bits //= 2**width
        texts, rest = [], payload[self.fixed_bytes:]
        for _ in self.text_limits:
            size = next((size for size in range(len(rest)) if rest.startswith(leb128(size))), None)
            if size is None:
                return None
            start = len(leb128(size))
            texts.append(rest[start:start + size])
            rest = rest[start + size:]
        if self.encode(numbers, texts) != payload:
            return None
        return numbers, [text.decode() for text in texts]


def leb128(number: int) -> bytes:
    groups = [number % 128]
    while number >= 128:
        number //= 128
        groups.append(number % 128)
    return bytes(group + 128 for group in groups[:-1]) + bytes(groups[-1:])

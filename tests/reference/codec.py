"""Messages as docs/schema.md says: one big number of bits, then texts. Slow and obvious.

A component is (kind, low, high, bits, lanes, unit_squared, members), as the compiled codec takes it.
"""
import math
import struct
from typing import Any

Component = tuple[int, int, int, int, int, int, int]
RANGE, FLOAT32, ENUM, FLAGS = range(4)


class Codec:
    def __init__(self, components: list[Component], text_limits: list[int],
                 lists: list[tuple[Component, int, int]] | None = None) -> None:
        self.components = components
        self.lists = lists or []                            # (component of each lane, most elements, characters or 0)
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

    def encode(self, numbers: list[int], texts: list[bytes], lists: list[Any] | None = None) -> bytes | None:
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
        for (component, most, limit), elements in zip(self.lists, lists or [], strict=True):
            lanes = 1 if limit else component[4]
            count = len(elements) // lanes
            if count > most or len(elements) % lanes:
                return None
            # A list is a message of its own: so many elements, or so many texts.
            inner = Codec([], [limit] * count) if limit else Codec(elements_of(component) * count, [])
            rest = inner.encode([], elements) if limit else inner.encode(elements, [])
            if rest is None:
                return None
            payload += leb128(count) + rest
        return payload

    def decode(self, payload: bytes) -> tuple[list[int], list[Any]] | None:
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
        lists: list[Any] = []
        for component, most, limit in self.lists:
            count = next((count for count in range(most + 1) if rest.startswith(leb128(count))), None)
            if count is None:
                return None
            rest = rest[len(leb128(count)):]
            if limit:
                found = []
                for _ in range(count):
                    size = next((size for size in range(len(rest)) if rest.startswith(leb128(size))), None)
                    if size is None:
                        return None
                    found.append(rest[len(leb128(size)):][:size])
                    rest = rest[len(leb128(size)) + size:]
                lists.append(found)
            else:
                inner = Codec(elements_of(component) * count, [])
                part = inner.decode(rest[:inner.fixed_bytes])
                if part is None:
                    return None
                lists.append(part[0])
                rest = rest[inner.fixed_bytes:]
        if self.encode(numbers, texts, lists) != payload:
            return None
        parts = [[text.decode() for text in part] if limit else part
                 for part, (_, _, limit) in zip(lists, self.lists, strict=True)]
        return numbers, [*(text.decode() for text in texts), *parts]


def elements_of(component: Component) -> list[Component]:
    """The components of one element of a list."""
    kind, low, high, bits, lanes, squared, members = component
    return [(kind, low, high, bits, 1 if lane else lanes, 0 if lane else squared, members) for lane in range(lanes)]


def leb128(number: int) -> bytes:
    groups = [number % 128]
    while number >= 128:
        number //= 128
        groups.append(number % 128)
    return bytes(group + 128 for group in groups[:-1]) + bytes(groups[-1:])

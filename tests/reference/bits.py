"""The bit cursors over a list of zeros and ones."""
from tests.reference.varint import unzigzag, zigzag


class Reader:
    def __init__(self, data: bytes) -> None:
        self.bits = [byte >> i & 1 for byte in data for i in range(8)]
        self.position = 0
        self.failed = False

    def read(self, count: int) -> int:
        if self.failed or count > 57 or self.position + count > len(self.bits):
            self.failed = True
            return 0
        taken = self.bits[self.position:self.position + count]
        self.position += count
        return sum(bit << i for i, bit in enumerate(taken))

    def read_class(self, small: int, medium: int) -> int:
        """A class says how wide the payload is; only the smallest class that fits is accepted."""
        widths = [0, small, medium, 32]
        kind = self.read(2)
        value = self.read(widths[kind])
        if kind > 0 and value < 2 ** widths[kind - 1]:
            self.failed = True
        return 0 if self.failed else unzigzag(value)

    def read_padding(self) -> bool:
        if self.read(-self.position % 8) != 0:
            self.failed = True
        return not self.failed


class Writer:
    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.bits: list[int] = []
        self.failed = False

    def write(self, value: int, count: int) -> None:
        self.failed = self.failed or count > 57 or len(self.bits) + count > 8 * self.capacity
        if not self.failed:
            self.bits += [value >> i & 1 for i in range(count)]

    def write_class(self, value: int, small: int, medium: int) -> None:
        widths = [0, small, medium, 32]
        coded = zigzag(value)
        kind = next(kind for kind, width in enumerate(widths) if coded < 2**width)
        self.write(coded << 2 | kind, 2 + widths[kind])

    def write_padding(self) -> None:
        self.write(0, -len(self.bits) % 8)

    @property
    def written(self) -> bytes:
        padded = self.bits + [0] * (-len(self.bits) % 8)
        return bytes(sum(padded[at + i] << i for i in range(8)) for at in range(0, len(padded), 8))

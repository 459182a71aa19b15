"""Fast key erasure as Bernstein describes it: each key makes 512 bytes, of which the first 32 are the next key."""
from tests.reference.aead import keystream


class Generator:
    def __init__(self, seed: bytes) -> None:
        self.key = seed
        self.ready = b""

    def fill(self, length: int) -> bytes:
        while len(self.ready) < length:
            block = keystream(self.key, 0, bytes(12), 512)
            self.key, self.ready = block[:32], self.ready + block[32:]
        out, self.ready = self.ready[:length], self.ready[length:]
        return out

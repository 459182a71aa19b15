from typing import Final

ARMS: Final[tuple[str, ...]]
ARM: Final[str]

def checksum(data: bytes | bytearray | memoryview, arm: str | None = None) -> int: ...

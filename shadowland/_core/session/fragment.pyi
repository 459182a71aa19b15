from typing import Self, final

SETS: int
SETS_PER_SESSION: int
PARTS: int
SIZE: int
LIFE_US: int
STORED: int
DUPLICATE: int
BAD: int
NO_ROOM: int

@final
class Assembly:
    def __new__(cls, blocks: int = 4096) -> Self: ...
    def add(
        self, connection: int, id: int, index: int, count: int, data: bytes, now_us: int, head: int = 0
    ) -> bytes | int: ...
    def sweep(self, now_us: int) -> None: ...
    def forget(self, connection: int) -> None: ...
    @property
    def counters(self) -> tuple[int, int, int, int]: ...

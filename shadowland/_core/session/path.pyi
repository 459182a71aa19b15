from typing import Final, final

_Path = tuple[tuple[str, int], tuple[str, int]]

GAP_US: Final[int]
TRIES: Final[int]
PENDING: Final[int]
LATE: Final[int]
BUSY: Final[int]
NEW: Final[int]
STRANGE: Final[int]
WAITING: Final[int]
KEPT: Final[int]
MOVED: Final[int]
OLD_PATH: Final[int]
PENDING_PATH: Final[int]
OTHER_PATH: Final[int]

@final
class Pending:
    def arrived(self, path: _Path, sequence: int, newest: bool, length: int, now_us: int) -> int: ...
    def begin(self, path: _Path, sequence: int, length: int, token: int, token_old: int, now_us: int) -> None: ...
    def due(self, session_newest: int, now_us: int) -> int: ...
    def challenge(self, size: int, now_us: int) -> bool: ...
    def challenge_old(self) -> bool: ...
    def answered(self, via: int, token: int, session_newest: int) -> int: ...
    @property
    def path(self) -> _Path | None: ...
    @property
    def later(self) -> tuple[_Path, int, int]: ...
    @property
    def bytes(self) -> tuple[int, int]: ...
    @property
    def due_us(self) -> int: ...

from dataclasses import dataclass
from typing import Final

from shadowland._core.base.status import DropReason

CHANNELS: Final[dict[int, str]]
CODES: Final[dict[int, str]]

@dataclass(frozen=True)
class Fields:
    status: DropReason
    channel: int
    fragment: bool
    kind: int
    stream: int
    number: int
    message: int
    index: int
    count: int
    newest: int
    payload: bytes
    violates: bool = False
    elicits: bool = True
    compressed: bool = False

def frames(body: bytes | bytearray | memoryview) -> list[Fields]: ...
def inputs(payload: bytes | bytearray | memoryview, count: int) -> list[bytes] | None: ...
def pack(frame: Fields, capacity: int = 1500) -> bytes | None: ...

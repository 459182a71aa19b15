from collections.abc import Sequence
from typing import Any, Final, Self, final

from numpy import int32, uint8, uint32
from numpy.typing import NDArray

MAX_COMPONENTS: Final[int]
MAX_TEXTS: Final[int]
MAX_LIST: Final[int]
RANGE: Final[int]
FLOAT32: Final[int]
ENUM: Final[int]
FLAGS: Final[int]

@final
class MessageCodec:
    def __new__(
        cls,
        components: Sequence[tuple[int, int, int, int, int, int, int]],
        text_limits: Sequence[int],
        lists: Sequence[tuple[tuple[int, int, int, int, int, int, int], int, int]] = (),
    ) -> Self: ...
    @property
    def fixed_bytes(self) -> int: ...
    def decode(
        self,
        arena: bytes | NDArray[uint8],
        offsets: NDArray[uint32],
        lengths: NDArray[uint32],
        matrix: NDArray[int32],
        spans: NDArray[uint32],
        ok: NDArray[Any],
    ) -> int: ...
    def encode(
        self,
        matrix: NDArray[int32],
        texts: bytes | NDArray[uint8],
        spans: NDArray[uint32],
        arena: NDArray[uint8],
        offsets: NDArray[uint32],
        lengths: NDArray[uint32],
    ) -> int: ...
    def decode_one(self, payload: bytes) -> tuple[list[int], list[Any]] | None: ...
    def list_at(self, index: int, arena: bytes | NDArray[uint8], offset: int, count: int) -> Any: ...
    def encode_one(self, numbers: list[int], texts: list[bytes], lists: Sequence[Any] = ()) -> bytes | None: ...

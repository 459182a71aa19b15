from typing import Any, Final

import numpy as np

ADDRESS_DTYPE: Final[np.dtype[Any]]
DATAGRAM_DTYPE: Final[np.dtype[Any]]
MESSAGE_DTYPE: Final[np.dtype[Any]]
EVENT_DTYPE: Final[np.dtype[Any]]

JOINED: Final[int]
LEFT: Final[int]
SNAPSHOT_ACKED: Final[int]
SNAPSHOT_LOST: Final[int]
DELIVERED: Final[int]
UNDELIVERED: Final[int]
MIGRATED: Final[int]
AUTHENTICATE: Final[int]
UNDECODABLE: Final[int]

def pack_address(host: str, port: int) -> bytes: ...
def unpack_address(data: bytes) -> tuple[str, int]: ...

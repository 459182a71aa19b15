from typing import Final, NamedTuple

SIZE: Final[int]
ENCRYPTED: Final[int]
AEAD: Final[int]
PHASE: Final[int]

class Fields(NamedTuple):
    connection_id: int
    channel: int
    flags: int
    sequence: int

def parse(datagram: bytes | bytearray | memoryview) -> Fields | None: ...
def pack(connection_id: int, channel: int, flags: int, sequence: int) -> bytes: ...

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.guard.guard import Guard

SNAPSHOT_LIMIT: int
OUTBOX_LEAST: int
MTU_LOWEST: int
MTU_HIGHEST: int
MTU_LIMIT: int
UNRELIABLE_LIMIT: int
RELIABLE_LIMIT: int
CIPHERS: tuple[str, ...]

@final
class Endpoint:
    def __init__(
        self,
        role: str,
        *,
        capacity: int,
        seed: bytes,
        identity_secret: bytes | None = None,
        schema_hash: int = 0,
        schema_classes: tuple[tuple[int, int], ...] = (),
        tick_hz: int = 60,
        shard: int = 0,
        client_build: int = 0,
        mtu: int = ...,
        mtu_limit: int = ...,
        idle_timeout_us: int = 15_000_000,
        connect_timeout_us: int = 5_000_000,
        half_open: int = 1024,
        half_open_per_prefix: int = 256,
        half_open_us: int = 5_000_000,
        ping_us: int = 5_000_000,
        max_ack_delay_us: int = 0,
        inbox_records: int = 0,
        inbox_bytes: int = 0,
        session_inbox_records: int = 0,
        session_inbox_bytes: int = 0,
        outbox_bytes: int = 0,
        blocks: int = 0,
        session_blocks: int = 3584,
        cipher: str = "auto",
        replay_positions: int = 1024,
        rekey_bytes: int = ...,
        rekey_packets: int = ...,
        rekey_age_us: int = 600_000_000,
        rekey_failures: int = ...,
        most_failures: int = ...,
        guard: Guard | None = None,
    ) -> None: ...
    @property
    def role(self) -> str: ...
    @property
    def public_key(self) -> bytes: ...
    @property
    def live(self) -> int: ...
    @property
    def half_open(self) -> int: ...
    def set_tick(self, tick: int) -> None: ...
    def inbound(self, batch: DatagramBatch, replies: DatagramBatch, now_us: int) -> int: ...
    def outbound(self, batch: DatagramBatch, now_us: int) -> bool: ...
    def connect(
        self,
        remote: tuple[str, int],
        server_key: bytes,
        now_us: int,
        local: tuple[str, int] | None = None,
        token: bytes = b"",
    ) -> int: ...
    def close(self, handle: int, reason: int, now_us: int) -> bool: ...
    def rekey(self, handle: int) -> bool: ...
    def close_all(self, reason: int, now_us: int) -> int: ...
    def send(self, handle: int, channel: int, kind: int, payload: bytes, ticket: int = 0) -> None: ...
    def queue(self, records: NDArray[Any], arena: NDArray[np.uint8]) -> int: ...
    def collect(self) -> int: ...
    @property
    def inbox(self) -> NDArray[Any]: ...
    @property
    def inbox_arena(self) -> NDArray[np.uint8]: ...
    @property
    def events(self) -> NDArray[Any]: ...
    def clear(self) -> int: ...
    def remote(self, handle: int) -> tuple[str, int] | None: ...
    def is_live(self, handle: int) -> bool: ...
    def server_tick(self, handle: int) -> tuple[int, int]: ...
    def rejected_classes(self) -> list[tuple[int, int]]: ...
    def stats(self, handle: int | None = None) -> NDArray[Any]: ...
    @property
    def drops(self) -> NDArray[np.uint64]: ...
    @property
    def message_drops(self) -> NDArray[np.uint64]: ...
    @property
    def counters(self) -> dict[str, int]: ...

"""Exceptions of this library, and the reasons that name why a datagram was dropped or a session ended."""
from shadowland._core.base.errors import (
    CapacityError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    ShadowlandError,
    TransportError,
    UsageError,
)
from shadowland._core.base.status import DisconnectReason, DropReason

__all__ = [
    "CapacityError",
    "ConfigError",
    "ConnectError",
    "ConnectionLost",
    "DisconnectReason",
    "DropReason",
    "ShadowlandError",
    "TransportError",
    "UsageError",
]

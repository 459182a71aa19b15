"""Exceptions of this library, and the reasons that name why a datagram was dropped, a session ended, a token failed."""
from shadowland._core.base.errors import (
    CapacityError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    ShadowlandError,
    TransportError,
    UsageError,
)
from shadowland._core.base.status import DisconnectReason, DropReason, TokenProblem

__all__ = [
    "CapacityError",
    "ConfigError",
    "ConnectError",
    "ConnectionLost",
    "DisconnectReason",
    "DropReason",
    "ShadowlandError",
    "TokenProblem",
    "TransportError",
    "UsageError",
]

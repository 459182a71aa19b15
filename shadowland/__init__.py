"""Networking for large multiplayer worlds: encrypted sessions, columns per tick, replication by deltas."""
from importlib.util import find_spec as _find_spec
from pathlib import Path as _Path

__version__ = "0.1.0"
__all__ = [
    "Angle", "Client", "Columns", "ConfigError", "ConnectError", "ConnectionLost", "DisconnectReason",
    "Entity", "Grid", "Identity", "Local", "MaxLen", "Message", "OwnerOnly", "Predicted", "Quantized",
    "Range", "Rate", "Schema", "Server", "Session", "ShadowlandError", "Snapshot", "Tick", "Unit",
    "UsageError", "Vec2", "Vec3", "__version__", "connect",
]

# Python looks into the current folder first: in the project's root it takes these sources for the installed package.
if _find_spec("shadowland._core._cyutility") is None:
    raise ImportError(
        f"shadowland was imported from {_Path(__file__).parent}, where its extension modules have not been built. "
        "In the source tree run `make build` first; to use an installed shadowland-net, start Python in another folder."
    )

# All after the check, which says why an import would fail.
from shadowland.client import Client, connect  # noqa: E402
from shadowland.errors import (  # noqa: E402
    ConfigError,
    ConnectError,
    ConnectionLost,
    DisconnectReason,
    ShadowlandError,
    UsageError,
)
from shadowland.identity import Identity  # noqa: E402
from shadowland.schema import (  # noqa: E402
    Angle,
    Entity,
    Local,
    MaxLen,
    Message,
    OwnerOnly,
    Predicted,
    Quantized,
    Range,
    Rate,
    Schema,
    Unit,
    Vec2,
    Vec3,
)
from shadowland.server import Server  # noqa: E402
from shadowland.session import Session  # noqa: E402
from shadowland.tick import Tick  # noqa: E402
from shadowland.view import Snapshot  # noqa: E402
from shadowland.world import Columns, Grid  # noqa: E402

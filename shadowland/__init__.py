"""Networking for massively multiplayer games."""
from importlib.util import find_spec as _find_spec
from pathlib import Path as _Path

__version__ = "0.1.0"
__all__ = [
    "Angle", "Entity", "Local", "MaxLen", "Message", "OwnerOnly", "Predicted", "Quantized", "Range", "Rate", "Schema",
    "Unit", "Vec2", "Vec3", "__version__",
]

# Python looks into the current folder first: in the project's root it takes these sources for the installed package.
if _find_spec("shadowland._core._cyutility") is None:
    raise ImportError(
        f"shadowland was imported from {_Path(__file__).parent}, where its extension modules have not been built. "
        "In the source tree run `make build` first; to use an installed shadowland-net, start Python in another folder."
    )

from shadowland.schema import (  # noqa: E402  (after the check, which says why an import would fail)
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

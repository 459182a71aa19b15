"""The class body is the wire contract: entities and messages, their annotations, layouts, codecs and hash."""
from shadowland._core.world.columns import COMPONENT_DTYPE
from shadowland.schema.annotations import (
    Angle,
    GroupOnly,
    Local,
    MaxLen,
    OwnerOnly,
    Predicted,
    Quadrants,
    Quantized,
    Range,
    Rate,
    Unit,
    Vec2,
    Vec3,
)
from shadowland.schema.classes import CHANNELS, MAX_RECORD_BYTES, MESSAGE_LIMITS, Entity, Message
from shadowland.schema.document import differences, read_document
from shadowland.schema.layout import Column, Layout, layout, prediction
from shadowland.schema.messages import MessageColumns, decode_columns, decode_one, encode_columns, encode_one
from shadowland.schema.registry import Schema

__all__ = [
    "CHANNELS", "COMPONENT_DTYPE", "MAX_RECORD_BYTES", "MESSAGE_LIMITS", "Angle", "Column", "Entity", "GroupOnly",
    "Layout", "Local", "MaxLen", "Message", "MessageColumns", "OwnerOnly", "Predicted", "Quadrants", "Quantized",
    "Range", "Rate", "Schema", "Unit", "Vec2", "Vec3", "decode_columns", "decode_one", "differences",
    "encode_columns", "encode_one", "layout", "prediction", "read_document",
]

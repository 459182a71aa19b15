"""The entity and message classes that the fuzz targets decode: every sort of field, at the edges of its range."""
import enum
from typing import Annotated as A

import shadowland as sl
from shadowland._core.world.columns import KindTable
from shadowland.schema.messages import component_codes, list_codes, packing_of
from shadowland.world import World


class Stance(enum.IntEnum):
    STANDING = 0
    SITTING = 2
    LYING = 5


class Marks(enum.IntFlag):
    BURNING = 1
    FROZEN = 8


class Fellow(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05)] = (0, 0, 0)
    yaw: sl.Angle = 0.0
    stance: Stance = Stance.STANDING
    gold: A[int, sl.Range(0, 1_000_000), sl.OwnerOnly] = 0


class Stone(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.5)] = (0, 0)
    marks: Marks = Marks(0)


class Whole(sl.Message):
    low: A[int, sl.Range(-2**31, 2**31 - 1)] = 0
    one: bool = False
    few: A[int, sl.Range(-3, 4)] = 0
    real: float = 0.0
    stance: Stance = Stance.STANDING
    marks: Marks = Marks(0)
    heading: A[sl.Vec2, sl.Unit(bits=8)] = (0, 0)


class Said(sl.Message, channel="reliable"):
    speaker: A[int, sl.Range(0, 100)] = 0
    text: A[str, sl.MaxLen(200)] = ""
    place: A[str, sl.MaxLen(3)] = ""


class Listed(sl.Message, channel="reliable"):
    digits: A[list[int], sl.Range(0, 9), sl.MaxLen(20)] = []
    ways: A[list[sl.Vec2], sl.Unit(bits=8), sl.MaxLen(3)] = []
    names: A[list[A[str, sl.MaxLen(5)]], sl.MaxLen(4)] = []


class Empty(sl.Message):
    pass


SCHEMA = sl.Schema([Fellow, Stone], [Whole, Said, Empty])


Code = tuple[int, int, int, int, int, int, int]


def packings() -> list[tuple[list[Code], list[int], list[tuple[Code, int, int]]]]:
    """What MessageCodec is made of, for each message class."""
    found = []
    for cls in SCHEMA.messages.values():
        packing = packing_of(cls)
        codes = [code for field, _ in packing.numbers for code in component_codes(field)]
        found.append((codes, [field.max_length for field in packing.texts], list_codes(packing.lists)))
    return found


def kind_table() -> KindTable:
    """What Views are made for."""
    return World(SCHEMA, tick_hz=30, aoi=sl.Grid(cell=32, radius=96), capacity=16, observers=1).table

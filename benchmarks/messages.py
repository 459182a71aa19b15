"""What a message costs to encode and decode, in nanoseconds of CPU: python -m benchmarks.messages

kernel: one nogil call between quanta and bytes. columns: the same with the floats of a system on one side. one: a
single instance, as rare messages travel. Each for 10,000 messages; `pack` is struct.pack of 13 integers, to compare
runs by.
"""
from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Annotated as A
from typing import Any

import numpy as np

import shadowland as sl
from benchmarks.harness import Busyness, arguments, in_turn, median, report
from shadowland.schema import decode_columns, decode_one, encode_columns, encode_one
from shadowland.schema.messages import packing_of

COUNT = 10_000


class Move(sl.Message, channel="input"):
    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0, 0)


class Cast(sl.Message, channel="reliable"):
    spell: A[int, sl.Range(0, 500)] = 0
    target: A[sl.Vec3, sl.Quantized(step=0.01), sl.Range(-5000, 5000)] = (0, 0, 0)
    power: float = 0.0
    hold: bool = False


class Chat(sl.Message, channel="reliable", per_second=2):
    text: A[str, sl.MaxLen(200)] = ""


def columns_of(cls: type[sl.Message]) -> dict[str, Any]:
    random = np.random.default_rng(1)
    if cls is Move:
        way = random.normal(size=(COUNT, 2))
        return {"direction": way / np.linalg.norm(way, axis=1)[:, None]}
    if cls is Cast:
        return {"spell": random.integers(0, 500, COUNT), "target": random.uniform(-5000, 5000, (COUNT, 3)),
                "power": random.normal(size=COUNT)}
    return {"text": ["does anybody sell arrows near the mill?"] * COUNT}


def sides_of(cls: type[sl.Message]) -> dict[str, tuple[Callable[[], object], int]]:
    """What is measured -> (call, messages a call)."""
    values = columns_of(cls)
    arena, offsets, lengths = encode_columns(cls, **values)
    packing = packing_of(cls)
    matrix = np.empty(COUNT * packing.width, np.int32)
    spans, ok = np.empty(COUNT * len(packing.texts) * 2, np.uint32), np.empty(COUNT, np.uint8)
    assert packing.codec.decode(arena, offsets, lengths, matrix, spans, ok) == COUNT
    room, starts, sizes = np.empty(len(arena), np.uint8), offsets.copy(), lengths.copy()
    payload = arena[:lengths[0]].tobytes()
    message = decode_one(cls, payload)
    assert message is not None
    return {
        "kernel_decode_ns": (lambda: packing.codec.decode(arena, offsets, lengths, matrix, spans, ok), COUNT),
        "kernel_encode_ns": (lambda: packing.codec.encode(matrix, arena, spans, room, starts, sizes), COUNT),
        "columns_decode_ns": (lambda: decode_columns(cls, arena, offsets, lengths), COUNT),
        "columns_encode_ns": (lambda: encode_columns(cls, **values), COUNT),
        "one_decode_ns": (lambda: decode_one(cls, payload), 1),
        "one_encode_ns": (lambda: encode_one(message), 1),
        "pack_ns": (lambda: struct.pack("<13i", *range(13)), 1),
    }


def cpu_ns(side: tuple[Callable[[], object], int]) -> float:
    call, messages = side
    rounds = max(1, COUNT // messages // 4)
    before = time.process_time_ns()
    for _ in range(rounds):
        call()
    return (time.process_time_ns() - before) / rounds / messages


def main() -> None:
    options = arguments(__doc__).parse_args()
    busy, rows = Busyness(), []
    for cls in (Move, Cast, Chat):
        sides = sides_of(cls)
        taken = in_turn(list(sides.values()), max(5, options.rounds), cpu_ns)
        size = len(encode_one(next(iter(decode_columns(cls, *encode_columns(cls, **columns_of(cls)))[0]))))
        rows.append({"message": cls.__name__, "bytes": size}
                    | {name: median(values, 1) for name, values in zip(sides, taken, strict=True)})
    report("messages", rows, keys=["message", "bytes"], settings={"count": COUNT}, packages=["numpy"], busy=busy,
           json_only=options.json)


if __name__ == "__main__":
    main()

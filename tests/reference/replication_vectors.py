"""Writes tests/vectors/replication.json: python -m tests.reference.replication_vectors"""
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.reference.replication import Entity, Observer, Server
from tests.reference.replication_view import BAD_MESSAGE, OK, UNDECODABLE, View
from tests.reference.world_records import (
    ANGLE,
    FLOAT,
    INT,
    OFFSET,
    OWNER,
    QUADRANT,
    BitWriter,
    Component,
    Kind,
    State,
    encode_absolute,
    encode_delta,
    predict,
    quantize,
    quantize_pair,
)

PATH = Path(__file__).parents[1] / "vectors" / "replication.json"
HZ, SEATS, HISTORY = 30, 8, 64

WALKER = Kind(components=(
    *(Component(-2**19, 2**19 - 1, 0.01, FLOAT, predict=2 + i, num=174763, shift=20, tolerance=3, column=0, small=4,
                medium=10) for i in range(2)),
    *(Component(-512, 511, 0.05, FLOAT, column=1, small=4, medium=11) for _ in range(2)),
    Component(-128, 127, math.tau / 256, ANGLE, predict=5, num=1, shift=1, tolerance=2, column=2, small=4, medium=8),
    Component(-100, 100, kind=INT, column=3, small=4, medium=8),
    Component(-2**31, 2**31 - 1, kind=INT, column=4, audience=OWNER, small=4, medium=16),
), position=(0, 1), radius=20.0, hysteresis=2.0)
STONE = Kind((Component(-2**15, 2**15 - 1, 0.1, FLOAT, column=0, medium=10),
              Component(-2**15, 2**15 - 1, 0.1, FLOAT, column=0, medium=10),
              Component(1, 9, kind=INT, column=1, small=2, medium=5)), (0, 1), 8.0, 0.5)
BANNER = Kind((Component(-2**15, 2**15 - 1, 0.1, FLOAT, column=0, medium=10),
               Component(-2**15, 2**15 - 1, 0.1, FLOAT, column=0, medium=10),
               Component(0, 100, kind=INT, column=1, audience=2, small=4, medium=8),
               Component(0, 1, kind=INT, column=2, audience=OWNER, small=1, medium=2),
               Component(-2**20, 2**20, kind=INT, column=3, audience=3, small=4, medium=12)),
              (0, 1), 8.0, 0.5, groups=(1, 0))
NOMAD = Kind((
    *(Component(0, 1023, 0.01, OFFSET, predict=4 + i, num=174763, shift=20, tolerance=3, column=0, small=4, medium=10,
                pair=2 + i) for i in range(2)),
    *(Component(-8, 7, 10.24, QUADRANT, predict=4 + i, num=174763, shift=20, tolerance=3, column=1, small=4, medium=5,
                pair=i) for i in range(2)),
    *(Component(-512, 511, 0.05, FLOAT, column=2, small=4, medium=11) for _ in range(2)),
), (0, 1), 20.0, 2.0)
KINDS = (WALKER, STONE, BANNER, NOMAD)

STATES: tuple[State, ...] = (
    (0, 0, 0, 0, 0, 0, 0),
    (100, -100, 100, -37, 120, 3, 5),
    (2**19 - 1, -2**19, 511, -512, -128, -100, -2**31),
    (7, 9, -1, 1, 127, 100, 2**31 - 1),
)


BANNERS: tuple[State, ...] = ((0, 0, 0, 0, 0), (-2**15, 2**15 - 1, 100, 1, -2**20), (3, 4, 9, 0, 2**20))


NOMADS: tuple[State, ...] = (               # about the middle, at both ends of the world, half an edge apart
    (0, 1023, 0, -1, 0, 0), (1023, 0, -1, 0, 37, -100), (5, 1020, -8, 7, -512, 511), (1023, 512, 7, 3, 511, -1),
    (511, 0, 7, 3, 0, 0))


AUDIENCES = {WALKER: (0, 1), BANNER: (0, 2, 4, 6, 7), NOMAD: (0,)}


def bodies() -> list[dict[str, Any]]:
    """Every pair of states, as reference and as what follows; two ages, all audience sets."""
    out: list[dict[str, Any]] = []
    for number, kind, states in ((0, WALKER, STATES), (2, BANNER, BANNERS), (3, NOMAD, NOMADS)):
        for audience in AUDIENCES[kind]:
            for state in states:
                out.append({"kind": number, "audience": audience, "state": state,
                            "absolute": encode_absolute(kind, state, audience).hex(),
                            "delta": [{"reference": reference, "age": age, "body": encode_delta(
                                kind, state, predict(kind, reference, age), audience).hex()}
                                for reference in states for age in (1, 62)]})
    return out


def session() -> list[dict[str, Any]]:
    """A scripted walk: enter, silence, turns, losses, a rest longer than the window, change of owner, leave, return."""
    server, view, steps = Server(KINDS, HZ, SEATS), View(KINDS, SEATS, HISTORY), []
    server.observers[0] = Observer()
    values: dict[int, list[float]] = {
        3: [0, 0, 0, 0, 0, 0, 12], 5: [3, 0, 1.5, -0.5, 1.0, 0, 34], 700: [2, 2, 4], 9: [-4, 4, 0, 0, 0, 5, 56]}
    for slot in values:
        server.entities[slot] = Entity(int(slot == 700), slot + 1, 0 if slot == 3 else -1)
    for tick in range(65_500, 65_700):          # the 16 bits of the tick run over on the way
        script(tick - 65_500, server, values)
        for user in values.values():
            if len(user) == 7:
                user[:2] = [p + v / HZ for p, v in zip(user[:2], user[2:4], strict=True)]
        server.publish(tick, values)
        for token, payload in server.replicate(0, 3, 3000):
            lost = (tick - 65_500) % 11 == 4
            if lost:
                server.lost(server.observers[0], token)
                continue
            status = view.apply(payload, tick)
            server.acked(server.observers[0], token)
            if len(payload) > 2:
                steps.append({"payload": payload.hex(), "hint": tick, "status": status, "tick": view.tick,
                              "seen": seen(view)})
    return steps


def script(step: int, server: Server, values: dict[int, list[float]]) -> None:
    if step in (15, 48, 60, 150):
        values[5][2:4] = [1.5 - step / 20, step / 30]
    if step in (30, 100, 140):
        values[5][2:4] = [0, 0]
    if step == 20:
        values[9][5] = -7
    if step == 110:                             # after a rest that is older than the window
        values[700][2] = 8
        values[3][6] = -99
    if step == 120:
        server.entities[9].owner = 0
    if step == 130:
        values[700][:2] = [50, 50]
    if step == 160:
        values[700][:2] = [2, 2]
    if step == 170:
        del server.entities[9], values[9]


def journey() -> list[dict[str, Any]]:
    """A nomad walks over borders of quadrants, also where its prediction does not; jumps; and comes to the last one."""
    server, view, steps = Server(KINDS, HZ, SEATS), View(KINDS, SEATS, HISTORY), []
    server.observers[0] = Observer()
    server.entities[4] = Entity(3, 1, -1)
    place, velocity = [10.2, -0.02], [1.5, -1.5]
    for tick in range(1, 90):
        if tick in (6, 30):
            velocity = [-velocity[0], -velocity[1]]     # turns round beside a border
        if tick in (20, 40):
            place = [place[0] + 5.12, place[1] - 30.0]  # half an edge, and almost three
        if tick == 50:
            place, velocity = [81.5, -81.5], [12.0, -12.0]
        place = [p + v / HZ for p, v in zip(place, velocity, strict=True)]
        server.publish(tick, {4: [*place, 0, 0, *velocity]})
        for token, payload in server.replicate(0, 4, 3000):
            status = view.apply(payload, tick)
            server.acked(server.observers[0], token)
            if len(payload) > 2:
                steps.append({"payload": payload.hex(), "hint": tick, "status": status, "tick": view.tick,
                              "seen": seen(view)})
    return steps


def seen(view: View) -> list[dict[str, Any]]:
    return [{"slot": slot, "generation": generation, "kind": kind, "audience": audience, "state": state}
            for (slot, generation), (kind, state, audience) in sorted(view.entities().items())]


def refused() -> list[dict[str, Any]]:
    """Payloads for a view that knows the walker 1/1 in seat 0, since tick 10, and nobody else."""
    absolute = encode_absolute(WALKER, STATES[0], 0)
    cases: list[tuple[int, str, bytes]] = [
        (BAD_MESSAGE, "no tick", b"\x0b"),
        (BAD_MESSAGE, "gap ends in the middle", b"\x0b\x00\x80"),
        (BAD_MESSAGE, "gap is not canonical", b"\x0b\x00\x80\x00\x03"),
        (BAD_MESSAGE, "seat beyond the last", b"\x0b\x00\x08\x03"),
        (BAD_MESSAGE, "no head", b"\x0b\x00\x00"),
        (BAD_MESSAGE, "leave with a value", b"\x0b\x00\x00\x07"),
        (BAD_MESSAGE, "update of age 0", b"\x0b\x00\x00\x00\x00"),
        (BAD_MESSAGE, "long age that is short", b"\x0b\x00\x00\xfc\x0a\x00\x00"),
        (BAD_MESSAGE, "long age without its tick", b"\x0b\x00\x00\xfc\x0a"),
        (UNDECODABLE, "reference never given", b"\x0b\x00\x00\x08\x00"),
        (UNDECODABLE, "update of an empty seat", b"\x0b\x00\x01\x04\x00"),
        (UNDECODABLE, "absolute for an empty seat", b"\x0b\x00\x01\x01" + absolute),
        (UNDECODABLE, "absolute before the enter", b"\x09\x00\x00\x01" + absolute),
        (BAD_MESSAGE, "absolute with an unknown flag", b"\x0b\x00\x00\x09" + absolute),
        (BAD_MESSAGE, "enter for a group that the class has not", b"\x0b\x00\x01\x0a\x00\x01\x01" + absolute),
        (BAD_MESSAGE, "enter for a third group of two", b"\x0b\x00\x01\x22\x02\x01\x01" + bytes(9)),
        (BAD_MESSAGE, "absolute cut short", b"\x0b\x00\x00\x01" + absolute[:-1]),
        (BAD_MESSAGE, "enter of an unknown class", b"\x0b\x00\x01\x02\x03\x01\x01" + absolute),
        (BAD_MESSAGE, "enter with a slot of 33 bits", b"\x0b\x00\x01\x02\x00\xff\xff\xff\xff\x1f\x01" + absolute),
        (BAD_MESSAGE, "the same entity of another class", b"\x0b\x00\x00\x02\x01\x01\x01" + bytes(5)),
        (BAD_MESSAGE, "padding that is not zero", b"\x0b\x00\x00\x04\xf0"),
        (BAD_MESSAGE, "residual in too large a class", b"\x0b\x00\x00\x04" + bytes([0x08 | 1 << 4, 0])),
        (BAD_MESSAGE, "value above its range",
         b"\x0b\x00\x00\x04" + bytes([0x08 | 2 << 4 | (402 << 6 & 0xC0), 402 >> 2])),
        (BAD_MESSAGE, "a good record, then a bad one", b"\x0b\x00\x00\x04\x00\x00\x00\x00"),
    ]
    return [{"why": why, "payload": payload.hex(), "status": status} for status, why, payload in cases]


def refused_nomads() -> list[dict[str, Any]]:
    """Payloads for a view that knows the nomad 1/1 in seat 0, since tick 10, in the last quadrant along x."""
    def update(residuals: list[int], changed: tuple[int, int, int]) -> bytes:
        bits = BitWriter()
        for flag in changed:
            bits.write(flag, 1)
        for i, residual in enumerate(residuals):
            bits.write_class(residual, 4, 10 if i < 2 else 5)
        return b"\x0b\x00\x00\x04" + bits.done()
    def enter(offset: int, quadrant: int) -> bytes:
        bits = BitWriter()
        for value, width in ((offset, 10), (0, 10), (quadrant + 8, 4), (8, 4), (512, 10), (512, 10)):
            bits.write(value, width)
        return b"\x0b\x00\x01\x02\x03\x02\x01" + bits.done()
    cases: list[tuple[int, str, bytes]] = [
        (OK, "the offset alone, by less than half an edge", update([-500, 100], (1, 0, 0))),
        (OK, "back over the border", update([0, -30], (1, 0, 0))),
        (BAD_MESSAGE, "beyond the last quadrant by the offset alone", update([511, 0], (1, 0, 0))),
        (OK, "the same, but the quadrant brings it back", update([511, 0, -1, 0], (1, 1, 0))),
        (BAD_MESSAGE, "beyond the last quadrant by its own residual", update([1, 0], (0, 1, 0))),
        (BAD_MESSAGE, "an offset the long way round", update([-513, 0], (1, 0, 0))),
        (BAD_MESSAGE, "half an edge up: it is said downwards", update([512, 0], (1, 0, 0))),
        (OK, "half an edge down", update([-512, 0], (1, 0, 0))),
        (OK, "enter", enter(1023, 7)),
        (BAD_MESSAGE, "enter cut short", enter(1023, 7)[:-1]),
    ]
    return [{"why": why, "payload": payload.hex(), "status": status} for status, why, payload in cases]


def known_nomad() -> bytes:
    return b"\x0a\x00\x00\x02\x03\x01\x01" + encode_absolute(NOMAD, (900, 10, 7, 0, 0, 0), 0)


def known_view() -> bytes:
    return b"\x0a\x00\x00\x02\x00\x01\x01" + encode_absolute(WALKER, STATES[0], 0)


# Borders, half a step before and beside them, the world's ends, and what is beyond.
PLACES = (0.0, -0.004, -0.0051, 10.24, 10.234, 10.236, -10.24, -81.92, -81.93, 81.91, 81.916, 81.92, 1e300, -1e300,
          math.inf, math.nan)


def component(c: Component) -> dict[str, Any]:
    entries = asdict(c) | {"bits": c.bits}
    return entries if c.pair >= 0 else {key: value for key, value in entries.items() if key != "pair"}


def document() -> dict[str, Any]:
    values = [0.0, 0.004, 0.005, -0.005, -0.0051, 1e9, -1e9, math.inf, math.nan]
    angles = [0.0, math.pi, -math.pi, 3.2, 100.0, -100.0, 1e300]
    return {
        "about": "docs/replication.md; written by tests/reference/replication_vectors.py",
        "hz": HZ, "seats": SEATS,
        "kinds": [{"components": [component(c) for c in kind.components], "position": kind.position,
                   "radius": kind.radius, "hysteresis": kind.hysteresis, "groups": kind.groups} for kind in KINDS],
        "quantize": [{"kind": 0, "component": component, "value": repr(value), "quanta": quantize(
            WALKER.components[component], value)} for component, some in ((0, values), (4, angles)) for value in some]
        + [{"kind": 3, "component": 0, "value": repr(value), "quanta": quantize_pair(NOMAD, 0, value)}
           for value in PLACES],
        "predict": [{"kind": 0, "state": state, "ticks": ticks, "predicted": predict(WALKER, state, ticks)}
                    for state in STATES for ticks in (0, 1, 2, 30, 64, 65)]
        + [{"kind": 3, "state": state, "ticks": ticks, "predicted": predict(NOMAD, state, ticks)}
           for state in NOMADS for ticks in (0, 1, 2, 30, 64, 65)],
        "bodies": bodies(),
        "session": session(),
        "known": known_view().hex(),
        "refused": refused(),
        "journey": journey(),
        "known_nomad": known_nomad().hex(),
        "refused_nomads": refused_nomads(),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(document(), indent=1) + "\n")

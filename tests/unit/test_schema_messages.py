"""Messages from values to bytes and back: columns and single instances say the same, and mistakes name their place."""
import enum
import math
from typing import Annotated as A
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import shadowland as sl
from shadowland.errors import UsageError
from shadowland.schema import decode_columns, decode_one, encode_columns, encode_one
from shadowland.schema.classes import contract_of


class Stance(enum.IntEnum):
    STAND = -2
    SIT = 1
    LIE = 5


class Flags(enum.IntFlag):
    ALIVE = 1
    FALLING = 64


class Move(sl.Message, channel="input"):
    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0, 0)


class Chat(sl.Message, channel="reliable", per_second=2):
    text: A[str, sl.MaxLen(200)] = ""


class Jump(sl.Message, channel="input"):
    pass


class Everything(sl.Message):
    at: A[sl.Vec3, sl.Quantized(step=0.01), sl.Range(-100, 100)] = (0, 0, 0)
    far: A[float, sl.Quantized(step=0.5)] = 0
    raw: A[sl.Vec2, "no step: 32-bit floats"] = (0, 0)
    aim: A[sl.Vec3, sl.Unit(bits=12)] = (0, 0, 1)
    yaw: sl.Angle = 0.0
    count: A[int, sl.Range(-3, 9)] = 0
    whole: int = 0
    sure: bool = False
    stance: Stance = Stance.STAND
    flags: Flags = Flags.ALIVE
    name: A[str, sl.MaxLen(5)] = "x"
    note: A[str, sl.MaxLen(60)] = ""


lanes = st.floats(-0.57, 0.57)                              # three of them are never longer than 1
everything = st.fixed_dictionaries({
    "at": st.tuples(*[st.floats(-100, 100)] * 3),
    "far": st.floats(-1e9, 1e9),
    "raw": st.tuples(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 2),
    "aim": st.tuples(lanes, lanes, lanes),
    "yaw": st.floats(-100, 100),
    "count": st.integers(-3, 9),
    "whole": st.integers(-2**31, 2**31 - 1),
    "sure": st.booleans(),
    "stance": st.sampled_from(Stance),
    "flags": st.sampled_from([Flags(0), Flags.ALIVE, Flags.FALLING, Flags.ALIVE | Flags.FALLING]),
    "name": st.text(max_size=5),
    "note": st.text(max_size=60),
})


@given(everything)
def test_what_is_decoded_is_what_was_encoded_within_half_a_step(values: dict[str, Any]) -> None:
    found = decode_one(Everything, encode_one(Everything(**values)))
    assert found is not None
    for lane, back in zip(values["at"], found.at, strict=True):
        assert abs(lane - back) <= 0.005 + 1e-9
    assert abs(values["far"] - found.far) <= 0.25 and found.raw == values["raw"]
    for lane, back in zip(values["aim"], found.aim, strict=True):
        assert abs(lane - back) <= 1 / 2047
    assert math.cos(values["yaw"] - found.yaw) >= math.cos(math.pi / 256) - 1e-9 and -math.pi <= found.yaw < math.pi
    for name in ("count", "whole", "sure", "stance", "flags", "name", "note"):
        assert getattr(found, name) == values[name] and type(getattr(found, name)) is type(getattr(Everything(), name))
    assert encode_one(found) == encode_one(Everything(**values))            # what is quantized once stays as it is


@given(st.lists(everything, max_size=6))
def test_columns_are_the_messages_one_by_one(rows: list[dict[str, Any]]) -> None:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in vars(Everything())}
    for name in ("at", "raw", "aim"):
        columns[name] = np.array(columns[name], np.float64).reshape(len(rows), len(getattr(Everything(), name)))
    for name in ("count", "whole", "stance", "flags"):
        columns[name] = np.array(columns[name], np.int64)
    columns["sure"] = np.array(columns["sure"], np.bool_)
    arena, offsets, lengths = encode_columns(Everything, len(rows), **columns)
    payloads = [arena[start:start + size].tobytes() for start, size in zip(offsets, lengths, strict=True)]
    assert payloads == [encode_one(Everything(**row)) for row in rows]
    found, ok = decode_columns(Everything, arena, offsets, lengths)
    assert ok.all() and len(found) == len(rows)
    for one, row in zip(found, payloads, strict=True):
        assert encode_one(one) == row


@given(st.lists(st.binary(max_size=12), max_size=6))
def test_no_bytes_raise_and_none_reach_beyond_a_unit(payloads: list[bytes]) -> None:
    arena = b"".join(payloads)
    lengths = np.array([len(payload) for payload in payloads], np.uint32)
    offsets = np.cumsum(lengths) - lengths
    for cls in (Move, Chat, Jump, Everything):
        found, ok = decode_columns(cls, arena, offsets, lengths)
        assert ok.tolist() == [decode_one(cls, payload) is not None for payload in payloads]
        if cls is Move:
            assert (np.hypot(*found.direction.T.astype(np.float64)) <= 1 + 1e-7).all()
            assert not found.direction[~ok].any()
        if cls is Chat:
            assert all(text == "" for text in found.text[~ok])


@given(st.floats(0, 2 * math.pi), st.floats(0, 1 + 1e-6), st.integers(2, 16))
def test_a_unit_vector_never_comes_back_longer_than_1(angle: float, length: float, bits: int) -> None:
    cls = type("Aim", (sl.Message,), {"__annotations__": {"way": A[sl.Vec2, sl.Unit(bits)]}})
    found: Any = decode_one(cls, encode_one(cls(way=(length * math.cos(angle), length * math.sin(angle)))))
    high = 2 ** (bits - 1) - 1
    assert sum(round(lane * high) ** 2 for lane in found.way) <= high * high


def test_sizes_are_what_the_bits_say() -> None:
    assert encode_one(Move(direction=(0, 1))) == bytes([127, 254])
    assert encode_one(Jump()) == b"" and decode_one(Jump, b"") == Jump() and decode_one(Jump, b"\0") is None
    assert encode_one(Chat(text="hé")) == b"\x03h\xc3\xa9"


def test_a_message_of_no_fields_counts_its_payloads() -> None:
    arena, offsets, lengths = encode_columns(Jump, 3)
    found, ok = decode_columns(Jump, arena, offsets, [0, 1, 0])
    assert len(found) == 3 and ok.tolist() == [True, False, True] and len(found.select(ok)) == 2


def test_strided_records_decode_without_being_prepared() -> None:
    records = np.zeros(3, [("connection", "<u8"), ("offset", "<u4"), ("length", "<u4")])
    records["offset"], records["length"] = [0, 2, 4], 2
    found, ok = decode_columns(Move, np.frombuffer(bytes([127, 254, 127, 127, 254, 254]), np.uint8),
                               records["offset"], records["length"])
    assert ok.tolist() == [True, True, False] and found.direction.tolist() == [[0, 1], [0, 0], [0, 0]]


def test_columns_defaults_rows_and_selection() -> None:
    arena, offsets, lengths = encode_columns(Everything, count=np.array([1, 2, 3]), name=["a", "bc", "d"], note="same")
    found, _ = decode_columns(Everything, arena, offsets, lengths)
    assert found.count.tolist() == [1, 2, 3] and found.aim.tolist() == [[0, 0, 1]] * 3
    assert found.row(1) == Everything(count=2, name="bc", note="same")
    assert found.select(np.array([True, False, True])).name.tolist() == ["a", "d"]
    assert repr(found).startswith("<3 Everything: at, far,")


def test_a_misspelt_column_gets_a_suggestion() -> None:
    found, _ = decode_columns(Move, b"", [], [])
    with pytest.raises(AttributeError, match="Move has no field 'directoin'; did you mean 'direction'"):
        _ = found.directoin
    with pytest.raises(UsageError, match="Move has no field 'directoin'; did you mean 'direction'"):
        encode_columns(Move, directoin=[(0, 0)])


@pytest.mark.parametrize("values, text", [
    ({"at": (0, 0, 101)}, "Everything.at: it is outside -100 to 100"),
    ({"at": (0, 0)}, "Everything.at: .* is not a tuple of 3"),
    ({"far": float("inf")}, "Everything.far: inf is not finite"),
    ({"far": 1e300}, "Everything.far: "),
    ({"raw": (1e39, 0)}, "Everything.raw: .* too large for 32 bits"),
    ({"aim": (1, 1, 0)}, "Everything.aim: its length is 1.41421"),
    ({"count": 10}, "Everything.count: it is outside -3 to 9"),
    ({"count": 1.0}, "Everything.count: 1.0 is not an integer"),
    ({"sure": 1}, "Everything.sure: 1 is not True or False"),
    ({"stance": 2}, "Everything.stance: 2 is not a Stance"),
    ({"flags": 2}, "Everything.flags: 2 is not a Flags"),
    ({"name": "123456"}, "Everything.name: it has 6 characters, at most 5"),
    ({"name": "\udc80"}, "Everything.name: it holds a lone surrogate"),
    ({"name": 5}, "Everything.name: 5 is not a text"),
])
def test_a_value_that_does_not_fit_names_its_field(values: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        encode_one(Everything(**values))


@pytest.mark.parametrize("columns, text", [
    ({"at": np.full((2, 3), 101.0)}, "Everything.at: row 0 is out of range"),
    ({"at": np.zeros((2, 2))}, r"Everything.at: its shape is \(2, 2\), \(2, 3\) is needed"),
    ({"far": np.array([0, np.nan])}, "Everything.far: row 1 is not finite"),
    ({"far": np.array([0, 1e308])}, "Everything.far: row 1 is out of range"),
    ({"yaw": np.array([0, 1e308 * 10])}, "Everything.yaw: row 1 is not finite"),
    ({"raw": np.array([[0, 0], [0, 1e39]])}, "Everything.raw: row 1 is too large"),
    ({"aim": np.array([[0, 0, 1], [1, 1, 0]])}, "Everything.aim: row 1 has a length above 1"),
    ({"count": np.array([9, 10])}, "Everything.count: row 1 is outside -3 to 9"),
    ({"count": np.array([1.0, 2.0])}, "Everything.count: an array of float64 does not fit"),
    ({"sure": np.array([0, 1])}, "Everything.sure: an array of int64 does not fit"),
    ({"stance": np.array([1, 2])}, "Everything.stance: row 1 has a value without a name"),
    ({"flags": np.array([65, 2])}, "Everything.flags: row 1 has a flag without a name"),
    ({"name": ["a", "123456"]}, "Everything.name: it has 6 characters"),
    ({"count": np.array([1, 2]), "name": ["a", "b", "c"]}, "Everything.name: it has 3 rows, 2 are needed"),
    ({"count": 3}, "none of the arguments is a column"),
])
def test_a_column_that_does_not_fit_names_its_row(columns: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        encode_columns(Everything, **columns)


def test_a_field_without_default_needs_its_column() -> None:
    cls = type("Mark", (sl.Message,), {"__annotations__": {"spot": A[int, sl.Range(0, 9)]}})
    with pytest.raises(UsageError, match="Mark.spot has no default"):
        encode_columns(cls, 2)


class Route(sl.Message, channel="reliable"):
    points: A[list[sl.Vec2], sl.Quantized(step=0.5), sl.Range(0, 10), sl.MaxLen(4)] = [(1, 2)]
    stances: A[list[Stance], sl.MaxLen(5)] = []
    names: A[list[A[str, sl.MaxLen(3)]], sl.MaxLen(2)] = []
    digits: A[list[int], sl.Range(0, 9), sl.MaxLen(16)] = []


@given(st.fixed_dictionaries({
    "points": st.lists(st.tuples(*[st.integers(0, 20).map(lambda step: step / 2)] * 2), max_size=4),
    "stances": st.lists(st.sampled_from(Stance), max_size=5),
    "names": st.lists(st.text(max_size=3), max_size=2),
    "digits": st.lists(st.integers(0, 9), max_size=16),
}))
def test_lists_come_back_as_they_were_alone_and_in_columns(values: dict[str, Any]) -> None:
    route = Route(**values)
    payload = encode_one(route)
    assert decode_one(Route, payload) == route and len(payload) <= contract_of(Route).max_bytes
    arena, offsets, lengths = encode_columns(Route, 2, **{name: [value, value] for name, value in values.items()})
    found, ok = decode_columns(Route, arena, offsets, lengths)
    assert ok.all() and list(found) == [route, route] and arena.tobytes() == payload * 2
    assert found.digits[1].tolist() == values["digits"] and found.points[1].shape == (len(values["points"]), 2)


def test_each_instance_has_lists_of_its_own() -> None:
    one, other = Route(), Route()
    one.digits.append(3)
    assert (one.digits, other.digits, other.points) == ([3], [], [(1.0, 2.0)]) and one != other
    assert Route(points=np.array([[1, 2]])) == other              # type: ignore[arg-type]

    class Longer(Route):
        more: bool = False

    assert Longer().points == [(1.0, 2.0)] and Longer().digits is not Longer().digits


def test_the_longest_list_takes_what_the_class_says() -> None:
    longest = Route(points=[(1, 1)] * 4, stances=[Stance.LIE] * 5, names=["😀😀😀"] * 2, digits=[9] * 16)
    assert len(encode_one(longest)) == contract_of(Route).max_bytes


@pytest.mark.parametrize(("values", "text"), [
    ({"digits": [1] * 17}, "Route.digits: it has 17 elements, at most 16"),
    ({"digits": 3}, "Route.digits: 3 is not a list"),
    ({"digits": [1, 10]}, "Route.digits: element 1: it is outside 0 to 9"),
    ({"names": ["abcd"]}, "element 0: it has 4"),
    ({"points": [(1, 2, 3)]}, "element 0: .* is not a tuple of 2"), ({"stances": [3]}, "element 0: 3 is not a Stance"),
])
def test_a_list_that_does_not_fit_names_its_element(values: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        encode_one(Route(**values))
    with pytest.raises(UsageError, match="Route.digits: it has 1 rows, 2 are needed"):
        encode_columns(Route, 2, digits=[[1]])

"""Invariant: a class body either means exactly one thing on the wire, or is refused with class, field and fix."""
import enum
import math  # noqa: F401  an annotation names it
from collections.abc import Callable
from typing import Annotated as A
from typing import Any, ClassVar, cast

import pytest

import shadowland as sl
from shadowland.errors import ConfigError
from shadowland.schema import GroupOnly


class Stance(enum.IntEnum):
    STAND = 0
    SIT = 1
    LIE = 2


class Sparse(enum.IntEnum):
    LOW = 0
    HIGH = 1000


class Flags(enum.IntFlag):
    ALIVE = 1
    FALLING = 64


class TooWide(enum.IntEnum):
    SMALL = 0
    HUGE = 2**40


class Words(enum.Enum):
    YES = "yes"


class Nobody(enum.IntEnum):
    pass


class Player(sl.Entity):
    health: A[int, sl.Range(0, 100)] = 100


def body(hint: Any, default: Any = ..., base: type = sl.Entity, name: str = "field",
         **keywords: Any) -> Callable[[], type]:
    namespace: dict[str, Any] = {"__annotations__": {name: hint}}
    if default is not ...:
        namespace[name] = default
    return lambda: type("Thing", (base,), namespace, **keywords)


def fields(base: type, **hints: Any) -> Callable[[], type]:
    return lambda: type("Thing", (base,), {"__annotations__": hints})


class Plain:
    health: int = 3


class Left(sl.Entity, abstract=True):
    health: A[int, sl.Range(0, 9)] = 3


class Right(sl.Entity, abstract=True):
    health: A[int, sl.Range(0, 7)] = 3


def derived(*bases: type, name: str = "field", hint: Any = None, **names: Any) -> Callable[[], type]:
    namespace = {"__annotations__": {} if hint is None else {name: hint}} | names
    return lambda: type("Thing", bases, namespace)


text: Any = "1"
Q = sl.Quantized(step=0.1)
V = A[sl.Vec3, Q]
MESSAGE: dict[str, Any] = {"base": sl.Message}
MISTAKES: dict[str, tuple[Callable[[], type], str, str]] = {
    # name: (class body, what the text says of the place and the problem, what it says of the fix)
    "list": (body(list), "Thing.field: the list has no element type", "list[int]"),
    "plain tuple": (body(tuple[float, float]), "Thing.field: the type tuple", "sl.Vec2"),
    "word without arguments": (body(A[int, sl.Rate]),
      "Thing.field: Rate stands without its arguments", "sl.Rate(hz=...)"),
    "word twice": (body(A[int, sl.Rate(5), sl.Rate(6)]), "Thing.field: Rate stands twice", "keep one"),
    "two audiences": (body(A[int, sl.Local, sl.OwnerOnly]), "Thing.field: Audience stands twice", "keep one"),
    "group and owner": (body(A[int, sl.OwnerOnly, GroupOnly("party")]),
      "Thing.field: OwnerOnly and GroupOnly both say", "keep one"),
    "group twice": (body(A[int, GroupOnly("a"), GroupOnly("b")]), "Thing.field: GroupOnly stands twice", "keep one"),
    "group without a name": (body(A[int, GroupOnly("")]), "Thing.field: the group of GroupOnly is ''", "a name"),
    "group of a number": (body(A[int, GroupOnly(cast(Any, 3))]), "Thing.field: the group of GroupOnly is 3", "a name"),
    "group alone": (body(A[int, GroupOnly]),
      "Thing.field: GroupOnly stands without its arguments", "write GroupOnly(group=...)"),
    "group in a message": (body(A[int, GroupOnly("party")], **MESSAGE),
      "Thing.field: GroupOnly is for entities", "remove GroupOnly"),
    "six groups": (lambda: type("Thing", (sl.Entity,), {"__annotations__": {
        name: A[int, GroupOnly(name)] for name in "abcdef"}}), "Thing: it speaks of 6 groups (a, b, c", "share one"),
    "group of a position": (body(A[sl.Vec3, Q, GroupOnly("party")], name="position"),
      "Thing.position: it is where everybody looks", "without GroupOnly, OwnerOnly"),
    "Quantized int": (body(A[int, Q]), "Thing.field: Quantized does not go with int", "remove Quantized"),
    "Range of bool": (body(A[bool, sl.Range(0, 1)]), "Thing.field: Range does not go with bool", "remove Range"),
    "MaxLen of int": (body(A[int, sl.MaxLen(3)]), "Thing.field: MaxLen does not go with int", "remove MaxLen"),
    "step of zero": (body(A[float, sl.Quantized(step=0)]), "Thing.field: the step of Quantized is 0", "above 0"),
    "step of NaN": (body(A[float, sl.Quantized(step=float("nan"))]),
      "Thing.field: the step of Quantized is nan", "finite"),
    "step of text": (body(A[float, sl.Quantized(step=text)]), "Thing.field: the step of Quantized is '1'", "number"),
    "no step": (body(float), "Thing.field: a float has no step", "sl.Quantized(step=...)"),
    "Range without step": (body(A[float, sl.Range(0, 1)]),
      "Thing.field: Range on a float needs a step", "sl.Quantized"),
    "Range upside down": (body(A[int, sl.Range(5, 1)]), "Thing.field: Range(5, 1)", "lower first"),
    "Range of one": (body(A[int, sl.Range(5, 5)]), "Thing.field: Range(5, 5)", "lower first"),
    "Range of floats": (body(A[int, sl.Range(0.5, 2)]), "Thing.field: Range(0.5, 2)", "two integers"),
    "Range over 32 bits": (body(A[int, sl.Range(0, 2**32)]), "Thing.field: Range(0, 4294967296)", "two integers"),
    "Range of NaN": (body(A[float, Q, sl.Range(0, float("nan"))]), "Thing.field: Range(0, nan)", "finite"),
    "Range below a step": (body(A[float, Q, sl.Range(0, 0.05)]),
      "Thing.field: Range(0, 0.05) holds fewer", "finer step"),
    "Range of many steps": (body(A[float, Q, sl.Range(0, 1e9)]), "takes over 32 bits", "coarser step"),
    "Rate of zero": (body(A[int, sl.Rate(hz=0)]), "Thing.field: Rate hz is 0", "above 0"),
    "Unit bits": (body(A[sl.Vec2, sl.Unit(bits=17)]), "Thing.field: Unit bits is 17", "2 to 16"),
    "Unit and step": (body(A[sl.Vec2, sl.Unit(bits=8), Q]), "Thing.field: Unit already says", "remove Quantized"),
    "angle too fine": (body(A[sl.Angle, sl.Quantized(step=1e-12)]), "Thing.field: a step of 1e-12 rad", "coarser"),
    "Range of an angle": (body(A[sl.Angle, sl.Range(0, 1)]),
      "Thing.field: Range does not go with angle", "remove Range"),
    "Local and Rate": (body(A[int, sl.Local, sl.Rate(5)]),
      "Thing.field: a Local field never travels", "sl.Local alone"),
    "text in an entity": (body(A[str, sl.MaxLen(5)]), "Thing.field: entities cannot hold text", "message"),
    "enum of words": (body(Words), "Thing.field: Words has no integer values", "enum.IntEnum"),
    "empty enum": (body(Nobody), "Thing.field: Nobody has 0 members", "give it more"),
    "huge enum": (body(TooWide), "Thing.field: TooWide has values beyond 32 bits", "smaller"),
    "enum with gaps": (body(Sparse), "Thing.field: Sparse has gaps and spans 1001", "without gaps"),
    "private name": (body(int, name="_x"), "Thing._x: the name is taken", "another name"),
    "reserved name": (body(int, name="rows"), "Thing.rows: the name is taken", "another name"),
    "no annotation": (lambda: type("Thing", (sl.Entity,), {"health": 5}),
      "Thing.health: it has a value", "`health: int`"),
    "base default": (lambda: type("Thing", (Player,), {"health": 5}), "Thing.health: it has a value", "repeat"),
    "other type than the base": (derived(Player, name="health", hint=bool),
      "Thing.health: its base Player has an int there, this is a bool", "another name"),
    "other lanes than the base": (derived(Left, name="health", hint=V),
      "Thing.health: its base Left has an int there, this is a Vec3", "keep the type"),
    "base's default out of the new range": (derived(Player, name="health", hint=A[int, sl.Range(0, 50)]),
      "Thing.health: the default 100 does not fit", "give"),
    "a method over a field": (derived(Player, health=lambda self: 5),
      "Thing.health: it is a field of a base", "another name"),
    "a property over a field": (derived(Player, health=property(lambda self: 5)),
      "Thing.health: it is a field of a base", "another name"),
    "a ClassVar over a field": (derived(Player, name="health", hint=ClassVar[int]),
      "Thing.health: it is a field of its base Player and a ClassVar", "another name"),
    "a plain base": (derived(Plain, sl.Entity), "Thing: its base Plain annotates 'health' and is no Entity",
      "class Plain(sl.Entity, abstract=True)"),
    "two bases, one name": (derived(Left, Right), "Thing.health: its bases", "declare it in Thing"),
    "entity and message": (derived(sl.Entity, sl.Message), "Thing: it is both an Entity and a Message", "one of them"),
    "abstract": (lambda: type("Thing", (sl.Entity,), {}, abstract=1), "Thing: abstract is 1", "True or False"),
    "a choice": (body(int | None), "Thing.field: int | None is a choice of types", "one type"),
    "a word as annotation": (body(sl.Quantized(0.5)), "Thing.field: its annotation is Quantized(step=0.5) alone",
      "A[float, sl.Quantized(step=0.5)]"),
    "a word as default": (body(int, sl.Range(0, 5)), "Thing.field: its default is Range(low=0, high=5)",
      "A[type, sl.Range(low=0, high=5)]"),
    "numbers for Range": (body(A[int, 0, 100]), "Thing.field: 0 stands beside the type", "sl.Range(low=..., high=...)"),
    "a tuple for Range": (body(A[int, (0, 100)]), "Thing.field: (0, 100) stands beside", "sl.Range"),
    "a range for Range": (body(A[int, range(5)]), "Thing.field: range(0, 5) stands beside", "sl.Range"),
    "an attribute that is none": (body("math.nothing"), "Thing: an annotation cannot be evaluated:", "correct it"),
    "a list without limit": (body(list[int], **MESSAGE), "Thing.field: a list needs a limit",
      "A[list[int], sl.MaxLen(16)]"),
    "a list of nothing": (body(A[list, sl.MaxLen(4)], **MESSAGE), "Thing.field: the list has no element type",
      "list[int]"),
    "a list of lists": (body(A[list[list[int]], sl.MaxLen(4)], **MESSAGE), "Thing.field: a list of lists",
      "list of its"),
    "a list in an entity": (body(A[list[int], sl.MaxLen(4)]), "Thing.field: entities cannot hold a list", "message"),
    "a list in an input": (body(A[list[int], sl.MaxLen(4)], channel="input", **MESSAGE),
      "Thing.field: inputs have a fixed size and cannot hold a list", "reliable"),
    "a list too long": (body(A[list[int], sl.MaxLen(65536)], **MESSAGE), "Thing.field: MaxLen of the list is 65536",
      "1 to 65535"),
    "a list of texts without limit": (body(A[list[str], sl.MaxLen(4)], **MESSAGE),
      "Thing.field: text needs a limit", "A[list[A[str, sl.MaxLen(20)]], sl.MaxLen(4)]"),
    "a list heavier than its channel": (body(A[list[int], sl.MaxLen(65000)], **MESSAGE),
      "Thing: it may take 260003 bytes", "shorten its texts and lists"),
    "default of a list": (body(A[list[int], sl.Range(0, 9), sl.MaxLen(4)], [3, 10], **MESSAGE),
      "Thing.field: the default [3, 10] does not fit: element 1: it is outside 0 to 9", "a list"),
    "default longer than the list": (body(A[list[int], sl.MaxLen(1)], [3, 4], **MESSAGE),
      "does not fit: it has 2 elements, at most 1", "a list"),
    "default no list": (body(A[list[int], sl.MaxLen(1)], 3, **MESSAGE), "does not fit: 3 is not a list", "a list"),
    "unknown name": (body("Nowhere"), "Thing: the annotation names 'Nowhere'", "import it at module level"),
    "too many fields": (fields(sl.Entity, **{f"f{i}": bool for i in range(65)}), "Thing: it has 65 fields", "split"),
    "too many numbers": (fields(sl.Entity, **{f"f{i}": V for i in range(22)}), "66 numbers", "split"),
    "too many texts": (fields(sl.Message, **{f"f{i}": A[str, sl.MaxLen(1)] for i in range(17)}), "17 texts", "split"),
    "default too large": (body(A[int, sl.Range(0, 9)], 10),
      "Thing.field: the default 10 does not fit: it is outside 0 to 9", "give"),
    "default of a float": (body(int, 1.5), "Thing.field: the default 1.5", "give"),
    "default of bool in int": (body(int, True), "Thing.field: the default True", "give"),
    "default int in bool": (body(bool, 1), "Thing.field: the default 1", "True or False"),
    "default NaN": (body(A[float, Q], float("nan")), "Thing.field: the default nan", "finite"),
    "default huge": (body(A[float, Q], 1e300), "Thing.field: the default 1e+300", "within its range"),
    "default lanes": (body(V, (0, 0)), "Thing.field: the default (0, 0)", "tuple of 3"),
    "default scalar for a vector": (body(V, 0), "Thing.field: the default 0", "tuple of 3"),
    "default of a Local float": (body(A[float, sl.Local], "x"), "Thing.field: the default 'x'", "number"),
    "default longer than 1": (body(A[sl.Vec2, sl.Unit(8)], (1, 1)), "its length is 1.41421", "length at most 1"),
    "default without name": (body(Stance, 7), "Thing.field: the default 7", "member of Stance"),
    "default flag without name": (body(Flags, 2), "Thing.field: the default 2", "member of Flags"),
    "position is a number": (body(A[float, Q], name="position"), "Thing.position: it is where everybody", "sl.Vec2"),
    "position is Local": (body(A[sl.Vec2, sl.Local], name="position"),
      "Thing.position: it is where", "OwnerOnly or Local"),
    "entity keyword": (body(int, channel="input"), "Thing: class keyword 'channel' is not for entities", "remove it"),
    "by nothing": (fields(sl.Entity, p=A[V, sl.Predicted(by="")]), "Thing.p: Predicted by=''", "name of the velocity"),
    "by a typo": (fields(sl.Entity, p=A[V, sl.Predicted(by="velocty")], velocity=V), "Thing.p:", "'velocity'"),
    "by itself": (fields(sl.Entity, p=A[V, sl.Predicted(by="p")]),
      "Thing.p: it is predicted by 'p'", "take Predicted off"),
    "by other lanes": (fields(sl.Entity, p=A[V, sl.Predicted(by="v")], v=A[sl.Vec2, Q]),
      "Thing.p: its velocity 'v'", "3 lanes"),
    "by a Local": (fields(sl.Entity, p=A[V, sl.Predicted(by="v")], v=A[sl.Vec3, sl.Local]), "Thing.p:", "change"),
    "by an int": (fields(sl.Entity, p=A[float, Q, sl.Predicted(by="v")], v=int), "Thing.p:", "1 lane;"),
    "by a secret": (fields(sl.Entity, p=A[V, sl.Predicted(by="v")], v=A[V, sl.OwnerOnly]),
      "Thing.p: not everybody", "OwnerOnly"),
    "tolerance": (fields(sl.Entity, p=A[V, sl.Predicted("v", -1)], v=V), "Thing.p: the tolerance is -1", "0 or above"),
    "Local in a message": (body(A[int, sl.Local], **MESSAGE), "Thing.field: Local is for entities", "remove Local"),
    "OwnerOnly in a message": (body(A[int, sl.OwnerOnly], **MESSAGE),
      "Thing.field: OwnerOnly is for", "remove OwnerOnly"),
    "Rate in a message": (body(A[int, sl.Rate(5)], **MESSAGE), "Thing.field: Rate is for entities", "remove Rate"),
    "Predicted in a message": (body(A[V, sl.Predicted("v")], **MESSAGE), "Thing.field: Predicted is for", "remove"),
    "text without limit": (body(str, **MESSAGE), "Thing.field: text needs a limit", "A[str, sl.MaxLen(100)]"),
    "MaxLen of zero": (body(A[str, sl.MaxLen(0)], **MESSAGE), "Thing.field: MaxLen is 0", "above 0"),
    "default too long": (body(A[str, sl.MaxLen(1)], "ab", **MESSAGE), "Thing.field: the default 'ab'", "at most 1"),
    "default surrogate": (body(A[str, sl.MaxLen(1)], "\ud800", **MESSAGE), "lone surrogate", "text"),
    "channel typo": (body(int, channel="relible", **MESSAGE), "Thing: there is no channel 'relible'", "'reliable'"),
    "channel unknown": (body(int, channel="x", **MESSAGE), "Thing: there is no channel 'x'", "unreliable, reliable"),
    "message keyword": (body(int, rate=3, **MESSAGE), "Thing: class keyword 'rate' is unknown", "per_second="),
    "per_second": (body(int, per_second=0, **MESSAGE), "Thing: per_second is 0", "above 0"),
    "compress": (body(int, compress=1, **MESSAGE), "Thing: compress is 1", "True or False"),
    "text in an input": (body(A[str, sl.MaxLen(5)], channel="input", **MESSAGE),
      "Thing.field: inputs have a fixed", "reliable"),
    "datagram": (body(A[str, sl.MaxLen(249)], channel="latest", **MESSAGE),
      "Thing: it may take 998 bytes, channel 'latest'", "reliable"),
    "parts": (body(A[str, sl.MaxLen(3840)], **MESSAGE),
      "Thing: it may take 15362 bytes, channel 'unreliable'", "reliable"),
    "stream of latest": (body(int, channel="latest", stream=3, **MESSAGE), "channel 'latest' has no streams", "remove"),
    "stream of unordered": (body(int, channel="unordered", stream=0, **MESSAGE), "has no streams", "remove stream="),
    "stream 8": (body(int, channel="reliable", stream=8, **MESSAGE), "Thing: stream is 8", "0 (the most urgent) to 7"),
    "stream of text": (body(int, channel="reliable", stream="3", **MESSAGE), "stream is '3'", "whole number"),
    "long message": (body(A[str, sl.MaxLen(65536)], channel="reliable", **MESSAGE),
      "carries 262143", "shorten its texts and lists"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_place_and_fix(mistake: str) -> None:
    make, problem, fix = MISTAKES[mistake]
    with pytest.raises(ConfigError) as caught:
        make()
    text = str(caught.value)
    assert problem in text and fix in text.split(problem)[1], text
    assert text.startswith("Thing") and "\n" not in text

"""Schema: the same classes give the same ids and hash in any order; any difference on the wire changes the hash."""
import json
from typing import Annotated as A
from typing import Any

import pytest

import shadowland as sl
from shadowland.errors import ConfigError, UsageError
from shadowland.schema.document import read_document
from shadowland.server import known_classes


def entity(name: str, **hints: Any) -> type[sl.Entity]:
    return type(name, (sl.Entity,), {"__annotations__": hints})


def message(name: str, channel: str = "unreliable", per_second: float | None = None, **hints: Any) -> type[sl.Message]:
    keywords: dict[str, Any] = {"channel": channel, "per_second": per_second}
    made: type[sl.Message] = type(name, (sl.Message,), {"__annotations__": hints}, **keywords)
    return made


A_ORC = entity("Orc", health=int)
B_PLAYER = entity("Player", health=A[int, sl.Range(0, 100)], gold=A[int, sl.OwnerOnly])
CHAT = message("Chat", "reliable", 2, text=A[str, sl.MaxLen(9)])
MOVE = message("Move", "input", way=A[sl.Vec2, sl.Unit(8)])


def test_ids_follow_names() -> None:
    schema = sl.Schema([B_PLAYER, A_ORC], [MOVE, CHAT])
    assert schema.entities == {0: A_ORC, 1: B_PLAYER} and schema.messages == {1: CHAT, 2: MOVE}
    assert schema.id_of(A_ORC) == 0 and schema.id_of(MOVE) == 2 and schema.channel_of(MOVE) == 4
    again = sl.Schema((A_ORC, B_PLAYER), iter([CHAT, MOVE]))
    assert again.hash == schema.hash and again.classes == schema.classes and not schema.diff(again)
    assert [number for number, _ in schema.classes] == [0, 1, 257, 258]


def test_the_hash_never_changes_by_itself() -> None:
    """Other machines and Python versions must find these numbers; a changed format needs a new FORMAT."""
    schema = sl.Schema([B_PLAYER, A_ORC], [MOVE, CHAT])
    assert json.loads(schema.json)["format"] == 1 and schema.json.isascii() and " " not in schema.json
    assert f"{schema.hash:016x}" == "3d60eabd42651ac9"
    assert schema.classes[0] == (0, 2616576032)


@pytest.mark.parametrize("other", [
    [A[int, sl.Range(0, 101)], A[int, sl.OwnerOnly]],
    [A[int, sl.Range(0, 100), sl.Rate(5)], A[int, sl.OwnerOnly]],
    [A[int, sl.Range(0, 100)], int],
    [A[int, sl.Range(0, 100)], A[bool, sl.OwnerOnly]],
])
def test_any_difference_on_the_wire_changes_the_hash(other: list[Any]) -> None:
    changed = entity("Player", health=other[0], gold=other[1])
    mine, theirs = sl.Schema([A_ORC, B_PLAYER]), sl.Schema([A_ORC, changed])
    assert mine.hash != theirs.hash and mine.classes[0] == theirs.classes[0] and mine.classes[1] != theirs.classes[1]
    assert all(line.startswith("entity Player") and " → " in line for line in mine.diff(theirs)) and mine.diff(theirs)
    assert mine.diff(theirs.classes) == ["entity Player: is declared otherwise on the other side "
                                         "(here: health int 0..100, gold int -2147483648..2147483647)"]


def test_what_stays_on_the_server_is_not_part_of_the_hash() -> None:
    local = entity("Orc", health=int, anger=A[float, sl.Local])
    assert sl.Schema([A_ORC]).hash == sl.Schema([local]).hash


def test_a_tolerance_of_zero_is_not_none() -> None:
    step = sl.Quantized(step=0.1)
    exact, loose = (entity("Thing", x=A[float, step, sl.Predicted("v", tolerance)], v=A[float, step])
                    for tolerance in (0, None))
    assert sl.Schema([exact]).hash != sl.Schema([loose]).hash


def test_differences_read_as_sentences() -> None:
    mine = sl.Schema([A_ORC, entity("Elf", a=int, b=bool)], [CHAT])
    chat = message("Chat", "reliable", 3, text=A[str, sl.MaxLen(8)])
    theirs = sl.Schema([B_PLAYER, entity("Elf", b=bool, a=int)], [chat])
    assert mine.diff(theirs) == [
        "entity Elf: the order of its fields changed a, b → b, a",
        "entity Orc: removed",
        "entity Player: added",
        "message Chat.text: characters changed 9 → 8",
        "message Chat: per_second changed 2 → 3",
    ]


def test_what_is_never_compressed_is_part_of_the_contract() -> None:
    class Whisper(sl.Message, channel="reliable", compress=False):
        text: A[str, sl.MaxLen(9)] = ""

    class Louder(Whisper):
        pass

    open_, closed = sl.Schema([], [message("Whisper", "reliable", text=A[str, sl.MaxLen(9)])]), sl.Schema([], [Whisper])
    assert open_.hash != closed.hash
    assert open_.diff(closed) == ["message Whisper: compress changed True → False"]
    assert (open_.plain_kinds, closed.plain_kinds, sl.Schema([], [CHAT, Louder, Whisper]).plain_kinds) == (
        [], [1], [2, 3])


def test_one_class_more_is_one_line_and_not_many() -> None:
    mine = sl.Schema([A_ORC, B_PLAYER])
    assert mine.diff(sl.Schema([entity("Ant"), A_ORC, B_PLAYER]).classes) == [
        "entity 0 of the other side: there is none like it here"]


@pytest.mark.parametrize("hint, line", [
    (A[int, sl.Range(0, 200)], "range changed 0..100 → 0..200: 7 → 8 bits"),
    (A[int, sl.Range(0, 100), sl.OwnerOnly], "seen by changed everybody → the owner only"),
    (A[int, sl.Range(0, 100), sl.Rate(5)], "rate changed each tick → 5 Hz"),
    (bool, "type changed int → bool: 7 → 1 bits"),
    (A[float, sl.Quantized(0.5), sl.Range(0, 50)], "type changed int → float"),
    (A[sl.Vec2, sl.Quantized(0.5), sl.Range(0, 50)], "type changed int → Vec2 of float: 7 → 2 × 7 bits"),
])
def test_a_change_of_a_field_is_named_with_its_bits(hint: Any, line: str) -> None:
    old, new = entity("Orc", health=A[int, sl.Range(0, 100)]), entity("Orc", health=hint)
    assert f"entity Orc.health: {line}" in sl.Schema([old]).diff(sl.Schema([new]))


def test_whatever_changes_the_hash_has_a_line() -> None:
    """Invariant: no two schemas of different hash differ in nothing that is said."""
    step = sl.Quantized(0.5)
    hints = [A[int, sl.Range(0, 9)], int, bool, A[float, step], A[float, sl.Quantized(0.25)], sl.Angle,
             A[float, step, sl.OwnerOnly], A[sl.Vec2, step], A[sl.Vec3, step], A[sl.Vec2, sl.Unit(8)],
             A[sl.Vec2, sl.Unit(9)], A[float, sl.Unit(8)],
             A[sl.Angle, step], A[float, step, sl.Predicted("v")], A[float, step, sl.Predicted("v", 0)]]
    schemas = [sl.Schema([entity("Orc", v=A[float, step], x=hint)]) for hint in hints]
    for mine in schemas:
        for theirs in schemas:
            assert bool(mine.diff(theirs)) == (mine.hash != theirs.hash) == (mine is not theirs)


def test_whatever_changes_in_a_list_or_text_has_a_line() -> None:
    three, two = sl.MaxLen(3), sl.MaxLen(2)
    hints = [A[list[int], three], A[list[int], two], A[list[int], sl.Range(0, 9), three], A[list[bool], three], int,
             A[list[A[str, three]], three], A[list[A[str, two]], three], A[list[A[str, three]], two], A[str, three],
             A[list[sl.Vec2], three], A[list[sl.Vec3], three], A[list[sl.Vec2], sl.Unit(8), three]]
    schemas = [sl.Schema([], [message("M", "reliable", x=hint)]) for hint in hints]
    for mine in schemas:
        for theirs in schemas:
            assert bool(mine.diff(theirs)) == (mine.hash != theirs.hash) == (mine is not theirs)
    assert schemas[0].diff(schemas[1]) == ["message M.x: elements changed 3 → 2"]
    assert "message M.x: type changed list of int → int" in schemas[0].diff(schemas[4])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format":1}', '{"format":2,"entities":[],"messages":[]}',
                                  '{"format":1,"entities":[{"name":"A"}],"messages":[]}', "[" * 100_000,
                                  '{"format":1,"entities":[],"messages":[],"more":1}'])
def test_what_is_no_schema_is_one_error(text: str) -> None:
    with pytest.raises(ConfigError, match="^file.json: "):
        read_document(text, "file.json")


def test_abstract_classes_are_in_no_schema() -> None:
    class Base(sl.Entity, abstract=True):
        health: int = 0

    class Derived(Base):
        pass

    assert sl.Schema([Derived]).entities == {0: Derived}
    found = known_classes(sl.Entity)
    assert Derived in found and Base not in found
    with pytest.raises(ConfigError, match="Base is abstract; give the schema the classes derived from it"):
        sl.Schema([Base])
    with pytest.raises(UsageError, match="Base is abstract; make an instance of a class derived from it"):
        Base()
    assert Derived(health=3).health == 3


def test_limits_and_mistakes() -> None:
    sl.Schema(messages=[message(f"M{index}") for index in range(180)])
    for entities, messages, text in [
        ([A_ORC, entity("Orc")], [], "two entity classes are called Orc; rename one"),
        ([], [CHAT, message("Chat")], "two message classes are called Chat; rename one"),
        ([CHAT], [], "is no entity class; derive it from sl.Entity"),
        ([], [sl.Message], "is no message class; derive it from sl.Message"),
        ([entity(f"E{index}") for index in range(256)], [], "256 entity classes, at most 255"),
        ([], [message(f"M{index}") for index in range(201)], "201 message classes, at most 200"),
        ([entity(f"E{index}") for index in range(100)], [message(f"M{index}") for index in range(81)], "181 classes"),
    ]:
        with pytest.raises(ConfigError, match=text):
            sl.Schema(entities, messages)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="Orc is not in the schema; name it"):
        sl.Schema().id_of(A_ORC)

"""Writes tests/vectors/messages.json: `python -m tests.reference.message_vectors > tests/vectors/messages.json`.

Made by the reference codec alone; the compiled one is checked against the file.
"""
import json
import struct
from typing import Any

from tests.reference.codec import ENUM, FLAGS, FLOAT32, RANGE, Codec, Component


def bits_of(number: float) -> int:
    return int(struct.unpack("<i", struct.pack("<f", number))[0])


UNIT8 = [(RANGE, -127, 127, 8, 2, 127**2, 0), (RANGE, -127, 127, 8, 1, 0, 0)]
CLASSES: dict[str, tuple[list[Component], list[int]]] = {
    "Move: Vec2 of Unit(bits=8)": (UNIT8, []),
    "Chat: str of MaxLen(200)": ([], [200]),
    "Range(0, 100), bool, Range(-5, 9)": (
        [(RANGE, 0, 100, 7, 1, 0, 0), (RANGE, 0, 1, 1, 1, 0, 0), (RANGE, -5, 9, 4, 1, 0, 0)], []),
    "int": ([(RANGE, -2**31, 2**31 - 1, 32, 1, 0, 0)], []),
    "float": ([(FLOAT32, 0, 0, 32, 1, 0, 0)], []),
    "IntEnum of 1, 2, 5": ([(ENUM, 1, 5, 3, 1, 0, 0b10011)], []),
    "IntFlag of 1, 64": ([(FLAGS, 0, 65, 7, 1, 0, 65)], []),
    "bool, two texts": ([(RANGE, 0, 1, 1, 1, 0, 0)], [2, 3]),
    "nothing": ([], []),
}
MESSAGES: dict[str, list[tuple[list[int], list[str]]]] = {
    "Move: Vec2 of Unit(bits=8)": [([0, 0], []), ([127, 0], []), ([-90, 89], []), ([0, -127], [])],
    "Chat: str of MaxLen(200)": [([], [""]), ([], ["hello"]), ([], ["h\u00e9llo \u20ac \U0001f600"]),
                                 ([], ["x" * 200])],
    "Range(0, 100), bool, Range(-5, 9)": [([0, 0, -5], []), ([100, 1, 9], []), ([37, 1, 0], [])],
    "int": [([0], []), ([-2**31], []), ([2**31 - 1], [])],
    "float": [([bits_of(0.0)], []), ([bits_of(1.5)], []), ([bits_of(-3.25e38)], []), ([1], [])],
    "IntEnum of 1, 2, 5": [([1], []), ([2], []), ([5], [])],
    "IntFlag of 1, 64": [([0], []), ([1], []), ([65], [])],
    "bool, two texts": [([1], ["ab", "\u20ac\u20ac\u20ac"]), ([0], ["", ""])],
    "nothing": [([], [])],
}
MALFORMED: dict[str, dict[str, str]] = {
    "Move: Vec2 of Unit(bits=8)": {
        "fe80": "length above 1", "ff7f": "beyond the range", "7f": "too short", "7f7f00": "trailing byte",
        "": "empty"},
    "Chat: str of MaxLen(200)": {
        "": "no length", "0261": "cut", "016162": "trailing byte", "8000": "over-long length", "01ff": "not UTF-8",
        "02c080": "over-long UTF-8", "03eda080": "surrogate", "c901" + "61" * 201: "201 characters"},
    "Range(0, 100), bool, Range(-5, 9)": {"6500": "101", "000f": "beyond the range", "0010": "padding bit set"},
    "float": {"0000807f": "infinity", "0000c07f": "NaN"},
    "IntEnum of 1, 2, 5": {"02": "3 has no name", "05": "beyond the range", "08": "padding bit set"},
    "IntFlag of 1, 64": {"02": "flag without a name", "7f": "flags without names", "80": "padding bit set"},
    "bool, two texts": {"000361626300": "three characters of two", "0000": "one text"},
    "nothing": {"00": "trailing byte"},
}


Listed = list[tuple[Component, int, int]]
LISTS: dict[str, tuple[list[Component], list[int], Listed]] = {
    "bool, list of Range(0, 9), at most 16": ([(RANGE, 0, 1, 1, 1, 0, 0)], [], [((RANGE, 0, 9, 4, 1, 0, 0), 16, 0)]),
    "list of Vec2 of Unit(bits=8), at most 2": ([], [], [((RANGE, -127, 127, 8, 2, 127**2, 0), 2, 0)]),
    "text, list of texts of MaxLen(2), at most 3": ([], [5], [((RANGE, 0, 1, 1, 1, 0, 0), 3, 2)]),
}
WITH_LISTS: dict[str, list[tuple[list[int], list[str], list[Any]]]] = {
    "bool, list of Range(0, 9), at most 16": [([1], [], [[]]), ([0], [], [[9]]), ([1], [], [[1, 2, 3]]),
                                              ([1], [], [[5] * 16])],
    "list of Vec2 of Unit(bits=8), at most 2": [([], [], [[]]), ([], [], [[127, 0, -90, 89]])],
    "text, list of texts of MaxLen(2), at most 3": [([], ["hi"], [["a", "", "\u20ac\u20ac"]]), ([], [""], [[]])],
}
LISTS_REFUSED: dict[str, dict[str, str]] = {
    "bool, list of Range(0, 9), at most 16": {
        "01": "no count", "0101": "cut", "01010a": "10", "010115": "padding bit set", "0111" + "00" * 9: "17 elements",
        "018100": "over-long count", "010000": "trailing byte"},
    "list of Vec2 of Unit(bits=8), at most 2": {"01fefe": "length above 1", "017f": "half an element"},
    "text, list of texts of MaxLen(2), at most 3": {
        "000400000000": "four texts", "000103616161": "three characters", "0001": "cut", "000101ff": "not UTF-8"},
}


def lists() -> list[dict[str, Any]]:
    found = []
    for name, parts in LISTS.items():
        codec, good = Codec(*parts), []
        for numbers, texts, values in WITH_LISTS[name]:
            encoded = [[text.encode() for text in part] if limit else part
                       for part, (_, _, limit) in zip(values, parts[2], strict=True)]
            payload = codec.encode(numbers, [text.encode() for text in texts], encoded)
            assert payload is not None and codec.decode(payload) == (numbers, [*texts, *values]), (name, values)
            good.append({"numbers": numbers, "texts": texts, "lists": values, "payload": payload.hex()})
        assert all(codec.decode(bytes.fromhex(payload)) is None for payload in LISTS_REFUSED[name]), name
        found.append({"class": name, "components": parts[0], "texts": parts[1], "lists": parts[2], "messages": good,
                      "refused": LISTS_REFUSED[name]})
    return found


def document() -> dict[str, Any]:
    classes = []
    for name, (components, limits) in CLASSES.items():
        codec = Codec(components, limits)
        good = []
        for numbers, texts in MESSAGES[name]:
            payload = codec.encode(numbers, [text.encode() for text in texts])
            assert payload is not None, (name, numbers)
            good.append({"numbers": numbers, "texts": texts, "payload": payload.hex()})
        bad = MALFORMED.get(name, {})
        assert all(codec.decode(bytes.fromhex(payload)) is None for payload in bad), name
        classes.append({"class": name, "components": [list(component) for component in components], "texts": limits,
                        "messages": good, "refused": bad})
    return {
        "generated": "python -m tests.reference.message_vectors > tests/vectors/messages.json",
        "components": "kind (0 range, 1 float32, 2 enum, 3 flags), low, high, bits, lanes, unit_squared, members",
        "classes": classes,
        "lists": "of each: its component with the lanes of an element, most elements, most characters (0: numbers)",
        "classes_with_lists": lists(),
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))

"""Schema: all classes of a world together, with their ids and the hash that both sides compare in the handshake."""
import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from shadowland.errors import ConfigError
from shadowland.schema.classes import CHANNELS, Entity, Message, contract_of
from shadowland.schema.document import FORMAT, canonical_json, describe, differences

MAX_ENTITIES: Final = 255           # ids 0 to 254
MAX_MESSAGES: Final = 200           # ids 1 to 200: the kind byte of a message
MAX_CLASSES: Final = 180            # that many (id, digest) pairs fit the refusal of a handshake
MAX_GROUPS: Final = 16              # sorts of groups that GroupOnly fields speak of
FIRST_MESSAGE_ID: Final = 256       # of a message in `classes`: 256 + its kind


def _digest(text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[:size], "little")


class Schema:
    """The classes of a world. Two sides with equal `hash` understand each other.

    Ids follow the order of names: entity types from 0, message kinds from 1, whatever order the classes are given in.
    The constructor takes iterables of classes; ConfigError for two of one name, too many, or what is no such class.
    """

    def __init__(self, entities: Iterable[type[Entity]] = (), messages: Iterable[type[Message]] = ()) -> None:
        self.entities: dict[int, type[Entity]] = dict(enumerate(_sorted(entities, Entity, MAX_ENTITIES)))
        self.messages: dict[int, type[Message]] = dict(enumerate(_sorted(messages, Message, MAX_MESSAGES), 1))
        self.groups: tuple[str, ...] = _groups(self.entities.values())
        self._ids: dict[type, int] = {cls: number for number, cls in (*self.entities.items(), *self.messages.items())}
        if len(self._ids) > MAX_CLASSES:
            raise ConfigError(f"the schema has {len(self._ids)} classes, at most {MAX_CLASSES} are allowed; join some")
        texts: dict[int, str] = {}
        for number, entity in self.entities.items():
            texts[number] = canonical_json(contract_of(entity).canonical())
        for number, message in self.messages.items():
            entries = contract_of(message).canonical()
            texts[FIRST_MESSAGE_ID + number] = canonical_json(entries | {"channel": CHANNELS[str(entries["channel"])]})
        self.classes: list[tuple[int, int]] = [(number, _digest(text, 4)) for number, text in texts.items()]
        self._names = {number: cls.__name__ for number, cls in self.entities.items()}
        self._names |= {FIRST_MESSAGE_ID + number: cls.__name__ for number, cls in self.messages.items()}
        self._fields = {number: [describe(field) for field in json.loads(text)["fields"]]
                        for number, text in texts.items()}
        self.json: str = canonical_json({
            "format": FORMAT,
            "entities": [json.loads(texts[number]) for number in self.entities],
            "messages": [json.loads(texts[FIRST_MESSAGE_ID + number]) for number in self.messages],
        })
        self.hash: int = _digest(self.json, 8)

    def id_of(self, cls: type) -> int:
        """Entity type (0 to 254) or message kind (1 to 200) of a class; ConfigError if it is not in the schema."""
        try:
            return self._ids[cls]
        except KeyError:
            raise ConfigError(f"{cls.__name__} is not in the schema; name it when the schema is made") from None

    def channel_of(self, cls: type[Message]) -> int:
        """The wire channel of a message class, with 16 × its stream."""
        contract = contract_of(cls)
        return CHANNELS[contract.channel] + 16 * contract.stream

    @property
    def plain_kinds(self) -> list[int]:
        """Kinds of the messages that are never compressed."""
        return [number for number, cls in self.messages.items() if not contract_of(cls).compress]

    def diff(self, other: "Schema | Iterable[tuple[int, int]]") -> list[str]:
        """What differs, a line each; empty when both agree. `old → new` stands for here and there.

        other: another schema, or the (id, digest) pairs with which a server refuses a handshake. Pairs carry no names:
        the lines name our classes that the other side has not, and number the ones of the other side.
        """
        if not isinstance(other, Schema):
            return self._diff_digests(dict(other))
        return differences(self.json, other.json)

    def _diff_digests(self, theirs: dict[int, int]) -> list[str]:
        mine = dict(self.classes)
        kinds = {number: "entity" if number < FIRST_MESSAGE_ID else "message" for number in (*mine, *theirs)}
        # By digest and not by id: one class more moves the ids of all that come after it.
        ours = [number for number, digest in mine.items() if digest not in theirs.values()]
        others = [number for number, digest in sorted(theirs.items()) if digest not in mine.values()]
        counts = {kind: (sum(kinds[number] == kind for number in mine), sum(kinds[number] == kind for number in theirs))
                  for kind in ("entity", "message")}
        lines = []
        for number in ours:
            # As many classes on both sides, and the same id: it is the same class, declared otherwise.
            same = number in others and len(set(counts[kinds[number]])) == 1
            fields = ", ".join(self._fields[number]) or "no fields"
            problem = "is declared otherwise on the other side" if same else "the other side has none like it"
            lines.append(f"{kinds[number]} {self._names[number]}: {problem} (here: {fields})")
            if same:
                others.remove(number)
        return lines + [f"{kinds[number]} {number % FIRST_MESSAGE_ID} of the other side: there is none like it here"
                        for number in others]

    def __repr__(self) -> str:
        return f"<Schema {self.hash:016x}: {len(self.entities)} entities, {len(self.messages)} messages>"


def _groups(entities: Iterable[type[Entity]]) -> tuple[str, ...]:
    """Names of the sorts of groups that GroupOnly fields speak of, sorted."""
    found = sorted({group for cls in entities for group in contract_of(cls).groups})
    if len(found) > MAX_GROUPS:
        raise ConfigError(f"the schema speaks of {len(found)} groups ({', '.join(found)}), at most {MAX_GROUPS} are "
                          "allowed; let fields share one")
    return tuple(found)


def _sorted(classes: Iterable[Any], root: type, limit: int) -> list[Any]:
    found = list(classes)
    word = "entity" if root is Entity else "message"
    for cls in found:
        if not (isinstance(cls, type) and issubclass(cls, root)) or cls is root:
            raise ConfigError(f"{cls!r} is no {word} class; derive it from sl.{root.__name__}")
        if contract_of(cls).abstract:
            raise ConfigError(f"{cls.__name__} is abstract; give the schema the classes derived from it")
    names = [cls.__name__ for cls in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two {word} classes are called {name}; rename one")
    if len(found) > limit:
        raise ConfigError(f"the schema has {len(found)} {word} classes, at most {limit} are allowed; join some")
    return sorted(found, key=lambda cls: str(cls.__name__))

"""Schema: all classes of a world together, with their ids and the hash that both sides compare in the handshake."""
import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from shadowland.errors import ConfigError
from shadowland.schema.classes import CHANNELS, Entity, Message, contract_of

MAX_ENTITIES: Final = 255           # ids 0 to 254
MAX_MESSAGES: Final = 200           # ids 1 to 200: the kind byte of a message
MAX_CLASSES: Final = 180            # that many (id, digest) pairs fit the refusal of a handshake
FIRST_MESSAGE_ID: Final = 256       # of a message in `classes`: 256 + its kind
FORMAT: Final = 1                   # of the canonical text, and of the bytes that it stands for


def canonical_json(value: object) -> str:
    """JSON that is the same on every machine: keys sorted, no spaces, ASCII, floats in their shortest form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


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
        self._texts = texts
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
        """What differs, a line each; empty when both agree.

        other: another schema, or the (id, digest) pairs with which a server refuses a handshake. Pairs carry no names:
        the lines name our classes that the other side has not, and number the ones of the other side.
        """
        if not isinstance(other, Schema):
            return self._diff_digests(dict(other))
        mine, theirs = self._by_name(), other._by_name()
        lines = [f"{name}: only here" for name in mine if name not in theirs]
        lines += [f"{name}: only there" for name in theirs if name not in mine]
        for name in mine.keys() & theirs.keys():
            lines += _diff_class(name, mine[name], theirs[name])
        return sorted(lines)

    def _by_name(self) -> dict[str, dict[str, Any]]:
        entities = {f"entity {self._names[number]}": json.loads(self._texts[number]) for number in self.entities}
        return entities | {f"message {self._names[number]}": json.loads(text) for number, text in self._texts.items()
                           if number >= FIRST_MESSAGE_ID}

    def _diff_digests(self, theirs: dict[int, int]) -> list[str]:
        mine = dict(self.classes)
        kinds = {number: "entity" if number < FIRST_MESSAGE_ID else "message" for number in (*mine, *theirs)}
        # By digest and not by id: one class more moves the ids of all that come after it.
        lines = [f"{kinds[number]} {self._names[number]}: the other side has none like it"
                 for number, digest in mine.items() if digest not in theirs.values()]
        lines += [f"{kinds[number]} {number % FIRST_MESSAGE_ID} of the other side: there is none like it here"
                  for number, digest in sorted(theirs.items()) if digest not in mine.values()]
        return lines

    def __repr__(self) -> str:
        return f"<Schema {self.hash:016x}: {len(self.entities)} entities, {len(self.messages)} messages>"


def _sorted(classes: Iterable[Any], root: type, limit: int) -> list[Any]:
    found = list(classes)
    word = "entity" if root is Entity else "message"
    for cls in found:
        if not (isinstance(cls, type) and issubclass(cls, root)) or cls is root:
            raise ConfigError(f"{cls!r} is no {word} class; derive it from sl.{root.__name__}")
    names = [cls.__name__ for cls in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two {word} classes are called {name}; rename one")
    if len(found) > limit:
        raise ConfigError(f"the schema has {len(found)} {word} classes, at most {limit} are allowed; join some")
    return sorted(found, key=lambda cls: str(cls.__name__))


def _diff_class(name: str, mine: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    lines = [f"{name}: {key} is {mine.get(key, 'unset')!r} here and {theirs.get(key, 'unset')!r} there"
             for key in sorted(mine.keys() | theirs.keys()) if key != "name" and key != "fields"
             and mine.get(key) != theirs.get(key)]
    ours = {field["name"]: field for field in mine["fields"]}
    others = {field["name"]: field for field in theirs["fields"]}
    lines += [f"{name}.{field}: only here" for field in ours if field not in others]
    lines += [f"{name}.{field}: only there" for field in others if field not in ours]
    for field in (field for field in ours if field in others):
        for key in sorted(ours[field].keys() | others[field].keys()):
            a, b = ours[field].get(key, "unset"), others[field].get(key, "unset")
            if a != b:
                lines.append(f"{name}.{field}: {key} is {a!r} here and {b!r} there")
    if not lines and [*ours] != [*others]:
        lines.append(f"{name}: the order of its fields is {', '.join(ours)} here and {', '.join(others)} there")
    return lines

"""Canonical schema texts: what one says, and how two differ, in words. Needs no classes: a file will do.

Whatever a text holds, reading it ends in a document or in one ConfigError.
"""
import json
from typing import Any, Final

import msgspec

from shadowland.errors import ConfigError
from shadowland.schema.classes import CHANNELS

FORMAT: Final = 1                   # of the canonical text, and of the bytes that it stands for
AUDIENCES: Final = {0: "everybody", 1: "the owner only"}
NAMES: Final = {number: name for name, number in CHANNELS.items()}


class FieldText(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One field as it stands in the canonical text."""

    name: str
    kind: str
    lanes: int
    step: float = 1.0
    low: int = 0
    high: int = 0
    bits: int = 0
    max_length: int = 0
    most: int = 0
    audience: int = 0
    group: str = ""
    rate_hz: float = 0.0
    predicted_by: str = ""
    tolerance: float | None = None
    unit: bool = False
    edge: list[float] = []
    members: list[int] = []

    @property
    def range(self) -> str:
        """Least and greatest value in the field's own unit."""
        if self.step == 1.0:
            return f"{self.low}..{self.high}"
        return f"{self.low * self.step:g}..{self.high * self.step:g}"

    @property
    def type(self) -> str:
        """Its type as a reader would say it."""
        names = {"float32": "float of 32 bits", "text": "str"}
        name = names.get(self.kind, self.kind)
        name = f"Vec{self.lanes} of {name}" if self.lanes > 1 else name
        return f"list of {name}" if self.most else name

    @property
    def total(self) -> int:
        """Bits of all its numbers."""
        offsets = sum((round(edge / self.step) - 1).bit_length() for edge in self.edge)
        return self.bits * self.lanes + offsets

    @property
    def width(self) -> str:
        """What it takes on the wire."""
        if self.edge:
            return f"{self.total} bits"
        return f"{self.bits} bits" if self.lanes == 1 else f"{self.lanes} × {self.bits} bits"

    def facts(self) -> dict[str, str]:
        """What may differ in a field of one type, each in words."""
        audience = f"the owner and his {self.group}" if self.group else AUDIENCES.get(self.audience, str(self.audience))
        found = {"seen by": audience, "rate": f"{self.rate_hz:g} Hz" if self.rate_hz else "each tick"}
        found["predicted by"] = self.predicted_by or "nothing"
        found["tolerance"] = "from the velocity" if self.tolerance is None else f"{self.tolerance:g}"
        if self.most:
            found["elements"] = str(self.most)
        if self.kind in ("enum", "flags"):
            found["values"] = ", ".join(map(str, self.members))
        elif self.kind == "text":
            found["characters"] = str(self.max_length)
        elif self.unit:
            found["Unit bits"] = str(self.bits)
        elif self.kind not in ("bool", "float32"):
            found["step"] = f"{self.step:g}"
            if self.edge:
                found["quadrants"] = f"{' × '.join(f'{edge:g}' for edge in self.edge)}, {self.bits} bits each"
            elif self.kind != "angle":
                found["range"] = self.range
        return found


class ClassText(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One class as it stands in the canonical text."""

    name: str
    fields: list[FieldText]
    channel: int | None = None
    per_second: float = 0.0
    stream: int = 0
    compress: bool = True

    @property
    def bytes(self) -> int:
        """Bytes of the bit-packed part."""
        return (sum(field.total for field in self.fields if not field.most) + 7) // 8

    def facts(self) -> dict[str, str]:
        """What may differ in a class beside its fields, each in words."""
        if self.channel is None:
            return {}
        return {"channel": NAMES.get(self.channel, str(self.channel)), "stream": str(self.stream),
                "per_second": f"{self.per_second:g}" if self.per_second else "unlimited",
                "compress": str(self.compress)}


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """A canonical text."""

    format: int
    entities: list[ClassText]
    messages: list[ClassText]

    def classes(self) -> dict[str, ClassText]:
        """Its classes by kind and name."""
        return {f"{kind} {cls.name}": cls
                for kind, some in (("entity", self.entities), ("message", self.messages)) for cls in some}


def read_document(text: str | bytes, where: str = "schema") -> Document:
    """What a canonical text says; ConfigError that begins with `where` for anything else."""
    try:
        found = msgspec.json.decode(text, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{where}: it is no schema: {error}; "
                          "`shadowland-server schema export` writes one") from None
    if found.format != FORMAT:
        raise ConfigError(f"{where}: its format is {found.format}, this version reads {FORMAT}; export it again")
    return found


def describe(field: dict[str, Any]) -> str:
    """A field of a canonical text in a few words: `health int 0..100`."""
    text = msgspec.convert(field, FieldText)
    facts = text.facts()
    extent = facts.get("range") or facts.get("quadrants") or facts.get("characters") or facts.get("values") or ""
    return f"{text.name} {text.type} {extent}".rstrip()


def differences(old: str | bytes, new: str | bytes) -> list[str]:
    """What differs between two canonical texts, a line each, sorted; empty when they say the same."""
    before, after = read_document(old, "the old schema").classes(), read_document(new, "the new schema").classes()
    lines = [f"{name}: removed" for name in before if name not in after]
    lines += [f"{name}: added" for name in after if name not in before]
    for name, cls in before.items():
        if name in after:
            lines += _class_differences(name, cls, after[name])
    return sorted(lines)


def _changes(where: str, old: dict[str, str], new: dict[str, str]) -> list[str]:
    return [f"{where}: {name} changed {old.get(name, 'none')} → {new.get(name, 'none')}"
            for name in {**old, **new} if old.get(name) != new.get(name)]


def _class_differences(name: str, old: ClassText, new: ClassText) -> list[str]:
    lines = _changes(name, old.facts(), new.facts())
    before, after = ({field.name: field for field in cls.fields} for cls in (old, new))
    lines += [f"{name}.{field}: removed" for field in before if field not in after]
    lines += [f"{name}.{field}: added ({after[field].type}"
              f"{', ' + after[field].width if after[field].bits else ''})" for field in after if field not in before]
    for field, was in before.items():
        if field not in after or was == (now := after[field]):
            continue
        where = f"{name}.{field}"
        found = ([f"{where}: type changed {was.type} → {now.type}"] if was.type != now.type
                 else _changes(where, was.facts(), now.facts()))
        if found and was.width != now.width:
            found[-1] += f": {was.width.removesuffix(' bits')} → {now.width}"
        lines += found
    kept = [field for field in before if field in after]
    if kept != [field for field in after if field in before]:
        lines.append(f"{name}: the order of its fields changed {', '.join(before)} → {', '.join(after)}")
    if lines and old.bytes != new.bytes:
        lines.append(f"{name}: {old.bytes} → {new.bytes} bytes of numbers")
    return lines


def canonical_json(value: object) -> str:
    """JSON that is the same on every machine: keys sorted, no spaces, ASCII, floats in their shortest form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)

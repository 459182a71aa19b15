"""Reads a class body into fields; every mistake in it becomes a ConfigError that names class, field and fix."""
import dataclasses
import enum
import inspect
import math
import types
import typing
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Final, NoReturn, TypeVar

from shadowland.errors import ConfigError
from shadowland.schema.annotations import (
    Audience,
    GroupOnly,
    Lanes,
    MaxLen,
    Predicted,
    Quadrants,
    Quantized,
    Range,
    Rate,
    Turn,
    Unit,
)
from shadowland.schema.fields import INT32_HIGH, INT32_LOW, Field, Kind
from shadowland.schema.values import TURN, checked_list, checked_text, from_quanta, lanes_of, to_quanta

MAX_FIELDS: Final = 64
MAX_COMPONENTS: Final = 64              # the world keeps sets of components in one 64-bit word
MAX_TEXTS: Final = 16                   # and as many lists
MAX_LIST: Final = 65_535                # elements
FIRST_GROUP: Final = 2                  # audience of a class's first group
MAX_SPAN: Final = 2**31                 # steps of a quadrant's edge: an offset is an int32
CLASS_GROUPS: Final = 5                 # an audience set fits the head of a record
RESERVED: Final = frozenset(
    {"rows", "sessions", "numbers", "times", "handles", "owners", "mine", "shown", "select", "row"})
"""Names that columns use for themselves."""

Mark = TypeVar("Mark")
WORDS: Final = (Lanes, Turn, Quantized, Predicted, Range, Rate, Unit, MaxLen, Audience, GroupOnly, Quadrants)
# Which words may stand beside which Python type; Lanes and Turn come with Vec2, Vec3 and Angle themselves.
ALLOWED: Final[dict[str, tuple[type, ...]]] = {
    "float": (Quantized, Quadrants, Predicted, Range, Rate, Unit, Audience, GroupOnly),
    "vector": (Lanes, Quantized, Quadrants, Predicted, Range, Rate, Unit, Audience, GroupOnly),
    "angle": (Turn, Quantized, Predicted, Rate, Audience, GroupOnly),
    "int": (Range, Rate, Audience, GroupOnly),
    "bool": (Rate, Audience, GroupOnly),
    "enum": (Rate, Audience, GroupOnly),
    "text": (MaxLen,),
}


class Words:
    """The annotation of one field: its Python type and the words beside it."""

    def __init__(self, owner: str, name: str, hint: Any, *, message: bool) -> None:
        self.owner, self.name, self.message, self.most = owner, name, message, 0
        base, *metadata = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
        if base is list or typing.get_origin(base) is list:
            base, metadata = self._element(base, metadata)
        self.base: Any = base
        for word in metadata:                       # words of other libraries are none of our business
            if isinstance(word, (int, float, tuple, range)):
                self.refuse(f"{word!r} stands beside the type and says nothing", f"write {example(Range)}")
            if isinstance(word, type) and word in WORDS:
                self.refuse(f"{word.__name__} stands without its arguments", f"write {example(word)}")
        self.words = [word for word in metadata if isinstance(word, WORDS)]
        self.shape = self._shape()
        self._check_words()

    def refuse(self, problem: str, fix: str) -> NoReturn:
        raise ConfigError(f"{self.owner}.{self.name}: {problem}; {fix}")

    def find(self, kind: type[Mark]) -> Mark | None:
        return next((word for word in self.words if isinstance(word, kind)), None)

    @property
    def local(self) -> bool:
        audience = self.find(Audience)
        return audience is not None and audience.code == 255

    def _shape(self) -> str:
        if self.find(Lanes):
            return "vector"
        if self.find(Turn):
            return "angle"
        names: dict[Any, str] = {float: "float", int: "int", bool: "bool", str: "text"}
        if self.base in names:
            return names[self.base]
        if isinstance(self.base, type) and issubclass(self.base, (enum.IntEnum, enum.IntFlag)):
            return "enum"
        if isinstance(self.base, type) and issubclass(self.base, enum.Enum):
            self.refuse(f"{self.base.__name__} has no integer values", "derive it from enum.IntEnum or enum.IntFlag")
        if isinstance(self.base, WORDS):
            self.refuse(f"its annotation is {self.base!r} alone", f"write `{self.name}: A[float, sl.{self.base!r}]`")
        if typing.get_origin(self.base) in (typing.Union, types.UnionType):
            self.refuse(f"{self.base} is a choice of types, and every record holds every field",
                        "give it one type and a value that stands for nothing")
        self.refuse(f"the type {getattr(self.base, '__name__', self.base)} cannot travel",
                    "use float, int, bool, str, an IntEnum, an IntFlag, sl.Vec2, sl.Vec3 or sl.Angle")

    def _element(self, base: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
        """Type and words of one element of a list, whose most elements it keeps. MaxLen beside the list is of the list;
        other words there are of the elements, as those inside are."""
        if base is list:
            self.refuse("the list has no element type", f"write `{self.name}: A[list[int], sl.MaxLen(16)]`")
        element, = typing.get_args(base)
        base, *inner = typing.get_args(element) if typing.get_origin(element) is Annotated else (element,)
        if base is list or typing.get_origin(base) is list:
            self.refuse("a list of lists cannot travel", "make it one list, and a list of its lengths")
        if not self.message:
            self.refuse("entities cannot hold a list", "send it in a message, or declare its numbers one by one")
        limits = [word for word in metadata if isinstance(word, MaxLen)]
        if len(limits) != 1:
            name = getattr(base, "__name__", base)
            self.refuse("a list needs a limit", f"write `{self.name}: A[list[{name}], sl.MaxLen(16)]`")
        most = limits[0].characters
        if type(most) is not int or not 1 <= most <= MAX_LIST:
            self.refuse(f"MaxLen of the list is {most!r}", f"give 1 to {MAX_LIST} elements")
        self.most = most
        return base, [*inner, *(word for word in metadata if word is not limits[0])]

    def _check_words(self) -> None:
        kinds = [type(word) for word in self.words]
        for kind in kinds:
            if kinds.count(kind) > 1:
                self.refuse(f"{kind.__name__} stands twice", "keep one")
            if kind not in ALLOWED[self.shape]:
                self.refuse(f"{kind.__name__} does not go with {self.shape} fields", f"remove {kind.__name__}")
            if self.message and kind in (Predicted, Rate, Audience, GroupOnly):
                word = repr(self.find(Audience)) if kind is Audience else kind.__name__
                self.refuse(f"{word} is for entities, this is a message", f"remove {word}")
        if (group := self.find(GroupOnly)) and self.find(Audience):
            self.refuse(f"{self.find(Audience)!r} and GroupOnly both say who sees it",
                        "keep one; the owner always sees what his groups see")
        if group and (not isinstance(group.group, str) or not group.group.isidentifier()):
            self.refuse(f"the group of GroupOnly is {group.group!r}", 'give it a name, such as GroupOnly("party")')
        if self.local and set(kinds) - {Audience, Lanes, Turn}:
            self.refuse("a Local field never travels", "keep sl.Local alone, without words about the wire")
        if self.find(Unit) and (self.find(Quantized) or self.find(Range) or self.find(Predicted)):
            self.refuse("Unit already says step and range", "remove Quantized, Range and Predicted")
        if self.find(Quadrants) and (self.find(Range) or not self.find(Quantized)):
            self.refuse("Quadrants say how far the world reaches, and Quantized how finely",
                        "write `sl.Quantized(step=...), Quadrants(edge=..., bits=...)` without Range")
        if self.find(Quadrants) and self.most:
            self.refuse("the elements of a list cannot have Quadrants", "send places from a corner that is a field")

    def positive(self, word: str, value: object) -> float:
        """`value` as a finite float above 0."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            self.refuse(f"{word} is {value!r}", "give a finite number above 0")
        return float(value)


def example(word: type) -> str:
    """How a word is written."""
    fields = dataclasses.fields(word) if dataclasses.is_dataclass(word) else ()
    where = "" if word in (GroupOnly, Quadrants) else "sl."        # they stand in shadowland.schema
    return f"{where}{word.__name__}({', '.join(f'{field.name}=...' for field in fields)})"


def read_fields(cls: type, root: type, *, message: bool) -> dict[str, Field]:
    """The fields of `cls` in order of declaration, those of its bases first, by name."""
    owned = declared_names(cls, root)
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise ConfigError(f"{cls.__name__}: the annotation names {error.name!r}, which its module does not know; "
                          "define or import it at module level, above the class") from None
    except Exception as error:          # an annotation kept as text is evaluated here, and it may be any expression
        raise ConfigError(f"{cls.__name__}: an annotation cannot be evaluated: {error}; correct it") from None
    _refuse_unannotated(cls, owned)
    fields = {}
    for name in owned:
        if typing.get_origin(hints[name]) is ClassVar or hints[name] is ClassVar:
            continue
        words = Words(cls.__name__, name, hints[name], message=message)
        if name.startswith("_") or name in RESERVED:
            words.refuse("the name is taken by the library", "choose another name")
        fields[name] = read_field(words)
    fields = _number_groups(cls.__name__, fields)
    numbers = sum(len(field.widths) for field in fields.values() if field.bits and not field.most)
    texts = sum(field.kind is Kind.TEXT and not field.most for field in fields.values())
    lists = sum(field.most > 0 for field in fields.values())
    if lists > MAX_TEXTS:
        raise ConfigError(f"{cls.__name__}: it has {lists} lists, at most {MAX_TEXTS} are allowed; split the class")
    if len(fields) > MAX_FIELDS or numbers > MAX_COMPONENTS or texts > MAX_TEXTS:
        raise ConfigError(f"{cls.__name__}: it has {len(fields)} fields with {numbers} numbers and {texts} texts, at "
                          f"most {MAX_FIELDS} with {MAX_COMPONENTS} and {MAX_TEXTS} are allowed; split the class")
    return fields


def _number_groups(owner: str, fields: dict[str, Field]) -> dict[str, Field]:
    groups = list(dict.fromkeys(field.group for field in fields.values() if field.group))
    if len(groups) > CLASS_GROUPS:
        raise ConfigError(f"{owner}: it speaks of {len(groups)} groups ({', '.join(groups)}), at most {CLASS_GROUPS} "
                          "are allowed; let fields share one")
    return {name: dataclasses.replace(field, audience=FIRST_GROUP + groups.index(field.group)) if field.group else field
            for name, field in fields.items()}


def declared_names(cls: type, root: type) -> dict[str, None]:
    """Names that the class and its bases annotate, in wire order: bases first, a redeclared one where it first stood.

    ConfigError for a base whose annotations would be lost, and for two bases that declare one name differently.
    """
    owned: dict[str, type] = {}
    mine = inspect.get_annotations(cls)
    for base in reversed(cls.__mro__):
        annotations = inspect.get_annotations(base)
        if not issubclass(base, root):
            if annotations and base is not object and not issubclass(root, base):
                raise ConfigError(f"{cls.__name__}: its base {base.__name__} annotates {min(annotations)!r} and is no "
                                  f"{root.__name__}, so that would not be a field; write "
                                  f"`class {base.__name__}(sl.{root.__name__}, abstract=True)`")
            continue
        if base is root:
            continue
        for name in annotations:
            other = owned.setdefault(name, base)
            if name not in mine and not issubclass(base, other):
                raise ConfigError(f"{cls.__name__}.{name}: its bases {other.__name__} and {base.__name__} both "
                                  f"declare it; declare it in {cls.__name__} too, or in a base of both")
    return dict.fromkeys(owned)


def _refuse_unannotated(cls: type, owned: dict[str, None]) -> None:
    for name, value in vars(cls).items():
        plain = not callable(value) and not hasattr(value, "__get__")
        if plain and not name.startswith("_") and name not in inspect.get_annotations(cls):
            hint = f"write `{name}: {type(value).__name__}`" if name not in owned else "repeat its base's annotation"
            raise ConfigError(f"{cls.__name__}.{name}: it has a value and no annotation, so it would not be a field; "
                              f"{hint}, or `{name}: ClassVar` for a constant")


def read_field(words: Words) -> Field:
    """One field; its default is not looked at."""
    common: dict[str, Any] = {"name": words.name, "most": words.most}
    rate, audience, group = words.find(Rate), words.find(Audience), words.find(GroupOnly)
    if rate:
        common["rate_hz"] = words.positive("Rate hz", rate.hz)
    if audience:
        common["audience"] = audience.code
    if group:
        common |= {"audience": FIRST_GROUP, "group": group.group}       # the class numbers its groups when all are read
    if words.shape == "text":
        return _text(words, common)
    if words.shape == "enum":
        return _enumeration(words, common)
    if words.shape == "bool":
        return Field(kind=Kind.BOOL, high=1, bits=0 if words.local else 1, **common)
    if words.shape == "int":
        return _int(words, common)
    return _float(words, common)


def _text(words: Words, common: dict[str, Any]) -> Field:
    limit = words.find(MaxLen)
    if not words.message:
        words.refuse("entities cannot hold text", "send it once in a reliable message")
    if limit is None and words.most:
        words.refuse("text needs a limit",
                     f"write `{words.name}: A[list[A[str, sl.MaxLen(20)]], sl.MaxLen({words.most})]`")
    if limit is None:
        words.refuse("text needs a limit", f"write `{words.name}: A[str, sl.MaxLen(100)]`")
    if not isinstance(limit.characters, int) or limit.characters < 1:
        words.refuse(f"MaxLen is {limit.characters!r}", "give a whole number of characters above 0")
    return Field(kind=Kind.TEXT, max_length=limit.characters, **common)


def _enumeration(words: Words, common: dict[str, Any]) -> Field:
    values = sorted({int(member) for member in words.base})
    flags = issubclass(words.base, enum.IntFlag)
    if len(values) < (1 if flags else 2):
        words.refuse(f"{words.base.__name__} has {len(values)} members, so there is nothing to send", "give it more")
    low, high = values[0], values[-1]
    if flags:
        mask = 0
        for value in values:
            mask |= value
        low, high, values = 0, mask, [mask]
    if low < INT32_LOW or high > INT32_HIGH:
        words.refuse(f"{words.base.__name__} has values beyond 32 bits (flags: 31)", "choose smaller ones")
    if not flags and high - low > 63 and high - low != len(values) - 1:
        words.refuse(f"{words.base.__name__} has gaps and spans {high - low + 1} values", "number them without gaps")
    bits = 0 if words.local else max(1, (high - low).bit_length())
    return Field(kind=Kind.FLAGS if flags else Kind.ENUM, low=low, high=high, bits=bits, members=tuple(values),
                 enumeration=words.base, **common)


def _int(words: Words, common: dict[str, Any]) -> Field:
    limits = words.find(Range)
    low, high = (limits.low, limits.high) if limits else (INT32_LOW, INT32_HIGH)
    if type(low) is not int or type(high) is not int or not INT32_LOW <= low < high <= INT32_HIGH:
        words.refuse(f"Range({low!r}, {high!r}) is no range of 32-bit integers", "give two integers, the lower first")
    return Field(kind=Kind.INT, low=low, high=high, bits=0 if words.local else (high - low).bit_length(), **common)


def _float(words: Words, common: dict[str, Any]) -> Field:
    lanes, unit, quantized = words.find(Lanes), words.find(Unit), words.find(Quantized)
    common["lanes"] = lanes.count if lanes else 1
    if unit:
        if type(unit.bits) is not int or not 2 <= unit.bits <= 16:
            words.refuse(f"Unit bits is {unit.bits!r}", "give 2 to 16")
        high = 2 ** (unit.bits - 1) - 1
        return Field(kind=Kind.FLOAT, unit=True, step=1.0 / high, low=-high, high=high, bits=unit.bits, **common)
    step = words.positive("the step of Quantized", quantized.step) if quantized else 0.0
    if words.shape == "angle":
        bits = 8 if not step else _turn_bits(step)
        if bits > 31:
            words.refuse(f"a step of {step!r} rad takes over 31 bits", "choose a coarser one")
        low = -(2 ** (bits - 1))
        common |= {"kind": Kind.ANGLE, "step": TURN / 2**bits, "low": low, "high": -low - 1}
        return Field(bits=0 if words.local else bits, **common, **_prediction(words))
    if words.local:
        return Field(kind=Kind.FLOAT, **common)
    if not step:
        if words.find(Range):
            words.refuse("Range on a float needs a step", "add sl.Quantized(step=...)")
        if not words.message:
            words.refuse("a float has no step", "add sl.Quantized(step=...), or sl.Local if it stays on the server")
        return Field(kind=Kind.FLOAT32, bits=32, **common)
    if quadrants := words.find(Quadrants):
        return Field(kind=Kind.FLOAT, step=step, **common, **_quadrants(words, quadrants, step, common["lanes"]),
                     **_prediction(words))
    low, high = _quantized_range(words, step)
    bits = (high - low).bit_length()
    return Field(kind=Kind.FLOAT, step=step, low=low, high=high, bits=bits, **common, **_prediction(words))


def _turn_bits(step: float) -> int:
    """The least bits whose steps are at most `step`. By halving, which is exact: a logarithm rounds as its library
    does, and the hash must be the same on every machine."""
    return next((bits for bits in range(1, 32) if TURN / 2**bits <= step), 32)


def _quantized_range(words: Words, step: float) -> tuple[int, int]:
    limits = words.find(Range)
    if limits is None:
        return INT32_LOW, INT32_HIGH
    for end in (limits.low, limits.high):
        if isinstance(end, bool) or not isinstance(end, (int, float)) or not math.isfinite(end / step):
            words.refuse(f"Range({limits.low!r}, {limits.high!r}) is not a range", "give two finite numbers")
    # Inwards, so that what comes back is inside; the millionth of a step forgives 0.3 / 0.1 = 2.9999999999999996.
    low, high = math.ceil(limits.low / step - 1e-6), math.floor(limits.high / step + 1e-6)
    if not low < high:
        words.refuse(f"Range({limits.low!r}, {limits.high!r}) holds fewer than two steps of {step!r}",
                     "give the lower end first and a finer step")
    if low < INT32_LOW or high > INT32_HIGH:
        words.refuse(f"Range({limits.low!r}, {limits.high!r}) in steps of {step!r} takes over 32 bits",
                     "choose a coarser step")
    return low, high


def _quadrants(words: Words, quadrants: Quadrants, step: float, lanes: int) -> dict[str, Any]:
    if type(quadrants.bits) is not int or not 1 <= quadrants.bits <= 32:
        words.refuse(f"Quadrants bits is {quadrants.bits!r}", "give 1 to 32")
    given = quadrants.edge if isinstance(quadrants.edge, tuple) else (quadrants.edge,) * lanes
    if len(given) != lanes:
        words.refuse(f"Quadrants edge is {quadrants.edge!r}", f"give one number, or {lanes}")
    edges = tuple(words.positive("the edge of Quadrants", edge) for edge in given)
    for edge in edges:
        span = Fraction(repr(edge)) / Fraction(repr(step))          # as they are written: 0.1 is a tenth
        if span.denominator != 1 or not 2 <= span <= MAX_SPAN:
            near = max(2, min(round(span), MAX_SPAN)) * Fraction(repr(step))
            words.refuse(f"an edge of {edge!r} is not 2 to 2**31 whole steps of {step!r}", f"give {float(near)!r}")
    high = 2 ** (quadrants.bits - 1) - 1
    return {"edge": edges, "low": -high - 1, "high": high, "bits": quadrants.bits}


def _prediction(words: Words) -> dict[str, Any]:
    predicted = words.find(Predicted)
    if predicted is None:
        return {}
    if not isinstance(predicted.by, str) or not predicted.by:
        words.refuse(f"Predicted by={predicted.by!r}", "give the name of the velocity field")
    tolerance = predicted.tolerance
    if tolerance is not None and (isinstance(tolerance, bool) or not isinstance(tolerance, (int, float))
                                  or not 0 <= tolerance < math.inf):
        words.refuse(f"the tolerance is {tolerance!r}", "give a finite number, 0 or above")
    return {"predicted_by": predicted.by, "tolerance": None if tolerance is None else float(tolerance)}


def canonical_default(owner: str, field: Field, value: object) -> object:
    """The default as instances hold it: floats in float fields, tuples of floats in vectors, members in enums."""
    if isinstance(value, WORDS):
        raise ConfigError(f"{owner}.{field.name}: its default is {value!r}, which is an annotation; "
                          f"write `{field.name}: A[type, sl.{value!r}] = ...`")
    try:
        if field.most:
            return tuple(canonical_element(field, element) for element in checked_list(field, value))
        if field.kind is Kind.TEXT:
            return checked_text(field, value)
        local_float = field.local and field.kind in (Kind.FLOAT, Kind.ANGLE)        # has no step to be checked by
        quanta = [] if local_float else to_quanta(field, value)
        if field.enumeration is not None:
            return from_quanta(field, quanta)
        if field.kind in (Kind.BOOL, Kind.INT):
            return value
        lanes = lanes_of(field, value)
        return lanes if field.lanes > 1 else lanes[0]
    except ValueError as error:
        fix = f"give {suggestion(field)}"
        raise ConfigError(f"{owner}.{field.name}: the default {value!r} does not fit: {error}; {fix}") from None


def canonical_element(field: Field, value: object) -> object:
    """One element of a list's default as instances hold it."""
    if field.kind is Kind.TEXT:
        return value
    return from_quanta(field, to_quanta(field, value)) if field.enumeration is not None else (
        lanes_of(field, value) if field.lanes > 1 else value)


def suggestion(field: Field) -> str:
    """A default that would fit, in words."""
    if field.most:
        return f"a list of at most {field.most} elements, each {suggestion(dataclasses.replace(field, most=0))}"
    if field.kind is Kind.TEXT:
        return f"a text of at most {field.max_length} characters"
    if field.enumeration is not None:
        return f"a member of {field.enumeration.__name__}"
    if field.kind is Kind.BOOL:
        return "True or False"
    if field.lanes > 1:
        return f"a tuple of {field.lanes} numbers" + (" of length at most 1" if field.unit else " within its range")
    return "a finite number within its range"


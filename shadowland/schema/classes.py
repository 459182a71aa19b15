"""Entity and Message: the bases whose class bodies are the wire contract."""
import dataclasses
import difflib
import functools
import inspect
import math
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias, dataclass_transform

from shadowland._core.endpoint.endpoint import RELIABLE_LIMIT, SNAPSHOT_LIMIT, UNRELIABLE_LIMIT
from shadowland.errors import ConfigError, UsageError
from shadowland.schema.body import canonical_default, read_fields
from shadowland.schema.fields import Field, Kind
from shadowland.schema.values import plain_list

MAX_RECORD_BYTES: Final = 960
"""Most bytes of the full record of an entity: with its head it has to fit into one snapshot (SNAPSHOT_LIMIT)."""

CHANNELS: Final[dict[str, int]] = {"unreliable": 0, "reliable": 1, "unordered": 2, "latest": 3, "input": 4}
"""Delivery of a message class -> channel on the wire (docs/protocol.md, section 5.2)."""

MESSAGE_LIMITS: Final[dict[str, int]] = {
    "unreliable": UNRELIABLE_LIMIT,
    "reliable": RELIABLE_LIMIT,
    "unordered": RELIABLE_LIMIT,
    "latest": SNAPSHOT_LIMIT - 1,   # one frame, as a snapshot, with its kind
    "input": 60,                    # each datagram repeats up to eight of them
}
"""Most payload bytes of a message class by its channel; a class that could be longer is refused."""

Channel: TypeAlias = Literal["unreliable", "reliable", "unordered", "latest", "input"]

STREAMS: Final = 8
"""Streams of channel "reliable": 0 is the most urgent and the default."""


@dataclasses.dataclass(frozen=True, slots=True)
class Contract:
    """What is known of an Entity or Message class: `contract_of(cls)`."""

    name: str
    fields: dict[str, Field]
    channel: str = ""                       # messages only
    per_second: float = 0.0                 # messages only; 0: the session's own limits are all there is
    compress: bool = True                   # messages only; False: never, on either side
    stream: int = 0                         # messages of channel "reliable" only
    abstract: bool = False                  # a base that is no class on the wire itself

    @property
    def components(self) -> list[Field]:
        """Fields that travel as bits, in wire order."""
        return [field for field in self.fields.values() if field.bits and not field.most]

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that its fields speak of, in the order of their audiences."""
        return tuple(dict.fromkeys(field.group for field in self.fields.values() if field.group))

    @property
    def texts(self) -> list[Field]:
        """Fields that travel as text, after the bits."""
        return [field for field in self.fields.values() if field.kind is Kind.TEXT and not field.most]

    @property
    def lists(self) -> list[Field]:
        """Fields that are lists, after the texts."""
        return [field for field in self.fields.values() if field.most]

    @property
    def fixed_bytes(self) -> int:
        """Bytes of the bit-packed part."""
        return (sum(sum(field.widths) for field in self.components) + 7) // 8

    @property
    def max_bytes(self) -> int:
        """Most bytes of one message, or of the full record of an entity without its head."""
        total = self.fixed_bytes
        for field in (*self.texts, *self.lists):
            longest = 4 * field.max_length
            text = max(1, (longest.bit_length() + 6) // 7) + longest if field.kind is Kind.TEXT else 0
            if field.most:
                elements = field.most * text or (field.most * field.bits * field.lanes + 7) // 8
                total += (field.most.bit_length() + 6) // 7 + elements
            else:
                total += text
        return total

    def canonical(self) -> dict[str, object]:
        """What both sides must agree on. Local fields are the server's own business."""
        fields = [field.canonical() for field in self.fields.values() if not field.local]
        entries: dict[str, object] = {"name": self.name, "fields": fields}
        if self.channel:
            entries |= {"channel": self.channel, "per_second": self.per_second}
            if self.stream:
                entries["stream"] = self.stream
        if not self.compress:
            entries["compress"] = False
        return entries


class _Record:
    """What instances of both bases share: plain objects with keyword constructor, repr and comparison by value."""

    _contract: ClassVar[Contract]
    __hash__ = None  # type: ignore[assignment]     # comparable by value and mutable: not a key

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        for field in contract_of(type(self)).fields.values():
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.most:
                mine, theirs = plain_list(field, mine), plain_list(field, theirs)
            elif field.lanes > 1:           # a vector may be held as an array, whose == is not a truth value
                mine, theirs = tuple(mine), tuple(theirs)
            if mine != theirs:
                return False
        return True


def travels(cls: type) -> bool:
    """Whether it is a class on the wire: not abstract, and not refused when it was created, which Python remembers for
    a while among the subclasses of its base."""
    contract = cls.__dict__.get("_contract")
    return isinstance(contract, Contract) and not contract.abstract


def contract_of(cls: type) -> Contract:
    """The contract of an Entity or Message class; ConfigError for anything else."""
    contract = cls.__dict__.get("_contract")
    if not isinstance(contract, Contract):
        raise ConfigError(f"{cls.__name__} is not an Entity or Message class; derive it from sl.Entity or sl.Message")
    return contract


def _finish(cls: type, contract: Contract) -> None:
    """Make the class a dataclass of its fields, with checked defaults; those of its bases too, for other words here."""
    own = inspect.get_annotations(cls)
    lists: dict[str, tuple[object, ...]] = {}
    for name, field in contract.fields.items():
        if hasattr(cls, name):
            value = getattr(cls, name)
            if name not in own and (callable(value) or isinstance(value, property)):
                raise ConfigError(f"{cls.__name__}.{name}: it is a field of a base; give the method another name")
            default = canonical_default(cls.__name__, field, value)
            if name in own and isinstance(default, tuple) and field.most:
                lists[name] = default
                setattr(cls, name, dataclasses.field(default_factory=functools.partial(list, default)))
            elif name in own:
                setattr(cls, name, default)
    dataclasses.dataclass(kw_only=True, eq=False)(cls)
    for name, default in lists.items():         # each instance has a list of its own; columns look here
        type.__setattr__(cls, name, default)
    if contract.abstract:
        type.__setattr__(cls, "__init__", _refuse_instance)     # derived classes get their own
    type.__setattr__(cls, "_contract", contract)


def _refuse_instance(self: _Record, *_arguments: object, **_fields: object) -> None:
    raise UsageError(f"{type(self).__name__} is abstract; make an instance of a class derived from it")


def _inherit(cls: type, fields: dict[str, Field]) -> None:
    """What a subclass may say anew: the words of a field, not its shape, on which code for the base relies."""
    for base in cls.__mro__[1:]:
        contract = base.__dict__.get("_contract")
        for name, before in contract.fields.items() if isinstance(contract, Contract) else ():
            where, field = f"{cls.__name__}.{name}", fields.get(name)
            if field is None:
                raise ConfigError(f"{where}: it is a field of its base {base.__name__} and a ClassVar here; "
                                  "choose another name")
            if field.shape != before.shape:
                raise ConfigError(f"{where}: its base {base.__name__} has {before.shape} there, this is {field.shape}; "
                                  "keep the type (other words beside it are fine) or choose another name")


def _abstract(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{name}: abstract is {value!r}; it is True or False")
    return value


def _predictions(contract: Contract) -> None:
    for field in contract.fields.values():
        if not field.predicted_by:
            continue
        where, by = f"{contract.name}.{field.name}", contract.fields.get(field.predicted_by)
        if by is None:
            close = difflib.get_close_matches(field.predicted_by, contract.fields, 1)
            hint = f"did you mean {close[0]!r}?" if close else "declare it in this class"
            raise ConfigError(f"{where}: it is predicted by {field.predicted_by!r}, which is no field; {hint}")
        if by is field or by.predicted_by:
            raise ConfigError(f"{where}: it is predicted by {by.name!r}, which is predicted itself; "
                              "a velocity is sent as it is, so take Predicted off it")
        if by.kind is not Kind.FLOAT or by.local or by.unit or by.lanes != field.lanes:
            raise ConfigError(f"{where}: its velocity {by.name!r} must be Quantized floats with {field.lanes} "
                              f"lane{'s'[:field.lanes > 1]}; change the annotation of {by.name!r}")
        if by.audience and by.audience != field.audience:
            raise ConfigError(f"{where}: not everybody who sees it sees its velocity {by.name!r}; "
                              f"remove OwnerOnly or GroupOnly from {by.name!r} or add it to {field.name!r}")


def _define_entity(cls: "type[Entity]", abstract: bool, keywords: dict[str, object]) -> None:
    if keywords:
        raise ConfigError(f"{cls.__name__}: class keyword {min(keywords)!r} is not for entities; remove it")
    if issubclass(cls, Message):
        raise ConfigError(f"{cls.__name__}: it is both an Entity and a Message; derive it from one of them")
    contract = Contract(cls.__name__, read_fields(cls, Entity, message=False),
                        abstract=_abstract(cls.__name__, abstract))
    _inherit(cls, contract.fields)
    position = contract.fields.get("position")
    if position is not None and (position.lanes < 2 or position.audience):
        raise ConfigError(f"{cls.__name__}.position: it is where everybody looks for the entity; "
                          "make it an sl.Vec2 or sl.Vec3 without GroupOnly, OwnerOnly or Local, or choose another name")
    _predictions(contract)
    if contract.max_bytes > MAX_RECORD_BYTES:
        raise ConfigError(f"{cls.__name__}: its full record has {contract.max_bytes} bytes, one datagram holds "
                          f"{MAX_RECORD_BYTES}; remove fields or give them Range")
    _finish(cls, contract)


def _stream(name: str, stream: int | None, channel: str, inherited: Contract) -> int:
    if stream is None:
        return inherited.stream if channel == "reliable" else 0
    if isinstance(stream, bool) or not isinstance(stream, int) or not 0 <= stream < STREAMS:
        raise ConfigError(f"{name}: stream is {stream!r}; give a whole number, 0 (the most urgent) to {STREAMS - 1}")
    if channel != "reliable":
        raise ConfigError(f'{name}: stream is {stream}, but channel {channel!r} has no streams; remove stream= or give '
                          'it channel="reliable"')
    return stream


def _define_message(cls: "type[Message]", channel: str | None, per_second: float | None, compress: bool | None,
                    stream: int | None, abstract: bool, keywords: dict[str, object]) -> None:
    name = cls.__name__
    if keywords:
        raise ConfigError(f"{name}: class keyword {min(keywords)!r} is unknown; "
                          "there are channel=, stream=, per_second=, compress= and abstract=")
    if issubclass(cls, Entity):
        raise ConfigError(f"{name}: it is both an Entity and a Message; derive it from one of them")
    parents = [parent for parent in cls.__mro__[1:] if "_contract" in vars(parent)]
    inherited = contract_of(parents[0]) if parents else Contract("", {}, "unreliable")
    if channel is None:
        channel = inherited.channel
    if channel not in CHANNELS:
        close = difflib.get_close_matches(str(channel), CHANNELS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"the channels are {', '.join(CHANNELS)}"
        raise ConfigError(f"{name}: there is no channel {channel!r}; {hint}")
    if per_second is None:
        per_second = inherited.per_second
    elif isinstance(per_second, bool) or not isinstance(per_second, (int, float)) or not 0 < per_second < math.inf:
        raise ConfigError(f"{name}: per_second is {per_second!r}; give a finite number above 0")
    if compress is None:
        compress = inherited.compress
    elif not isinstance(compress, bool):
        raise ConfigError(f"{name}: compress is {compress!r}; it is True or False")
    contract = Contract(name, read_fields(cls, Message, message=True), channel, float(per_second), compress,
                        _stream(name, stream, channel, inherited), _abstract(name, abstract))
    _inherit(cls, contract.fields)
    if channel == "input" and (varying := contract.texts + contract.lists):
        what = "a list" if varying[0].most else "text"
        raise ConfigError(f"{name}.{varying[0].name}: inputs have a fixed size and cannot hold {what}; "
                          'send it in a message of its own with channel="reliable"')
    if contract.max_bytes > MESSAGE_LIMITS[channel]:
        varying = contract.texts + contract.lists
        fix = "shorten its texts and lists" if varying else "remove fields, or give them Range or Unit"
        if channel not in ("reliable", "unordered") and contract.max_bytes <= MESSAGE_LIMITS["reliable"]:
            fix += ', or send it with channel="reliable"'
        raise ConfigError(f"{name}: it may take {contract.max_bytes} bytes, channel {channel!r} carries "
                          f"{MESSAGE_LIMITS[channel]}; {fix}")
    _finish(cls, contract)


# For type checkers __init_subclass__ knows its keywords; at run time it takes any: a wrong one is a ConfigError too.

@dataclass_transform(kw_only_default=True)
class Entity(_Record):
    """Base of what lives in the world. Each annotated name of the body is a field, a column and part of the wire.

    A field without a default must be given to the constructor, which takes keywords only. A field called `position` is
    where interest management looks; it is a Vec2 or Vec3. A wrong body is a ConfigError at once.

    abstract: a base for other classes, no class on the wire itself; not inherited.
    """

    if TYPE_CHECKING:
        def __init_subclass__(cls, abstract: bool = False) -> None: ...
    else:
        def __init_subclass__(cls, abstract=False, **keywords):
            super().__init_subclass__()
            _define_entity(cls, abstract, keywords)


@dataclass_transform(kw_only_default=True)
class Message(_Record):
    """Base of what travels once.

    channel: "unreliable" (the default), "reliable" (each one, in order), "unordered" (each one, as it comes), "latest"
        (only the newest of its class) or "input" (from client to server, numbered, repeated until acknowledged).
    stream: 0 (the most urgent, and the default) to 7, of channel "reliable": messages of one stream keep their order,
        streams do not wait for each other, and a long transfer on 7 delays nothing on 0.
    per_second: most of them a session may send in a second; left out, only the session's limits hold.
    compress: False where a secret stands beside text that others choose: the length of what is compressed tells how
        alike the two are (docs/security.md). Else long ones are, on every channel but input, where that makes them
        shorter.

    abstract: a base for other classes, no class on the wire itself.

    All but abstract are inherited. Payloads are bounded by MESSAGE_LIMITS. A wrong body is a ConfigError at once.
    """

    if TYPE_CHECKING:
        def __init_subclass__(cls, channel: Channel | None = None, per_second: float | None = None,
                              compress: bool | None = None, stream: int | None = None,
                              abstract: bool = False) -> None: ...
    else:
        def __init_subclass__(cls, channel=None, per_second=None, compress=None, stream=None, abstract=False,
                              **keywords):
            super().__init_subclass__()
            _define_message(cls, channel, per_second, compress, stream, abstract, keywords)

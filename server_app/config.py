"""Settings of the server: one table of keys, read from flags, environment, a TOML file and defaults, in this order.

Every limit that a peer can lean against is a key here. `docs/config.md` shows the same table; a test compares them.
"""
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import msgspec

from shadowland.errors import ConfigError
from shadowland.guard import read_policy

ENVIRONMENT: Final = "SHADOWLAND_"
MOST_SESSIONS: Final = 65_536
CIPHERS: Final = ("auto", "chacha20-poly1305")
GUARD: Final = "guard"                  # a key of [server], and a table of its own with rules
OFF: Final = "off"
LEVELS: Final = ("debug", "info", "warning", "error")


def _key(default: Any, section: str, meaning: str, low: float | None = None, high: float | None = None,
         choices: tuple[str, ...] = (), zero: bool = False) -> Any:
    """`zero`: 0 stands for a size that follows from others, also where it lies below the least."""
    metadata = {"section": section, "meaning": meaning, "low": low, "high": high, "choices": choices, "zero": zero}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings with their defaults; `load` makes one. Each stands in the TOML section that its metadata names."""

    host: str = _key("127.0.0.1", "server", "address to bind; 0.0.0.0 or :: for every interface")
    port: int = _key(3565, "server", "UDP port; 0 takes any free one", 0, 65535)
    identity: str = _key("", "server", "key file from `shadowland-server keygen`; empty: a new identity at each start")
    token_keys: str = _key("", "server", "public keys (sli1...) of up to four issuers of connect tokens")
    tokens: str = _key("optional", "server", "whether a player needs a token, where token_keys names issuers",
                       choices=("optional", "required"))
    guard: str = _key("", "server", "TOML file with a [guard] table; empty: the one in --config's file; off: no rules")
    inspect: str = _key("", "server", "UNIX socket for `inspect`; empty: by port, in the user's runtime folder; off")
    tick_hz: int = _key(60, "server", "ticks per second", 1, 240)
    log_level: str = _key("info", "server", "least important messages that are logged", choices=LEVELS)

    capacity: int = _key(1024, "limits", "sessions at once; more are refused with SERVER_FULL", 1, MOST_SESSIONS)
    entities: int = _key(16384, "limits", "entities alive at once", 1, 1 << 20)
    half_open: int = _key(1024, "limits", "handshakes under way at once", 1, 65536)
    half_open_per_prefix: int = _key(256, "limits", "of them from one /24 or /64", 1, 65536)
    half_open_s: float = _key(5.0, "limits", "seconds until an unfinished handshake is forgotten", 0.1, 60)
    idle_timeout_s: float = _key(15.0, "limits", "seconds of silence until a session ends", 0.5, 3600)
    inbox_records: int = _key(0, "limits", "messages taken per tick besides inputs; 0: 1,024 and 16 per session",
                              0, 1 << 26)
    inbox_bytes: int = _key(0, "limits", "bytes of them; 0: 1 MiB and 2 KiB per session", 1 << 18, 4_000_000_000,
                            zero=True)
    session_inbox_records: int = _key(512, "limits", "of them from one session", 1, 1 << 26)
    session_inbox_bytes: int = _key(1 << 18, "limits", "bytes of them from one session",
                                    1 << 18, (1 << 32) - 1)
    outbox_bytes: int = _key(0, "limits", "bytes queued per tick besides reliable ones; 0: 1 MiB and 4 KiB per session",
                             1 << 14, (1 << 32) - 1, zero=True)
    blocks: int = _key(0, "limits", "256-byte blocks for reliable messages and fragments; 0: 8,192 and 32 per session",
                       2736, 1 << 28, zero=True)
    session_blocks: int = _key(3584, "limits", "of them for one session and direction", 2720, 1 << 20)
    joining: int = _key(1024, "limits", "sessions that may wait for authenticate; more get SERVER_FULL", 1, 1 << 20)
    authenticate_s: float = _key(10.0, "limits", "seconds until who is not authenticated must go", 0.1, 3600)
    async_handlers: int = _key(4096, "limits", "async handlers under way at once; more are not called", 1, 1 << 16)
    integrity_every_s: float = _key(60.0, "limits", "seconds between integrity challenges, on average", 1, 86_400)
    integrity_answer_s: float = _key(10.0, "limits", "seconds for the answer to one", 0.5, 300)
    spent_tokens: int = _key(65536, "limits", "used tokens remembered until they expire; more get CAPACITY", 1, 1 << 24)
    mtu_limit: int = _key(1472, "limits", "longest datagram that is probed for; up to 1,200 nothing is probed for",
                          1150, 1500)

    cipher: str = _key("auto", "security", "auto: AEGIS-128L where both sides have AES instructions", choices=CIPHERS)
    replay_positions: int = _key(1024, "security", "packets behind the newest one of a session that are still taken",
                                64, 4096)
    rekey_bytes: int = _key(1 << 34, "security", "bytes sent under one key until a session gets new ones",
                            1 << 16, 1 << 50)
    rekey_packets: int = _key(1 << 24, "security", "packets sent under one key until a session gets new ones",
                              16, 1 << 40)
    rekey_age_s: float = _key(600.0, "security",
                              "seconds until a session gets new keys; up to a quarter less, by chance", 1, 1_000_000)
    rekey_failures: int = _key(1 << 24, "security", "packets that do not open until a session gets new keys",
                               1, 1 << 34)
    most_failures: int = _key(1 << 35, "security", "of them under one key until it ends; more than rekey_failures",
                              2, 1 << 35)

    bots: int = _key(200, "demo", "bots that connect", 1, 50_000)
    hz: int = _key(30, "demo", "ticks per second of the demo's server and bots", 1, 240)
    duration: float = _key(30.0, "demo", "seconds, from when all bots are in", 0.5, 86_400)
    visible: float = _key(28.0, "demo", "entities that a player sees on average; the world grows with the bots", 1, 500)
    radius: float = _key(48.0, "demo", "metres that a player sees", 4, 1000)
    npcs_per_bot: float = _key(0.5, "demo", "wandering NPCs for each bot", 0, 10)
    monsters_per_bot: float = _key(0.1, "demo", "chasing monsters for each bot", 0, 10)
    seed: int = _key(1, "demo", "of everything random in the demo's world and bots", 0, (1 << 31) - 1)


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the table."""

    name: str
    section: str
    kind: type
    default: Any
    meaning: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    zero: bool

    @property
    def range(self) -> str:
        """What a value may be, for people."""
        if self.choices:
            return ", ".join(self.choices)
        if self.low is None or self.high is None:
            return "text"
        return f"{'0, or ' if self.zero else ''}{self.low:,} to {self.high:,}"

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return ENVIRONMENT + self.name.upper()


KEYS: Final[dict[str, Key]] = {
    item.name: Key(item.name, item.metadata["section"], type(item.default), item.default, item.metadata["meaning"],
                   item.metadata["low"], item.metadata["high"], item.metadata["choices"],
                   item.metadata["zero"])
    for item in fields(Settings)
}
SECTIONS: Final = tuple(dict.fromkeys(key.section for key in KEYS.values()))


def _refuse(key: Key, value: object, where: str, problem: str = "") -> ConfigError:
    expected = {int: "a whole number, ", float: "a number, ", str: ""}[key.kind]
    if key.kind is str and not key.choices:
        expected = "a "
    return ConfigError(f"{where}: {key.name} is {value!r}{problem}; give {expected}{key.range}")


def check(name: str, value: object, where: str) -> Any:
    """`value` as the type of its key; ConfigError names `where`, key, value and range."""
    key = KEYS[name]
    right = isinstance(value, key.kind) or (key.kind is float and isinstance(value, int))
    if isinstance(value, bool) or not right:
        raise _refuse(key, value, where)
    if key.kind is float:
        value = float(value)  # type: ignore[arg-type]  # int or float by now
    if key.choices and value not in key.choices:
        close = difflib.get_close_matches(str(value), key.choices, 1)
        raise _refuse(key, value, where, f" (did you mean {close[0]!r}?)" if close else "")
    if key.low is not None and key.high is not None:
        assert isinstance(value, (int, float))
        if not key.low <= value <= key.high and not (key.zero and value == 0):      # so that NaN is refused too
            raise _refuse(key, value, where)
    return value


def parse(name: str, text: str, where: str) -> Any:
    """As `check`, from text."""
    key = KEYS[name]
    value: object = text
    if key.kind is not str:
        try:
            value = key.kind(text)
        except ValueError:
            raise _refuse(key, text, where) from None
    return check(name, value, where)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"configuration file {path}: {error.strerror}; "
                          "name a file that can be read, or leave --config out") from None
    try:
        table = msgspec.toml.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(f"configuration file {path}: {error}; correct the TOML there") from None
    return dict(table)


def from_file(path: Path) -> dict[str, Any]:
    """The settings that a TOML file names. ConfigError for unknown sections, unknown keys and wrong values."""
    found: dict[str, Any] = {}
    guard = False
    for section, table in _read(path).items():
        where = f"{path}: [{section}]"
        if section == GUARD and isinstance(table, dict):
            read_policy(table, where)                   # so that a mistake is told at once
            guard = True
            continue
        if section in KEYS and section not in SECTIONS:
            raise ConfigError(f"{path}: {section} stands outside a section; put it under [{KEYS[section].section}]")
        if section not in SECTIONS or not isinstance(table, dict):
            raise ConfigError(f"{where} is no section; the sections are {', '.join(SECTIONS)}")
        for name, value in table.items():
            if name not in KEYS or KEYS[name].section != section:
                raise ConfigError(f"{where}: {_unknown(name, section)}")
            found[name] = check(name, value, where)
    if guard and not found.get(GUARD):
        found[GUARD] = str(path)
    return found


def _unknown(name: str, section: str) -> str:
    if name in KEYS:
        return f"{name} belongs under [{KEYS[name].section}]; move it there"
    names = [key.name for key in KEYS.values() if key.section == section]
    close = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(names)}"
    return f"there is no key {name!r}; {hint}"


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that environment variables name (SHADOWLAND_ and the key in capitals)."""
    return {key.name: parse(key.name, environment[key.variable], f"environment variable {key.variable}")
            for key in KEYS.values() if key.variable in environment}


def given(flags: Mapping[str, Any], *, path: Path | None = None,
          environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What somebody has set, by precedence: flag > environment > file. Flags that are None count as not given.

    ConfigError says in one line which value is wrong, where it stands, and what it may be.
    """
    values = from_file(path) if path is not None else {}
    values |= from_environment(environment)
    for name, value in flags.items():
        if value is not None:
            values[name] = check(name, value, f"--{name.replace('_', '-')}")
    return values


def load(flags: Mapping[str, Any], *, path: Path | None = None,
         environment: Mapping[str, str] = os.environ) -> Settings:
    """`given`, and the defaults for the rest."""
    return Settings(**given(flags, path=path, environment=environment))


def limits(settings: Settings) -> dict[str, Any]:
    """Cipher and limits as keyword arguments of `shadowland.Server` beside capacity and entities."""
    return {
        "half_open": settings.half_open, "half_open_per_prefix": settings.half_open_per_prefix,
        "half_open_us": round(settings.half_open_s * 1e6), "idle_timeout_us": round(settings.idle_timeout_s * 1e6),
        "inbox_records": settings.inbox_records, "inbox_bytes": settings.inbox_bytes,
        "session_inbox_records": settings.session_inbox_records, "session_inbox_bytes": settings.session_inbox_bytes,
        "joining": settings.joining, "authenticate_us": round(settings.authenticate_s * 1e6),
        "integrity_every_us": round(settings.integrity_every_s * 1e6),
        "integrity_answer_us": round(settings.integrity_answer_s * 1e6),
        "async_handlers": settings.async_handlers, "spent_tokens": settings.spent_tokens,
        "outbox_bytes": settings.outbox_bytes, "blocks": settings.blocks, "session_blocks": settings.session_blocks,
        "mtu_limit": settings.mtu_limit,
        "cipher": settings.cipher, "replay_positions": settings.replay_positions,
        "rekey_bytes": settings.rekey_bytes, "rekey_packets": settings.rekey_packets,
        "rekey_age_us": round(settings.rekey_age_s * 1e6), "rekey_failures": settings.rekey_failures,
        "most_failures": settings.most_failures,
    }

"""Rules of a game in one TOML file: movements, actions, conduct."""
import enum
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from shadowland.authority.actions import Action
from shadowland.authority.conduct import Conduct
from shadowland.authority.movement import Movement
from shadowland.errors import ConfigError

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a file says; each table may be left out."""

    movements: dict[str, Movement] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    conduct: Conduct = field(default_factory=Conduct)

    @staticmethod
    def load(path: str | os.PathLike[str], flags: type[enum.IntFlag] | None = None) -> "Rules":
        """[movement.NAME], [action.NAME] and [conduct] with the fields of their classes; `forbidden` and `needed` are
        lists of names of `flags`. ConfigError names the file, the table, the key, its value and what it may be."""
        try:
            document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"rules {path}: {error.strerror}; name a file that can be read") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"rules {path}: {error}; correct the TOML there") from None
        for key in document:
            if key not in ("movement", "action", "conduct"):
                raise ConfigError(f"rules {path}: there is no table {key!r}; there are movement, action and conduct")
        where = f"rules {path}: "
        movements = {name: _made(Movement, table, f"{where}[movement.{name}]")
                     for name, table in _tables(document, "movement", where).items()}
        actions = {name: _made(Action, _named(table, flags, f"{where}[action.{name}]"), f"{where}[action.{name}]")
                   for name, table in _tables(document, "action", where).items()}
        return Rules(movements, actions, _made(Conduct, document.get("conduct", {}), f"{where}[conduct]"))


def _tables(document: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    tables = document.get(key, {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigError(f"{where}{key} is no table of tables; write [{key}.walk]")
    return tables


def _made(cls: Callable[..., Made], table: Any, where: str) -> Made:
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is no table")
    keys = [one.name for one in fields(cls)]  # type: ignore[arg-type]  # a dataclass
    for key in table:
        if key not in keys:
            raise ConfigError(f"{where}: there is no key {key!r}; the keys are {', '.join(keys)}")
    try:
        return cls(**table)
    except ConfigError as error:
        raise ConfigError(f"{where}: {str(error).partition(': ')[2]}") from None
    except TypeError:
        raise ConfigError(f"{where}: speed is missing; give it in metres a second") from None


def _named(table: Mapping[str, Any], flags: type[enum.IntFlag] | None, where: str) -> dict[str, Any]:
    table = dict(table)
    for key in ("forbidden", "needed"):
        names = table.get(key, 0)
        if isinstance(names, int):
            continue
        known = list(flags.__members__) if flags is not None else []
        if not isinstance(names, list) or not all(name in known for name in names):
            raise ConfigError(f"{where}: {key} is {names!r}; give a list of {', '.join(known) or 'bits'}")
        assert flags is not None or not names
        table[key] = sum({int(flags[name]) for name in names}) if flags is not None else 0
    return table

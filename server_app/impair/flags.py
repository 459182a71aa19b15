"""What people write for addresses, times, rates, sizes and probabilities, and the two links that come of it."""
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shadowland.errors import ConfigError
from shadowland.testing import Link, Spread, normal, pareto, uniform

DEFAULT_PORT: Final = 3565
TIMES: Final = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000}
RATES: Final = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
SIZES: Final = {"b": 1, "kb": 10**3, "mb": 10**6, "kib": 1 << 10, "mib": 1 << 20}
AMOUNT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)(?:/s)?", re.IGNORECASE)
MOST: Final = 1 << 50


def _amount(name: str, text: str, units: Mapping[str, int], example: str) -> int:
    found = AMOUNT.fullmatch(text.strip())
    unit = units.get(found[2].lower()) if found else None
    if found is None or (unit is None and not (float(found[1]) == 0 and found[2] == "")):
        raise ConfigError(f"{name} is {text!r}: give a number with a unit ({', '.join(units)}), as in {example}")
    value = round(float(found[1]) * (unit or 1))
    if value > MOST:
        raise ConfigError(f"{name} is {text!r}: give at most {MOST // (unit or 1):,}{found[2]}")
    return value


def time_us(name: str, text: str) -> int:
    """Microseconds of "50ms"."""
    return _amount(name, text, TIMES, "50ms")


def rate_bits_per_s(name: str, text: str) -> int:
    """Bits per second of "2mbit"."""
    return _amount(name, text, RATES, "2mbit")


def size_bytes(name: str, text: str) -> int:
    """Bytes of "64kB"."""
    return _amount(name, text, SIZES, "64kB")


def probability(name: str, text: str) -> float:
    """0 to 1 of "0.02" or "2%"."""
    digits, share = (text[:-1], 100) if text.endswith("%") else (text, 1)
    try:
        value = float(digits) / share
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} is {text!r}: give a probability, 0 to 1 or 0% to 100%")
    return value


def times_us(name: str, text: str) -> int | Spread:
    """A time, or a distribution of times: "uniform:10ms,60ms", "normal:50ms,10ms", "pareto:20ms,2.5" (or with a third,
    the most: "pareto:20ms,2.5,1s")."""
    shape, colon, rest = text.partition(":")
    if not colon:
        return time_us(name, text)
    given = rest.split(",")
    if shape in ("uniform", "normal") and len(given) == 2:
        first, second = (time_us(name, part) for part in given)
        return uniform(first, second) if shape == "uniform" else normal(first, second)
    if shape == "pareto" and len(given) in (2, 3):
        try:
            alpha = float(given[1])
        except ValueError:
            alpha = 0.0
        return pareto(time_us(name, given[0]), alpha, *[time_us(name, part) for part in given[2:]])
    raise ConfigError(f"{name} is {text!r}: give a time as in 50ms, uniform:10ms,60ms (least, most), "
                      "normal:50ms,10ms (mean, deviation) or pareto:20ms,2.5 (least, exponent)")


def buffer(name: str, text: str) -> dict[str, int]:
    """The queue before the line, as a time or as a size."""
    try:
        return {"buffer_us": time_us(name, text), "buffer_bytes": 0}
    except ConfigError:
        found = AMOUNT.fullmatch(text.strip())
        if found is None or found[2].lower() not in SIZES:
            raise ConfigError(f"{name} is {text!r}: give a time as in 200ms or a size as in 64kB") from None
        return {"buffer_bytes": size_bytes(name, text)}


# Flag: (meaning, example). Their names are those of the Link, without units.
FLAGS: Final[dict[str, tuple[str, str]]] = {
    "loss": ("probability that a datagram is lost", "2%"),
    "burst": ("probability that a datagram begins a burst of losses (Gilbert, Elliott)", "0.5%"),
    "burst-end": ("probability that a datagram ends the burst", "25%"),
    "burst-loss": ("loss inside a burst", "90%"),
    "corrupt": ("probability that one to three bits are flipped", "1%"),
    "duplicate": ("probability of a second copy", "1%"),
    "delay": ("time every datagram takes: a time or a distribution", "50ms or normal:50ms,5ms"),
    "jitter": ("up to this much more, without overtaking: a time or a distribution", "20ms or pareto:2ms,1.5"),
    "reorder": ("probability that a datagram is held back and those behind it pass", "3%"),
    "reorder-by": ("how long at most it is held back", "10ms"),
    "rate": ("speed of the line; what is too much queues", "2mbit"),
    "buffer": ("longest queue before the line, in time or bytes; a long one is bufferbloat", "200ms or 64kB"),
    "mtu": ("longest UDP payload; longer ones vanish", "1200B"),
}


def link_fields(given: Mapping[str, str], where: str = "--") -> dict[str, Any]:
    """Fields of a Link from flags as they were written; `where` stands before a name in messages."""
    found: dict[str, Any] = {}
    for flag, text in given.items():
        name = where + flag
        match flag:
            case "delay" | "jitter":
                found[f"{flag}_us"] = times_us(name, text)
            case "reorder-by":
                found["reorder_us"] = time_us(name, text)
            case "rate":
                found["rate_bits_per_s"] = rate_bits_per_s(name, text)
            case "buffer":
                found |= buffer(name, text)
            case "mtu":
                found["mtu"] = size_bytes(name, text)
            case _:
                found[flag.replace("-", "_")] = probability(name, text)
    return found


def one_way(name: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Fields of a Link from "loss=5%", "rate=1mbit" …: what holds in one direction alone."""
    given = {}
    for pair in pairs:
        flag, equals, text = pair.partition("=")
        if not equals or flag not in FLAGS:
            raise ConfigError(f"{name} is {pair!r}: give FLAG=VALUE, as in rate=2mbit; flags are {', '.join(FLAGS)}")
        given[flag] = text
    return link_fields(given, f"{name} ")


def links(both: Mapping[str, str], up: Iterable[str], down: Iterable[str]) -> tuple[Link, Link]:
    """The link to the target and the link back."""
    fields = link_fields(both)
    return Link(**{**fields, **one_way("--up", up)}), Link(**{**fields, **one_way("--down", down)})


def address(name: str, text: str, *, port: int | None = DEFAULT_PORT) -> tuple[str, int]:
    """(numeric host, port) of "host:port", "[::1]:port" or "sl://host:port"; without a port the default one.

    ConfigError if it cannot be read or the name is unknown.
    """
    found = re.fullmatch(r"(?:sl://)?(?:\[([0-9a-fA-F:.%\w]+)\]|([^:\[\]/]+))(?::(\d+))?/?", text)
    number = int(found[3]) if found and found[3] else port
    if found is None or number is None or number > 65535:
        raise ConfigError(f"{name} is {text!r}: give HOST:PORT, as in 127.0.0.1:4000 or [::1]:4000")
    host = found[1] or found[2]
    try:
        family, *_, resolved = socket.getaddrinfo(host, number, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise ConfigError(f"{name} is {text!r}: {host} has no address ({error.strerror}); check the name") from None
    return str(resolved[0]), number

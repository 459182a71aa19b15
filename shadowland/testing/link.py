"""How datagrams fare on the way from one host to another: pure, (luck, time, size) → fates; no socket, no clock.

`Link` says how; one `Lane` is one direction between two hosts and carries what outlasts a datagram: luck, whether
it loses in bursts just now, the queue before a slow line, when the last datagram arrived. The simulated network and the
live relay (`shadowland-server impair`) share both.

    lane.fates(link, size, now_us):  too long? → queue of the line → lost? → delay + jitter → held back? → bits flipped
"""
from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import NamedTuple

from shadowland.errors import ConfigError

UDP_PAYLOAD = 65507
HEADER_BYTES = 28                               # IPv4 and UDP; they take their time on a line too
FLIPS = 3                                       # most bits that corruption flips
NORMAL = NormalDist()


class Spread(NamedTuple):
    """A distribution of times in microseconds, drawn by inverting it: one draw of luck makes one time, never negative.

    Make it with `uniform`, `normal` or `pareto`.
    """

    shape: str
    a: float
    b: float
    limit_us: float

    def draw_us(self, luck: float) -> int:
        """The time at `luck`, 0 ≤ luck < 1: its quantile function, cut to 0 and `limit_us`."""
        if self.shape == "uniform":
            time_us = self.a + luck * (self.b - self.a)
        elif self.shape == "normal":
            time_us = self.a + self.b * (NORMAL.inv_cdf(luck) if luck > 0 else -10.0)
        else:
            time_us = self.a * (1.0 - luck) ** (-1.0 / self.b)
        return int(min(max(time_us, 0.0), self.limit_us))


def uniform(low_us: int, high_us: int) -> Spread:
    """Evenly from `low_us` to `high_us`."""
    if not 0 <= low_us <= high_us:
        raise ConfigError(f"uniform({low_us}, {high_us}): give 0 <= low_us <= high_us")
    return Spread("uniform", low_us, high_us, high_us)


def normal(mean_us: int, deviation_us: int) -> Spread:
    """Bell-shaped around `mean_us`; what would be below 0 is 0."""
    if mean_us < 0 or deviation_us < 0:
        raise ConfigError(f"normal({mean_us}, {deviation_us}): neither may be negative")
    return Spread("normal", mean_us, deviation_us, mean_us + 10.0 * deviation_us)


def pareto(least_us: int, alpha: float, limit_us: int = 10_000_000) -> Spread:
    """A long tail: at least `least_us`, P(more than x) = (least_us / x) ** alpha; nothing is beyond `limit_us`."""
    if least_us < 0 or not alpha > 0 or limit_us < least_us:
        given = f"pareto({least_us}, {alpha}, {limit_us})"
        raise ConfigError(f"{given}: give least_us >= 0, alpha > 0, limit_us >= least_us")
    return Spread("pareto", least_us, alpha, limit_us)


@dataclass(frozen=True, slots=True)
class Link:
    """How datagrams fare in one direction. Probabilities are 0 to 1, each drawn for each datagram; times microseconds.

    loss           it is gone.
    burst          with this probability a datagram begins a burst, in which `burst_loss` holds in place of `loss`; each
                   further datagram ends it with `burst_end` (Gilbert and Elliott's two states): a share
                   burst / (burst + burst_end) of the datagrams meets a burst, each is 1 / burst_end datagrams long.
    corrupt        one to three of its bits are flipped.
    duplicate      a second copy travels on its own.
    delay_us       every datagram's; jitter_us: up to this much more, evenly, without overtaking. Both may be a
                   distribution: `uniform`, `normal` or `pareto`.
    reorder        it is held back by up to `reorder_us` more, and those behind it pass.
    rate_bits_per_s    speed of the line, headers of IPv4 and UDP counted; 0: no limit. Datagrams queue before it, and
                   one that would wait longer than `buffer_us` is dropped (`queue_full`): a long buffer is
                   bufferbloat. buffer_bytes: the same in bytes that wait, in place of buffer_us.
    mtu            longest UDP payload; longer ones vanish, as in a black hole.

    What is lost, spoiled or doubled has taken its time on the line, as in the air. ConfigError if a value is out of its
    range.
    """

    loss: float = 0.0
    delay_us: int | Spread = 0
    jitter_us: int | Spread = 0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_us: int = 10_000
    corrupt: float = 0.0
    mtu: int = UDP_PAYLOAD
    burst: float = 0.0
    burst_end: float = 0.25
    burst_loss: float = 1.0
    rate_bits_per_s: int = 0
    buffer_us: int = 100_000
    buffer_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder", "corrupt", "burst", "burst_end", "burst_loss"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name}={getattr(self, name)} of a Link is a probability: give 0 to 1")
        for name in ("delay_us", "jitter_us", "mtu", "rate_bits_per_s", "buffer_us", "buffer_bytes"):
            value = getattr(self, name)
            if not isinstance(value, Spread) and value < 0:
                raise ConfigError(f"{name}={value} of a Link is negative")
        if self.reorder_us < 1:
            raise ConfigError(f"reorder_us={self.reorder_us} of a Link would hold nothing back: give at least 1")
        if self.burst and not self.burst_end:
            raise ConfigError("burst_end=0 of a Link: a burst that never ends is loss=1")


LINK_NAMES = tuple(field.name for field in fields(Link))


class Fate(NamedTuple):
    """What becomes of one copy: `kind` is "delivered" (at `time_us`, with `flips` bits flipped) or why it is not:
    "too_long", "queue_full" or "lost"."""

    kind: str
    time_us: int
    flips: tuple[int, ...] = ()


class Lane:
    """One direction between two hosts."""

    __slots__ = ("_arrival_us", "_bursting", "_copies", "_free_us", "_luck")

    def __init__(self, seed: str) -> None:
        self._luck = random.Random(seed)
        self._copies = random.Random(f"{seed} copies")      # doubling more leaves the luck of first copies as it was
        self._bursting = False
        self._arrival_us = 0                    # of the last datagram that kept its place
        self._free_us = 0.0                     # when the line has sent all that waits

    def waiting_us(self, now_us: int) -> int:
        """How long a datagram that comes now would wait before the line: the queue, in time."""
        return max(0, int(self._free_us) - now_us)

    def fates(self, link: Link, size: int, now_us: int) -> list[Fate]:
        """What becomes of a datagram of `size` bytes that comes now: one fate for each copy, the first one's first.

        Every draw is made for every copy: turning one probability up or down leaves the luck of the others as it was.
        """
        luck = self._luck.random
        doubled, turn, bursting = luck() < link.duplicate, luck(), self._bursting
        if turn < (link.burst_end if bursting else link.burst):
            self._bursting = bursting = not bursting
        first = self._fate(link, size, now_us, luck, bursting)
        return [first, self._fate(link, size, now_us, self._copies.random, bursting)] if doubled else [first]

    def _fate(self, link: Link, size: int, now_us: int, luck: Callable[[], float], bursting: bool) -> Fate:
        lost, corrupt, reorder = (luck() < p for p in (link.burst_loss if bursting else link.loss, link.corrupt,
                                                       link.reorder))
        delay_us, jitter_us = _time_us(link.delay_us, luck(), 0), _time_us(link.jitter_us, luck(), 1)
        held_us = 1 + int(luck() * link.reorder_us)
        places = [luck() for _ in range(FLIPS)][:1 + int(luck() * FLIPS)]
        if size > link.mtu:
            return Fate("too_long", now_us)
        out_us = now_us
        if link.rate_bits_per_s:
            sent_us = self._transmit(link, size, now_us)
            if sent_us is None:
                return Fate("queue_full", now_us)
            out_us = sent_us
        if lost:
            return Fate("lost", now_us)
        time_us = max(out_us + delay_us + jitter_us, self._arrival_us)
        if reorder:
            time_us += held_us
        else:
            self._arrival_us = time_us
        flips = tuple({int(place * size * 8) for place in places}) if corrupt else ()
        return Fate("delivered", time_us, flips if size else ())

    def _transmit(self, link: Link, size: int, now_us: int) -> int | None:
        """When the line has sent it; None if the queue before the line is full."""
        wait_us = max(0.0, self._free_us - now_us)
        bits_per_us = link.rate_bits_per_s / 1e6
        if link.buffer_bytes:
            full = wait_us * bits_per_us / 8 + size + HEADER_BYTES > link.buffer_bytes and wait_us > 0
        else:
            full = wait_us > link.buffer_us
        if full:
            return None
        self._free_us = now_us + wait_us + (size + HEADER_BYTES) * 8 / bits_per_us
        return int(self._free_us)


def flip(data: bytes, bits: tuple[int, ...]) -> bytes:
    """`data` with these bits flipped."""
    payload = bytearray(data)
    for bit in bits:
        payload[bit >> 3] ^= 1 << (bit & 7)
    return bytes(payload)


def _time_us(time: int | Spread, luck: float, spread: int) -> int:
    """A fixed time, or a draw: of a Spread, or evenly from 0 to a jitter (`spread`)."""
    if isinstance(time, Spread):
        return time.draw_us(luck)
    return int(luck * (time + 1)) if spread else time

"""Interpolation: others are shown a little late, between two snapshots, and so move evenly whatever the network does.

    others = Interpolation(Player, tick_hz=30)
    while True:
        client.poll()
        others.add(client.snapshot, now_s, client.stats.clock_offset_ms)    # a new snapshot, or the same again
        players = others.at(now_s)                      # columns as a snapshot has them, at players.tick
        draw(players.handles, players.position, players.yaw)
"""
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from shadowland.errors import ConfigError, UsageError
from shadowland.schema import Entity, layout
from shadowland.schema.fields import Kind
from shadowland.view import Seen, Snapshot

__all__ = ["Interpolated", "Interpolation"]

Some = TypeVar("Some", bound=Entity)
Floats = NDArray[np.float64]

KEPT: Final = 64                    # snapshots
ARRIVALS: Final = 64                # that jitter and gaps are measured by
REMEMBERED: Final = 512             # with the server's clock: so long ago, arrivals say as much as new ones
CLOCK_SHARE: Final = 1 / 16         # of each new offset that is believed: one of them is wrong by half of the jitter
CLOCK_SET_S: Final = 0.1            # further off than this a clock was set
MOST_EXTRAPOLATED_MS: Final = 250.0
PACE: Final = 0.1                   # time shown runs this much faster or slower until the delay is what it should be
LEAP_S: Final = 0.5                 # further off than this it leaps


class Interpolated(Seen[Some]):
    """The entities of a class as they are to be drawn: `handles` and each field as an array, one row per entity.

    tick           of the server that is shown, with a fraction; say it in a shot (shadowland.rewind).
    extrapolated   whether nothing newer had come, so that velocities carried on.
    """

    tick: float
    extrapolated: bool

    def __init__(self, cls: type[Some], arrays: dict[str, NDArray[Any]], handles: NDArray[np.uint64], tick: float,
                 extrapolated: bool) -> None:
        super().__init__(cls, arrays, handles)
        self.tick, self.extrapolated = tick, extrapolated


@dataclass(slots=True)
class _Kept:
    """One snapshot's columns, and its handles in order to look them up."""

    tick: int
    handles: NDArray[np.uint64]
    arrays: dict[str, NDArray[Any]]
    order: NDArray[np.intp]

    def rows_of(self, handles: NDArray[np.uint64]) -> NDArray[np.intp]:
        """-1 for those that are not there. A handle is slot and generation, so nobody is taken for its successor."""
        if len(self.handles) == 0:
            return np.full(len(handles), -1, np.intp)
        at = np.minimum(np.searchsorted(self.handles, handles, sorter=self.order), len(self.handles) - 1)
        rows = self.order[at]
        found: NDArray[np.intp] = np.where(self.handles[rows] == handles, rows, -1)
        return found


class Interpolation(Generic[Some]):
    """Snapshots of one class, shown at the server's time minus a delay.

    tick_hz           the server's.
    least_ms, most_ms   bounds of the delay; in between it is the gap between snapshots plus what arrivals scatter
                      (95 of 100), so that the next snapshot is nearly always there.
    extrapolate_ms    how long velocities carry on when it is not, at most 250; then everybody stands.
    teleport          whose position jumps further than this between two snapshots is not moved in between.

    `delay_ms` is the delay as it is, `extrapolations` how many frames had nothing newer. ConfigError names a mistake.
    """

    def __init__(self, cls: type[Some], *, tick_hz: float, least_ms: float = 20.0, most_ms: float = 250.0,
                 extrapolate_ms: float = 250.0, teleport: float = 10.0) -> None:
        for name, value, low, high in (
                ("least_ms", least_ms, 0.0, 1000.0), ("most_ms", most_ms, least_ms, 1000.0),
                ("extrapolate_ms", extrapolate_ms, 0.0, MOST_EXTRAPOLATED_MS), ("teleport", teleport, 0.0, 1e300)):
            if not low <= value <= high:
                raise ConfigError(f"Interpolation: {name} is {value}; it must be {low:g} to {high:g}")
        self.cls, self.tick_hz = cls, tick_hz
        self.delay_ms, self.extrapolations = least_ms, 0
        self._fields = {column.name: column.field for column in layout(cls, tick_hz).columns if column.first >= 0}
        self._bounds_ms, self._extrapolate_ms, self._teleport = (least_ms, most_ms), extrapolate_ms, teleport
        self._kept: deque[_Kept] = deque(maxlen=KEPT)
        self._ahead_s: Floats = np.zeros(REMEMBERED)            # time of each tick minus when it came, on the clock
        self._gaps_s: Floats = np.zeros(ARRIVALS)
        self._arrivals = 0
        self._clock_s: float | None = None                      # what the clock is ahead of now_s; None: it is now_s
        self._heard_s = 0.0                                     # the last offset
        self._shown_s = self._frame_s = -np.inf

    def add(self, snapshot: Snapshot | None, now_s: float, clock_offset_ms: float = 0.0) -> bool:
        """A snapshot that came at `now_s` (a clock that runs evenly); whether it is new: None and old ones are not.

        clock_offset_ms   the server's clock less ours, as `SessionStats` has it; 0: not measured. With it time is the
                          server's, so that half a minute of arrivals says what the next will be like, not two seconds.
        """
        if clock_offset_ms and np.isfinite(clock_offset_ms):
            self._hear(clock_offset_ms / 1000)
        newest = self._kept[-1].tick if self._kept else -1
        if snapshot is None or snapshot.tick <= newest:
            return False
        seen = snapshot[self.cls]
        arrays = {name: getattr(seen, name) for name in self._fields}
        self._kept.append(_Kept(snapshot.tick, seen.handles, arrays, np.argsort(seen.handles)))
        self._ahead_s[self._arrivals % REMEMBERED] = snapshot.tick / self.tick_hz - now_s - (self._clock_s or 0.0)
        self._gaps_s[self._arrivals % ARRIVALS] = (snapshot.tick - newest) / self.tick_hz if newest >= 0 else 0.0
        self._arrivals += 1
        ahead = self._ahead(REMEMBERED if self._clock_s is not None else ARRIVALS)
        most = ahead.max()
        late = max(float(np.percentile(most - some, 95)) for some in (ahead, ahead[:ARRIVALS]))
        gap = float(np.percentile(self._gaps_s[:min(self._arrivals, ARRIVALS)], 95))
        self.delay_ms = float(np.clip((late + gap) * 1000, *self._bounds_ms))
        return True

    def _ahead(self, most: int) -> Floats:
        """By what the last arrivals, the newest first, were ahead of the clock."""
        back = np.arange(1, min(self._arrivals, most) + 1)
        return self._ahead_s[(self._arrivals - back) % REMEMBERED]

    def _hear(self, offset_s: float) -> None:
        """The offset as it was measured: believed little by little, for what comes later. At the first one and when a
        clock was set, what was is put on the new clock, so that what is shown goes on."""
        if self._clock_s is None or abs(offset_s - self._clock_s) > CLOCK_SET_S:
            self._ahead_s -= offset_s - (self._clock_s or 0.0)
            self._clock_s = offset_s
        elif offset_s != self._heard_s:
            self._clock_s += CLOCK_SHARE * (offset_s - self._clock_s)
        self._heard_s = offset_s

    def at(self, now_s: float, tick: float | None = None) -> Interpolated[Some]:
        """Once a frame: who is to be drawn where at `now_s`; `tick`: of the server that is to be shown, for those who
        know its time themselves. Without a snapshot there is nobody."""
        if not now_s >= self._frame_s:
            raise UsageError(f"the frame at {now_s} s comes after the one at {self._frame_s} s; time does not go back")
        if not self._kept:
            self._frame_s = now_s
            return self._drawn(None, None, 0.0, np.nan)
        if tick is None:
            tick = self._paced(now_s) * self.tick_hz
        self._frame_s = now_s
        before = after = None
        for kept in reversed(self._kept):
            before = kept
            if kept.tick <= tick:
                break
            after = kept
        assert before is not None
        if before.tick > tick:                          # older than all that is kept: the oldest
            return self._drawn(before, None, 0.0, float(before.tick))
        if after is not None:
            return self._drawn(before, after, (tick - before.tick) / (after.tick - before.tick), tick)
        self.extrapolations += tick > before.tick
        return self._drawn(before, None, min((tick - before.tick) / self.tick_hz, self._extrapolate_ms / 1000), tick)

    def _paced(self, now_s: float) -> float:
        """The server's time that is shown: by the delay behind the newest that can have come. It never goes back."""
        ahead = self._ahead(REMEMBERED if self._clock_s is not None else ARRIVALS)
        target = now_s + (self._clock_s or 0.0) + float(ahead.max()) - self.delay_ms / 1000
        passed = now_s - self._frame_s
        steady = self._shown_s + passed
        if not abs(target - steady) < LEAP_S:           # the first frame too
            self._shown_s = max(target, self._shown_s)
        else:
            self._shown_s = steady + float(np.clip(target - steady, -PACE * passed, PACE * passed))
        return self._shown_s

    def _drawn(self, before: _Kept | None, after: _Kept | None, part: float, tick: float) -> Interpolated[Some]:
        """`part`: of the way to `after`, or seconds to extrapolate where there is none."""
        if before is None:
            nobody = {name: np.zeros((0, field.lanes) if field.lanes > 1 else 0, field.dtype)
                      for name, field in self._fields.items()}
            return Interpolated(self.cls, nobody, np.zeros(0, np.uint64), tick, False)
        arrays = {name: array.copy() for name, array in before.arrays.items()}
        if after is not None:
            self._between(before, after, part, arrays)
        elif part > 0:
            for name, field in self._fields.items():
                if field.kind is Kind.FLOAT and field.predicted_by:
                    arrays[name] += (before.arrays[field.predicted_by] * part).astype(arrays[name].dtype)
        return Interpolated(self.cls, arrays, before.handles.copy(), tick, after is None and part > 0)

    def _between(self, before: _Kept, after: _Kept, part: float, arrays: dict[str, NDArray[Any]]) -> None:
        rows = after.rows_of(before.handles)
        there = np.flatnonzero(rows >= 0)
        if "position" in arrays:
            jump = after.arrays["position"][rows[there]].astype(np.float64) - before.arrays["position"][there]
            squares = np.square(jump) if jump.ndim == 1 else np.square(jump).sum(axis=1)
            there = there[squares <= self._teleport**2]
        rows = rows[there]
        seconds = (after.tick - before.tick) / self.tick_hz
        for name, field in self._fields.items():
            if field.kind not in (Kind.FLOAT, Kind.ANGLE):
                continue
            begin = before.arrays[name][there].astype(np.float64)
            way = after.arrays[name][rows] - begin
            if field.kind is Kind.ANGLE:
                way = np.arctan2(np.sin(way), np.cos(way))
            now = begin + part * way
            if field.kind is Kind.FLOAT and field.predicted_by:
                # Cubic Hermite: the straight line, and what the velocities at its ends differ from it.
                first = seconds * before.arrays[field.predicted_by][there] - way
                last = seconds * after.arrays[field.predicted_by][rows] - way
                now = now + part * (1 - part) * ((1 - part) * first - part * last)
            arrays[name][there] = now

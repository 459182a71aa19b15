"""The slow model of the estimate of the peer's clock: a list of points, exact integers (docs/protocol.md 5.3)."""
from typing import NamedTuple

POINTS = 8
SAMPLES = 4
DRIFT_LEAST_US = 15_000_000
DRIFT_SHARE = 100
WORD = 2**64


class Point(NamedTuple):
    time_us: int
    offset_us: int
    rtt_us: int


def signed(value: int) -> int:
    value %= WORD
    return value - WORD if value >= WORD // 2 else value


def toward_zero(number: int, by: int) -> int:
    return number // by if number >= 0 else -(-number // by)


def was_set(before: Point, after: Point) -> bool:
    moved = abs(signed(after.offset_us - before.offset_us))
    return moved > (after.time_us - before.time_us) // DRIFT_SHARE + before.rtt_us + after.rtt_us


class PeerClock:
    def __init__(self) -> None:
        self.points: list[Point] = []
        self.window: list[Point] = []
        self.now_us = self.drift_ppb = 0

    def best(self) -> Point | None:
        """Of the running window: the shortest round trip, the newest of several."""
        return min(reversed(self.window), key=lambda point: point.rtt_us, default=None)

    def sample(self, offset_us: int, rtt_us: int, now_us: int) -> None:
        self.now_us = now_us
        self.window.append(Point(now_us, offset_us % WORD, max(rtt_us, 1)))
        best = self.best()
        if len(self.window) < SAMPLES or best is None:
            return
        self.window = []
        if self.points and was_set(self.points[-1], best):
            self.points, self.drift_ppb = [], 0
        self.points = [*self.points, best][-POINTS:]
        span = best.time_us - self.points[0].time_us
        if span >= DRIFT_LEAST_US:
            most = span // DRIFT_SHARE
            moved = max(-most, min(signed(best.offset_us - self.points[0].offset_us), most))
            self.drift_ppb = toward_zero(moved * 1_000_000, span // 1000)

    @property
    def offset_us(self) -> int:
        point = self.best()
        if self.points:
            last = self.points[-1]
            if point is None or (last.rtt_us < point.rtt_us and not was_set(last, point)):
                point = last
        if point is None:
            return 0
        age = (self.now_us - point.time_us) // 1000
        return signed(point.offset_us + toward_zero(self.drift_ppb * age, 1_000_000))

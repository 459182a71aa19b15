"""The search for the path's MTU as docs/protocol.md 9 says it. Slow and obvious: each size keeps what became of it."""

SIZES = [1200, 1232, 1350, 1400, 1452, 1472, 1500]
LOWEST = 1150


class Search:
    def __init__(self, mtu: int, limit: int, now_us: int) -> None:
        self.mtu, self.limit = mtu, limit
        self.lost_of_size: dict[int, int] = {}
        self.in_flight: tuple[int, int, int] | None = None          # size, sequence, when it counts as lost
        self.not_before_us = now_us + 1_000_000
        self.passes = 0

    def next_size(self) -> int:
        sizes = [size for size in [*SIZES, self.limit] if self.mtu < size <= self.limit]
        return min(sizes, default=0)

    def due_us(self) -> int:
        if self.next_size() == 0:
            return 0
        return self.in_flight[2] if self.in_flight else self.not_before_us

    def due(self, now_us: int) -> int:
        if self.in_flight and now_us >= self.in_flight[2]:
            self.lost(self.in_flight[1], now_us)
        return 0 if self.in_flight or now_us < self.not_before_us else self.next_size()

    def sent(self, size: int, sequence: int, now_us: int, patience_us: int) -> None:
        self.in_flight = size, sequence, now_us + max(1_000_000, patience_us)

    def lost(self, sequence: int, now_us: int) -> None:
        if self.in_flight is None or self.in_flight[1] != sequence:
            return
        size = self.in_flight[0]
        self.in_flight = None
        self.lost_of_size[size] = self.lost_of_size.get(size, 0) + 1
        self.not_before_us = now_us
        if self.lost_of_size[size] == 3:
            self.lost_of_size.clear()
            self.not_before_us = now_us + 600_000_000

    def acked(self, size: int, now_us: int) -> None:
        if size > self.mtu:
            self.mtu, self.in_flight, self.passes, self.not_before_us = size, None, 0, now_us
            self.lost_of_size.clear()

    def long_lost(self, now_us: int) -> None:
        if self.mtu == LOWEST:
            return
        self.passes += 1
        if self.passes == 3:
            self.mtu, self.in_flight, self.passes, self.not_before_us = LOWEST, None, 0, now_us + 60_000_000
            self.lost_of_size.clear()

    def long_acked(self) -> None:
        self.passes = 0

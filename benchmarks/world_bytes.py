"""Where the bits of snapshots go: a reader of docs/replication.md that keeps books instead of a view.

Every bit of a payload is booked under one part, every record under one cause. To know the cause the ledger follows
what the server knows of each seat: what it sent, and what became of it. What it reads must be what was published.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shadowland.schema import Layout
from tests.reference.world_records import (
    ABSOLUTE,
    ENTER,
    LEAVE,
    LONG,
    WIDE,
    Component,
    Kind,
    State,
    add,
    difference,
    predict,
    wide_width,
)

REPEAT_S = 5
REFRESH_EARLY = 48
CAUSES = ("enter", "enter again", "strayed", "changed", "refresh", "repeat", "after loss", "reference gone", "leave",
          "leave again")
"""first enter; enter not acknowledged yet; a predicted field off by more than its tolerance; another field changed;
the reference is 48 to 56 ticks old; nothing was sent for 5 s; the newest record was lost; absolute, as the reference's
state is no longer known; first leave; leave not acknowledged yet."""


def kind_of(layout: Layout[Any]) -> Kind:
    """A class as the slow model has it."""
    names = ("low", "high", "step", "kind", "predict", "num", "shift", "tolerance", "column", "audience", "small",
             "medium")
    components = tuple(Component(**{name: row[name].item() for name in names}) for row in layout.components)
    return Kind(components, (), 0.0, 0.0)


class Bits:
    """A payload, read from its least significant bit on."""

    def __init__(self, payload: bytes) -> None:
        self.number, self.end, self.at = int.from_bytes(payload, "little"), 8 * len(payload), 0

    def take(self, width: int) -> int:
        taken = self.number >> self.at & ((1 << width) - 1)
        self.at += width
        assert self.at <= self.end, "a record goes on beyond its payload"
        return taken

    def take_uvarint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(8)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def pad(self) -> int:
        """To the next byte; how many bits that took."""
        width = -self.at % 8
        assert self.take(width) == 0, "padding is not zero"
        return width


@dataclass
class Seat:
    """What the server knows about a seat, as far as records and their fate tell."""

    kind: int
    slot: int
    generation: int
    since: int
    states: dict[int, tuple[State, int]] = field(default_factory=dict)     # by tick of its record: state, audience set
    leaving: bool = False
    lost: bool = False
    sent: int = 0
    known: bool = False                 # all that was sent arrived: the view shows what it should


def unzigzag(number: int) -> int:
    return -(number >> 1) - 1 if number & 1 else number >> 1


class Ledger:
    """The books of some observers. `bits`: (class, field, what) to bits; `causes`: to records and to their bits."""

    def __init__(self, layouts: Sequence[Layout[Any]], hz: int) -> None:
        self.kinds = [kind_of(layout) for layout in layouts]
        self.names = [[column.name for column in layout.columns] for layout in layouts]
        self.classes = [layout.entity.__name__ for layout in layouts]
        self.repeat_ticks = REPEAT_S * hz
        self.seats: dict[tuple[int, int], Seat] = {}
        self.tokens: dict[tuple[int, int], tuple[int, list[tuple[int, bool]]]] = {}
        self.clear()

    def clear(self) -> None:
        """Begin to count anew, knowing all that was known."""
        self.bits: Counter[tuple[str, str, str]] = Counter()
        self.causes: Counter[str] = Counter()
        self.cause_bits: Counter[str] = Counter()
        self.residuals: dict[tuple[int, int], Counter[int]] = {}
        self.payload_bytes = self.records = self.empty = 0
        self.around: Counter[str] = Counter()               # bits of the datagram beside the payload

    # --- what was sent

    def sent(self, observer: int, token: int, payload: bytes, tick: int, arrives: bool,
             truth: Mapping[int, tuple[int, int, State]]) -> None:
        """Book one payload. `truth`: slot to generation, kind and state as published at `tick`."""
        bits, seat, held = Bits(payload), -1, []
        self.payload_bytes += len(payload)
        self.empty += len(payload) == 2
        self.around["frame"] += 8 * (2 if len(payload) < 127 else 3)    # length uvarint, head: docs/protocol.md 5.2
        self.around["ack block"] += 32          # of a client that sends as often: first, newest, delay, 8 positions
        assert bits.take(16) == tick & 0xFFFF, "a payload of another tick"
        self.bits["", "", "tick"] += 16
        while bits.at < bits.end:
            start = bits.at
            seat += bits.take_uvarint() + 1
            self.bits["", "", "gap"] += bits.at - start
            cause, leave = self.record(bits, (observer, seat), tick, truth)
            self.causes[cause] += 1
            self.cause_bits[cause] += bits.at - start
            self.records += 1
            held.append((seat, leave))
            self.seats[observer, seat].known = arrives
        self.tokens[observer, token] = tick, held

    def record(self, bits: Bits, place: tuple[int, int], tick: int,
               truth: Mapping[int, tuple[int, int, State]]) -> tuple[str, bool]:
        what, value = bits.take(2), bits.take(6)
        self.bits["", "", "head"] += 8
        seat = self.seats.get(place)
        if what == LEAVE:
            assert seat is not None and value == 0
            again, seat.leaving = seat.leaving, True
            return "leave again" if again else "leave", True
        first = seat is None
        if what == ENTER:
            start = bits.at
            kind, slot, generation = bits.take(8), bits.take_uvarint(), bits.take_uvarint()
            self.bits["", "", "class, slot, generation"] += bits.at - start
            if seat is None:
                seat = self.seats[place] = Seat(kind, slot, generation, tick)
            assert (kind, slot, generation) == (seat.kind, seat.slot, seat.generation)
        assert seat is not None, "nobody has entered this seat"
        generation, kind, state = truth[seat.slot]
        assert (generation, kind) == (seat.generation, seat.kind)
        if what in (ENTER, ABSOLUTE):
            audience, read = value, self.absolute(bits, seat.kind, value)
        else:
            audience, read = self.update(bits, seat, value, tick)
        visible = self.kinds[kind].visible(audience)
        assert all(read[i] == state[i] for i in visible), "a record says something else than was published"
        cause = "enter" if first else self.cause(seat, what, state, audience, tick)
        seat.states[tick] = state, audience
        seat.sent, seat.lost = tick, False
        return cause, False

    def cause(self, seat: Seat, what: int, state: State, audience: int, tick: int) -> str:
        """Why it goes now: what came first of all that would have brought it."""
        if seat.lost:
            return "after loss"
        if what == ENTER:
            return "enter again"
        if what == ABSOLUTE:
            return "reference gone"
        kind, age = self.kinds[seat.kind], tick - seat.sent
        shown = predict(kind, seat.states[seat.sent][0], age)
        off = [i for i in kind.visible(audience) if abs(difference(kind.components[i], state[i], shown[i])) > (
            kind.components[i].tolerance if kind.components[i].predict >= 0 and state[kind.components[i].predict]
            else 0)]
        if any(kind.components[i].predict < 0 for i in off):
            return "changed"
        if off:
            return "strayed"
        if age >= self.repeat_ticks:
            return "repeat"
        assert age >= REFRESH_EARLY, "nothing asked for this record"
        return "refresh"

    # --- bodies

    def book(self, kind: int, component: Component, what: str, bits: int) -> None:
        self.bits[self.classes[kind], self.names[kind][component.column], what] += bits

    def absolute(self, bits: Bits, number: int, audience: int) -> State:
        kind = self.kinds[number]
        state = [c.low for c in kind.components]
        for i in kind.visible(audience):
            c, start = kind.components[i], bits.at
            if c.bits <= WIDE:
                state[i] = c.low + bits.take(c.bits)
            else:
                code = bits.take(2)
                taken = bits.take(wide_width(c, code))
                state[i] = c.low + taken if code == 3 else min(max(0, c.low), c.high) + unzigzag(taken)
            self.book(number, c, "whole", bits.at - start)
        self.bits["", "", "padding"] += bits.pad()
        return tuple(state)

    def update(self, bits: Bits, seat: Seat, age: int, tick: int) -> tuple[int, State]:
        assert age
        if age == LONG:
            age = (tick - bits.take(16)) & 0xFFFF
            self.bits["", "", "reference's tick"] += 16
        reference, audience = seat.states[tick - age]
        kind = self.kinds[seat.kind]
        state = list(predict(kind, reference, age))
        fields = kind.fields(audience)
        flags = [bits.take(1) for _ in fields]
        for among, flag in zip(fields, flags, strict=True):
            self.book(seat.kind, kind.components[among[0]], "changed?", 1)
            for i in among if flag else ():
                c, code = kind.components[i], bits.take(2)
                width = (0, c.small, c.medium, 32)[code]
                zigzag = bits.take(width)
                state[i] = add(c, state[i], unzigzag(zigzag))
                self.book(seat.kind, c, "class", 2)
                self.book(seat.kind, c, "residual", width)
                self.residuals.setdefault((seat.kind, i), Counter())[zigzag.bit_length()] += 1
        self.bits["", "", "padding"] += bits.pad()
        return audience, tuple(state)

    # --- what became of it

    def acked(self, observer: int, token: int) -> None:
        tick, held = self.tokens.pop((observer, token))
        for place, leave in held:
            seat = self.seats.get((observer, place))
            if seat is None or tick < seat.since:
                continue                                    # of the one who sat there before
            if leave:
                del self.seats[observer, place]
            else:                                           # the server refers to nothing older any more
                seat.states = {at: kept for at, kept in seat.states.items() if at >= tick}

    def lost(self, observer: int, token: int) -> None:
        tick, held = self.tokens.pop((observer, token))
        for place, leave in held:
            seat = self.seats.get((observer, place))
            if seat is not None and not leave and seat.sent == tick:
                seat.sent, seat.lost = 0, True

    # --- what it amounts to

    def better_classes(self, kind: int, i: int) -> tuple[int, int, float]:
        """(small, medium, part of its residual bits saved) of the widths that suit a component's residuals best."""
        sizes = self.residuals.get((kind, i), Counter())
        most = max(sizes, default=0)

        def cost(small: int, medium: int) -> int:
            return sum(count * (0 if size == 0 else small if size <= small else medium if size <= medium else 32)
                       for size, count in sizes.items())
        c = self.kinds[kind].components[i]
        now = cost(c.small, c.medium)
        best = min((cost(small, medium), small, medium) for small in range(1, most + 2)
                   for medium in range(small + 1, max(small, most) + 2))
        return best[1], best[2], 1 - best[0] / now if now else 0.0

"""The other end of replication: what a view makes of snapshots, as docs/replication.md says it. Slow and obvious."""
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.reference.world_records import (
    ABSOLUTE,
    LEAVE,
    LONG,
    UPDATE,
    Kind,
    Malformed,
    NoReference,
    Reader,
    State,
    decode_absolute,
    decode_delta,
    predict,
)

WINDOW = 62                             # ages that a record's head can say
OK, BAD_MESSAGE, UNDECODABLE = 0, 23, 34


@dataclass
class Seat:
    kind: int
    slot: int
    generation: int
    entered: int
    history: dict[int, tuple[State, int]] = field(default_factory=dict)     # state, audience set


class View:
    def __init__(self, kinds: Sequence[Kind], seats: int, history: int) -> None:
        self.kinds, self.seat_count, self.depth = kinds, seats, history
        self.seats: dict[int, Seat] = {}
        self.left: dict[int, int] = {}      # by seat: its newest leave
        self.tick = 0

    def apply(self, payload: bytes, hint: int = 0) -> int:
        try:
            tick, records = self.parse(payload, hint)
        except Malformed:
            return BAD_MESSAGE
        except NoReference:
            return UNDECODABLE
        for record in records:
            self.commit(tick, *record)
        self.tick = max(self.tick, tick)
        return OK

    def parse(self, payload: bytes, hint: int) -> tuple[int, list[tuple[int, int, Seat | None, State, int]]]:
        reader = Reader(payload)
        near = self.tick or hint
        tick = near + (reader.read(16) - near + 0x8000) % 0x10000 - 0x8000
        if tick <= 0:
            tick += 0x10000
        if tick > 2**32 - 1:
            raise Malformed
        seat, records = -1, []
        while not reader.ended:
            seat += reader.read_uvarint(self.seat_count) + 1
            if seat >= self.seat_count:
                raise Malformed
            records.append((seat, *self.parse_record(reader, tick, seat)))
        return tick, records

    def parse_record(self, reader: Reader, tick: int, seat: int) -> tuple[int, Seat | None, State, int]:
        known = self.seats.get(seat)
        kind, value = reader.read(2), reader.read(6)
        if kind == LEAVE:
            if value:
                raise Malformed
            return kind, None, (), 0
        if kind == UPDATE:
            if value == 0:
                raise Malformed
            if value == LONG:
                value = (tick - reader.read(16)) & 0xFFFF
                if value <= WINDOW:
                    raise Malformed
            if known is None or tick - value not in known.history:
                raise NoReference
            reference, audience = known.history[tick - value]
            layout = self.kinds[known.kind]
            state = decode_delta(layout, reader, predict(layout, reference, value), audience)
            self.can_keep(known, tick)
            return kind, None, state, audience
        if kind == ABSOLUTE:
            if known is None or tick < known.entered:
                raise NoReference                           # perhaps of the one who sat there before
            state = self.absolute(known.kind, reader, value)
            self.can_keep(known, tick)
            return kind, None, state, value
        number = reader.read(8)
        if number >= len(self.kinds) or value & ~self.kinds[number].shows_all:
            raise Malformed
        slot, generation = reader.read_uvarint(2**32 - 1), reader.read_uvarint(2**32 - 1)
        state = self.absolute(number, reader, value)
        if self.in_view(seat) and known and tick > self.left.get(seat, 0) \
                and (known.slot, known.generation) == (slot, generation):
            if known.kind != number:
                raise Malformed
            self.can_keep(known, tick)
        return kind, Seat(number, slot, generation, tick), state, value

    def absolute(self, number: int, reader: Reader, audience: int) -> State:
        if audience & ~self.kinds[number].shows_all:
            raise Malformed
        return decode_absolute(self.kinds[number], reader, audience)

    def in_view(self, number: int) -> bool:
        return number in self.seats and self.seats[number].entered > self.left.get(number, 0)

    def can_keep(self, seat: Seat, tick: int) -> None:
        """Acknowledged means kept: what is older than all that is kept of a full history cannot be."""
        if len(seat.history) >= self.depth and tick < min(seat.history):
            raise NoReference

    def commit(self, tick: int, number: int, kind: int, new: Seat | None, state: State, audience: int) -> None:
        seat = self.seats.get(number)
        if kind == LEAVE:
            self.left[number] = max(self.left.get(number, 0), tick)
            return
        if new:
            if tick <= self.left.get(number, 0):
                return                                      # it came late, and whoever it was has left
            same = seat and self.in_view(number) and (seat.slot, seat.generation) == (new.slot, new.generation)
            if not same:
                if seat and tick <= max(seat.history):
                    return                                  # of somebody who sat there before
                seat = self.seats[number] = new
            assert seat
            seat.entered = min(seat.entered, tick)
        assert seat
        seat.history[tick] = (state, audience)
        if len(seat.history) > self.depth:
            del seat.history[min(seat.history)]

    def entities(self) -> dict[tuple[int, int], tuple[int, State, int]]:
        """(slot, generation) to kind, state at the newest snapshot's tick, audience set."""
        seen = {}
        for number, seat in self.seats.items():
            if self.in_view(number):
                newest = max(seat.history)
                state, audience = seat.history[newest]
                seen[seat.slot, seat.generation] = (
                    seat.kind, predict(self.kinds[seat.kind], state, self.tick - newest), audience)
        return seen

"""Replication, both ends, as docs/replication.md says it: dictionaries, brute force, no sharing. Slow and obvious."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.reference.world_records import (
    ABSOLUTE,
    ANGLE,
    ENTER,
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
    difference,
    encode_absolute,
    encode_delta,
    predict,
    quantize,
    uvarint,
)

WINDOW = 62                             # ticks that the server looks back
REFRESH, REFRESH_EARLY = 56, 48
TOKENS = 64
RECORDS = 2048                          # in flight to one observer, from its oldest open token on
DATAGRAMS = 4
OK, BAD_MESSAGE, UNDECODABLE = 0, 23, 34
EVERYBODY = 2**64 - 1                   # visible_to and sees, unless somebody says otherwise


@dataclass
class Entity:
    kind: int
    generation: int
    owner: int                          # observer, -1 nobody
    visible_to: int = EVERYBODY
    history: dict[int, State] = field(default_factory=dict)
    published: dict[tuple[int, ...], int] = field(default_factory=dict)     # when each rated field last changed
    last: int = 0                       # newest published tick
    last_change: int = 0                # newest tick at which it was not at rest
    rest: tuple[int, int] = (0, 0)      # the rest before that: first and last tick

    @property
    def state(self) -> State:
        return self.history[self.last]


@dataclass
class Entry:
    """What the server knows about one seat of an observer."""
    slot: int
    generation: int
    since: int
    state: str = "entering"             # entering, known, leaving
    reference: int = 0
    reference_mine: bool = False
    sent: int = 0
    sent_mine: bool = False
    lost: bool = False
    wanted: int = 0
    told: bool = False


@dataclass
class Observer:
    entries: dict[int, Entry] = field(default_factory=dict)
    tokens: dict[int, tuple[int, list[tuple[int, bool, bool]], int]] = field(default_factory=dict)
    next_token: int = 1                 # a token holds: tick, (seat, leave, mine) of each record, records before it
    held: int = 0                       # records ever sent
    last_send: int = 0
    last_ack: int = 0
    sees: int = EVERYBODY


class Server:
    def __init__(self, kinds: Sequence[Kind], hz: int, seats: int, max_payload: int = 1100) -> None:
        self.kinds, self.hz, self.seats, self.max_payload = kinds, hz, seats, max_payload
        self.entities: dict[int, Entity] = {}
        self.observers: dict[int, Observer] = {}
        self.tick = 0

    # --- state

    def publish(self, tick: int, values: Mapping[int, Sequence[float]]) -> None:
        """`values`: slot to user values, one a component, of every entity alive."""
        self.tick = tick
        for slot, user in values.items():
            entity, kind = self.entities[slot], self.kinds[self.entities[slot].kind]
            old = entity.state if entity.last else None
            new = list(old) if old else [min(max(0, c.low), c.high) for c in kind.components]
            for group in kind.fields(mine=True):
                rate = kind.components[group[0]].rate_ticks
                key = tuple(group)
                if old and rate and tick - entity.published[key] < rate:
                    continue
                for i in group:
                    quanta = quantize(kind.components[i], user[i])
                    new[i] = new[i] if quanta is None else quanta
                if old is None or any(new[i] != old[i] for i in group):
                    entity.published[key] = tick
            moving = any(c.predict >= 0 and new[c.predict] for c in kind.components)
            if old is None:
                entity.last_change = tick
            elif moving or tuple(new) != old:
                if entity.last > entity.last_change:
                    entity.rest = (entity.last_change, entity.last)
                entity.last_change = tick
            entity.history[tick] = tuple(new)
            entity.last = tick

    def reference_state(self, entity: Entity, at: int) -> State | None:
        """The published state of that tick, as far as it is still here."""
        if self.tick - at <= WINDOW:
            return entity.history[at]
        if entity.last_change <= at:
            return entity.state
        if entity.rest[0] <= at <= entity.rest[1] and self.tick - entity.rest[1] <= WINDOW:
            return entity.history[entity.rest[1]]
        return None

    # --- interest

    def distance2(self, a: int, b: int) -> float:
        def at(slot: int) -> list[float]:
            kind, state = self.kinds[self.entities[slot].kind], self.entities[slot].state
            return [state[i] * kind.components[i].step for i in kind.position] + [0.0] * (3 - len(kind.position))
        (ax, ay, az), (bx, by, bz) = at(a), at(b)
        return (bx - ax) * (bx - ax) + (by - ay) * (by - ay) + (bz - az) * (bz - az)

    def may_see(self, number: int, entity: Entity) -> bool:
        return entity.owner == number or entity.visible_to & self.observers[number].sees != 0

    def interest(self, number: int, avatar: int) -> None:
        observer = self.observers[number]
        alive = avatar in self.entities
        for seat, entry in list(observer.entries.items()):
            if entry.state == "leaving":
                continue
            entity = self.entities.get(entry.slot)
            if alive and entity and entity.generation == entry.generation and self.may_see(number, entity):
                kind = self.kinds[entity.kind]
                leave = kind.radius + kind.hysteresis
                if self.distance2(avatar, entry.slot) <= leave * leave:
                    continue
            entry.state = "leaving"
            if not entry.told:
                del observer.entries[seat]
        if not alive:
            return
        known = {entry.slot for entry in observer.entries.values() if entry.state != "leaving"}
        new = []
        for slot, entity in self.entities.items():
            radius, distance2 = self.kinds[entity.kind].radius, self.distance2(avatar, slot)
            if slot not in known and distance2 <= radius * radius and self.may_see(number, entity):
                new.append((distance2, slot))
        new.sort()
        free = [seat for seat in range(self.seats) if seat not in observer.entries]
        for seat, (_, slot) in zip(free, new, strict=False):
            observer.entries[seat] = Entry(slot, self.entities[slot].generation, self.tick)

    # --- records

    def needed(self, entry: Entry, mine: bool) -> bool:
        entity, kind = self.entities[entry.slot], self.kinds[self.entities[entry.slot].kind]
        base = max(entry.sent, entry.reference)
        base_mine = entry.sent_mine if entry.sent >= entry.reference else entry.reference_mine
        if not base or entry.lost or mine != base_mine:
            return True
        if entry.state == "entering" and self.tick - base >= max(self.hz // 4, 1):
            return True
        if self.tick - base >= 5 * self.hz:
            return True
        if entity.last_change <= base:
            return False
        aligned = (self.tick + entry.slot) % 8 == 0
        if self.tick - base >= (REFRESH_EARLY if aligned else REFRESH):
            return True
        seen = predict(kind, entity.history[base], self.tick - base)
        for i in kind.visible(mine):
            c = kind.components[i]
            tolerance = c.tolerance if c.predict >= 0 and entity.state[c.predict] else 0
            if abs(difference(c, entity.state[i], seen[i])) > tolerance:
                return True
        return False

    def record(self, entry: Entry, mine: bool) -> bytes:
        entity, kind = self.entities[entry.slot], self.kinds[self.entities[entry.slot].kind]
        full = encode_absolute(kind, entity.state, mine)
        if entry.state == "entering":
            return bytes([ENTER | mine << 2, entity.kind]) + uvarint(entry.slot) + uvarint(entry.generation) + full
        absolute = bytes([ABSOLUTE | mine << 2]) + full
        age = self.tick - entry.reference
        if mine != entry.reference_mine or age > 0xFFFF:
            return absolute
        reference = self.reference_state(entity, entry.reference)
        if reference is None:
            return absolute
        delta = encode_delta(kind, entity.state, predict(kind, reference, age), mine)
        if age <= WINDOW:
            return bytes([UPDATE | age << 2]) + delta
        return bytes([UPDATE | LONG << 2, entry.reference & 0xFF, entry.reference >> 8 & 0xFF]) + delta

    def replicate(self, number: int, avatar: int, budget: int) -> list[tuple[int, bytes]]:
        """Payloads for this observer now, each with its token."""
        observer = self.observers[number]
        if budget <= 0 or self.stalled(observer):
            return []
        self.interest(number, avatar)
        queue = []
        for seat, entry in sorted(observer.entries.items()):
            if entry.state == "leaving":
                queue.append((-1, seat, False, bytes([LEAVE])))
                continue
            mine = self.entities[entry.slot].owner == number
            if self.needed(entry, mine):
                entry.wanted = entry.wanted or self.tick
                queue.append((0 if entry.slot == avatar else entry.wanted, seat, mine, self.record(entry, mine)))
        queue.sort()
        return self.pack(observer, queue, budget)

    def stalled(self, observer: Observer) -> bool:
        """Half a second without a sign of life: a datagram each quarter."""
        if not observer.tokens:
            return False
        oldest = next(iter(observer.tokens.values()))[0]
        silent = self.tick - max(oldest, observer.last_ack) > self.hz // 2
        return silent and self.tick - observer.last_send < self.hz // 4

    def pack(self, observer: Observer, queue: list[tuple[int, int, bool, bytes]],
             budget: int) -> list[tuple[int, bytes]]:
        payloads = []
        chosen: list[tuple[int, bool, bytes]]
        for number in range(DATAGRAMS):
            room = min(self.max_payload, budget)
            used, chosen = 2, []
            while queue:
                _, seat, mine, body = queue[0]
                cost = len(uvarint(seat)) + len(body)
                first = not number and not chosen           # one record always goes, or a small budget would starve it
                if used + cost > (self.max_payload if first else room):
                    break
                used += cost
                chosen.append((seat, mine, body))
                queue.pop(0)
            if number and not chosen:
                break
            payload = self.datagram(observer, sorted(chosen))
            payloads.append((observer.next_token, payload))
            observer.next_token += 1
            budget -= len(payload)
        observer.last_send = self.tick
        return payloads

    def datagram(self, observer: Observer, chosen: list[tuple[int, bool, bytes]]) -> bytes:
        self.lost(observer, observer.next_token - TOKENS)
        while observer.tokens and observer.held + len(chosen) - next(iter(observer.tokens.values()))[2] > RECORDS:
            self.lost(observer, next(iter(observer.tokens)))
        payload, previous, held = (self.tick & 0xFFFF).to_bytes(2, "little"), -1, []
        for seat, mine, body in chosen:
            payload += uvarint(seat - previous - 1) + body
            previous = seat
            entry = observer.entries[seat]
            held.append((seat, entry.state == "leaving", mine))
            if entry.state != "leaving":
                entry.sent, entry.sent_mine, entry.lost, entry.wanted, entry.told = self.tick, mine, False, 0, True
        observer.tokens[observer.next_token] = (self.tick, held, observer.held)
        observer.held += len(held)
        return payload

    # --- what became of a datagram

    def acked(self, observer: Observer, token: int) -> None:
        if token not in observer.tokens:
            return
        tick, records, _ = observer.tokens.pop(token)
        observer.last_ack = self.tick
        for seat, leave, mine in records:
            entry = observer.entries.get(seat)
            if entry is None or tick < entry.since:
                continue                                    # of the one who sat there before
            if leave:
                del observer.entries[seat]
            elif tick > entry.reference:
                entry.reference, entry.reference_mine = tick, mine
                if entry.state == "entering":
                    entry.state = "known"

    def lost(self, observer: Observer, token: int) -> None:
        if token not in observer.tokens:
            return
        tick, records, _ = observer.tokens.pop(token)
        for seat, leave, _ in records:
            entry = observer.entries.get(seat)
            if entry and not leave and entry.sent == tick:
                entry.sent, entry.lost = 0, True


@dataclass
class Seat:
    kind: int
    slot: int
    generation: int
    entered: int
    history: dict[int, tuple[State, bool]] = field(default_factory=dict)


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

    def parse(self, payload: bytes, hint: int) -> tuple[int, list[tuple[int, int, Seat | None, State, bool]]]:
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

    def parse_record(self, reader: Reader, tick: int, seat: int) -> tuple[int, Seat | None, State, bool]:
        known = self.seats.get(seat)
        kind, value = reader.read(2), reader.read(6)
        if kind == LEAVE:
            if value:
                raise Malformed
            return kind, None, (), False
        if kind == UPDATE:
            if value == 0:
                raise Malformed
            if value == LONG:
                value = (tick - reader.read(16)) & 0xFFFF
                if value <= WINDOW:
                    raise Malformed
            if known is None or tick - value not in known.history:
                raise NoReference
            reference, mine = known.history[tick - value]
            layout = self.kinds[known.kind]
            state = decode_delta(layout, reader, predict(layout, reference, value), mine)
            self.can_keep(known, tick)
            return kind, None, state, mine
        if value > 1:
            raise Malformed
        mine = bool(value)
        if kind == ABSOLUTE:
            if known is None or tick < known.entered:
                raise NoReference                           # perhaps of the one who sat there before
            state = decode_absolute(self.kinds[known.kind], reader, mine)
            self.can_keep(known, tick)
            return kind, None, state, mine
        number = reader.read(8)
        if number >= len(self.kinds):
            raise Malformed
        slot, generation = reader.read_uvarint(2**32 - 1), reader.read_uvarint(2**32 - 1)
        state = decode_absolute(self.kinds[number], reader, mine)
        if self.in_view(seat) and known and tick > self.left.get(seat, 0) \
                and (known.slot, known.generation) == (slot, generation):
            if known.kind != number:
                raise Malformed
            self.can_keep(known, tick)
        return kind, Seat(number, slot, generation, tick), state, mine

    def in_view(self, number: int) -> bool:
        return number in self.seats and self.seats[number].entered > self.left.get(number, 0)

    def can_keep(self, seat: Seat, tick: int) -> None:
        """Acknowledged means kept: what is older than all that is kept of a full history cannot be."""
        if len(seat.history) >= self.depth and tick < min(seat.history):
            raise NoReference

    def commit(self, tick: int, number: int, kind: int, new: Seat | None, state: State, mine: bool) -> None:
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
        seat.history[tick] = (state, mine)
        if len(seat.history) > self.depth:
            del seat.history[min(seat.history)]

    def entities(self) -> dict[tuple[int, int], tuple[int, State, bool]]:
        """(slot, generation) to kind, state at the newest snapshot's tick, mine."""
        seen = {}
        for number, seat in self.seats.items():
            if self.in_view(number):
                newest = max(seat.history)
                state, mine = seat.history[newest]
                seen[seat.slot, seat.generation] = (
                    seat.kind, predict(self.kinds[seat.kind], state, self.tick - newest), mine)
        return seen


def wrap_difference(kind: Kind, a: State, b: State, mine: bool) -> list[int]:
    """Per visible component, how far two states are apart."""
    return [abs(difference(kind.components[i], a[i], b[i])) if kind.components[i].kind == ANGLE
            else abs(a[i] - b[i]) for i in kind.visible(mine)]

"""Replication, the server's end, as docs/replication.md says it: dictionaries, brute force, no sharing. Slow and
obvious. The other end is replication_view.py."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.reference.world_records import (
    ABSOLUTE,
    ENTER,
    LEAVE,
    LONG,
    OFFSET,
    QUADRANT,
    UPDATE,
    Kind,
    State,
    apart,
    encode_absolute,
    encode_delta,
    predict,
    quantize,
    quantize_pair,
    uvarint,
)

WINDOW = 62                             # ticks that the server looks back
REFRESH, REFRESH_EARLY = 56, 48
TRADE_TICKS, TRADES = 16, 4             # without a free seat: how often one looks round, how many seats are given up
OVERDUE_S = 2                           # what waits so long goes before all that is only important
TOKENS = 64
RECORDS = 2048                          # in flight to one observer, from its oldest open token on
DATAGRAMS = 4
MAX_OWNED = 64                          # own entities that an observer sees at any distance
EVERYBODY = 2**64 - 1                   # visible_to and sees, unless somebody says otherwise


@dataclass
class Entity:
    kind: int
    generation: int
    owner: int                          # observer, -1 nobody
    visible_to: int = EVERYBODY
    always: bool = False                # seen at any distance
    given: int = 0                      # rises: when it got its owner
    groups: dict[int, int] = field(default_factory=dict)       # sort of group: number of the one it is of
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
    sent: int = 0
    audience: int = 0                   # that both are for
    farness: int = 0                    # 0 beside the avatar, 255 where it goes out of view
    lost: bool = False
    wanted: int = 0
    told: bool = False


@dataclass
class Observer:
    entries: dict[int, Entry] = field(default_factory=dict)
    tokens: dict[int, tuple[int, list[tuple[int, bool]], int]] = field(default_factory=dict)
    next_token: int = 1                 # a token holds: tick, (seat, leave) of each record, records before it
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
            for group in kind.fields(kind.shows_all):
                rate = kind.components[group[0]].rate_ticks
                key = tuple(group)
                if old and rate and tick - entity.published[key] < rate:
                    continue
                for i in group:
                    c = kind.components[i]
                    if c.kind == OFFSET and (pair := quantize_pair(kind, i, user[i])) is not None:
                        new[i], new[c.pair] = pair
                    elif c.kind not in (OFFSET, QUADRANT) and (quanta := quantize(c, user[i])) is not None:
                        new[i] = quanta
                pairs = [kind.components[i].pair for i in group if kind.components[i].kind == OFFSET]
                if old is None or any(new[i] != old[i] for i in group + pairs):
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
            return kind.place(state) + [0.0] * (3 - len(kind.position))
        (ax, ay, az), (bx, by, bz) = at(a), at(b)
        return (bx - ax) * (bx - ax) + (by - ay) * (by - ay) + (bz - az) * (bz - az)

    def may_see(self, number: int, entity: Entity) -> bool:
        return entity.owner == number or entity.visible_to & self.observers[number].sees != 0

    def chosen(self, number: int, avatar: int) -> dict[int, int]:
        """Slots that the observer sees at any distance, each with its rank: avatar, own, always relevant."""
        own = [slot for slot, entity in self.entities.items() if entity.owner == number]
        own.sort(key=lambda slot: self.entities[slot].given)
        always = [slot for slot, entity in self.entities.items() if entity.always]
        known = [slot for slot in {avatar, *own[:MAX_OWNED], *always} if slot in self.entities]
        return {slot: 0 if slot == avatar else 1 if self.entities[slot].owner == number else 2
                for slot in known if self.may_see(number, self.entities[slot])}

    def interest(self, number: int, avatar: int) -> None:
        observer, chosen = self.observers[number], self.chosen(number, avatar)
        looks = avatar in self.entities
        for seat, entry in list(observer.entries.items()):
            entity = self.entities.get(entry.slot)
            if entry.state == "leaving" or (entity and entity.generation == entry.generation
                                            and self.stays(number, avatar, entry, chosen)):
                continue
            self.leave(observer, seat)
        known = {entry.slot for entry in observer.entries.values() if entry.state != "leaving"}
        new = [(rank, 0.0, slot) for slot, rank in chosen.items() if slot not in known]
        for slot, entity in self.entities.items() if looks else ():
            radius, distance2 = self.kinds[entity.kind].radius, self.distance2(avatar, slot)
            if slot not in known and slot not in chosen and distance2 <= radius * radius and \
                    self.may_see(number, entity):
                new.append((3, distance2, slot))
        new.sort()
        free = [seat for seat in range(self.seats) if seat not in observer.entries]
        for seat, (_, _, slot) in zip(free, new, strict=False):
            entity = self.entities[slot]
            farness = self.kinds[entity.kind].farness(self.distance2(avatar, slot)) if looks else 0
            observer.entries[seat] = Entry(slot, entity.generation, self.tick, farness=farness)
        if looks:
            near = [] if free or (self.tick + number) % TRADE_TICKS else [some for rank, some, _ in new if rank == 3]
            self.make_room(observer, avatar, chosen, sum(rank < 3 for rank, _, _ in new[len(free):]), near[:TRADES])

    def stays(self, number: int, avatar: int, entry: Entry, chosen: Mapping[int, int]) -> bool:
        entity = self.entities[entry.slot]
        kind, looks = self.kinds[entity.kind], avatar in self.entities
        distance2 = self.distance2(avatar, entry.slot) if looks else 0.0
        entry.farness = kind.farness(distance2)
        return entry.slot in chosen or (looks and distance2 <= kind.leave2 and self.may_see(number, entity))

    def leave(self, observer: Observer, seat: int) -> None:
        entry = observer.entries[seat]
        entry.state = "leaving"
        if not entry.told:
            del observer.entries[seat]

    def make_room(self, observer: Observer, avatar: int, chosen: Mapping[int, int], wanted: int,
                  near: Sequence[float]) -> None:
        """The farthest give their seats to the chosen who found none, and now and then to who is much nearer."""
        leaving = sum(entry.state == "leaving" for entry in observer.entries.values())
        wanted, given = max(wanted - leaving, 0), max(leaving - wanted, 0)
        others = sorted(((self.distance2(avatar, entry.slot), entry.slot), seat)
                        for seat, entry in observer.entries.items()
                        if entry.state != "leaving" and entry.slot not in chosen)
        for _ in range(min(wanted, len(others))):
            self.leave(observer, others.pop()[1])
        for distance2 in near[given:]:
            if not others or not 2 * distance2 < others[-1][0][0]:
                break
            self.leave(observer, others.pop()[1])

    # --- records

    def audience(self, number: int, avatar: int, entity: Entity) -> int:
        kind = self.kinds[entity.kind]
        if entity.owner == number:
            return kind.shows_all
        own = self.entities[avatar].groups if avatar in self.entities else {}
        return sum(2 << i for i, sort in enumerate(kind.groups)
                   if entity.groups.get(sort, 0) and entity.groups[sort] == own.get(sort, 0))

    def settle_audience(self, entry: Entry, audience: int) -> bool:
        """In another audience everything begins anew; not in a tick that has a record on its way."""
        if audience == entry.audience:
            return True
        if self.tick in (entry.sent, entry.reference):
            return False
        entry.audience, entry.since, entry.sent, entry.reference = audience, self.tick, 0, 0
        return True

    def needed(self, entry: Entry) -> bool:
        entity, kind = self.entities[entry.slot], self.kinds[self.entities[entry.slot].kind]
        base = max(entry.sent, entry.reference)
        if not base or entry.lost:
            return True
        if entry.state == "entering" and self.tick - base >= max(self.hz // 4, 1):
            return True
        if self.tick - base >= 5 * self.hz:
            return True
        if entity.last_change <= base:
            return False
        if entry.farness > kind.far_from and (self.tick + entry.slot) % kind.far_ticks:
            return False
        aligned = (self.tick + entry.slot) % 8 == 0
        if self.tick - base >= (REFRESH_EARLY if aligned else REFRESH):
            return True
        seen = predict(kind, entity.history[base], self.tick - base)
        for i in kind.visible(entry.audience):
            c = kind.components[i]
            tolerance = c.tolerance if c.predict >= 0 and entity.state[c.predict] else 0
            if abs(apart(kind, i, entity.state, seen)) > tolerance:
                return True
        return False

    def record(self, entry: Entry) -> bytes:
        entity, kind = self.entities[entry.slot], self.kinds[self.entities[entry.slot].kind]
        full = encode_absolute(kind, entity.state, entry.audience)
        if entry.state == "entering":
            return (bytes([ENTER | entry.audience << 2, entity.kind]) + uvarint(entry.slot) + uvarint(entry.generation)
                    + full)
        absolute = bytes([ABSOLUTE | entry.audience << 2]) + full
        age = self.tick - entry.reference
        if not entry.reference or age > 0xFFFF:
            return absolute
        reference = self.reference_state(entity, entry.reference)
        if reference is None:
            return absolute
        delta = encode_delta(kind, entity.state, predict(kind, reference, age), entry.audience)
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
                queue.append((0, 0, seat, bytes([LEAVE])))
                continue
            audience = self.audience(number, avatar, self.entities[entry.slot])
            if self.settle_audience(entry, audience) and self.needed(entry):
                entry.wanted = entry.wanted or self.tick
                queue.append((*self.priority(entry, avatar), seat, self.record(entry)))
        queue.sort()
        return self.pack(observer, queue, budget)

    def priority(self, entry: Entry, avatar: int) -> tuple[int, int]:
        """Least first: what is most urgent, and how much it has gained meanwhile."""
        wait = self.tick - entry.wanted
        if entry.slot == avatar:
            return 1, 0
        if wait >= OVERDUE_S * self.hz:
            return 2, entry.wanted
        gain = self.kinds[self.entities[entry.slot].kind].weight * (1024 - 3 * entry.farness)
        return 3, -gain * (4 if entry.audience & 1 else 1) * (wait + 1)

    def stalled(self, observer: Observer) -> bool:
        """Half a second without a sign of life: a datagram each quarter."""
        if not observer.tokens:
            return False
        oldest = next(iter(observer.tokens.values()))[0]
        silent = self.tick - max(oldest, observer.last_ack) > self.hz // 2
        return silent and self.tick - observer.last_send < self.hz // 4

    def pack(self, observer: Observer, queue: list[tuple[int, int, int, bytes]],
             budget: int) -> list[tuple[int, bytes]]:
        payloads = []
        chosen: list[tuple[int, bytes]]
        for number in range(DATAGRAMS):
            room = min(self.max_payload, budget)
            used, chosen = 2, []
            while queue:
                _, _, seat, body = queue[0]
                cost = len(uvarint(seat)) + len(body)
                first = not number and not chosen           # one record always goes, or a small budget would starve it
                if used + cost > (self.max_payload if first else room):
                    break
                used += cost
                chosen.append((seat, body))
                queue.pop(0)
            if number and not chosen:
                break
            payload = self.datagram(observer, sorted(chosen))
            payloads.append((observer.next_token, payload))
            observer.next_token += 1
            budget -= len(payload)
        observer.last_send = self.tick
        return payloads

    def datagram(self, observer: Observer, chosen: list[tuple[int, bytes]]) -> bytes:
        self.lost(observer, observer.next_token - TOKENS)
        while observer.tokens and observer.held + len(chosen) - next(iter(observer.tokens.values()))[2] > RECORDS:
            self.lost(observer, next(iter(observer.tokens)))
        payload, previous, held = (self.tick & 0xFFFF).to_bytes(2, "little"), -1, []
        for seat, body in chosen:
            payload += uvarint(seat - previous - 1) + body
            previous = seat
            entry = observer.entries[seat]
            held.append((seat, entry.state == "leaving"))
            if entry.state != "leaving":
                entry.sent, entry.lost, entry.wanted, entry.told = self.tick, False, 0, True
        observer.tokens[observer.next_token] = (self.tick, held, observer.held)
        observer.held += len(held)
        return payload

    # --- what became of a datagram

    def acked(self, observer: Observer, token: int) -> None:
        if token not in observer.tokens:
            return
        tick, records, _ = observer.tokens.pop(token)
        observer.last_ack = self.tick
        for seat, leave in records:
            entry = observer.entries.get(seat)
            if entry is None or tick < entry.since:
                continue                                    # of the one who sat there before, or another audience
            if leave:
                del observer.entries[seat]
            elif tick > entry.reference:
                entry.reference = tick
                if entry.state == "entering":
                    entry.state = "known"

    def lost(self, observer: Observer, token: int) -> None:
        if token not in observer.tokens:
            return
        tick, records, _ = observer.tokens.pop(token)
        for seat, leave in records:
            entry = observer.entries.get(seat)
            if entry and not leave and entry.sent == tick:
                entry.sent, entry.lost = 0, True

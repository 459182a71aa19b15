"""Sessions that talk on every channel, end and begin again, between two endpoints over whatever carries them.

Every message is held to the promise of its channel when it comes, every datagram is accounted for at every step, and
when the town sleeps all memory must be back. Knows no network: `Side` has a port and a clock.
"""
import random
from collections import Counter
from collections.abc import Callable
from time import sleep
from typing import Any, Protocol

import numpy as np

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import MESSAGE_DTYPE
from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland.errors import CapacityError
from tests.sim.ledger import INPUT, LATEST, RELIABLE, SNAPSHOT, STREAMS, UNORDERED, UNRELIABLE, Way, session_of

JOINED, LEFT, SNAPSHOT_ACKED, SNAPSHOT_LOST = 1, 2, 3, 4
KIND, DELIVERED, UNDELIVERED, MIGRATED = 9, 5, 6, 7
TICK_HZ = 30
TICK_US = 1_000_000 // TICK_HZ
IDLE_US = 8_000_000
FORGET_US = 60_000_000              # after which nothing of an ended session is expected at the server
LARGE = 200_000
MEMORY = ("blocks_used", "fragment_sets")
Address = tuple[str, int]


class Carrier(Protocol):
    """A port of the simulated network or a UDP socket."""

    def send(self, batch: DatagramBatch) -> int: ...
    def receive(self, batch: DatagramBatch, now_us: int) -> int: ...


class Side:
    """An endpoint and its port. A step takes everything in and sends everything out."""

    def __init__(self, endpoint: Endpoint, port: Carrier) -> None:
        self.endpoint, self.port = endpoint, port
        self.incoming, self.replies, self.outgoing = DatagramBatch(512), DatagramBatch(512), DatagramBatch(512)
        self.hear: Callable[[Side, int, int, bytes], None]
        self.note: Callable[[Side, int, int, int, int], None]

    def step(self, now_us: int) -> None:
        while self.port.receive(self.incoming, now_us):
            self.endpoint.inbound(self.incoming, self.replies, now_us)
            self._send(self.replies)
            counters = self.endpoint.counters
            assert counters["received"] == counters["accepted"] + int(self.endpoint.drops.sum())
        if self.endpoint.role == "server":
            self.endpoint.collect()
        self._read()
        done = False
        while not done:
            done = self.endpoint.outbound(self.outgoing, now_us)
            self._send(self.outgoing)
        self._read()                    # timers speak in events too

    def _send(self, batch: DatagramBatch) -> None:
        while batch.count:
            before = batch.count
            self.port.send(batch)
            if batch.count == before:
                sleep(0.001)            # the kernel's buffer is full
        batch.clear()

    def _read(self) -> None:
        arena = self.endpoint.inbox_arena
        for handle, _, offset, length, _, channel, _, _ in self.endpoint.inbox.tolist():
            self.hear(self, handle, channel, arena[offset:offset + length].tobytes())
        for handle, _, token, kind, reason, _ in self.endpoint.events.tolist():
            self.note(self, handle, kind, reason, token)
        self.endpoint.clear()


class Session:
    """A session as both sides know it: the client from connect on, the server from the client's first message on."""

    def __init__(self, number: int, handle: int, close_us: int) -> None:
        self.number, self.handle, self.server_handle = number, handle, 0
        self.up, self.down = Way(number), Way(number)
        self.joined = self.asked = False        # asked: somebody asked for its end
        self.close_us = close_us                # when somebody will
        self.over: set[str] = set()             # the sides that have heard of its end
        self.over_us = 0


class Player:
    """Somebody with an address of their own, who plays, leaves and comes back."""

    def __init__(self, local: Address) -> None:
        self.local = local
        self.session: Session | None = None
        self.again_us = 0


class Town:
    """All players and what they say. `tick` once a tick, `sleeping` once it should come to rest."""

    def __init__(self, server: Side, client: Side, address: Address, locals_: list[Address], seed: int) -> None:
        self.server, self.client, self.address = server, client, address
        self.players = [Player(local) for local in locals_]
        self.luck = random.Random(f"town {seed}")
        self.sessions: dict[int, Session] = {}          # by number
        self.by_client: dict[int, Session] = {}
        self.by_server: dict[int, Session] = {}
        self.counts: Counter[str] = Counter()
        self.now_us = 0
        self.open = True                                # false: nobody comes any more, nothing new is said
        for side in (server, client):
            side.hear, side.note = self._heard, self._noted

    def tick(self, now_us: int) -> None:
        """Everybody does something, then both endpoints step."""
        self.now_us = now_us
        for player in self.players:
            session = player.session
            if session is None or "client" in session.over:
                if self.open and now_us >= player.again_us:
                    player.session = self._connect(player)
            elif session.joined and self.open:
                self._talk(player, session)
        self.client.step(now_us)
        self.server.step(now_us)
        if self.luck.random() < 0.05:
            self._forget()

    def close_all(self) -> None:
        """Everybody leaves: half of them by themselves, the others are told to."""
        for session in list(self.sessions.values()):
            self._close(session)

    @property
    def owed(self) -> int:
        """What live sessions still have to deliver or to tell."""
        alive = (session for session in self.sessions.values() if session.joined and not session.over)
        return sum(session.up.owed + session.down.owed for session in alive)

    @property
    def held(self) -> dict[str, int]:
        """What the endpoints hold: nothing, once all sessions are over."""
        found: dict[str, int] = {}
        for side in (self.server, self.client):
            endpoint = side.endpoint
            found |= {f"{endpoint.role} live": endpoint.live, f"{endpoint.role} half open": endpoint.half_open,
                      **{f"{endpoint.role} {name}": endpoint.counters[name] for name in MEMORY}}
        return found

    def summary(self) -> dict[str, Any]:
        """Counted so far."""
        drops: dict[str, int] = {}
        for side in (self.server, self.client):
            for sort, values in (("", side.endpoint.drops), (" messages", side.endpoint.message_drops)):
                drops |= {f"{side.endpoint.role}{sort} {DropReason(i).name}": int(n) for i, n in enumerate(values) if n}
        both = [side.endpoint.counters for side in (self.server, self.client)]
        return {**dict(sorted(self.counts.items())), "rekeys": sum(counters["rekeys"] for counters in both),
                "datagrams": sum(counters["received"] for counters in both),
                "accepted": sum(counters["accepted"] for counters in both), "drops": drops}

    # --- what they do -----------------------------------------------------------------------------------------------

    def _connect(self, player: Player) -> Session | None:
        try:
            handle = self.client.endpoint.connect(self.address, self.server.endpoint.public_key, self.now_us,
                                                  player.local)
        except CapacityError:                           # sessions that end still hold their slots
            player.again_us = self.now_us + 500_000
            return None
        number = self.counts["sessions"]
        self.counts["sessions"] += 1
        close_us = self.now_us + int(self.luck.uniform(3e6, 40e6))
        session = self.sessions[number] = self.by_client[handle] = Session(number, handle, close_us)
        return session

    def _close(self, session: Session) -> None:
        session.asked = True
        if self.luck.random() < 0.5 or not session.server_handle:
            self.client.endpoint.close(session.handle, DisconnectReason.CLIENT_LEFT, self.now_us)
        else:
            self.server.endpoint.close(session.server_handle, DisconnectReason.KICKED, self.now_us)

    def _talk(self, player: Player, session: Session) -> None:
        luck = self.luck.random
        if self.now_us >= session.close_us and not session.asked:
            self._close(session)
            player.again_us = self.now_us + int(luck() * 3e6)
            return
        self._say(session, True, INPUT, 20)
        if luck() < 0.003:                              # new keys, wanted by one side or by both
            first = luck()
            for side, handle in ((self.client, session.handle), (self.server, session.server_handle)):
                if (first < 0.7) if side is self.client else (first > 0.3):
                    self.counts["rekeys wanted"] += side.endpoint.rekey(handle)
        if session.server_handle:
            self._say(session, False, SNAPSHOT, int(luck() * 900))
        for up in (True, False) if session.server_handle else (True,):
            draw = luck()
            stream = int(luck() * (STREAMS + 2))        # the last two: without order
            reliable = (RELIABLE, stream) if stream < STREAMS else (UNORDERED, 0)
            if draw < 0.2:
                self._say(session, up, reliable[0], int(luck() * 120), reliable[1])
            elif draw < 0.22:
                self._say(session, up, reliable[0], int(luck() * 5_000), reliable[1])
            elif draw < 0.221:
                self._say(session, up, reliable[0], int(luck() * LARGE), reliable[1])
            elif draw < 0.3:
                self._say(session, up, UNRELIABLE, int(luck() * 300))
            elif draw < 0.31:
                self._say(session, up, UNRELIABLE, int(luck() * 3_000))
            elif draw < 0.4:
                self._say(session, up, LATEST, int(luck() * 300))

    def _say(self, session: Session, up: bool, channel: int, size: int, stream: int = 0) -> None:
        side, handle, way = (self.client, session.handle, session.up) if up else \
            (self.server, session.server_handle, session.down)
        if not side.endpoint.is_live(handle):
            return
        payload = way.next(channel, size, stream)
        ticket = way.ticket() if channel in (RELIABLE, UNORDERED) and size % 4 == 1 else 0
        if channel == SNAPSHOT:
            records = np.array([(handle, 0, 0, len(payload), way.token(), SNAPSHOT, 0, 0)], MESSAGE_DTYPE)
            if side.endpoint.queue(records, np.frombuffer(payload, np.uint8)):
                self.counts["no room"] += 1
                return
        else:
            try:
                side.endpoint.send(handle, channel + 16 * stream, KIND, payload, ticket)
            except CapacityError:
                self.counts["no room"] += 1
                return
        way.add(channel, stream)
        if ticket:
            way.begin(ticket)

    # --- what they hear ---------------------------------------------------------------------------------------------

    def _heard(self, side: Side, handle: int, channel: int, payload: bytes) -> None:
        if side is self.client:
            self.by_client[handle].down.hear(channel, payload)
            return
        session = self.by_server.get(handle)
        if session is None:                             # its first message names it
            session = self.sessions[session_of(payload)]
            assert not session.server_handle, f"session {session.number} is two"
            self.by_server[handle], session.server_handle = session, handle
        session.up.hear(channel, payload)

    def _noted(self, side: Side, handle: int, kind: int, reason: int, token: int) -> None:
        name = "client" if side is self.client else "server"
        session = (self.by_client if side is self.client else self.by_server).get(handle)
        if kind == JOINED and side is self.client:
            assert session is not None and not session.joined
            session.joined = True
            self.counts["joined"] += 1
            self._say(session, True, RELIABLE, 0)       # who it is
        elif kind in (SNAPSHOT_ACKED, SNAPSHOT_LOST):
            assert session is not None
            session.down.told(token, kind == SNAPSHOT_ACKED)
        elif kind in (DELIVERED, UNDELIVERED):
            assert session is not None
            (session.up if side is self.client else session.down).tickets.remove(token)     # once each
            self.counts["delivered" if kind == DELIVERED else "undelivered"] += 1
        elif kind == MIGRATED:
            self.counts["migrations"] += 1
        elif kind == LEFT:
            why = DisconnectReason(reason)
            self.counts[f"{name} {why.name}"] += 1
            if session is not None:
                assert name not in session.over, f"session {session.number} ended twice"
                session.over.add(name)
                assert not (session.up if side is self.client else session.down).tickets, "ends that nobody told"
                session.over_us = self.now_us
            allowed = [DisconnectReason.IDLE_TIMEOUT, DisconnectReason.CONNECT_TIMEOUT]
            if session is None or session.asked:
                allowed += [DisconnectReason.CLIENT_LEFT, DisconnectReason.KICKED]
            assert why in allowed, f"a session ended for {why.name}"

    def _forget(self) -> None:
        for session in list(self.sessions.values()):
            both = len(session.over) == 2 and self.now_us - session.over_us > 1_000_000
            if both or (session.over and self.now_us - session.over_us > FORGET_US):
                for way in (session.up, session.down):
                    for word, lanes in (("said", way.said), ("heard", way.heard)):
                        for lane, count in lanes.items():
                            self.counts[f"{word} on channel {lane // STREAMS}"] += count
                del self.sessions[session.number]
                self.by_client.pop(session.handle, None)
                self.by_server.pop(session.server_handle, None)

    def rest(self) -> None:
        """Forget everything: all sessions are over."""
        self.now_us += FORGET_US + 1
        self._forget()
        assert not self.sessions, "a session of which nobody heard the end"
        for player in self.players:
            player.session, player.again_us = None, 0

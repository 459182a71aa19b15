"""Everything at once: what two sides say on every channel, over a network that changes, sessions that end and begin.

Ledger of one way of one session:   said ──► network ──► heard, held to the channel's promise message by message
"""
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland._core.endpoint.endpoint import RELIABLE_LIMIT
from shadowland.errors import CapacityError
from shadowland.testing import Link, Network, normal, pareto, uniform
from tests.sim.ledger import (
    HEAD_BYTES,
    INPUT,
    LATEST,
    RELIABLE,
    SNAPSHOT,
    STREAMS,
    UNORDERED,
    UNRELIABLE,
    Way,
    session_of,
)
from tests.sim.peers import (
    JOINED,
    LEFT,
    SERVER_ADDRESS,
    SNAPSHOT_ACKED,
    SNAPSHOT_LOST,
    Event,
    Message,
    Peer,
    new_client,
    new_server,
)

KIND, DELIVERED, UNDELIVERED, MIGRATED = 9, 5, 6, 7
PART = 960 - HEAD_BYTES                                 # about where a message is cut in two
LONGEST = RELIABLE_LIMIT - HEAD_BYTES
Address = tuple[str, int]
CLIENTS = 2
PLACES = [("10.0.0.2", 40000), ("10.0.0.3", 40000)]
TICK_US = 16_000
QUIET_US = 25_000_000               # longest that a session may take to deliver everything once the network is well
REKEY_US = 20_000_000               # ... and to come to new keys: a grace time that runs, an exchange, a probe or two
REMEMBERED = 64                     # datagrams that an attacker has kept

probabilities = st.sampled_from([0.0, 0.02, 0.1, 0.4])
links = st.builds(
    Link, loss=probabilities, duplicate=st.sampled_from([0.0, 0.3]), corrupt=st.sampled_from([0.0, 0.1]),
    delay_us=st.sampled_from([0, 5_000, 60_000, normal(40_000, 15_000)]),
    jitter_us=st.sampled_from([0, 30_000, uniform(5_000, 50_000), pareto(1_000, 1.2, 300_000)]),
    reorder=st.sampled_from([0.0, 0.3]), reorder_us=st.just(80_000), burst=st.sampled_from([0.0, 0.05]),
    mtu=st.sampled_from([65_507, 65_507, 1_200, 1_300]),
    rate_bits_per_s=st.sampled_from([0, 0, 2_000_000]), buffer_us=st.sampled_from([20_000, 400_000]),
)
WORST = Link(loss=0.4, delay_us=30_000, jitter_us=20_000, duplicate=0.3, reorder=0.3, reorder_us=80_000, corrupt=0.1)
GOOD = Link(delay_us=10_000)
MEMORY = ["blocks_used", "fragment_sets"]


class Listener(Peer):
    """A peer that gives each message and event to a ledger at once, and keeps the last datagrams it sent."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.hear: Callable[[Listener, Message, int], None]
        self.note: Callable[[Listener, Event], None]
        self.next_sequence: Counter[bytes] = Counter()      # by connection id
        self.sent_bytes: Counter[str] = Counter()           # by host
        self.kept: list[tuple[bytes, Address, Address | None]] = []

    def read(self) -> None:
        super().read()
        for handle, messages in self.messages.items():
            for message in messages:
                self.hear(self, message, handle)
        self.messages.clear()
        events, self.events = self.events, []
        for event in events:
            self.note(self, event)

    def step(self) -> None:
        super().step()
        self.check()

    def send(self, batch: DatagramBatch) -> None:
        """Remember the newest datagram of each batch, as somebody on the way could. No nonce occurs twice."""
        for i in range(batch.count):
            data = batch[i]
            self.sent_bytes[batch.remote(i)[0]] += len(data)
            if data[:4] != bytes(4):
                assert int.from_bytes(data[6:14], "little") == self.next_sequence[data[:4]], "a sequence out of turn"
                self.next_sequence[data[:4]] += 1
        if batch.count:
            last = batch.count - 1
            self.kept = [*self.kept[-REMEMBERED + 1:], (batch[last], batch.remote(last), batch.local(last))]
        super().send(batch)


class Session:
    """A session as both sides know it: the client from connect on, the server from the client's first message on."""

    def __init__(self, number: int, handle: int) -> None:
        self.handle, self.server_handle = handle, 0
        self.up, self.down = Way(number), Way(number)
        self.joined = self.asked = False        # asked: somebody asked for its end, or it may have timed out
        self.over: set[str] = set()             # the sides that have heard of its end
        self.reasons: set[int] = set()


class Everything(RuleBasedStateMachine):
    """A server, two players, and a network between them of which anything may be expected."""

    went_through: Counter[str] = Counter()              # over all examples: what there was to get wrong

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Session] = []
        self.sessions: dict[int, Session] = {}          # by the client's handle
        self.by_server: dict[int, Session] = {}
        self.players: list[Session] = []                # the newest session of each

    @initialize(seed=st.integers(0, 250), link=links, calm=st.booleans(), inbox=st.sampled_from([0, 0, 3]),
                rekeys=st.sampled_from([(1 << 24, 1 << 24), (1 << 24, 16), (16, 1 << 24), (16, 16)]))
    def begin(self, seed: int, link: Link, calm: bool, inbox: int, rekeys: tuple[int, int]) -> None:
        """`calm`: both are in before the network turns bad. `rekeys`: packets until server and client want new keys."""
        self.network = Network(seed, GOOD if calm else link)
        self.server = Listener(self.network, new_server(seed, inbox_records=inbox, rekey_packets=rekeys[0]),
                               SERVER_ADDRESS)
        self.client = Listener(self.network, new_client(seed, inbox_records=inbox, rekey_packets=rekeys[1]),
                               ("0.0.0.0", 40000))
        self.thief = self.network.attach(("10.9.9.9", 666))
        for peer in (self.server, self.client):
            peer.hear, peer.note = self.heard, self.noted
        for player in range(CLIENTS):
            self.players.append(self.connect(player))
        self.pass_time(20)
        self.network.link = link

    # --- what they say ----------------------------------------------------------------------------------------------

    @rule(ticks=st.sampled_from([10, 30, 100]), size=st.sampled_from([0, 40, 400]), every=st.integers(1, 3))
    def talk(self, ticks: int, size: int, every: int) -> None:
        """Everybody says something on every channel, for a while."""
        for i in range(ticks):
            for player in range(CLIENTS) if i % every == 0 else ():
                for up in (True, False):
                    for channel in (RELIABLE, UNORDERED, UNRELIABLE, LATEST):
                        self.say(player, up, channel, size, i % STREAMS if channel == RELIABLE else 0)
                self.say(player, True, INPUT, 20)
                self.say(player, False, SNAPSHOT, size)
            self.pass_time(1)

    @rule(player=st.integers(0, CLIENTS - 1), up=st.booleans(), count=st.sampled_from([1, 5, 40, 150]),
          size=st.sampled_from([0, 30, 500, PART - 1, PART, 3_000, 60_000, LONGEST]),
          lanes=st.lists(st.integers(-1, STREAMS - 1), min_size=1, max_size=4))
    def say_reliable(self, player: int, up: bool, count: int, size: int, lanes: list[int]) -> None:
        """Over several streams in turns; -1 is the class without order."""
        for i in range(count if size < 3_000 else 2):
            stream = lanes[i % len(lanes)]
            self.say(player, up, UNORDERED if stream < 0 else RELIABLE, size, max(stream, 0))

    @rule(player=st.integers(0, CLIENTS - 1), up=st.booleans(), channel=st.sampled_from([UNRELIABLE, LATEST]),
          count=st.integers(1, 8), size=st.sampled_from([0, 100, 900, 3_000]))
    def say_unreliable(self, player: int, up: bool, channel: int, count: int, size: int) -> None:
        for _ in range(count):
            self.say(player, up, channel, size if channel == UNRELIABLE else min(size, 900))

    @rule(player=st.integers(0, CLIENTS - 1), count=st.integers(1, 12), ticks=st.integers(0, 3))
    def inputs(self, player: int, count: int, ticks: int) -> None:
        for _ in range(count):
            self.say(player, True, INPUT, 20)
            self.pass_time(ticks)

    @rule(player=st.integers(0, CLIENTS - 1), count=st.integers(1, 12), size=st.sampled_from([0, 300, 900]),
          ticks=st.integers(0, 3))
    def snapshots(self, player: int, count: int, size: int, ticks: int) -> None:
        for _ in range(count):
            self.say(player, False, SNAPSHOT, size)
            self.pass_time(ticks)

    def say(self, player: int, up: bool, channel: int, size: int, stream: int = 0) -> None:
        session = self.players[player]
        peer, handle, way = (self.client, session.handle, session.up) if up else \
            (self.server, session.server_handle, session.down)
        if not session.joined or (not up and not handle) or not peer.endpoint.is_live(handle):
            return
        payload = way.next(channel, size, stream)
        ticket = way.ticket() if channel in (RELIABLE, UNORDERED) and size % 2 else 0
        try:
            if channel == SNAPSHOT:
                peer.snapshot(handle, payload, way.token())
            else:
                peer.endpoint.send(handle, channel + 16 * stream, KIND, payload, ticket)
        except CapacityError:
            return                                      # it was told so, and it was not said
        way.add(channel, stream)
        if ticket:
            way.begin(ticket)

    # --- what happens to them ---------------------------------------------------------------------------------------

    @rule(link=links | st.just(WORST))
    def change_link(self, link: Link) -> None:
        self.network.link = link

    @rule(link=links | st.just(WORST), up=st.booleans())
    def change_one_way(self, link: Link, up: bool) -> None:
        ports = self.client.port, self.server.port
        self.network.set_link(*(ports if up else ports[::-1]), link)

    @rule(ticks=st.sampled_from([1, 5, 40]))
    def pass_time(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick(TICK_US)

    @rule(seconds=st.sampled_from([1, 4, 20]))
    def long_silence(self, seconds: int) -> None:
        for _ in range(seconds * 5):
            self.tick(200_000)

    @rule(ends=st.sampled_from([("c", "s"), ("s", "c"), ("s", "c", "both")]), ticks=st.sampled_from([2, 20, 100, 350]))
    def partition(self, ends: tuple[str, ...], ticks: int) -> None:
        ports = {"c": self.client.port, "s": self.server.port}
        self.network.partition(ports[ends[0]], ports[ends[1]], one_way=len(ends) == 2)
        for _ in range(ticks):
            self.tick(3 * TICK_US)                      # the longest ends sessions
        self.network.heal()

    @rule(player=st.integers(0, CLIENTS - 1), linger_us=st.sampled_from([0, 0, 100_000]), home=st.booleans())
    def rebind(self, player: int, linger_us: int, home: bool) -> None:
        """A NAT changes its mind about where a player comes from."""
        self.network.rebind(self.client.port, PLACES[player] if home else None, local=PLACES[player],
                            linger_us=linger_us)
        self.went_through["rebinds"] += 1

    @rule(player=st.integers(0, CLIENTS - 1), who=st.sampled_from(["client", "server", "both"]),
          ticks=st.integers(0, 3))
    def rekey(self, player: int, who: str, ticks: int) -> None:
        """Somebody wants new keys, or both do, the server a little later: what they say then crosses."""
        session = self.players[player]
        if who != "server":
            self.went_through["rekeys wanted"] += self.client.endpoint.rekey(session.handle)
        self.pass_time(ticks)
        if who != "client":
            self.went_through["rekeys wanted"] += self.server.endpoint.rekey(session.server_handle)

    @rule(sender=st.sampled_from(["client", "server", "thief"]), which=st.integers(0, REMEMBERED - 1),
          bit=st.none() | st.integers(0, 1 << 14))
    def say_again(self, sender: str, which: int, bit: int | None) -> None:
        """An old datagram comes again, as it was or with a bit flipped; a thief sends it from an address of its own."""
        peer = self.server if sender == "server" else self.client
        if peer.kept:
            data, remote, local = peer.kept[-1 - which % len(peer.kept)]
            if bit is not None and bit < 8 * len(data):
                data = data[:bit >> 3] + bytes([data[bit >> 3] ^ 1 << (bit & 7)]) + data[(bit >> 3) + 1:]
            batch = DatagramBatch(1)
            batch.append(data, remote, None if sender == "thief" else local)
            (self.thief if sender == "thief" else peer.port).send(batch)
            self.went_through["said again"] += 1

    @rule(up=st.booleans(), data=st.binary(max_size=80))
    def noise(self, up: bool, data: bytes) -> None:
        batch = DatagramBatch(1)
        if up:
            batch.append(data, SERVER_ADDRESS, PLACES[0])
            self.client.port.send(batch)
        else:
            batch.append(data, PLACES[0])
            self.server.port.send(batch)

    @rule(player=st.integers(0, CLIENTS - 1), by_client=st.booleans(), sure=st.integers(0, 2))
    def close(self, player: int, by_client: bool, sure: int) -> None:
        if sure < 2:                                    # else no session would grow old
            return
        session = self.players[player]
        session.asked = True
        if by_client:
            self.client.endpoint.close(session.handle, DisconnectReason.CLIENT_LEFT, self.network.now_us)
        elif session.server_handle:
            self.server.endpoint.close(session.server_handle, DisconnectReason.KICKED, self.network.now_us)

    @rule(player=st.integers(0, CLIENTS - 1))
    def reconnect(self, player: int) -> None:
        if "client" in self.players[player].over:
            self.players[player] = self.connect(player)

    def connect(self, player: int) -> Session:
        handle = self.client.endpoint.connect(SERVER_ADDRESS, self.server.endpoint.public_key, self.network.now_us,
                                              PLACES[player])
        session = self.sessions[handle] = Session(len(self.all), handle)
        self.all.append(session)
        return session

    # --- what they hear ---------------------------------------------------------------------------------------------

    def tick(self, us: int) -> None:
        for peer in (self.client, self.server):
            peer.step()
            self.network.advance(us // 2)

    def heard(self, peer: Listener, message: Message, handle: int) -> None:
        if peer is self.client:
            self.sessions[handle].down.hear(message.channel, message.payload)
            return
        session = self.by_server.get(handle)
        if session is None:                             # its first message names it
            session = self.all[session_of(message.payload)]
            assert not session.server_handle
            self.by_server[handle], session.server_handle = session, handle
        session.up.hear(message.channel, message.payload)

    def noted(self, peer: Listener, event: Event) -> None:
        side = "client" if peer is self.client else "server"
        session = (self.sessions if side == "client" else self.by_server).get(event.handle)
        if event.kind == JOINED and side == "client":
            assert session is not None and not session.joined
            session.joined = True
            # A server that heard nothing would not know who is who.
            peer.endpoint.send(session.handle, RELIABLE, KIND, session.up.next(RELIABLE, 0))
            session.up.add(RELIABLE)
        elif event.kind in (DELIVERED, UNDELIVERED):
            assert session is not None and side not in session.over
            (session.up if side == "client" else session.down).tickets.remove(event.token)      # once each
            self.went_through["delivered" if event.kind == DELIVERED else "undelivered"] += 1
        elif event.kind == MIGRATED:
            self.went_through["migrations"] += 1
        elif event.kind in (SNAPSHOT_ACKED, SNAPSHOT_LOST):
            assert session is not None
            session.down.told(event.token, event.kind == SNAPSHOT_ACKED)
        elif event.kind == LEFT and session is not None:
            assert side not in session.over
            session.over.add(side)
            assert not (session.up if side == "client" else session.down).tickets, "ends that nobody told"
            assert event.reason in self.expected(session), DisconnectReason(event.reason)
            self.went_through[f"{side} {DisconnectReason(event.reason).name}"] += 1

    def expected(self, session: Session) -> set[int]:
        """Why a session may end here: nobody lies, so nobody is ever accused of it."""
        why = DisconnectReason
        asked = {why.CLIENT_LEFT, why.KICKED, why.SERVER_SHUTDOWN} if session.asked else set()
        return {why.IDLE_TIMEOUT, why.CONNECT_TIMEOUT, *asked}

    @invariant()
    def all_memory_is_accounted_for(self) -> None:
        for peer in (self.server, self.client) if hasattr(self, "client") else ():
            counters = peer.endpoint.counters
            assert counters["events_lost"] == 0
            if not peer.endpoint.live:
                assert counters["blocks_used"] == counters["fragment_sets"] == 0

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        begin_us = self.network.now_us
        self.network.heal()
        self.network.link = GOOD
        for a, b in ((self.client, self.server), (self.server, self.client)):
            self.network.set_link(a.port, b.port, GOOD)
        end_us = self.network.now_us + QUIET_US
        while any(way.owed for session in self.live() for way in (session.up, session.down)):
            assert self.network.now_us < end_us, "a live session does not deliver or tell what it owes"
            self.tick(2 * TICK_US)
        self.all_agree_on_new_keys()
        for session in self.all:
            session.asked = True
        for peer, reason in ((self.client, DisconnectReason.CLIENT_LEFT),
                             (self.server, DisconnectReason.SERVER_SHUTDOWN)):
            peer.endpoint.close_all(reason, self.network.now_us)
            for _ in range(50):
                self.tick(2 * TICK_US)
        heard = self.server.sent_bytes["10.9.9.9"]      # before the network doubles any of it
        assert heard <= 3 * self.thief.counters["sent_bytes"], "a thief hears more than three times what it says"
        self.went_through["thief heard"] += heard
        for peer in (self.client, self.server):
            held = [peer.endpoint.live, peer.endpoint.half_open, *map(peer.endpoint.counters.get, MEMORY)]
            assert not any(held), f"memory that does not come back: {held}"

        self.count(begin_us)
        for peer in (self.client, self.server):         # no circle may keep the endpoints' memory alive
            del peer.hear, peer.note

    def all_agree_on_new_keys(self) -> None:
        """Whatever became of the rekeys so far: one more comes about, and both sides have the same epoch then."""
        before = {session: self.epochs(session) for session in self.live()}
        end_us = self.network.now_us + REKEY_US
        for session in before:
            self.server.endpoint.rekey(session.server_handle)
        while any(session in before and (min(self.epochs(session)) <= min(before[session])
                                         or len(set(self.epochs(session))) > 1) for session in self.live()):
            assert self.network.now_us < end_us, "two sides do not come to the same new keys"
            self.tick(2 * TICK_US)
        self.went_through["epochs at the end"] += sum(min(self.epochs(session)) for session in self.live())

    def epochs(self, session: Session) -> list[int]:
        """Of the client's side and the server's."""
        sides = (self.client, session.handle), (self.server, session.server_handle)
        return [int(peer.endpoint.stats(handle)["epoch"][0]) for peer, handle in sides]

    def count(self, end_us: int) -> None:
        counts = Counter({"examples": 1, "sessions": len(self.all), "seconds": end_us // 1_000_000 - 1})
        for session in self.all:
            for way in (session.up, session.down):
                for word, lanes in (("said", way.said), ("heard", way.heard)):
                    for lane, count in lanes.items():
                        counts[f"{word} on channel {lane // STREAMS}"] += count
        for peer in (self.client, self.server):
            counts["datagrams"] += peer.endpoint.counters["received"]
            counts["rekeys"] += peer.endpoint.counters["rekeys"]
            for drops in (peer.endpoint.drops, peer.endpoint.message_drops):
                counts.update({DropReason(i).name: int(count) for i, count in enumerate(drops) if count})
        counts.update({f"network {kind}": count for kind, count in self.network.counters.items()})
        self.went_through.update(counts)

    def live(self) -> list[Session]:
        return [session for session in self.players if session.joined and not session.over]

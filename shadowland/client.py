"""Client: one session with a server, polled once a frame or awaited with asyncio. The same engine either way."""
import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from time import sleep
from typing import TYPE_CHECKING

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import AUTHENTICATE, JOINED, LEFT
from shadowland._core.endpoint import checks, packing, players
from shadowland._core.endpoint.endpoint import MTU_HIGHEST, MTU_LIMIT, MTU_LOWEST, Endpoint
from shadowland._core.udp.socket import UdpSocket, monotonic_us
from shadowland.address import parse_url, resolve
from shadowland.delivery import Deliveries, Delivery
from shadowland.errors import ConfigError, ConnectError, ConnectionLost, DisconnectReason, TokenProblem
from shadowland.identity import parse_public
from shadowland.integrity import content_of
from shadowland.measured import SessionStats, measured
from shadowland.schema import Entity, Message, Schema, decode_one, encode_one
from shadowland.server import known_classes
from shadowland.tokens import parse_token
from shadowland.view import Snapshot, View

if TYPE_CHECKING:
    from shadowland.testing import Port

INPUT_CHANNEL = 4
SNAPSHOT_CHANNEL = 5
POLL_HZ = 30                    # a slower `poll` makes the server send things again that had arrived
POLL_GAP_S = 0.002              # how often the asyncio and blocking faces look at the socket

def refusal(endpoint: Endpoint) -> str:
    """What the server found wrong with the token, in words."""
    problem = players.refusal(endpoint)
    return TokenProblem(problem).sentence if 0 < problem < len(TokenProblem) else DisconnectReason.BAD_TOKEN.sentence


def shown(text: bytes) -> str:
    """A text of the server's as it may go to a terminal or a log."""
    return "".join(letter if letter.isprintable() else "?" for letter in text.decode(errors="replace"))


CAUSES = {
    DisconnectReason.CONNECT_TIMEOUT: "no answer came; is the server running there, and is UDP let through?",
    DisconnectReason.WRONG_SERVER_KEY: "a server with another key answered; compare server_key with its own line",
    DisconnectReason.NOT_AUTHENTICATED: "the server did not take the credentials",
    DisconnectReason.VERSION_MISMATCH: "the server speaks another version of the protocol; update the older side",
}


class Client:
    """A session that begins at once: call `poll()` once a frame and send what you like.

    url          sl://host:port; names and IPv6 included.
    server_key   the server's public key, slk1..., as it prints it.
    schema       the classes on the wire; by default every Entity and Message class defined so far.
    timeout_s    how long to try to connect.
    mtu_limit    longest datagram that is tried, 1,150 to 1,500 bytes; at 1,200 or less nothing is probed for.
    token        connect token that says who the player is, slt1... or its bytes; it opens one session.
    credentials  what the server's authenticate handler looks at, at most 1,024 bytes (text goes as UTF-8); they are
                 sent, sealed, to the holder of server_key alone, and only if it asks for them.
    simulated    a port of a shadowland.testing.Network in place of a socket; its network's time is the client's.
    integrity    what the server may ask about for this client_build: bytes, a file or a folder (Server.integrity).

    Errors: ConfigError for a wrong url, key or token, or credentials that are too long, ConnectError for a name that
    does not resolve; later see `poll`.
    """

    def __init__(self, url: str, server_key: str, *, schema: Schema | None = None, timeout_s: float = 5.0,
                 client_build: int = 0, mtu_limit: int = MTU_LIMIT, token: str | bytes | None = None,
                 credentials: str | bytes | None = None,
                 integrity: bytes | str | os.PathLike[str] | None = None, simulated: "Port | None" = None) -> None:
        host, port = parse_url(url)
        key = parse_public(server_key)
        token = parse_token(token) if isinstance(token, str) else token or b""
        secret = credentials.encode() if isinstance(credentials, str) else credentials
        if secret is not None and len(secret) > players.CREDENTIALS:
            raise ConfigError(f"credentials have {len(secret)} bytes; at most {players.CREDENTIALS} are sent")
        content = None if integrity is None else content_of(integrity)
        if not 0.01 <= timeout_s <= 600:
            raise ConfigError(f"timeout_s is {timeout_s}; it must be 0.01 to 600 seconds")
        if not MTU_LOWEST <= mtu_limit <= MTU_HIGHEST:
            raise ConfigError(f"mtu_limit is {mtu_limit}; it must be {MTU_LOWEST:,} to {MTU_HIGHEST:,} bytes")
        self.url, self.schema = url, schema or Schema(known_classes(Entity), known_classes(Message))
        self._address = resolve(host, port)
        self._socket: UdpSocket | Port
        self._rest: Callable[[float], None]
        self._socket, self._clock, self._rest = simulated.parts if simulated else (
            UdpSocket("::" if ":" in self._address[0] else "0.0.0.0", 0), monotonic_us, sleep)
        seed = simulated.seed if simulated else os.urandom(32)
        self._endpoint = Endpoint("client", capacity=1, seed=seed, schema_hash=self.schema.hash,
                                  client_build=client_build, tick_hz=POLL_HZ,
                                  connect_timeout_us=int(timeout_s * 1e6), mtu_limit=mtu_limit)
        packing.configure(self._endpoint, plain=self.schema.plain_kinds)
        self._handle = self._endpoint.connect(self._address, key, self._clock(), token=token)
        self._incoming, self._outgoing = DatagramBatch(256), DatagramBatch(64)
        self._credentials = secret
        if content is not None:
            checks.have(self._endpoint, content)
        self._view: View | None = None
        self._deliveries = Deliveries()
        self._established = False
        self._snapshot_tick = -1
        self.ended: ConnectError | ConnectionLost | None = None
        self._flush()

    def rebind(self, simulated: "Port | None" = None) -> None:
        """Go on over a new socket, as when the device changed networks: the session stays, and the server follows to
        the new address after it has proven itself. `simulated`: the new port, where the old one was one."""
        if self.ended is not None:
            raise self.ended
        fresh = simulated if simulated is not None else UdpSocket("::" if ":" in self._address[0] else "0.0.0.0", 0)
        self._socket.close()
        self._socket = fresh
        self._flush()

    @property
    def connected(self) -> bool:
        """Whether the session is established: joined, and authenticated where the server wants that."""
        return self._established and self.ended is None

    def poll(self) -> list[Message]:
        """Take in what came, send what waits; returns the messages that arrived, oldest first.

        ConnectError (could not connect) or ConnectionLost (ended), each with a reason, once nothing more is to come.
        """
        if self.ended is not None:
            raise self.ended
        now = self._clock()
        while self._socket.receive(self._incoming, now):
            self._outgoing.clear()              # a client answers no handshake in place; the batch only has to be there
            self._endpoint.inbound(self._incoming, self._outgoing, now)
            if self._incoming.count < self._incoming.capacity:
                break
        self._take_events()
        messages = self._take_inbox()
        self._endpoint.clear()
        self._flush()
        ended: Exception | None = self.ended    # _take_events may have set it; messages that came before it go first
        if ended is not None and not messages:
            raise ended
        return messages

    def _take_events(self) -> None:
        self._deliveries.take(self._endpoint.events)
        for event in self._endpoint.events:
            if event["kind"] == JOINED:
                tick, tick_hz = self._endpoint.server_tick(self._handle)
                self._view = View(self.schema, tick_hz=tick_hz, tick=tick)
                self._show_credentials()
            elif event["kind"] == AUTHENTICATE:
                self._established = True
            elif event["kind"] == LEFT:
                self._end(DisconnectReason(int(event["reason"])))

    def _show_credentials(self) -> None:
        if not players.is_joining(self._endpoint, self._handle):
            self._established = True
        elif self._credentials is not None:
            players.authenticate(self._endpoint, self._handle, self._credentials)
            self._credentials = None
        else:
            self._endpoint.close(self._handle, int(DisconnectReason.CLIENT_LEFT), self._clock())
            reason = DisconnectReason.NOT_AUTHENTICATED
            self.ended = ConnectError(reason, f"{self.url} asks for credentials and was given none; connect with "
                                              "credentials=")

    def _end(self, reason: DisconnectReason) -> None:
        if self.ended is not None:
            return
        text = shown(players.farewell_heard(self._endpoint, self._handle))
        if self._established:
            self.ended = ConnectionLost(reason, f"{reason.sentence} {text}" if text else "")
        elif reason == DisconnectReason.SCHEMA_MISMATCH:
            lines = self.schema.diff(self._endpoint.rejected_classes())
            difference = "; ".join(lines or ["its classes differ"])
            self.ended = ConnectError(reason, f"{self.url} speaks another schema: {difference}")
        elif reason == DisconnectReason.BAD_TOKEN:
            self.ended = ConnectError(reason, f"{self.url} refuses the connect token: {refusal(self._endpoint)}")
        else:
            cause = CAUSES.get(reason, reason.sentence)
            self.ended = ConnectError(reason, f"{self.url}: {cause}{': ' if text else ''}{text}")

    def _take_inbox(self) -> list[Message]:
        records, arena = self._endpoint.inbox, self._endpoint.inbox_arena
        if len(records) == 0:
            return []
        if self._view is not None:
            self._view.apply(records, arena)    # flags those that it cannot keep, so that they are not acknowledged
        messages = []
        for record in records[records["channel"] != SNAPSHOT_CHANNEL]:
            cls = self.schema.messages.get(int(record["kind"]))
            if cls is None or self.schema.channel_of(cls) != record["channel"]:
                continue
            start = int(record["offset"])
            message = decode_one(cls, arena[start:start + int(record["length"])].tobytes())
            if message is not None:
                messages.append(message)
        return messages

    def _flush(self) -> None:
        done = False
        while not done:
            self._outgoing.clear()
            done = self._endpoint.outbound(self._outgoing, self._clock())
            self._socket.send(self._outgoing)
            if self._outgoing.count:
                return                          # no room in the kernel: as if lost on the way, and recovery knows how

    def send(self, message: Message) -> Delivery:
        """Send one message on the channel of its class with the next `poll`; await what it returns, while something
        polls, to learn whether a reliable one arrived.

        CapacityError when the buffer is full, UsageError when the session is not established or over.
        """
        if self.ended is not None:
            raise self.ended
        cls = type(message)
        channel = self.schema.channel_of(cls)
        delivery = self._deliveries.open(channel)
        self._endpoint.send(self._handle, channel, self.schema.id_of(cls), encode_one(message), delivery.ticket)
        return delivery

    @property
    def snapshot(self) -> Snapshot | None:
        """The world as last seen; None before the first snapshot."""
        return self._view.snapshot() if self._view is not None and self._view.tick >= 0 else None

    @property
    def stats(self) -> SessionStats:
        """Measurements as they are now."""
        return measured(self._endpoint, self._handle)

    def wait(self) -> None:
        """Poll until the session is established; ConnectError says why it is not. For scripts; games just poll."""
        while not self.connected:
            self.poll()
            self._socket.wait(int(POLL_GAP_S * 1e6))

    def rekey(self) -> bool:
        """New keys for the session as soon as the last change is over; False if it is not joined. They change by
        themselves too."""
        return self._endpoint.rekey(self._handle)

    def close(self) -> None:
        """Say goodbye and free the socket. Closing twice is fine."""
        if self._socket.fileno() < 0:
            return
        if self.ended is None:
            self._endpoint.close(self._handle, int(DisconnectReason.CLIENT_LEFT), self._clock())
            for _ in range(3):                  # CLOSE is not acknowledged; three make its loss unlikely
                self._flush()
                self._rest(0.05)
            self.ended = ConnectionLost(DisconnectReason.CLIENT_LEFT)
        self._deliveries.end()
        self._flush()
        self._socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncClient:
    """A session under asyncio, from `async with sl.connect(...)`. A task polls the client every few milliseconds."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._fresh = asyncio.Condition()
        self._waiting: list[Message] = []
        self._task: asyncio.Task[None] | None = None

    async def _pump(self) -> None:
        seen = -1
        try:
            while True:
                messages = self.client.poll()
                tick = self.client.snapshot.tick if self.client.snapshot else -1
                if messages or tick != seen:
                    seen = tick
                    async with self._fresh:
                        self._waiting += messages
                        self._fresh.notify_all()
                await asyncio.sleep(POLL_GAP_S)
        finally:
            async with self._fresh:
                self._fresh.notify_all()

    def send(self, message: Message) -> Delivery:
        """As Client.send."""
        return self.client.send(message)

    def rekey(self) -> bool:
        """As Client.rekey."""
        return self.client.rekey()

    @property
    def snapshot(self) -> Snapshot | None:
        """As Client.snapshot."""
        return self.client.snapshot

    @property
    def stats(self) -> SessionStats:
        """As Client.stats."""
        return self.client.stats

    def _check(self) -> None:
        if self.client.ended is not None and self.client.ended.reason != DisconnectReason.CLIENT_LEFT:
            raise self.client.ended

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Every new snapshot as it comes (a slow reader misses some); ends when the session is closed here, raises
        ConnectionLost when it ended otherwise."""
        seen = -1

        def fresh() -> bool:
            snapshot = self.client.snapshot
            return self.client.ended is not None or (snapshot is not None and snapshot.tick != seen)

        while True:
            async with self._fresh:
                await self._fresh.wait_for(fresh)
            self._check()
            if self.client.ended is not None:
                return
            snapshot = self.client.snapshot
            assert snapshot is not None
            seen = snapshot.tick
            yield snapshot

    async def messages(self) -> AsyncIterator[Message]:
        """Every message as it comes; ends and raises as `snapshots` does."""
        while True:
            async with self._fresh:
                await self._fresh.wait_for(lambda: self._waiting or self.client.ended is not None)
                batch: Iterable[Message] = self._waiting
                self._waiting = []
            for message in batch:
                yield message
            if not batch:
                self._check()
                return


@asynccontextmanager
async def connect(
    url: str, *, server_key: str, schema: Schema | None = None, timeout_s: float = 5.0,
    client_build: int = 0, token: str | bytes | None = None, credentials: str | bytes | None = None,
    integrity: bytes | str | os.PathLike[str] | None = None,
) -> AsyncIterator[AsyncClient]:
    """Connect and stay connected inside the `async with` block; arguments and errors as Client's.

    ConnectError, with the reason, when no session comes about within `timeout_s`.
    """
    loop = asyncio.get_running_loop()
    client = await loop.run_in_executor(None, lambda: Client(
        url, server_key, schema=schema, timeout_s=timeout_s, client_build=client_build, token=token,
        credentials=credentials, integrity=integrity))
    me = AsyncClient(client)
    try:
        while not client.connected:
            client.poll()
            await asyncio.sleep(POLL_GAP_S)
        me._task = asyncio.create_task(me._pump())
        yield me
    finally:
        if me._task is not None:
            me._task.cancel()
            await asyncio.gather(me._task, return_exceptions=True)
        await loop.run_in_executor(None, client.close)

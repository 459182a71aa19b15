"""Python door to the endpoint: bytes in, events out, time as an argument. Knows no socket, clock or random source."""
import numpy as np

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from shadowland._core.base.batch cimport DatagramBatch
from shadowland._core.base.buffer cimport pointer
from shadowland._core.base.records cimport (
    Address,
    EventRecord,
    MessageRecord,
    address_clear,
    address_format,
    address_parse,
)
from shadowland._core.base.status cimport BYE_REASONS, DROP_REASONS
from shadowland._core.crypto.aead cimport suites_offered
from shadowland._core.crypto.drbg cimport drbg_init
from shadowland._core.crypto.keys cimport sha256, x25519_public
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.crypto.token cimport TOKEN_LARGEST
from shadowland._core.endpoint.accept cimport waiting_serve
from shadowland._core.endpoint.connect cimport connect_begin
from shadowland._core.endpoint.connection cimport STATE_CONNECT, STATE_HELLO, STATE_LIVE, Connection
from shadowland._core.endpoint.delivery cimport connection_close, mark_dirty
from shadowland._core.endpoint.halfopen cimport half_open_sweep
from shadowland._core.endpoint.inbound cimport deliver_stalled, endpoint_inbound
from shadowland._core.endpoint.join cimport half_open_close
from shadowland._core.endpoint.outbound cimport endpoint_outbound
from shadowland._core.endpoint.memory cimport state_allocate, state_free
from shadowland._core.endpoint.queue cimport (
    QUEUE_NO_CONNECTION,
    QUEUE_NO_ROOM,
    QUEUE_TOO_LONG,
    QUEUED,
    collect_inputs,
    queue_message,
    queue_records,
    withdraw_undecodable,
)
from shadowland._core.endpoint.sizes cimport SNAPSHOT_LIMIT as _SNAPSHOT_LIMIT, UNRELIABLE_LIMIT as _UNRELIABLE_LIMIT
from shadowland._core.endpoint.state cimport (
    MTU_DEFAULT,
    MTU_LARGEST,
    MTU_MINIMUM,
    ROLE_CLIENT,
    ROLE_SERVER,
    SCHEMA_CLASSES,
    EndpointState,
    connection_of,
    inbox_clear,
    inbox_reserve,
)
from shadowland._core.endpoint.stats cimport counters_of, stats_table
from shadowland._core.guard.guard cimport Guard
from shadowland._core.session.ack cimport ack_delay
from shadowland._core.session.channel cimport BLOCKS_LEAST, BLOCKS_RESERVED, RELIABLE_MESSAGE_LIMIT, STREAMS
from shadowland._core.session.replay cimport REPLAY_LEAST, REPLAY_MOST

from shadowland._core.base import records as _records
from shadowland._core.base.errors import CapacityError, UsageError

SNAPSHOT_LIMIT = _SNAPSHOT_LIMIT
OUTBOX_LEAST = 1 << 14                  # the longest unreliable message in its parts, and more
MTU_LOWEST, MTU_HIGHEST = MTU_MINIMUM, MTU_LARGEST
MTU_LIMIT = 1472                        # UDP payload of an Ethernet frame over IPv4: what is probed for unless told
UNRELIABLE_LIMIT = _UNRELIABLE_LIMIT
RELIABLE_LIMIT = RELIABLE_MESSAGE_LIMIT - 1
CIPHERS = ("auto", "chacha20-poly1305")


def _within(name: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise UsageError(f"Endpoint: {name} is {value}; it must be {low} to {high}")
    return value


cdef int inbox_share(EndpointState* state, records, size) except -1:
    """What one session may bring in a tick. A client has one server, and hears it out."""
    cdef bint server = state.role == ROLE_SERVER
    state.limits.session_inbox_records = _within(
        "session_inbox_records", records or (512 if server else 1 << 26), 1, 1 << 26)
    state.limits.session_inbox_bytes = _within(
        "session_inbox_bytes", size or (RELIABLE_MESSAGE_LIMIT if server else (1 << 32) - 1), RELIABLE_MESSAGE_LIMIT,
        (1 << 32) - 1)
    return 0


@final
cdef class Endpoint:
    """Many sessions over any kind of datagrams, as server or as client (docs/protocol.md).

    Feed received datagrams to `inbound`, take messages from `inbox` and happenings from `events`, give messages to
    `send` or `queue`, let `outbound` fill batches to be sent, and `clear` when the inbox was read. Times are
    microseconds of one clock that never goes back; `seed` is 32 random bytes from which every random number of this
    endpoint follows.

    role               "server" or "client".
    capacity           most sessions at once; memory for all of them is set aside (about 21 KiB each, touched when
    used). identity_secret    server: its static private key, 32 bytes.
    schema_hash        both sides' must agree; `schema_classes` (id, digest) pairs tell a client where they differ.
    tick_hz            how often `outbound` is called, told to clients; max_ack_delay_us 0: five quarters of a tick.
    mtu, mtu_limit     longest datagram of the handshake, and of all that is probed for (at most 1,500; 0: mtu, and
    nothing is probed for).
    half_open          server: handshakes under way at once, `half_open_per_prefix` of them from one /24 or /64.
    inbox_records, inbox_bytes     what one tick may bring besides inputs; beyond it messages are refused and counted.
    session_inbox_records, session_inbox_bytes     ... of one session; left out, 512 and 262,144 at a server.
    outbox_bytes       what one tick may send besides reliable messages.
    cipher             "auto": AEGIS-128L where both sides have AES instructions; or "chacha20-poly1305".
    rekey_bytes, rekey_packets, rekey_age_us, rekey_failures       new keys after so much sent, so long, or so many
    packets that did not open; at most_failures the session ends (KEYS_EXHAUSTED).
    replay_positions   sequences behind the newest that are still taken, 64 to 4,096; what is older is dropped.
    blocks, session_blocks         256-byte blocks for reliable messages and fragments, in all and per session and
    direction.
    guard              server: who may make it work how much; none: everybody.

    Errors: UsageError for a value out of range, MemoryError when memory is short.
    """
    def __init__(
        self, role: str, *, capacity: int, seed: bytes, identity_secret: bytes | None = None, schema_hash: int = 0,
        schema_classes: tuple[tuple[int, int], ...] = (), tick_hz: int = 60, shard: int = 0, client_build: int = 0,
        mtu: int = MTU_DEFAULT, mtu_limit: int = 0, idle_timeout_us: int = 15_000_000,
        connect_timeout_us: int = 5_000_000,
        half_open: int = 1024, half_open_per_prefix: int = 256, half_open_us: int = 5_000_000,
        ping_us: int = 5_000_000, max_ack_delay_us: int = 0, inbox_records: int = 0, inbox_bytes: int = 0,
        session_inbox_records: int = 0, session_inbox_bytes: int = 0,
        outbox_bytes: int = 0, blocks: int = 0, session_blocks: int = 3584, cipher: str = "auto",
        replay_positions: int = 1024, rekey_bytes: int = 1 << 34, rekey_packets: int = 1 << 24,
        rekey_age_us: int = 600_000_000, rekey_failures: int = 1 << 24, most_failures: int = 1 << 35,
        Guard guard = None,
    ) -> None:
        cdef EndpointState* state = &self.state
        if self._role is not None:
            raise UsageError("an Endpoint is initialised once: its memory may be in use")
        if role not in ("server", "client"):
            raise UsageError(f"Endpoint: role is {role!r}; it must be 'server' or 'client'")
        if len(seed) != 32:
            raise UsageError(f"Endpoint: seed has {len(seed)} bytes; it needs 32 (os.urandom(32))")
        if role == "server" and (identity_secret is None or len(identity_secret) != 32):
            raise UsageError("Endpoint: a server needs identity_secret, the 32 bytes of its static private key")
        state.role = ROLE_SERVER if role == "server" else ROLE_CLIENT
        state.limits.capacity = _within("capacity", capacity, 1, 1 << 20)
        state.limits.half_open_capacity = _within("half_open", half_open, 1, 1 << 16) if role == "server" else 0
        state.limits.half_open_per_prefix = _within("half_open_per_prefix", half_open_per_prefix, 1, 1 << 16)
        state.limits.half_open_us = _within("half_open_us", half_open_us, 1, 1 << 40)
        state.limits.mtu_limit = _within("mtu_limit", mtu_limit or mtu, MTU_MINIMUM, MTU_LARGEST)
        state.limits.mtu = min(_within("mtu", mtu, MTU_MINIMUM, MTU_LARGEST), state.limits.mtu_limit)
        state.limits.idle_timeout_us = _within("idle_timeout_us", idle_timeout_us, 1000, 1 << 40)
        state.limits.connect_timeout_us = _within("connect_timeout_us", connect_timeout_us, 1000, 1 << 40)
        state.limits.ping_us = _within("ping_us", ping_us, 1000, 1 << 40)
        state.limits.inbox_records = _within("inbox_records", inbox_records or 1024 + 16 * capacity, 1, 1 << 26)
        state.limits.inbox_bytes = _within("inbox_bytes", inbox_bytes or (1 << 20) + 2048 * capacity,
                                            RELIABLE_MESSAGE_LIMIT, 4_000_000_000)
        inbox_share(state, session_inbox_records, session_inbox_bytes)
        state.limits.outbox_bytes = _within("outbox_bytes", outbox_bytes or (1 << 20) + 4096 * capacity, OUTBOX_LEAST,
                                            (1 << 32) - 1)
        state.limits.outbox_nodes = state.limits.events = 1024 + 16 * capacity
        state.limits.blocks = _within("blocks", blocks or 8192 + 32 * capacity,
                                      BLOCKS_LEAST + BLOCKS_RESERVED * capacity, 1 << 28)
        state.limits.session_blocks = _within("session_blocks", session_blocks, BLOCKS_LEAST, 1 << 20)
        state.limits.rekey_bytes = _within("rekey_bytes", rekey_bytes, 1 << 16, 1 << 50)
        state.limits.rekey_packets = _within("rekey_packets", rekey_packets, 16, 1 << 40)
        state.limits.rekey_age_us = _within("rekey_age_us", rekey_age_us, 1_000_000, 1 << 40)
        state.limits.rekey_failures = _within("rekey_failures", rekey_failures, 1, 1 << 34)
        state.limits.most_failures = _within("most_failures", most_failures, rekey_failures + 1, 1 << 35)
        state.limits.replay_positions = _within("replay_positions", replay_positions, REPLAY_LEAST, REPLAY_MOST)
        if cipher not in CIPHERS:
            raise UsageError(f"Endpoint: cipher is {cipher!r}; it must be {' or '.join(CIPHERS)}")
        state.suites = suites_offered(cipher == "auto")
        state.shard = _within("shard", shard, 0, 15)
        state.tick_hz = _within("tick_hz", tick_hz, 1, 1000)
        state.limits.max_ack_delay_us = _within("max_ack_delay_us", max_ack_delay_us or ack_delay(tick_hz), 0, 255_000)
        state.client_build = _within("client_build", client_build, 0, (1 << 32) - 1)
        state.schema_hash = _within("schema_hash", schema_hash, 0, (1 << 64) - 1)
        state.class_count = _within("number of schema_classes", len(schema_classes), 0, SCHEMA_CLASSES)
        for i, (class_id, digest) in enumerate(schema_classes):
            state.class_ids[i] = class_id
            state.class_digests[i] = digest
        self._role = role
        if guard is None:
            guard = Guard(bytes(16), 8, 1, 1)          # without rules it passes everything
        self._guard = guard
        state.guard = &guard.state
        drbg_init(&state.drbg, <const uint8_t*>PyBytes_AS_STRING(seed))
        self._allocate()
        if identity_secret is not None:
            self._identify(identity_secret)

    cdef int _allocate(self) except -1:
        cdef EndpointState* state = &self.state
        cdef size_t reserve = inbox_reserve(state)
        self._inbox = np.zeros(state.limits.inbox_records + state.limits.inbox_inputs, dtype=_records.MESSAGE_DTYPE)
        self._inbox_arena = np.zeros(state.limits.inbox_bytes + reserve, dtype=np.uint8)
        self._outbox_arena = np.zeros(state.limits.outbox_bytes, dtype=np.uint8)
        self._events = np.zeros(state.limits.events, dtype=_records.EVENT_DTYPE)
        state.inbox = <MessageRecord*>pointer(self._inbox)
        state.inbox_arena = <uint8_t*>pointer(self._inbox_arena)
        state.outbox_arena = <uint8_t*>pointer(self._outbox_arena)
        state.events = <EventRecord*>pointer(self._events)
        if not state_allocate(state):
            raise MemoryError(f"Endpoint: no memory for {state.limits.capacity} sessions")
        return 0

    cdef int _identify(self, bytes secret) except -1:
        cdef uint8_t digest[32]
        memcpy(self.state.identity_secret, PyBytes_AS_STRING(secret), 32)
        x25519_public(self.state.identity_public, self.state.identity_secret)
        sha256(digest, self.state.identity_public, 32)
        memcpy(self.state.identity_hint, digest, 8)
        return 0

    def __dealloc__(self):
        if sodium.memzero != NULL:
            state_free(&self.state)

    @property
    def role(self) -> str:
        """"server" or "client"."""
        return self._role

    @property
    def public_key(self) -> bytes:
        """Server: the static public key that clients pin, 32 bytes."""
        return (<const char*>self.state.identity_public)[:32]

    @property
    def live(self) -> int:
        """Sessions that hold a slot: live, connecting or closing."""
        return self.state.live

    @property
    def half_open(self) -> int:
        """Server: handshakes that wait for CONFIRM."""
        return self.state.half_open

    def set_tick(self, tick: int) -> None:
        """Server: the tick that clients which connect from now on are told."""
        self.state.tick = <uint32_t>(tick & 0xFFFFFFFF)

    def inbound(self, DatagramBatch batch not None, DatagramBatch replies not None, now_us: int) -> int:
        """Take every datagram of `batch` (its payloads are opened in place), put answers to handshakes into `replies`.

        Returns the number of messages in the inbox. Never raises for what a peer sent.
        """
        cdef uint64_t now = now_us
        with nogil:
            endpoint_inbound(&self.state, &batch.state, &replies.state, now)
        return self.state.inbox_count

    def outbound(self, DatagramBatch batch not None, now_us: int) -> bool:
        """Append all datagrams that are due to `batch`; False when it is full: send it, clear it, call again.

        Also runs the timers: loss detection, probes, pings, timeouts, handshake repeats.
        """
        cdef uint64_t now = now_us
        cdef bint done
        if batch.state.slot_size < self.state.limits.mtu_limit:
            raise UsageError(f"Endpoint.outbound: slot_size {batch.state.slot_size} of the batch holds no datagram of "
                             f"{self.state.limits.mtu_limit} bytes")
        with nogil:
            if self.state.role == ROLE_SERVER:
                half_open_sweep(&self.state, now)
                waiting_serve(&self.state, &batch.state, now)
            done = endpoint_outbound(&self.state, &batch.state, now)
        return bool(done)

    def connect(self, remote: tuple[str, int], server_key: bytes, now_us: int,
                local: tuple[str, int] | None = None, token: bytes = b"") -> int:
        """Client: begin a session with the server at `remote` whose static public key is `server_key` (32 bytes), as
        the player whom a connect token names.

        Returns its handle at once; events tell when it is joined or over. CapacityError when the endpoint is full.
        """
        cdef Address remote_address, local_address
        cdef uint64_t now = now_us, handle
        if self.state.role != ROLE_CLIENT:
            raise UsageError("Endpoint.connect: only a client connects")
        if len(server_key) != 32:
            raise UsageError(f"Endpoint.connect: server_key has {len(server_key)} bytes; it needs 32")
        if len(token) > TOKEN_LARGEST:
            raise UsageError(f"Endpoint.connect: token has {len(token)} bytes; it has at most {TOKEN_LARGEST}")
        address_parse(&remote_address, remote[0], remote[1])
        address_clear(&local_address)
        if local is not None:
            address_parse(&local_address, local[0], local[1])
        handle = connect_begin(&self.state, &remote_address, &local_address,
                               <const uint8_t*>PyBytes_AS_STRING(server_key),
                               <const uint8_t*>PyBytes_AS_STRING(token), <uint16_t>len(token), now)
        if handle == 0:
            raise CapacityError(f"Endpoint.connect: all {self.state.limits.capacity} sessions are in use")
        return handle

    def close(self, handle: int, reason: int, now_us: int) -> bool:
        """End a session with a disconnect reason; False if it was over already. CLOSE leaves with the next outbound
        calls."""
        cdef Connection* connection = connection_of(&self.state, handle)
        if not 0 < reason < BYE_REASONS:
            raise UsageError(f"Endpoint.close: {reason} is not a disconnect reason")
        if connection == NULL:
            return False
        connection_close(&self.state, connection, reason, now_us)
        return True

    def rekey(self, handle: int) -> bool:
        """New keys for a session as soon as the last change of keys is over; False if the session is over.

        Both sides may ask at any time; `stats` shows the epoch, which counts the changes.
        """
        cdef Connection* connection = connection_of(&self.state, handle)
        if connection == NULL or connection.state != STATE_LIVE:
            return False
        connection.rekey.wanted = True
        mark_dirty(&self.state, connection)
        return True

    def close_all(self, reason: int, now_us: int) -> int:
        """End every session, half-open ones included; returns how many there were."""
        cdef uint32_t slot, count
        cdef uint64_t now = now_us
        if not 0 < reason < BYE_REASONS:
            raise UsageError(f"Endpoint.close_all: {reason} is not a disconnect reason")
        count = half_open_close(&self.state, reason, now)
        for slot in range(self.state.high_water):
            if self.state.connections[slot].state in (STATE_LIVE, STATE_HELLO, STATE_CONNECT):
                connection_close(&self.state, &self.state.connections[slot], reason, now)
                count += 1
        return count

    def send(self, handle: int, channel: int, kind: int, payload: bytes, ticket: int = 0) -> None:
        """Queue one message; `channel` is 1 + 16 × stream for streams. An event tells the end of a reliable one under
        its ticket (0: none). UsageError: session over, wrong channel, too long; CapacityError: a buffer is full."""
        cdef int code
        cdef uint32_t length = <uint32_t>min(PyBytes_GET_SIZE(payload), 1 << 31)
        if not (0 <= channel < 16 * STREAMS and 0 <= kind <= 200 and 0 <= ticket < 1 << 32):
            raise UsageError(f"channel {channel} (0 to 7, 1 + 16 × stream), kind {kind} or ticket {ticket} is none")
        code = queue_message(&self.state, connection_of(&self.state, handle), channel, kind, ticket,
                             <const uint8_t*>PyBytes_AS_STRING(payload), length)
        if code == QUEUED:
            return
        if code == QUEUE_NO_ROOM:
            raise CapacityError(f"session {handle:#x}: no room to send {len(payload)} bytes on channel {channel}; "
                                "send again after the next ticks, or raise blocks / session_blocks / outbox_bytes")
        if code == QUEUE_NO_CONNECTION:
            raise UsageError(f"session {handle:#x} is over or not joined yet; look at events before sending")
        if code == QUEUE_TOO_LONG:
            raise UsageError(f"{len(payload)} bytes are too long for channel {channel} (input 60, latest "
                             f"{_SNAPSHOT_LIMIT - 1}, unreliable {_UNRELIABLE_LIMIT}, reliable {RELIABLE_LIMIT})")
        raise UsageError(f"channel {channel} does not carry messages of kind {kind} from a {self._role}")

    def queue(self, records not None, arena not None) -> int:
        """Queue many messages: `records` is an array of MESSAGE_DTYPE, offsets point into `arena` (uint8).

        Returns how many were refused; each record's `flags` then says why (0 taken, 1 session over, 2 no room, 3 too
        long, 4 wrong channel). Snapshots carry their token in `number`, reliable messages a ticket (0: none).
        """
        cdef uint32_t count = <uint32_t>len(records), refused
        cdef uint64_t size = arena.nbytes
        cdef MessageRecord* first
        cdef const uint8_t* data
        if records.dtype != _records.MESSAGE_DTYPE or not records.flags.c_contiguous or not arena.flags.c_contiguous:
            raise UsageError("Endpoint.queue: needs a contiguous array of MESSAGE_DTYPE and contiguous bytes")
        if count == 0:
            return 0
        first = <MessageRecord*>pointer(records)
        data = <const uint8_t*>pointer(arena) if size else NULL
        with nogil:
            refused = queue_records(&self.state, first, count, data, size)
        return refused

    def collect(self) -> int:
        """Server, once a tick: move one waiting input of every session into the inbox (two where they pile up)."""
        cdef uint32_t taken
        with nogil:
            taken = collect_inputs(&self.state)
        return taken

    @property
    def inbox(self):
        """Messages since the last `clear`: a view, dtype MESSAGE_DTYPE; payloads lie in `inbox_arena`."""
        return self._inbox[:self.state.inbox_count]

    @property
    def inbox_arena(self):
        """Payload memory of the inbox, uint8; valid until `clear`."""
        return self._inbox_arena

    @property
    def events(self):
        """What happened since the last `clear`: a view, dtype EVENT_DTYPE."""
        return self._events[:self.state.event_count]

    def clear(self) -> int:
        """Empty inbox and events; returns how many snapshots were withdrawn.

        Snapshots flagged undecodable are withdrawn from acknowledgment, so call it before the next `outbound`. Reliable
        messages that had found the inbox full stand in it afterwards.
        """
        cdef uint32_t withdrawn
        with nogil:
            withdrawn = withdraw_undecodable(&self.state)
            inbox_clear(&self.state)
            self.state.event_count = 0
            deliver_stalled(&self.state)
        return withdrawn

    def remote(self, handle: int) -> tuple[str, int] | None:
        """(host, port) of a session's peer, None if it is over."""
        cdef Connection* connection = connection_of(&self.state, handle)
        return None if connection == NULL else address_format(&connection.remote)

    def is_live(self, handle: int) -> bool:
        """Whether messages can be sent to `handle`."""
        cdef Connection* connection = connection_of(&self.state, handle)
        return connection != NULL and connection.state == STATE_LIVE and connection.joining == 0

    def server_tick(self, handle: int) -> tuple[int, int]:
        """Client: (tick when the server accepted, ticks per second); (0, 0) if it is not joined."""
        cdef Connection* connection = connection_of(&self.state, handle)
        if connection == NULL:
            return 0, 0
        return connection.peer_tick, connection.peer_tick_hz

    def rejected_classes(self) -> list[tuple[int, int]]:
        """Client: (class id, digest) pairs that the last server which refused our schema named as its own."""
        return [(self.state.rejected_ids[i], self.state.rejected_digests[i]) for i in range(self.state.rejected_count)]

    def stats(self, handle: int | None = None):
        """Measurements of one session or of all live ones: an array of STATS_DTYPE. A round trip of 0 is not measured
        yet; `suite` is 1 for ChaCha20-Poly1305, 2 for AEGIS-128L; `epoch` counts changes of keys."""
        return stats_table(&self.state, handle)

    @property
    def drops(self):
        """Datagrams dropped, by DropReason: uint64, a copy. received = accepted + sum of this."""
        return np.array([self.state.drops[i] for i in range(DROP_REASONS)], dtype=np.uint64)

    @property
    def message_drops(self):
        """Messages dropped inside accepted datagrams, by DropReason: uint64, a copy."""
        return np.array([self.state.message_drops[i] for i in range(DROP_REASONS)], dtype=np.uint64)

    @property
    def counters(self) -> dict[str, int]:
        """received, accepted, sent (datagrams), bytes_in, bytes_out (UDP payload), handshakes (key exchanges done),
        rekeys, blocks_used, fragment_sets, events_lost, migrations, paths_refused (pending ones that were not taken),
        paths_busy (packets from a third address, too soon to challenge it)."""
        return counters_of(&self.state)

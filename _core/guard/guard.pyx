"""Python door to the guard: its rules, lists and bans, and each kernel for tests. Endpoints use the kernels alone."""
from cpython.bytes cimport PyBytes_AS_STRING
from cython cimport final
from libc.string cimport memcpy

from shadowland._core.base.records cimport Datagram, address_format, address_parse
from shadowland._core.guard.bans cimport (
    BAN_CAUSE_OPERATOR,
    Ban,
    ban_lift,
    ban_put,
    bans_expire,
    bans_free,
    bans_init,
)
from shadowland._core.guard.network cimport TAG_IPV4
from shadowland._core.guard.sources cimport HASH_KEY, SOURCE_BUCKETS, sources_clear, sources_free, sources_init
from shadowland._core.guard.waiting cimport (
    WAITING_MOST,
    WAITING_SIZE,
    Parked,
    parked_fill,
    waiting_find,
    waiting_free,
    waiting_init,
    waiting_key,
    waiting_put,
    waiting_same,
    waiting_take,
)

from shadowland._core.base.errors import UsageError

SCOPES = ("session", "address", "subnet", "all")
WHATS = ("hellos", "handshakes", "packets", "bytes", "bad")
ACTIONS = ("drop", "close", "ban")
OPERATOR = BAN_CAUSE_OPERATOR
RULES_LIMIT = GUARD_RULES
NETWORKS_LIMIT = GUARD_NETWORKS
WAITING_LIMIT = WAITING_MOST
RULES_OF_SCOPE = (SESSION_BUCKETS, SOURCE_BUCKETS, SOURCE_BUCKETS, SHARED_BUCKETS)
FOREVER = (1 << 64) - 1


def door_of(scope: int, what: int) -> int:
    """Which door asks a rule: 0 hello, 1 outside sessions, 2 handshake by source, 3 by all, 4 session, 5 malformed."""
    if what == WHAT_HELLOS:
        return DOOR_HELLO
    if what == WHAT_HANDSHAKES:
        return DOOR_EXCHANGE if scope == SCOPE_ALL else DOOR_HANDSHAKE
    if what == WHAT_BAD:
        return DOOR_BAD
    return DOOR_SESSION if scope == SCOPE_SESSION else DOOR_OUTSIDE


cdef int _fill(Network* networks, list given) except -1:
    cdef bytes ip
    if len(given) > GUARD_NETWORKS:
        raise UsageError(f"Guard: {len(given)} networks in one list; at most {GUARD_NETWORKS} fit")
    for i, (ip, bits) in enumerate(given):
        if len(ip) != 16 or not 0 <= bits <= 128:
            raise UsageError("Guard: a network is 16 bytes and a length of 0 to 128 bits")
        memcpy(networks[i].ip, PyBytes_AS_STRING(ip), 16)
        networks[i].bits = bits
    return 0


cdef object _place(const GuardState* state, const Rule* rule):
    return None if rule == NULL else rule - state.rules


@final
cdef class Buckets:
    """The buckets of one session, for tests; a real session carries its own."""
    cdef SessionBuckets state


@final
cdef class Guard:
    """Rules, what sources have used of them, and bans. Times are microseconds of the endpoint's clock.

    key        16 random bytes for the keyed hashes.
    sources    proven addresses, and as many subnets, that are remembered at once (64 bytes each).
    bans       bans at once.
    waiting    CONNECTs that wait for a key exchange at once (1.6 KiB each, touched when used).
    """

    def __init__(self, key: bytes, sources: int = 4096, bans: int = 4096, waiting: int = 4096) -> None:
        if self.state.bans.entries != NULL:
            raise UsageError("a Guard is initialised once: an endpoint may point to it")
        if len(key) != HASH_KEY:
            raise UsageError(f"Guard: key has {len(key)} bytes; it needs {HASH_KEY} (os.urandom({HASH_KEY}))")
        for name, value in (("sources", sources), ("bans", bans)):
            if not 1 <= value <= 1 << 20:
                raise UsageError(f"Guard: {name} is {value}; it must be 1 to {1 << 20}")
        if not 1 <= waiting <= WAITING_MOST:
            raise UsageError(f"Guard: waiting is {waiting}; it must be 1 to {WAITING_MOST}")
        fine = sources_init(&self.state.addresses, sources, <const uint8_t*>PyBytes_AS_STRING(key))
        fine = sources_init(&self.state.subnets, sources, <const uint8_t*>PyBytes_AS_STRING(key)) and fine
        fine = bans_init(&self.state.bans, bans, <const uint8_t*>PyBytes_AS_STRING(key)) and fine
        fine = waiting_init(&self.state.waiting, waiting, <const uint8_t*>PyBytes_AS_STRING(key)) and fine
        if not fine:
            raise MemoryError(f"Guard: no memory for {sources} sources and {bans} bans")

    def __dealloc__(self):
        sources_free(&self.state.addresses)
        sources_free(&self.state.subnets)
        bans_free(&self.state.bans)
        waiting_free(&self.state.waiting)

    def configure(self, rules: list[tuple[int, ...]], allow: list[tuple[bytes, int]],
                  deny: list[tuple[bytes, int]]) -> list[int]:
        """Take these rules from now on: (scope, what, action, unit_ns, depth_ns, ban_us, hits) each, and the lists of
        networks, (16 bytes, bits) each. Debts are forgiven, bans stay.

        Returns where each rule now stands: a list of indices into `rules`, in the order of `hits`.
        """
        cdef GuardState* state = &self.state
        cdef Rule* rule
        cdef uint32_t[4] used
        memset(used, 0, sizeof(used))
        if len(rules) > GUARD_RULES:
            raise UsageError(f"Guard: {len(rules)} rules; at most {GUARD_RULES} fit")
        for scope, what, action, unit_ns, depth_ns, _ban_us, _hits in rules:
            if not (0 <= scope <= SCOPE_ALL and 0 <= what <= WHAT_BAD and 0 <= action <= ACTION_BAN):
                raise UsageError(f"Guard: there is no rule of scope {scope}, what {what}, action {action}")
            if what in (WHAT_HELLOS, WHAT_HANDSHAKES) and (scope == SCOPE_SESSION or action == ACTION_CLOSE):
                raise UsageError("Guard: hellos and handshakes belong to no session, so there is none to close")
            if (what == WHAT_HELLOS or scope == SCOPE_ALL) and action != ACTION_DROP:
                raise UsageError("Guard: what has no proven source can only be dropped")
            if what == WHAT_HELLOS and scope != SCOPE_ALL or scope == SCOPE_ALL and what > WHAT_HANDSHAKES:
                raise UsageError("Guard: scope all is for hellos and handshakes, and hellos have no other")
            if not 1 <= unit_ns <= depth_ns <= 1 << 44:
                raise UsageError(f"Guard: a unit of {unit_ns} ns in a depth of {depth_ns}; 1 <= unit <= depth <= 2**44")
            used[scope] += 1
            if used[scope] > RULES_OF_SCOPE[scope]:
                raise UsageError(f"Guard: more than {RULES_OF_SCOPE[scope]} rules of scope {SCOPES[scope]}")
        _fill(state.allow, allow)
        _fill(state.deny, deny)
        state.allow_count, state.deny_count = len(allow), len(deny)
        memset(used, 0, sizeof(used))
        memset(state.shared, 0, sizeof(state.shared))
        sources_clear(&state.addresses)
        sources_clear(&state.subnets)
        state.generation += 1
        order = [i for door in range(DOORS) for i, given in enumerate(rules) if door_of(given[0], given[1]) == door]
        for door in range(DOORS + 1):
            state.first[door] = sum(1 for given in rules if door_of(given[0], given[1]) < door)
        for place, i in enumerate(order):
            rule = &state.rules[place]
            rule.scope, rule.what, rule.action, rule.unit_ns, rule.depth_ns, rule.ban_us, rule.hits = rules[i]
            rule.slot = used[rule.scope]
            used[rule.scope] += 1
        return order

    @property
    def hits(self) -> list[int]:
        """How often each rule said no, in the order that `configure` returned."""
        return [self.state.rules[i].hits for i in range(self.state.first[DOORS])]

    @property
    def waiting(self) -> int:
        """CONNECTs that wait for the budget of key exchanges: call `inbound`, with nothing if nothing came."""
        return self.state.waiting.count

    @property
    def counters(self) -> dict[str, int]:
        """bans now, bans_given by rules, bans_evicted and sources_evicted before their time for want of room."""
        return {
            "bans": self.state.bans.count, "bans_given": self.state.banned, "bans_evicted": self.state.bans.evicted,
            "sources_evicted": self.state.addresses.evicted + self.state.subnets.evicted,
        }

    def ban(self, host: str, subnet: bool, until_us: int, now_us: int) -> None:
        """Ban an address (IPv4, or IPv6 /64) or its subnet (/24, /48) until `until_us`; FOREVER has no end."""
        cdef Address address
        address_parse(&address, host, 0)
        ban_put(&self.state.bans, prefix_of_source(address.ip, SCOPE_SUBNET if subnet else SCOPE_ADDRESS), until_us,
                now_us, BAN_CAUSE_OPERATOR)

    def unban(self, host: str, subnet: bool) -> bool:
        """Lift a ban; False if there was none."""
        cdef Address address
        address_parse(&address, host, 0)
        return bool(ban_lift(&self.state.bans,
                             prefix_of_source(address.ip, SCOPE_SUBNET if subnet else SCOPE_ADDRESS)))

    def bans(self, now_us: int) -> list[tuple[bytes, int, int, int]]:
        """(16 bytes of the prefix, its bits, until_us, cause) of each ban that holds; those that are over go."""
        cdef uint64_t at
        cdef Ban* ban
        found = []
        bans_expire(&self.state.bans, now_us)
        for at in range(self.state.bans.mask + 1):
            ban = &self.state.bans.entries[at]
            if ban.prefix.tag == 0:
                continue
            subnet = (ban.prefix.tag & ~<uint64_t>TAG_IPV4) == SCOPE_SUBNET
            packed = (<object>ban.prefix.bits).to_bytes(8, "big")
            if ban.prefix.tag & TAG_IPV4:
                ip, bits = bytes(10) + b"\xff\xff" + packed[:4], 96 + (24 if subnet else 32)
            else:
                ip, bits = packed + bytes(8), 48 if subnet else 64
            found.append((ip, bits, ban.until_us, ban.cause))
        return sorted(found)

    def hello(self, now_us: int) -> bool:
        """Whether a HELLO would be answered; it is paid for."""
        return bool(guard_hello(&self.state, now_us))

    def outside(self, host: str, length: int, now_us: int) -> int | None:
        """A proven datagram of `length` bytes outside a session: place of the rule that refuses it."""
        cdef Address address
        address_parse(&address, host, 0)
        return _place(&self.state, guard_sources(&self.state, DOOR_OUTSIDE, &address, length, now_us))

    def handshake(self, host: str, now_us: int) -> int | None:
        """A key exchange for `host`: place of the rule that refuses it."""
        cdef Address address
        address_parse(&address, host, 0)
        return _place(&self.state, guard_sources(&self.state, DOOR_HANDSHAKE, &address, 1, now_us))

    def exchange(self, now_us: int) -> int | None:
        """A key exchange for anybody: place of the rule whose budget is spent."""
        return _place(&self.state, guard_shared(&self.state, DOOR_EXCHANGE, now_us))

    def session(self, Buckets buckets not None, length: int, now_us: int) -> int | None:
        """An opened packet: place of the strictest rule it breaks."""
        return _place(&self.state, guard_session(&self.state, &buckets.state, length, now_us))

    def bad(self, Buckets buckets not None, host: str, score: int, now_us: int) -> int | None:
        """A malformed one: place of the strictest rule it breaks."""
        cdef Address address
        address_parse(&address, host, 0)
        return _place(&self.state, guard_bad(&self.state, &buckets.state, &address, score, now_us))

    def punish(self, place: int, host: str, now_us: int) -> None:
        """Ban `host` as the rule at `place` says."""
        cdef Address address
        if not 0 <= place < self.state.first[DOORS]:
            raise UsageError(f"Guard: there is no rule {place}")
        address_parse(&address, host, 0)
        guard_ban(&self.state, &address, &self.state.rules[place], now_us)

    def banned(self, host: str, now_us: int) -> bool:
        """Whether `host` may begin no session."""
        cdef Address address
        address_parse(&address, host, 0)
        return bool(guard_banned(&self.state, &address, now_us))

    def park(self, host: str, port: int, data: bytes) -> bool | None:
        """Let a datagram wait: True if it does, or took the place of the client's earlier one; None if the very same
        waits; False if there is no room."""
        cdef Datagram datagram
        cdef Parked* parked
        if len(data) > WAITING_SIZE:
            return False
        memset(&datagram, 0, sizeof(Datagram))
        address_parse(&datagram.remote, host, port)
        datagram.length = <uint32_t>len(data)
        parked = waiting_find(&self.state.waiting, waiting_key(&self.state.waiting, &datagram.remote),
                              &datagram.remote)
        if parked == NULL:
            return bool(waiting_put(&self.state.waiting, <const uint8_t*>PyBytes_AS_STRING(data), &datagram))
        if waiting_same(parked, <const uint8_t*>PyBytes_AS_STRING(data), datagram.length):
            return None
        parked_fill(parked, <const uint8_t*>PyBytes_AS_STRING(data), &datagram)
        return True

    def unpark(self) -> tuple[tuple[str, int], bytes] | None:
        """Take out who has waited longest: (address, datagram)."""
        cdef Parked* parked = waiting_take(&self.state.waiting)
        if parked == NULL:
            return None
        return address_format(&parked.datagram.remote), (<const char*>parked.data)[:parked.datagram.length]

    def tell(self, now_us: int) -> bool:
        """Whether a banned client may be told now; it is paid for."""
        return bool(guard_tell(&self.state, now_us))


def measure(Guard guard not None, what: str, host: str, count: int) -> None:
    """Run one check `count` times without Python between, for benchmarks.guard; 1,000 us pass from one to the next.

    what: hello, banned, handshake, session or bad.
    """
    cdef Address address
    cdef SessionBuckets buckets
    cdef uint64_t now_us = 1000000, seen = 0, n = count, _i
    cdef uint32_t which = ("hello", "banned", "handshake", "session", "bad").index(what)
    memset(&buckets, 0, sizeof(buckets))
    address_parse(&address, host, 0)
    with nogil:
        for _i in range(n):
            now_us += 1000
            if which == 0:
                seen += guard_hello(&guard.state, now_us)
            elif which == 1:
                seen += guard_banned(&guard.state, &address, now_us)
            elif which == 2:
                seen += guard_sources(&guard.state, DOOR_HANDSHAKE, &address, 1, now_us) == NULL
            elif which == 3:
                seen += guard_session(&guard.state, &buckets, 100, now_us) == NULL
            else:
                seen += guard_bad(&guard.state, &buckets, &address, 1, now_us) == NULL
    guard.state.reserved = seen                     # so that the compiler leaves the loop in

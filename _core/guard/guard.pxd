"""Guard: who may make this endpoint work, and how much (docs/guard.md).

Owner    A Guard owns its tables; an endpoint points to one and keeps it alive.
Limit    GUARD_RULES rules, `sources` proven addresses and as many subnets, `bans` bans, GUARD_NETWORKS networks to
         allow and as many to ban, `waiting` datagrams. All of it is set aside at the start.
Threads  One at a time.

Rules stand in the order of the doors, so that each door looks at its own alone:

    HELLO ─▶ DOOR_HELLO ─▶ COOKIE                    proves nothing: moves a budget of its own and nothing else
    CONNECT ─▶ valid cookie ─▶ DOOR_OUTSIDE ─▶ repeated? ─▶ banned? ─▶ DOOR_HANDSHAKE ─▶ waiting ─▶ DOOR_EXCHANGE
    packet ─▶ opens ─▶ DOOR_SESSION ─▶ body ─▶ malformed: DOOR_BAD

Only what carried a valid cookie or opened ever reaches a bucket of a session, an address or a subnet: whoever forges a
source moves nobody's bucket but the one that all forgers share.
"""
from cython cimport final
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from shadowland._core.base.records cimport Address
from shadowland._core.guard.bans cimport Bans, ban_active, ban_put
from shadowland._core.guard.bucket cimport NS_PER_US, bucket_has, bucket_pay, bucket_take
from shadowland._core.guard.network cimport (
    SCOPE_ADDRESS,
    SCOPE_ALL,
    SCOPE_SESSION,
    SCOPE_SUBNET,
    Network,
    networks_hold,
    prefix_of_source,
)
from shadowland._core.guard.sources cimport Sources, source_of
from shadowland._core.guard.waiting cimport Waiting

cdef enum:
    DOOR_HELLO = 0
    DOOR_OUTSIDE = 1
    DOOR_HANDSHAKE = 2
    DOOR_EXCHANGE = 3               # the budget of key exchanges that all share
    DOOR_SESSION = 4
    DOOR_BAD = 5
    DOORS = 6

    WHAT_HELLOS = 0
    WHAT_HANDSHAKES = 1
    WHAT_PACKETS = 2
    WHAT_BYTES = 3
    WHAT_BAD = 4

    ACTION_DROP = 0
    ACTION_CLOSE = 1
    ACTION_BAN = 2

    GUARD_RULES = 32
    GUARD_NETWORKS = 256
    SESSION_BUCKETS = 8             # rules of scope session
    SHARED_BUCKETS = 8              # rules of scope all

    TELL_NS = 100000000             # a banned client is told so at most 10 times a second, all of them together
    TELL_DEPTH_NS = 1000000000

cdef struct Rule:
    uint8_t scope
    uint8_t what
    uint8_t action
    uint8_t slot                    # of its bucket, within its scope
    uint32_t reserved
    uint64_t unit_ns                # what one packet, byte, handshake costs
    uint64_t depth_ns
    uint64_t ban_us
    uint64_t hits                   # how often it said no

cdef struct GuardState:
    Rule rules[GUARD_RULES]
    uint32_t first[7]               # of each door's rules; DOORS + 1, the last is how many there are
    uint32_t generation             # of the rules: buckets of another one are void
    uint32_t allow_count
    uint32_t deny_count
    uint64_t shared[SHARED_BUCKETS]
    uint64_t tell
    uint64_t banned                 # bans that rules gave
    uint64_t reserved
    Network allow[GUARD_NETWORKS]
    Network deny[GUARD_NETWORKS]
    Sources addresses               # two tables, so that looking for one never displaces the other
    Sources subnets
    Bans bans
    Waiting waiting

cdef struct SessionBuckets:         # what a session carries
    uint64_t buckets[SESSION_BUCKETS]
    uint32_t generation

cdef inline bint guard_allowed(const GuardState* guard, const Address* address) noexcept nogil:
    """On the allow list: no rule by address or subnet and no ban holds."""
    return networks_hold(guard.allow, guard.allow_count, address)

cdef inline bint guard_banned(const GuardState* guard, const Address* address, uint64_t now_us) noexcept nogil:
    """Whether no session may begin from `address`."""
    if guard.bans.count == 0 and guard.deny_count == 0:
        return False
    if not (ban_active(&guard.bans, prefix_of_source(address.ip, SCOPE_ADDRESS), now_us)
            or ban_active(&guard.bans, prefix_of_source(address.ip, SCOPE_SUBNET), now_us)
            or networks_hold(guard.deny, guard.deny_count, address)):
        return False
    return not guard_allowed(guard, address)

cdef inline bint guard_tell(GuardState* guard, uint64_t now_us) noexcept nogil:
    """Whether a key exchange may be spent on telling a banned client."""
    return bucket_take(&guard.tell, TELL_NS, TELL_DEPTH_NS, now_us * NS_PER_US)

cdef inline void guard_ban(GuardState* guard, const Address* address, const Rule* rule, uint64_t now_us) noexcept nogil:
    """Ban as `rule` says, unless the address is on the allow list. The caller has it proven."""
    if guard_allowed(guard, address):
        return
    ban_put(&guard.bans,
            prefix_of_source(address.ip, <uint32_t>SCOPE_SUBNET if rule.scope == SCOPE_SUBNET else SCOPE_ADDRESS),
            now_us + rule.ban_us, now_us, rule.what)
    guard.banned += 1

cdef inline Rule* guard_shared(GuardState* guard, uint32_t door, uint64_t now_us) noexcept nogil:
    """Take one from every budget of a door that all share, or from none; the rule whose budget is spent, else NULL."""
    cdef uint32_t first = guard.first[door], last = guard.first[door + 1], i
    cdef uint64_t now_ns = now_us * NS_PER_US
    for i in range(first, last):
        if not bucket_has(guard.shared[guard.rules[i].slot], guard.rules[i].unit_ns, guard.rules[i].depth_ns, now_ns):
            return &guard.rules[i]
    for i in range(first, last):
        bucket_pay(&guard.shared[guard.rules[i].slot], guard.rules[i].unit_ns, now_ns)
    return NULL

cdef inline bint guard_hello(GuardState* guard, uint64_t now_us) noexcept nogil:
    """Whether a HELLO is answered. The budget is everybody's: by its source it could be turned against that source."""
    cdef Rule* rule = guard_shared(guard, DOOR_HELLO, now_us)
    if rule != NULL:
        rule.hits += 1
    return rule == NULL

cdef inline uint64_t* guard_bucket(GuardState* guard, const Rule* rule, const Address* address,
                                   uint64_t now_ns) noexcept nogil:
    """The bucket of a rule by address or subnet; valid until the next call for another source."""
    cdef Sources* sources = &guard.subnets if rule.scope == SCOPE_SUBNET else &guard.addresses
    return &source_of(sources, prefix_of_source(address.ip, rule.scope), now_ns).buckets[rule.slot]

cdef inline Rule* guard_sources(GuardState* guard, uint32_t door, const Address* address, uint32_t length,
                                uint64_t now_us) noexcept nogil:
    """Take from every bucket of a door what a proven datagram costs, or from none; the rule that said no, else NULL."""
    cdef uint64_t now_ns = now_us * NS_PER_US
    cdef uint64_t* buckets[GUARD_RULES]
    cdef uint64_t costs[GUARD_RULES]
    cdef uint32_t first = guard.first[door], last = guard.first[door + 1], i
    cdef Rule* rule
    if first == last or guard_allowed(guard, address):
        return NULL
    for i in range(first, last):
        rule = &guard.rules[i]
        costs[i] = rule.unit_ns * (length if rule.what == WHAT_BYTES else 1)
        buckets[i] = guard_bucket(guard, rule, address, now_ns)
        if not bucket_has(buckets[i][0], costs[i], rule.depth_ns, now_ns):
            rule.hits += 1
            return rule
    for i in range(first, last):
        bucket_pay(buckets[i], costs[i], now_ns)
    return NULL

cdef inline void guard_renew(const GuardState* guard, SessionBuckets* session) noexcept nogil:
    """Buckets that belong to rules of before a reload start full."""
    if session.generation != guard.generation:
        memset(session, 0, sizeof(SessionBuckets))
        session.generation = guard.generation

cdef inline Rule* guard_session(GuardState* guard, SessionBuckets* session, uint32_t length,
                                uint64_t now_us) noexcept nogil:
    """A packet of a session opened: the strictest rule that it breaks, NULL if it may pass.

    Every rule sees every packet, also one that another rule has refused: what is far beyond a limit that drops must be
    able to reach a limit that closes.
    """
    cdef uint32_t first = guard.first[DOOR_SESSION], last = guard.first[DOOR_SESSION + 1], i
    cdef uint64_t now_ns = now_us * NS_PER_US
    cdef Rule* worst = NULL
    cdef Rule* rule
    if first == last:
        return NULL
    guard_renew(guard, session)
    for i in range(first, last):
        rule = &guard.rules[i]
        if bucket_take(&session.buckets[rule.slot], rule.unit_ns * (length if rule.what == WHAT_BYTES else 1),
                       rule.depth_ns, now_ns):
            continue
        rule.hits += 1
        if worst == NULL or rule.action > worst.action:
            worst = rule
    return worst

cdef inline Rule* guard_bad(GuardState* guard, SessionBuckets* session, const Address* address, uint32_t score,
                            uint64_t now_us) noexcept nogil:
    """An opened packet was malformed by `score`: the strictest rule that is broken by it, NULL if none is."""
    cdef uint64_t now_ns = now_us * NS_PER_US
    cdef uint64_t* bucket
    cdef Rule* worst = NULL
    cdef Rule* rule
    cdef uint32_t i
    guard_renew(guard, session)
    for i in range(guard.first[DOOR_BAD], guard.first[DOOR_BAD + 1]):
        rule = &guard.rules[i]
        if rule.scope == SCOPE_SESSION:
            bucket = &session.buckets[rule.slot]
        elif guard_allowed(guard, address):
            continue
        else:
            bucket = guard_bucket(guard, rule, address, now_ns)
        if bucket_take(bucket, rule.unit_ns * score, rule.depth_ns, now_ns):
            continue
        rule.hits += 1
        if worst == NULL or rule.action > worst.action:
            worst = rule
    return worst


@final
cdef class Guard:
    cdef GuardState state

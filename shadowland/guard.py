"""Guard: rules about who may make a server work, and how much; bans with expiry; read from TOML, changed while it runs.

docs/guard.md says what each rule counts, where it stands in the path of a datagram, and why forged traffic moves none
of those that can harm somebody.
"""
from __future__ import annotations

import ipaddress
import math
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shadowland._core.guard.guard import (
    ACTIONS,
    FOREVER,
    NETWORKS_LIMIT,
    OPERATOR,
    RULES_LIMIT,
    RULES_OF_SCOPE,
    SCOPES,
    WAITING_LIMIT,
    WHATS,
)
from shadowland._core.guard.guard import Guard as CoreGuard
from shadowland._core.udp.socket import monotonic_us
from shadowland.errors import ConfigError, UsageError

__all__ = ["DEFAULT_RULES", "Ban", "Guard", "Policy", "Rule", "RuleCount", "load_policy", "read_policy"]

MOST_BAN_S: Final = 31_536_000.0                # a year; `ban` in a policy has no end
LONGEST_S: Final = 3600.0                       # burst / per_second
LARGEST_DATAGRAM: Final = 1500

# What each combination may do. A hello proves nothing, so only the budget that all share may count it; what is
# malformed has arrived already, so there is nothing to drop.
MAY: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("hellos", "all"): ("drop",),
    ("handshakes", "all"): ("drop",),
    ("handshakes", "address"): ("drop", "ban"),
    ("handshakes", "subnet"): ("drop", "ban"),
    **{(what, "session"): ("drop", "close", "ban") for what in ("packets", "bytes")},
    **{(what, scope): ("drop", "ban") for what in ("packets", "bytes") for scope in ("address", "subnet")},
    **{("bad", scope): ("close", "ban") for scope in ("session", "address", "subnet")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """At most `burst` at once and `per_second` over time of `what`, for each `scope`; beyond it, `action`.

    name         counters go by it, also over a reload.
    scope        session, address (IPv6: /64), subnet (IPv4 /24, IPv6 /48) or all.
    what         hellos, handshakes (key exchanges), packets, bytes (UDP payload) or bad (malformed messages).
    action       drop, close (the session) or ban (the address or subnet, for `ban_s` seconds, and close).
    """

    name: str
    scope: str
    what: str
    per_second: float
    burst: float
    action: str = "drop"
    ban_s: float = 0.0

    def __post_init__(self) -> None:
        """ConfigError that names the rule, the key, its value and what it may be."""
        where = f"Rule: rule {self.name!r}"
        if not self.name or len(self.name) > 64:
            raise ConfigError(f"{where}: name must have 1 to 64 characters")
        for key, value, names in (("scope", self.scope, SCOPES), ("what", self.what, WHATS),
                                  ("action", self.action, ACTIONS)):
            if value not in names:
                raise ConfigError(f"{where}: {key} is {value!r}; give {', '.join(names)}")
        scopes = [scope for what, scope in MAY if what == self.what]
        if self.scope not in scopes:
            why = " (its source can be forged, so that a rule by source would lock others out)"
            raise ConfigError(f"{where}: {self.what} cannot be counted by {self.scope}"
                              f"{why if self.what == 'hellos' else ''}; scope may be {', '.join(scopes)}")
        actions = MAY[self.what, self.scope]
        if self.action not in actions:
            raise ConfigError(f"{where}: action is {self.action!r}; for {self.what} by {self.scope} it may be "
                              f"{', '.join(actions)}")
        least = LARGEST_DATAGRAM if self.what == "bytes" else 1
        for key, number, low, high in (("per_second", self.per_second, 0.01, 1e7), ("burst", self.burst, least, 1e9)):
            if isinstance(number, bool) or not isinstance(number, int | float) or not low <= number <= high:
                raise ConfigError(f"{where}: {key} is {number!r}; give a number, {low:,} to {high:,.0f}")
        if self.burst / self.per_second > LONGEST_S:
            raise ConfigError(f"{where}: burst is {self.burst}, more than {LONGEST_S:,.0f} seconds of per_second "
                              f"({self.per_second}); lower burst")
        if self.action != "ban" and self.ban_s:
            raise ConfigError(f"{where}: ban_s is {self.ban_s}, but action is {self.action!r}; leave ban_s out")
        seconds = self.ban_s
        if self.action == "ban" and (isinstance(seconds, bool) or not isinstance(seconds, int | float)
                                     or not 1 <= seconds <= MOST_BAN_S):
            raise ConfigError(f"{where}: ban_s is {seconds!r}; give a number of seconds, 1 to {MOST_BAN_S:,.0f}")

    def packed(self, hits: int) -> tuple[int, ...]:
        """As the compiled guard takes it; times in nanoseconds."""
        unit = max(1, math.ceil(1e9 / self.per_second))
        return (SCOPES.index(self.scope), WHATS.index(self.what), ACTIONS.index(self.action), unit,
                max(unit, math.ceil(unit * self.burst)), round(self.ban_s * 1e6), hits)


DEFAULT_RULES: Final = (
    Rule(name="hellos", scope="all", what="hellos", per_second=20_000, burst=4_000),
    Rule(name="handshakes", scope="all", what="handshakes", per_second=2_400, burst=64),
    Rule(name="handshakes-address", scope="address", what="handshakes", per_second=64, burst=256),
    Rule(name="handshakes-subnet", scope="subnet", what="handshakes", per_second=512, burst=2_048),
    Rule(name="outside-address", scope="address", what="packets", per_second=500, burst=2_000),
    Rule(name="packets", scope="session", what="packets", per_second=1_000, burst=2_000),
    Rule(name="bytes", scope="session", what="bytes", per_second=2_000_000, burst=4_000_000),
    Rule(name="packets-flood", scope="session", what="packets", per_second=5_000, burst=10_000, action="close"),
    Rule(name="malformed", scope="session", what="bad", per_second=5, burst=50, action="close"),
    Rule(name="malformed-address", scope="address", what="bad", per_second=5, burst=200, action="ban", ban_s=60),
)


def _network(text: object, where: str) -> tuple[bytes, int]:
    try:
        network = ipaddress.ip_network(text if isinstance(text, str) else "", strict=False)
    except ValueError:
        raise ConfigError(f"{where}: {text!r} is no network; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/48") from None
    assert isinstance(text, str)
    if "/" in text and ipaddress.ip_interface(text).ip != network.network_address:
        raise ConfigError(f"{where}: {text!r} has bits beyond its length; write {network}")
    if network.version == 4:
        return bytes(10) + b"\xff\xff" + network.network_address.packed, 96 + network.prefixlen
    if network.network_address.ipv4_mapped is not None:
        raise ConfigError(f"{where}: {text!r} is IPv4 inside IPv6; write it as IPv4")
    return network.network_address.packed, network.prefixlen


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All that a [guard] table says.

    rules      in force; `DEFAULT_RULES` unless said otherwise.
    allow      networks that no rule by address or subnet and no ban touches; rules by session and for all still hold.
    ban        networks that may begin no session, for as long as this policy is in force.
    sources    proven addresses, and as many subnets, that are remembered at once. Fixed when the server opens.
    bans       bans at once besides those above. Fixed when the server opens.
    waiting    clients with a valid cookie that may wait for a key exchange. Fixed when the server opens.
    """

    rules: tuple[Rule, ...] = DEFAULT_RULES
    allow: tuple[str, ...] = ()
    ban: tuple[str, ...] = ()
    sources: int = 4096
    bans: int = 4096
    waiting: int = 4096

    def __post_init__(self) -> None:
        """ConfigError that names the key, what is wrong with it, and the fix."""
        where = "Policy"
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"{where}: two rules are called {name!r}; counters go by name, so give another")
        if len(names) > RULES_LIMIT:
            raise ConfigError(f"{where}: {len(names)} rules; at most {RULES_LIMIT} fit")
        for scope, most in zip(SCOPES, RULES_OF_SCOPE, strict=True):
            count = sum(rule.scope == scope for rule in self.rules)
            if count > most:
                raise ConfigError(f"{where}: {count} rules of scope {scope}; at most {most} fit")
        for key, networks in (("allow", self.allow), ("ban", self.ban)):
            if len(networks) > NETWORKS_LIMIT:
                raise ConfigError(f"{where}: {key} has {len(networks)} networks; at most {NETWORKS_LIMIT} fit")
            for text in networks:
                _network(text, f"{where}: {key}")
        for key, value, most in (("sources", self.sources, 1 << 20), ("bans", self.bans, 1 << 20),
                                 ("waiting", self.waiting, WAITING_LIMIT)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ConfigError(f"{where}: {key} is {value!r}; give a whole number, 1 to {most:,}")


OFF: Final = Policy(rules=())
_RULE_KEYS: Final = ("name", "scope", "what", "per_second", "burst", "action", "ban_s")
_KEYS: Final = ("defaults", "rule", "allow", "ban", "sources", "bans", "waiting")


def _rule(table: object, where: str, known: Mapping[str, Rule]) -> Rule:
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        raise ConfigError(f"{where}: every [[guard.rule]] needs a name in quotes")
    here = f"{where}: rule {table['name']!r}"
    for key in table:
        if key not in _RULE_KEYS:
            raise ConfigError(f"{here}: there is no key {key!r}; the keys are {', '.join(_RULE_KEYS)}")
    base = known.get(table["name"])
    values = {key: getattr(base, key) for key in _RULE_KEYS} if base is not None else {}
    values |= table
    if table.get("action", "ban") != "ban" and "ban_s" not in table:
        values.pop("ban_s", None)                   # a built-in ban that becomes something milder
    for key in ("scope", "what", "per_second", "burst"):
        if key not in values:
            raise ConfigError(f"{here}: {key} is missing; a rule that is not built in needs it")
    try:
        return Rule(**values)
    except ConfigError as error:
        raise ConfigError(str(error).replace("Rule", where, 1)) from None


def read_policy(table: Mapping[str, Any], where: str) -> Policy:
    """The policy that a [guard] table describes; ConfigError names `where` it stands.

    A [[guard.rule]] with the name of a built-in rule changes the keys it names; `defaults = false` leaves all built-in
    rules out.
    """
    for key in table:
        if key not in _KEYS:
            raise ConfigError(f"{where}: there is no key {key!r}; the keys are {', '.join(_KEYS)}")
    defaults = table.get("defaults", True)
    if not isinstance(defaults, bool):
        raise ConfigError(f"{where}: defaults is {defaults!r}; give true or false")
    known = {rule.name: rule for rule in DEFAULT_RULES} if defaults else {}
    lists = {key: table.get(key, []) for key in ("rule", "allow", "ban")}
    for key, value in lists.items():
        if not isinstance(value, list):
            wanted = "write it as [[guard.rule]]" if key == "rule" else 'give a list, as in ["192.0.2.0/24"]'
            raise ConfigError(f"{where}: {key} is {value!r}; {wanted}")
    given: list[Rule] = [_rule(one, where, known) for one in lists["rule"]]
    rules = {**known, **{rule.name: rule for rule in given}}
    if len({rule.name for rule in given}) < len(given):
        twice = next(rule.name for rule in given if sum(one.name == rule.name for one in given) > 1)
        raise ConfigError(f"{where}: two rules are called {twice!r}; counters go by name, so give another")
    sizes = {key: table[key] for key in ("sources", "bans", "waiting") if key in table}
    try:
        return Policy(rules=tuple(rules.values()), allow=tuple(lists["allow"]), ban=tuple(lists["ban"]), **sizes)
    except ConfigError as error:
        raise ConfigError(str(error).replace("Policy", where, 1)) from None


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in the [guard] table of a TOML file; ConfigError if it cannot be read or has none."""
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"guard file {path}: {error.strerror}; name a file that can be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"guard file {path}: {error}; correct the TOML there") from None
    table = document.get("guard")
    if not isinstance(table, dict):
        raise ConfigError(f"guard file {path}: it has no [guard] table; rules stand below [[guard.rule]]")
    return read_policy(table, f"{path}: [guard]")


@dataclass(frozen=True, slots=True)
class Ban:
    """A ban that holds: the network, the seconds that are left (inf: until it is lifted), and what it was for."""

    network: str
    left_s: float
    cause: str


@dataclass(frozen=True, slots=True)
class RuleCount:
    """A rule in force, and how often it said no since the server opened."""

    rule: Rule
    hits: int


@dataclass(slots=True)
class Guard:
    """The guard of one server: give it to `Server(guard=...)`, or change the one that every server has.

    >>> guard = Guard()
    >>> guard.ban("192.0.2.7", seconds=60)
    >>> [ban.network for ban in guard.bans()]
    ['192.0.2.7/32']
    """

    policy: Policy = field(default_factory=Policy)
    clock: Callable[[], int] = monotonic_us             # the server's, in microseconds
    key: bytes = field(default_factory=lambda: os.urandom(16), repr=False)      # of the hashes that place sources
    _core: CoreGuard | None = None
    _order: list[str] = field(default_factory=list)     # names of the rules, in the order of their counters
    _hits: dict[str, int] = field(default_factory=dict)     # of rules that are no longer in force

    @property
    def core(self) -> CoreGuard:
        """The compiled guard; made at the first look, with the sizes that the policy then says."""
        if self._core is None:
            self._core = CoreGuard(self.key, self.policy.sources, self.policy.bans, self.policy.waiting)
            self._configure(self._core, self.policy)
        return self._core

    def _configure(self, core: CoreGuard, policy: Policy) -> None:
        self._hits |= dict(zip(self._order, core.hits, strict=True))
        rules = [rule.packed(self._hits.get(rule.name, 0)) for rule in policy.rules]
        order = core.configure(rules, [_network(text, "allow") for text in policy.allow],
                               [_network(text, "ban") for text in policy.ban])
        self._order = [policy.rules[i].name for i in order]

    def apply(self, policy: Policy) -> None:
        """Put another policy in force, also while the server runs. Counters go on by name, bans stay, what sources and
        sessions have used of their allowances is forgiven."""
        if self._core is not None:
            self._configure(self._core, policy)
        self.policy = policy

    def rules(self) -> list[RuleCount]:
        """Every rule in force with its counter."""
        core = self.core                            # made now, if it was not: the order of the counters with it
        hits = dict(zip(self._order, core.hits, strict=True))
        return [RuleCount(rule, hits[rule.name]) for rule in self.policy.rules]

    @property
    def counters(self) -> dict[str, int]:
        """bans now, bans_given by rules, bans_evicted and sources_evicted for want of room before their time."""
        return self.core.counters

    def ban(self, address: str, seconds: float = math.inf) -> None:
        """Let no session begin from `address` for so long: an address (IPv6: its /64), an IPv4 /24 or an IPv6 /48.

        Sessions that are live go on; `Session.ban` ends one too. UsageError for another network or no time at all.
        """
        host, subnet = _bannable(address)
        if not seconds > 0:
            raise UsageError(f"a ban of {seconds} seconds; give more than 0, or leave it out for one without end")
        now = self.clock()
        until = FOREVER if seconds > 1e9 else now + round(seconds * 1e6)
        self.core.ban(host, subnet, until, now)

    def unban(self, address: str) -> bool:
        """Lift a ban that `ban` or a rule gave; False if there was none. What a policy bans, a policy lifts."""
        return self.core.unban(*_bannable(address))

    def bans(self) -> list[Ban]:
        """The bans that hold, those of the policy first."""
        now = self.clock()
        found = [Ban(str(ipaddress.ip_network(text)), math.inf, "policy") for text in self.policy.ban]
        for ip, bits, until, cause in self.core.bans(now):
            network = ipaddress.ip_network((ip[12:], bits - 96) if bits >= 96 else (ip, bits))
            left = math.inf if until == FOREVER else (until - now) / 1e6
            found.append(Ban(str(network), left, "operator" if cause == OPERATOR else WHATS[cause]))
        return found

    def banned(self, address: str) -> bool:
        """Whether a session may not begin from this address."""
        return self.core.banned(address, self.clock())


def _bannable(text: str) -> tuple[str, bool]:
    """(address, whether its subnet is meant)."""
    try:
        network = ipaddress.ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        raise UsageError(f"{text!r} is no address; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/48") from None
    single, wide = ((32,), 24) if network.version == 4 else ((128, 64), 48)
    if network.prefixlen not in (*single, wide):
        raise UsageError(f"{text!r}: bans are for one address, an IPv4 /24 or an IPv6 /48; "
                         "write other networks into `ban` of the [guard] table")
    return str(network.network_address), network.prefixlen == wide


def summary(rules: Sequence[RuleCount]) -> dict[str, int]:
    """Counters by name of the rule, without the zeros."""
    return {one.rule.name: one.hits for one in rules if one.hits}

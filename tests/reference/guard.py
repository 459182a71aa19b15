"""The guard as docs/guard.md says it: credits in nanoseconds, dictionaries without bounds, prefixes by `ipaddress`."""
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

SESSION, ADDRESS, SUBNET, ALL = range(4)
HELLOS, HANDSHAKES, PACKETS, BYTES, BAD = range(5)
DROP, CLOSE, BAN = range(3)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Bucket:
    """Credit that grows by a nanosecond per nanosecond up to `depth`."""

    def __init__(self, depth: int) -> None:
        self.depth = self.credit = depth
        self.seen = 0

    def has(self, cost: int, now: int) -> bool:
        if now > self.seen:
            self.credit = min(self.depth, self.credit + now - self.seen)
            self.seen = now
        return cost <= self.credit

    def take(self, cost: int, now: int) -> bool:
        fits = self.has(cost, now)
        if fits:
            self.credit -= cost
        return fits


def prefix(host: str, scope: int) -> Network:
    """What one address counts as: IPv4 /32 or /24, IPv6 /64 or /48."""
    wide = {(4, ADDRESS): 32, (4, SUBNET): 24, (6, ADDRESS): 64, (6, SUBNET): 48}
    return ipaddress.ip_network((host, wide[ipaddress.ip_address(host).version, scope]), strict=False)


@dataclass
class Rule:
    scope: int
    what: int
    action: int
    unit: int
    depth: int
    ban_us: int = 0
    hits: int = 0
    buckets: dict[object, Bucket] = field(default_factory=dict)

    def bucket(self, key: object) -> Bucket:
        return self.buckets.setdefault(key, Bucket(self.depth))

    def packed(self) -> tuple[int, ...]:
        return self.scope, self.what, self.action, self.unit, self.depth, self.ban_us, self.hits


class Guard:
    def __init__(self, rules: list[Rule], allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        self.rules = rules
        self.allow = [ipaddress.ip_network(text) for text in allow]
        self.deny = [ipaddress.ip_network(text) for text in deny]
        self.bans: dict[Network, int] = {}

    def on(self, networks: list[Network], host: str) -> bool:
        return any(ipaddress.ip_address(host) in network for network in networks)

    def allowed(self, host: str) -> bool:
        return self.on(self.allow, host)

    def _shared(self, what: int, now_us: int) -> Rule | None:
        rules = [rule for rule in self.rules if rule.what == what and rule.scope == ALL]
        for rule in rules:
            if not rule.bucket(None).has(rule.unit, now_us * 1000):
                return rule
        for rule in rules:
            rule.bucket(None).take(rule.unit, now_us * 1000)
        return None

    def hello(self, now_us: int) -> bool:
        rule = self._shared(HELLOS, now_us)
        if rule is not None:
            rule.hits += 1
        return rule is None

    def exchange(self, now_us: int) -> Rule | None:
        return self._shared(HANDSHAKES, now_us)

    def _sources(self, whats: tuple[int, ...], host: str, length: int, now_us: int) -> Rule | None:
        mine: list[tuple[Bucket, int]] = []
        for rule in self.rules:
            if rule.what not in whats or rule.scope in (SESSION, ALL) or self.allowed(host):
                continue
            bucket = rule.bucket(prefix(host, rule.scope))
            cost = rule.unit * (length if rule.what == BYTES else 1)
            if not bucket.has(cost, now_us * 1000):
                rule.hits += 1
                return rule
            mine.append((bucket, cost))
        for bucket, cost in mine:
            bucket.take(cost, now_us * 1000)
        return None

    def outside(self, host: str, length: int, now_us: int) -> Rule | None:
        return self._sources((PACKETS, BYTES), host, length, now_us)

    def handshake(self, host: str, now_us: int) -> Rule | None:
        return self._sources((HANDSHAKES,), host, 1, now_us)

    def _worst(self, broken: list[Rule]) -> Rule | None:
        for rule in broken:
            rule.hits += 1
        return max(broken, key=lambda rule: rule.action) if broken else None    # the first of equals

    def session(self, session: object, length: int, now_us: int) -> Rule | None:
        return self._worst([
            rule for rule in self.rules if rule.scope == SESSION and rule.what in (PACKETS, BYTES)
            and not rule.bucket(session).take(rule.unit * (length if rule.what == BYTES else 1), now_us * 1000)])

    def bad(self, session: object, host: str, score: int, now_us: int) -> Rule | None:
        return self._worst([
            rule for rule in self.rules if rule.what == BAD and (rule.scope == SESSION or not self.allowed(host))
            and not rule.bucket(session if rule.scope == SESSION else prefix(host, rule.scope)).take(
                rule.unit * score, now_us * 1000)])

    def ban(self, host: str, subnet: bool, until_us: int) -> None:
        key = prefix(host, SUBNET if subnet else ADDRESS)
        self.bans[key] = max(until_us, self.bans.get(key, 0))

    def unban(self, host: str, subnet: bool) -> bool:
        return self.bans.pop(prefix(host, SUBNET if subnet else ADDRESS), None) is not None

    def banned(self, host: str, now_us: int) -> bool:
        named = any(until > now_us and ipaddress.ip_address(host) in network for network, until in self.bans.items())
        return (named or self.on(self.deny, host)) and not self.allowed(host)

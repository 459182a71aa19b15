"""Invariants: the guard says what the slow model says, as long as its tables have room; full tables only forgive."""
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.base.errors import UsageError
from shadowland._core.guard import guard
from tests.reference import guard as reference

KEY = bytes(range(16))
HOSTS = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.7", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1",
         "2001:db9::1", "::1"]
hosts = st.sampled_from(HOSTS)
networks = st.lists(st.sampled_from(["10.0.0.0/24", "10.0.0.2/32", "192.0.0.0/9", "2001:db8::/32", "::/0", "0.0.0.0/0",
                                     "2001:db8::/61"]), max_size=2)


@st.composite
def rules(draw: st.DrawFn) -> reference.Rule:
    what = draw(st.integers(0, 4))
    if what == reference.HELLOS:
        scope = reference.ALL
    elif what == reference.HANDSHAKES:
        scope = draw(st.sampled_from([reference.ADDRESS, reference.SUBNET, reference.ALL]))
    else:
        scope = draw(st.sampled_from([reference.SESSION, reference.ADDRESS, reference.SUBNET]))
    if scope == reference.ALL:
        action = reference.DROP
    else:
        action = draw(st.sampled_from([reference.DROP, reference.BAN] + [reference.CLOSE] * (what > 1)))
    unit = draw(st.sampled_from([1, 7, 1000, 1_000_000, 333_333_333]))
    return reference.Rule(scope, what, action, unit, unit * draw(st.sampled_from([1, 3, 50, 2000])), 5_000_000)


def packed(network: str) -> tuple[bytes, int]:
    found = ipaddress.ip_network(network)
    if found.version == 4:
        return bytes(10) + b"\xff\xff" + found.network_address.packed, found.prefixlen + 96
    return found.network_address.packed, found.prefixlen


def fits(chosen: list[reference.Rule]) -> bool:
    return all(sum(rule.scope == scope for rule in chosen) <= guard.RULES_OF_SCOPE[scope] for scope in range(4))


steps = st.lists(st.tuples(
    st.sampled_from(["hello", "outside", "handshake", "exchange", "session", "session", "bad", "ban", "unban",
                     "banned"]),
    hosts, st.sampled_from([0, 1, 64, 1200, 65535]), st.sampled_from([0, 0, 1, 999, 10**6, 10**9])), max_size=120)


@given(st.lists(rules(), max_size=12).filter(fits), networks, networks, steps,
       st.sampled_from([0, 1, 10**6, 2**53]))
def test_the_guard_says_what_the_model_says(
    chosen: list[reference.Rule], allow: list[str], deny: list[str], plan: list[tuple[str, str, int, int]], start: int,
) -> None:
    ours = guard.Guard(KEY)
    order = ours.configure([rule.packed() for rule in chosen], [packed(n) for n in allow], [packed(n) for n in deny])
    placed = [chosen[i] for i in order]
    model = reference.Guard(placed, allow, deny)
    buckets = {host: guard.Buckets() for host in HOSTS}

    def place(rule: reference.Rule | None) -> int | None:
        return None if rule is None else next(i for i, one in enumerate(placed) if one is rule)

    now = start
    for what, host, size, step in plan:
        now += step
        if what == "hello":
            assert ours.hello(now) == model.hello(now)
        elif what == "outside":
            assert ours.outside(host, size, now) == place(model.outside(host, size, now))
        elif what == "handshake":
            assert ours.handshake(host, now) == place(model.handshake(host, now))
        elif what == "exchange":
            assert ours.exchange(now) == place(model.exchange(now))
        elif what == "session":
            assert ours.session(buckets[host], size, now) == place(model.session(host, size, now))
        elif what == "bad":
            assert ours.bad(buckets[host], host, size, now) == place(model.bad(host, host, size, now))
        elif what == "ban":
            ours.ban(host, size > 64, now + size, now)
            model.ban(host, size > 64, now + size)
        elif what == "unban":
            assert ours.unban(host, size > 64) == model.unban(host, size > 64)
        assert ours.banned(host, now) == model.banned(host, now)
    assert ours.hits == [rule.hits for rule in placed]
    live = {(network.network_address, network.prefixlen, until) for network, until in model.bans.items() if until > now}
    assert {(ipaddress.ip_address(ip[12:]) if ip[:12] == bytes(10) + b"\xff\xff" else ipaddress.ip_address(ip),
             bits - 96 if ip[:12] == bytes(10) + b"\xff\xff" else bits, until)
            for ip, bits, until, _ in ours.bans(now)} == live


def one(scope: int, what: int, action: int = 0, unit: int = 1000, depth: int = 1000) -> tuple[int, ...]:
    return scope, what, action, unit, depth, 1_000_000, 0


def test_a_table_of_sources_that_is_full_forgives_and_never_refuses_the_innocent() -> None:
    """A thousand addresses for eight places: whoever comes once is let in, however full it is."""
    ours = guard.Guard(KEY, sources=8)
    ours.configure([one(reference.ADDRESS, reference.HANDSHAKES, unit=10**9, depth=10**9)], [], [])
    assert all(ours.handshake(f"10.0.{i >> 8}.{i & 255}", 0) is None for i in range(1000))
    assert ours.counters["sources_evicted"] == 1000 - 8


def test_who_owes_most_keeps_its_entry_longest() -> None:
    ours = guard.Guard(KEY, sources=8)
    ours.configure([one(reference.ADDRESS, reference.HANDSHAKES, unit=10**6, depth=20 * 10**6)], [], [])
    for _ in range(20):
        assert ours.handshake("192.0.2.7", 0) is None
    for i in range(1000):
        ours.handshake(f"10.0.{i >> 8}.{i & 255}", 0)
    assert ours.handshake("192.0.2.7", 0) == 0


def test_a_full_table_of_bans_lets_go_what_is_over_then_what_ends_soonest() -> None:
    ours = guard.Guard(KEY, bans=3)
    for i, until in enumerate((50, 30, 40), 1):
        ours.ban(f"10.0.0.{i}", False, until, 0)
    ours.ban("10.0.0.4", False, 35, 0)
    assert [ours.banned(f"10.0.0.{i}", 1) for i in range(1, 5)] == [True, False, True, True]
    ours.ban("10.0.0.5", False, 60, 36)                     # the fourth is over by now
    assert [ours.banned(f"10.0.0.{i}", 36) for i in range(1, 6)] == [True, False, True, False, True]
    assert ours.counters["bans_evicted"] == 1 and ours.counters["bans"] == 3


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(1, 99)), max_size=200))
def test_bans_are_a_dictionary(plan: list[tuple[bool, int, int]]) -> None:
    ours, model = guard.Guard(KEY, bans=64), dict[int, int]()
    for put, i, until in plan:
        if put:
            ours.ban(f"10.0.0.{i}", False, until, 0)
            model[i] = max(until, model.get(i, 0))
        else:
            assert ours.unban(f"10.0.0.{i}", False) == (model.pop(i, None) is not None)
    assert [ours.banned(f"10.0.0.{i}", 50) for i in range(61)] == [model.get(i, 0) > 50 for i in range(61)]
    assert len(ours.bans(50)) == sum(until > 50 for until in model.values())


def test_a_ban_survives_the_end_of_any_other() -> None:
    """At half load many share a home; each is lifted in turn and all the rest must still be found."""
    for gone in range(64):
        ours = guard.Guard(KEY, bans=64)
        for i in range(64):
            ours.ban(f"10.0.0.{i}", False, 99, 0)
        assert ours.unban(f"10.0.0.{gone}", False)
        assert [ours.banned(f"10.0.0.{i}", 1) for i in range(64)] == [i != gone for i in range(64)]


texts = st.sampled_from([b"", b"a", b"b", bytes(1500), b"x" * 1500, bytes(1501)])
callers = st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "::1"]), st.sampled_from([1, 2]))


@given(st.integers(1, 5), st.lists(st.one_of(st.none(), st.tuples(callers, texts)), max_size=60))
def test_who_waits_is_an_ordered_dictionary(capacity: int, plan: list[tuple[tuple[str, int], bytes] | None]) -> None:
    ours, model = guard.Guard(KEY, waiting=capacity), dict[tuple[str, int], bytes]()
    for step in plan:
        if step is None:
            first = next(iter(model), None)
            assert ours.unpark() == (None if first is None else (first, model.pop(first)))
            continue
        caller, data = step
        if len(data) > 1500 or (caller not in model and len(model) == capacity):
            assert ours.park(*caller, data) is False
        else:
            assert ours.park(*caller, data) is (None if model.get(caller) == data else True)
            model[caller] = data                            # a later one keeps the place of the earlier
        assert ours.waiting == len(model)


def test_a_reload_forgives_debts_and_keeps_bans_and_hits() -> None:
    ours, buckets = guard.Guard(KEY), guard.Buckets()
    rule = one(reference.SESSION, reference.PACKETS, unit=10**9, depth=10**9)
    ours.configure([rule], [], [])
    ours.ban("10.0.0.1", False, 99, 0)
    assert (ours.session(buckets, 1, 0), ours.session(buckets, 1, 0)) == (None, 0)
    ours.configure([(*rule[:6], ours.hits[0])], [], [])
    assert ours.session(buckets, 1, 0) is None and ours.hits == [1] and ours.banned("10.0.0.1", 0)


def test_a_ban_by_a_rule_spares_the_allow_list() -> None:
    ours = guard.Guard(KEY)
    ours.configure([one(reference.SUBNET, reference.BAD, reference.BAN)], [packed("10.0.0.0/30")], [])
    for host in ("10.0.0.1", "10.0.1.1"):
        ours.punish(0, host, 0)
    assert [ours.banned(host, 0) for host in ("10.0.0.1", "10.0.1.200", "10.0.2.1")] == [False, True, False]
    assert not ours.banned("10.0.1.1", 1_000_000) and ours.counters["bans_given"] == 1


def test_banned_clients_are_told_ten_times_a_second_at_most() -> None:
    ours = guard.Guard(KEY)
    assert sum(ours.tell(now) for now in range(0, 1_000_000, 1000)) == 10 + 9


@pytest.mark.parametrize("rule", [
    (4, 2, 0, 1, 1, 0, 0), (0, 5, 0, 1, 1, 0, 0), (0, 2, 3, 1, 1, 0, 0), (0, 2, 0, 0, 1, 0, 0), (0, 2, 0, 2, 1, 0, 0),
    (0, 2, 0, 1, 2**44 + 1, 0, 0), (0, 0, 0, 1, 1, 0, 0), (1, 0, 0, 1, 1, 0, 0), (3, 2, 0, 1, 1, 0, 0),
    (3, 1, 2, 1, 1, 0, 0), (1, 1, 1, 1, 1, 0, 0)])
def test_what_cannot_be_kept_is_refused(rule: tuple[int, ...]) -> None:
    """Rules that a forger could turn against somebody, and numbers that would overflow."""
    with pytest.raises(UsageError):
        guard.Guard(KEY).configure([rule], [], [])


def test_limits_of_the_tables() -> None:
    for scope, most in enumerate(guard.RULES_OF_SCOPE[:3]):
        rule = one(scope, reference.PACKETS)
        guard.Guard(KEY).configure([rule] * most, [], [])
        with pytest.raises(UsageError):
            guard.Guard(KEY).configure([rule] * (most + 1), [], [])
    guard.Guard(KEY).configure([], [packed("10.0.0.1/32")] * guard.NETWORKS_LIMIT, [])
    for arguments in ({"sources": 0}, {"bans": 0}, {"waiting": 0}, {"waiting": 16385}, {"sources": 2**20 + 1},
                      {"bans": 2**20 + 1}):
        with pytest.raises(UsageError):
            guard.Guard(KEY, **arguments)
    with pytest.raises(UsageError):
        guard.Guard(KEY).configure([], [packed("10.0.0.1/32")] * (guard.NETWORKS_LIMIT + 1), [])
    with pytest.raises(UsageError):
        guard.Guard(b"short")

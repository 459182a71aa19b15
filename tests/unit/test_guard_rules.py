"""Rules for people: read from TOML, refused in one line that names rule, key, value and what it may be."""
import math
import re
from pathlib import Path

import pytest

from shadowland.errors import ConfigError, UsageError
from shadowland.guard import DEFAULT_RULES, MAY, Guard, Policy, Rule, load_policy

DOCUMENT = Path(__file__).parents[2] / "docs/guard.md"
BASE = 'name = "x"\nscope = "session"\nwhat = "packets"\nper_second = 10\nburst = 20\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "guard.toml"
    path.write_text(text)
    return path


def test_the_document_has_exactly_the_built_in_rules() -> None:
    rows = re.findall(r"^\| ([\w-]+) \| (\w+) \| (\w+) \| ([\d,]+) \| ([\d,]+) \| (\w+)(?:, (\d+) s)? \|$",
                      DOCUMENT.read_text(), re.MULTILINE)
    assert rows == [(rule.name, rule.scope, rule.what, f"{rule.per_second:,}", f"{rule.burst:,}", rule.action,
                     f"{rule.ban_s:g}" if rule.ban_s else "") for rule in DEFAULT_RULES]


def test_a_file_changes_built_in_rules_and_adds_others(tmp_path: Path) -> None:
    policy = load_policy(written(tmp_path, f"""
        [guard]
        allow = ["10.0.0.0/8", "::1"]
        ban = ["192.0.2.7"]
        bans = 7
        [[guard.rule]]
        name = "packets"
        per_second = 500
        [[guard.rule]]
        {BASE}"""))
    rules = {rule.name: rule for rule in policy.rules}
    assert len(rules) == len(DEFAULT_RULES) + 1 and policy.bans == 7 and policy.sources == 4096
    assert (rules["packets"].per_second, rules["packets"].burst) == (500, 2000)
    assert rules["x"] == Rule(name="x", scope="session", what="packets", per_second=10, burst=20)
    assert policy.allow == ("10.0.0.0/8", "::1") and policy.ban == ("192.0.2.7",)


def test_defaults_can_be_left_out_and_a_ban_made_milder(tmp_path: Path) -> None:
    assert load_policy(written(tmp_path, "[guard]\ndefaults = false")).rules == ()
    policy = load_policy(written(tmp_path, '[guard]\n[[guard.rule]]\nname = "malformed-address"\naction = "close"'))
    changed = next(rule for rule in policy.rules if rule.name == "malformed-address")
    assert (changed.action, changed.ban_s, changed.burst) == ("close", 0.0, 200)


MISTAKES = {
    "": r"it has no \[guard\] table",
    "[guard": "correct the TOML there",
    "guard = 1": r"it has no \[guard\] table",
    "[guard]\nrules = 1": "no key 'rules'; the keys are defaults, rule",
    "[guard]\ndefaults = 1": "defaults is 1; give true or false",
    "[guard]\nrule = 1": r"write it as \[\[guard.rule\]\]",
    "[guard]\n[[guard.rule]]\nscope = 'all'": "needs a name in quotes",
    "[guard]\n[[guard.rule]]\nname = 'x'": "rule 'x': scope is missing",
    "[guard]\n[[guard.rule]]\n" + BASE + "hz = 1": "rule 'x': there is no key 'hz'",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("session", "planet"): "scope is 'planet'; give session, address, subnet",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("packets", "sheep"): "what is 'sheep'; give hellos, handshakes",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("packets", "hellos"): "hellos cannot be counted by session",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("session", "all"): "packets cannot be counted by all",
    "[guard]\n[[guard.rule]]\n" + BASE + "action = 'kill'": "action is 'kill'; give drop, close, ban",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("packets", "bad"): "for bad by session it may be close, ban",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("10", "0"): "per_second is 0; give a number, 0.01 to 10,000,000",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("10", "'x'"): "per_second is 'x'; give a number",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("10", "nan"): "per_second is nan; give a number",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("20", "0.5"): "burst is 0.5; give a number, 1 to 1,000,000,000",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("packets", "bytes"): "burst is 20; give a number, 1,500 to",
    "[guard]\n[[guard.rule]]\n" + BASE.replace("20", "36001"): "more than 3,600 seconds of per_second",
    "[guard]\n[[guard.rule]]\n" + BASE + "action = 'ban'": "ban_s is 0.0; give a number of seconds, 1 to 31,536,000",
    "[guard]\n[[guard.rule]]\n" + BASE + "action = 'ban'\nban_s = inf": "ban_s is inf; give a number of seconds",
    "[guard]\n[[guard.rule]]\n" + BASE + "ban_s = 5": "ban_s is 5, but action is 'drop'; leave ban_s out",
    "[guard]\n" + ("[[guard.rule]]\n" + BASE) * 2: "two rules are called 'x'",
    "[guard]\n" + "".join("[[guard.rule]]\n" + BASE.replace("x", f"x{i}") for i in range(6)):
        "10 rules of scope session; at most 8 fit",
    "[guard]\nallow = '10.0.0.0/8'": "allow is '10.0.0.0/8'; give a list",
    "[guard]\nallow = ['10.0.0.1/8']": r"'10.0.0.1/8' has bits beyond its length; write 10.0.0.0/8",
    "[guard]\nban = ['somewhere']": "ban: 'somewhere' is no network; write 192.0.2.7",
    "[guard]\nban = [5]": "ban: 5 is no network",
    "[guard]\nban = ['::ffff:10.0.0.1']": "is IPv4 inside IPv6",
    "[guard]\nsources = 0": "sources is 0; give a whole number, 1 to 1,048,576",
    "[guard]\nbans = true": "bans is True; give a whole number",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_mistakes_say_what_where_and_the_fix(text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as refusal:
        load_policy(path)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none.toml"):
        load_policy(tmp_path / "none.toml")


def test_networks_at_the_limit() -> None:
    Policy(ban=("10.0.0.0/8",) * 256)
    with pytest.raises(ConfigError, match="ban has 257 networks; at most 256 fit"):
        Policy(ban=("10.0.0.0/8",) * 257)


def test_every_combination_that_is_offered_is_taken_by_the_compiled_guard() -> None:
    for (what, scope), actions in MAY.items():
        for action in actions:
            rule = Rule(name="x", scope=scope, what=what, per_second=0.01 if what != "bytes" else 1, burst=36
                        if what != "bytes" else 1500, action=action, ban_s=31_536_000 if action == "ban" else 0)
            assert len(Guard(Policy(rules=(rule,))).rules()) == 1
    fastest = Rule(name="x", scope="session", what="bytes", per_second=1e7, burst=1e9)
    assert Guard(Policy(rules=(fastest,))).core.hits == [0]


def test_counters_go_on_by_name_and_bans_stay_when_another_policy_is_applied() -> None:
    rule = Rule(name="hellos", scope="all", what="hellos", per_second=1, burst=1)
    other = Rule(name="other", scope="session", what="packets", per_second=1, burst=1)
    guard = Guard(Policy(rules=(other, rule)))
    guard.core.hello(10**6)
    guard.core.hello(10**6)
    guard.ban("10.0.0.1", 60)
    guard.apply(Policy(rules=(rule, other)))
    assert [(one.rule.name, one.hits) for one in guard.rules()] == [("hellos", 1), ("other", 0)]
    guard.apply(Policy(rules=()))
    guard.apply(Policy(rules=(rule,)))
    assert guard.rules()[0].hits == 1 and guard.banned("10.0.0.1")


def test_bans_for_people() -> None:
    guard = Guard(Policy(ban=("198.51.100.0/22",)))
    guard.ban("192.0.2.7", 60)
    guard.ban("203.0.113.0/24")
    guard.ban("2001:db8::7", 1)
    guard.ban("2001:db8:1::/48", math.inf)
    found = {ban.network: ban for ban in guard.bans()}
    assert found.keys() == {"198.51.100.0/22", "192.0.2.7/32", "203.0.113.0/24", "2001:db8::/64", "2001:db8:1::/48"}
    assert 59 < found["192.0.2.7/32"].left_s <= 60 and found["203.0.113.0/24"].left_s == math.inf
    assert {ban.cause for ban in found.values()} == {"policy", "operator"}
    assert [guard.banned(host) for host in ("192.0.2.7", "192.0.2.8", "203.0.113.200", "2001:db8::ffff", "198.51.103.1")
            ] == [True, False, True, True, True]
    assert guard.unban("203.0.113.0/24") and not guard.unban("203.0.113.0/24") and not guard.banned("203.0.113.200")
    for wrong in ("10.0.0.0/8", "somewhere", "2001:db8::/32", "192.0.2.0/25"):
        with pytest.raises(UsageError, match=re.escape(repr(wrong))):
            guard.ban(wrong, 5)
    for seconds in (0, -1, math.nan):
        with pytest.raises(UsageError, match="give more than 0"):
            guard.ban("10.0.0.1", seconds)

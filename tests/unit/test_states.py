"""docs/states.md against the sources: every number of the timers' table stands in the code under its name."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "states.md").read_text()
SOURCES: dict[str, str] = {}
for path in (path for folder in ("endpoint", "session", "crypto") for path in (ROOT / "_core" / folder).iterdir()):
    if path.suffix in (".pxd", ".pyx"):
        SOURCES[path.stem] = SOURCES.get(path.stem, "") + path.read_text()

# Timer: (words that its row must hold, file, constant or parameter, its value in the code)
TIMERS = {
    "resend": ("250 ms, then twice that, at most 1,000 ms", "connect",
               {"RESEND_US": 250_000, "RESEND_LONGEST_US": 1_000_000}),
    "connect tries": ("2, at the smallest MTU 8", "connect", {"CONNECT_TRIES": 2, "CONNECT_TRIES_SMALL": 8}),
    "connect timeout": ("5,000 ms", "endpoint", {"connect_timeout_us": 5_000_000}),
    "half-open life": ("5,000 ms", "endpoint", {"half_open_us": 5_000_000}),
    "cookie life": ("10 s", "cookie", {"COOKIE_LIFE_S": 10}),
    "cookie secret": ("60 s", "cookie", {"COOKIE_ROTATE_S": 60}),
    "acknowledgment": ("five quarters of a tick, 25 to 255 ms", "ack",
                       {"ACK_DELAY_US": 25_000, "ACK_LONGEST": 255_000}),
    "loss": ("at least 1 ms", "recovery", {"GRANULARITY_US": 1000, "PACKET_THRESHOLD": 3}),
    "probe": ("666 ms before a sample; doubled each time, at most to 1,000 ms", "recovery",
              {"INITIAL_RTT_US": 333_000, "PTO_LONGEST_US": 1_000_000}),
    "ping": ("5,000 ms", "endpoint", {"ping_us": 5_000_000}),
    "idle timeout": ("15,000 ms", "endpoint", {"idle_timeout_us": 15_000_000}),
    "path challenge": ("250 ms, then twice that, at most 1,000 ms; 5 in all", "path",
                       {"PATH_RESEND_US": 250_000, "PATH_RESEND_LONGEST_US": 1_000_000, "PATH_TRIES": 5}),
    "path gap": ("1,000 ms", "path", {"PATH_GAP_US": 1_000_000}),
    "MTU search": ("1,000 ms", "mtu", {"MTU_FIRST_US": 1_000_000}),
    "MTU probe": ("1,000 ms", "mtu", {"MTU_PROBE_US": 1_000_000, "MTU_PROBES": 3}),
    "MTU raise": ("600 s", "mtu", {"MTU_RAISE_US": 600_000_000}),
    "MTU retry": ("60 s", "mtu", {"MTU_RETRY_US": 60_000_000, "MTU_BLACK_HOLE": 3}),
    "close gap": ("50 ms, 3 times", "delivery", {"CLOSE_GAP_US": 50_000, "CLOSE_REPEATS": 3}),
    "drain": ("300 ms", "delivery", {"CLOSE_DRAIN_US": 300_000}),
    "grace": ("3 probe timeouts without backoff, 1 s to 5 s", "rekey",
              {"GRACE_PTOS": 3, "GRACE_LEAST_US": 1_000_000, "GRACE_MOST_US": 5_000_000}),
    "key age": ("600 s", "endpoint", {"rekey_age_us": 600_000_000}),
    "fragments": ("10 s", "fragment", {"FRAGMENT_LIFE_US": 10_000_000}),
}


def rows(title: str) -> dict[str, str]:
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    found = [line.split(" | ", 1) for line in section.splitlines() if line.startswith("| ")]
    return {name.strip("| "): rest for name, rest in found}


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_of_the_page_has_the_value_of_the_code(name: str) -> None:
    words, source, constants = TIMERS[name]
    assert words in rows("Timers")[name]
    for constant, value in constants.items():
        match = re.search(rf"\b{constant}(?:: int)? = ([\d_]+)", SOURCES[source])
        assert match is not None and int(match[1]) == value, constant


def test_the_page_names_no_timer_that_is_not_compared() -> None:
    assert set(rows("Timers")) - {"name", "---"} == set(TIMERS)


def test_every_state_of_the_code_is_on_the_page() -> None:
    states = set(re.findall(r"STATE_(\w+) = \d", SOURCES["connection"])) - {"FREE", "ENDED"}
    assert states == {"HELLO", "CONNECT", "LIVE", "CLOSING"}
    for state in states:
        assert re.search(rf"^\| [\w, ]*\b{state}\b", PAGE, re.MULTILINE), state

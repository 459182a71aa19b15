"""make soak SECONDS=60 SEED=1: two hundred sessions over a bad simulated network, then over a bad real one.

The simulated half runs in virtual time, the real one over sockets and `shadowland-server impair`; each takes half of
SECONDS, and a little more until the last message has arrived. In between and at the end everybody leaves, and all
memory must be back. Ends by itself with a report and exit code 0, or 1 with what did not hold; Ctrl-C ends it early.
"""
import argparse
import gc
import json
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from server_app.loop import Stop
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland._core.udp.socket import UdpSocket, monotonic_us
from shadowland.testing import Link, Network, normal, pareto
from tests.soak.town import IDLE_US, TICK_US, Address, Side, Town

ROOT = Path(__file__).parents[2]
SESSIONS = 200
SERVER: Address = ("10.0.0.1", 3565)
REST_S = 60                             # longest that everything may take to arrive, and everybody to be gone
BLOCKS_ALLOWED = 1_000                  # Python's blocks more, at rest, than at the rest before
RSS_ALLOWED = 16 << 20               # what the first part did not touch yet

BAD = [
    Link(loss=0.02, delay_us=30_000, jitter_us=10_000),
    Link(loss=0.05, burst=0.01, burst_end=0.2, delay_us=normal(50_000, 15_000), jitter_us=20_000, duplicate=0.05),
    Link(loss=0.1, delay_us=20_000, jitter_us=pareto(1_000, 1.2, 200_000), reorder=0.1, reorder_us=60_000,
         corrupt=0.02),
    Link(loss=0.4, delay_us=30_000, jitter_us=20_000, duplicate=0.2, reorder=0.3, reorder_us=80_000, corrupt=0.1),
    Link(delay_us=40_000, rate_bits_per_s=60_000_000, buffer_us=300_000, loss=0.01),
]
RELAYED = ["--loss", "4%", "--burst", "0.5%", "--burst-end", "25%", "--corrupt", "1%", "--duplicate", "3%", "--delay",
           "normal:30ms,5ms", "--jitter", "pareto:1ms,1.2,150ms", "--reorder", "5%", "--reorder-by", "50ms",
           "--rebind-every", "9s"]


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Memory:
    """Python's blocks and resident bytes, measured at rest."""

    def __init__(self) -> None:
        gc.collect()
        self.blocks, self.resident = sys.getallocatedblocks(), resident()

    def check(self, before: "Memory") -> dict[str, int]:
        """How much more than `before`; AssertionError if it is too much."""
        grown = {"blocks": self.blocks - before.blocks, "resident_bytes": self.resident - before.resident}
        assert grown["blocks"] <= BLOCKS_ALLOWED, f"memory grows: {grown['blocks']:,} blocks more at rest"
        assert grown["resident_bytes"] <= RSS_ALLOWED, f"memory grows: {grown['resident_bytes']:,} bytes more at rest"
        return grown


def endpoints(seed: int, sessions: int) -> tuple[Endpoint, Endpoint]:
    """A server and all clients."""
    secret = random.Random(f"soak {seed}").randbytes(96)
    server = Endpoint("server", capacity=sessions + 56, seed=secret[:32], identity_secret=secret[32:64],
                      idle_timeout_us=IDLE_US, half_open_per_prefix=sessions * 4, rekey_packets=600)
    return server, Endpoint("client", capacity=sessions + 56, seed=secret[64:], rekey_age_us=20_000_000)


class Half:
    """One half of the soak: a town, and the time in which it lives."""

    def __init__(self, name: str, town: Town, now_us: Callable[[], int], advance: Callable[[], None]) -> None:
        self.name, self.town, self.now_us, self.advance = name, town, now_us, advance

    def live(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Let the town live for so many seconds of the clock on the wall, then come to rest."""
        end = time.monotonic() + seconds
        self.town.open = True
        while time.monotonic() < end and not stopped():
            self.turn()
        self.town.open = False
        self.until(lambda: not self.town.owed, "a live session does not deliver or tell what it owes")
        self.town.close_all()
        self.until(lambda: not any(self.town.held.values()), "memory that does not come back")
        self.town.rest()

    def until(self, so: Callable[[], bool], wrong: str) -> None:
        """Go on until it is so; AssertionError if it never is."""
        end_us = self.now_us() + REST_S * 1_000_000
        while not so():
            self.turn()
            assert self.now_us() < end_us, f"{wrong}: {self.town.owed} owed, {self.town.held}"

    def turn(self) -> None:
        """One tick."""
        self.town.tick(self.now_us())
        self.advance()

    def run(self, seconds: float, stopped: Callable[[], bool]) -> dict[str, Any]:
        """Live, rest, live longer, rest: the second rest must not hold more than the first."""
        began, begin_us = time.monotonic(), self.now_us()
        self.live(seconds / 3, stopped)
        first = Memory()
        self.live(seconds * 2 / 3, stopped)
        grown = Memory().check(first)
        return {"seconds": round(time.monotonic() - began, 1), "its_seconds": (self.now_us() - begin_us) // 1_000_000,
                "grown_at_rest": grown, **self.town.summary()}


def simulated(seed: int, seconds: float, stopped: Callable[[], bool], sessions: int = SESSIONS) -> dict[str, Any]:
    """Over a network whose links change, whose NATs forget, and that falls apart now and then."""
    network, luck = Network(seed, BAD[0]), random.Random(f"weather {seed}")
    server, client = endpoints(seed, sessions)
    port = network.attach(("0.0.0.0", 40000), queue=65536)
    sides = Side(server, network.attach(SERVER, queue=65536)), Side(client, port)
    places: list[Address] = [(f"10.1.0.{i + 1}", 40000) for i in range(sessions)]
    town = Town(*sides, SERVER, places, seed)
    cut: dict[str, int] = {}

    def advance() -> None:
        if luck.random() < 0.01:
            network.link = luck.choice(BAD)
        if luck.random() < 0.03 * sessions / SESSIONS:
            host = luck.choice(places)[0]
            cut[host] = network.now_us + int(luck.expovariate(1 / 2e6))
            network.partition(host, SERVER[0])
        for host in [host for host, end_us in cut.items() if network.now_us > end_us]:
            del cut[host]
            network.heal(host, SERVER[0])
        if luck.random() < 0.02 + 0.13 * sessions / SESSIONS:
            network.rebind(port, local=luck.choice(places), linger_us=luck.choice([0, 0, 200_000]))
            town.counts["rebinds"] += 1
        network.advance(TICK_US)

    found = Half("simulated", town, lambda: network.now_us, advance).run(seconds, stopped)
    return {**found, "network": network.counters, "event_hash": network.event_hash}


@contextmanager
def relay(target: Address, seed: int, found: dict[str, Any]) -> Iterator[Address]:
    """`shadowland-server impair` before the target; its report goes into `found`."""
    words = [sys.executable, "-m", "server_app", "impair", "127.0.0.1:0", f"{target[0]}:{target[1]}",
             "--seed", str(seed), "--json", *RELAYED]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:           # Ctrl-C is ours alone
        assert process.stdout is not None and process.stderr is not None
        try:
            first = process.stderr.readline()
            assert " port " in first, first
            yield "127.0.0.1", int(first.split(" port ")[1].split()[0])
            assert process.poll() is None, "the relay ended"
        finally:
            process.send_signal(signal.SIGINT)
            told = process.communicate(timeout=30)[0]
        found |= json.loads(told.splitlines()[-1])


def real(seed: int, seconds: float, stopped: Callable[[], bool], sessions: int = SESSIONS) -> dict[str, Any]:
    """Over sockets of the system and the relay."""
    server, client = endpoints(seed + 1, sessions)
    relayed: dict[str, Any] = {}
    with (UdpSocket("127.0.0.1", 0) as here, UdpSocket("0.0.0.0", 0) as there,
          relay(here.local, seed, relayed) as address):
        places: list[Address] = [(f"127.0.1.{i + 1}", there.local[1]) for i in range(sessions)]
        town = Town(Side(server, here), Side(client, there), address, places, seed)
        due = monotonic_us()

        def advance() -> None:
            nonlocal due
            due = max(due + TICK_US, monotonic_us() - TICK_US)
            while monotonic_us() < due:
                time.sleep(max(0.0, (due - monotonic_us()) / 1e6))

        found = Half("real", town, monotonic_us, advance).run(seconds, stopped)
        drops = here.kernel_drops + there.kernel_drops
    return {**found, "kernel_drops": drops, "relay": relayed}


def report(found: dict[str, Any], indent: str = "  ") -> Iterator[str]:
    """Lines for people."""
    for name, value in found.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from report(value, indent + "  ")
        else:
            yield f"{indent}{name:<{34 - len(indent)}} {value:>14,}" if isinstance(value, int | float) else \
                f"{indent}{name:<{34 - len(indent)}} {value}"


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="both halves together, 2 to 86,400")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not 2 <= given.seconds <= 86_400:
        parser.error(f"--seconds is {given.seconds:g}; give 2 to 86,400")
    print(f"Soak: {SESSIONS} sessions, {given.seconds:g} s, seed {given.seed}; Ctrl-C ends it early", flush=True)
    with Stop() as stopped:
        for name, half in (("simulated", simulated), ("real", real)):
            try:
                found = half(given.seed, given.seconds / 2, stopped)
            except AssertionError:
                traceback.print_exc()
                print(f"{name}: does not hold; again with SEED={given.seed}", file=sys.stderr)
                return 1
            print(f"{name}: holds", *report(found), sep="\n", flush=True)
            if stopped():
                print("ended early")
                break
    return 0


if __name__ == "__main__":
    sys.exit(main())

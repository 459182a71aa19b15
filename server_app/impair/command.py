"""`shadowland-server impair`: makes the relay from flags, runs it, prints what became of the datagrams."""
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import msgspec

from server_app.impair.flags import address, links, size_bytes, time_us
from server_app.impair.relay import Relay
from server_app.loop import Frozen
from shadowland.errors import ConfigError
from shadowland.testing import Link

SPARE_DESCRIPTORS = 64


def described(link: Link) -> str:
    """What of a link is not as in a perfect one."""
    said = [f"{field.name} {getattr(link, field.name)}" for field in fields(link)
            if getattr(link, field.name) != field.default]
    return ", ".join(said) or "perfect"


def text(summary: Mapping[str, Any], seconds: float) -> str:
    """The summary for people."""
    lines = ["", f"Relay: {summary['clients_ever']:,} clients in {seconds:.1f} s"]
    for name in ("up", "down"):
        counts = summary[name]
        rest = ", ".join(f"{kind} {count:,}" for kind, count in counts.items()
                         if count and kind not in ("received", "forwarded", "bytes"))
        lines.append(f"  {name:<10}   received {counts['received']:,}, forwarded {counts['forwarded']:,} "
                     f"({counts['bytes']:,} bytes){', ' if rest else ''}{rest}")
    late = summary["late_ms"]
    lines += [
        f"  clients      {summary['clients']:,} at the end, {summary['expired']:,} expired, {summary['rebinds']:,} "
        f"rebinds, {summary['refused']:,} datagrams refused, {summary['target_unreachable']:,} times unreachable",
        f"  sent late    p50 {late['p50']:.2f} ms, p99 {late['p99']:.2f} ms, at most {late['max']:.2f} ms; "
        f"the kernel dropped {summary['kernel_drops']:,} before",
    ]
    return "\n".join(lines)


def room_for_sockets(clients: int) -> None:
    """One socket a client: raise the limit of open files as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = clients + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise ConfigError(f"--clients {clients} needs {needed} open files, the system allows {hard}; "
                          f"give at most {hard - SPARE_DESCRIPTORS} or raise it with ulimit -n")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def run_impair(
    listen: str, target: str, both: Mapping[str, str], stopped: Callable[[], bool], *, up: tuple[str, ...],
    down: tuple[str, ...], seed: int, clients: int, in_flight: str, idle: str, rebind_every: str, shared: bool,
    duration: str, as_json: bool,
) -> int:
    """Relay until `stopped()` or until the duration is over; returns the exit code."""
    here, there = address("LISTEN", listen), address("TARGET", target)
    if there[1] == 0:
        raise ConfigError(f"TARGET is {target!r}: nobody is reached on port 0; give the port the server prints")
    if here == there:
        raise ConfigError(f"LISTEN and TARGET are both {target!r}: the relay would talk to itself")
    up_link, down_link = links(both, up, down)
    room_for_sockets(clients)
    relay = Relay(here, there, up_link, down_link, seed=seed, shared=shared, clients=clients,
                  in_flight_bytes=size_bytes("--in-flight", in_flight), idle_us=time_us("--idle", idle),
                  rebind_every_us=time_us("--rebind-every", rebind_every))
    duration_us = time_us("--duration", duration)
    stream = sys.stderr if as_json else sys.stdout
    start_us = relay.clock()
    print(f"Relay on {relay.local[0]} port {relay.local[1]} to {there[0]} port {there[1]}, seed {seed}; "
          f"Ctrl-C ends it\n  up    {described(up_link)}\n  down  {described(down_link)}", file=stream, flush=True)
    with Frozen():
        relay.run(lambda: stopped() or 0 < duration_us <= relay.clock() - start_us)
    summary, seconds = relay.summary(), (relay.clock() - start_us) / 1e6
    relay.close()
    print(text(summary, seconds), file=stream, flush=True)
    if as_json:
        print(msgspec.json.encode({"seconds": round(seconds, 3), **summary}).decode(), flush=True)
    return 0

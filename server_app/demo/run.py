"""The demo: a server in this process, bots in a second one, and a report of what came of it."""
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

import shadowland as sl
from server_app.config import Settings
from server_app.demo.world import DemoWorld
from server_app.guarding import Rules
from server_app.inspect import Desk, looking
from server_app.loop import Frozen, Loop
from server_app.report import (
    FULL_STATE_BYTES,
    BotsReport,
    DemoReport,
    TickSpread,
    cpu_us,
    demo_text,
    finish,
    since,
)
from shadowland.truth import TruthWriter

logger = logging.getLogger("shadowland.demo")

JOIN_S: Final = 30.0            # for all bots to come in
FINISH_S: Final = 10.0          # for the bots' process to say what it saw
SETTLED_TICK: Final = 300       # memory is compared from here on, if the run is long enough
HEADER: Final = 14              # bytes that no body holds: header, and the tag of each cipher
TAGS: Final = {"ChaCha20-Poly1305": 16, "AEGIS-128L": 32}


class Baseline:
    """What had been counted when the measuring began."""

    def __init__(self, world: DemoWorld, loop: Loop) -> None:
        self.stats = world.app.stats()
        self.replication: dict[str, int] = world.app.world.core.stats
        self.cpu = cpu_us()
        self.ticks, self.skipped = loop.ticks, loop.skipped
        self.inputs, self.corrections = world.authority.inputs, world.authority.corrections
        self.deeds = world.deeds.copy()
        loop.times.clear()


class Bots:
    """The second process."""

    def __init__(self, url: str, key: str, settings: Settings, truth: Path) -> None:
        command = [sys.executable, "-m", "server_app", "bots", url, "--server-key", key, "--truth", str(truth),
                   "--until-eof", "--json", "--bots", str(settings.bots), "--hz", str(settings.hz),
                   "--radius", str(settings.radius),
                   "--seed", str(settings.seed), "--log-level", settings.log_level]
        # A session of its own: Ctrl-C reaches us alone, and the bots end when we say so, or when we are gone.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self._said = b""

    @property
    def over(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def listen(self) -> None:
        """Read what it has said by now."""
        assert self.process.stdout is not None
        self._said += self.process.stdout.read() or b""

    def finish(self) -> None:
        """Ask it to end."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def report(self) -> BotsReport | None:
        """Its last line; None if it said nothing."""
        self.listen()
        lines = self._said.splitlines()
        try:
            return msgspec.json.decode(lines[-1], type=BotsReport) if lines else None
        except msgspec.DecodeError:
            return None

    def close(self) -> None:
        """Make sure that it is gone."""
        if not self.over:
            self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


class Demo:
    """One run. `go` does it all; its steps are apart to be read."""

    def __init__(self, settings: Settings, world: DemoWorld, stopped: Callable[[], bool], rules: Rules) -> None:
        self.settings, self.world, self.stopped = settings, world, stopped
        self.desk = Desk(world.app, lambda: self.loop, rules, settings.inspect)
        self.loop = Loop(settings.hz, looking(world.app, rules, self.desk), world.app.step)
        self.baseline: Baseline | None = None
        self.report = DemoReport(budget_ms=round(1000 / settings.hz, 3))
        self.seconds = 0.0
        self.inputs = 0
        self.visible = 0.0
        self.note = ""
        self._status = Status()

    def go(self, bots: Bots) -> BotsReport | None:
        """All phases; the bots' report, None if they did not give one."""
        with self.desk, Frozen():
            self._gather(bots)
            self._measure(bots)
            self._part(bots)
        return bots.report()

    def _turn(self) -> None:
        self.loop.turn()
        self._status.show(self)

    def _gather(self, bots: Bots) -> None:
        last = self.loop.ticks + round(JOIN_S * self.settings.hz)
        while not self.stopped() and not bots.over and len(self.world.app.sessions) < self.settings.bots:
            if self.loop.ticks >= last:
                self.note = f"; after {JOIN_S:.0f} s only {len(self.world.app.sessions)} bots had come in"
                break
            self._turn()

    def _measure(self, bots: Bots) -> None:
        ticks = round(self.settings.duration * self.settings.hz)
        # Inputs need their round trip before they come every tick; nothing is measured until they do.
        for _ in range(self.settings.hz // 2):
            self._turn()
        first = self.loop.ticks
        settled = max(SETTLED_TICK, first) if SETTLED_TICK < first + ticks else first
        self.baseline = Baseline(self.world, self.loop)
        while self.loop.ticks < first + ticks and not bots.over:
            if self.stopped():
                self.note = "; ended early"
                break
            if self.loop.ticks == settled or self.report.allocated_blocks.before == 0:
                self.report.allocated_blocks.before = sys.getallocatedblocks()
            self._turn()
        self._sum_up(self.baseline)

    def _sum_up(self, start: Baseline) -> None:
        report, app = self.report, self.world.app
        report.allocated_blocks.after = sys.getallocatedblocks()
        stats, replication = app.stats(), since(app.world.core.stats, start.replication)
        used = cpu_us() - start.cpu
        report.sessions = len(app.sessions)
        report.cipher = ", ".join(stats.ciphers)
        report.ticks, report.skipped_ticks = self.loop.ticks - start.ticks, self.loop.skipped - start.skipped
        report.tick_ms = TickSpread(*self.loop.times.milliseconds(50, 99, 100))
        report.packets_in = stats.packets_in - start.stats.packets_in
        report.packets_out = stats.packets_out - start.stats.packets_out
        report.bytes_in = stats.bytes_in - start.stats.bytes_in
        report.bytes_out = stats.bytes_out - start.stats.bytes_out
        report.drops = dict(stats.drops)
        for name, count in stats.message_drops.items():
            report.drops[name] = report.drops.get(name, 0) + count
        report.corrections = self.world.authority.corrections - start.corrections
        report.deeds = self.world.deeds.minus(start.deeds)
        self.inputs = self.world.authority.inputs - start.inputs
        self.seconds = (report.ticks + report.skipped_ticks) / self.settings.hz
        visible = replication.get("visible", 0)             # entities in view, summed over snapshots
        if report.sessions and report.ticks:
            report.server_cpu_us_per_player_tick = round(used / (report.sessions * report.ticks), 3)
            self.visible = visible / (report.sessions * report.ticks)
        if replication.get("records"):
            report.bytes_per_record = round(replication["record_bytes"] / replication["records"], 3)
        if visible:
            tags = [TAGS[name] for name, count in stats.ciphers.items() for _ in range(count)]
            bodies = report.bytes_out - round((HEADER + sum(tags) / max(len(tags), 1)) * report.packets_out)
            report.bytes_per_visible_entity = round(bodies / visible, 3)
            report.saving_vs_full_state = round(1 - bodies / (FULL_STATE_BYTES * visible), 4)

    def _part(self, bots: Bots) -> None:
        bots.finish()
        last = self.loop.ticks + round(FINISH_S * self.settings.hz)
        while not bots.over and self.loop.ticks < last:
            self.loop.turn()
            bots.listen()


class Status:
    """The line that is shown every second."""

    def __init__(self) -> None:
        self._next_tick = 0
        self._packets = self._bytes = 0

    def show(self, demo: Demo) -> None:
        """Print it on stderr if a second has gone by since the last one."""
        hz, loop = demo.settings.hz, demo.loop
        if loop.ticks + loop.skipped < self._next_tick:
            return
        self._next_tick = loop.ticks + loop.skipped + hz
        stats = demo.world.app.stats()
        packets, moved = stats.packets_in + stats.packets_out, stats.bytes_in + stats.bytes_out
        p50, p99 = loop.times.milliseconds(50, 99)
        drops = sum(stats.drops.values()) + sum(stats.message_drops.values())
        print(f"{(loop.ticks + loop.skipped) // hz:5d} s  {stats.sessions:6,} sessions   "
              f"tick p50 {p50:6.2f} p99 {p99:6.2f} ms   {packets - self._packets:8,} packets/s "
              f"{(moved - self._bytes) / 1000:8,.0f} kB/s   {drops} drops   "
              f"{loop.skipped} skipped", file=sys.stderr, flush=True)
        self._packets, self._bytes = packets, moved


def ring_file() -> Path:
    """A new file for the truth, in memory where the system has such a place."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    number, name = tempfile.mkstemp(prefix="shadowland-truth-", dir=place)
    os.close(number)
    return Path(name)


def run_demo(settings: Settings, stopped: Callable[[], bool], *, as_json: bool) -> int:
    """Serve, walk, report; the exit code: 0, or 1 if a bot was lost or a view was wrong."""
    identity = sl.Identity.load(settings.identity) if settings.identity else sl.Identity.generate()
    world = DemoWorld(settings, identity)
    rules = Rules(world.app, settings)
    world.app.open(settings.host, settings.port)
    ring, bots = ring_file(), None
    try:
        with world.app.closing():
            truth = TruthWriter(str(ring), world.app.world)
            world.app.tick(lambda t: truth.write(t.number))     # the last handler: when it runs, every system has
            url, key = world.app.connect_line.split()
            logger.info("serving %s %s; %d bots connect", url, key, settings.bots)
            bots = Bots(url, key, settings, ring)
            demo = Demo(settings, world, stopped, rules)
            seen = demo.go(bots)
    finally:
        if bots is not None:
            bots.close()
        ring.unlink()
    report = demo.report
    if seen is None:
        demo.note += "; the bots' process ended without a report"
        report.lost_bots = settings.bots
        seen = BotsReport()
    else:
        report.lost_bots, report.view_mismatches = seen.lost_bots, seen.view_mismatches
        report.mispredicted, report.in_party, report.in_duel = seen.corrected, seen.in_party, seen.in_duel
        report.rtt_ms, report.bot_cpu_us_per_tick = seen.rtt_ms, seen.bot_cpu_us_per_tick
    text = demo_text(report, seen, seconds=demo.seconds, inputs=demo.inputs, visible=demo.visible,
                     note=demo.note)
    return finish(report, text, as_json)

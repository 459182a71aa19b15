"""The bots' process: a swarm, its brains, and the comparison of what the bots see with the truth."""
import logging
import os
import select
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from server_app.config import Settings
from server_app.demo.habits import Habits
from server_app.demo.schema import SCHEMA, Correction, Move, Welcome
from server_app.demo.ties import Ties
from server_app.demo.walkers import Walkers
from server_app.demo.world import grid
from server_app.loop import Frozen, Loop
from server_app.report import BotsReport, Spread, cpu_us
from shadowland.errors import DisconnectReason
from shadowland.swarm import CONNECTING, LIVE, OVER, Swarm
from shadowland.truth import TruthReader

logger = logging.getLogger("shadowland.bots")

CONNECTING_PER_TICK: Final = 64         # so that a thousand handshakes do not stretch the server's ticks
CONNECT_TIMEOUT_S: Final = 15.0
VIEWS_PER_TICK: Final = 250             # compared with the truth: up to 2,000 bots each view every quarter of a second


class Crowd:
    """All bots of this process. `step` is one tick of all of them."""

    def __init__(self, url: str, server_key: str, settings: Settings, truth: str = "") -> None:
        self.count = settings.bots
        self.swarm = Swarm(url, server_key, settings.bots, schema=SCHEMA, tick_hz=settings.hz,
                           aoi=grid(settings.radius), timeout_s=CONNECT_TIMEOUT_S)
        self.walkers = Walkers(settings.bots, settings.hz, settings.seed)
        self.habits, self.ties = Habits(settings.hz), Ties(settings.bots)
        self.truth = TruthReader(truth, self.swarm) if truth else None
        self.inputs = self.tick = 0
        self.verify_us = 0.0
        self._asked = 0                 # bots that have begun to connect
        self._next_view = 0

    @property
    def all_in(self) -> bool:
        """Whether every bot walks."""
        return bool(self.walkers.ready.all())

    @property
    def hopeless(self) -> bool:
        """Whether nobody is connected and nobody will be."""
        return self._asked == self.count and not np.any((self.swarm.state == LIVE) | (self.swarm.state == CONNECTING))

    def step(self) -> None:
        """Take what came, walk, send."""
        self.tick += 1
        if self._asked < self.count:
            ask = range(self._asked, min(self._asked + CONNECTING_PER_TICK, self.count))
            self.swarm.connect(ask)
            self._asked = ask.stop
        self.swarm.take()
        self._listen()
        self._walk()
        self.swarm.flush()
        self._verify()

    def _listen(self) -> None:
        bots, welcomes = self.swarm.messages(Welcome)
        if len(bots):
            self.walkers.place(bots.astype(np.intp), welcomes.position, float(welcomes.bound[0]))
        bots, corrections = self.swarm.messages(Correction)
        if len(bots):
            self.walkers.correct(bots.astype(np.intp), corrections.number, corrections.position)
        self.ties.listen(self.swarm)

    def _walk(self) -> None:
        self.walkers.think(self.tick)
        bots = np.flatnonzero(self.walkers.ready & (self.swarm.state == LIVE))
        moved = self.walkers.plan(bots)
        taken = self.swarm.send(Move, bots, direction=self.walkers.direction[bots], position=moved)
        self.walkers.commit(bots[taken], moved[taken])
        self.inputs += int(np.count_nonzero(taken))
        self.habits.act(self.swarm, bots, self.walkers, self.ties, self.tick)

    def _verify(self) -> None:
        if self.truth is None:
            return
        begin = time.process_time_ns()
        count = min(VIEWS_PER_TICK, self.count)
        self.truth.verify(self._next_view, count)
        self._next_view = self._next_view + count if self._next_view + count < self.count else 0
        self.verify_us += (time.process_time_ns() - begin) / 1000

    def report(self, loop: Loop, cpu: float, bot_ticks: int) -> BotsReport:
        """What there is to say before the sessions are closed. `cpu` microseconds went into `bot_ticks`."""
        stats = self.swarm.stats()
        lost = self.swarm.state == OVER         # who was still connecting when it was ended early is not lost
        reasons: dict[str, int] = {}
        for reason in self.swarm.reasons[lost].tolist():
            name = DisconnectReason(reason).name
            reasons[name] = reasons.get(name, 0) + 1
        truth = self.truth.stats if self.truth is not None else {}
        return BotsReport(
            bots=self.count, lost_bots=int(np.count_nonzero(lost)), view_mismatches=truth.get("mismatches", 0),
            views_checked=truth.get("checked", 0), views_hidden=truth.get("hidden", 0),
            views_leaked=truth.get("leaked", 0), ticks=loop.ticks, skipped_ticks=loop.skipped, inputs=self.inputs,
            corrected=self.walkers.corrected, in_party=self.ties.in_party, in_duel=self.ties.in_duel,
            snapshots=stats.snapshots, packets_in=stats.packets_in,
            packets_out=stats.packets_out, bytes_in=stats.bytes_in, bytes_out=stats.bytes_out,
            rtt_ms=Spread(*stats.rtt_ms), bot_cpu_us_per_tick=round(cpu / bot_ticks, 3) if bot_ticks else 0.0,
            drops=stats.drops,
            reasons=reasons)


def input_over() -> bool:
    """Whether stdin has ended: whoever started us is done, or gone."""
    ready, _, _ = select.select([0], [], [], 0)
    return bool(ready) and os.read(0, 4096) == b""


def run_crowd(crowd: Crowd, settings: Settings, stopped: Callable[[], bool], *, until_eof: bool) -> BotsReport:
    """Walk for `settings.duration` seconds from when all are in, or until `stopped()`, or until stdin ends."""
    loop = Loop(settings.hz, crowd.swarm.drain, crowd.step)
    cpu = verify = 0.0
    first = served = 0                  # tick from which on all are in, ours and the server's
    with Frozen():
        while not stopped() and not crowd.hopeless:
            loop.turn()
            if not first and crowd.all_in:
                cpu, verify, first, served = cpu_us(), crowd.verify_us, loop.ticks, crowd.swarm.tick
                logger.info("all %d bots are in", crowd.count)
            if until_eof:
                if input_over():
                    break
            elif first and loop.ticks - first >= settings.duration * settings.hz:
                break
    # By the server's ticks: so many snapshots came to each, whether this process kept up or took several at once.
    walked = (crowd.swarm.tick - served) * crowd.count if first else 0
    report = crowd.report(loop, cpu_us() - cpu - (crowd.verify_us - verify), walked)
    crowd.swarm.close()
    return report

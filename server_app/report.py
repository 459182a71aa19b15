"""What the demo and the bots report: one JSON line with fixed keys (docs/demo.md), and the same for people."""
import json
import resource
import sys
from typing import TextIO

import msgspec

from server_app.demo.deeds import Deeds
from shadowland.tokens import Token

FULL_STATE_BYTES = 46       # of one entity: id 4, position 12, rotation 12, velocity 12, animation 2, flags 4


class Spread(msgspec.Struct):
    """Milliseconds."""

    p50: float = 0.0
    p99: float = 0.0


class TickSpread(msgspec.Struct):
    """Milliseconds."""

    p50: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class Blocks(msgspec.Struct):
    """sys.getallocatedblocks() of the server."""

    before: int = 0
    after: int = 0


class DemoReport(msgspec.Struct):
    """The demo's result. Its fields are the keys of the JSON line, in this order."""

    sessions: int = 0
    lost_bots: int = 0
    view_mismatches: int = 0
    ticks: int = 0
    skipped_ticks: int = 0
    tick_ms: TickSpread = msgspec.field(default_factory=TickSpread)
    budget_ms: float = 0.0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    bytes_per_record: float = 0.0
    bytes_per_visible_entity: float = 0.0
    saving_vs_full_state: float = 0.0
    drops: dict[str, int] = msgspec.field(default_factory=dict)
    corrections: int = 0
    mispredicted: int = 0
    in_party: int = 0
    in_duel: int = 0
    deeds: Deeds = msgspec.field(default_factory=Deeds)
    rtt_ms: Spread = msgspec.field(default_factory=Spread)
    server_cpu_us_per_player_tick: float = 0.0
    bot_cpu_us_per_tick: float = 0.0
    allocated_blocks: Blocks = msgspec.field(default_factory=Blocks)
    cipher: str = ""

    @property
    def exit_code(self) -> int:
        """0, or 1 if a bot was lost or a view was wrong."""
        return 1 if self.lost_bots or self.view_mismatches else 0


class BotsReport(msgspec.Struct):
    """The bots' result. Its fields are the keys of the JSON line, in this order."""

    bots: int = 0
    lost_bots: int = 0
    view_mismatches: int = 0
    views_checked: int = 0
    views_hidden: int = 0
    views_leaked: int = 0
    ticks: int = 0
    skipped_ticks: int = 0
    inputs: int = 0
    corrected: int = 0
    in_party: int = 0
    in_duel: int = 0
    snapshots: int = 0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    rtt_ms: Spread = msgspec.field(default_factory=Spread)
    bot_cpu_us_per_tick: float = 0.0
    drops: dict[str, int] = msgspec.field(default_factory=dict)
    reasons: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0, or 1 if a bot was lost or a view was wrong."""
        return 1 if self.lost_bots or self.view_mismatches else 0


def cpu_us() -> float:
    """Processor time of this process so far, user and system, in microseconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e6


def since(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """What was counted after `before`, without zeros."""
    return {name: count - before.get(name, 0) for name, count in now.items() if count != before.get(name, 0)}


def json_line(report: DemoReport | BotsReport) -> str:
    """The report in one line."""
    return msgspec.json.encode(report).decode()


def finish(report: DemoReport | BotsReport, text: str, as_json: bool) -> int:
    """Print the report: for people on stdout, or on stderr and the JSON line last on stdout. Returns the exit code."""
    stream: TextIO = sys.stderr if as_json else sys.stdout
    print(text, file=stream, flush=True)
    if as_json:
        print(json_line(report), flush=True)
    return report.exit_code


def counted(counts: dict[str, int]) -> str:
    """Counts by name for people."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def demo_text(report: DemoReport, bots: BotsReport, *, seconds: float, inputs: int, visible: float, note: str) -> str:
    """The demo's report for people."""
    verdict = "all views right, no bot lost" if report.exit_code == 0 else \
        f"{report.lost_bots} bots lost, {report.view_mismatches} views wrong"
    per_second = 1 / seconds if seconds else 0.0
    share = 100 * report.tick_ms.p99 / report.budget_ms if report.budget_ms else 0.0
    lines = [
        "",
        f"Shadowland demo: {verdict}{note}",
        f"  sessions     {report.sessions:,} for {seconds:.1f} s, {report.ticks:,} ticks, "
        f"{report.skipped_ticks} skipped, sealed with {report.cipher}",
        f"  tick         p50 {report.tick_ms.p50:.2f} ms, p99 {report.tick_ms.p99:.2f} ms "
        f"({share:.0f} % of {report.budget_ms:.1f} ms), max {report.tick_ms.max:.2f} ms",
        f"  packets      in {report.packets_in * per_second:,.0f}/s ({report.bytes_in * per_second / 1000:,.0f} kB/s), "
        f"out {report.packets_out * per_second:,.0f}/s ({report.bytes_out * per_second / 1000:,.0f} kB/s)",
        f"  replication  {report.bytes_per_record:.2f} bytes a record, {report.bytes_per_visible_entity:.2f} bytes "
        f"a visible entity and snapshot, {100 * report.saving_vs_full_state:.1f} % below full state; "
        f"{visible:.0f} entities in view",
        f"  views        {bots.views_checked:,} entities in views compared with the truth, {report.view_mismatches} "
        f"wrong; {bots.views_hidden:,} in reach and hidden, {bots.views_leaked} of them seen",
        f"  movement     {inputs:,} inputs, {report.corrections} corrections, {report.mispredicted} predictions wrong",
        f"  relations    {report.in_party} bots know of a party of theirs at the end, {report.in_duel} of a duel",
        f"  deeds        {counted(msgspec.structs.asdict(report.deeds))}",
        f"  round trip   p50 {report.rtt_ms.p50:.1f} ms, p99 {report.rtt_ms.p99:.1f} ms, the wait for a tick included",
        f"  processor    {report.server_cpu_us_per_player_tick:.2f} us a player and tick on the server, "
        f"{report.bot_cpu_us_per_tick:.2f} us in the bots",
        f"  memory       {report.allocated_blocks.before:,} blocks before, {report.allocated_blocks.after:,} after",
        f"  drops        {counted(report.drops)}",
    ]
    return "\n".join(lines)


def bots_text(report: BotsReport) -> str:
    """The bots' report for people."""
    return "\n".join([
        "",
        f"Bots: {report.bots:,}, {report.lost_bots} lost ({counted(report.reasons)}), "
        f"{report.view_mismatches} views wrong",
        f"  ticks        {report.ticks:,}, {report.skipped_ticks} skipped; {report.inputs:,} inputs, "
        f"{report.corrected} corrected; {report.in_party} in a party, {report.in_duel} in a duel",
        f"  packets      in {report.packets_in:,}, out {report.packets_out:,}; {report.snapshots:,} snapshots kept",
        f"  round trip   p50 {report.rtt_ms.p50:.1f} ms, p99 {report.rtt_ms.p99:.1f} ms",
        f"  processor    {report.bot_cpu_us_per_tick:.2f} us a bot and tick",
        f"  drops        {counted(report.drops)}",
    ])


def token_text(token: Token, now_s: float, as_json: bool) -> str:
    """What a connect token says, for people or as one line of JSON."""
    if as_json:
        return json.dumps({"issuer": token.issuer, "player_id": token.player_id, "issued_s": token.issued_s,
                           "expires_s": token.expires_s, "server_keys": token.server_keys, "data": token.data.hex()})
    left = token.expires_s - now_s
    state = f"expires in {left:.0f} s" if left > 0 else f"expired {-left:.0f} s ago"
    lines = [f"player {token.player_id}, {state}, lives {token.expires_s - token.issued_s:.0f} s",
             f"issuer key id {token.issuer}", *(f"for {key}" for key in token.server_keys)]
    if token.data:
        lines.append(f"data {token.data!r}")
    return "\n".join(lines)

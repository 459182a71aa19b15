"""`shadowland-server inspect`: what a running server says of itself, over a UNIX socket that only its user can open.

The server looks at the socket between two ticks and never waits for it. One line of JSON comes, one goes back.

    {"sessions": 20}                      what `view` gives, with the 20 sessions that sent most
    {"ban": "192.0.2.7", "for_s": 60}     {"unban": "192.0.2.7"}     {"reload": true}         a line for people
"""
import json
import logging
import math
import os
import socket
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

import shadowland as sl
from server_app.config import OFF, Settings
from server_app.guarding import Rules
from server_app.loop import Loop, clock_us

logger = logging.getLogger("shadowland.inspect")

MOST_CALLERS: Final = 8
MOST_ROWS: Final = 500                  # of sessions and of bans: a thousand would cost a tick's time
LONGEST_LINE: Final = 4096
PATIENCE_US: Final = 3_000_000          # with a caller who neither asks nor reads

Answer = dict[str, Any]


def default_path(port: int) -> Path:
    """Where the server on `port` listens unless told otherwise: a folder of this user alone."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(base) / "shadowland" if base else Path(f"/tmp/shadowland-{os.getuid()}")
    return folder / f"server-{port}.sock"


def _own_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise sl.ConfigError(f"inspect: {folder} belongs to somebody else or others may write to it; "
                             "name another place with inspect = \"PATH\" under [server]")


def view(app: sl.Server, loop: Loop, rows: int) -> Answer:
    """Counters since the server opened, and the `rows` sessions that sent most."""
    stats = app.stats()
    table = app.endpoint.stats()
    trips = table["rtt_us"][table["rtt_us"] > 0] / 1000
    p50, p99, worst = loop.times.milliseconds(50, 99, 100)
    busiest = table[np.argsort(table["bytes_in"])[::-1][:min(max(rows, 0), MOST_ROWS)]]
    sessions = []
    for row in busiest:
        remote = app.endpoint.remote(int(row["connection"]))
        sessions.append({
            "session": f"{int(row['connection']):#x}", "remote": "{}:{}".format(*remote) if remote else "",
            "rtt_ms": round(float(row["rtt_us"]) / 1000, 2), "packets_in": int(row["packets_in"]),
            "packets_out": int(row["packets_out"]), "bytes_in": int(row["bytes_in"]),
            "bytes_out": int(row["bytes_out"]), "packets_lost": int(row["packets_lost"])})
    bans = app.guard.bans()
    return {
        "time_us": clock_us(), "ticks": loop.ticks, "skipped_ticks": loop.skipped, "tick_hz": app.tick_hz,
        "tick_ms": {"p50": p50, "p99": p99, "max": worst}, "sessions": stats.sessions, "capacity": app.capacity,
        "half_open": stats.half_open, "waiting": app.guard.core.waiting,
        "handshakes": int(app.endpoint.counters["handshakes"]),
        "packets_in": stats.packets_in, "packets_out": stats.packets_out, "bytes_in": stats.bytes_in,
        "bytes_out": stats.bytes_out, "handler_errors": stats.handler_errors,
        "rtt_ms": {name: round(float(np.percentile(trips, q)), 2) if len(trips) else None
                   for name, q in (("p50", 50), ("p99", 99))},
        "drops": stats.drops, "message_drops": stats.message_drops,
        "rules": [{"name": one.rule.name, "scope": one.rule.scope, "what": one.rule.what,
                   "per_second": one.rule.per_second, "burst": one.rule.burst, "action": one.rule.action,
                   "hits": one.hits} for one in app.guard.rules()],
        "guard": app.guard.counters,
        "bans": [{"network": ban.network, "left_s": None if math.isinf(ban.left_s) else round(ban.left_s, 1),
                  "cause": ban.cause} for ban in bans[:MOST_ROWS]],
        "most_busy": sessions,
    }


@dataclass(slots=True)
class Caller:
    """Somebody who asks."""

    socket: socket.socket
    until_us: int
    asked: bytearray = field(default_factory=bytearray)
    answer: bytes = b""


class Desk:
    """The server's side. `look()` once a tick; outside of its block there is no socket file."""

    def __init__(self, app: sl.Server, loop: Callable[[], Loop], rules: Rules, path: str) -> None:
        self.app, self._loop, self._rules = app, loop, rules
        self.path = None if path == OFF else Path(path) if path else default_path(app.address[1])
        self._named = bool(path)
        self._callers: list[Caller] = []
        self._listener: socket.socket | None = None

    def __enter__(self) -> "Desk":
        if self.path is None:
            return self
        try:
            self._listen(self.path)
        except (OSError, sl.ConfigError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            if self._named:
                raise sl.ConfigError(f"inspect: {self.path}: {text}; name another place, or off") from None
            logger.warning("nobody can inspect this server: %s: %s", self.path, text)
        return self

    def _listen(self, path: Path) -> None:
        if not self._named:
            _own_folder(path.parent)
        if path.is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
                if other.connect_ex(str(path)) == 0:
                    raise sl.ConfigError("another server answers there")
            path.unlink()                               # left over by a server that was killed
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)                        # so that it is never open to others, not even for a moment
        try:
            listener.bind(str(path))
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
        listener.listen(MOST_CALLERS)
        listener.setblocking(False)
        self._listener = listener

    def __exit__(self, *error: object) -> None:
        for caller in self._callers:
            caller.socket.close()
        if self._listener is not None:
            self._listener.close()
            assert self.path is not None
            with suppress(OSError):
                self.path.unlink()

    def look(self) -> None:
        """Take in who calls, answer who has asked; a system call or two when nobody does."""
        if self._listener is None:
            return
        with suppress(BlockingIOError):
            while len(self._callers) < MOST_CALLERS:
                caller, _ = self._listener.accept()
                caller.setblocking(False)
                self._callers.append(Caller(caller, clock_us() + PATIENCE_US))
        self._callers = [caller for caller in self._callers if self._kept(caller)]

    def _kept(self, caller: Caller) -> bool:
        kept = self._serve(caller)
        if not kept:
            caller.socket.close()
        return kept

    def _serve(self, caller: Caller) -> bool:
        """Whether it is still there for the next look."""
        try:
            if not caller.answer:
                caller.asked += caller.socket.recv(LONGEST_LINE) or b"\n"
                if len(caller.asked) > LONGEST_LINE:
                    return False
                if b"\n" not in caller.asked:
                    return clock_us() < caller.until_us
                caller.answer = json.dumps(self._answer(bytes(caller.asked)), separators=(",", ":")).encode() + b"\n"
            caller.answer = caller.answer[caller.socket.send(caller.answer):]
        except BlockingIOError:
            return clock_us() < caller.until_us
        except OSError:
            return False
        return len(caller.answer) > 0 and clock_us() < caller.until_us

    def _answer(self, line: bytes) -> Answer:
        try:
            asked = json.loads(line)
            if "ban" in asked:
                seconds = asked.get("for_s")
                self.app.guard.ban(asked["ban"], math.inf if seconds is None else float(seconds))
                return {"said": f"{asked['ban']} is banned {'until it is lifted' if seconds is None else 'for '}"
                                f"{'' if seconds is None else f'{seconds:g} s'}"}
            if "unban" in asked:
                lifted = self.app.guard.unban(asked["unban"])
                return {"said": f"{asked['unban']} {'is no longer banned' if lifted else 'was not banned'}"}
            if "reload" in asked:
                return {"said": self._rules.reload()}
            return view(self.app, self._loop(), int(asked.get("sessions", 20)))
        except (ValueError, TypeError, AttributeError, sl.ShadowlandError) as error:
            return {"wrong": str(error)}


def looking(app: sl.Server, rules: Rules, desk: Desk) -> Callable[[int], None]:
    """A `drain` for the loop that also looks at the rules' file and at who calls."""
    def drain(until_us: int) -> None:
        rules.look()
        desk.look()
        app.drain(until_us)
    return drain


# The asking side -----------------------------------------------------------------------------------------------------

def ask(path: Path, question: Answer) -> Answer:
    """One question to the server that listens at `path`; ConfigError when there is none or it refuses."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(5.0)
            line.connect(str(path))
            line.sendall(json.dumps(question).encode() + b"\n")
            heard = bytearray()
            while chunk := line.recv(65536):
                heard += chunk
        answer: Answer = json.loads(heard)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no answer"
        raise sl.ConfigError(f"inspect: no server answers at {path} ({why}); start one with `shadowland-server run`, "
                             "or name another with --port or --path") from None
    if "wrong" in answer:
        raise sl.ConfigError(f"inspect: {answer['wrong']}")
    return answer


def rates(before: Answer, after: Answer) -> Answer:
    """`after` with what happened per second between the two, under `per_second`."""
    seconds = max(after["time_us"] - before["time_us"], 1) / 1e6
    names = ("ticks", "packets_in", "packets_out", "bytes_in", "bytes_out", "handshakes")
    return after | {"per_second": {name: round((after[name] - before[name]) / seconds, 1) for name in names}}


def text_of(found: Answer) -> str:
    """For people, as a few short tables."""
    rate = found["per_second"]
    trips, ticks = found["rtt_ms"], found["tick_ms"]
    lines = [
        f"{found['sessions']:,} of {found['capacity']:,} sessions, {found['half_open']} half open, "
        f"{found['waiting']} waiting, "
        f"{rate['handshakes']:g} key exchanges/s; round trip p50 {trips['p50']} p99 {trips['p99']} ms",
        f"{rate['ticks']:g} of {found['tick_hz']} ticks/s, p50 {ticks['p50']} p99 {ticks['p99']} "
        f"max {ticks['max']} ms, {found['skipped_ticks']} skipped; {found['handler_errors']} handler errors",
        f"in {rate['packets_in']:,g} packets/s {rate['bytes_in'] / 1000:,.1f} kB/s, "
        f"out {rate['packets_out']:,g} packets/s {rate['bytes_out'] / 1000:,.1f} kB/s", "",
        f"{'rule':20} {'scope':8} {'what':11} {'per second':>12} {'burst':>12} {'action':7} {'refused':>10}",
    ]
    for rule in found["rules"]:
        lines.append(f"{rule['name']:20} {rule['scope']:8} {rule['what']:11} {rule['per_second']:>12,.10g} "
                     f"{rule['burst']:>12,.10g} {rule['action']:7} {rule['hits']:>10,}")
    for title, key in (("datagrams dropped", "drops"), ("messages dropped", "message_drops")):
        if found[key]:
            lines += ["", title, *(f"    {name:24} {count:>12,}" for name, count in found[key].items())]
    lines += ["", f"{len(found['bans'])} bans" + (", " + ", ".join(
        f"{count} {name}" for name, count in found["guard"].items() if count and name != "bans")
        if any(found["guard"].values()) else "")]
    for ban in found["bans"]:
        left = "until lifted" if ban["left_s"] is None else f"{ban['left_s']:,.0f} s left"
        lines.append(f"    {ban['network']:44} {left:>16}  {ban['cause']}")
    if found["most_busy"]:
        lines += ["", f"{'session':18} {'from':28} {'rtt ms':>8} {'packets in':>12} {'out':>10} {'kB in':>10} "
                      f"{'out':>10} {'lost':>7}"]
    for row in found["most_busy"]:
        lines.append(f"{row['session']:18} {row['remote']:28} {row['rtt_ms']:>8} {row['packets_in']:>12,} "
                     f"{row['packets_out']:>10,} {row['bytes_in'] / 1000:>10,.1f} {row['bytes_out'] / 1000:>10,.1f} "
                     f"{row['packets_lost']:>7,}")
    return "\n".join(lines)


def _place(path: Path | None, settings: Settings) -> Path:
    if path is not None:
        return path
    if settings.inspect == OFF:
        raise sl.ConfigError("inspect is off in these settings, so that their server cannot be inspected; "
                             "set it to a path, or leave it out, and start the server again")
    return Path(settings.inspect) if settings.inspect else default_path(settings.port)


def say(path: Path | None, settings: Settings, question: Answer, *, as_json: bool) -> int:
    """Tell the server to ban, unban or reload, and print what it says."""
    said = ask(_place(path, settings), question)["said"]
    print(json.dumps({"said": said}) if as_json else said)
    return 0


def run_inspect(place: Path | None, settings: Settings, *, as_json: bool, watch: bool, rows: int,
                stopped: Callable[[], bool], gap_s: float = 1.0) -> int:
    """Ask twice, `gap_s` apart, and print; with `watch` again and again until `stopped()`."""
    path = _place(place, settings)
    before = ask(path, {"sessions": 0})
    while True:
        end = time.monotonic() + gap_s
        while (left := end - time.monotonic()) > 0 and not stopped():
            time.sleep(min(left, 0.1))
        after = ask(path, {"sessions": rows})
        found = rates(before, after)
        if as_json:
            print(json.dumps(found, separators=(",", ":")), flush=True)
        else:
            print(("\x1b[2J\x1b[H" if watch and os.isatty(1) else "") + text_of(found), flush=True)
        if not watch or stopped():
            return 0
        before = after

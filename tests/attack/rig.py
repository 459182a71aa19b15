"""What every attack stands on: a victim, honest players beside it, and intruders with sockets of their own.

All of it on 127.0.0.0/8, bounded in time and count. An Intruder speaks the wire as the slow model of it does
(tests/reference/protocol.py), so that it can say what no client of ours would.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from shadowland.identity import parse_public
from tests.attack.victim import SCHEMA
from tests.reference import protocol

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
Row = dict[str, Any]


class Helper:
    """A Python program of this folder that answers a line with a line of JSON."""

    def __init__(self, name: str, *words: object) -> None:
        command = [sys.executable, "-m", f"tests.attack.{name}", *map(str, words)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._read()

    def _read(self) -> Row:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"attack: {self.process.args!r} ended with exit code {self.process.wait()}")
        answer: Row = json.loads(line)
        return answer

    def ask(self) -> Row:
        """Its counters now."""
        assert self.process.stdin is not None
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return self._read()

    def end(self) -> int:
        """Ends with its stdin; the exit code."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return -1
        finally:
            self.process.stdout.close()


class Rig:
    """A victim and `players` honest players; both are gone after the block."""

    def __init__(self, players: int = 0, *, half_open: int = 1024, capacity: int = 1024,
                 half_open_s: int = 5) -> None:
        self.victim = Helper("victim", half_open, capacity, half_open_s)
        self.port = int(self.victim.about["port"])
        self.key = parse_public(self.victim.about["key"])
        self.players: Helper | None = None
        if players:
            self.players = Helper("players", self.victim.about["url"], self.victim.about["key"], players)

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        codes = [helper.end() for helper in (self.players, self.victim) if helper is not None]
        if kind is None and any(codes):
            raise SystemExit(f"attack: players and victim ended with {codes}")

    def calm(self, seconds: float) -> tuple[Row, Row]:
        """(victim, players) over `seconds` without an attack: what the attack is compared with."""
        self.look()
        time.sleep(seconds)
        return self.look()

    def look(self) -> tuple[Row, Row]:
        """(victim, players) now; times since the last look."""
        return self.victim.ask(), self.players.ask() if self.players else {}


def difference(before: Row, after: Row, name: str) -> dict[str, int]:
    """What a table of counters grew by, without the zeros."""
    grown = {key: count - before[name].get(key, 0) for key, count in after[name].items()}
    return {key: count for key, count in grown.items() if count}


@dataclass
class Flood:
    """A flood.c under way: its datagrams have forged addresses."""

    port: int
    kind: str
    rate: float
    seconds: float
    process: "subprocess.Popen[str]" = field(init=False)

    def __post_init__(self) -> None:
        words = [str(program()), str(self.port), self.kind, str(self.rate), str(self.seconds)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def end(self) -> Row:
        """Waits; what was sent in how many seconds."""
        text, _ = self.process.communicate()
        if self.process.returncode:
            raise SystemExit(f"attack: flood ended with exit code {self.process.returncode}")
        sent: Row = json.loads(text)
        return sent


def program() -> Path:
    """flood.c, compiled once."""
    built = ROOT / "build" / "attack" / "flood"
    source = HERE / "flood.c"
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        compiler = os.environ.get("CC", "gcc")
        if shutil.which(compiler) is None:
            raise SystemExit(f"attack: no C compiler {compiler!r}; install gcc or name one in CC")
        built.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-Wall", "-Werror", "-o", built, source], check=True)
    return built


class Intruder:
    """A client of the slow model with a UDP socket on an address of its own."""

    def __init__(self, rig: Rig, number: int, port: int = 0) -> None:
        self.rig = rig
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((f"127.8.{number >> 8 & 255}.{number & 255}", port))
        self.socket.settimeout(2.0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.server = "127.0.0.1", rig.port
        self.wire = self.fresh()
        self.sent = self.received = 0

    def fresh(self) -> protocol.Client:
        """Another ephemeral."""
        self.wire = protocol.Client(self.rig.key, os.urandom(32), schema_hash=SCHEMA.hash)
        return self.wire

    def say(self, *datagrams: bytes) -> None:
        for data in datagrams:
            self.sent += self.socket.sendto(data, self.server)

    def hear(self, seconds: float = 0.5) -> list[bytes]:
        """Everything that comes within `seconds`."""
        heard, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                heard.append(self.socket.recv(2048))
            except TimeoutError:
                break
            self.received += len(heard[-1])
        return heard

    def answer(self, data: bytes, kind: int, tries: int = 40) -> bytes:
        """Say `data` until a handshake datagram of `kind` comes back."""
        for _ in range(tries):
            self.say(data)
            for heard in self.hear(0.1):
                if heard[:4] == bytes(4) and heard[4] == kind and heard[6:14] == self.wire.public[:8]:
                    return heard
        raise SystemExit(f"attack: no answer of kind {kind} from the victim")

    def cookie(self) -> bytes:
        return self.answer(self.wire.hello(), protocol.COOKIE)

    def accepted(self) -> protocol.Sealed:
        """As far as ACCEPTED: half open."""
        self.wire.answer(self.answer(self.wire.connect(self.cookie()), protocol.ACCEPTED))
        assert self.wire.session is not None
        return self.wire.session

    def joined(self) -> protocol.Sealed:
        """A session."""
        session = self.accepted()
        self.say(session.packet(bytes([protocol.CONTROL, protocol.CONFIRM])))
        for _ in range(50):
            self.take(0.1)
            if 0 in session.acked:
                return session
        raise SystemExit("attack: the victim never acknowledged CONFIRM")

    def take(self, seconds: float = 0.1) -> list[bytes]:
        """Frames of all session packets that come within `seconds`."""
        session = self.wire.session
        assert session is not None
        frames = []
        for data in self.hear(seconds):
            if data[:4] == session.connection_id.to_bytes(4, "little"):
                frames += session.receive(data)
        return frames

    def give_socket(self) -> tuple[str, int]:
        """Close the socket and say where it was bound, so that a faster one can take its place."""
        host, port = self.socket.getsockname()
        self.socket.close()
        return host, port

    def close(self) -> None:
        self.socket.close()

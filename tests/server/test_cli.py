"""Invariant: a person's mistake is one line on stderr that says what, where and the fix, and exit code 2."""
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated as A

import pytest

import shadowland as sl
from server_app.cli import main

ROOT = Path(__file__).parents[2]
APP = """
from typing import Annotated as A
import shadowland as sl
class Thing{number}(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.1)] = (0.0, 0.0)
app = sl.Server(schema=sl.Schema([Thing{number}], []))
other = 5
"""


Command = Callable[..., tuple[int, str, str]]
Mistake = Callable[..., str]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs the command in this process: exit code, stdout, stderr."""
    root = logging.getLogger()
    before = root.handlers, root.level

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as over:
            main(list(arguments))
        shown = capsys.readouterr()
        assert isinstance(over.value.code, int)
        return over.value.code, shown.out, shown.err

    yield run
    root.handlers, root.level = before


@pytest.fixture
def mistake(command: Command) -> Mistake:
    """Runs the command, expects one line about a mistake, returns it."""
    def run(*arguments: str) -> str:
        code, out, err = command(*arguments)
        lines = err.splitlines()
        assert code == 2 and len(lines) == 1 and lines[0].startswith("shadowland-server: "), err
        assert out == ""
        return lines[0]
    return run


def test_version_and_help_end_with_zero(command: Command) -> None:
    assert command("--version") == (0, f"shadowland-server, version {sl.__version__}\n", "")
    code, out, _ = command("demo", "--help")
    assert code == 0 and "--duration" in out and "0.5 to 86,400" in out


def test_the_command_is_installed_and_a_mistake_reaches_the_shell() -> None:
    path = Path(sys.executable).with_name("shadowland-server")
    done = subprocess.run([path, "demo", "--bots", "0"], text=True, capture_output=True, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("arguments", "words"), [
    (["dmeo"], "No such command 'dmeo'"),
    (["demo", "--bost", "3"], "No such option"),
    (["demo", "--bots", "many"], "'many' is not a valid integer"),
    (["demo", "--bots", "0"], "--bots: bots is 0; give a whole number, 1 to 50,000"),
    (["demo", "--port", "70000"], "--port: port is 70000; give a whole number, 0 to 65,535"),
    (["demo", "--duration", "nan"], "duration is nan"),
    (["demo", "--log-level", "loud"], "log_level is 'loud'; give debug, info, warning, error"),
    (["demo", "--config", "/nowhere/x.toml"], "configuration file /nowhere/x.toml: No such file or directory"),
    (["demo", "--identity", "/nowhere/server.key"], "/nowhere/server.key"),
    (["demo", "--host", "300.1.2.3", "--port", "0"], "300.1.2.3"),
    (["run"], "Missing argument 'APP'"),
    (["run", "nowhere.py"], "APP nowhere.py: there is no such file"),
    (["run", "no_such_module:app"], "there is no module 'no_such_module'"),
    (["run", "json:app"], "json has no 'app'; make one with app = sl.Server()"),
    (["run", "json:dumps"], "dumps is a function; name a shadowland Server"),
    (["bots", "http://x", "--server-key", "slk1x"], "slk1x"),
    (["bots", "sl://127.0.0.1:1"], "Missing option '--server-key'"),
    (["keygen"], "Missing argument 'FILE'"),
    (["keygen", "/nowhere/new.key"], "/nowhere/new.key"),
], ids=lambda value: "-".join(value)[:40].replace("/", "_") if isinstance(value, list) else "")
def test_mistakes(arguments: list[str], words: str, mistake: Mistake) -> None:
    assert words in mistake(*arguments)


def test_a_wrong_environment_variable_is_named(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHADOWLAND_HZ", "fast")
    assert "environment variable SHADOWLAND_HZ: hz is 'fast'" in mistake("demo")


def test_a_capacity_below_the_bots_is_named(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHADOWLAND_CAPACITY", "10")
    assert "capacity only 10; set capacity" in mistake("demo", "--bots", "20")


def test_a_port_in_use_is_named_with_the_fix(mistake: Mistake) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        line = mistake("demo", "--bots", "2", "--port", port)
    assert port in line and "in use" in line and "another port" in line


def test_an_app_that_raises_is_shown_with_the_place(mistake: Mistake, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import shadowland\n\nx = 1 / 0\n")
    line = mistake("run", str(path))
    assert "ZeroDivisionError" in line and f"{path}, line 3" in line


def test_an_app_by_another_name_is_suggested(mistake: Mistake, tmp_path: Path) -> None:
    path = tmp_path / "game.py"
    path.write_text(APP.replace("{number}", "1").replace("app =", "server ="))
    assert f"it has server: give {path}:server" in mistake("run", str(path))


def test_keygen_writes_a_key_that_nobody_else_reads_and_never_overwrites_it(
        command: Command, mistake: Mistake, tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    code, out, _ = command("keygen", str(path))
    assert code == 0 and path.stat().st_mode & 0o777 == 0o600
    assert out.strip() == sl.Identity.load(path).public_text
    assert str(path) in mistake("keygen", str(path))
    assert sl.Identity.load(path).public_text == out.strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_run_with_zero_and_clients_learn_why(number: signal.Signals, tmp_path: Path) -> None:
    path, key = tmp_path / "game.py", tmp_path / "server.key"
    path.write_text(APP.replace("{number}", "2"))
    sl.Identity.generate().save(key)

    class Thing2(sl.Entity):
        position: A[sl.Vec2, sl.Quantized(step=0.1)] = (0.0, 0.0)

    process = subprocess.Popen(
        [sys.executable, "-m", "server_app", "run", str(path), "--port", "0", "--identity", str(key)],
        cwd=ROOT, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        assert process.stderr is not None
        url, server_key = process.stderr.readline().split()[-2:]
        assert server_key == sl.Identity.load(key).public_text
        with sl.Client(url, server_key, schema=sl.Schema([Thing2], [])) as client:
            client.wait()
            while client.stats.rtt_ms == 0:             # until the server has it as joined
                client.poll()
            process.send_signal(number)
            with pytest.raises(sl.ConnectionLost) as lost:
                while True:
                    client.poll()
            assert lost.value.reason == sl.DisconnectReason.SERVER_SHUTDOWN
        assert process.wait(timeout=20) == 0
        assert "closing 1 sessions" in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()

"""Rules in force, read again while the server runs, and shown by `inspect`; a wrong file changes nothing."""
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated as A

import pytest

import shadowland as sl
from server_app import config, guarding, inspect
from server_app.guarding import Rules
from server_app.inspect import Desk, rates, text_of
from server_app.loop import Loop, clock_us
from shadowland.errors import DisconnectReason
from shadowland.guard import DEFAULT_RULES, Guard, Policy, Rule
from tests.server.running import running

RULE = ('[guard]\ndefaults = false\n[[guard.rule]]\n'
        'name = "only"\nscope = "all"\nwhat = "hellos"\nper_second = {}\nburst = 5\n')


class Pebble(sl.Entity):
    place: A[sl.Vec2, sl.Quantized(step=1)] = (0, 0)


class Word(sl.Message, channel="unreliable"):
    number: A[int, sl.Range(0, 9)] = 0


SCHEMA = sl.Schema([Pebble], [Word])


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


def settings(**given: str) -> config.Settings:
    return config.load(given, environment={})


def test_the_rules_of_a_file_hold_and_change_with_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, clock, app = tmp_path / "guard.toml", Clock(), sl.Server()
    path.write_text(RULE.format(1))
    rules = Rules(app, settings(guard=str(path)), clock=clock)
    assert [one.rule.per_second for one in app.guard.rules()] == [1]
    path.write_text(RULE.format(22))
    rules.look()                                            # a second has not gone by
    assert app.guard.rules()[0].rule.per_second == 1
    clock.now += guarding.LOOK_US
    rules.look()
    assert app.guard.rules()[0].rule.per_second == 22
    path.write_text(RULE.format("'fast'"))
    clock.now += guarding.LOOK_US
    rules.look()
    assert app.guard.rules()[0].rule.per_second == 22 and "the rules stay as they were" in caplog.text
    caplog.clear()
    clock.now += guarding.LOOK_US
    rules.look()
    assert caplog.text == ""                                # once for each version of the file
    path.unlink()
    clock.now += guarding.LOOK_US
    rules.look()
    assert app.guard.rules()[0].rule.per_second == 22 and str(path) in caplog.text
    path.write_text(RULE.format(333) + "\n[[guard.rule]]\nname = 'packets'\nscope = 'session'\nwhat = 'packets'\n"
                    "per_second = 1\nburst = 1\n")
    rules.asked = True                                      # SIGHUP waits for no second
    rules.look()
    assert [one.rule.per_second for one in app.guard.rules()] == [333, 1]


def test_a_wrong_file_at_the_start_is_an_error_and_off_is_off(tmp_path: Path) -> None:
    app = sl.Server()
    with pytest.raises(sl.ConfigError, match="none.toml"):
        Rules(app, settings(guard=str(tmp_path / "none.toml")))
    assert len(app.guard.rules()) == len(DEFAULT_RULES)
    Rules(app, settings(guard="off"))
    assert app.guard.rules() == []


def test_the_guard_table_of_the_configuration_file_is_used_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "game.toml"
    path.write_text("[server]\nport = 1\n" + RULE.format(7))
    assert config.load({}, path=path, environment={}).guard == str(path)
    assert config.load({"guard": "off"}, path=path, environment={}).guard == "off"
    path.write_text(RULE.format(-7))
    with pytest.raises(sl.ConfigError, match=f"{path}: .guard.: rule 'only': per_second is -7"):
        config.load({}, path=path, environment={})


class Served:
    """A server that is inspected from the test's thread, turned by hand."""

    def __init__(self, app: sl.Server, path: str) -> None:
        self.app = app
        self.rules = Rules(app, settings())
        self.loop = Loop(app.tick_hz, app.drain, app.step)
        self.desk = Desk(app, lambda: self.loop, self.rules, path)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    app = sl.Server(tick_hz=60, schema=SCHEMA, capacity=4)
    app.open("127.0.0.1", 0)
    with app.closing():
        yield Served(app, str(tmp_path / "inspect.sock"))


def asked(served: Served, question: bytes) -> dict[str, object]:
    """Ask as another process would, the server looking now and then."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect(str(served.desk.path))
        for part in (question[:1], question[1:]):
            line.sendall(part)
            served.desk.look()
        heard = b""
        line.setblocking(False)
        while not heard.endswith(b"\n"):
            served.desk.look()
            heard += line.recv(1 << 16)
    answer: dict[str, object] = json.loads(heard)
    return answer


def test_a_desk_answers_and_its_socket_is_its_users_alone(served: Served) -> None:
    with served.desk:
        assert served.desk.path is not None
        assert stat.S_IMODE(os.stat(served.desk.path).st_mode) == 0o600
        first = asked(served, b'{"sessions": 5}\n')
        second = asked(served, b'{"sessions": 5}\n')
        assert asked(served, b'{"ban": "192.0.2.7", "for_s": 60}\n') == {"said": "192.0.2.7 is banned for 60 s"}
        assert asked(served, b'{"ban": "192.0.2.9"}\n') == {"said": "192.0.2.9 is banned until it is lifted"}
        assert asked(served, b'{"unban": "192.0.2.9"}\n') == {"said": "192.0.2.9 is no longer banned"}
        assert asked(served, b'{"unban": "192.0.2.9"}\n') == {"said": "192.0.2.9 was not banned"}
        assert asked(served, b'{"reload": true}\n') == {"said": "there is no guard file: --guard names one"}
        for wrong in (b"nonsense\n", b"[]\n", b'{"ban": "nobody"}\n', b'{"ban": 5}\n', b'{"sessions": "x"}\n', b"7\n",
                      b'{"ban": "192.0.2.7", "for_s": -1}\n', b'{"ban": "192.0.2.7", "for_s": "x"}\n'):
            assert asked(served, wrong).keys() == {"wrong"}, wrong
        text = text_of(rates(first, asked(served, b"{}\n")))
        assert "192.0.2.7/32" in text and "packets-flood" in text and "0 of 4 sessions" in text
        assert second["rules"] == first["rules"]
    assert not served.desk.path.exists()


def test_callers_who_say_nothing_or_too_much_are_let_go(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with served.desk:
        lines = []
        for _ in range(inspect.MOST_CALLERS):
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            line.connect(str(served.desk.path))
            lines.append(line)
        served.desk.look()
        assert len(served.desk._callers) == inspect.MOST_CALLERS
        lines[0].sendall(b"x" * (inspect.LONGEST_LINE + 1))
        served.desk.look()
        served.desk.look()
        lines[1].close()
        served.desk.look()
        assert len(served.desk._callers) == inspect.MOST_CALLERS - 2
        later = clock_us() + inspect.PATIENCE_US
        monkeypatch.setattr("server_app.inspect.clock_us", lambda: later)
        served.desk.look()
        assert served.desk._callers == []
        for line in lines:
            line.close()


def test_a_place_that_is_taken_and_one_that_was_left_over(served: Served) -> None:
    assert served.desk.path is not None
    with served.desk:
        with pytest.raises(sl.ConfigError, match="another server answers there; name another place, or off"):
            Desk(served.app, lambda: served.loop, served.rules, str(served.desk.path)).__enter__()
        served.desk.look()
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(served.desk.path))
    left.close()
    with served.desk:
        assert "ticks" in asked(served, b"{}\n")
    with pytest.raises(sl.ConfigError, match="no such|No such"):
        Desk(served.app, lambda: served.loop, served.rules, "/nowhere/at/all.sock").__enter__()


def test_inspect_without_a_server_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "server_app", "inspect"]
    for words in (["--path", str(tmp_path / "none.sock")], ["--port", "1"], ["--ban", "10.0.0.1", "--reload"],
                  ["--for", "5"]):
        done = subprocess.run([*command, *words], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stdout == "", done.stderr


def test_a_running_server_is_inspected_and_told_to_ban(tmp_path: Path) -> None:
    """The whole command, and SIGHUP, against a process of its own."""
    app, path, rules = tmp_path / "game.py", tmp_path / "inspect.sock", tmp_path / "guard.toml"
    app.write_text("from typing import Annotated as A\nimport shadowland as sl\nclass Stone(sl.Entity):\n"
                   "    place: A[sl.Vec2, sl.Quantized(step=1)] = (0, 0)\n"
                   "app = sl.Server(schema=sl.Schema([Stone], []))\n")
    rules.write_text(RULE.format(50))
    server = subprocess.Popen(
        [sys.executable, "-m", "server_app", "run", str(app), "--port", "0", "--inspect", str(path), "--guard",
         str(rules)], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        while "serving" not in server.stderr.readline():
            assert server.poll() is None
        command = [sys.executable, "-m", "server_app", "inspect", "--path", str(path)]

        def run(*words: str) -> str:
            return subprocess.run([*command, *words], capture_output=True, text=True, check=True).stdout

        while not path.exists():
            assert server.poll() is None
        assert run("--ban", "192.0.2.7", "--for", "900") == "192.0.2.7 is banned for 900 s\n"
        rules.write_text(RULE.format(70))
        assert "1 rules in force" in run("--reload")
        found = json.loads(run("--json"))
        assert [ban["network"] for ban in found["bans"]] == ["192.0.2.7/32"]
        assert [rule["per_second"] for rule in found["rules"]] == [70] and found["per_second"]["ticks"] > 10
    finally:
        server.terminate()
        server.wait()
        assert server.stderr is not None
        server.stderr.close()
    assert not path.exists()


def test_sighup_asks_for_the_rules_again(tmp_path: Path) -> None:
    path = tmp_path / "guard.toml"
    path.write_text(RULE.format(1))
    before = signal.getsignal(signal.SIGHUP)                    # under nohup it is ignored
    with Rules(sl.Server(), settings(guard=str(path))) as rules:
        path.write_text(RULE.format(44))
        os.kill(os.getpid(), signal.SIGHUP)
        rules.look()                                        # at once, no second later
        assert [one.rule.per_second for one in rules.app.guard.rules()] == [44]
    assert signal.getsignal(signal.SIGHUP) == before


def test_messages_that_fit_no_class_close_their_sender() -> None:
    app = sl.Server(schema=SCHEMA)

    @app.tick
    def step(t: sl.Tick) -> None:
        len(t[Word])                                        # decoded: who asks for nothing is told nothing

    with running(app) as url, sl.Client(url, app.identity.public_text, schema=SCHEMA) as client:
        kind, ended = SCHEMA.id_of(Word), None
        for _ in range(3000):
            try:
                client.poll()
                if client.connected:
                    client._endpoint.send(client._handle, 0, kind, b"far too long for a number")
            except sl.ConnectionLost as error:
                ended = error.reason
                break
            client._socket.wait(2000)
        assert ended == DisconnectReason.PROTOCOL_VIOLATION
        assert app.stats().rules == {"malformed": 1} and app.guard.bans() == []


def test_a_banned_player_is_told_and_a_session_can_be_banned() -> None:
    app = sl.Server(schema=SCHEMA, guard=Guard(Policy(rules=(
        Rule(name="handshakes", scope="address", what="handshakes", per_second=100, burst=100),))))

    @app.on_join
    def join(session: sl.Session) -> None:
        session.ban(60)

    def wait(client: sl.Client) -> DisconnectReason:
        with client:
            for _ in range(3000):
                try:
                    client.poll()
                except (sl.ConnectError, sl.ConnectionLost) as error:
                    return error.reason
                client._socket.wait(2000)
        raise AssertionError("nothing happened")

    with running(app) as url:
        key = app.identity.public_text
        assert wait(sl.Client(url, key, schema=SCHEMA)) == DisconnectReason.BANNED
        assert [ban.network for ban in app.guard.bans()] == ["127.0.0.1/32"]
        assert wait(sl.Client(url, key, schema=SCHEMA)) == DisconnectReason.BANNED
        assert app.stats().rules == {}

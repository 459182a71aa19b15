"""Connect tokens over real sockets: who a player is, who is refused, and what each side is told."""
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated as A

import pytest

import shadowland as sl
from server_app.cli import main
from shadowland.tokens import Issuer, read_token
from tests.server.running import running


class Guest(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)


SCHEMA = sl.Schema([Guest], [])
ISSUER = Issuer(b"i" * 32)


def club(*, required: bool = True) -> tuple[sl.Server, list[tuple[int | None, bytes]]]:
    app = sl.Server(schema=SCHEMA, capacity=8, token_keys=[ISSUER.public_text], tokens_required=required)
    seen: list[tuple[int | None, bytes]] = []

    @app.on_join
    def join(session: sl.Session) -> None:
        seen.append((session.player_id, session.user_data))

    return app, seen


def joined(client: sl.Client, seen: list[tuple[int | None, bytes]], count: int) -> None:
    client.wait()
    while len(seen) < count:
        client.poll()
        client._socket.wait(1000)


def test_a_session_is_the_player_whom_its_token_names() -> None:
    app, seen = club(required=False)
    with running(app) as url:
        token = ISSUER.issue(2**63, app.identity.public_text, data=b"red")
        with sl.Client(url, app.identity.public_text, schema=SCHEMA, token=token) as first:
            joined(first, seen, 1)
            with sl.Client(url, app.identity.public_text, schema=SCHEMA) as second:
                joined(second, seen, 2)
    assert seen == [(2**63, b"red"), (None, b"")]


def refusal(app: sl.Server, url: str, token: str | None) -> str:
    with sl.Client(url, app.identity.public_text, schema=SCHEMA, token=token) as client:
        with pytest.raises(sl.ConnectError) as refused:
            client.wait()
        assert refused.value.reason == sl.DisconnectReason.BAD_TOKEN
        return str(refused.value)


def test_a_refused_player_learns_why() -> None:
    app, seen = club()
    key, issue = app.identity.public_text, ISSUER.issue
    with running(app) as url:
        assert "lets nobody in without a token" in refusal(app, url, None)
        assert "was issued by nobody whom" in refusal(app, url, Issuer(b"o" * 32).issue(1, key))
        assert "for another server" in refusal(app, url, issue(1, sl.Identity(b"x" * 32).public_text))
        assert "expired" in refusal(app, url, issue(1, key, unix_s=1.0))
        once = issue(7, key)
        with sl.Client(url, key, schema=SCHEMA, token=once) as client:
            joined(client, seen, 1)
        assert "used already; get a new one" in refusal(app, url, once)
        assert app.stats().token_problems == {"MISSING": 1, "UNKNOWN_ISSUER": 1, "OTHER_SERVER": 1, "EXPIRED": 1,
                                              "SPENT": 1}
    assert seen == [(7, b"")]


def test_a_token_of_before_a_restart_is_refused() -> None:
    app, seen = club()
    once = ISSUER.issue(7, app.identity.public_text, unix_s=time.time() - 1)    # a start takes less than a millisecond
    for attempt in range(2):                    # the first run is older than the token as well
        with running(app) as url:
            if attempt == 0:
                fresh = ISSUER.issue(7, app.identity.public_text)
                with sl.Client(url, app.identity.public_text, schema=SCHEMA, token=fresh) as client:
                    joined(client, seen, 1)
            assert "before the server started" in refusal(app, url, once if attempt == 0 else fresh)


@pytest.mark.parametrize(("keys", "required", "says"), [
    (["sli1qqqq"], False, "is no issuer's key"),
    ([ISSUER.public_text] * 5, False, "token_keys has 5 keys"),
    ([], True, "tokens are required, but token_keys names no issuer"),
    ([sl.Identity(b"x" * 32).public_text], True, "does not begin with sli1"),
])
def test_a_wrong_configuration_is_one_line(keys: list[str], required: bool, says: str) -> None:
    with pytest.raises(sl.ConfigError, match=says) as refused:
        sl.Server(schema=SCHEMA, token_keys=keys, tokens_required=required)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [0, 1 << 25])
def test_a_wrong_number_of_spent_tokens_is_named(value: int) -> None:
    app = sl.Server(schema=SCHEMA, token_keys=ISSUER.public_text, spent_tokens=value)
    with pytest.raises(sl.UsageError, match=f"spent is {value}"):
        app.open(port=0)


Shown = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Shown:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as over:
            main(list(arguments))
        shown = capsys.readouterr()
        assert isinstance(over.value.code, int)
        return over.value.code, shown.out, shown.err
    return run


def test_the_command_makes_a_key_issues_a_token_and_shows_it(command: Shown, tmp_path: Path) -> None:
    path, server = tmp_path / "issuer.key", sl.Identity(b"x" * 32).public_text
    code, public, _ = command("token", "keygen", str(path))
    assert code == 0 and public.strip() == Issuer.load(path).public_text and path.stat().st_mode & 0o777 == 0o600
    code, text, _ = command("token", "issue", "77", "--issuer", str(path), "--server-key", server,
                            "--lifetime", "120", "--data", "red")
    assert code == 0 and (read_token(text).player_id, read_token(text).data) == (77, b"red")
    assert read_token(text).expires_s - read_token(text).issued_s == 120
    code, shown, _ = command("token", "show", text.strip())
    assert code == 0 and "player 77, expires in" in shown and f"for {server}" in shown and "b'red'" in shown
    code, line, _ = command("token", "show", text.strip(), "--json")
    assert code == 0 and '"player_id": 77' in line and line.count("\n") == 1


@pytest.mark.parametrize(("arguments", "says"), [
    (("issue", "1", "--issuer", "none.key", "--server-key", "slk1"), "issuer file none.key does not exist"),
    (("issue", "-1", "--issuer", "x", "--server-key", "x"), "-1"),
    (("issue", "1", "--issuer", "x"), "--server-key"),
    (("show", "slt1qq"), "no connect token"),
    (("show", "slk1qq"), "does not begin with slt1"),
])
def test_mistakes_are_one_line_and_exit_code_two(command: Shown, arguments: tuple[str, ...], says: str) -> None:
    code, out, error = command("token", *arguments)
    assert code == 2 and out == "" and says in error and error.count("\n") == 1

"""`python -m shadowland` from outside: exit codes, one line for a mistake, JSON last on stdout, no secret repeated."""
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from shadowland import __main__ as command
from shadowland._core.crypto import keys
from shadowland._core.wire import crc32c
from shadowland.tools import selftest

PLAIN = "0700000000030900000000000000" + "00" * 20


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "shadowland", *arguments], capture_output=True, text=True)


def test_versions_and_self_test() -> None:
    done = run()
    assert done.returncode == 0 and done.stderr == ""
    for name in ("shadowland", "python", "numpy", "cython", "libsodium", "lz4", "crc32c"):
        assert f"\n{name} " in "\n" + done.stdout
    assert "FAILED" not in done.stdout and "checks passed" in done.stdout


def test_versions_as_json() -> None:
    done = run("--json")
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["ok"] and done.stdout.count("\n") == 1
    assert said["versions"]["cython"][0] == "3" and set(said["self_test"].values()) == {"ok"}


def test_a_failing_primitive_shows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*arguments: object) -> bytes:
        raise RuntimeError("no such function")

    monkeypatch.setattr(crc32c, "checksum", lambda data, arm=None: 0)
    monkeypatch.setattr(keys, "hash256", broken)
    assert command.main([]) == 1
    out = capsys.readouterr().out
    assert "FAILED          crc32c generic: wrong answer" in out
    assert "FAILED          sha256 (FIPS 180-4): RuntimeError: no such function" in out
    assert command.main(["--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_every_self_test_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """With each room's doors replaced by ones that answer nonsense, every check notices."""
    class Nonsense:
        def __getattr__(self, name: str) -> object:
            return self

        def __call__(self, *arguments: object) -> object:
            return self

        def __bool__(self) -> bool:
            return False

        def __iter__(self) -> Iterator[str]:
            return iter(["generic"])

        def key_size(self, suite: object) -> int:
            return 16

    rooms = ["crc32c", "header", "varint", "bits", "quantize", "message", "aead", "keys", "noise", "cookie", "drbg",
             "replay", "lz4"]
    for room in rooms:
        monkeypatch.setattr(selftest, room, Nonsense())
    monkeypatch.setattr(crc32c, "checksum", lambda data, arm=None: 0)
    results = selftest.run()
    assert len(results) == 18 and "ok" not in results.values()


def test_decode_prints_the_header_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["decode", PLAIN]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["connection_id"], said["channel"], said["flags"], said["sequence"]) == (7, 0, 3, 9)
    for arguments in (["decode", PLAIN, "--json"], ["--json", "decode", PLAIN]):
        assert command.main(arguments) == 0
        out = capsys.readouterr().out
        assert json.loads(out) == said and out.count("\n") == 1


def test_a_key_that_does_not_open_is_an_answer_and_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["decode", PLAIN, "--key", "00" * 32]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["problem"]["reason"] == "AUTH_FAILED" and captured.err == ""


SECRET = "5ec3e7" * 10
MISTAKES = {
    "no hex": (["decode", "zz"], "the datagram is not hex"),
    "half a byte": (["decode", "123"], "the datagram is not hex"),
    "no header": (["decode", "0102"], "2 bytes are no datagram"),
    "nothing": (["decode", ""], "0 bytes are no datagram"),
    "no datagram": (["decode"], "HEX"),
    "a short key": (["decode", PLAIN, "--key", SECRET], "has 32 bytes, not 30"),
    "a key that is not hex": (["decode", PLAIN, "--key", SECRET + "x"], "--key is not hex"),
    "an unknown suite": (["decode", PLAIN, "--key", "00" * 32, "--suite", "des"], "suite 'des' is unknown"),
    "an epoch that is no number": (["decode", PLAIN, "--key", "00" * 32, "--epoch", "x"], "--epoch"),
    "an epoch without a key": (["decode", PLAIN, "--epoch", "1"], "--key"),
    "an unknown command": (["dekode"], "dekode"),
    "an unknown option": (["--yaml"], "--yaml"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, text = MISTAKES[name]
    assert command.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("python -m shadowland: ") and text in captured.err
    assert SECRET not in captured.err


def test_a_mistake_from_the_shell() -> None:
    done = run("decode", "zz")
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_help_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--help"]) == 0 and "decode" in capsys.readouterr().out

"""Integrity challenges over real sockets: who has the files stays, who has not goes, nobody else is asked."""
from pathlib import Path
from typing import Annotated as A

import pytest

import shadowland as sl
from shadowland._core.endpoint import checks
from shadowland.integrity import content_of
from tests.server.running import running


class Stone(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0.0, 0.0)


SCHEMA = sl.Schema([Stone], [])


def folder(path: Path, changed: bool = False) -> Path:
    (path / "scripts").mkdir(parents=True)
    (path / "game.bin").write_bytes(b"code" * 1000)
    (path / "scripts/aim.lua").write_bytes(b"help" if changed else b"none")
    return path


def lasts(app: sl.Server, url: str, passed: int, **options: object) -> bool:
    """Whether the session lives until so many challenges were answered."""
    with sl.Client(url, app.identity.public_text, schema=SCHEMA, **options) as client:  # type: ignore[arg-type]
        client.wait()
        before = checks.counts(app.endpoint)[0]
        try:
            while checks.counts(app.endpoint)[0] < before + passed:
                client.poll()
                client._socket.wait(1000)
        except sl.ConnectionLost as lost:
            assert lost.reason == sl.DisconnectReason.INTEGRITY_FAILED
            return False
        return True


def test_who_has_the_files_stays_and_who_has_not_goes(tmp_path: Path) -> None:
    right, wrong = folder(tmp_path / "right"), folder(tmp_path / "wrong", changed=True)
    app = sl.Server(schema=SCHEMA, capacity=8, integrity_every_us=50_000, integrity_answer_us=200_000)
    app.integrity(3, right)
    with running(app) as url:
        assert lasts(app, url, 3, client_build=3, integrity=folder(tmp_path / "copy"))
        assert not lasts(app, url, 3, client_build=3, integrity=wrong)
        assert not lasts(app, url, 3, client_build=3)                   # it says nothing: the deadline ends it
        assert lasts(app, url, 0, client_build=4)
        assert checks.counts(app.endpoint)[1] == 2


def test_content_is_bytes_a_file_or_a_folder(tmp_path: Path) -> None:
    path = folder(tmp_path / "game")
    assert content_of(b"x") == b"x" and content_of(path / "game.bin") == b"code" * 1000
    table = content_of(str(path))
    assert len(table) == 2 * 64 and table == content_of(folder(tmp_path / "other"))
    assert table != content_of(folder(tmp_path / "changed", changed=True))
    (path / "scripts/aim.lua").rename(path / "scripts/bim.lua")
    assert table != content_of(path)


def test_content_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, says in ((tmp_path / "none", "cannot be read .No such file"),
                         (tmp_path / "empty", "empty holds nothing"),
                         (b"", "the content holds nothing")):
        with pytest.raises(sl.ConfigError, match=says):
            content_of(source)
        with pytest.raises(sl.ConfigError, match=says):
            sl.Server(schema=SCHEMA).integrity(1, source)
        with pytest.raises(sl.ConfigError, match=says):
            sl.Client("sl://127.0.0.1:1", sl.Identity.generate().public_text, schema=SCHEMA, integrity=source)

"""`shadowland-server schema`: what is exported is what is hashed; a difference is read in words and an exit code."""
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APP = """
from typing import Annotated as A
import shadowland as sl
class Base(sl.Entity, abstract=True):
    health: A[int, sl.Range(0, {high})] = 100
class Orc(Base):
    angry: bool = False
class Chat(sl.Message, channel="reliable"):
    text: A[str, sl.MaxLen(200)] = ""
print("loaded")
app = sl.Server()
"""


def run(*arguments: object, seed: str = "0") -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "server_app", "schema", *map(str, arguments)], capture_output=True,
                          text=True, cwd=ROOT, env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": seed})
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def apps(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "old.py").write_text(APP.format(high=100))
    (tmp_path / "new.py").write_text(APP.format(high=200))
    return tmp_path / "old.py", tmp_path / "new.py"


def test_the_export_is_the_same_in_every_process_and_is_hashed(apps: tuple[Path, Path], tmp_path: Path) -> None:
    texts = []
    for seed in ("0", "1", "77"):
        out = tmp_path / f"{seed}.json"
        code, _, said = run("export", apps[0], "--out", out, seed=seed)
        assert code == 0 and said.startswith("schema "), said
        texts.append((out.read_bytes(), said))
    assert len(set(texts)) == 1
    digest = int.from_bytes(hashlib.sha256(texts[0][0].rstrip(b"\n")).digest()[:8], "little")
    assert texts[0][0].isascii() and texts[0][1] == f"schema {digest:016x}: 1 entities, 1 messages\n"
    assert digest == 0xd5e8e1bd911936c1             # on every machine, with every Python


def test_a_difference_is_read_and_is_the_exit_code(apps: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "old.json"
    assert run("export", apps[0], "--out", out)[0] == 0
    expected = "entity Orc.health: range changed 0..100 → 0..200: 7 → 8 bits\nentity Orc: 1 → 2 bytes of numbers\n"
    assert run("diff", out, apps[1]) == (1, expected, "")
    assert run("diff", apps[0], apps[1])[:2] == (1, expected)        # two applications, each with all its classes
    assert run("diff", apps[0], out) == (0, "", "")


def test_a_mistake_is_one_line_and_two(apps: tuple[Path, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    for source, problem in [(tmp_path / "nowhere.json", "No such file"), (broken, "it is no schema"),
                            (tmp_path / "nowhere.py", "there is no such file"), ("nomodule", "there is no module")]:
        code, out, said = run("diff", apps[0], source)
        assert (code, out) == (2, "") and len(said.splitlines()) == 1 and problem in said, said
    code, _, said = run("export", apps[0], "--out", tmp_path / "no" / "where")
    assert code == 2 and "name a file that can be written" in said.splitlines()[-1]

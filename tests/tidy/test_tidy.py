"""Invariant: the tree keeps to its own style; every rule is also shown a file that breaks it."""
import re
import subprocess
from pathlib import Path, PurePath

import pytest

from tests.tidy import rules

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = '"""Purpose in a sentence.\n\nOwner    a\nLimit    b\nThreads  c\n"""\n'


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """What is in the repository or about to be."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a repository: no list of its files")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [Path(name) for name in names if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    try:
        return (ROOT / path).read_text()
    except UnicodeDecodeError:
        return None


def test_every_file_is_tidy(files: list[Path]) -> None:
    texts = [(path, text) for path in files if (text := text_of(path)) is not None]
    assert [wrong for path, text in texts for wrong in rules.untidy(path, text)] == []


def test_no_file_is_large(files: list[Path]) -> None:
    assert [str(path) for path in files if (ROOT / path).stat().st_size > rules.LARGEST_BYTES] == []


def test_every_room_has_a_stub_and_every_stub_a_room() -> None:
    assert rules.unpaired(ROOT) == []


def test_every_exception_is_still_needed() -> None:
    for name in rules.LONG_FILES:
        assert (ROOT / name).read_text().count("\n") > rules.FILE_LINES, name
    for name in rules.LONG_FUNCTIONS:
        path, _, function = name.partition(":")
        functions = rules.python_functions if path.endswith(".py") else rules.cython_functions
        assert dict(functions((ROOT / path).read_text()))[function] > rules.FUNCTION_LINES, name
    for name in rules.SLEEPING_TESTS:
        assert "sleep(" in (ROOT / name).read_text(), name


def missing_tests(text: str, tests: Path) -> list[str]:
    """The tests that a page names (`folder/test_x.py::test_y`) and that are not there."""
    named = re.findall(r"`([a-z]+/test_\w+\.py)::(test_\w+)`", text)
    return [f"{path}::{name}" for path, name in named
            if not (tests / path).is_file() or f"\ndef {name}(" not in (tests / path).read_text()]


def test_every_test_that_a_page_names_is_there(tmp_path: Path) -> None:
    page = (ROOT / "docs/testing.md").read_text()
    assert page.count("::test_") > 40 and missing_tests(page, ROOT / "tests") == []
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit/test_x.py").write_text("\ndef test_a() -> None:\n    pass\n")
    text = "| a | `unit/test_x.py::test_a` |\n| b | `unit/test_x.py::test_b` |\n| c | `unit/test_z.py::test_a` |\n"
    assert missing_tests(text, tmp_path) == ["unit/test_x.py::test_b", "unit/test_z.py::test_a"]


def body(lines: int) -> str:
    return "".join(f"    a = {line}\n" for line in range(lines))


BAD = {
    "a long file": ("shadowland/x.py", "a = 1\n" * 451),
    "a long function": ("shadowland/x.py", "def f():\n" + body(70)),
    "a long method": ("shadowland/x.py", "class A:\n  async def f(self):\n" + body(70)),
    "a long kernel": ("_core/base/x.pxd", CONTRACT + "cdef inline int f(\n    int a,\n) noexcept nogil:\n" + body(70)),
    "no docstring": ("_core/base/x.pyx", "cdef int a = 1\n"),
    "an empty docstring": ("_core/base/x.pyx", '"""x"""\n'),
    "a contract without an owner": ("_core/base/x.pxd", CONTRACT.replace("Owner", "Mine")),
    "a contract without a limit": ("_core/base/x.pxd", CONTRACT.replace("Limit    b\n", "")),
    "a contract without threads": ("_core/base/x.pxd", CONTRACT.replace("Threads  c", "Threads")),
    "a space at the end": ("README.md", "a \n"),
    "a tab": ("_core/base/x.h", "\tint a;\n"),
    "an open last line": ("README.md", "a"),
    "work left over": ("docs/x.md", "TO" + "DO: write\n"),
    "a path of one machine": ("docs/x.md", "see /wo" + "rk/x\n"),
    "an empty assertion": ("tests/unit/test_x.py", "def test():\n    assert " + "True\n"),
    "a sleeping test": ("tests/unit/test_x.py", "import time\ntime.sleep(1)\n"),
}


@pytest.mark.parametrize("path, text", BAD.values(), ids=BAD.keys())
def test_an_untidy_file_is_found(path: str, text: str) -> None:
    assert len(rules.untidy(PurePath(path), text)) == 1


GOOD = {
    "a contract": ("_core/base/x.pxd", CONTRACT + "cdef int f() noexcept nogil:\n" + body(69) + "\ncdef int b\n"),
    "two kernels": ("_core/base/x.pxd", CONTRACT + ("cdef inline int f() noexcept nogil:\n" + body(60)) * 2),
    "a room": ("_core/base/x.pyx", '"""Purpose in a sentence."""\n'),
    "sleep outside tests": ("server_app/x.py", "import time\ntime.sleep(1)\n"),
    "an assertion": ("tests/unit/test_x.py", "def test():\n    assert Truer\n"),
}


@pytest.mark.parametrize("path, text", GOOD.values(), ids=GOOD.keys())
def test_a_tidy_file_is_left_alone(path: str, text: str) -> None:
    assert rules.untidy(PurePath(path), text) == []


def test_a_room_without_stub_and_a_stub_without_room_are_found(tmp_path: Path) -> None:
    for name in ("_core/base/a.pyx", "_core/base/b.pyx", "shadowland/_core/base/b.pyi", "shadowland/_core/base/c.pyi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert rules.unpaired(tmp_path) == ["base/a: no stub", "base/c: a stub without room"]

"""Invariant: the sdist holds every source of `_core`, a wheel every room; a forgotten line does not pass in silence."""
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import shadowland
from wheels import smoke

ROOT = Path(__file__).resolve().parents[2]
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text())


def absent(core: Path, listed: set[str]) -> list[str]:
    """The sources below `core` that a list of packed files lacks."""
    sources = [path for path in sorted(core.rglob("*")) if path.suffix in (".pyx", ".pxd", ".h")]
    return [name for path in sources if (name := str(path.relative_to(core.parent))) not in listed]


def test_the_sdist_holds_every_source(tmp_path: Path) -> None:
    # With an egg-info folder of its own: setuptools adds what an older list named, which hides a forgotten line.
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    environment = os.environ | {"SHADOWLAND_LINK_ONLY": "1"}
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=environment)
    listed = set(next(tmp_path.glob("*.egg-info/SOURCES.txt")).read_text().split())
    assert absent(ROOT / "_core", listed) == []
    assert {"setup.py", "pyproject.toml", "LICENSE", "shadowland/py.typed"} <= listed
    assert [name for name in listed if name.startswith("build/") or name.endswith(".so")] == []


def test_a_build_without_sources_refuses(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_bytes((ROOT / "setup.py").read_bytes())
    (tmp_path / "_core").mkdir()
    done = subprocess.run([sys.executable, "setup.py", "build"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no .pyx file" in done.stderr


def test_the_cimport_link_survives_a_copy_of_the_tree() -> None:
    link = ROOT / "build/cimport/shadowland/_core"
    assert not link.readlink().is_absolute()        # else a copied tree reads the old one's .pxd files
    assert link.resolve() == ROOT / "_core"


def test_a_source_that_is_not_packed_is_found(tmp_path: Path) -> None:
    (tmp_path / "_core/base").mkdir(parents=True)
    for name in ("a.pyx", "a.pxd", "a.h", "notes.txt"):
        (tmp_path / "_core/base" / name).touch()
    assert absent(tmp_path / "_core", {"_core/base/a.pyx"}) == ["_core/base/a.h", "_core/base/a.pxd"]


def test_a_wheel_without_a_room_is_found(tmp_path: Path) -> None:
    (tmp_path / "_core/base").mkdir(parents=True)
    (tmp_path / "_core/base/a.pyx").touch()
    room = smoke.rooms(tmp_path / "_core")
    module, stub, typed = f"{room[0]}.cpython-311-x86_64-linux-gnu.so", f"{room[0]}.pyi", "shadowland/py.typed"
    assert smoke.missing_from([module, stub, typed], room) == []
    assert smoke.missing_from([stub, typed], room) == ["shadowland/_core/base/a.so"]
    assert smoke.missing_from([module, typed], room) == [stub]
    assert smoke.missing_from([module, stub], room) == [typed]


def test_the_version_is_said_once_in_two_places() -> None:
    assert METADATA["project"]["version"] == shadowland.__version__


def test_an_unbuilt_source_tree_names_the_fix(tmp_path: Path) -> None:
    for path in (ROOT / "shadowland").rglob("*.py"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    done = subprocess.run([sys.executable, "-c", "import shadowland"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ImportError" in done.stderr and "make build" in done.stderr

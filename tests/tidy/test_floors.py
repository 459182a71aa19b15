"""Invariant: imports and cimports go down the floors only, and the game server uses only what is public."""
from pathlib import Path

import pytest

import shadowland
from tests.tidy import floors

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = {"Server", "connect", "__version__"}


def test_every_import_of_the_tree_goes_down() -> None:
    assert floors.violations(ROOT, set(shadowland.__all__)) == []


def test_every_excuse_is_still_needed() -> None:
    for path, module in floors.EXCUSED:
        assert module in {found.module for found in floors.imports_of(Path(path), (ROOT / path).read_text())}, path


def test_the_public_face_is_small() -> None:
    assert len(shadowland.__all__) <= 30
    assert all(hasattr(shadowland, name) for name in shadowland.__all__)


def test_every_floor_is_a_package_and_every_package_a_floor() -> None:
    sources = {path.parent.relative_to(ROOT / "_core").parts[0] for path in (ROOT / "_core").rglob("*.p[yx][xd]")}
    packages = {path.parent.name for path in (ROOT / "shadowland/_core").glob("*/__init__.py")}
    assert sources <= packages <= set(floors.MAY_IMPORT)


BAD = {
    "cimport upwards": ("_core/base/x.pxd", "from shadowland._core.wire.cursor cimport Cursor"),
    "cimport upwards, relative": ("_core/base/x.pxd", "from ..wire.cursor cimport Cursor"),
    "cimport of a floor's room": ("_core/wire/x.pxd", "from shadowland._core.session cimport replay"),
    "plain cimport": ("_core/wire/x.pyx", "cimport shadowland._core.base.slab, shadowland._core.session.replay as r"),
    "cimport over several lines": ("_core/wire/x.pxd", "from ..session.replay cimport (\n    a,\n)"),
    "cimport after a backslash": ("_core/wire/x.pxd", "from shadowland._core.session.replay \\\n    cimport a"),
    "import in a function": ("_core/wire/x.pyx", "def f():\n    from shadowland._core.udp import a\n    return a"),
    "import in a stub": ("shadowland/_core/wire/x.pyi", "from shadowland._core.session.replay import Window"),
    "crypto and compress are neighbours": ("_core/crypto/x.pxd", "from shadowland._core.compress.lz4 cimport a"),
    "udp knows no session": ("_core/udp/x.pxd", "from shadowland._core.session.replay cimport a"),
    "udp knows no endpoint": ("_core/udp/x.pyx", "from shadowland._core.endpoint.table import a"),
    "udp and world are neighbours": ("_core/udp/x.pxd", "from shadowland._core.world.grid cimport a"),
    "world knows no endpoint": ("_core/world/x.pxd", "from shadowland._core.endpoint.table cimport a"),
    "guard knows no session": ("_core/guard/x.pxd", "from shadowland._core.session.replay cimport a"),
    "guard knows no endpoint": ("_core/guard/x.pyx", "from shadowland._core.endpoint.table import a"),
    "endpoint knows no udp": ("_core/endpoint/x.pxd", "from shadowland._core.udp.mmsg cimport a"),
    "core knows nothing public": ("_core/endpoint/x.pyx", "from shadowland.tools import decode"),
    "core knows nothing public, plainly": ("_core/endpoint/x.pyx", "import shadowland"),
    "core knows no game": ("_core/endpoint/x.pyx", "import server_app.cli"),
    "a header upwards": ("_core/base/x.pxd", 'cdef extern from "wire/crc32c.h" nogil:\n    int a()'),
    "a header in a header": ("_core/base/x.h", '#include "wire/crc32c.h"'),
    "a socket outside udp": ("_core/endpoint/x.pyx", "import socket"),
    "a socket header outside udp": ("_core/endpoint/x.pxd", "cdef extern from '<sys/socket.h>':\n    int a()"),
    "a clock in C code": ("_core/session/x.pxd", 'cdef extern from *:\n    """\n#include <time.h>\n"""\n    int a()'),
    "a clock of libc": ("_core/session/x.pyx", "from libc.time cimport time"),
    "an unknown floor": ("_core/cellar/x.pyx", "import math"),
    "the library knows no game": ("shadowland/server.py", "from server_app import cli"),
    "the game reaches into the core": ("server_app/x.py", "from shadowland._core.base import batch"),
    "the game reaches into the core, plainly": ("server_app/x.py", "import shadowland._core.base.batch"),
    "the game imports a private name": ("server_app/x.py", "from shadowland import _secret"),
    "the game imports a private module": ("server_app/x.py", "from shadowland.server import Server"),
    "the game reads a private attribute": ("server_app/x.py", "import shadowland as sl\nsl.handlers.run()"),
    "an example reaches into the core": ("examples/x.py", "from shadowland._core.base import batch"),
}


@pytest.mark.parametrize("path, text", BAD.values(), ids=BAD.keys())
def test_an_import_that_goes_up_is_found(path: str, text: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text + "\n")
    assert len(floors.violations(tmp_path, PUBLIC)) == 1


GOOD = {
    "down": ("_core/session/x.pxd", "from shadowland._core.base.slab cimport a\nfrom ..crypto.aead cimport b"),
    "beside": ("_core/session/x.pxd", "from shadowland._core.session.replay cimport a\nfrom .ack cimport b"),
    "from outside": ("_core/session/x.pyx", "from libc.stdint cimport uint64_t\nimport struct"),
    "words in a docstring": ("_core/base/x.pxd", '"""\nfrom shadowland._core.udp.mmsg cimport a\n"""'),
    "words in a comment": ("_core/base/x.pxd", "# from shadowland._core.udp.mmsg cimport a"),
    "sockets in udp": ("_core/udp/x.pyx", "import socket\nfrom libc.time cimport time"),
    "the core from the library": ("shadowland/server.py", "from shadowland._core.endpoint import table"),
    "public names": ("server_app/x.py", "import shadowland as sl\nfrom shadowland import Server\nsl.connect()"),
    "public submodules": ("server_app/x.py", "from shadowland.testing import Network\nfrom shadowland import swarm"),
}


@pytest.mark.parametrize("path, text", GOOD.values(), ids=GOOD.keys())
def test_an_import_that_goes_down_is_left_alone(path: str, text: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text + "\n")
    assert floors.violations(tmp_path, PUBLIC) == []

"""Who may import whom. Reads imports and cimports out of sources and says which of them go up or sideways.

    base <- wire <- crypto, compress <- session <- endpoint
                    crypto <- guard             <- endpoint
                 <- udp, world          beside endpoint: they know neither it, nor session, nor each other

`_core` knows nothing above itself; `server_app` and examples know only the public names of `shadowland`.
"""
import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAY_IMPORT: dict[str, set[str]] = {
    "base": set(),
    "wire": {"base"},
    "crypto": {"base", "wire"},
    "compress": {"base", "wire"},
    "session": {"base", "wire", "crypto", "compress"},
    "guard": {"base", "crypto"},
    "endpoint": {"base", "wire", "crypto", "compress", "session", "guard"},
    "udp": {"base", "wire"},
    "world": {"base", "wire"},
}
PUBLIC_SUBMODULES = {
    "authority", "effects", "errors", "guard", "prediction", "relations", "rewind", "schema", "standing", "swarm",
    "testing", "tokens", "tools", "truth",
}

# The protocol takes bytes and the time as arguments. udp is the one floor that knows a socket.
OUTSIDE_WORLD = {"asyncio", "random", "secrets", "select", "selectors", "socket", "ssl", "threading", "time"}
OUTSIDE_HEADERS = {"sys/socket.h", "netinet/in.h", "time.h", "sys/time.h", "sys/random.h", "pthread.h", "unistd.h"}

# Named exceptions: a file, what it reaches, and why it may.
EXCUSED = {
    ("_core/base/records.pyx", "socket"): "its Python door turns the interface of fe80::1%eth0 into an index",
}


class Import(NamedTuple):
    line: int
    module: str                     # "a.b" of `import a.b`, "a.b.c" of `from a.b import c`; a header as "base/x.h"
    header: bool = False


# --- reading -------------------------------------------------------------------------------------------------------

def package_of(path: Path) -> list[str]:
    """The package a file of the tree belongs to; sources in `_core` become modules of shadowland._core."""
    parts = list(path.parent.parts)
    return ["shadowland", *parts] if parts[:1] == ["_core"] else parts


def absolute(package: list[str], dots: int, module: str) -> str:
    base = package[: len(package) - dots + 1] if dots else []
    return ".".join([*base, *([module] if module else [])])


def python_imports(text: str, package: list[str]) -> Iterator[Import]:
    """Every import of a Python source, wherever it stands: also in functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(package, node.level, node.module or "")
            yield from (Import(node.lineno, f"{module}.{name.name}") for name in node.names)


QUIET = re.compile(r"('''|\"\"\").*?\1|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|\#[^\n]*", re.DOTALL)
FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+c?import[ \t]+(\([^)]*\)|[^\n;]*)", re.MULTILINE)
PLAIN = re.compile(r"^[ \t]*c?import[ \t]+([^\n;]*)", re.MULTILINE)
EXTERN = re.compile(r"^[ \t]*cdef[ \t]+(?:public[ \t]+)?extern[ \t]+from[ \t]+[\"']<?([^\"'>]+)>?[\"']", re.MULTILINE)
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]+[<\"]([^>\"]+)[>\"]", re.MULTILINE)


def code_only(text: str) -> str:
    """Cython source without comments and without long strings, line numbers kept."""
    def blank(match: re.Match[str]) -> str:
        found = match.group()
        return found if found[0] in "'\"" and not match.group(1) else "\n" * found.count("\n")
    return QUIET.sub(blank, text).replace("\\\n", " ")


def names_of(listed: str) -> list[str]:
    return [part.split()[0] for part in listed.strip("()").replace("\n", " ").split(",") if part.strip()]


def cython_imports(text: str, package: list[str]) -> Iterator[Import]:
    """Every import, cimport and foreign header of a Cython source."""
    code = code_only(text)

    def line(match: re.Match[str]) -> int:
        return code.count("\n", 0, match.start()) + 1

    for match in FROM.finditer(code):
        module = absolute(package, len(match[1]), match[2])
        yield from (Import(line(match), f"{module}.{name}") for name in names_of(match[3]))
    for match in PLAIN.finditer(code):
        yield from (Import(line(match), name) for name in names_of(match[1]))
    for match in EXTERN.finditer(code):
        yield Import(line(match), match[1], header=True)
    # C code in a long string: `cdef extern from *: """#include <time.h>"""`
    for match in INCLUDE.finditer(text):
        yield Import(text.count("\n", 0, match.start()) + 1, match[1], header=True)


def header_imports(text: str) -> Iterator[Import]:
    for match in INCLUDE.finditer(text):
        yield Import(text.count("\n", 0, match.start()) + 1, match[1], header=True)


def imports_of(path: Path, text: str) -> Iterator[Import]:
    if path.suffix in (".py", ".pyi"):
        return python_imports(text, package_of(path))
    if path.suffix in (".pyx", ".pxd"):
        return cython_imports(text, package_of(path))
    return header_imports(text)


# --- judging -------------------------------------------------------------------------------------------------------

def judge_core(floor: str, found: Import) -> str | None:
    parts = found.module.replace("/", ".").split(".")
    if found.header:
        target = parts[0] if parts[0] in MAY_IMPORT else None
    elif parts[:2] == ["shadowland", "_core"]:
        target = parts[2] if len(parts) > 2 else None
    elif parts[0] in ("shadowland", "server_app", "tests"):
        return f"_core imports {found.module}: it knows nothing above itself"
    else:
        target = None
    if target is not None and target != floor and target not in MAY_IMPORT.get(floor, set()):
        return f"floor {floor} reaches {found.module}: it may know {', '.join(sorted(MAY_IMPORT[floor])) or 'no other'}"
    outside = found.module in OUTSIDE_HEADERS if found.header else parts[0] in OUTSIDE_WORLD
    system = parts[:2] in (["libc", "time"], ["posix", "time"], ["posix", "unistd"])
    if floor != "udp" and (outside or system):
        return f"floor {floor} reaches {found.module}: only udp knows sockets, clocks and the system"
    return None


def judge_library(found: Import) -> str | None:
    if found.module.split(".")[0] in ("server_app", "tests"):
        return f"shadowland imports {found.module}: the library does not know its users"
    return None


def judge_user(found: Import, public: set[str]) -> str | None:
    parts = found.module.split(".")
    if parts[0] != "shadowland" or len(parts) == 1:
        return None
    if parts[1] in PUBLIC_SUBMODULES:
        private = [part for part in parts[2:] if part.startswith("_")]
        return f"{found.module} is private" if private else None
    if len(parts) == 2 and parts[1] in public:
        return None
    return f"{found.module} is not a public name of shadowland"


def attributes_of_shadowland(text: str) -> Iterator[Import]:
    """`sl.Name` after `import shadowland as sl`, as if it were imported."""
    tree = ast.parse(text)
    aliases = {
        name.asname or "shadowland"
        for node in ast.walk(tree) if isinstance(node, ast.Import)
        for name in node.names if name.name == "shadowland" or (not name.asname and name.name.startswith("shadowland."))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            yield Import(node.lineno, f"shadowland.{node.attr}")


def judge(path: Path, text: str, public: set[str]) -> list[str]:
    """What is wrong with the imports of one file; `path` is relative to the root of the tree."""
    top = path.parts[0]
    package = package_of(path)
    wrong: list[tuple[int, str | None]] = []
    if package[:2] == ["shadowland", "_core"]:
        floor = package[2] if len(package) > 2 else ""
        if floor and floor not in MAY_IMPORT:
            return [f"{path}: no floor is called {floor}"]
        imports = [found for found in imports_of(path, text) if (str(path), found.module) not in EXCUSED]
        wrong = [(found.line, judge_core(floor, found)) for found in imports]
    elif top == "shadowland":
        wrong = [(found.line, judge_library(found)) for found in imports_of(path, text)]
    elif top in ("server_app", "examples"):
        uses = [*imports_of(path, text), *attributes_of_shadowland(text)]
        wrong = [(found.line, judge_user(found, public)) for found in uses]
    return sorted(f"{path}:{line}: {reason}" for line, reason in set(wrong) if reason)


def violations(root: Path, public: set[str]) -> list[str]:
    """What is wrong in a whole tree."""
    wrong: list[str] = []
    for top in ("_core", "shadowland", "server_app", "examples"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in (".py", ".pyi", ".pyx", ".pxd", ".h") and path.is_file():
                wrong += judge(path.relative_to(root), path.read_text(), public)
    return wrong

"""What a tidy source looks like. Each rule takes a path relative to the root and a text, and says what is wrong."""
import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

FILE_LINES = 450                            # about 400 is meant; the rest is room to breathe
FUNCTION_LINES = 70
LARGEST_BYTES = 1 << 20
CYTHON = {".pyx", ".pxd"}
CODE = {".py", ".pyi", ".h", *CYTHON}

# Named exceptions, each with its reason.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}         # "path:name"
ATTACK = "a program that plays against a live server over real sockets for as long as it is told"
SLEEPING_TESTS: dict[str, str] = {
    "tests/server/test_deliveries.py": "threads wait on loops of their own, clients on a real socket",
    "tests/unit/test_limits_settings.py": "async handlers run on a thread of their own, by a clock on the wall",
    "tests/soak/soak.py": "a program; its real half keeps the pace of a clock on the wall",
    "tests/soak/town.py": "waits where the kernel's send buffer is full",
    "tests/attack/members.py": ATTACK, "tests/attack/rig.py": ATTACK, "tests/attack/strangers.py": ATTACK,
}

Rule = Callable[[PurePath, str], Iterator[str]]

# Put together here, so that this file does not hold the words it looks for.
LEFT_OVER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
EMPTY_ASSERT = re.compile(r"^\s*assert\s+True\b", re.MULTILINE)
MACHINE_WORDS = re.compile(r"(?<![\w.])/(?:work|root|home/\w+)/|\.lib" + r"rary\b|\bpypi-" + r"more\b")
LONG_STRING = re.compile(r"\"\"\"(.*?)\"\"\"", re.DOTALL)
CYTHON_FUNCTION = re.compile(r"^([ ]*)(?:cdef(?! class)|cpdef|def)\b[^=\n]*?(\w+)\s*\(", re.MULTILINE)


def file_length(path: PurePath, text: str) -> Iterator[str]:
    lines = text.count("\n")
    if path.suffix in CODE and lines > FILE_LINES and str(path) not in LONG_FILES:
        yield f"{path}: {lines} lines, more than {FILE_LINES}: split it, or name it in LONG_FILES with the reason"


def python_functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def cython_functions(text: str) -> Iterator[tuple[str, int]]:
    """By indentation: a function lasts until the next line that is indented no further than its `def`."""
    lines = text.split("\n")
    for match in CYTHON_FUNCTION.finditer(text):
        first = text.count("\n", 0, match.start())
        depth, open_brackets, last = len(match[1]), 0, first
        for number in range(first, len(lines)):
            line = lines[number]
            indent = len(line) - len(line.lstrip())
            if line.strip():
                if number > first and open_brackets <= 0 and indent <= depth:
                    break
                last = number
            open_brackets += line.count("(") - line.count(")")
        yield match[2], last - first + 1


def function_length(path: PurePath, text: str) -> Iterator[str]:
    found: Iterator[tuple[str, int]] = iter(())
    if path.suffix == ".py":
        found = python_functions(text)
    elif path.suffix in CYTHON:
        found = cython_functions(text)
    for name, lines in found:
        if lines > FUNCTION_LINES and f"{path}:{name}" not in LONG_FUNCTIONS:
            yield f"{path}: {name} has {lines} lines, more than {FUNCTION_LINES}"


def opening(path: PurePath, text: str) -> Iterator[str]:
    """A Cython file opens with its purpose; a contract also with owner, limit and threads."""
    if path.suffix not in CYTHON:
        return
    docstring = LONG_STRING.match(text)
    if docstring is None or not re.match(r"\S[^\n]{9,}", docstring[1]):
        yield f"{path}: opens without a docstring that says what it is for"
    elif path.suffix == ".pxd":
        for word in ("Owner", "Limit", "Threads"):
            if not re.search(rf"^{word}\b +\S", docstring[1], re.MULTILINE):
                yield f"{path}: its docstring has no line `{word}`"


def spaces(path: PurePath, text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield f"{path}:{number}: space at the end of the line"
        if "\t" in line and path.suffix in CODE:
            yield f"{path}:{number}: a tab"
    if text and not text.endswith("\n"):
        yield f"{path}: the last line does not end"


def left_overs(path: PurePath, text: str) -> Iterator[str]:
    for match in LEFT_OVER.finditer(text):
        yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]} belongs into an issue"


def machine_words(path: PurePath, text: str) -> Iterator[str]:
    for match in MACHINE_WORDS.finditer(text):
        yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]} means nothing on another machine"


def honest_tests(path: PurePath, text: str) -> Iterator[str]:
    if path.parts[0] != "tests" or path.suffix != ".py":
        return
    if EMPTY_ASSERT.search(text):
        yield f"{path}: an assertion that cannot fail"
    if str(path) not in SLEEPING_TESTS:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "asyncio.sleep", "sleep"):
                yield f"{path}:{node.lineno}: sleeps: take the virtual clock, or name the file in SLEEPING_TESTS"


RULES: tuple[Rule, ...] = (
    file_length, function_length, opening, spaces, left_overs, machine_words, honest_tests,
)


def untidy(path: PurePath, text: str) -> list[str]:
    return [wrong for rule in RULES for wrong in rule(path, text)]


def unpaired(root: Path) -> list[str]:
    """Rooms without a stub, and stubs without a room."""
    rooms = {path.relative_to(root / "_core").with_suffix("") for path in (root / "_core").rglob("*.pyx")}
    package = root / "shadowland/_core"
    stubs = {path.relative_to(package).with_suffix("") for path in package.rglob("*.pyi")}
    lonely = [f"{room}: no stub" for room in rooms - stubs] + [f"{stub}: a stub without room" for stub in stubs - rooms]
    return sorted(lonely)

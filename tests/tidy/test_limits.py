"""Invariant: every row of docs/config.md that a peer can lean against is named by a test of its enforcement."""
import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/config.md"
FIXED = "| what a peer controls | limit | beyond it |"
SECTIONS = ("limits", "security")
NOT_A_LIMIT = {"cipher"}


def rows(text: str, start: int) -> list[str]:
    """First column of the table that begins at `start`, without its head."""
    found = []
    for line in text[start:].splitlines()[2:]:
        if not line.startswith("|"):
            break
        found.append(line.split("|")[1].strip())
    return found


def name_of(row: str) -> str:
    """`length of a datagram` is tested by test_length_of_a_datagram, `half_open` by test_half_open."""
    return "test_" + "_".join(re.findall(r"[a-z0-9]+", row.lower()))


def limits_of(page: str) -> list[str]:
    """The rows that need a test."""
    found = rows(page, page.index(FIXED))
    for section in SECTIONS:
        table = page.index("| key | default |", page.index(f"## [{section}]"))
        found += [row for row in (row.strip("`") for row in rows(page, table)) if row not in NOT_A_LIMIT]
    return found


def names_there() -> set[str]:
    return {node.name for path in (ROOT / "tests/unit").glob("test_limits_*.py")
            for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def missing(page: str, there: set[str]) -> list[str]:
    return [row for row in limits_of(page) if name_of(row) not in there]


def test_every_row_has_a_test_of_its_name() -> None:
    there = names_there()
    assert missing(PAGE.read_text(), there) == [], "write tests/unit/test_limits_*.py: test_<row, with underscores>"
    assert len(limits_of(PAGE.read_text())) > 40


def test_a_new_row_is_missed() -> None:
    page, there = PAGE.read_text(), names_there()
    fixed = page.replace("| streams |", "| whispers | 3 | BAD_FRAME |\n| streams |")
    keyed = page.replace("| `blocks` |", "| `whispers` | 1 | 1 to 2 | of one |\n| `blocks` |")
    for changed in (fixed, keyed):
        assert changed != page and missing(changed, there) == ["whispers"]
    assert missing(page, there - {"test_streams"}) == ["streams"]

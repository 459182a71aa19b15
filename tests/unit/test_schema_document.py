"""The examples of docs/schema.md do what the page says, and its tables are those of the code."""
import doctest
import re
from pathlib import Path

from shadowland.schema import MESSAGE_LIMITS
from shadowland.schema.body import RESERVED

PATH = Path(__file__).parents[2] / "docs" / "schema.md"


def test_the_examples_run() -> None:
    # As a module would have it: class bodies look their names up there.
    result = doctest.testfile(str(PATH), module_relative=False, globs={"__name__": "__main__"})
    assert result.attempted > 20 and result.failed == 0


def test_the_limits_are_those_of_the_code() -> None:
    rows = re.findall(r'^\| `"(\w+)"`.*\| ([\d,]+) \|$', PATH.read_text(), re.M)
    assert {name: int(limit.replace(",", "")) for name, limit in rows} == MESSAGE_LIMITS


def test_the_reserved_names_are_those_of_the_code() -> None:
    sentence = re.search(r"are none of (.*?)\. A field", PATH.read_text(), re.S)
    assert sentence and set(re.findall(r"`(\w+)`", sentence[1])) == RESERVED

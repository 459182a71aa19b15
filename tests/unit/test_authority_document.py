"""Every example of docs/authority.md does what the page says."""
import doctest
import re
from pathlib import Path

from shadowland.authority import Outcome, Verdict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "authority.md"


def test_the_examples_of_the_page() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert failed == 0 and tried > 10


def test_the_page_lists_verdicts_and_outcomes() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z]+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [(str(one.value), one.name) for one in (*Verdict, *Outcome)]

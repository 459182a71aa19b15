"""Every example of docs/rewind.md does what the page says."""
import doctest
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rewind.md"


def test_the_examples_of_the_page() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert failed == 0 and tried > 12

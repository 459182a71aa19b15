"""What the README shows is what the tree holds."""
import re
from pathlib import Path

import shadowland as sl

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_example_is_the_file() -> None:
    assert (ROOT / "examples/first_world.py").read_text().rstrip() in README


def test_every_linked_page_and_every_folder_of_the_map_exists() -> None:
    named = re.findall(r"\]\(([\w./-]+)\)", README) + re.findall(r"^\| `([\w./-]+)` \|", README, re.M)
    assert len(named) > 12
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"make ([a-z]+)(?![a-z-])", README)) <= targets


def test_the_public_names_are_at_most_thirty_and_all_there() -> None:
    assert len(sl.__all__) <= 30
    assert [name for name in sl.__all__ if not hasattr(sl, name)] == []

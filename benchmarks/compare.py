"""Sets two results of one benchmark side by side: python -m benchmarks.compare before.json after.json

Each file holds what a benchmark printed; its last lines are the JSON, one for each table. Ratios are after ÷ before.
Exit 2 with one line if a file cannot be compared.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, table


def load(path: str) -> dict[str, dict[str, Any]]:
    """The JSON documents of a file by their benchmark; SystemExit 2 with a sentence if its last line is none."""
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = Path(path).read_text().strip().split("\n")
        for number, line in enumerate(lines, 1):
            if not line.startswith("{") and number < len(lines):
                continue
            document = json.loads(line)
            if not {"benchmark", "keys", "rows"} <= document.keys():
                raise ValueError(f"line {number} is not a benchmark's JSON")
            found[document["benchmark"]] = document
    except (OSError, ValueError, AttributeError) as error:
        print(f"compare: {path}: {error}; give two files that hold what a benchmark printed", file=sys.stderr)
        raise SystemExit(2) from None
    return found


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Row]:
    """One row for each number of each row that stands in either document."""
    keys = before["keys"]

    def by_key(document: dict[str, Any]) -> dict[tuple[Any, ...], Row]:
        return {tuple(row.get(key) for key in keys): row for row in document["rows"]}

    old, new = by_key(before), by_key(after)
    rows = []
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key, {}), new.get(key, {})
        for name in dict.fromkeys([*a, *b]):
            pair = a.get(name), b.get(name)
            if name in keys or not any(isinstance(value, int | float) for value in pair):
                continue
            numbers = [value for value in pair if isinstance(value, int | float)]
            ratio = round(numbers[1] / numbers[0], 3) if len(numbers) == 2 and numbers[0] else None
            rows.append(dict(zip(keys, key, strict=True)) | {
                "measure": name, "before": pair[0], "after": pair[1], "ratio": ratio,
            })
    return rows


def main() -> None:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
    before, after = load(sys.argv[1]), load(sys.argv[2])
    both = [name for name in before if name in after]
    if not both:
        print(f"compare: {sys.argv[1]} is of {', '.join(before)}, {sys.argv[2]} of {', '.join(after)}; "
              "only runs of the same benchmark compare", file=sys.stderr)
        raise SystemExit(2)
    for name in both:
        old, new = before[name], after[name]
        for label, document in ((f"{name}, before", old), ("after", new)):
            print(f"{label}: commit {document.get('commit')}, {document.get('machine')}, busy {document.get('busy')}")
        if old.get("settings") != new.get("settings"):
            print(f"settings differ: {old.get('settings')} and {new.get('settings')}")
        print(table(compare(old, new)))


if __name__ == "__main__":
    main()

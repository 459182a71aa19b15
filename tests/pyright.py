"""Pyright over the examples, and over the typing test's program: it must object to the lines that mypy objects to.

`make types` fetches it, with the node that it runs on; neither is needed for anything else.
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.unit.test_schema_typing import ASKING, PROGRAM, REVEALED

ROOT = Path(__file__).parents[1]


def run(*paths: Path) -> list[dict[str, Any]]:
    """What pyright says of these files."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "pyrightconfig.json"
        settings.write_text(json.dumps({
            "include": [str(path) for path in paths], "extraPaths": [str(ROOT), str(ROOT / "examples")],
            "pythonVersion": "3.11", "typeCheckingMode": "standard"}))
        command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable,
                   "-p", str(settings)]
        done = subprocess.run(command, capture_output=True, text=True)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["generalDiagnostics"]
    except ValueError:
        sys.exit(done.stderr or "pyright said nothing")
    return found


def main() -> int:
    """0 if the examples are clean and each wrong line of the program, and no other, draws an error."""
    problems = [f"{entry['file']}:{entry['range']['start']['line'] + 1}: {entry['message']}"
                for entry in run(ROOT / "examples")]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program.py"
        program.write_text(PROGRAM + ASKING)
        found = run(program)
    wrong = {entry["range"]["start"]["line"] + 1 for entry in found if entry["severity"] == "error"}
    expected = {number for number, line in enumerate(PROGRAM.splitlines(), 1) if re.search(r"  # [a-z-]+$", line)}
    problems += [f"line {number} of the program should be an error" for number in sorted(expected - wrong)]
    problems += [f"line {number} of the program should be none" for number in sorted(wrong - expected)]
    said = [entry["message"] for entry in found if "Type of" in entry["message"]]
    untyped = [text for text in said if re.search('is "(Any|Unknown)"', text)]
    if len(said) != len(REVEALED) or untyped:
        problems += untyped or [f"{len(said)} of {len(REVEALED)} types were revealed"]
    print("\n".join(problems) or f"pyright: examples clean, {len(expected)} mistakes found, {len(said)} types known")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

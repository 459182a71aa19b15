"""Runs one target under libFuzzer in this process: `python -m tests.fuzz.child TARGET -max_total_time=10 FOLDER`.

tests/fuzz/__main__.py starts it, with the sanitizer's library loaded before Python.
"""
import importlib
import sys

from tests.fuzz.build import BUILD, ROOT
from tests.fuzz.targets import TARGETS


def main() -> int:
    name = sys.argv[1]
    sys.path.insert(0, str(ROOT / BUILD))
    module = importlib.import_module(TARGETS[name].module)
    if TARGETS[name].module == "endpoints":
        module.prepare(name.split("_")[0])
    return int(module.run(name, f"{sys.executable} -m tests.fuzz.child {name}", sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())

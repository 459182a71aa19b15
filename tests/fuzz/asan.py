"""make asan: the tests on extension modules that were compiled with AddressSanitizer and UndefinedBehaviorSanitizer.

    python -m tests.fuzz.asan [arguments of pytest, in place of tests/unit tests/parity tests/sim tests/fuzz]

The tree is copied to build/asan and built there with gcc; the modules in use stay as they are. Any access out of
bounds, any use after free and any undefined operation ends the run with the place where it happened.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "build/asan"
FOLDERS = ("_core", "shadowland", "server_app", "tests", "benchmarks", "examples", "docs", "wheels")
FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "CHANGELOG.md", "Makefile")
SKIPPED = shutil.ignore_patterns("*.so", "__pycache__", "*.pyc", "_cyutility.c")
TESTS = ("tests/unit", "tests/parity", "tests/sim", "tests/fuzz")
FLAGS = {"SHADOWLAND_SANITIZE": "1"}


def copy_tree() -> None:
    """Bring build/asan up to the tree; what has not changed keeps its time, so that only the rest is built again."""
    for folder in FOLDERS:
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, COPY / folder, ignore=SKIPPED, copy_function=copy_newer, dirs_exist_ok=True)
            for path in sorted((COPY / folder).rglob("*")):
                mine = ROOT / path.relative_to(COPY)
                if path.is_file() and path.suffix in (".py", ".pyi", ".pyx", ".pxd") and not mine.exists():
                    path.unlink()
    for name in FILES:
        if (ROOT / name).exists():
            copy_newer(str(ROOT / name), str(COPY / name))


def copy_newer(source: str, target: str) -> None:
    if not os.path.exists(target) or os.stat(source).st_mtime != os.stat(target).st_mtime:
        shutil.copy2(source, target)


def library(name: str) -> str:
    """A sanitizer's library, which has to be there before Python is."""
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
    if not Path(found.strip()).is_absolute():
        sys.exit(f"make asan needs gcc's {name}; on Debian 12 it comes with: apt-get install -y gcc")
    return str(Path(found.strip()).resolve())


def main() -> int:
    COPY.mkdir(parents=True, exist_ok=True)
    copy_tree()
    subprocess.run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"], cwd=COPY, check=True,
                   env=os.environ | FLAGS, stderr=subprocess.DEVNULL)
    environment = os.environ | {
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",        # Python itself keeps what it never frees
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1", "PYTHONMALLOC": "malloc",
    }
    # --capture=sys: the sanitizers write to the process's own stderr, which pytest would swallow with the process.
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--capture=sys",
                           *(sys.argv[1:] or TESTS)], cwd=COPY, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())

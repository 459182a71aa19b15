"""Try a wheel as a stranger would: in an empty environment, outside the source tree. `smoke.py dist/NAME.whl`"""
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def rooms(core: Path) -> list[str]:
    """The rooms of a source tree, as paths without suffix below the package."""
    return sorted(f"shadowland/_core/{source.relative_to(core).with_suffix('')}" for source in core.glob("**/*.pyx"))


def missing_from(names: list[str], expected: list[str]) -> list[str]:
    """What a wheel with files `names` lacks: a built module and a stub for each room, and py.typed."""
    built = {name.split(".")[0] for name in names if name.endswith(".so")}
    wanted = [f"{room}.so" for room in expected if room not in built]
    wanted += [f"{room}.pyi" for room in expected if f"{room}.pyi" not in names]
    return wanted + [name for name in ["shadowland/py.typed"] if name not in names]


def run(*command: str | Path, folder: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}")


def main(wheel: Path) -> None:
    expected = rooms(ROOT / "_core")
    with zipfile.ZipFile(wheel) as archive:
        if missing := missing_from(archive.namelist(), expected):
            sys.exit(f"{wheel.name} lacks {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "venv", "fresh", folder=folder)
        binaries = Path(folder, "fresh", "bin")
        run(binaries / "python", "-m", "pip", "install", "--quiet", wheel.resolve(), folder=folder)
        modules = ["shadowland", "server_app", *(room.replace("/", ".") for room in expected)]
        run(binaries / "python", "-I", "-W", "error", "-c", f"import {', '.join(modules)}", folder=folder)
        if (ROOT / "shadowland/__main__.py").exists():
            run(binaries / "python", "-m", "shadowland", folder=folder)             # its self-test
        if (ROOT / "server_app/cli.py").exists() or (ROOT / "server_app/cli").exists():
            run(binaries / "shadowland-server", "--version", folder=folder)
    print(f"{wheel.name}: {len(expected)} rooms import in an empty environment")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

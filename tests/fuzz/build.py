"""Builds the fuzz targets: Cython to C, then clang with coverage for libFuzzer, AddressSanitizer and
UndefinedBehaviorSanitizer. Each file of targets becomes one module under build/fuzz.

The kernels are inline, so they are compiled into these modules, sanitizers and all; what a target only imports
(libsodium, LZ4, the doors of batches) runs as it was built.
"""
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path("tests/fuzz")
BUILD = Path("build/fuzz")
PACKAGES = "apt-get install -y --no-install-recommends clang-14 libclang-rt-14-dev"
COMPILERS = ("clang", *(f"clang-{version}" for version in range(22, 13, -1)))
SANITIZE = "-fsanitize=address,undefined,fuzzer-no-link"
FLAGS = ("-O1", "-g", "-fno-omit-frame-pointer", "-fPIC", "-shared", SANITIZE, "-fno-sanitize-recover=undefined",
         "-shared-libasan", "-Wl,-Bsymbolic", "-DSHADOWLAND_DEBUG=1", "-w")
DIRECTIVES = ("language_level=3", "boundscheck=False", "wraparound=False", "cdivision=True", "initializedcheck=False",
              "auto_pickle=False")


class NoCompiler(Exception):
    """No clang with libFuzzer; the text says how to get one."""


def runtime(compiler: str, name: str) -> Path | None:
    """A file of the compiler's runtime library, if it is there."""
    for spelling in (f"libclang_rt.{name}-x86_64", f"libclang_rt.{name}-aarch64", f"libclang_rt.{name}"):
        for ending in (".a", ".so"):
            found = Path(subprocess.run([compiler, f"-print-file-name={spelling}{ending}"], capture_output=True,
                                        text=True, check=True).stdout.strip())
            if found.is_absolute() and found.exists():
                return found
    return None


def shared_runtime(compiler: str) -> Path | None:
    """AddressSanitizer as a library that can be loaded before Python."""
    static = runtime(compiler, "asan")
    return None if static is None else next(iter(static.parent.glob(static.stem + ".so")), None)


def clang() -> str:
    """A clang that has all that is needed."""
    for compiler in COMPILERS:
        if shutil.which(compiler) and runtime(compiler, "fuzzer_no_main") and shared_runtime(compiler):
            return compiler
    raise NoCompiler("make fuzz needs clang with libFuzzer and AddressSanitizer. "
                     f"On Debian 12 this line brings them:\n  {PACKAGES}")


def stale(made: Path) -> bool:
    """Whether a source is newer than `made`."""
    if not made.exists():
        return True
    sources = [*ROOT.glob("_core/**/*.p[xy][dx]"), *(ROOT / HERE).glob("*.py*"), *(ROOT / HERE).glob("*.h")]
    return any(source.stat().st_mtime > made.stat().st_mtime for source in sources)


def build(name: str, compiler: str) -> Path:
    """Compile tests/fuzz/`name`.pyx if any source is newer than its module; returns the module's path."""
    made = ROOT / BUILD / (name + str(sysconfig.get_config_var("EXT_SUFFIX")))
    if not stale(made):
        return made
    source, code = HERE / f"{name}.pyx", BUILD / f"{name}.c"
    (ROOT / BUILD).mkdir(parents=True, exist_ok=True)
    directives = [word for directive in DIRECTIVES for word in ("-X", directive)]
    subprocess.run([sys.executable, "-m", "cython", "-3", "-I", "build/cimport", "-I", ".", "--module-name", name,
                    *directives, "-o", str(code), str(source)], cwd=ROOT, check=True)
    archive = runtime(compiler, "fuzzer_no_main")
    assert archive is not None
    part = made.with_suffix(".part")
    subprocess.run([compiler, *FLAGS, "-include", str(HERE / "memory.h"), "-I", "_core",
                    "-I", sysconfig.get_path("include"), str(code), str(archive), "-lstdc++", "-lm", "-lpthread",
                    "-o", str(part)], cwd=ROOT, check=True)
    part.replace(made)
    return made

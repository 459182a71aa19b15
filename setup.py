"""Builds the extension modules; everything else about the package stands in pyproject.toml.

Every `_core/<floor>/<room>.pyx` becomes `shadowland._core.<floor>.<room>`.

SHADOWLAND_DEBUG=1       bounds checks, and `SHADOWLAND_DEBUG` defined for the C compiler
SHADOWLAND_SANITIZE=1    the same under AddressSanitizer and UndefinedBehaviorSanitizer (`make asan`)
SHADOWLAND_LINK_ONLY=1   no modules: the Makefile sets it for the editable install, which would otherwise compile them
                         all once more, into a folder that is thrown away
"""
import os
import platform
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCES = Path("_core")
PACKAGE = Path("shadowland/_core")
SHARED_UTILITY = "shadowland._core._cyutility"
SANITIZE = os.environ.get("SHADOWLAND_SANITIZE", "0") not in ("", "0")
DEBUG = SANITIZE or os.environ.get("SHADOWLAND_DEBUG", "0") not in ("", "0")
LINK_ONLY = os.environ.get("SHADOWLAND_LINK_ONLY", "0") not in ("", "0")
MODE = "sanitize" if SANITIZE else "debug" if DEBUG else "release"
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def refuse_other_platforms() -> None:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ("x86_64", "aarch64"):
        sys.exit(f"shadowland-net builds on Linux on x86-64 and aarch64 only; this is {sys.platform} on {machine}")


def room_sources() -> list[Path]:
    sources = sorted(SOURCES.glob("**/*.pyx"))
    if not sources:                                 # an sdist that lost its sources would silently make an empty wheel
        sys.exit(f"no .pyx file under {SOURCES.resolve()}: run from the project's root, with a complete source tree")
    return sources


def link_cimport_root() -> str:
    """Let `cimport shadowland._core.base.x` find `_core/base/x.pxd`.

    The link is relative: with an absolute one a copied tree would silently read the .pxd files of the old one.
    """
    root = Path("build/cimport")
    link = root / "shadowland" / "_core"
    target = Path("../../../_core")
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.readlink() != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target, target_is_directory=True)
    return str(root)


def mode_file() -> str:
    """A file that is newer than every extension built in the other mode, so that a change of mode rebuilds them all."""
    path = Path("build/mode")
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text() != MODE:
        path.write_text(MODE)
    return str(path)


def delete_orphans(sources: list[Path]) -> None:
    """Delete built modules whose source is gone: Python would go on importing them."""
    rooms = {source.relative_to(SOURCES).with_suffix("") for source in sources} | {Path("_cyutility")}
    for root in (PACKAGE, *Path("build").glob(f"lib*/{PACKAGE}")):
        for built in root.glob("**/*.so"):
            if built.relative_to(root).with_name(built.name.split(".")[0]) not in rooms:
                print(f"deleting {built}: its source is gone")
                built.unlink()


def extensions(sources: list[Path]) -> list[Extension]:
    common = {
        "include_dirs": [str(SOURCES)],             # rooms may use plain headers: #include "base/x.h"
        "depends": ["setup.py", mode_file(), *map(str, sorted(SOURCES.glob("**/*.h")))],
        "extra_compile_args": [
            *(["-O1", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-g0"]),
            *(SANITIZERS if SANITIZE else []),
            "-ffp-contract=off",                    # a client on another processor moves to the same last bit
            "-Wno-sign-compare",                    # Cython compares every unsigned loop variable with an int
        ],
        "extra_link_args": SANITIZERS if SANITIZE else [],
        "define_macros": [("SHADOWLAND_DEBUG", "1")] if DEBUG else [],
    }
    modules = {SHARED_UTILITY: SOURCES / "_cyutility.c"}
    for source in sources:
        modules[".".join((*PACKAGE.parts, *source.relative_to(SOURCES).with_suffix("").parts))] = source
    return [Extension(name, [str(source)], **common) for name, source in modules.items()]


def built_modules() -> list[Extension]:
    sources = room_sources()
    delete_orphans(sources)
    return cythonize(
        extensions(sources),
        # "." for `from shadowland._core.udp cimport linux`: that a floor is a package is seen by its __init__.py, and a
        # build backend, unlike `python setup.py`, does not have the root on sys.path.
        include_path=[link_cimport_root(), "."],
        build_dir="build/cython-debug" if DEBUG else "build/cython",    # two, as Cython does not look at the mode file
        shared_utility_qualified_name=SHARED_UTILITY,
        nthreads=JOBS,
        quiet="--quiet" in sys.argv,                # setuptools takes the flag for itself; a room a line says nothing
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "initializedcheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
            "auto_pickle": False,
            "autotestdict": False,
            "embedsignature": True,
            "show_performance_hints": not DEBUG,        # they ask for what the debug build takes away
        },
    )


refuse_other_platforms()
setup(ext_modules=[] if LINK_ONLY else built_modules(), options={"build_ext": {"parallel": JOBS}})

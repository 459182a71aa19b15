"""Files that hold a key pair as text: readable by their owner only, never overwritten.

    # what the file is for
    public slk1...
    private slsecret1...
"""
import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shadowland import bech32
from shadowland.errors import ConfigError

KEY_SIZE = 32
FILE_SIZE_MOST = 4096           # bytes; what is longer is no key file


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of key file: what it is called, how it is made, its prefixes, and the public key of a private one."""

    name: str
    maker: str
    heading: str
    public_prefix: str
    private_prefix: str
    public_of: Callable[[bytes], bytes]


def decode_key(prefix: str, text: str) -> bytes:
    """The 32 bytes of a key; ValueError says what is wrong."""
    key = bech32.decode(prefix, text)
    if len(key) != KEY_SIZE:
        raise ValueError("it has not the length of a key")
    return key


def load(kind: Kind, path: Path) -> bytes:
    """The private key of a file. ConfigError, with what is wrong, where and the fix, if it is missing, unreadable,
    damaged, or open to others."""
    return _parse(kind, _read(kind, path), path)


def save(kind: Kind, path: Path, private: bytes) -> None:
    """Write a new file that only its owner can read (mode 0600). ConfigError if it cannot be written, or exists."""
    text = (f"{kind.heading}public {bech32.encode(kind.public_prefix, kind.public_of(private))}\n"
            f"private {bech32.encode(kind.private_prefix, private)}\n")
    _write(kind, path, text.encode())


def _read(kind: Kind, path: Path) -> str:
    try:
        # Every look is through this one descriptor, so nobody can swap the file between; and a pipe holds nobody up.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            data = os.read(descriptor, FILE_SIZE_MOST + 1) if stat.S_ISREG(status.st_mode) else b""
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise ConfigError(f"{kind.name} {path} does not exist; make it with: {kind.maker} {path}") from None
    except OSError as error:
        raise ConfigError(f"{kind.name} {path} cannot be read ({error.strerror}); "
                          "give the user who runs the server the right to read it, or name another file") from None
    article = "an" if kind.name[0] in "aeiou" else "a"
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{kind.name} {path} is not a file; name the file that {kind.maker.split()[-1]} made")
    if status.st_mode & 0o077:
        raise ConfigError(f"{kind.name} {path} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}); "
                          f"close it with: chmod 600 {path}, and make a new one if others may have read it")
    if len(data) > FILE_SIZE_MOST or not data.isascii():
        raise ConfigError(f"{path} is not {article} {kind.name}; name the file that {kind.maker.split()[-1]} made")
    return data.decode("ascii")


def _parse(kind: Kind, text: str, path: Path) -> bytes:
    """The private key; the public line must belong to it, so that nobody pins a wrong one from an edited file."""
    fix = f"restore it from a copy, or make a new one with: {kind.maker}"
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] not in ("public", "private") or words[0] in found:
            raise ConfigError(f"{kind.name} {path}, line {number}, is no key: one line 'public {kind.public_prefix}"
                              f"1...' and one line 'private {kind.private_prefix}1...' belong there; {fix}")
        found[words[0]] = words[1]
    for name, prefix in (("private", kind.private_prefix), ("public", kind.public_prefix)):
        if name not in found:
            raise ConfigError(f"{kind.name} {path} has no line '{name} {prefix}1...'; {fix}")
    try:
        private = decode_key(kind.private_prefix, found["private"])
        public = decode_key(kind.public_prefix, found["public"])
    except ValueError as error:                                 # its texts hold one character of the key at most
        raise ConfigError(f"{kind.name} {path} is damaged: a key is wrong, as {error}; {fix}") from None
    if kind.public_of(private) != public:
        raise ConfigError(f"{kind.name} {path}: the public key is not that of the private key; {fix}")
    return private


def _write(kind: Kind, path: Path, data: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{kind.name} {path} exists and is not overwritten; "
                          "choose another name, or move it away if nobody relies on it") from None
    except OSError as error:
        fix = f"make the folder with: mkdir -p {path.parent}" if error.errno == errno.ENOENT else "name another place"
        raise ConfigError(f"{kind.name} {path} cannot be written ({error.strerror}); {fix}") from None
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)                            # half a key is worse than none
        raise ConfigError(f"{kind.name} {path} cannot be written ({error.strerror}); name another place") from None

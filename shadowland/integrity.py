"""What integrity challenges compare: the bytes of a file, or a table of the digests of a folder's files.

A deterrent, not a proof: see docs/security.md.
"""
import hashlib
import os
from pathlib import Path

from shadowland.errors import ConfigError

FILES_MOST = 65_536


def content_of(source: bytes | str | os.PathLike[str]) -> bytes:
    """The bytes that both sides must have: `source` itself, the content of the file it names, or, of a folder, for
    each file in the order of their paths SHA-256(path below the folder, with /) and SHA-256(content).

    ConfigError if there is nothing, or it cannot be read.
    """
    content = source if isinstance(source, bytes) else _read(Path(source))
    if not content:
        name = "the content" if isinstance(source, bytes) else source
        raise ConfigError(f"integrity: {name} holds nothing to compare")
    return content


def _read(path: Path) -> bytes:
    try:
        if not path.is_dir():
            return path.read_bytes()
        files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
        if len(files) > FILES_MOST:
            raise ConfigError(f"integrity: {path} holds {len(files)} files; at most {FILES_MOST} are compared")
        return b"".join(hashlib.sha256(name.encode()).digest() + hashlib.sha256(file.read_bytes()).digest()
                        for name, file in files)
    except OSError as error:
        raise ConfigError(f"integrity: {error.filename or path} cannot be read ({error.strerror}); name a file or a "
                          "folder that can") from None

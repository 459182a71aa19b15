"""The server's identity: an X25519 key pair, the file it is kept in, and the text that clients pin.

The text form is Bech32m (BIP-350): `slk1` and 58 characters for the public key. Its checksum finds every typo of up to
four characters, so that a mistyped key is refused here and never looks like an attack. The file holds both as text:

    # shadowland-net identity ...
    public slk1...
    private slsecret1...
"""
import errno
import os
import secrets
import stat
from pathlib import Path

from shadowland._core.crypto import keys
from shadowland.errors import ConfigError

__all__ = ["Identity", "parse_public", "public_text"]

PUBLIC_PREFIX = "slk"
PRIVATE_PREFIX = "slsecret"
KEY_SIZE = 32
FILE_SIZE_MOST = 4096           # bytes; what is longer is no identity file

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"                                      # BIP-173
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
BECH32M = 0x2BC830A3                                                               # BIP-350

HEADING = """\
# shadowland-net identity. Whoever has this file can be this server: keep it secret, and keep a copy of it.
# Clients pin the public line; with another file they would refuse this server.
"""


class Identity:
    """A server's key pair. Printing it shows the public key only.

    >>> identity = Identity.generate()
    >>> parse_public(identity.public_text) == identity.public_bytes
    True
    """

    __slots__ = ("_private", "_public")

    def __init__(self, private: bytes) -> None:
        """Take a private key of 32 bytes (ConfigError if they are not 32); generate() and load() are the usual way."""
        if len(private) != KEY_SIZE:
            raise ConfigError(f"a private key has {KEY_SIZE} bytes, not {len(private)}; use Identity.generate()")
        self._private = bytes(private)
        self._public = keys.public_key(self._private)

    @classmethod
    def generate(cls) -> "Identity":
        """A new identity from the operating system's random source."""
        return cls(secrets.token_bytes(KEY_SIZE))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Identity":
        """Read an identity file.

        ConfigError, with what is wrong, where and the fix, if it is missing, unreadable, damaged, or open to others.
        """
        return cls(_parse_file(_read(Path(path)), Path(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a new file that only its owner can read (mode 0600).

        ConfigError if it cannot be written, or exists: an identity is never overwritten.
        """
        text = f"{HEADING}public {self.public_text}\nprivate {_encode(PRIVATE_PREFIX, self._private)}\n"
        _write(Path(path), text.encode())

    @property
    def public_bytes(self) -> bytes:
        """The public key, 32 bytes."""
        return self._public

    @property
    def public_text(self) -> str:
        """The public key as clients pin it: `slk1...`, 62 characters."""
        return public_text(self._public)

    @property
    def private_bytes(self) -> bytes:
        """The private key, 32 bytes, for the endpoint; it belongs in no log and no message."""
        return self._private

    def __repr__(self) -> str:
        return f"Identity({self.public_text})"

    def __eq__(self, other: object) -> bool:
        return self._public == other._public if isinstance(other, Identity) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._public)

    def __reduce__(self) -> str:
        raise TypeError("an Identity is not pickled: its private key would travel unseen; use save() and load()")


def public_text(key: bytes) -> str:
    """Text form of a public key of 32 bytes (ConfigError if they are not 32)."""
    if len(key) != KEY_SIZE:
        raise ConfigError(f"a public key has {KEY_SIZE} bytes, not {len(key)}")
    return _encode(PUBLIC_PREFIX, key)


def parse_public(text: str) -> bytes:
    """The 32 bytes of a public key in its text form; blanks around it and capitals throughout do no harm.

    ConfigError says what is wrong and the fix: no `slk1`, a typo, a private key, a point that is no key.
    """
    shown = text.strip()
    if shown.lower().startswith(PRIVATE_PREFIX + "1"):
        # Not shown: it is a secret that somebody pasted into the wrong place.
        raise ConfigError("this is the PRIVATE key of a server, where its public one (slk1...) belongs; if it was sent "
                          "or shown to anybody, make a new identity with: shadowland-server keygen")
    try:
        key = _decode(PUBLIC_PREFIX, shown)
    except ValueError as error:
        raise ConfigError(f"{shown[:80]!r} is not a server key: {error}; "
                          "copy the whole slk1... text that the server prints when it starts") from None
    if keys.exchange(bytes(KEY_SIZE), key) is None:
        raise ConfigError(f"{shown!r} is no key that a server can have (a low-order point); "
                          "copy the slk1... text that the server prints when it starts")
    return key


def _polymod(values: list[int]) -> int:
    """Checksum of BIP-173."""
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, term in enumerate(GENERATOR):
            if top >> i & 1:
                check ^= term
    return check


def _expand(prefix: str) -> list[int]:
    return [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix)]


def _encode(prefix: str, data: bytes) -> str:
    """Bech32m text of `data`: groups of 5 bits, highest first, the last one filled with zeros."""
    fill = -8 * len(data) % 5
    bits = int.from_bytes(data, "big") << fill
    count = (8 * len(data) + fill) // 5
    values = [bits >> 5 * i & 31 for i in reversed(range(count))]
    check = _polymod([*_expand(prefix), *values, *[0] * 6]) ^ BECH32M
    values += [check >> 5 * i & 31 for i in reversed(range(6))]
    return prefix + "1" + "".join(ALPHABET[value] for value in values)


def _values(prefix: str, text: str) -> list[int]:
    """The groups of 5 bits behind `prefix`, checksum verified and cut off; ValueError says what is wrong."""
    if text != text.lower() and text != text.upper():
        raise ValueError("capitals and small letters are mixed")
    text = text.lower()
    if not text.startswith(prefix + "1"):
        raise ValueError(f"it does not begin with {prefix}1")
    symbols = text[len(prefix) + 1:]
    for at, symbol in enumerate(symbols, start=len(prefix) + 2):
        if symbol not in ALPHABET:
            raise ValueError(f"character {at} ({symbol!r}) never occurs in a key")
    values = [ALPHABET.index(symbol) for symbol in symbols]
    if len(values) < 6 or _polymod([*_expand(prefix), *values]) != BECH32M:
        raise ValueError("its checksum does not match, so it has a typo or a part is missing")
    return values[:-6]


def _decode(prefix: str, text: str) -> bytes:
    """The 32 bytes of a key; ValueError says what is wrong."""
    values = _values(prefix, text)
    bits, fill = 0, 5 * len(values) - 8 * KEY_SIZE
    for value in values:
        bits = bits << 5 | value
    if not 0 <= fill < 5 or bits & ((1 << fill) - 1):
        raise ValueError("it has not the length of a key")
    return (bits >> fill).to_bytes(KEY_SIZE, "big")


def _read(path: Path) -> str:
    try:
        # Every look is through this one descriptor, so nobody can swap the file between; and a pipe holds nobody up.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            data = os.read(descriptor, FILE_SIZE_MOST + 1) if stat.S_ISREG(status.st_mode) else b""
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise ConfigError(f"identity file {path} does not exist; "
                          f"make it with: shadowland-server keygen {path}") from None
    except OSError as error:
        raise ConfigError(f"identity file {path} cannot be read ({error.strerror}); "
                          "give the user who runs the server the right to read it, or name another file") from None
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"identity file {path} is not a file; name the file that keygen made")
    if status.st_mode & 0o077:
        raise ConfigError(f"identity file {path} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}); "
                          f"close it with: chmod 600 {path}, and make a new one if others may have read it")
    if len(data) > FILE_SIZE_MOST or not data.isascii():
        raise ConfigError(f"{path} is not an identity file; name the file that keygen made")
    return data.decode("ascii")


def _parse_file(text: str, path: Path) -> bytes:
    """The private key; the public line must belong to it, so that nobody pins a wrong one from an edited file."""
    fix = "restore it from a copy, or make a new one with: shadowland-server keygen"
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] not in ("public", "private") or words[0] in found:
            raise ConfigError(f"identity file {path}, line {number}, is no key: one line 'public slk1...' and one line "
                              f"'private {PRIVATE_PREFIX}1...' belong there; {fix}")
        found[words[0]] = words[1]
    for name, prefix in (("private", PRIVATE_PREFIX), ("public", PUBLIC_PREFIX)):
        if name not in found:
            raise ConfigError(f"identity file {path} has no line '{name} {prefix}1...'; {fix}")
    try:
        private = _decode(PRIVATE_PREFIX, found["private"])
        public = _decode(PUBLIC_PREFIX, found["public"])
    except ValueError as error:                                 # its texts hold one character of the key at most
        raise ConfigError(f"identity file {path} is damaged: a key is wrong, as {error}; {fix}") from None
    if keys.public_key(private) != public:
        raise ConfigError(f"identity file {path}: the public key is not that of the private key; {fix}")
    return private


def _write(path: Path, data: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"identity file {path} exists and is not overwritten; "
                          "choose another name, or move it away if no client relies on it") from None
    except OSError as error:
        fix = f"make the folder with: mkdir -p {path.parent}" if error.errno == errno.ENOENT else "name another place"
        raise ConfigError(f"identity file {path} cannot be written ({error.strerror}); {fix}") from None
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)                            # half an identity is worse than none
        raise ConfigError(f"identity file {path} cannot be written ({error.strerror}); name another place") from None

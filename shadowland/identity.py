"""The server's identity: an X25519 key pair, the file it is kept in, and the text that clients pin.

The text form is Bech32m (bech32.py): `slk1` and 58 characters for the public key. Its checksum finds every typo of up
to four characters, so that a mistyped key is refused here and never looks like an attack. A file (keyfile.py) holds
both.
"""
import os
import secrets
from pathlib import Path

from shadowland import bech32, keyfile
from shadowland._core.crypto import keys
from shadowland.errors import ConfigError

__all__ = ["Identity", "parse_public", "public_text"]

PUBLIC_PREFIX = "slk"
PRIVATE_PREFIX = "slsecret"
KEY_SIZE = 32

FILE = keyfile.Kind(
    name="identity file", maker="shadowland-server keygen", public_prefix=PUBLIC_PREFIX, private_prefix=PRIVATE_PREFIX,
    public_of=keys.public_key, heading="""\
# shadowland-net identity. Whoever has this file can be this server: keep it secret, and keep a copy of it.
# Clients pin the public line; with another file they would refuse this server.
""")


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
        return cls(keyfile.load(FILE, Path(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a new file that only its owner can read (mode 0600).

        ConfigError if it cannot be written, or exists: an identity is never overwritten.
        """
        keyfile.save(FILE, Path(path), self._private)

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
    return bech32.encode(PUBLIC_PREFIX, key)


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
        key = keyfile.decode_key(PUBLIC_PREFIX, shown)
    except ValueError as error:
        raise ConfigError(f"{shown[:80]!r} is not a server key: {error}; "
                          "copy the whole slk1... text that the server prints when it starts") from None
    if keys.exchange(bytes(KEY_SIZE), key) is None:
        raise ConfigError(f"{shown!r} is no key that a server can have (a low-order point); "
                          "copy the slk1... text that the server prints when it starts")
    return key

"""Connect tokens: an issuer (your account service) says who a player is, and servers that trust it believe it.

    issuer = Issuer.load("issuer.key")                      # shadowland-server token keygen issuer.key
    text = issuer.issue(player_id, [server_key])            # slt1..., for one connection within the next minute
    ...
    app = sl.Server(token_keys=[issuer.public_text])        # and session.player_id is player_id
    sl.connect(url, server_key=server_key, token=text)

A token names the servers that may take it, lives five minutes at most and opens one session. Its bytes are those of
docs/protocol.md 2.3; a service in another language can make them from there.
"""
import os
import secrets
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shadowland import bech32, keyfile
from shadowland._core.crypto import token as kernel
from shadowland.errors import ConfigError, TokenProblem, UsageError
from shadowland.identity import parse_public, public_text

__all__ = ["Issuer", "Token", "TokenProblem", "issuer_text", "parse_issuer", "parse_token", "read_token"]

PUBLIC_PREFIX = "sli"
PRIVATE_PREFIX = "slisecret"
TOKEN_PREFIX = "slt"
KEY_SIZE = 32
LABEL = b"shadowland-net token"
VERSION = 1
LIFETIME_MOST_S = kernel.LIFE_MS / 1000
TEXT_MOST = 1024                # characters; the longest token has 798

FILE = keyfile.Kind(
    name="issuer file", maker="shadowland-server token keygen", public_prefix=PUBLIC_PREFIX,
    private_prefix=PRIVATE_PREFIX, public_of=kernel.public_key, heading="""\
# shadowland-net issuer. Whoever has this file can be any player on every server that trusts it: keep it secret.
# Servers are told the public line as token_keys.
""")


class Issuer:
    """An Ed25519 key pair that signs connect tokens. Printing it shows the public key only.

    >>> issuer = Issuer.generate()
    >>> parse_issuer(issuer.public_text) == issuer.public_bytes
    True
    """

    __slots__ = ("_private", "_public")

    def __init__(self, private: bytes) -> None:
        """Take a private key of 32 bytes (ConfigError if they are not 32); generate() and load() are the usual way."""
        if len(private) != KEY_SIZE:
            raise ConfigError(f"an issuer's key has {KEY_SIZE} bytes, not {len(private)}; use Issuer.generate()")
        self._private = bytes(private)
        self._public = kernel.public_key(self._private)

    @classmethod
    def generate(cls) -> "Issuer":
        """A new issuer from the operating system's random source."""
        return cls(secrets.token_bytes(KEY_SIZE))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Issuer":
        """Read an issuer file.

        ConfigError, with what is wrong, where and the fix, if it is missing, unreadable, damaged, or open to others.
        """
        return cls(keyfile.load(FILE, Path(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a new file that only its owner can read (mode 0600).

        ConfigError if it cannot be written, or exists: a key is never overwritten.
        """
        keyfile.save(FILE, Path(path), self._private)

    @property
    def public_bytes(self) -> bytes:
        """The public key, 32 bytes."""
        return self._public

    @property
    def public_text(self) -> str:
        """The public key as servers are told it: `sli1...`, 62 characters."""
        return issuer_text(self._public)

    def issue(self, player_id: int, server_keys: str | Iterable[str], *, lifetime_s: float = 60.0, data: bytes = b"",
              unix_s: float | None = None) -> str:
        """A token (`slt1...`) with which `player_id` (0 to 2**64 - 1) can join one of the servers, once.

        server_keys   one public key, slk1..., or up to four.
        lifetime_s    until when it must have joined: more than 0, at most 300 seconds.
        data          up to 256 bytes for the application there: session.user_data.
        unix_s        time of issue; now, if it is left out.

        UsageError for a value out of range, ConfigError for a server key that is none.
        """
        servers = [parse_public(text) for text in ([server_keys] if isinstance(server_keys, str) else server_keys)]
        if not 0 <= player_id < 1 << 64:
            raise UsageError(f"player_id is {player_id}; it must be 0 to 2**64 - 1")
        if not 1 <= len(servers) <= kernel.SERVERS:
            raise UsageError(f"the token is for {len(servers)} servers; it must be 1 to {kernel.SERVERS}")
        if not 0.001 <= lifetime_s <= LIFETIME_MOST_S:
            raise UsageError(f"lifetime_s is {lifetime_s}; it must be 0.001 to {LIFETIME_MOST_S:.0f} seconds")
        if len(data) > kernel.DATA:
            raise UsageError(f"data has {len(data)} bytes; it has at most {kernel.DATA}")
        issued_ms = int((time.time() if unix_s is None else unix_s) * 1000)
        head = struct.pack("<B8sQQQQB", VERSION, kernel.key_id(self._public), player_id, issued_ms,
                           issued_ms + int(lifetime_s * 1000), secrets.randbits(64), len(servers))
        body = head + b"".join(servers) + struct.pack("<H", len(data)) + data
        return bech32.encode(TOKEN_PREFIX, body + kernel.sign(self._private, LABEL + body))

    def __repr__(self) -> str:
        return f"Issuer({self.public_text})"

    def __eq__(self, other: object) -> bool:
        return self._public == other._public if isinstance(other, Issuer) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._public)

    def __reduce__(self) -> str:
        raise TypeError("an Issuer is not pickled: its private key would travel unseen; use save() and load()")


def issuer_text(key: bytes) -> str:
    """Text form of an issuer's public key of 32 bytes (ConfigError if they are not 32)."""
    if len(key) != KEY_SIZE:
        raise ConfigError(f"an issuer's public key has {KEY_SIZE} bytes, not {len(key)}")
    return bech32.encode(PUBLIC_PREFIX, key)


def parse_issuer(text: str) -> bytes:
    """The 32 bytes of an issuer's public key in its text form (`sli1...`).

    ConfigError says what is wrong and the fix: a typo, a private key, another sort of key.
    """
    shown = text.strip()
    if shown.lower().startswith(PRIVATE_PREFIX + "1"):
        raise ConfigError("this is the PRIVATE key of an issuer, where its public one (sli1...) belongs; if it was "
                          "sent or shown to anybody, make a new one with: shadowland-server token keygen")
    try:
        return keyfile.decode_key(PUBLIC_PREFIX, shown)
    except ValueError as error:
        raise ConfigError(f"{shown[:80]!r} is no issuer's key: {error}; "
                          "copy the whole sli1... text that `shadowland-server token keygen` printed") from None


def parse_token(text: str) -> bytes:
    """The bytes of a token in its text form (`slt1...`), unverified. ConfigError says what is wrong with the text."""
    try:
        if len(text) > TEXT_MOST:
            raise ValueError(f"it has {len(text)} characters, more than any token")
        token = bech32.decode(TOKEN_PREFIX, text.strip())
        if len(token) > kernel.LARGEST:
            raise ValueError(f"it has {len(token)} bytes, more than the {kernel.LARGEST} of the longest")
    except ValueError as error:                                 # not shown: whoever has a token can use it
        raise ConfigError(f"this is no connect token: {error}; copy the whole slt1... text") from None
    return token


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says, unverified."""

    issuer: str                     # its key id, in hex
    player_id: int
    issued_s: float                 # Unix time
    expires_s: float
    server_keys: tuple[str, ...]
    data: bytes


def read_token(text: str) -> Token:
    """Take a token apart without verifying it, for tools. ConfigError if it is none."""
    raw = parse_token(text)
    fields = kernel.read(raw)
    if fields is None:
        raise ConfigError(f"this is no connect token: {TokenProblem.MALFORMED.sentence} Copy the whole slt1... text")
    key_id, player_id, issued_ms, expires_ms, servers, data = fields
    return Token(key_id.hex(), player_id, issued_ms / 1000, expires_ms / 1000,
                 tuple(public_text(server) for server in servers), data)

"""Who may join a server, and as whom: connect tokens."""
from collections.abc import Iterable
from time import time_ns
from typing import TYPE_CHECKING

from shadowland._core.crypto.token import ISSUERS
from shadowland._core.endpoint import players
from shadowland.errors import ConfigError, TokenProblem
from shadowland.tokens import parse_issuer

if TYPE_CHECKING:
    from shadowland._core.endpoint.endpoint import Endpoint

SPENT_TOKENS = 65_536            # fills when more than 198 a second are used, for 330 s


class Admission:
    """What a server asks of those who join. Arguments as those of `shadowland.Server`.

    ConfigError for a key that is none, more than four, or tokens that are required and that nobody can issue.
    """

    def __init__(self, token_keys: Iterable[str] = (), *, tokens_required: bool = False) -> None:
        self.issuers: tuple[bytes, ...] = ()
        self.tokens_required = False
        self.configure(token_keys, tokens_required=tokens_required)

    def configure(self, token_keys: Iterable[str] | None = None, *, tokens_required: bool | None = None) -> None:
        """Change what is given, before the server opens. ConfigError as when it was made."""
        issuers, required = self.issuers, self.tokens_required
        if token_keys is not None:
            texts = [token_keys] if isinstance(token_keys, str) else list(token_keys)
            if len(texts) > ISSUERS:
                raise ConfigError(f"token_keys has {len(texts)} keys; at most {ISSUERS} issuers are trusted")
            issuers = tuple(parse_issuer(text) for text in texts)
        if tokens_required is not None:
            required = tokens_required
        if required and not issuers:
            raise ConfigError("tokens are required, but token_keys names no issuer, so that nobody could join; name "
                              "the public key (sli1...) of whoever issues tokens")
        self.issuers, self.tokens_required = issuers, required

    def open(self, endpoint: "Endpoint", spent_tokens: int = SPENT_TOKENS) -> None:
        """The server begins: `endpoint` has seen nothing yet."""
        if self.issuers:
            players.trust(endpoint, self.issuers, unix_ms=time_ns() // 1_000_000, required=self.tokens_required,
                          spent=spent_tokens)

    def tick(self, endpoint: "Endpoint") -> None:
        """Once a tick."""
        if self.issuers:
            players.set_unix_time(endpoint, time_ns() // 1_000_000)

    def player(self, endpoint: "Endpoint", handle: int) -> tuple[int | None, bytes]:
        """Player id and user data of the token with which a session joined; (None, b"") without one."""
        return players.player(endpoint, handle) or (None, b"")

    def problems(self, endpoint: "Endpoint") -> dict[str, int]:
        """How many tokens were refused, by name of the problem, without the zeros."""
        return {TokenProblem(i).name: count for i, count in enumerate(players.problems(endpoint)) if count}

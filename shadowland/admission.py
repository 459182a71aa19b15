"""Who may join a server, and as whom: connect tokens, credentials for the application, integrity challenges."""
import logging
from collections.abc import Callable, Iterable
from time import time_ns
from typing import TYPE_CHECKING, Final

from shadowland._core.crypto.token import ISSUERS
from shadowland._core.endpoint import checks, players
from shadowland.errors import ConfigError, DisconnectReason, TokenProblem, UsageError
from shadowland.session import Session
from shadowland.tokens import parse_issuer

if TYPE_CHECKING:
    from shadowland._core.endpoint.endpoint import Endpoint
    from shadowland.handlers import Handlers

logger = logging.getLogger("shadowland")

Check = Callable[[Session, bytes], object]

JOINING: Final = 1024            # sessions at once that are not authenticated yet
AUTHENTICATE_US: Final = 10_000_000
INTEGRITY_EVERY_US: Final = 60_000_000
INTEGRITY_ANSWER_US: Final = 10_000_000
ADMISSION_LIMITS: Final = ("spent_tokens", "joining", "authenticate_us", "integrity_every_us", "integrity_answer_us")
SWEEP_US: Final = 250_000        # between two looks at whose challenge is due
SPENT_TOKENS = 65_536            # fills when more than 198 a second are used, for 330 s


class Admission:
    """What a server asks of those who join. Arguments as those of `shadowland.Server`.

    ConfigError for a key that is none, more than four, or tokens that are required and that nobody can issue.
    """

    def __init__(self, token_keys: Iterable[str] = (), *, tokens_required: bool = False) -> None:
        self.issuers: tuple[bytes, ...] = ()
        self.tokens_required = False
        self.configure(token_keys, tokens_required=tokens_required)
        self.check: Check | None = None
        self.joining: dict[int, tuple[Session, int]] = {}       # by handle, with their deadlines, the first one first
        self._authenticate_us = AUTHENTICATE_US
        self.contents: dict[int, bytes] = {}                    # what clients of a build should have
        self._sweep_us = 0

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

    def open(self, endpoint: "Endpoint", *, spent_tokens: int = SPENT_TOKENS, joining: int = JOINING,
             authenticate_us: int = AUTHENTICATE_US, integrity_every_us: int = INTEGRITY_EVERY_US,
             integrity_answer_us: int = INTEGRITY_ANSWER_US) -> None:
        """The server begins: `endpoint` has seen nothing yet. UsageError for a value out of range."""
        if self.issuers:
            players.trust(endpoint, self.issuers, unix_ms=time_ns() // 1_000_000, required=self.tokens_required,
                          spent=spent_tokens)
        if self.check is not None:
            if not 1 <= authenticate_us <= 3_600_000_000:
                raise UsageError(f"authenticate_us is {authenticate_us}; it must be 1 to 3600000000 microseconds")
            players.require_authentication(endpoint, joining)
        if self.contents:
            checks.configure(endpoint, self.contents, every_us=integrity_every_us, answer_us=integrity_answer_us)
        self._authenticate_us, self._sweep_us = authenticate_us, 0
        self.joining.clear()

    def tick(self, endpoint: "Endpoint", now_us: int) -> None:
        """Once a tick."""
        if self.contents and now_us >= self._sweep_us:
            self._sweep_us = now_us + SWEEP_US
            checks.sweep(endpoint, now_us)
        if self.issuers:
            players.set_unix_time(endpoint, time_ns() // 1_000_000)

    def player(self, endpoint: "Endpoint", handle: int) -> tuple[int | None, bytes]:
        """Player id and user data of the token with which a session joined; (None, b"") without one."""
        return players.player(endpoint, handle) or (None, b"")

    def problems(self, endpoint: "Endpoint") -> dict[str, int]:
        """How many tokens were refused, by name of the problem, without the zeros."""
        return {TokenProblem(i).name: count for i, count in enumerate(players.problems(endpoint)) if count}

    # State joining --------------------------------------------------------------------------------------------------

    def wait(self, session: Session, now_us: int) -> None:
        """A session is confirmed and not authenticated yet."""
        self.joining[session.handle] = session, now_us + self._authenticate_us

    def authenticate(self, endpoint: "Endpoint", handle: int, handlers: "Handlers",
                     decided: Callable[[Session, bool, str], None]) -> None:
        """Credentials came: let the application look at them; `decided` gets its verdict, in a tick."""
        credentials = players.credentials(endpoint, handle)
        if handle not in self.joining or credentials is None or self.check is None:
            return
        session, check = self.joining[handle][0], self.check

        def verdict(result: object) -> None:
            if result is not None and not isinstance(result, (bool, str)):
                logger.warning("authenticate returned %s for %s; give True, False or a text that says why not. It "
                               "counts as False", type(result).__name__, session)
            if handle in self.joining:                          # and not over, or out of time, meanwhile
                decided(session, result is True, result if isinstance(result, str) else "")

        if not handlers.call(check, session, credentials, done=verdict):
            decided(session, False, "too many are waiting")

    def leave(self, handle: int) -> Session | None:
        """A session is joining no more. None if it was not."""
        found = self.joining.pop(handle, None)
        return None if found is None else found[0]

    def expire(self, now_us: int) -> None:
        """Close those that took too long."""
        while self.joining:
            session, deadline_us = next(iter(self.joining.values()))
            if now_us < deadline_us:
                return
            del self.joining[session.handle]
            session.close(DisconnectReason.NOT_AUTHENTICATED)

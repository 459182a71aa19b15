"""Application: what a game declares to its server: whom to call when players come, speak and leave, and each tick."""
import os
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

from shadowland.admission import Admission, Check
from shadowland.errors import DisconnectReason, UsageError
from shadowland.handlers import Handlers
from shadowland.integrity import content_of
from shadowland.schema import Message
from shadowland.session import Session

if TYPE_CHECKING:
    from shadowland.tick import Tick

__all__ = ["Application"]

Some = TypeVar("Some", bound=Message)
Result = TypeVar("Result")
Join = Callable[[Session], object]
Leave = Callable[[Session, DisconnectReason], object]
Handler = Callable[[Session, Any], object]
Step = Callable[["Tick"], object]


class Application:
    """The declaring half of a Server."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self._joins: list[Join] = []
        self._leaves: list[Leave] = []
        self._handlers: dict[type[Message], list[Handler]] = {}
        self._steps: list[Step] = []
        self._calls = Handlers()

    def on_join(self, function: Join) -> Join:
        """Decorator: call `function(session)` when a player joined. It may be `async def`, see `in_tick`."""
        self._calls.declare(function)
        self._joins.append(function)
        return function

    def on_leave(self, function: Leave) -> Leave:
        """Decorator: call `function(session, reason)` when a player's session ended, its avatar still in the world."""
        self._calls.declare(function)
        self._leaves.append(function)
        return function

    def on(self, cls: type[Some]) -> Callable[[Callable[[Session, Some], object]], Callable[[Session, Some], object]]:
        """Decorator: call `function(session, message)` for each message of a class; for hot classes use t[cls]."""
        def register(function: Callable[[Session, Some], object]) -> Callable[[Session, Some], object]:
            self._calls.declare(function)
            self._handlers.setdefault(cls, []).append(function)
            return function
        return register

    def tick(self, function: Step) -> Step:
        """Decorator: call `function(t)` once a tick (see Tick)."""
        if iscoroutinefunction(function):
            raise UsageError(f"{function.__qualname__} is async; a tick waits for nobody, make it a plain function")
        self._steps.append(function)
        return function

    def authenticate(self, function: Check) -> Check:
        """Decorator: let nobody join before `function(session, credentials)` has returned True; False, or a text that
        says why, sends the player away (NOT_AUTHENTICATED).

        `credentials` is what the client was given, as bytes; on_join comes after it.

        It may be `async def` (see `in_tick`), as looking an account up takes time: `authenticate_us` at most.
        """
        if self.admission.check is not None:
            raise UsageError("a server has one authenticate handler; let it call what else there is")
        self._calls.declare(function)
        self.admission.check = function
        return function

    def integrity(self, build: int, content: bytes | str | os.PathLike[str]) -> None:
        """Challenge clients of a build (`Client(client_build=...)`) now and then to show that they have this content:
        bytes, a file, or a folder's files. Who has not goes with INTEGRITY_FAILED. A deterrent (docs/security.md);
        off unless this is called, before `open`, for at most eight builds."""
        self.admission.contents[build] = content_of(content)

    async def in_tick(self, function: Callable[[], Result]) -> Result:
        """From an `async def` handler: run `function()` inside the next tick and give its result, or raise what it
        raised. Nothing else there may touch world and sessions: they belong to the thread of the ticks."""
        result: Result = await self._calls.in_tick(function)
        return result

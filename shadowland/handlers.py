"""Calls what an application declared: plain functions in the tick, `async def` ones on a loop in a thread of its own.

The game thread owns the world. Asynchronous handlers run beside it and reach the world only by `await app.in_tick(f)`:
f runs on the game thread inside the next tick, and its result or exception comes back. The thread is started only
where some handler is asynchronous; a server without one pays nothing.
"""
import asyncio
import inspect
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from time import monotonic, sleep
from typing import Any, Final

from shadowland.errors import CapacityError, UsageError

logger = logging.getLogger("shadowland")

Function = Callable[..., object]
Done = Callable[[object], None]

ASYNC_HANDLERS: Final = 4096    # under way at once
IN_TICK: Final = 65_536         # functions that wait for a tick
STOP_S: Final = 2.0             # given to handlers that are under way when the server closes
TURN_S: Final = 0.005


class Handlers:
    """Runs handlers. One that raises is logged once for each place, counted, and the tick goes on.

    errors    how many calls raised.
    refused   asynchronous calls that were not made, because `limit` of them were under way.
    """

    def __init__(self, limit: int = ASYNC_HANDLERS) -> None:
        self.limit = limit
        self.errors = self.refused = self.running = 0
        self._places: set[tuple[str, str]] = set()
        self._asynchronous: set[Function] = set()
        self._finished: deque[tuple[Function, object, BaseException | None, Done | None]] = deque()
        self._waiting: deque[tuple[Function, asyncio.Future[Any], asyncio.AbstractEventLoop]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False

    def declare(self, function: Function) -> None:
        """The application has this handler."""
        if inspect.iscoroutinefunction(function):
            self._asynchronous.add(function)

    def is_asynchronous(self, function: Function) -> bool:
        """Whether a declared handler is `async def`."""
        return function in self._asynchronous

    # The game thread ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """The server begins: start the thread, if some handler needs it."""
        self._open = True
        if not self._asynchronous:
            return
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="shadowland handlers", daemon=True)
        self._thread.start()

    def call(self, function: Function, *arguments: object, done: Done | None = None) -> bool:
        """Call a handler; `done` gets its result on the game thread, and None if it raised. False if it was refused."""
        if function in self._asynchronous:
            return self._submit(function, arguments, done)
        result = None
        try:
            result = function(*arguments)
        except Exception as error:
            self._failed(function, error)
        if done is not None:
            done(result)
        return True

    def _submit(self, function: Function, arguments: tuple[object, ...], done: Done | None) -> bool:
        if self._loop is None or self.running >= self.limit:
            self.refused += 1
            if self.refused == 1:
                logger.warning("handler %s was not called: %d asynchronous handlers are under way, as many as "
                               "async_handlers allows; from now on this is only counted", _name(function), self.running)
            return False
        self.running += 1
        self._loop.call_soon_threadsafe(self._begin, function, arguments, done)
        return True

    def run(self) -> None:
        """Once a tick: take the results of handlers that ended, and run what waits for a tick."""
        if self._loop is None and not self._waiting:
            return
        for _ in range(len(self._finished)):
            function, result, error, done = self._finished.popleft()
            self.running -= 1
            if isinstance(error, Exception):
                self._failed(function, error)
            if done is not None:
                done(result)
        for _ in range(len(self._waiting)):
            function, future, loop = self._waiting.popleft()
            try:
                result, error = function(), None
            except Exception as raised:
                result, error = None, raised
            _answer(loop, future, result, error)

    def _failed(self, function: Function, error: Exception) -> None:
        self.errors += 1
        place = (_name(function), type(error).__name__)
        if place not in self._places:
            self._places.add(place)
            logger.error("handler %s raised; from now on this is only counted", place[0],
                         exc_info=(type(error), error, error.__traceback__))

    def close(self) -> None:
        """The server ends: handlers under way get STOP_S to end, ticks included; then they are cancelled."""
        end = monotonic() + STOP_S
        while self.running and monotonic() < end:
            self.run()
            sleep(TURN_S)
        self._open = False
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(self._cancel)
            thread.join(STOP_S)
            if thread.is_alive():
                logger.warning("an asynchronous handler does not give way to its loop; its thread is left behind")
        self.run()
        self._loop = self._thread = None
        self.running = 0

    # Any thread -----------------------------------------------------------------------------------------------------

    def here(self) -> bool:
        """Whether this is the thread of the asynchronous handlers, which must not touch the world."""
        return self._thread is not None and threading.get_ident() == self._thread.ident

    async def in_tick(self, function: Callable[[], Any]) -> Any:
        """See Server.in_tick."""
        if inspect.iscoroutinefunction(function):
            raise UsageError(f"in_tick({_name(function)}): it is async; a tick waits for nobody, give a plain function")
        if not self._open:
            raise UsageError("in_tick: the server is not open; no tick will come")
        if len(self._waiting) >= IN_TICK:
            raise CapacityError(f"in_tick: {IN_TICK} functions wait for the next tick already; ask less often")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((function, future, loop))
        return await future

    # The thread of the handlers ---------------------------------------------------------------------------------------

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    def _begin(self, function: Function, arguments: tuple[object, ...], done: Done | None) -> None:
        task = asyncio.get_running_loop().create_task(self._run(function, arguments, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, function: Function, arguments: tuple[object, ...], done: Done | None) -> None:
        result, failed = None, None
        try:
            handler: Coroutine[Any, Any, object] = function(*arguments)  # type: ignore[assignment]  # it is async def
            result = await handler
        except (Exception, asyncio.CancelledError) as error:
            failed = error
        self._finished.append((function, result, failed, done))

    def _cancel(self) -> None:
        loop = asyncio.get_running_loop()
        for task in self._tasks:
            task.cancel()
        gathered = asyncio.gather(*self._tasks, return_exceptions=True)
        gathered.add_done_callback(lambda _: loop.stop())


def _name(function: Function) -> str:
    return getattr(function, "__qualname__", repr(function))


def _answer(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Any]", result: object,
            error: Exception | None) -> None:
    def settle() -> None:
        if future.done():                       # cancelled meanwhile
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:                        # its loop is closed: nobody waits any more
        return

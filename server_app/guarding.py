"""The guard's rules from a TOML file, and again whenever the file changes or SIGHUP comes, between two ticks."""
import logging
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import shadowland as sl
from server_app.config import OFF, Settings
from server_app.loop import clock_us
from shadowland.guard import Policy, load_policy

logger = logging.getLogger("shadowland.guard")

LOOK_US: Final = 1_000_000


class Rules:
    """What `--guard` names, put in force for `app`. A file that is wrong at the start is an error, later a log line.

    Inside the block SIGHUP reads it again at the next tick; a changed file needs no block.
    """

    def __init__(self, app: sl.Server, settings: Settings, *, clock: Callable[[], int] = clock_us) -> None:
        self.app, self._clock = app, clock
        self.path = Path(settings.guard) if settings.guard not in ("", OFF) else None
        self.asked = False
        self._before: object = None
        if settings.guard == OFF:
            app.guard.apply(Policy(rules=()))
            logger.warning("the guard is off: no rule holds, only bans")
        elif self.path is not None:
            self._seen = self._state()
            app.guard.apply(load_policy(self.path))
        self._due = clock() + LOOK_US

    def _state(self) -> tuple[int, ...]:
        """What tells one version of the file from the next."""
        assert self.path is not None
        try:
            found = os.stat(self.path)
        except OSError as error:
            return (error.errno or 0,)
        return found.st_mtime_ns, found.st_size, found.st_ino

    def look(self) -> None:
        """Once a tick: read the file again if somebody asked, or if it is another than a second ago."""
        if self.path is None or not self.asked and self._clock() < self._due:
            return
        self._due = self._clock() + LOOK_US
        state = self._state()
        if state == self._seen and not self.asked:
            return
        self.asked, self._seen = False, state
        self.reload()

    def reload(self) -> str:
        """Read the file now; returns the line that is logged. A wrong one leaves the rules as they were."""
        if self.path is None:
            return "there is no guard file: --guard names one"
        try:
            policy = load_policy(self.path)
        except sl.ConfigError as error:
            text = f"the rules stay as they were: {error}"
            logger.error("%s", text)
            return text
        before = self.app.guard.policy
        fixed = [name for name in ("sources", "bans", "waiting") if getattr(policy, name) != getattr(before, name)]
        self.app.guard.apply(policy)
        text = f"{len(policy.rules)} rules in force from {self.path}"
        if fixed:
            text += f"; {' and '.join(fixed)} change with the next start"
        logger.info("%s", text)
        return text

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def __enter__(self) -> "Rules":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGHUP, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGHUP, self._before)  # type: ignore[arg-type]  # what signal.signal gave

"""`shadowland-server run APP`: somebody's own server, under the fixed-tick loop."""
import importlib
import importlib.util
import logging
import sys
import traceback
from collections.abc import Callable, Container
from pathlib import Path

import shadowland as sl
from server_app.config import Settings, limits
from server_app.guarding import Rules
from server_app.inspect import Desk, looking
from server_app.loop import Loop

logger = logging.getLogger("shadowland.server")


def _module_of(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise sl.ConfigError(f"APP {path}: it is no Python file; name one that ends in .py, or a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _import(name: str) -> object:
    path = Path(name)
    if name.endswith(".py") or "/" in name:
        if not path.is_file():
            raise sl.ConfigError(f"APP {name}: there is no such file; give the path of a Python file, or module:name")
        return _module_of(path)
    sys.path.insert(0, "")              # as `python -m` does: modules of the current folder are found
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise sl.ConfigError(f"APP {name}: there is no module {error.name!r}; "
                                 "start where it lies, or give the file's path") from None
        raise


def load_app(text: str) -> sl.Server:
    """The `sl.Server` that `module:name` or `path/file.py:name` stands for (name `app` if left out).

    ConfigError says what is missing; an error inside the module is shown with the place where it happened.
    """
    name, _, attribute = text.rpartition(":") if ":" in text else (text, "", "app")
    try:
        module = _import(name)
    except sl.ShadowlandError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else name
        raise sl.ConfigError(f"APP {name}: {type(error).__name__} in {where}: {error}; correct it there") from error
    found = getattr(module, attribute, None)
    if found is None:
        servers = [key for key, value in vars(module).items() if isinstance(value, sl.Server)]
        hint = "make one with app = sl.Server()"
        if servers:
            hint = f"it has {', '.join(servers)}: give {name}:{servers[0]}"
        raise sl.ConfigError(f"APP {text}: {name} has no {attribute!r}; {hint}")
    if not isinstance(found, sl.Server):
        raise sl.ConfigError(f"APP {text}: {attribute} is a {type(found).__name__}; name a shadowland Server")
    return found


def run_app(app: sl.Server, settings: Settings, stopped: Callable[[], bool], *, given: Container[str] = ()) -> int:
    """Serve `app` until `stopped()`; then every session is closed with a reason. Returns 0.

    Of the limits those that somebody has `given` replace the ones the app was made with.
    """
    for name in ("tick_hz", "capacity", "entities"):
        if name in given:
            logger.warning("%s is for the app to say: Server(%s=%d)", name, name, getattr(app, name))
    app.limits.update({name: value for name, value in limits(settings).items()
                       if name in given or name.removesuffix("_us") + "_s" in given})
    if "token_keys" in given or "tokens" in given:
        app.admission.configure(settings.token_keys.split() if "token_keys" in given else None,
                                tokens_required=settings.tokens == "required" if "tokens" in given else None)
    if settings.identity:
        app.identity = sl.Identity.load(settings.identity)
    with Rules(app, settings) as rules:
        app.open(settings.host, settings.port)
        with app.closing():
            return _serve(app, settings, rules, stopped)


def _serve(app: sl.Server, settings: Settings, rules: Rules, stopped: Callable[[], bool]) -> int:
    with Desk(app, lambda: loop, rules, settings.inspect) as desk:
        logger.info("serving %s", app.connect_line)
        if not settings.identity:
            logger.info("this key ends with the process; `shadowland-server keygen` makes one to keep for --identity")
        loop = Loop(app.tick_hz, looking(app, rules, desk), app.step)
        loop.run(stopped)
        p50, p99, worst = loop.times.milliseconds(50, 99, 100)
        logger.info("%d ticks, %d skipped, p50 %.2f ms, p99 %.2f ms, max %.2f ms; closing %d sessions",
                    loop.ticks, loop.skipped, p50, p99, worst, len(app.sessions))
    return 0

"""The command `shadowland-server`. Exit codes: 0; 1: a bot was lost or a view was wrong; 2: a mistake, in one line."""
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

import shadowland as sl
from server_app import config, logs
from server_app.impair.flags import FLAGS
from server_app.loop import Stop
from shadowland.errors import ShadowlandError, TransportError
from shadowland.tokens import Issuer, read_token

Function = TypeVar("Function", bound=Callable[..., Any])
TYPES = {int: click.INT, float: click.FLOAT, str: click.STRING}


def flags(*names: str) -> Callable[[Function], Function]:
    """Options of these settings, their help and default from the table in config. Not given is None."""
    def add(function: Function) -> Function:
        for name in reversed(names):
            key = config.KEYS[name]
            text = f"{key.meaning} [{key.range}; default {key.default if key.default != '' else 'none'}]"
            option = click.option(f"--{name.replace('_', '-')}", name, type=TYPES[key.kind], default=None, help=text)
            function = option(function)
        option = click.option("--config", "path", type=click.Path(path_type=Path), default=None,
                              help="TOML file with settings; see docs/config.md")
        return option(function)
    return add


def prepare(flags: dict[str, Any], path: Path | None) -> tuple[config.Settings, dict[str, Any]]:
    """Settings from everywhere, and which of them somebody has set; logging begins."""
    given = config.given(flags, path=path)
    settings = config.Settings(**given)
    logs.start(settings.log_level)
    return settings, given


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(sl.__version__, prog_name="shadowland-server")
def cli() -> None:
    """Shadowland: serve a world, look at the demo, send bots, make keys and tokens."""


@cli.command()
@click.argument("app")
@flags("host", "port", "identity", "guard", "inspect", "token_keys", "tokens", "log_level")
def run(app: str, path: Path | None, **flags: Any) -> int:
    """Serve APP, a Server in a file or module: game.py, game.py:app or package.game:app."""
    from server_app.run import load_app, run_app
    settings, given = prepare(flags, path)
    with Stop() as stopped:
        return run_app(load_app(app), settings, stopped, given=given.keys())


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="one line of JSON, last on stdout; all else on stderr")
@flags("bots", "hz", "duration", "host", "port", "identity", "guard", "inspect", "visible", "radius", "npcs_per_bot",
       "monsters_per_bot", "seed", "log_level")
def demo(path: Path | None, as_json: bool, **flags: Any) -> int:
    """A server and, in a second process, bots that connect over real UDP, walk, meet and part; then a report."""
    from server_app.demo.run import run_demo
    settings, given = prepare(flags, path)
    if "capacity" not in given:
        settings = replace(settings, capacity=min(settings.bots + settings.bots // 8 + 8, config.MOST_SESSIONS))
    if settings.bots > settings.capacity:
        raise sl.ConfigError(f"bots is {settings.bots}, capacity only {settings.capacity}; "
                             f"set capacity under [limits], or {config.KEYS['capacity'].variable}, "
                             f"to at least {settings.bots}")
    with Stop() as stopped:
        return run_demo(settings, stopped, as_json=as_json)


@cli.command()
@click.argument("url")
@click.option("--server-key", required=True, help="the server's public key, slk1..., as it prints it")
@click.option("--truth", default="", help="file with the server's truth, to compare views with")
@click.option("--until-eof", is_flag=True, help="walk until stdin ends, not for --duration")
@click.option("--json", "as_json", is_flag=True, help="one line of JSON, last on stdout; all else on stderr")
@flags("bots", "hz", "duration", "radius", "seed", "log_level")
def bots(url: str, server_key: str, truth: str, until_eof: bool, as_json: bool, path: Path | None, **flags: Any) -> int:
    """Send bots to the demo server at URL (sl://host:port)."""
    from server_app.demo.crowd import Crowd, run_crowd
    from server_app.report import bots_text, finish
    settings, _ = prepare(flags, path)
    with Stop() as stopped:
        report = run_crowd(Crowd(url, server_key, settings, truth), settings, stopped, until_eof=until_eof)
    return finish(report, bots_text(report), as_json)


def link_flags(function: Function) -> Function:
    """Options of a bad network; not given is None."""
    for name in reversed(FLAGS):
        meaning, example = FLAGS[name]
        function = click.option(f"--{name}", default=None, help=f"{meaning} [as in {example}]")(function)
    return function


@cli.command()
@click.argument("listen")
@click.argument("target")
@link_flags
@click.option("--up", multiple=True, metavar="FLAG=VALUE", help="one of the above for the way to the target alone")
@click.option("--down", multiple=True, metavar="FLAG=VALUE", help="one of the above for the way back alone")
@click.option("--shared", is_flag=True, help="one line for all clients; else each has its own")
@click.option("--rebind-every", default="0", help="give every client a new port towards the target so often, as in 10s")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="of all luck")
@click.option("--clients", type=click.IntRange(1, 16_384), default=1024, show_default=True, help="most at once")
@click.option("--in-flight", default="64MiB", show_default=True, help="most bytes that wait to be sent on")
@click.option("--idle", default="60s", show_default=True, help="a client silent for so long is forgotten")
@click.option("--duration", default="0", help="end after so long; 0: with Ctrl-C")
@click.option("--json", "as_json", is_flag=True, help="one line of JSON, last on stdout; all else on stderr")
def impair(listen: str, target: str, **flags: Any) -> int:
    """A bad network: relay UDP from LISTEN to TARGET (host:port) and back, with loss, delay, a slow line …"""
    from server_app.impair.command import run_impair
    both = {name: flags.pop(name.replace("-", "_")) for name in FLAGS}
    with Stop() as stopped:
        return run_impair(listen, target, {name: text for name, text in both.items() if text is not None}, stopped,
                          **flags)


@cli.command()
@click.option("--path", "socket_path", type=click.Path(path_type=Path), default=None,
              help="the server's `inspect` setting, if it has one")
@click.option("--sessions", type=click.IntRange(0, 500), default=20, show_default=True, help="rows of the busiest ones")
@click.option("--watch", is_flag=True, help="again every second, until Ctrl-C")
@click.option("--ban", "banned", default=None, metavar="ADDRESS", help="ban an address, an IPv4 /24 or an IPv6 /48")
@click.option("--for", "for_s", type=click.FloatRange(0.001), default=None, metavar="SECONDS",
              help="how long the ban lasts; not given: until it is lifted")
@click.option("--unban", default=None, metavar="ADDRESS", help="lift a ban")
@click.option("--reload", is_flag=True, help="read the guard's rules again")
@click.option("--json", "as_json", is_flag=True, help="one line of JSON, last on stdout; all else on stderr")
@flags("port", "log_level")
def inspect(path: Path | None, *, socket_path: Path | None, banned: str | None, for_s: float | None, unban: str | None,
            reload: bool, watch: bool, sessions: int, as_json: bool, **flags: Any) -> int:
    """Look into the server that runs on --port: sessions, rates, drops, the guard's rules and bans."""
    from server_app.inspect import run_inspect, say
    settings, _ = prepare(flags, path)
    asked = {"ban": banned, "unban": unban, "reload": reload or None}
    question = {name: value for name, value in asked.items() if value is not None}
    if len(question) > 1 or for_s is not None and banned is None:
        raise sl.ConfigError("inspect: give one of --ban, --unban and --reload at a time; --for goes with --ban")
    if question:
        return say(socket_path, settings, question | {"for_s": for_s}, as_json=as_json)
    with Stop() as stopped:
        return run_inspect(socket_path, settings, as_json=as_json, watch=watch, rows=sessions, stopped=stopped)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
def keygen(file: Path) -> int:
    """Make a server's key pair in FILE, readable by its owner only, and print the public key that clients pin."""
    identity = sl.Identity.generate()
    identity.save(file)
    print(identity.public_text)
    return 0


@cli.group()
def schema() -> None:
    """Schemas: write an application's to a file, say how two differ."""


@schema.command("export")
@click.argument("app")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="file to write; else it goes to stdout")
def schema_export(app: str, out: Path | None) -> int:
    """Write the schema of APP (as in `run`) as canonical JSON, the same on every machine; its hash goes to stderr."""
    from server_app.schema import run_export
    return run_export(app, out)


@schema.command("diff")
@click.argument("old")
@click.argument("new")
def schema_diff(old: str, new: str) -> int:
    """Say how the schemas OLD and NEW differ: files from `schema export`, or APPs. Exit code: 0 or 1, if they do."""
    from server_app.schema import run_diff
    return run_diff(old, new)


@cli.group()
def token() -> None:
    """Connect tokens: make an issuer's key, issue a token, show what one says."""


@token.command("keygen")
@click.argument("file", type=click.Path(path_type=Path))
def token_keygen(file: Path) -> int:
    """Make an issuer's key pair in FILE, readable by its owner only; print the public key for servers' token_keys."""
    issuer = Issuer.generate()
    issuer.save(file)
    print(issuer.public_text)
    return 0


@token.command("issue")
@click.argument("player", type=click.IntRange(0, 2**64 - 1))
@click.option("--issuer", required=True, type=click.Path(path_type=Path), help="file from `token keygen`")
@click.option("--server-key", "server_keys", required=True, multiple=True, help="slk1...; up to four times")
@click.option("--lifetime", type=float, default=60.0, help="seconds until which it must be used [at most 300; 60]")
@click.option("--data", default="", help="text for the application, up to 256 bytes of UTF-8")
def token_issue(player: int, issuer: Path, server_keys: tuple[str, ...], lifetime: float, data: str) -> int:
    """Print a token with which PLAYER, a number, can join a server once."""
    print(Issuer.load(issuer).issue(player, server_keys, lifetime_s=lifetime, data=data.encode()))
    return 0


@token.command("show")
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="one line of JSON")
def token_show(text: str, as_json: bool) -> int:
    """Say what a token (slt1...) says. Its signature is not verified: only a server that trusts the issuer can."""
    from server_app.report import token_text
    print(token_text(read_token(text), time.time(), as_json))
    return 0


def _mistake(text: str) -> NoReturn:
    print(f"shadowland-server: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(2)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point; never returns."""
    try:
        code = cli.main(args=arguments, prog_name="shadowland-server", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_text:
        print(help_text.format_message(), file=sys.stderr)
        sys.exit(2)
    except click.ClickException as error:
        where = getattr(error, "ctx", None)
        command = where.command_path if where is not None else "shadowland-server"
        _mistake(f"{error.format_message().rstrip('.')}; `{command} --help` shows what there is")
    except click.Abort:
        sys.exit(0)                     # Ctrl-C before there was anything to end
    except (ShadowlandError, TransportError) as error:
        _mistake(str(error.strerror) if isinstance(error, OSError) and error.strerror else str(error))
    except MemoryError as error:
        _mistake(f"{error or 'not enough memory'}; lower capacity or entities under [limits]")
    sys.exit(code if isinstance(code, int) else 0)

"""`python -m shadowland` says what is installed and whether it works; `... decode HEX` reads one datagram.

Exit codes: 0 all is well; 1 a check failed, or the datagram would be dropped before its body is read; 2 the input
cannot be used.
"""
import json
import sys
from typing import Any

import click

from shadowland.errors import UsageError
from shadowland.tools import decode as decoder
from shadowland.tools import selftest

PROGRAM = "python -m shadowland"


def show(value: dict[str, Any], one_line: bool) -> None:
    click.echo(json.dumps(value) if one_line else json.dumps(value, indent=2))


def in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@click.pass_context
def cli(context: click.Context, as_json: bool) -> None:
    """Print versions, the processor's arms and a self-test of every primitive."""
    if context.invoked_subcommand is not None:
        context.obj = as_json
        return
    versions, processor, checks = selftest.versions(), selftest.processor(), selftest.run()
    failed = [name for name, result in checks.items() if result != "ok"]
    if as_json:
        show({"versions": versions, "processor": processor, "self_test": checks, "ok": not failed}, True)
    else:
        for name, value in (*versions.items(), *processor.items()):
            click.echo(f"{name:<16}{in_words(value)}")
        for name, result in checks.items():
            click.echo(f"{'ok' if result == 'ok' else 'FAILED':<16}{name}{'' if result == 'ok' else ': ' + result}")
        click.echo(f"{len(checks) - len(failed)} of {len(checks)} checks passed")
    context.exit(1 if failed else 0)


@cli.command()
@click.argument("datagram", metavar="HEX")
@click.option("--key", metavar="HEX", help="Key of one direction, to open a session datagram with. Shells remember it.")
@click.option("--epoch", type=int, help="Derive the key of this epoch from --key, which is then one of Noise's Split.")
@click.option("--suite", default="chacha20-poly1305", metavar="NAME", show_default=True, help="Or aegis-128l.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON in place of an indented text.")
@click.pass_context
def decode(
    context: click.Context, datagram: str, key: str | None, epoch: int | None, suite: str, as_json: bool
) -> None:
    """Print the header of a datagram as JSON, the parts of a handshake datagram, and with --key the opened body."""
    if key is None and epoch is not None:
        raise click.UsageError("--epoch says how to derive a key; give the key of Noise's Split with --key")
    secret = None if key is None else decoder.from_hex(key, "--key")
    found = decoder.decode(decoder.from_hex(datagram, "the datagram"), secret, epoch, suite)
    show(found, as_json or bool(context.obj))
    context.exit(0 if found["problem"] is None or found.get("opened") else 1)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; a mistake in it is one line on stderr and exit code 2."""
    try:
        code = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        text = error.format_message()
    except UsageError as error:
        text = str(error)
    else:
        return code if isinstance(code, int) else 0
    click.echo(f"{PROGRAM}: {' '.join(text.split())}", err=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())

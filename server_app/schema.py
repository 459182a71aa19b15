"""`shadowland-server schema`: write an application's schema to a file, and say in words how two schemas differ."""
import subprocess
import sys
from pathlib import Path

from server_app.run import load_app
from shadowland.errors import ConfigError
from shadowland.schema import differences, read_document


def run_export(app: str, out: Path | None) -> int:
    """The canonical text of an application's schema to `out`, or to stdout; its hash goes to stderr."""
    schema = load_app(app).schema
    if out is None:
        print(schema.json)
    else:
        try:
            out.write_text(schema.json + "\n", encoding="ascii")
        except OSError as error:
            raise ConfigError(f"--out {out}: {error.strerror}; name a file that can be written") from None
    print(f"schema {schema.hash:016x}: {len(schema.entities)} entities, {len(schema.messages)} messages",
          file=sys.stderr)
    return 0


def text_of(source: str) -> str:
    """The canonical text in a file, or of an application as `run` takes it."""
    path = Path(source)
    if path.suffix == ".py" or ":" in source or not (path.is_file() or path.suffix):
        return _exported(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{source}: {problem}; give a file from `schema export`, or an APP") from None
    read_document(text, source)
    return text


def _exported(app: str) -> str:
    # In a process of its own: an application's schema may be all classes of its process.
    done = subprocess.run([sys.executable, "-m", "server_app", "schema", "export", app], capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"APP {app}: it cannot be loaded; try `run` with it"]
        raise ConfigError(lines[-1].removeprefix("shadowland-server: "))
    return done.stdout.splitlines()[-1]         # an application may print as it is loaded


def run_diff(old: str, new: str) -> int:
    """What differs, a line each on stdout. 0: nothing, both sides understand each other; 1: something."""
    before = text_of(old)
    lines = differences(before, text_of(new))
    for line in lines:
        print(line)
    return 1 if lines else 0

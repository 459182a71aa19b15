"""Invariant: a wrong value, wherever it stands, is refused in one line that names key, value, place and range."""
import re
from pathlib import Path

import pytest

import shadowland as sl
from server_app import config

DOCUMENT = Path(__file__).parents[2] / "docs/config.md"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "game.toml"
    path.write_text(text)
    return path


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    path = written(tmp_path, "[server]\nport = 1001\ntick_hz = 20\nhost = '::1'\n")
    environment = {"SHADOWLAND_PORT": "1002", "SHADOWLAND_TICK_HZ": "40", "SHADOWLAND_CPU": "generic"}
    settings = config.load({"port": 1003, "host": None}, path=path, environment=environment)
    assert (settings.port, settings.tick_hz, settings.host, settings.capacity) == (1003, 40, "::1", 1024)


@pytest.mark.parametrize("key", config.KEYS.values(), ids=lambda key: str(key.name))
def test_every_key_can_be_set_everywhere_and_refuses_what_is_out_of_range(key: config.Key, tmp_path: Path) -> None:
    value = {str: key.choices[0] if key.choices else "somewhere", int: key.low, float: key.high}[key.kind]
    shown = f"'{value}'" if key.kind is str else value
    path = written(tmp_path, f"[{key.section}]\n{key.name} = {shown}\n")
    for settings in (
        config.load({}, path=path, environment={}),
        config.load({}, environment={key.variable: str(value)}),
        config.load({key.name: value}, environment={}),
    ):
        assert getattr(settings, key.name) == value and type(getattr(settings, key.name)) is key.kind
    if key.kind is str and not key.choices:
        return
    worst = "'loud'" if key.kind is str else key.high + 1 if key.kind is int and key.high is not None else "nan"
    path.write_text(f"[{key.section}]\n{key.name} = {worst}\n")
    with pytest.raises(sl.ConfigError) as refusal:
        config.load({}, path=path, environment={})
    text = str(refusal.value)
    assert f"{path}: [{key.section}]" in text and key.name in text and str(worst) in text and key.range in text
    with pytest.raises(sl.ConfigError, match=f"environment variable {key.variable}: {key.name} is 'x'"):
        config.load({}, environment={key.variable: "x"})


def wrong_values(key: config.Key) -> list[str]:
    """TOML values that a key cannot have, and what ends up in the sentence."""
    if key.kind is str:
        return ["1", "true", "[]", *(["'loud'", "''"] if key.choices else [])]
    assert key.low is not None and key.high is not None
    step = 1 if key.kind is int else 0.001
    wrong = [repr(key.low - step), repr(key.high + step), "-9223372036854775808", "9223372036854775807", "'5'", "true",
             "[1]"]
    return [*wrong, "nan", "inf", "-inf"] if key.kind is float else [*wrong, "1.5", "nan"]


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key in config.KEYS.values() for value in wrong_values(key)],
    ids=lambda part: str(getattr(part, "name", part)))
def test_every_wrong_value_of_every_key_is_named_with_its_place_and_what_it_may_be(
        key: config.Key, value: str, tmp_path: Path) -> None:
    """One below the least, one above the most, absurd, and of another type: file, environment and flag."""
    path = written(tmp_path, f"[{key.section}]\n{key.name} = {value}\n")
    with pytest.raises(sl.ConfigError) as refusal:
        config.load({}, path=path, environment={})
    text = str(refusal.value)
    assert text.startswith(f"{path}: [{key.section}]: {key.name} is ") and text.endswith(key.range) and "\n" not in text
    plain = value.strip("'")
    if key.kind is not str and value != "'5'" or key.choices and value[0] == "'":
        with pytest.raises(sl.ConfigError) as refusal:
            config.load({}, environment={key.variable: plain})
        text = str(refusal.value)
        assert text.startswith(f"environment variable {key.variable}: {key.name} is ") and text.endswith(key.range)
    if key.kind is not str and re.fullmatch(r"-?[0-9.]+(e[0-9]+)?", value):
        with pytest.raises(sl.ConfigError, match=f"--{key.name.replace('_', '-')}: {key.name} is "):
            config.load({key.name: key.kind(value) if key.kind is float or "." not in value else float(value)},
                        environment={})


@pytest.mark.parametrize("key", config.KEYS.values(), ids=lambda key: str(key.name))
def test_the_ends_of_every_range_are_allowed_and_a_misspelt_key_is_told_apart(key: config.Key, tmp_path: Path) -> None:
    for value in (key.low, key.high, *([0] if key.zero else [])):
        if value is not None:
            path = written(tmp_path, f"[{key.section}]\n{key.name} = {value}\n")
            assert getattr(config.load({}, path=path, environment={}), key.name) == value
    path = written(tmp_path, f"[{key.section}]\n{key.name}x = 1\n")
    with pytest.raises(sl.ConfigError, match=f"no key '{key.name}x'; did you mean '{key.name}'"):
        config.load({}, path=path, environment={})
    other = next(section for section in config.SECTIONS if section != key.section)
    path.write_text(f"[{other}]\n{key.name} = 1\n")
    with pytest.raises(sl.ConfigError, match=rf"{key.name} belongs under \[{key.section}\]"):
        config.load({}, path=path, environment={})


MISTAKES = {
    "[server]\nprot = 1": "no key 'prot'; did you mean 'port'?",
    "[server]\nbots = 1": r"bots belongs under \[demo\]; move it there",
    "[sever]\nport = 1": r"\[sever\] is no section; the sections are server, limits, security, demo",
    "port = 1": r"port stands outside a section; put it under \[server\]",
    "[server]\nport = 'x'": "port is 'x'; give a whole number, 0 to 65,535",
    "[server]\nport = true": "port is True; give a whole number",
    "[server]\nport = 1.5": "port is 1.5; give a whole number",
    "[server]\nlog_level = 'inof'": "did you mean 'info'",
    "[demo]\nduration = -1": "duration is -1.0; give a number, 0.5 to 86,400",
    "[server\nport = 1": "correct the TOML there",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_mistakes_in_a_file_say_what_where_and_the_fix(text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(sl.ConfigError, match=message) as refusal:
        config.load({}, path=path, environment={})
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_file_that_is_missing_or_no_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(sl.ConfigError, match=re.escape(str(path))):
            config.load({}, path=path, environment={})


def test_the_document_has_exactly_the_keys_with_their_defaults_and_ranges() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", DOCUMENT.read_text(), re.MULTILINE)
    expected = [
        (key.name, f"`{key.default}`" if key.default != "" else "empty", key.range, key.meaning)
        for key in config.KEYS.values()
    ]
    assert rows == expected


def test_every_limit_reaches_the_server() -> None:
    settings = config.load({}, environment={"SHADOWLAND_IDLE_TIMEOUT_S": "2.5", "SHADOWLAND_SESSION_BLOCKS": "2720"})
    passed = config.limits(settings)
    assert passed["idle_timeout_us"] == 2_500_000 and passed["session_blocks"] == 2720
    names = {key.name for key in config.KEYS.values() if key.section in ("limits", "security")}
    names -= {"capacity", "entities"}
    assert {re.sub(r"_s$", "_us", name) for name in names} == passed.keys()

"""Invariant: an identity comes back from its file and text unharmed, or a ConfigError says what, where and the fix."""
import os
import pickle
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland import bech32
from shadowland.errors import ConfigError
from shadowland.identity import Identity, parse_public, public_text

keys = st.binary(min_size=32, max_size=32)
FIXED = Identity(bytes(range(32)))


@given(keys)
def test_text_and_key_are_one_to_one(private: bytes) -> None:
    whole = Identity(private)
    text = whole.public_text
    assert text.startswith("slk1") and len(text) == 62
    assert parse_public(text) == parse_public(f"  {text.upper()}\n") == whole.public_bytes


places, symbols = st.integers(0, 57), st.sampled_from(bech32.ALPHABET)


@given(keys, places, symbols, places, symbols)
def test_two_wrong_characters_are_always_found(private: bytes, at: int, one: str, also: int, other: str) -> None:
    text = Identity(private).public_text
    wrong = list(text)
    wrong[4 + at], wrong[4 + also] = one, other
    if "".join(wrong) != text:
        with pytest.raises(ConfigError, match="checksum"):
            parse_public("".join(wrong))


@pytest.mark.parametrize("text", [      # BIP-350, test vectors: valid
    "A1LQFN3A", "a1lqfn3a", "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v", "?1v759aa",
])
def test_bip_350_valid(text: str) -> None:
    prefix = text[:text.rindex("1")].lower()
    values = bech32.groups(prefix, text)
    if prefix == "abcdef":
        assert values == list(reversed(range(32)))


@pytest.mark.parametrize(("prefix", "text"), [      # BIP-350, test vectors: invalid; the last is Bech32, not Bech32m
    ("a", "a1lqfn3b"), ("y", "y1b0jsk6g"), ("lt", "lt1igcx5c0"), ("in", "in1muywd"), ("mm", "mm1crxm3i"),
    ("au", "au1s5cgom"), ("M", "M1VUXWEZ"), ("a", "a12uel5l"), ("a", "A1lqfn3a"),
])
def test_bip_350_invalid(prefix: str, text: str) -> None:
    with pytest.raises(ValueError):
        bech32.groups(prefix, text)


@pytest.mark.parametrize(("text", "says"), [
    ("", "does not begin with slk1"),
    ("slk", "does not begin with slk1"),
    ("slk1", "checksum"),
    (FIXED.public_text[:-1], "checksum"),
    (FIXED.public_text + "q", "checksum"),
    (FIXED.public_text[:20] + "b" + FIXED.public_text[21:], "character 21"),
    (FIXED.public_text[:20] + "\u017f" + FIXED.public_text[21:], "character 21|mixed"),
    (FIXED.public_text[:20].upper() + FIXED.public_text[20:], "mixed"),
    (bech32.encode("slk", bytes(31)), "length"),
    (bech32.encode("slk", bytes(33)), "length"),
    (bech32.encode("slk", bytes(32)), "low-order"),
    (bech32.encode("slk", b"\1" + bytes(31)), "low-order"),
])
def test_a_wrong_text_says_why(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse_public(text)
    assert "copy the" in str(caught.value)


def test_a_private_key_in_the_place_of_a_public_one_is_not_shown() -> None:
    text = bech32.encode("slsecret", bytes(range(32)))
    with pytest.raises(ConfigError, match="PRIVATE") as caught:
        parse_public(text)
    assert text[9:] not in str(caught.value)


def test_keys_of_another_length_are_refused() -> None:
    with pytest.raises(ConfigError, match="32 bytes, not 31"):
        Identity(bytes(31))
    with pytest.raises(ConfigError, match="32 bytes, not 33"):
        public_text(bytes(33))


def test_a_saved_identity_loads_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    whole = Identity.generate()
    mask = os.umask(0)
    try:
        whole.save(path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Identity.load(path)
    assert again == whole and again.private_bytes == whole.private_bytes and hash(again) == hash(whole)
    assert f"public {whole.public_text}\n" in path.read_text()
    assert Identity.generate() != whole


def test_an_identity_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    FIXED.save(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists and is not overwritten"):
        Identity.generate().save(path)
    assert path.read_bytes() == before


def test_no_text_of_an_identity_shows_the_private_key(tmp_path: Path) -> None:
    private = FIXED.private_bytes
    shown = [private.hex(), repr(private)[2:20], bech32.encode("slsecret", private)[9:20]]
    for text in (repr(FIXED), str(FIXED), f"{FIXED}", repr([FIXED])):
        assert not any(secret in text for secret in shown)
    assert not hasattr(FIXED, "__dict__")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(FIXED)
    path = tmp_path / "server.key"
    FIXED.save(path)
    path.write_text(path.read_text().replace("private slsecret1", "private slsecret1q"))
    with pytest.raises(ConfigError, match="damaged") as caught:
        Identity.load(path)
    assert not any(secret in str(caught.value) for secret in shown)


GOOD = f"public {FIXED.public_text}\nprivate {bech32.encode('slsecret', bytes(range(32)))}\n"
OTHER = Identity(b"o" * 32).public_text


@pytest.mark.parametrize(("content", "says"), [
    (b"", "no line 'private"),
    (b"# only a comment\n", "no line 'private"),
    (GOOD.splitlines()[0].encode(), "no line 'private"),
    (GOOD.splitlines()[1].encode(), "no line 'public"),
    (GOOD.replace("private", "secret", 1).encode(), "line 2"),
    ((GOOD + GOOD).encode(), "line 3"),
    (b"public\n" + GOOD.encode(), "line 1"),
    (GOOD[:-4].encode(), "damaged"),
    (GOOD.replace(FIXED.public_text, OTHER).encode(), "not that of the private key"),
    (b"\xff\xfe" + GOOD.encode(), "not an identity file"),
    (b"\0" * 5000, "not an identity file"),
    (GOOD.encode() + b"#" * 5000, "not an identity file"),
])
def test_a_damaged_file_says_what_and_where(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "server.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=says) as caught:
        Identity.load(path)
    assert str(path) in str(caught.value) and "keygen" in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o777])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "server.key"
    FIXED.save(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"{mode:04o}.*chmod 600"):
        Identity.load(path)


def test_a_missing_file_or_folder_names_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; make it with: shadowland-server keygen"):
        Identity.load(tmp_path / "none.key")
    with pytest.raises(ConfigError, match="mkdir -p"):
        FIXED.save(tmp_path / "none" / "server.key")
    with pytest.raises(ConfigError, match="not a file"):
        Identity.load(tmp_path)
    with pytest.raises(ConfigError, match="Not a directory"):
        Identity.load(Path(__file__) / "server.key")


def test_a_pipe_does_not_hold_the_server_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="not a file"):
        Identity.load(tmp_path / "pipe")


def test_a_file_or_folder_of_somebody_else_names_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> int:             # the tests may run as root, who may read everything
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(ConfigError, match="cannot be read .Permission denied.*give the user who runs the server"):
        Identity.load(tmp_path / "server.key")
    with pytest.raises(ConfigError, match="cannot be written .Permission denied.*name another place"):
        FIXED.save(tmp_path / "server.key")


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        FIXED.save(tmp_path / "server.key")
    assert not (tmp_path / "server.key").exists()

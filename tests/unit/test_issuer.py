"""Invariant: what an issuer signs is what the document says, for the player it names, and mistakes name the fix."""
import pickle
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shadowland as sl
from shadowland import bech32, tokens
from shadowland._core.crypto import token as kernel
from shadowland.errors import ConfigError, UsageError
from shadowland.tokens import Issuer, parse_issuer, parse_token, read_token
from tests.reference import tokens as reference

FIXED = Issuer(bytes(range(32)))
SERVERS = [sl.Identity(bytes([number]) * 32) for number in range(1, 6)]
TEXTS = [server.public_text for server in SERVERS]
NOW_S = 1_700_000_000.5


@given(st.integers(0, 2**64 - 1), st.integers(1, 4), st.floats(0.001, 300), st.binary(max_size=256))
def test_what_is_issued_is_good_by_the_reference(player: int, count: int, lifetime: float, data: bytes) -> None:
    text = FIXED.issue(player, TEXTS[:count], lifetime_s=lifetime, data=data, unix_s=NOW_S)
    raw = parse_token(text)
    assert text.startswith("slt1") and len(text) <= 798 and parse_token(f" {text.upper()}\n") == raw
    now_ms = int(NOW_S * 1000)
    read = reference.read(raw)
    assert read is not None
    assert (read.player_id, read.issued_ms, read.expires_ms) == (player, now_ms, now_ms + int(lifetime * 1000))
    assert (read.servers, read.data) == ([server.public_bytes for server in SERVERS[:count]], data)
    for server in SERVERS[:count]:
        assert reference.check(raw, [FIXED.public_bytes], server.public_bytes, now_ms, now_ms) == reference.FINE
    shown = read_token(text)
    assert (shown.player_id, shown.data, list(shown.server_keys)) == (player, data, TEXTS[:count])
    assert shown.issuer == reference.key_id(FIXED.public_bytes).hex()
    assert (shown.issued_s, shown.expires_s) == (NOW_S, (now_ms + int(lifetime * 1000)) / 1000)


def test_no_two_tokens_are_the_same() -> None:
    texts = {FIXED.issue(1, TEXTS[0], unix_s=NOW_S) for _ in range(100)}
    assert len(texts) == 100


@pytest.mark.parametrize(("change", "says"), [
    ({"player_id": -1}, "player_id is -1"), ({"player_id": 2**64}, "0 to 2"),
    ({"server_keys": []}, "for 0 servers"), ({"server_keys": TEXTS}, "for 5 servers"),
    ({"lifetime_s": 0}, "lifetime_s is 0"), ({"lifetime_s": 300.001}, "at most|to 300"),
    ({"lifetime_s": 1e300}, "to 300"), ({"lifetime_s": float("nan")}, "to 300"),
    ({"lifetime_s": -1}, "lifetime_s is -1"),
    ({"data": bytes(257)}, "257 bytes; it has at most 256"),
])
def test_values_out_of_range_are_named(change: dict[str, object], says: str) -> None:
    arguments: dict[str, object] = {"player_id": 1, "server_keys": TEXTS[:1], "lifetime_s": 60.0} | change
    with pytest.raises(UsageError, match=says):
        FIXED.issue(**arguments)  # type: ignore[arg-type]  # some are wrong on purpose


def test_a_server_key_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match="is not a server key"):
        FIXED.issue(1, FIXED.public_text)


@pytest.mark.parametrize(("text", "says"), [
    ("", "does not begin with slt1"),
    (FIXED.public_text, "does not begin with slt1"),
    (FIXED.issue(1, TEXTS[0])[:-1], "checksum"),
    ("slt1" + "q" * 1021, "1025 characters"),
    ("slt1" + "q" * 10**7, "more than any token"),
    (bech32.encode("slt", bytes(493)), "493 bytes"),
])
def test_a_text_that_is_no_token_says_why(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse_token(text)
    assert len(str(caught.value)) < 300 and "copy the whole slt1" in str(caught.value)


def test_a_token_that_says_nothing_is_malformed() -> None:
    with pytest.raises(ConfigError, match="cut, too long"):
        read_token(bech32.encode("slt", bytes(200)))


def test_no_text_about_a_token_shows_it() -> None:
    text = FIXED.issue(1, TEXTS[0])
    with pytest.raises(ConfigError) as caught:
        parse_token(text[:-1])
    assert text[10:30] not in str(caught.value)


@pytest.mark.parametrize(("text", "says"), [
    ("", "does not begin with sli1"), (TEXTS[0], "does not begin with sli1"), (FIXED.public_text[:-1], "checksum"),
    (bech32.encode("sli", bytes(31)), "length of a key"), (bech32.encode("sli", bytes(33)), "length of a key"),
])
def test_a_text_that_is_no_issuer_says_why(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_issuer(text)


def test_a_private_key_in_the_place_of_a_public_one_is_not_shown() -> None:
    text = bech32.encode("slisecret", bytes(range(32)))
    with pytest.raises(ConfigError, match="PRIVATE") as caught:
        parse_issuer(text)
    assert text[10:] not in str(caught.value)


def test_a_saved_issuer_loads_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path, whole = tmp_path / "issuer.key", Issuer.generate()
    whole.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Issuer.load(path)
    assert again == whole != FIXED and hash(again) == hash(whole)
    assert reference.check(parse_token(again.issue(1, TEXTS[0], unix_s=1)), [whole.public_bytes],
                           SERVERS[0].public_bytes, 1000, 0) == reference.FINE
    with pytest.raises(ConfigError, match="issuer file .* exists and is not overwritten"):
        FIXED.save(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="0640.*chmod 600"):
        Issuer.load(path)
    with pytest.raises(ConfigError, match="shadowland-server token keygen"):
        Issuer.load(tmp_path / "none.key")


def test_files_of_servers_and_issuers_are_told_apart(tmp_path: Path) -> None:
    FIXED.save(tmp_path / "issuer.key")
    SERVERS[0].save(tmp_path / "server.key")
    with pytest.raises(ConfigError, match="identity file .* damaged"):
        sl.Identity.load(tmp_path / "issuer.key")
    with pytest.raises(ConfigError, match="issuer file .* damaged"):
        Issuer.load(tmp_path / "server.key")


def test_no_text_of_an_issuer_shows_the_private_key() -> None:
    secret = bytes(range(32))
    for text in (repr(FIXED), str(FIXED), repr([FIXED])):
        assert secret.hex() not in text and bech32.encode("slisecret", secret)[10:20] not in text
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(FIXED)


def test_keys_of_another_length_are_refused() -> None:
    for size in (0, 31, 33):
        with pytest.raises(ConfigError, match=f"not {size}"):
            Issuer(bytes(size))
        with pytest.raises(ConfigError, match=f"not {size}"):
            tokens.issuer_text(bytes(size))
        with pytest.raises(ValueError, match=f"not {size}"):
            kernel.public_key(bytes(size))

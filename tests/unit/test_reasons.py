"""The numbers of the reasons are part of the wire; names and sentences have one home and docs/reasons.md repeats it."""
import pickle
import re
from enum import IntEnum
from pathlib import Path

import pytest

from shadowland import errors
from shadowland.errors import DisconnectReason, DropReason, TokenProblem

DOCUMENT = Path(__file__).parents[2] / "docs" / "reasons.md"


def documented(heading: str) -> list[tuple[int, str, str]]:
    section = DOCUMENT.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return [(int(value), name, sentence)
            for value, name, sentence in re.findall(r"^\| (\d+) \| (\w+) \| (.+) \|$", section, re.MULTILINE)]


def test_the_document_holds_exactly_the_tables() -> None:
    assert documented("Drop reasons") == [(r.value, r.name, r.sentence) for r in DropReason]
    assert documented("Disconnect reasons") == [(r.value, r.name, r.sentence) for r in DisconnectReason]
    assert documented("Token problems") == [(r.value, r.name, r.sentence) for r in TokenProblem]


def test_values_that_cross_the_wire_or_index_counters_do_not_move() -> None:
    assert [DropReason.NONE, DropReason.BAD_CRC, DropReason.REPLAYED, DropReason.BAD_FRAME] == [0, 4, 15, 20]
    assert [DropReason.BAD_FRAGMENT, DropReason.UNDECODABLE, DropReason.UNEXPECTED] == [28, 34, 37]
    assert [DropReason.BAD_COMPRESSION, DropReason.NO_KEYS] == [40, 41] and len(DropReason) == 42
    assert [DisconnectReason.CLIENT_LEFT, DisconnectReason.SCHEMA_MISMATCH, DisconnectReason.KICKED] == [1, 6, 13]
    assert [DisconnectReason.FLOW_VIOLATION, DisconnectReason.INTERNAL_ERROR] == [10, 15]
    assert [DisconnectReason.BAD_TOKEN, DisconnectReason.BANNED, DisconnectReason.RATE_LIMITED] == [16, 17, 18]
    assert [DisconnectReason.NOT_AUTHENTICATED, DisconnectReason.INTEGRITY_FAILED] == [19, 20]
    assert [DisconnectReason.KEYS_EXHAUSTED, DisconnectReason.CHEATING] == [21, 22]
    assert len(DisconnectReason) == 23
    assert [TokenProblem.MISSING, TokenProblem.EXPIRED, TokenProblem.BAD_SIGNATURE] == [1, 7, 10]
    assert len(TokenProblem) == 11


def test_every_reason_has_a_sentence() -> None:
    for reason in (*DropReason, *DisconnectReason, *TokenProblem):
        assert reason.sentence[0].isupper() and reason.sentence.endswith(".")


def test_an_ended_session_says_why() -> None:
    plain = errors.ConnectionLost(DisconnectReason.KICKED)
    assert str(plain) == DisconnectReason.KICKED.sentence
    named = errors.ConnectError(DisconnectReason.WRONG_SERVER_KEY, "127.0.0.1:3565 holds slk1abc")
    assert str(named) == "127.0.0.1:3565 holds slk1abc"
    assert pickle.loads(pickle.dumps(named)).reason is DisconnectReason.WRONG_SERVER_KEY


def test_errors_can_be_caught_by_their_ordinary_families() -> None:
    assert issubclass(errors.ConfigError, ValueError)
    with pytest.raises(OSError) as caught:
        raise errors.TransportError(98, "in use")
    assert caught.value.errno == 98
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, (errors.ShadowlandError, IntEnum))

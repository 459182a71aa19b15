"""The compiled view agrees with the vectors of docs/replication.md; the file is what the reference writes."""
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shadowland._core.world.columns import KindTable
from shadowland._core.world.view import Views
from tests.parity.worlds import kind_table
from tests.reference import replication_vectors
from tests.reference.replication_view import View
from tests.reference.world_records import Reader, decode_absolute, decode_delta, encode_absolute, predict

PATH = Path(__file__).parents[1] / "vectors" / "replication.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text())
KINDS = replication_vectors.KINDS


@pytest.fixture
def table() -> KindTable:
    return kind_table(KINDS)


def seen(views: Views) -> list[dict[str, Any]]:
    out = []
    for entity in views.known():
        state = views.states(np.array([entity["seat"]]), int(entity["kind"]))[0].tolist()
        out.append({"slot": int(entity["handle"]) & 0xFFFFFFFF, "generation": int(entity["handle"]) >> 32,
                    "kind": int(entity["kind"]), "audience": int(entity["audience"]), "state": state})
    return sorted(out, key=lambda entry: entry["slot"])


def test_the_file_is_what_the_reference_writes() -> None:
    assert json.loads(json.dumps(replication_vectors.document())) == VECTORS


def test_quanta(table: KindTable) -> None:
    for entry in VECTORS["quantize"]:
        quanta = table.quantize(entry["kind"], entry["component"], float(entry["value"]))
        assert (list(quanta) if isinstance(quanta, tuple) else quanta) == entry["quanta"]


def test_predictions(table: KindTable) -> None:
    for entry in VECTORS["predict"]:
        assert table.predict(entry["kind"], entry["state"], entry["ticks"]) == entry["predicted"]


@pytest.mark.parametrize("entry", VECTORS["bodies"],
                         ids=lambda entry: f"{entry['kind']}-{entry['state']}-{entry['audience']}")
def test_bodies(entry: dict[str, Any], table: KindTable) -> None:
    """Each body, put into a payload of its own, gives the state; the reference reads it alike."""
    kind, audience, state = KINDS[entry["kind"]], entry["audience"], entry["state"]
    flag = 2 | audience << 2
    visible = kind.visible(audience)
    shown = [value if i in visible else kind.components[i].low for i, value in enumerate(state)]
    assert list(decode_absolute(kind, Reader(bytes.fromhex(entry["absolute"])), audience)) == shown
    for delta in entry["delta"]:
        views = Views(table, 1, 8, 64)
        reference = encode_absolute(kind, tuple(delta["reference"]), audience)
        assert views.apply(bytes([100, 0, 0, flag, entry["kind"], 1, 1]) + reference) == 0
        assert views.apply(bytes([100 + delta["age"], 0, 0, delta["age"] << 2]) + bytes.fromhex(delta["body"])) == 0
        assert seen(views)[0]["state"] == shown
        predicted = predict(kind, tuple(delta["reference"]), delta["age"])
        again = decode_delta(kind, Reader(bytes.fromhex(delta["body"])), predicted, audience)
        assert [again[i] for i in visible] == [state[i] for i in visible]


@pytest.mark.parametrize("name", ["session", "journey"])
def test_a_session(name: str, table: KindTable) -> None:
    views = Views(table, 1, VECTORS["seats"], 64)
    for entry in VECTORS[name]:
        assert views.apply(bytes.fromhex(entry["payload"]), hint=entry["hint"]) == entry["status"] == 0
        assert views.tick() == entry["tick"]
        assert seen(views) == entry["seen"]


@pytest.mark.parametrize(("known", "entry"), [
    *(pytest.param("known", entry, id=entry["why"]) for entry in VECTORS["refused"]),
    *(pytest.param("known_nomad", entry, id=entry["why"]) for entry in VECTORS["refused_nomads"])])
def test_refused(known: str, entry: dict[str, Any], table: KindTable) -> None:
    views, reference = Views(table, 1, VECTORS["seats"], 64), View(KINDS, VECTORS["seats"], 64)
    assert views.apply(bytes.fromhex(VECTORS[known])) == reference.apply(bytes.fromhex(VECTORS[known])) == 0
    before = seen(views)
    assert reference.apply(bytes.fromhex(entry["payload"])) == entry["status"]
    assert views.apply(bytes.fromhex(entry["payload"])) == entry["status"]
    if entry["status"]:
        assert seen(views) == before and views.tick() == 10
    else:
        assert views.tick() == 11
        for shown in seen(views):
            key = shown["slot"], shown["generation"]
            assert (shown["kind"], tuple(shown["state"]), shown["audience"]) == reference.entities()[key]


def test_the_session_shows_every_kind_of_record() -> None:
    """Else the vectors would say less than the document."""
    heads = set()
    for entry in VECTORS["session"]:
        payload = bytes.fromhex(entry["payload"])
        heads.add((payload[3] & 3, payload[3] >> 2 == 63))
    assert {(0, False), (0, True), (2, False), (3, False)} <= heads

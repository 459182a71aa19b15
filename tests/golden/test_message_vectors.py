"""The compiled codec agrees with the vectors, messages and refusals; the file is what the reference writes."""
import json
from pathlib import Path
from typing import Any

import pytest

from shadowland._core.world.codec import MessageCodec
from tests.reference import message_vectors

PATH = Path(__file__).parents[1] / "vectors" / "messages.json"
WITH_LISTS: list[dict[str, Any]] = json.loads(PATH.read_text())["classes_with_lists"]
CLASSES: list[dict[str, Any]] = json.loads(PATH.read_text())["classes"]


def test_the_file_is_what_the_reference_writes() -> None:
    assert json.loads(PATH.read_text()) == json.loads(json.dumps(message_vectors.document()))


@pytest.mark.parametrize("entry", CLASSES, ids=lambda entry: entry["class"])
def test_the_compiled_codec_agrees(entry: dict[str, Any]) -> None:
    codec = MessageCodec([tuple(component) for component in entry["components"]], entry["texts"])
    for message in entry["messages"]:
        payload = bytes.fromhex(message["payload"])
        assert codec.encode_one(message["numbers"], [text.encode() for text in message["texts"]]) == payload
        assert codec.decode_one(payload) == (message["numbers"], message["texts"])
    for payload, why in entry["refused"].items():
        assert codec.decode_one(bytes.fromhex(payload)) is None, why


@pytest.mark.parametrize("entry", WITH_LISTS, ids=lambda entry: entry["class"])
def test_the_compiled_codec_agrees_on_lists(entry: dict[str, Any]) -> None:
    codec = MessageCodec([tuple(component) for component in entry["components"]], entry["texts"],
                         [(tuple(component), most, limit) for component, most, limit in entry["lists"]])
    for message in entry["messages"]:
        payload = bytes.fromhex(message["payload"])
        lists = [[text.encode() for text in part] if limit else part
                 for part, (_, _, limit) in zip(message["lists"], entry["lists"], strict=True)]
        assert codec.encode_one(message["numbers"], [text.encode() for text in message["texts"]], lists) == payload
        found = codec.decode_one(payload)
        assert found is not None and found[0] == message["numbers"]
        assert [part if isinstance(part, (str, list)) else part.tolist() for part in found[1]] == [
            *message["texts"], *message["lists"]]
    for payload, why in entry["refused"].items():
        assert codec.decode_one(bytes.fromhex(payload)) is None, why

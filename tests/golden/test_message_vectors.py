"""The compiled codec agrees with the vectors, messages and refusals; the file is what the reference writes."""
import json
from pathlib import Path
from typing import Any

import pytest

from shadowland._core.world.codec import MessageCodec
from tests.reference import message_vectors

PATH = Path(__file__).parents[1] / "vectors" / "messages.json"
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

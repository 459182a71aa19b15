"""tests/vectors/tokens.json: written by the reference, and judged the same by the compiled code."""
import json
from pathlib import Path

from shadowland._core.crypto import token
from shadowland.errors import TokenProblem
from tests.reference import token_vectors

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/tokens.json").read_text())


def test_the_file_is_what_the_reference_writes() -> None:
    assert json.loads(json.dumps(token_vectors.document())) == VECTORS


def test_each_token_has_its_problem() -> None:
    issuer, server = bytes.fromhex(VECTORS["issuer"]), bytes.fromhex(VECTORS["server"])
    assert token.public_key(bytes.fromhex(VECTORS["issuer_private"])) == issuer
    for row in VECTORS["tokens"]:
        problem = token.check(bytes.fromhex(row["token"]), (issuer,), server, VECTORS["now_ms"], VECTORS["since_ms"])
        assert problem == row["problem"], row["name"]
    no_property_of_bytes = {TokenProblem.SPENT, TokenProblem.MISSING}
    assert {row["problem"] for row in VECTORS["tokens"]} == set(TokenProblem) - no_property_of_bytes

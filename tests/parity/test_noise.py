"""Invariant: whatever keys, prologues and payloads, both sides of the handshake write the reference's bytes.

And a message that differs in one bit, or comes under another prologue or key, ends it or leaves it as it was.
"""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland._core.crypto import keys, noise
from tests.reference import noise as reference

HANDSHAKE_FAILED, LOW_ORDER_POINT, TRUNCATED, UNEXPECTED = 11, 10, 1, 37

secrets = st.binary(min_size=32, max_size=32)
payloads = st.one_of(st.binary(max_size=80), st.sampled_from([0, 1, 63, 64, 1072]).map(bytes))


@settings(max_examples=25)
@given(st.binary(max_size=100), secrets, secrets, secrets, payloads, payloads)
def test_transcripts_equal_the_reference(
    prologue: bytes, static: bytes, client_secret: bytes, server_secret: bytes, first: bytes, second: bytes,
) -> None:
    public = keys.public_key(static)
    client, client_model = (kind(prologue, public, client_secret) for kind in (noise.Initiator, reference.Initiator))
    server, server_model = (kind(prologue, static) for kind in (noise.Responder, reference.Responder))
    message_1 = client.write(first)
    assert message_1 is not None and message_1 == client_model.write(first)
    assert server.read(message_1) == server_model.read(message_1) == first
    message_2 = server.write(server_secret, second)
    assert message_2 is not None and message_2 == server_model.write(server_secret, second)
    assert client.read(message_2) == client_model.read(message_2) == second
    assert client.split() == server.split() == client_model.split() == server_model.split()


def handshake(payload: bytes = b"payload") -> tuple[noise.Initiator, noise.Responder, bytes]:
    client = noise.Initiator(b"prologue", keys.public_key(b"s" * 32), b"c" * 32)
    message = client.write(payload)
    assert message is not None
    return client, noise.Responder(b"prologue", b"s" * 32), message


@given(st.data())
def test_a_changed_message_1_ends_the_servers_side(data: st.DataObject) -> None:
    _, server, message = handshake()
    changed = bytearray(message)
    bit = data.draw(st.integers(0, 8 * len(message) - 1))
    changed[bit // 8] ^= 1 << bit % 8
    assert server.read(bytes(changed)) is None and server.status == HANDSHAKE_FAILED
    assert server.read(message) is None and server.status == UNEXPECTED
    assert not server.remembers(b"s" * 32)


@given(st.data())
def test_a_forged_message_2_leaves_the_client_ready_for_the_true_one(data: st.DataObject) -> None:
    client, server, message_1 = handshake()
    assert server.read(message_1) == b"payload"
    message_2 = server.write(b"r" * 32, b"answer")
    assert message_2 is not None
    changed = bytearray(message_2)
    bit = data.draw(st.integers(0, 8 * len(message_2) - 1))
    changed[bit // 8] ^= 1 << bit % 8
    assert client.read(bytes(changed)) is None and client.status == HANDSHAKE_FAILED
    assert client.read(bytes(32) + message_2[32:]) is None and client.status == LOW_ORDER_POINT
    assert client.read(message_2[:47]) is None and client.status == TRUNCATED
    assert client.read(message_2) == b"answer"
    assert client.split() == server.split()


def test_another_prologue_or_server_key_is_refused() -> None:
    _, _, message = handshake()
    for prologue, static in ((b"prologuf", b"s" * 32), (b"", b"s" * 32), (b"prologue", b"t" * 32)):
        server = noise.Responder(prologue, static)
        assert server.read(message) is None and server.status == HANDSHAKE_FAILED


@given(st.integers(0, 47))
def test_a_message_too_short_is_refused(length: int) -> None:
    _, server, message = handshake()
    assert server.read(message[:length]) is None and server.status == TRUNCATED


def test_steps_out_of_order_are_refused() -> None:
    client, server, message = handshake()
    assert client.write(b"") is None and client.status == UNEXPECTED        # one ephemeral, one message 1
    assert server.write(b"r" * 32, b"") is None and server.status == UNEXPECTED
    assert server.read(message) == b"payload"
    answer = server.write(b"r" * 32, b"")
    assert answer is not None
    assert server.write(b"q" * 32, b"other") is None and server.status == UNEXPECTED
    with pytest.raises(ValueError, match="not complete"):
        client.split()
    assert client.read(answer) == b""
    assert client.split() == server.split()
    for split in (client.split, server.split):                              # and never a second time
        with pytest.raises(ValueError, match="not complete"):
            split()

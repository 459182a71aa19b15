"""Invariant: exchange, hashes and derivation give what the references and a foreign library give."""
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.crypto import aead, keys
from tests.reference import keys as reference

P = 2**255 - 19
secrets = st.binary(min_size=32, max_size=32)
# Values above the prime and with the top bit set are points too (RFC 7748 section 5), and are reduced.
points = st.one_of(secrets, st.integers(P - 3, P + 18).map(lambda u: u.to_bytes(32, "little")),
                   st.integers(2**256 - 30, 2**256 - 1).map(lambda u: u.to_bytes(32, "little")))


@given(secrets, points)
def test_exchange(private: bytes, public: bytes) -> None:
    shared = keys.exchange(private, public)
    assert shared == reference.exchange(private, public)
    if shared is not None:
        foreign = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
        assert shared == foreign


@given(secrets)
def test_public_key(private: bytes) -> None:
    foreign = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    assert keys.public_key(private) == reference.public_key(private) == foreign


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_hashes(key: bytes, data: bytes) -> None:
    assert keys.hash256(data) == hashlib.sha256(data).digest()
    assert keys.hmac256(key, data) == reference.hmac256(key, data)
    assert keys.extract(key, data) == reference.extract(key, data)


@given(secrets, st.binary(max_size=100), st.sampled_from([0, 1, 31, 32, 33, 64, 65, 255 * 32]))
def test_expand(prk: bytes, info: bytes, length: int) -> None:
    assert keys.expand(prk, info, length) == reference.expand(prk, info, length)
    if length:
        assert keys.expand(prk, info, length) == HKDFExpand(hashes.SHA256(), length, info).derive(prk)


@given(secrets, st.integers(0, 2**32 - 1))
def test_session_keys(split: bytes, epoch: int) -> None:
    for suite in (aead.CHACHA20_POLY1305, aead.AEGIS_128L):
        if aead.key_size(suite):
            assert keys.derive(split, suite, epoch) == reference.derive(split, suite, epoch)


def test_lengths_that_are_wrong_are_refused_without_showing_the_key() -> None:
    secret = b"secret" * 7
    calls: list[Callable[[], object]] = [
        lambda: keys.public_key(secret), lambda: keys.exchange(secret, bytes(32)),
        lambda: keys.expand(secret, b"", 8), lambda: keys.derive(secret, 1, 0),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="32 bytes, not 42") as caught:
            call()
        assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="8160"):
        keys.expand(bytes(32), b"", 8161)
    with pytest.raises(ValueError, match="suite 7"):
        keys.derive(bytes(32), 7, 0)

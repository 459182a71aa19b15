"""Invariant: the kernel seals to the reference's bytes, opens them, and opens nothing that differs in a single bit."""
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.crypto import aead
from tests.reference import aead as reference
from tests.reference import aegis as reference_aegis

# Lengths where an arm of libsodium or a block of Poly1305 begins or ends, and some between.
lengths = st.sampled_from([0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 511, 512, 513, 700])
ids = st.sampled_from([0, 1, 0x12345678, 2**32 - 1])
sequences = st.sampled_from([0, 1, 0x0102030405060708, 2**32, 2**64 - 1])
headers = st.binary(min_size=0, max_size=40)
suites = st.sampled_from([suite for suite in (aead.CHACHA20_POLY1305, aead.AEGIS_128L) if aead.key_size(suite)])


def texts(length: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=length, max_size=length)


@given(st.binary(min_size=32, max_size=32), ids, sequences, headers, lengths.flatmap(texts))
def test_chacha_seals_as_the_reference_and_a_foreign_library(
    key: bytes, connection_id: int, sequence: int, ad: bytes, plaintext: bytes,
) -> None:
    nonce = reference.packet_nonce(connection_id, sequence)
    sealed = aead.Aead(key).seal(connection_id, sequence, ad, plaintext)
    assert sealed == reference.seal(key, nonce, ad, plaintext)
    assert sealed == ChaCha20Poly1305(key).encrypt(nonce, plaintext, ad)
    assert aead.Aead(key).open(connection_id, sequence, ad, sealed) == plaintext


@pytest.mark.skipif(not aead.key_size(aead.AEGIS_128L), reason="this machine has no AES instructions")
@given(st.binary(min_size=16, max_size=16), ids, sequences, headers, st.integers(0, 70).flatmap(texts))
def test_aegis_seals_as_the_reference(
    key: bytes, connection_id: int, sequence: int, ad: bytes, plaintext: bytes,
) -> None:
    nonce = reference.packet_nonce(connection_id, sequence) + bytes(4)
    box = aead.Aead(key, aead.AEGIS_128L)
    sealed = box.seal(connection_id, sequence, ad, plaintext)
    assert sealed == reference_aegis.seal(key, nonce, ad, plaintext)
    assert reference_aegis.open_sealed(key, nonce, ad, sealed) == plaintext
    assert reference_aegis.open_sealed(key, nonce, ad, sealed[:-1] + bytes([sealed[-1] ^ 1])) is None
    assert box.open(connection_id, sequence, ad, sealed) == plaintext


@given(suites, ids, sequences, st.binary(min_size=14, max_size=14), lengths.flatmap(texts), st.data())
def test_one_flipped_bit_anywhere_does_not_open(
    suite: int, connection_id: int, sequence: int, ad: bytes, plaintext: bytes, data: st.DataObject,
) -> None:
    box = aead.Aead(bytes(range(aead.key_size(suite))), suite)
    sealed = box.seal(connection_id, sequence, ad, plaintext)
    # Everything that is authenticated in one row: id, sequence, header, ciphertext, tag.
    row = bytearray(connection_id.to_bytes(4, "little") + sequence.to_bytes(8, "little") + ad + sealed)
    bit = data.draw(st.integers(0, 8 * len(row) - 1))
    row[bit // 8] ^= 1 << bit % 8
    where = int.from_bytes(row[:4], "little"), int.from_bytes(row[4:12], "little")
    changed = bytearray(row[26:])
    assert box.open(*where, bytes(row[12:26]), bytes(changed)) is None
    assert not box.open_into(*where, bytes(row[12:26]), changed)
    assert not any(changed[:len(plaintext)])            # nothing of a forged text is left to be read by mistake


@given(suites, lengths.flatmap(texts), st.integers(0, 40))
def test_a_text_cut_short_does_not_open(suite: int, plaintext: bytes, kept: int) -> None:
    box = aead.Aead(bytes(aead.key_size(suite)), suite)
    sealed = box.seal(1, 2, b"header", plaintext)
    assert box.open(1, 2, b"header", sealed[:min(kept, len(sealed) - 1)]) is None

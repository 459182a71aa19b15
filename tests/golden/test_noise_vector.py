"""Noise_NK_25519_ChaChaPoly_SHA256: the published vector of the cacophony set, through kernel and reference."""
from shadowland._core.crypto import aead, noise
from tests.reference import noise as reference_noise

hexed = bytes.fromhex

PROLOGUE = b"John Galt"
CLIENT_EPHEMERAL = hexed("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a")
SERVER_STATIC_PUBLIC = hexed("31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62")
SERVER_STATIC = hexed("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893")
SERVER_EPHEMERAL = hexed("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b")
HANDSHAKE_HASH = hexed("2efa38a9c7c93ac98f3a097af25c2f58b9e7673787717bc27e98827118c2c1a5")
MESSAGES = [            # payload, ciphertext: the two of the handshake, then in turn from client and server
    (b"Ludwig von Mises",
     "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79448134d00711fdb390a0d178fa00"
     "8f6d47d2891e5ea18ae136c3b4c23ac384efb0"),
    (b"Murray Rothbard",
     "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088438ea16e3701bc0d77744f117bee"
     "22451c9afa7f4cdbbcff00c04a8ee0913c88"),
    (b"F. A. Hayek",
     "a62de29ce27cb80245d440d986ed816c156e9d757d7008df2198b0"),
    (b"Carl Menger",
     "174a35f11c689f4530d7208618e0564ae12f2f50ba8eb4df5382ff"),
    (b"Jean-Baptiste Say",
     "337e475ebb8eae60f91974c4e455a5af38d1d8628d1803b160d60442874b0a1777"),
    (b"Eugen B\xf6hm von Bawerk",
     "047e80e060b7bb08b53c5a23dfe9920cae135b9d1dc6302fc475003062723700366346ac9d"),
]


def test_the_kernel() -> None:
    messages = [(payload, hexed(ciphertext)) for payload, ciphertext in MESSAGES]
    client = noise.Initiator(PROLOGUE, SERVER_STATIC_PUBLIC, CLIENT_EPHEMERAL)
    server = noise.Responder(PROLOGUE, SERVER_STATIC)
    (first, first_sealed), (second, second_sealed), *transport = messages
    assert client.write(first) == first_sealed
    assert server.read(first_sealed) == first
    assert server.write(SERVER_EPHEMERAL, second) == second_sealed
    assert client.read(second_sealed) == second
    up, down, handshake_hash, root = client.split()
    assert server.split() == (up, down, handshake_hash, root)
    assert handshake_hash == HANDSHAKE_HASH
    # Noise's nonce is four zero bytes and a counter, as ours with connection id 0.
    for i, (payload, ciphertext) in enumerate(transport):
        assert aead.Aead((up, down)[i % 2]).seal(0, i // 2, b"", payload) == ciphertext


def test_the_reference() -> None:
    client = reference_noise.Initiator(PROLOGUE, SERVER_STATIC_PUBLIC, CLIENT_EPHEMERAL)
    server = reference_noise.Responder(PROLOGUE, SERVER_STATIC)
    (first, first_sealed), (second, second_sealed) = MESSAGES[:2]
    assert client.write(first) == hexed(first_sealed) and server.read(hexed(first_sealed)) == first
    assert server.write(SERVER_EPHEMERAL, second) == hexed(second_sealed)
    assert client.read(hexed(second_sealed)) == second
    assert client.split() == server.split() and client.split()[2] == HANDSHAKE_HASH

"""Published vectors, typed in: RFC 8439, RFC 7748, RFC 5869, and AEGIS-128L's draft, through kernels and references."""
import struct

import pytest

from shadowland._core.crypto import aead, keys
from tests.reference import aead as reference_aead
from tests.reference import aegis as reference_aegis
from tests.reference import keys as reference_keys

hexed = bytes.fromhex


def test_rfc_8439_block_and_poly1305() -> None:
    """Sections 2.3.2 and 2.5.2."""
    block = reference_aead.chacha20_block(bytes(range(32)), 1, hexed("000000090000004a00000000"))
    assert block == hexed(
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e")
    key = hexed("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
    tag = reference_aead.poly1305(key, b"Cryptographic Forum Research Group")
    assert tag == hexed("a8061dc1305136c6c22b8baf0c0127a9")


def test_rfc_8439_seal() -> None:
    """Section 2.8.2."""
    key, nonce, ad = bytes(range(0x80, 0xA0)), hexed("070000004041424344454647"), hexed("50515253c0c1c2c3c4c5c6c7")
    plaintext = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
                 b"sunscreen would be it.")
    sealed = hexed(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
        "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
        "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
        "3ff4def08e4b7a9de576d26586cec64b6116"
        "1ae10b594f09e26a7e902ecbd0600691")
    connection_id, sequence = struct.unpack("<IQ", nonce)
    assert aead.Aead(key).seal(connection_id, sequence, ad, plaintext) == sealed
    assert aead.Aead(key).open(connection_id, sequence, ad, sealed) == plaintext
    assert reference_aead.seal(key, nonce, ad, plaintext) == sealed


def test_rfc_8439_open() -> None:
    """Appendix A.5."""
    key = hexed("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0")
    nonce, ad = hexed("000000000102030405060708"), hexed("f33388860000000000004e91")
    sealed = hexed(
        "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"
        "4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"
        "332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
        "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"
        "b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
        "af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
        "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
        "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"
        "a6ad5cb4022b02709b"
        "eead9d67890cbb22392336fea1851f38")
    connection_id, sequence = struct.unpack("<IQ", nonce)
    plaintext = aead.Aead(key).open(connection_id, sequence, ad, sealed)
    assert plaintext is not None and len(plaintext) == 265
    assert plaintext.startswith(b"Internet-Drafts are draft documents valid for a maximum of six months")
    assert reference_aead.open_sealed(key, nonce, ad, sealed) == plaintext


CHACHA20_BLOCKS = [     # RFC 8439 appendix A.1: key, counter, block; the nonce is zero
    (bytes(32), 0, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
                   "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"),
    (bytes(32), 1, "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
                   "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"),
    (bytes(31) + b"\1", 1, "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
                           "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"),
    (b"\0\xff" + bytes(30), 2, "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
                               "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"),
]


@pytest.mark.parametrize(("key", "counter", "block"), CHACHA20_BLOCKS)
def test_rfc_8439_blocks(key: bytes, counter: int, block: str) -> None:
    assert reference_aead.chacha20_block(key, counter, bytes(12)) == hexed(block)


POLY1305 = [            # RFC 8439 appendix A.3, numbers 7 to 11: carries and limbs at their limits; r ‖ s, text, tag
    ("02" + "00" * 31, "ff" * 16, "03" + "00" * 15),
    ("02" + "00" * 15 + "ff" * 16, "02" + "00" * 15, "03" + "00" * 15),
    ("01" + "00" * 31, "ff" * 16 + "f0" + "ff" * 15 + "11" + "00" * 15, "05" + "00" * 15),
    ("01" + "00" * 31, "ff" * 16 + "fb" + "fe" * 15 + "01" * 16, "00" * 16),
    ("02" + "00" * 31, "fd" + "ff" * 15, "fa" + "ff" * 15),
]


@pytest.mark.parametrize(("key", "text", "tag"), POLY1305)
def test_rfc_8439_poly1305(key: str, text: str, tag: str) -> None:
    assert reference_aead.poly1305(hexed(key), hexed(text)) == hexed(tag)


AEGIS_KEY, AEGIS_NONCE = hexed("10010000000000000000000000000000"), hexed("10000200000000000000000000000000")
AEGIS = [               # draft-irtf-cfrg-aegis-aead, AEGIS-128L vectors 1 to 5: data, text, ciphertext, 256-bit tag
    (b"", bytes(16), "c1c0e58bd913006feba00f4b3cc3594e",
     "25835bfbb21632176cf03840687cb968cace4617af1bd0f7d064c639a5c79ee4"),
    (b"", b"", "", "1360dc9db8ae42455f6e5b6a9d488ea4f2184c4e12120249335c4ee84bafe25d"),
    (bytes(range(8)), bytes(range(32)), "79d94593d8c2119d7e8fd9b8fc77845c5c077a05b2528b6ac54b563aed8efe84",
     "022cb796fe7e0ae1197525ff67e309484cfbab6528ddef89f17d74ef8ecd82b3"),
    (bytes(range(8)), bytes(range(14)), "79d94593d8c2119d7e8fd9b8fc77",
     "86f1b80bfb463aba711d15405d094baf4a55a15dbfec81a76f35ed0b9c8b04ac"),
    (bytes(range(42)), bytes(range(16, 56)),
     "b31052ad1cca4e291abcf2df3502e6bdb1bfd6db36798be3607b1f94d34478aa7ede7f7a990fec10",
     "b91e2947a33da8bee89b6794e647baf0fc835ff574aca3fc27c33be0db2aff98"),
]
AEGIS_WRONG = [         # vectors 6 to 9, which must not open: key, nonce, data, ciphertext, tag
    (AEGIS_NONCE, AEGIS_KEY, "0001020304050607", "79d94593d8c2119d7e8fd9b8fc77",
     "86f1b80bfb463aba711d15405d094baf4a55a15dbfec81a76f35ed0b9c8b04ac"),
    (AEGIS_KEY, AEGIS_NONCE, "0001020304050607", "79d94593d8c2119d7e8fd9b8fc78",
     "86f1b80bfb463aba711d15405d094baf4a55a15dbfec81a76f35ed0b9c8b04ac"),
    (AEGIS_KEY, AEGIS_NONCE, "0001020304050608", "79d94593d8c2119d7e8fd9b8fc77",
     "86f1b80bfb463aba711d15405d094baf4a55a15dbfec81a76f35ed0b9c8b04ac"),
    (AEGIS_KEY, AEGIS_NONCE, "0001020304050607", "79d94593d8c2119d7e8fd9b8fc77",
     "86f1b80bfb463aba711d15405d094baf4a55a15dbfec81a76f35ed0b9c8b04ad"),
]


@pytest.mark.parametrize(("data", "text", "ciphertext", "tag"), AEGIS)
def test_aegis_128l(data: bytes, text: bytes, ciphertext: str, tag: str) -> None:
    sealed = hexed(ciphertext + tag)
    assert reference_aegis.seal(AEGIS_KEY, AEGIS_NONCE, data, text) == sealed
    assert reference_aegis.open_sealed(AEGIS_KEY, AEGIS_NONCE, data, sealed) == text
    if aead.key_size(aead.AEGIS_128L):
        box, (connection_id, sequence) = aead.Aead(AEGIS_KEY, aead.AEGIS_128L), struct.unpack("<IQ", AEGIS_NONCE[:12])
        assert box.seal(connection_id, sequence, data, text) == sealed
        assert box.open(connection_id, sequence, data, sealed) == text


@pytest.mark.parametrize(("key", "nonce", "data", "ciphertext", "tag"), AEGIS_WRONG)
def test_aegis_128l_that_must_not_open(key: bytes, nonce: bytes, data: str, ciphertext: str, tag: str) -> None:
    sealed = hexed(ciphertext + tag)
    assert reference_aegis.open_sealed(key, nonce, hexed(data), sealed) is None
    if aead.key_size(aead.AEGIS_128L):
        connection_id, sequence = struct.unpack("<IQ", nonce[:12])
        assert aead.Aead(key, aead.AEGIS_128L).open(connection_id, sequence, hexed(data), sealed) is None


X25519 = [      # RFC 7748 section 5.2, twice; section 6.1
    ("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
     "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
     "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"),
    ("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
     "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
     "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"),
    ("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
     "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
]


@pytest.mark.parametrize(("private", "public", "shared"), X25519)
def test_rfc_7748(private: str, public: str, shared: str) -> None:
    assert keys.exchange(hexed(private), hexed(public)) == hexed(shared)
    assert reference_keys.exchange(hexed(private), hexed(public)) == hexed(shared)


def test_rfc_7748_iterated() -> None:
    """Section 5.2: after one round and after a thousand. That after a million holds too (32 s of CPU)."""
    k = u = reference_keys.BASE
    seen = {}
    for i in range(1, 1001):
        shared = keys.exchange(k, u)
        assert shared is not None
        k, u = shared, k
        seen[i] = k
    assert seen[1] == hexed("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
    assert seen[1000] == hexed("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")


def test_rfc_7748_diffie_hellman() -> None:
    """Section 6.1: Alice and Bob."""
    alice = hexed("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob, alice_public, shared = map(hexed, X25519[2])
    bob_public = hexed("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    for side in (keys, reference_keys):
        assert (side.public_key(alice), side.public_key(bob)) == (alice_public, bob_public)
        assert side.exchange(alice, bob_public) == side.exchange(bob, alice_public) == shared


HKDF = [        # RFC 5869 appendix A.1, A.2, A.3: material, salt, info, prk, output
    (b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)),
     "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
    (bytes(range(80)), bytes(range(0x60, 0xB0)), bytes(range(0xB0, 0x100)),
     "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
     "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"),
    (b"\x0b" * 22, b"", b"",
     "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
]


@pytest.mark.parametrize(("material", "salt", "info", "prk", "output"), HKDF)
def test_rfc_5869(material: bytes, salt: bytes, info: bytes, prk: str, output: str) -> None:
    assert keys.extract(salt, material) == reference_keys.extract(salt, material) == hexed(prk)
    assert keys.expand(hexed(prk), info, len(output) // 2) == hexed(output)
    assert reference_keys.expand(hexed(prk), info, len(output) // 2) == hexed(output)

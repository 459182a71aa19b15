"""Mistakes of the server that Shadowland replaces, each with the test that keeps it from coming back."""
import itertools

import pytest

from shadowland._core.crypto import aead, cookie, drbg, keys, noise, sodium
from shadowland.errors import DropReason

IP = bytes(10) + b"\xff\xff\x0a\x00\x00\x01"
OTHER_IP = bytes(10) + b"\xff\xff\x0a\x00\x00\x02"
HEADER = bytes.fromhex("7856341200030807060504030201")
SUITES = [suite for suite in (aead.CHACHA20_POLY1305, aead.AEGIS_128L) if aead.key_size(suite)]
LOW_ORDER = [       # the points of order 1, 2, 4 and 8 and their forms above the prime
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    *((2**255 - 19 + offset).to_bytes(32, "little") for offset in (-1, 0, 1)),
]


@pytest.mark.parametrize("suite", SUITES)
def test_sealing_writes_into_the_packet_and_not_into_a_temporary_copy(suite: int) -> None:
    box = aead.Aead(bytes(aead.key_size(suite)), suite)
    packet = bytearray(b"the text of a packet" + bytes(box.tag_size))
    assert box.seal_into(7, 1, HEADER, packet, 20) == 20 + box.tag_size
    assert packet != bytearray(20) + packet[20:] and b"text" not in packet      # neither zeros nor plaintext
    assert packet == box.seal(7, 1, HEADER, b"the text of a packet")
    assert box.open_into(7, 1, HEADER, packet)
    assert packet[:20] == b"the text of a packet"


@pytest.mark.parametrize("suite", SUITES)
def test_plaintext_is_never_taken_for_a_sealed_packet(suite: int) -> None:
    box = aead.Aead(bytes(aead.key_size(suite)), suite)
    for text in (b"", b"\x01", bytes(box.tag_size), b"a plaintext acknowledgment, pong or disconnect" * 3):
        assert box.open(7, 1, HEADER, text) is None


@pytest.mark.parametrize("suite", SUITES)
def test_a_wiped_key_seals_and_opens_nothing(suite: int) -> None:
    box = aead.Aead(bytes(aead.key_size(suite)), suite)
    sealed = box.seal(7, 1, HEADER, b"text")
    box.wipe()
    assert box.seal(7, 1, HEADER, b"text") == b""       # not plaintext: there is nothing to send
    assert box.open(7, 1, HEADER, sealed) is None
    assert box.open(7, 1, HEADER, b"") is None


def test_a_flag_changed_after_sealing_does_not_open() -> None:
    box = aead.Aead(bytes(32))
    sealed = box.seal(7, 1, HEADER, b"text")
    for bit in range(8 * len(HEADER)):
        changed = bytearray(HEADER)
        changed[bit // 8] ^= 1 << bit % 8
        assert box.open(7, 1, bytes(changed), sealed) is None


def test_the_nonce_is_connection_id_and_sequence() -> None:
    """Seen through ChaCha20: sealing zeros shows the keystream, and it differs for every pair."""
    box = aead.Aead(bytes(32))
    pairs = itertools.product((0, 1, 2**31, 2**32 - 1), (0, 1, 2**32, 2**63, 2**64 - 1))
    streams = [box.seal(connection_id, sequence, b"", bytes(32))[:32] for connection_id, sequence in pairs]
    assert len(set(streams)) == len(streams)


def test_low_order_points_are_refused() -> None:
    for point in LOW_ORDER:
        assert keys.exchange(b"k" * 32, point) is None
        assert keys.exchange(b"k" * 32, point[:31] + bytes([point[31] | 0x80])) is None
        client = noise.Initiator(b"", point, b"e" * 32)
        assert client.write(b"") is None and client.status == DropReason.LOW_ORDER_POINT
        server = noise.Responder(b"", b"s" * 32)
        assert server.read(point + bytes(48)) is None and server.status == DropReason.LOW_ORDER_POINT


def test_a_man_in_the_middle_without_the_servers_key_cannot_answer() -> None:
    client = noise.Initiator(b"", keys.public_key(b"s" * 32), b"e" * 32)
    message = client.write(b"for the server only")
    assert message is not None and b"server" not in message
    middle = noise.Responder(b"", b"m" * 32)
    assert middle.read(message) is None and middle.status == DropReason.HANDSHAKE_FAILED
    # Nor can it begin a handshake of its own and pass that answer on.
    other = noise.Responder(b"", b"m" * 32)
    own = noise.Initiator(b"", keys.public_key(b"m" * 32), b"e" * 32).write(b"")
    assert own is not None and other.read(own) == b""
    answer = other.write(b"r" * 32, b"")
    assert answer is not None
    assert client.read(answer) is None and client.status == DropReason.HANDSHAKE_FAILED


def test_a_cookie_is_bound_to_address_port_and_client_key() -> None:
    secrets = cookie.Secrets(b"s" * 32)
    made = secrets.make(IP, 3565, b"e" * 32, 100, b"r" * 8)
    assert secrets.check(IP, 3565, b"e" * 32, 101, made) == DropReason.NONE
    assert secrets.check(OTHER_IP, 3565, b"e" * 32, 101, made) == DropReason.BAD_COOKIE
    assert secrets.check(IP, 3566, b"e" * 32, 101, made) == DropReason.BAD_COOKIE
    assert secrets.check(IP, 3565, b"f" * 32, 101, made) == DropReason.BAD_COOKIE


def test_a_cookie_lives_ten_seconds_and_does_not_come_from_the_future() -> None:
    secrets = cookie.Secrets(b"s" * 32)
    made = secrets.make(IP, 3565, b"e" * 32, 100, b"r" * 8)
    results = [secrets.check(IP, 3565, b"e" * 32, now_s, made) for now_s in (0, 99, 100, 110, 111, 2**62)]
    bad, good, expired = DropReason.BAD_COOKIE, DropReason.NONE, DropReason.COOKIE_EXPIRED
    assert results == [bad, bad, good, good, expired, expired]


def test_the_cookie_secret_rotates_and_the_previous_one_is_still_accepted() -> None:
    secrets = cookie.Secrets(b"1" * 32)
    made = secrets.make(IP, 3565, b"e" * 32, 100, b"r" * 8)
    secrets.rotate(b"2" * 32)
    assert secrets.check(IP, 3565, b"e" * 32, 101, made) == DropReason.NONE
    assert secrets.make(IP, 3565, b"e" * 32, 100, b"r" * 8) != made
    secrets.rotate(b"3" * 32)
    assert secrets.check(IP, 3565, b"e" * 32, 101, made) == DropReason.BAD_COOKIE
    assert 0 < cookie.ROTATE_S <= 120


def test_a_secret_that_is_not_set_accepts_nothing() -> None:
    """Its memory is zeros, which everybody knows: before the first rotation `previous` must match no cookie."""
    wiped = cookie.Secrets(b"s" * 32)
    wiped.wipe()
    for forger in (cookie.Secrets(bytes(32)), wiped):
        forged = forger.make(IP, 3565, b"e" * 32, 100, b"r" * 8)
        for server in (cookie.Secrets(b"s" * 32), wiped):
            assert server.check(IP, 3565, b"e" * 32, 100, forged) == DropReason.BAD_COOKIE


def test_every_bit_of_a_cookie_counts() -> None:
    secrets = cookie.Secrets(b"s" * 32)
    secrets.rotate(b"t" * 32)
    made = secrets.make(IP, 3565, b"e" * 32, 2**40, b"r" * 8)
    for bit in range(8 * len(made)):
        changed = bytearray(made)
        changed[bit // 8] ^= 1 << bit % 8
        assert secrets.check(IP, 3565, b"e" * 32, 2**40, bytes(changed)) != DropReason.NONE


def test_keys_are_never_in_a_repr() -> None:
    secret = bytes(range(65, 97))
    public = keys.public_key(secret)
    things = [aead.Aead(secret), cookie.Secrets(secret), drbg.Generator(secret),
              noise.Initiator(b"", public, secret), noise.Responder(b"", secret)]
    for thing in things:
        for text in (repr(thing), str(thing)):
            assert secret.hex()[:8] not in text and secret.decode()[:8] not in text


def test_handshake_keys_are_wiped_after_split() -> None:
    client, server = noise.Initiator(b"", keys.public_key(b"s" * 32), b"e" * 32), noise.Responder(b"", b"s" * 32)
    assert client.remembers(b"e" * 32) and server.remembers(b"s" * 32)
    message = client.write(b"")
    assert message is not None and server.read(message) == b""
    assert not server.remembers(b"s" * 32)              # the static key is not needed any more
    answer = server.write(b"r" * 32, b"")
    assert answer is not None and not server.remembers(b"r" * 32)
    assert client.read(answer) == b"" and not client.remembers(b"e" * 32)
    for side in (client, server):
        assert not any(side.remembers(secret) for secret in side.split())


def test_both_directions_and_every_epoch_and_suite_have_keys_of_their_own() -> None:
    derived = [keys.derive(split, suite, epoch)
               for split in (b"1" * 32, b"2" * 32) for suite in SUITES for epoch in (0, 1, 256, 2**32 - 1)]
    assert len({key[:16] for key in derived}) == len(derived)


def test_a_library_that_is_not_libsodium_gives_one_clear_error() -> None:
    with pytest.raises(ImportError, match="cannot load libsodium from /nowhere/lib.so.*reinstall it with"):
        sodium.probe("/nowhere/lib.so")
    with pytest.raises(ImportError, match="has no function crypto_.*reinstall it with"):
        sodium.probe(keys.__file__)                     # any shared library without libsodium's functions
    sodium.probe(sodium.LIBRARY)


def test_an_unknown_suite_or_a_wrong_length_is_a_clear_error() -> None:
    for suite in (0, 3, -1, 256, 2**32 + 1):
        assert aead.key_size(suite) == 0
        with pytest.raises(ValueError, match=f"suite {suite} is not available"):
            aead.Aead(bytes(32), suite)
    with pytest.raises(ValueError, match="has 32 bytes, not 31"):
        aead.Aead(bytes(31))
    with pytest.raises(ValueError, match="no room"):
        aead.Aead(bytes(32)).seal_into(0, 0, b"", bytearray(20), 5)
    with pytest.raises(ValueError, match="no room"):
        aead.Aead(bytes(32)).seal_into(0, 0, b"", bytearray(20), -1)

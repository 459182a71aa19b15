"""Which suite seals a session: the better one that both sides offer, whatever somebody between them wishes."""
import os
import subprocess
import sys

import pytest

from shadowland._core.base.status import DropReason
from shadowland._core.crypto import aead, sodium
from shadowland._core.endpoint.endpoint import CIPHERS, RELIABLE_LIMIT, SNAPSHOT_LIMIT, UNRELIABLE_LIMIT
from shadowland.errors import UsageError
from shadowland.testing import Link
from tests.reference import protocol
from tests.sim.peers import Pair, new_client, new_server
from tests.unit.desk import CLIENT, accepted, get_cookie, joined, reference_client, server_desk

CHACHA, AEGIS = aead.CHACHA20_POLY1305, aead.AEGIS_128L
with_aes = pytest.mark.skipif(not sodium.has_aes(), reason="this machine has no AES instructions")
BEST = AEGIS if sodium.has_aes() else CHACHA


def suites(pair: Pair) -> set[int]:
    """What server and client say that their sessions are sealed with."""
    return {int(suite) for peer in (pair.server, pair.client) for suite in peer.endpoint.stats()["suite"]}


@pytest.mark.parametrize("server, client, expected", [
    ("auto", "auto", BEST), ("auto", "chacha20-poly1305", CHACHA), ("chacha20-poly1305", "auto", CHACHA),
    ("chacha20-poly1305", "chacha20-poly1305", CHACHA),
])
def test_both_sides_must_want_aegis(server: str, client: str, expected: int) -> None:
    pair = Pair(server=new_server(cipher=server), client=new_client(cipher=client)).join()
    pair.run(200_000)
    assert suites(pair) == {expected}


def test_a_cipher_that_does_not_exist_is_named() -> None:
    assert CIPHERS == ("auto", "chacha20-poly1305")
    with pytest.raises(UsageError, match="cipher is 'des'; it must be auto or chacha20-poly1305"):
        new_server(cipher="des")


@with_aes
@pytest.mark.parametrize("offered, expected", [(1, CHACHA), (3, AEGIS), (0xFD, CHACHA), (0xFF, AEGIS)])
def test_a_server_takes_the_best_of_what_is_offered_and_knows(offered: int, expected: int) -> None:
    desk, client = server_desk(cipher="auto"), reference_client(suites=offered)
    session = joined(desk, client)
    assert session.suite == expected == desk.endpoint.stats()["suite"][0]
    assert desk.give(session.packet(b"\0\x09hello")) == (DropReason.NONE, [])
    assert desk.messages == [(0, 9, b"hello")]


@with_aes
@pytest.mark.parametrize("bit", range(8))
def test_nobody_between_them_changes_what_was_offered(bit: int) -> None:
    desk, client = server_desk(cipher="auto"), reference_client(suites=3)
    connect = bytearray(client.connect(get_cookie(desk, client)))
    connect[16 + 48 + 32 + 12] ^= 1 << bit                              # `suites`, under the seal of message 1
    assert desk.give(protocol.resummed(bytes(connect))) == (DropReason.HANDSHAKE_FAILED, [])
    assert desk.endpoint.half_open == 0
    answer = desk.give(bytes(client.connect_datagram))[1][0]            # the true one still gets what it asked for
    client.answer(answer)
    assert client.session is not None and client.session.suite == AEGIS


@with_aes
def test_a_session_of_one_suite_opens_nothing_of_the_other() -> None:
    desk = server_desk(cipher="auto")
    session = accepted(desk, reference_client(suites=3))
    session.epochs, session.suite, session.send_key = None, CHACHA, session.send_key * 2
    assert desk.give(session.packet(b"\7\0", bytes(20))) == (DropReason.AUTH_FAILED, [])
    session.suite, session.send_key, session.sequence = AEGIS, session.send_key[:16], 0
    whole = session.packet(b"\7\0", b"\0\x09" + bytes(30))
    assert desk.give(whole[:-16]) == (DropReason.AUTH_FAILED, [])       # half of the tag is not enough
    assert desk.give(whole[:14 + 32]) == (DropReason.TRUNCATED, [])     # a tag and no body
    assert desk.give(whole, CLIENT) == (DropReason.NONE, [])


@with_aes
def test_the_longest_messages_fit_beside_the_longer_tag() -> None:
    pair = Pair(link=Link(delay_us=5000, mtu=1150), server=new_server(mtu=1150), client=new_client(mtu=1150)).join()
    assert suites(pair) == {AEGIS}
    sent = {0: UNRELIABLE_LIMIT, 1: RELIABLE_LIMIT, 3: SNAPSHOT_LIMIT - 1, 5: SNAPSHOT_LIMIT}
    for channel, length in sent.items():
        pair.server.endpoint.send(pair.session, channel, 0 if channel == 5 else 9, bytes(length))
    pair.run(3_000_000)
    for channel, length in sent.items():
        assert pair.client.payloads(pair.handle, channel) == [bytes(length)], channel


def test_the_generic_arm_offers_no_aegis() -> None:
    code = ("from shadowland._core.crypto import aead, sodium; "
            "print(sodium.has_aes(), aead.key_size(2)); "
            "from tests.sim.peers import Pair; pair = Pair().join(); print(pair.server.endpoint.stats()['suite'][0])")
    run = subprocess.run([sys.executable, "-c", code], env=os.environ | {"SHADOWLAND_CPU": "generic"}, check=True,
                         capture_output=True, text=True)
    assert run.stdout.split() == ["False", "0", "1"]

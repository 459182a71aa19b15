"""Invariant: through any course of rekeys both sides seal and open exactly what the reference seals and opens."""
import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland._core.base.status import DropReason
from shadowland._core.crypto import aead, chain, keys
from shadowland._core.session import epoch
from tests.reference import chain as reference_chain
from tests.reference import epoch as reference
from tests.reference import keys as reference_keys

SPLIT = tuple(bytes([i]) * 32 for i in range(1, 5))                 # k1, k2, h, root
secrets = st.binary(min_size=32, max_size=32)
suites = st.sampled_from([suite for suite in (aead.CHACHA20_POLY1305, aead.AEGIS_128L) if aead.key_size(suite)])
ID = 0x12345678


@given(st.lists(st.tuples(secrets, secrets), min_size=1, max_size=3))
def test_the_chain_gives_both_sides_the_secrets_of_the_reference(exchanges: list[tuple[bytes, bytes]]) -> None:
    client, server = (chain.Secrets(SPLIT[3], SPLIT[2]) for _ in range(2))
    model = reference_chain.Chain(SPLIT[3], SPLIT[2])
    for ours, theirs in exchanges:
        c, s = keys.public_key(ours), keys.public_key(theirs)
        shared = reference_keys.exchange(ours, s)
        assert shared is not None
        expected = model.advance(shared, c, s)
        assert client.advance(ours, s, c, s) == expected == server.advance(theirs, c, c, s)
        assert client.transcript == server.transcript == model.transcript
        assert client.epoch == server.epoch == model.epoch


def test_a_low_order_point_changes_nothing() -> None:
    one, other = chain.Secrets(SPLIT[3], SPLIT[2]), chain.Secrets(SPLIT[3], SPLIT[2])
    for point in (bytes(32), (1).to_bytes(32, "little")):
        assert one.advance(b"a" * 32, point, b"c" * 32, point) is None
    c, s = keys.public_key(b"a" * 32), keys.public_key(b"b" * 32)
    assert one.epoch == 0 and one.advance(b"a" * 32, s, c, s) == other.advance(b"b" * 32, c, c, s)


def test_everything_that_was_said_enters_the_secrets() -> None:
    c, s = keys.public_key(b"a" * 32), keys.public_key(b"b" * 32)
    found = [chain.Secrets(root, transcript).advance(b"a" * 32, s, first, second)
             for root, transcript, first, second in (
                 (SPLIT[3], SPLIT[2], c, s), (SPLIT[2], SPLIT[2], c, s), (SPLIT[3], SPLIT[3], c, s),
                 (SPLIT[3], SPLIT[2], s, s), (SPLIT[3], SPLIT[2], c, c))]
    assert None not in found and len({key for pair in found if pair for key in pair}) == 10


class Side:
    """Kernel and reference, step by step."""

    def __init__(self, client: bool, suite: int) -> None:
        k1, k2, h, root = SPLIT
        self.kernel = epoch.Keys(client, suite, root, h, k1, k2)
        self.model = reference.Keys.begin(client, suite, (k1, k2, h, root))
        self.sequence = 0

    def same(self) -> None:
        assert (self.kernel.epoch, self.kernel.flags) == (self.model.epoch, self.model.flags)

    def seal(self) -> bytes:
        datagram = self.kernel.seal(ID, self.sequence, b"text")
        assert datagram == self.model.seal(ID, self.sequence, b"text")
        self.sequence += 1
        return datagram

    def open(self, datagram: bytes) -> bytes | None:
        opened = self.kernel.open(datagram)
        assert opened == self.model.open(datagram)
        self.same()
        return opened


# What happens next: who, what, and which datagram of those that were ever sealed.
steps = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 40)), min_size=10, max_size=60)


@given(suites, steps)
@settings(deadline=None)
def test_any_course_of_rekeys(suite: int, course: list[tuple[int, int]]) -> None:
    client, server = Side(True, suite), Side(False, suite)
    up: list[bytes] = []
    down: list[bytes] = []
    said: Any = None                                            # the request or response that is under way
    for number, (what, which) in enumerate(course):
        secret = hashlib.sha256(bytes([number])).digest()
        if what < 2:
            (up if what else down).append((client if what else server).seal())
        elif what in (2, 3):                                    # late, twice, or in order
            side, datagrams = (server, up) if what == 2 else (client, down)
            if datagrams:
                side.open(datagrams[max(0, len(datagrams) - 1 - which)])
        elif what == 4:
            asked, expected = client.kernel.request(secret), client.model.request(secret)
            assert asked == expected
            said = ("request", asked) if asked else said
        elif what == 5 and said and said[0] == "request":
            status, answer = server.kernel.respond(secret, said[1])
            expected = server.model.respond(secret, said[1])
            assert (answer if status == 0 else None) == expected
            said = ("response", answer) if status == 0 else said
        elif what == 6 and said and said[0] == "response":
            assert (client.kernel.complete(said[1]) == 0) == client.model.complete(said[1])
            said = None
        elif what > 6:
            side = client if what == 7 else server
            assert (side.kernel.step == epoch.GRACE) == (side.model.confirmed and not side.model.settled)
            if side.kernel.step == epoch.GRACE:
                side.kernel.settle()
                side.model.settle()
        client.same()
        server.same()


def rekeyed(suite: int = aead.CHACHA20_POLY1305) -> tuple[epoch.Keys, epoch.Keys]:
    k1, k2, h, root = SPLIT
    client, server = (epoch.Keys(side, suite, root, h, k1, k2) for side in (True, False))
    asked = client.request(b"c" * 32)
    assert asked is not None
    status, answer = server.respond(b"s" * 32, asked)
    assert status == 0 and client.complete(answer) == 0
    return client, server


def test_old_secrets_are_nowhere_after_the_grace_time() -> None:
    client, server = rekeyed()
    old = [reference_keys.derive(key, 1, 0) for key in SPLIT[:2]]
    assert server.open(client.seal(ID, 0, b"x")) == b"x" and client.open(server.seal(ID, 0, b"y")) == b"y"
    assert all(side.remembers(key) for side, key in ((server, old[0]), (client, old[1])))   # late packets may come
    for side in (client, server):
        side.settle()
        for secret in (*SPLIT, *old, b"c" * 32, b"s" * 32):
            assert not side.remembers(secret)


def test_a_step_out_of_turn_is_refused_and_changes_nothing() -> None:
    client, server = rekeyed()
    assert (client.step, server.step) == (epoch.SWITCHED, epoch.OFFERED)
    assert client.request(b"x" * 32) is None and server.request(b"x" * 32) is None
    assert server.respond(b"x" * 32, b"y" * 32)[0] == client.respond(b"x" * 32, b"y" * 32)[0] == DropReason.UNEXPECTED
    assert client.complete(b"y" * 32) == server.complete(b"y" * 32) == DropReason.UNEXPECTED
    assert server.open(client.seal(ID, 7, b"x")) == b"x" and client.open(server.seal(ID, 7, b"y")) == b"y"


def test_an_old_key_opens_only_what_is_older_than_the_new_epoch() -> None:
    k1, k2, h, root = SPLIT
    old = epoch.Keys(True, 1, root, h, k1, k2)                  # one who still has the keys of epoch 0
    client, server = rekeyed()
    assert server.open(client.seal(ID, 10, b"new")) == b"new"
    assert server.open(old.seal(ID, 9, b"late")) == b"late"
    for sequence in (10, 11, 2**64 - 1):
        assert server.open(old.seal(ID, sequence, b"forged")) is None
    assert server.open(client.seal(ID, 5, b"new")) == b"new"    # the new epoch began earlier than it seemed
    assert server.open(old.seal(ID, 4, b"late")) == b"late" and server.open(old.seal(ID, 5, b"late")) is None
    server.settle()
    assert server.open(old.seal(ID, 3, b"late")) is None


@pytest.mark.parametrize("suite", [suite for suite in (1, 2) if aead.key_size(suite)])
def test_no_key_is_used_in_two_epochs(suite: int) -> None:
    model = reference.Keys.begin(True, suite, SPLIT)            # type: ignore[arg-type]
    for number in range(3):
        model.request(bytes([number]) * 32)
        assert model.complete(keys.public_key(b"s" * 32))
        model.confirmed = True
        model.settle()
    assert len({*model.send, *model.receive}) == 8

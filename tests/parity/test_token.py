"""Invariant: a token is good, or has the problem, that the reference says; signatures are another library's bytes."""
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.crypto import token
from tests.reference import tokens as reference

SEEDS = [bytes([number]) * 32 for number in range(1, 6)]
ISSUERS = [reference.public_key(seed) for seed in SEEDS]
SERVERS = [bytes([number]) * 32 for number in range(10, 16)]
NOW = 1_700_000_000_000

seeds = st.sampled_from(SEEDS)
trusted = st.lists(st.sampled_from(ISSUERS), max_size=4, unique=True)
servers = st.lists(st.sampled_from(SERVERS), max_size=6)
# Around now, around the edges of life and skew, and at the edges of u64, where a sum or difference would wrap.
STEPS = [-300_001, -300_000, -299_999, -30_001, -1, 0, 1, 29_999, 30_000, 30_001, 300_000, 300_001, 330_000]
times = st.one_of(st.sampled_from([NOW + step for step in STEPS]), st.sampled_from([0, 1, 2**63, 2**64 - 1]))
datas = st.one_of(st.binary(max_size=8), st.sampled_from([bytes(255), bytes(256), bytes(257), bytes(65535)]))
u64s = st.sampled_from([0, 1, 2**32, 2**63, 2**64 - 1])


def agree(given_token: bytes, issuers: list[bytes], server: bytes, now_ms: int, since_ms: int) -> int:
    model = reference.check(given_token, issuers, server, now_ms, since_ms)
    assert token.check(given_token, tuple(issuers), server, now_ms, since_ms) == model
    return model


@given(seeds, trusted, u64s, times, times, u64s, servers, datas, st.sampled_from([0, 1, 1, 1, 1, 2, 255]),
       st.sampled_from(SERVERS), st.sampled_from([NOW, 0, 2**64 - 1]), st.sampled_from([0, NOW - 1, NOW, NOW + 1]))
def test_tokens_of_every_kind(seed: bytes, issuers: list[bytes], player: int, issued: int, expires: int, nonce: int,
                              listed: list[bytes], data: bytes, version: int, server: bytes, now: int,
                              since: int) -> None:
    made = reference.body(reference.public_key(seed), player, issued, expires, nonce, listed, data, version)
    agree(reference.signed(seed, made), issuers, server, now, since)


@given(seeds, st.binary(max_size=256), st.integers(1, 4), st.one_of(st.none(), st.integers(0, 8 * 492)))
def test_a_good_token_with_any_bit_flipped(seed: bytes, data: bytes, count: int, flipped: int | None) -> None:
    good = bytearray(reference.make(seed, 7, NOW, NOW + 60_000, 1, SERVERS[:count], data))
    if flipped is not None:
        good[flipped // 8 % len(good)] ^= 1 << flipped % 8
    fine = agree(bytes(good), ISSUERS[:4], SERVERS[0], NOW, 0) == reference.FINE
    assert fine == (flipped is None and seed != SEEDS[4])


@given(st.integers(0, 600), st.sampled_from([1, 4]), st.sampled_from([0, 1, 256]))
def test_a_token_cut_or_lengthened(length: int, count: int, data: int) -> None:
    good = reference.make(SEEDS[0], 7, NOW, NOW + 60_000, 1, SERVERS[:count], bytes(data))
    changed = good[:length].ljust(length, b"\0")
    assert (agree(changed, ISSUERS[:1], SERVERS[0], NOW, 0) == reference.FINE) == (changed == good)


@given(st.binary(max_size=520))
def test_any_bytes_give_a_problem_and_no_overflow(data: bytes) -> None:
    assert agree(data, ISSUERS[:4], SERVERS[0], NOW, 0) != reference.FINE
    agree(b"\1" + reference.key_id(ISSUERS[0]) + data, ISSUERS[:4], SERVERS[0], NOW, 0)


def test_the_largest_token_and_the_order_of_what_is_looked_at() -> None:
    largest = reference.make(SEEDS[0], 2**64 - 1, NOW, NOW + 300_000, 2**64 - 1, SERVERS[:4], bytes(256))
    assert len(largest) == token.LARGEST == 492
    assert agree(largest, ISSUERS[:1], SERVERS[3], NOW, NOW) == reference.FINE
    # Everything wrong at once: what costs nothing is named first, the signature last.
    bad = largest[:-1] + bytes([largest[-1] ^ 0x80])
    assert agree(bad, ISSUERS[1:], SERVERS[4], NOW + 400_000, NOW + 1) == reference.UNKNOWN_ISSUER
    assert agree(bad, ISSUERS[:1], SERVERS[4], NOW + 400_000, NOW + 1) == reference.OTHER_SERVER
    assert agree(bad, ISSUERS[:1], SERVERS[3], NOW + 400_000, NOW + 1) == reference.EXPIRED
    assert agree(bad, ISSUERS[:1], SERVERS[3], NOW, NOW + 1) == reference.BEFORE_START
    assert agree(bad, ISSUERS[:1], SERVERS[3], NOW, NOW) == reference.BAD_SIGNATURE


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_keys_and_signatures_are_another_librarys(seed: bytes, data: bytes) -> None:
    public = token.public_key(seed)
    assert public == reference.public_key(seed) and token.key_id(public) == reference.key_id(public)
    assert token.sign(seed, reference.LABEL + data) == reference.sign(seed, data)
    assert token.verify(public, reference.LABEL + data, reference.sign(seed, data))
    assert not token.verify(public, data, reference.sign(seed, data))

"""Invariant: cookies are the reference's bytes, and are accepted exactly when the reference accepts them."""
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.crypto import cookie
from tests.reference import cookie as reference

ips = st.sampled_from([bytes(10) + b"\xff\xff\x7f\x00\x00\x01", bytes(15) + b"\x01", bytes(range(16))])
ports = st.sampled_from([0, 1, 3565, 0x1234, 65535])
ephemerals = st.sampled_from([bytes(32), bytes(range(32)), b"\xff" * 32])
randoms = st.sampled_from([bytes(8), bytes(range(8))])
secrets = st.sampled_from([bytes(32), b"a" * 32, b"b" * 32, b"c" * 32])
times = st.sampled_from([0, 9, 10, 11, 10**9, 2**62])
# Stamps near the edges of life and of i64, where a difference would overflow.
steps = st.sampled_from([-11, -10, -9, -1, 0, 1, 9, 10, 11, 10**6])


@given(secrets, ips, ports, ephemerals, times, randoms)
def test_cookies_are_the_references(
    secret: bytes, ip: bytes, port: int, ephemeral: bytes, now_s: int, random: bytes,
) -> None:
    made = cookie.Secrets(secret).make(ip, port, ephemeral, now_s, random)
    assert made == reference.make(secret, ip, port, ephemeral, now_s, random)
    assert len(made) == cookie.SIZE


@given(st.lists(secrets, min_size=1, max_size=4), secrets, ips, ports, ephemerals, times, steps, randoms,
       st.one_of(st.none(), st.integers(0, 8 * 48 - 1)))
def test_checks_agree_with_the_reference(
    rotations: list[bytes], maker: bytes, ip: bytes, port: int, ephemeral: bytes, made_s: int, step: int,
    random: bytes, flipped: int | None,
) -> None:
    ours = cookie.Secrets(rotations[0])
    for secret in rotations[1:]:
        ours.rotate(secret)
    given_cookie = bytearray(reference.make(maker, ip, port, ephemeral, made_s, random))
    if flipped is not None:
        given_cookie[flipped // 8] ^= 1 << flipped % 8
    model = reference.check(rotations[-2:], ip, port, ephemeral, made_s + step, bytes(given_cookie))
    assert ours.check(ip, port, ephemeral, made_s + step, bytes(given_cookie)) == model


@given(st.integers(-2**63, 2**63 - 1), st.sampled_from([0, 100, 2**40]))
def test_any_stamp_gives_a_reason_and_no_overflow(stamp: int, now_s: int) -> None:
    forged = stamp.to_bytes(8, "little", signed=True) + bytes(40)
    ours = cookie.Secrets(bytes(32)).check(bytes(16), 1, bytes(32), now_s, forged)
    assert ours == reference.check([bytes(32)], bytes(16), 1, bytes(32), now_s, forged) != 0

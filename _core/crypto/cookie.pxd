"""Stateless cookies: proof that a client receives at the address it sends from, before the server keeps anything.

Owner    The caller, of the secrets and the 48 bytes.
Limit    A cookie lives COOKIE_LIFE_S seconds and only for the address, port and ephemeral key it was made for.
Threads  Any; the secrets are only read.

    cookie  [ timestamp i64 s | random 8 | HMAC-SHA256(secret, ip 16, port u16, ephemeral 32, timestamp, random) 32 ]
                                                                                            protocol.md section 3

The server's secret changes at least every two minutes: the old one moves to `previous` and is still accepted, so that
no cookie dies before its time. Two of HMAC's five compressions depend on the secret alone; a CookieSecret holds their
result.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcpy

from shadowland._core.base.records cimport Address
from shadowland._core.base.status cimport DROP_BAD_COOKIE, DROP_COOKIE_EXPIRED
from shadowland._core.crypto.keys cimport Hmac
from shadowland._core.crypto.sodium cimport sodium

cdef enum:
    COOKIE_SIZE = 48
    COOKIE_LIFE_S = 10
    COOKIE_ROTATE_S = 60            # how often the server takes a new secret; 120 is the most the protocol allows
    COOKIE_STAMP_SIZE = 16          # timestamp and random: what the cookie shows in the clear

cdef struct CookieSecret:
    Hmac keyed                      # HMAC-SHA256 after taking in the key
    bint known                      # False: matches no cookie (`previous` before the first rotation)

cdef inline void cookie_secret_init(CookieSecret* secret, const uint8_t* random) noexcept nogil:
    """Prepare a secret from 32 random bytes; the caller wipes its own copy."""
    sodium.hmac_init(&secret.keyed, random, 32)
    secret.known = True

cdef inline void cookie_secret_wipe(CookieSecret* secret) noexcept nogil:
    """Forget the secret; it matches nothing any more."""
    sodium.memzero(secret, sizeof(CookieSecret))

cdef inline void cookie_rotate(CookieSecret* current, CookieSecret* previous, const uint8_t* random) noexcept nogil:
    """Let `current` become `previous` and start a new one from 32 random bytes."""
    memcpy(previous, current, sizeof(CookieSecret))
    cookie_secret_init(current, random)

cdef inline void cookie_mac(
    const CookieSecret* secret, const Address* address, const uint8_t* ephemeral, const uint8_t* stamp, uint8_t* out,
) noexcept nogil:
    """The 32 bytes that end a cookie. IPv4 is in `address` as ::ffff:a.b.c.d; scope and family do not enter."""
    cdef Hmac state
    memcpy(&state, &secret.keyed, sizeof(Hmac))
    sodium.hmac_update(&state, address.ip, 16)
    sodium.hmac_update(&state, <const uint8_t*>&address.port, sizeof(uint16_t))
    sodium.hmac_update(&state, ephemeral, 32)
    sodium.hmac_update(&state, stamp, COOKIE_STAMP_SIZE)
    sodium.hmac_final(&state, out)
    sodium.memzero(&state, sizeof(Hmac))

cdef inline void cookie_make(
    const CookieSecret* secret, const Address* address, const uint8_t* ephemeral, int64_t now_s, const uint8_t* random,
    uint8_t* out,
) noexcept nogil:
    """Write 48 bytes for the client at `address` whose ephemeral public key is `ephemeral` (32).

    `now_s` counts seconds of any clock that never goes back and that all shards share; `random` is 8 bytes.
    """
    memcpy(out, &now_s, 8)
    memcpy(out + 8, random, 8)
    cookie_mac(secret, address, ephemeral, out, out + COOKIE_STAMP_SIZE)

cdef inline int cookie_check(
    const CookieSecret* current, const CookieSecret* previous, const Address* address, const uint8_t* ephemeral,
    int64_t now_s, const uint8_t* cookie,
) noexcept nogil:
    """0, DROP_BAD_COOKIE or DROP_COOKIE_EXPIRED for 48 bytes that came from `address`.

    The time is looked at first, as that costs nothing: COOKIE_EXPIRED therefore does not mean that the cookie was ours.
    The comparison takes constant time; only which of the two secrets matched can be seen, and their ages are no secret.
    """
    cdef uint8_t[32] mac
    cdef int64_t stamp
    memcpy(&stamp, cookie, 8)
    if stamp > now_s:
        return DROP_BAD_COOKIE      # from the future: never made here
    # Compared without now_s - stamp, which a stamp near -2**63 would overflow.
    if stamp < now_s - COOKIE_LIFE_S:
        return DROP_COOKIE_EXPIRED
    cookie_mac(current, address, ephemeral, cookie, mac)
    if current.known and sodium.memcmp(mac, cookie + COOKIE_STAMP_SIZE, 32) == 0:
        return 0
    if previous.known:
        cookie_mac(previous, address, ephemeral, cookie, mac)
        if sodium.memcmp(mac, cookie + COOKIE_STAMP_SIZE, 32) == 0:
            return 0
    return DROP_BAD_COOKIE

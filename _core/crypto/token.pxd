"""Connect tokens: who a player is, signed by an issuer that the server trusts (docs/protocol.md 2.3).

Owner    The caller, of every byte; a Token points into the bytes it was read from.
Limit    TOKEN_LARGEST bytes, TOKEN_SERVERS servers, TOKEN_DATA bytes of user data, TOKEN_LIFE_MS from issue to expiry.
Threads  Any.

    version u8 | key id 8 | player id u64 | issued u64 ms | expires u64 ms | nonce u64
      | count u8 | count x server's public key 32 | data length u16 | data | signature 64

The key id is the first 8 bytes of SHA-256(issuer's public key). The signature is Ed25519 (RFC 8032) over
"shadowland-net token" and all bytes before it, so that nothing else an issuer signs can be taken for a token.

What costs nothing is looked at first and the signature last: until it verifies, nothing a token says is believed.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from shadowland._core.base.status cimport (
    TOKEN_BAD_SIGNATURE,
    TOKEN_BEFORE_START,
    TOKEN_EXPIRED,
    TOKEN_FINE,
    TOKEN_FROM_THE_FUTURE,
    TOKEN_MALFORMED,
    TOKEN_OTHER_SERVER,
    TOKEN_TOO_LONG_A_LIFE,
    TOKEN_UNKNOWN_ISSUER,
)
from shadowland._core.crypto.sodium cimport sodium

cdef enum:
    TOKEN_VERSION = 1
    TOKEN_SERVERS = 4
    TOKEN_DATA = 256
    TOKEN_LIFE_MS = 300000
    TOKEN_SKEW_MS = 30000           # how far the issuer's clock may be ahead of the server's
    TOKEN_FIXED = 44                # all but servers, data and signature
    TOKEN_SIGNATURE = 64
    TOKEN_LARGEST = 492             # 44 + 4 * 32 + 256 + 64
    TOKEN_ISSUERS = 4
    TOKEN_LABEL_SIZE = 20

cdef struct Issuer:
    uint8_t public[32]
    uint8_t key_id[8]

cdef struct Token:
    uint64_t player_id
    uint64_t issued_ms              # Unix time
    uint64_t expires_ms
    uint64_t nonce
    const uint8_t* key_id
    const uint8_t* servers
    const uint8_t* data
    uint16_t data_length
    uint8_t server_count

cdef inline uint64_t token_u64(const uint8_t* data) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint32_t i
    for i in range(8):
        value |= <uint64_t>data[i] << (8 * i)
    return value

cdef inline bint token_read(const uint8_t* token, uint32_t length, Token* out) noexcept nogil:
    """Take the fields apart; False unless version, counts and length are as prescribed. Nothing is verified."""
    cdef uint32_t at = TOKEN_FIXED - 2
    if length < TOKEN_FIXED + TOKEN_SIGNATURE or length > TOKEN_LARGEST or token[0] != TOKEN_VERSION:
        return False
    out.key_id = token + 1
    out.player_id = token_u64(token + 9)
    out.issued_ms = token_u64(token + 17)
    out.expires_ms = token_u64(token + 25)
    out.nonce = token_u64(token + 33)
    out.server_count = token[41]
    out.servers = token + 42
    if out.server_count < 1 or out.server_count > TOKEN_SERVERS:
        return False
    if length - TOKEN_FIXED - TOKEN_SIGNATURE < 32 * <uint32_t>out.server_count:
        return False
    at += 32 * <uint32_t>out.server_count
    out.data_length = token[at] | <uint16_t>(token[at + 1] << 8)
    out.data = token + at + 2
    return (out.data_length <= TOKEN_DATA
            and length - at - 2 - TOKEN_SIGNATURE == out.data_length and out.expires_ms > out.issued_ms)

cdef inline bint token_for(const Token* token, const uint8_t* server_key) noexcept nogil:
    cdef uint32_t i
    for i in range(token.server_count):
        if memcmp(token.servers + 32 * i, server_key, 32) == 0:
            return True
    return False

cdef inline bint token_signed(const uint8_t* token, uint32_t length, const uint8_t* public) noexcept nogil:
    """Whether the last 64 of `length` (at most TOKEN_LARGEST) bytes are the issuer's signature of the others."""
    cdef uint8_t[TOKEN_LABEL_SIZE + TOKEN_LARGEST] signed
    memcpy(signed, <const char*>b"shadowland-net token", TOKEN_LABEL_SIZE)
    memcpy(signed + TOKEN_LABEL_SIZE, token, length - TOKEN_SIGNATURE)
    return sodium.ed25519_verify(token + length - TOKEN_SIGNATURE, signed,
                                 TOKEN_LABEL_SIZE + length - TOKEN_SIGNATURE, public) == 0

cdef inline int token_check(
    const uint8_t* token, uint32_t length, const Issuer* issuers, uint32_t count, const uint8_t* server_key,
    uint64_t now_ms, uint64_t since_ms, Token* out,
) noexcept nogil:
    """TOKEN_FINE or what is wrong with a token for the server `server_key`; whether it is spent the caller knows.

    `now_ms` is Unix time, `since_ms` when the server began to remember which tokens were spent.
    """
    cdef uint32_t i, found = count
    if not token_read(token, length, out):
        return TOKEN_MALFORMED
    for i in range(count):
        if memcmp(issuers[i].key_id, out.key_id, 8) == 0:
            found = i
    if found == count:
        return TOKEN_UNKNOWN_ISSUER
    if not token_for(out, server_key):
        return TOKEN_OTHER_SERVER
    if out.expires_ms - out.issued_ms > TOKEN_LIFE_MS:
        return TOKEN_TOO_LONG_A_LIFE
    if out.issued_ms > now_ms and out.issued_ms - now_ms > TOKEN_SKEW_MS:
        return TOKEN_FROM_THE_FUTURE
    if out.expires_ms <= now_ms:
        return TOKEN_EXPIRED
    if out.issued_ms < since_ms:
        return TOKEN_BEFORE_START
    return TOKEN_FINE if token_signed(token, length, issuers[found].public) else TOKEN_BAD_SIGNATURE

cdef int issuer_set(Issuer* issuer, bytes public) except -1         # raises ValueError; for set-up and tests

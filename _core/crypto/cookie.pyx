"""Python door to cookies, for tests and tools; the hot path cimports the kernels instead."""
from cython cimport final
from libc.string cimport memset

SIZE = COOKIE_SIZE
LIFE_S = COOKIE_LIFE_S
ROTATE_S = COOKIE_ROTATE_S

cdef int _address(Address* address, bytes ip, int port) except -1:
    if len(ip) != 16:
        raise ValueError(f"an address has 16 bytes (IPv4 as ::ffff:a.b.c.d), not {len(ip)}")
    if not 0 <= port <= 65535:
        raise ValueError(f"a port is 0 to 65535, not {port}")
    memset(address, 0, sizeof(Address))
    memcpy(address.ip, <const uint8_t*>ip, 16)
    address.port = <uint16_t>port
    return 0

cdef int _length(str what, bytes value, size_t size) except -1:
    if <size_t>len(value) != size:
        raise ValueError(f"{what} has {size} bytes, not {len(value)}")
    return 0


@final
cdef class Secrets:
    """The server's current and previous secret (32 random bytes each).

    >>> secrets = Secrets(bytes(32))
    >>> cookie = secrets.make(bytes(16), 3565, bytes(32), 100, bytes(8))
    >>> secrets.check(bytes(16), 3565, bytes(32), 105, cookie)
    0
    """
    cdef CookieSecret current
    cdef CookieSecret previous

    def __cinit__(self, secret: bytes):
        _length("a cookie secret", secret, 32)
        memset(&self.previous, 0, sizeof(CookieSecret))
        cookie_secret_init(&self.current, <const uint8_t*>secret)

    def __dealloc__(self):
        cookie_secret_wipe(&self.current)
        cookie_secret_wipe(&self.previous)

    def __repr__(self) -> str:
        return "Secrets()"

    def rotate(self, secret: bytes) -> None:
        """Take a new secret; the one before is still accepted, those before it are not."""
        _length("a cookie secret", secret, 32)
        cookie_rotate(&self.current, &self.previous, <const uint8_t*>secret)

    def wipe(self) -> None:
        """Forget both secrets: no cookie matches any more, not even one that is made afterwards."""
        cookie_secret_wipe(&self.current)
        cookie_secret_wipe(&self.previous)

    def make(self, ip: bytes, port: int, ephemeral: bytes, now_s: int, random: bytes) -> bytes:
        """48 bytes for the client at `ip` (16 bytes) and `port` whose ephemeral key is `ephemeral` (32 bytes).

        `now_s` in seconds, `random` 8 bytes. Another length is a ValueError.
        """
        cdef Address address
        cdef uint8_t[COOKIE_SIZE] out
        _address(&address, ip, port)
        _length("an ephemeral key", ephemeral, 32)
        _length("a cookie's random part", random, 8)
        cookie_make(&self.current, &address, <const uint8_t*>ephemeral, now_s, <const uint8_t*>random, out)
        return out[:COOKIE_SIZE]

    def check(self, ip: bytes, port: int, ephemeral: bytes, now_s: int, cookie: bytes) -> int:
        """0 if the cookie is good, else DropReason.BAD_COOKIE or DropReason.COOKIE_EXPIRED."""
        cdef Address address
        _address(&address, ip, port)
        _length("an ephemeral key", ephemeral, 32)
        _length("a cookie", cookie, COOKIE_SIZE)
        return cookie_check(
            &self.current, &self.previous, &address, <const uint8_t*>ephemeral, now_s, <const uint8_t*>cookie)

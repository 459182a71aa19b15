"""Loops for benchmarks/crypto.py, which compiles them: the kernels as the endpoint calls them, and libsodium alone."""
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from shadowland._core.base.records cimport Address
from shadowland._core.crypto.aead cimport SUITE_NONE, AeadKey, aead_key_init, aead_open, aead_seal
from shadowland._core.crypto.chain cimport Chain
from shadowland._core.crypto.cookie cimport CookieSecret, cookie_check, cookie_make, cookie_secret_init
from shadowland._core.crypto.drbg cimport Drbg, drbg_fill, drbg_init
from shadowland._core.crypto.keys cimport hmac_sha256, x25519
from shadowland._core.crypto.sodium cimport sodium
from shadowland._core.session.epoch cimport (
    PHASE_FLAG,
    Epochs,
    ReceiveKey,
    epoch_begin,
    epoch_complete,
    epoch_opened,
    epoch_receive,
    epoch_request,
    epoch_respond,
    epoch_settle,
)

cdef uint64_t now_ns() noexcept nogil:
    """CPU time of this thread: what else runs on the machine does not count."""
    cdef timespec now
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec

def seal(int suite, int size, int rounds, bint alone) -> float:
    """Nanoseconds per packet; `alone` calls libsodium with a nonce that is already written."""
    cdef AeadKey key
    cdef uint8_t[2048] data
    cdef uint8_t[32] material
    cdef uint8_t[16] nonce
    cdef uint64_t i, _i, start
    memset(material, 7, 32)
    memset(nonce, 0, 16)
    memset(data, 0, 2048)
    aead_key_init(&key, suite, material)
    start = now_ns()
    with nogil:
        if not alone:
            for i in range(<uint64_t>rounds):
                aead_seal(&key, 77, i, data, 14, data + 14, size)
        elif suite == 1:
            for _i in range(<uint64_t>rounds):
                sodium.chacha_seal(data + 14, NULL, data + 14, size, data, 14, NULL, nonce, key.key)
        else:
            for _i in range(<uint64_t>rounds):
                sodium.aegis_seal(data + 14, NULL, data + 14, size, data, 14, NULL, nonce, key.key)
    return <double>(now_ns() - start) / rounds

def seal_and_open(int suite, int size, int rounds) -> float:
    """Nanoseconds for sealing a packet and opening it again."""
    cdef AeadKey key
    cdef uint8_t[2048] data
    cdef uint8_t[32] material
    cdef uint64_t i, start, wrong = 0
    memset(material, 7, 32)
    memset(data, 0, 2048)
    aead_key_init(&key, suite, material)
    start = now_ns()
    with nogil:
        for i in range(<uint64_t>rounds):
            aead_seal(&key, 77, i, data, 14, data + 14, size)
            wrong += not aead_open(&key, 77, i, data, 14, data + 14, size + key.tag_size)
    if wrong:
        raise RuntimeError("a packet did not open")
    return <double>(now_ns() - start) / rounds

def cookie(int what, int rounds) -> float:
    """Nanoseconds: 0 make, 1 check a good one, 2 check a forged one, 3 HMAC-SHA256 of 66 bytes from its key on."""
    cdef CookieSecret current, previous
    cdef Address address
    cdef uint8_t[32] ephemeral
    cdef uint8_t[66] text
    cdef uint8_t[48] out
    cdef uint64_t _i, start
    memset(&address, 1, sizeof(Address))
    memset(ephemeral, 2, 32)
    memset(text, 3, 66)
    cookie_secret_init(&current, ephemeral)
    cookie_secret_init(&previous, text)
    cookie_make(&current, &address, ephemeral, 100, text, out)
    if what == 2:
        out[47] ^= 1
    start = now_ns()
    with nogil:
        for _i in range(<uint64_t>rounds):
            if what == 0:
                cookie_make(&current, &address, ephemeral, 100, text, out)
            elif what == 3:
                hmac_sha256(out, ephemeral, 32, text, 66)
            else:
                cookie_check(&current, &previous, &address, ephemeral, 101, out)
    return <double>(now_ns() - start) / rounds

def random(int size, int rounds) -> float:
    """Nanoseconds to draw `size` bytes."""
    cdef Drbg state
    cdef uint8_t[64] out
    cdef uint64_t _i, start
    memset(out, 5, 64)
    drbg_init(&state, out)
    start = now_ns()
    with nogil:
        for _i in range(<uint64_t>rounds):
            drbg_fill(&state, out, size)
    return <double>(now_ns() - start) / rounds

def exchange(int rounds) -> float:
    """Nanoseconds of one X25519."""
    cdef uint8_t[32] private
    cdef uint8_t[32] public
    cdef uint64_t _i, start
    memset(private, 5, 32)
    memset(public, 9, 32)
    start = now_ns()
    with nogil:
        for _i in range(<uint64_t>rounds):
            x25519(public, private, public)
    return <double>(now_ns() - start) / rounds

cdef void both_sides(Epochs* client, Epochs* server, int suite) noexcept nogil:
    """A session in epoch 0."""
    cdef Chain chain
    cdef uint8_t[64] split
    memset(&chain, 0, sizeof(Chain))
    memset(split, 7, 64)
    epoch_begin(client, True, suite, &chain, split, split + 32)
    epoch_begin(server, False, suite, &chain, split, split + 32)

cdef bint change(Epochs* client, Epochs* server, uint8_t number, uint64_t* client_ns, uint64_t* server_ns) noexcept nogil:
    """One rekey, from the request to the end of the grace time; adds what each side spent."""
    cdef uint8_t[32] ours
    cdef uint8_t[32] theirs
    cdef uint8_t[32] public
    cdef uint64_t start, between, end
    cdef int status
    cdef uint8_t flags
    memset(ours, number, 32)
    memset(theirs, number + 128, 32)
    start = now_ns()
    status = epoch_request(client, ours)
    between = now_ns()
    sodium.scalarmult_base(public, theirs)
    status |= epoch_respond(server, theirs, public, client.public)
    end = now_ns()
    client_ns[0] += between - start
    server_ns[0] += end - between
    start = now_ns()
    status |= epoch_complete(client, public)
    client_ns[0] += now_ns() - start
    flags = 3 | client.send_flag
    status |= not epoch_opened(server, flags, number, 0)
    status |= not epoch_opened(client, flags, number, 0)
    epoch_settle(client)
    epoch_settle(server)
    return status == 0

def rekey(int suite, int rounds) -> tuple[float, float]:
    """Nanoseconds of a rekey at the client and at the server: the keys alone, without the packets."""
    cdef Epochs client, server
    cdef uint64_t client_ns = 0, server_ns = 0, i
    cdef bint right = True
    with nogil:
        both_sides(&client, &server, suite)
        for i in range(<uint64_t>rounds):
            right = right and change(&client, &server, <uint8_t>i, &client_ns, &server_ns)
    if not right:
        raise RuntimeError("a rekey did not come about")
    return <double>client_ns / rounds, <double>server_ns / rounds

def phase(int rounds) -> float:
    """Nanoseconds for finding the key of a received packet and asking whether it may open it, phases at random."""
    cdef Epochs client, server
    cdef ReceiveKey* receive
    cdef uint64_t unused = 0, start, i, found = 0, seed = 1, count = rounds
    with nogil:
        both_sides(&client, &server, 1)
        change(&client, &server, 1, &unused, &unused)
        server.receive[0] = server.receive[1]           # both phases have a key
        start = now_ns()
        for i in range(count):
            seed ^= seed << 13
            seed ^= seed >> 7
            seed ^= seed << 17
            receive = epoch_receive(&server, <uint8_t>seed & PHASE_FLAG)
            if receive.key.suite != SUITE_NONE and i <= receive.last:
                found += receive.key.tag_size
    if found != <uint64_t>(rounds * 16):
        raise RuntimeError("a packet found no key")
    return <double>(now_ns() - start) / rounds

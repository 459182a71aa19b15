"""Finds libsodium inside PyNaCl, checks every function once with known answers, and says what it found."""
from posix.dlfcn cimport dlclose, dlsym
from libc.string cimport memcmp, memcpy, memset

from shadowland._core.base.dynamic cimport library_open, library_symbol

import os

import nacl._sodium
from nacl.bindings import sodium_init

FIX = "reinstall it with: python -m pip install --force-reinstall 'pynacl>=1.5'"

cdef void* _symbol(void* library, str name, str path) except NULL:
    return library_symbol(library, name, "libsodium", path, FIX)

cdef size_t _size(void* library, str name, str path) except 0:
    return (<size_t (*)() noexcept nogil> _symbol(library, name, path))()

cdef int _true(void* library, str name) noexcept:
    """Result of an `int f(void)` that says whether this CPU can do something; 0 where the function is missing."""
    cdef void* address = dlsym(library, name.encode())
    return 0 if address is NULL else (<int (*)() noexcept nogil> address)()

cdef int _load(str path, Sodium* table) except -1:
    cdef void* library = library_open("libsodium", path, os.fsencode(path), FIX)
    try:
        _fill(library, path, table)
    except ImportError:
        dlclose(library)            # kept open for ever otherwise: the table points into it
        raise
    return 0

cdef int _fill(void* library, str path, Sodium* table) except -1:
    cdef size_t sha_size = _size(library, "crypto_hash_sha256_statebytes", path)
    cdef size_t hmac_size = _size(library, "crypto_auth_hmacsha256_statebytes", path)
    if sha_size != SHA256_STATE_SIZE or hmac_size != HMAC_STATE_SIZE:
        raise ImportError(f"the libsodium in {path} has hash states of {sha_size} and {hmac_size} bytes in place of "
                          f"{SHA256_STATE_SIZE} and {HMAC_STATE_SIZE}; {FIX}")
    memset(table, 0, sizeof(Sodium))
    table.chacha_seal = <seal_function> _symbol(library, "crypto_aead_chacha20poly1305_ietf_encrypt", path)
    table.chacha_open = <open_function> _symbol(library, "crypto_aead_chacha20poly1305_ietf_decrypt", path)
    table.keystream = <int (*)(uint8_t*, unsigned long long, const uint8_t*, const uint8_t*) noexcept nogil> _symbol(
        library, "crypto_stream_chacha20_ietf", path)
    table.scalarmult = <int (*)(uint8_t*, const uint8_t*, const uint8_t*) noexcept nogil> _symbol(
        library, "crypto_scalarmult_curve25519", path)
    table.scalarmult_base = <int (*)(uint8_t*, const uint8_t*) noexcept nogil> _symbol(
        library, "crypto_scalarmult_curve25519_base", path)
    table.sha256_init = <int (*)(void*) noexcept nogil> _symbol(library, "crypto_hash_sha256_init", path)
    table.sha256_update = <int (*)(void*, const uint8_t*, unsigned long long) noexcept nogil> _symbol(
        library, "crypto_hash_sha256_update", path)
    table.sha256_final = <int (*)(void*, uint8_t*) noexcept nogil> _symbol(library, "crypto_hash_sha256_final", path)
    table.hmac_init = <int (*)(void*, const uint8_t*, size_t) noexcept nogil> _symbol(
        library, "crypto_auth_hmacsha256_init", path)
    table.hmac_update = <int (*)(void*, const uint8_t*, unsigned long long) noexcept nogil> _symbol(
        library, "crypto_auth_hmacsha256_update", path)
    table.hmac_final = <int (*)(void*, uint8_t*) noexcept nogil> _symbol(library, "crypto_auth_hmacsha256_final", path)
    table.ed25519_keypair = <int (*)(uint8_t*, uint8_t*, const uint8_t*) noexcept nogil> _symbol(
        library, "crypto_sign_ed25519_seed_keypair", path)
    table.ed25519_sign = <int (*)(
        uint8_t*, unsigned long long*, const uint8_t*, unsigned long long, const uint8_t*) noexcept nogil> _symbol(
        library, "crypto_sign_ed25519_detached", path)
    table.ed25519_verify = <int (*)(
        const uint8_t*, const uint8_t*, unsigned long long, const uint8_t*) noexcept nogil> _symbol(
        library, "crypto_sign_ed25519_verify_detached", path)
    table.shorthash = <int (*)(uint8_t*, const uint8_t*, unsigned long long, const uint8_t*) noexcept nogil> _symbol(
        library, "crypto_shorthash_siphash24", path)
    table.memzero = <void (*)(void*, size_t) noexcept nogil> _symbol(library, "sodium_memzero", path)
    table.memcmp = <int (*)(const void*, const void*, size_t) noexcept nogil> _symbol(library, "sodium_memcmp", path)
    # Optional: without it suite 2 is simply not offered.
    table.aegis_seal = <seal_function> dlsym(library, b"crypto_aead_aegis128l_encrypt")
    table.aegis_open = <open_function> dlsym(library, b"crypto_aead_aegis128l_decrypt")
    # SHADOWLAND_CPU=generic takes the arm that runs everywhere here too; wire/crc32c refuses any other word.
    if os.environ.get("SHADOWLAND_CPU", "") == "generic":
        return 0
    table.has_aes = (table.aegis_seal is not NULL and table.aegis_open is not NULL and (
        _true(library, "sodium_runtime_has_aesni") or _true(library, "sodium_runtime_has_armcrypto")))
    return 0

cdef int _expect(const uint8_t* got, str answer, str name) except -1:
    cdef bytes want = bytes.fromhex(answer)
    if memcmp(got, <const uint8_t*> want, len(want)) != 0:
        raise ImportError(f"libsodium's {name} gives a wrong answer on this machine; {FIX}")
    return 0

cdef int _test_hashes(const Sodium* table) except -1:
    cdef uint8_t[HMAC_STATE_SIZE] state
    cdef uint8_t[64] out
    cdef uint8_t[32] zeros
    memset(zeros, 0, sizeof(zeros))
    # FIPS 180-2, appendix B.1
    table.sha256_init(state)
    table.sha256_update(state, b"abc", 3)
    table.sha256_final(state, out)
    _expect(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "SHA-256")
    # RFC 4231, test case 2
    table.hmac_init(state, b"Jefe", 4)
    table.hmac_update(state, b"what do ya want for nothing?", 28)
    table.hmac_final(state, out)
    _expect(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "HMAC-SHA256")
    # Aumasson and Bernstein, "SipHash: a fast short-input PRF", appendix A
    for i in range(16):
        out[i] = i
    table.shorthash(out + 16, out, 15, out)
    _expect(out + 16, "e545be4961ca29a1", "SipHash-2-4")
    # RFC 8439, appendix A.1, test vector 1
    table.keystream(out, 64, zeros, zeros)
    _expect(out, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
                 "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586", "ChaCha20")
    return 0

cdef int _test_x25519(const Sodium* table) except -1:
    """RFC 7748, section 6.1: Bob's public key, the shared secret with Alice; and the point 0 must be refused."""
    cdef uint8_t[32] out
    cdef uint8_t[32] zeros
    cdef bytes bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    cdef bytes alice = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    memset(zeros, 0, sizeof(zeros))
    table.scalarmult_base(out, bob)
    _expect(out, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", "X25519")
    if table.scalarmult(out, bob, zeros) == 0:
        raise ImportError(f"libsodium's X25519 does not refuse the point 0; {FIX}")
    table.scalarmult(out, bob, alice)
    _expect(out, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", "X25519")
    return 0

cdef int _test_ed25519(const Sodium* table) except -1:
    """RFC 8032, section 7.1, test 2: both keys, the signature of one byte; and a flipped bit must be refused."""
    cdef uint8_t[32] public
    cdef uint8_t[64] secret
    cdef uint8_t[64] signature
    cdef bytes seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    table.ed25519_keypair(public, secret, seed)
    _expect(public, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "Ed25519")
    table.ed25519_sign(signature, NULL, b"\x72", 1, secret)
    _expect(signature, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                       "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00", "Ed25519")
    if table.ed25519_verify(signature, b"\x72", 1, public) != 0:
        raise ImportError(f"libsodium's Ed25519 does not verify what it signed; {FIX}")
    signature[0] ^= 1
    if table.ed25519_verify(signature, b"\x72", 1, public) == 0:
        raise ImportError(f"libsodium's Ed25519 verifies what was tampered with; {FIX}")
    return 0

cdef int _test_aead(
    seal_function seal, open_function open_, size_t tag, str key, str nonce, str ad, bytes text, str answer, str name,
) except -1:
    """Seal in place to the known end of the answer, open it again, and see a flipped bit refused."""
    cdef uint8_t[160] data
    cdef unsigned long long length
    cdef bytes k = bytes.fromhex(key), n = bytes.fromhex(nonce), a = bytes.fromhex(ad)
    memcpy(data, <const uint8_t*> text, len(text))
    seal(data, &length, data, len(text), a, len(a), NULL, n, k)
    _expect(data + len(text), answer, name)
    if open_(data, &length, NULL, data, len(text) + tag, a, len(a), n, k) != 0 or data[:len(text)] != text:
        raise ImportError(f"libsodium's {name} does not open what it sealed; {FIX}")
    seal(data, &length, data, len(text), a, len(a), NULL, n, k)
    data[0] ^= 1
    if open_(data, &length, NULL, data, len(text) + tag, a, len(a), n, k) == 0:
        raise ImportError(f"libsodium's {name} opens what was tampered with; {FIX}")
    return 0

cdef int _self_test(const Sodium* table) except -1:
    """Each function once, with published answers; the sources stand beside them."""
    _test_hashes(table)
    _test_x25519(table)
    _test_ed25519(table)
    # RFC 8439, section 2.8.2; the tag covers the ciphertext, so comparing it is enough.
    _test_aead(
        table.chacha_seal, table.chacha_open, 16,
        "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
        "50515253c0c1c2c3c4c5c6c7",
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it.", "1ae10b594f09e26a7e902ecbd0600691", "ChaCha20-Poly1305")
    if table.has_aes:
        # draft-irtf-cfrg-aegis-aead, AEGIS-128L test vector 1
        _test_aead(
            table.aegis_seal, table.aegis_open, 32,
            "10010000000000000000000000000000", "10000200000000000000000000000000", "", bytes(16),
            "25835bfbb21632176cf03840687cb968cace4617af1bd0f7d064c639a5c79ee4", "AEGIS-128L")
    return 0


def probe(path: str) -> None:
    """Look for every needed function in the shared library `path` and check its answers; nothing is kept.

    ImportError says what is missing and how to mend it. `python -m shadowland` uses it for its self-test.
    """
    cdef Sodium table
    _load(path, &table)
    _self_test(&table)


def has_aes() -> bool:
    """True if this CPU and this libsodium run AEGIS-128L (suite 2) at full speed."""
    return bool(sodium.has_aes)


LIBRARY = nacl._sodium.__file__
sodium_init()               # without it libsodium runs its slowest arms and has_aes is always false
_load(LIBRARY, &sodium)
_self_test(&sodium)

"""The chain of a session's secrets from epoch to epoch: what a rekey derives (protocol.md 4.1).

Owner    The caller: of the Chain, which lies in the session's state, and of every buffer.
Limit    Fixed sizes; nothing here allocates.
Threads  One at a time per Chain.

    Noise's Split ─▶ root 0, h                          root n, transcript n, DH(e, e')
    transcript n+1 = SHA-256(transcript n ‖ label ‖ n+1 ‖ client's e ‖ server's e)
    root n+1 ‖ k1 ‖ k2 = HKDF-Expand(HKDF-Extract(root n, DH), label ‖ transcript n+1, 96)

The new root needs the old one and the fresh exchange: who steals one of the two learns nothing, and as the old root is
overwritten, who steals the new one learns nothing of what was said before (the scheme of Noise's MixKey, with HKDF as
RFC 5869 has it).
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from shadowland._core.crypto.keys cimport KEY_SIZE, hkdf_expand, hkdf_extract, sha256, x25519
from shadowland._core.crypto.sodium cimport sodium

cdef enum:
    CHAIN_LABEL_SIZE = 20

cdef struct Chain:
    uint8_t root[32]
    uint8_t transcript[32]
    uint32_t epoch

cdef inline void chain_wipe(Chain* chain) noexcept nogil:
    sodium.memzero(chain, sizeof(Chain))

cdef inline int chain_advance(
    Chain* chain, const uint8_t* private, const uint8_t* remote, const uint8_t* client_public,
    const uint8_t* server_public, uint8_t* client_to_server, uint8_t* server_to_client,
) noexcept nogil:
    """Next epoch: 32 bytes each of k1 and k2, which the caller wipes. 0, or DROP_LOW_ORDER_POINT and nothing changed.

    `private` is the own ephemeral key, `remote` the other side's public one, which is also one of the two that enter
    the transcript.
    """
    cdef uint8_t[CHAIN_LABEL_SIZE + 4 + 96 + 4] text
    cdef uint8_t[96] material
    cdef uint8_t[KEY_SIZE] secret
    cdef uint32_t next_epoch = chain.epoch + 1
    cdef int status = x25519(secret, private, remote)
    if status != 0:
        return status
    memcpy(text, chain.transcript, 32)
    memcpy(text + 32, <const char*>b"shadowland-net rekey", CHAIN_LABEL_SIZE)
    memcpy(text + 32 + CHAIN_LABEL_SIZE, &next_epoch, 4)
    memcpy(text + 36 + CHAIN_LABEL_SIZE, client_public, 32)
    memcpy(text + 68 + CHAIN_LABEL_SIZE, server_public, 32)
    sha256(chain.transcript, text, 100 + CHAIN_LABEL_SIZE)
    hkdf_extract(secret, chain.root, KEY_SIZE, secret, KEY_SIZE)
    memcpy(text, <const char*>b"shadowland-net rekey", CHAIN_LABEL_SIZE)
    memcpy(text + CHAIN_LABEL_SIZE, chain.transcript, 32)
    hkdf_expand(material, 96, secret, text, CHAIN_LABEL_SIZE + 32)
    memcpy(chain.root, material, 32)
    memcpy(client_to_server, material + 32, 32)
    memcpy(server_to_client, material + 64, 32)
    chain.epoch = next_epoch
    sodium.memzero(secret, sizeof(secret))
    sodium.memzero(material, sizeof(material))
    return 0

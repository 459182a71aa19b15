"""Keys over time: those of the current epoch, what remains of the last one, and a rekey under way (protocol.md 4.1).

Owner    Epochs lies inside the connection; nothing here allocates.
Limit    Two epochs at once: a rekey begins when the last one is settled, so one phase bit tells them apart.
Threads  One at a time per connection.

    client   SETTLED ─request─▶ REQUESTED ─response─▶ SWITCHED ─a packet of the new epoch opens─▶ GRACE ─time─▶ SETTLED
    server   SETTLED ─request, response─▶ OFFERED ─a packet of the new epoch opens─▶ GRACE ─time─▶ SETTLED

The client sends with the new key from the response on, the server from the first packet it opened with the new key:
nobody ever sends what the other side has no key for. Sequences run on through all epochs. An old key opens only what is
older than everything that was opened with the new one, and is overwritten after the grace time.
"""
from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from shadowland._core.base.status cimport DROP_UNEXPECTED
from shadowland._core.crypto.aead cimport AeadKey, aead_key_wipe
from shadowland._core.crypto.chain cimport Chain, chain_advance
from shadowland._core.crypto.keys cimport session_key, x25519_public
from shadowland._core.crypto.sodium cimport sodium

cdef enum:
    EPOCH_SETTLED = 0
    EPOCH_REQUESTED = 1             # client: the request is said
    EPOCH_OFFERED = 2               # server: the response is said; still sends with the old key
    EPOCH_SWITCHED = 3              # client: sends with the new key, has opened nothing with it yet
    EPOCH_GRACE = 4                 # both sides switched; the old key still opens what comes late

    PHASE_FLAG = 0x04               # in the header: the epoch's lowest bit

cdef struct ReceiveKey:
    AeadKey key                     # of zeros: there is none for this phase
    uint64_t last                   # it opens sequences up to here

cdef struct Epochs:
    AeadKey send
    ReceiveKey receive[2]           # by phase
    uint8_t send_flag               # PHASE_FLAG or 0
    uint8_t state
    bint client
    uint32_t suite
    uint64_t grace_us               # GRACE: when the old key goes
    AeadKey send_next               # OFFERED
    Chain chain                     # of the newest epoch that both sides can know
    uint8_t secret[32]              # REQUESTED: the own ephemeral private key
    uint8_t public[32]              # ... and its public half

cdef inline ReceiveKey* epoch_receive(Epochs* epochs, uint8_t flags) noexcept nogil:
    """The key that a packet with these flags names."""
    return &epochs.receive[(flags >> 2) & 1]

cdef inline uint32_t epoch_phase(const Epochs* epochs) noexcept nogil:
    """The phase of the newest epoch."""
    return epochs.chain.epoch & 1

cdef inline void epoch_begin(Epochs* epochs, bint client, uint32_t suite, const Chain* chain, const uint8_t* up,
                             const uint8_t* down) noexcept nogil:
    """Epoch 0, from what Noise's Split gave: `up` is the key client to server."""
    memset(epochs, 0, sizeof(Epochs))
    epochs.client = client
    epochs.suite = suite
    memcpy(&epochs.chain, chain, sizeof(Chain))
    session_key(&epochs.send, up if client else down, suite, chain.epoch)
    session_key(&epochs.receive[0].key, down if client else up, suite, chain.epoch)
    epochs.receive[0].last = UINT64_MAX

cdef inline int epoch_derive(Epochs* epochs, const uint8_t* secret, const uint8_t* own, const uint8_t* remote,
                             AeadKey* send) noexcept nogil:
    """Keys of the next epoch: the receiving one into its phase, the sending one to `send`. 0 or a DROP_ reason."""
    cdef uint8_t[64] split
    cdef ReceiveKey* receive
    cdef const uint8_t* up = split
    cdef const uint8_t* down = split + 32
    cdef int status = chain_advance(&epochs.chain, secret, remote, own if epochs.client else remote,
                                    remote if epochs.client else own, split, split + 32)
    if status != 0:
        return status
    receive = &epochs.receive[epoch_phase(epochs)]
    session_key(send, up if epochs.client else down, epochs.suite, epochs.chain.epoch)
    session_key(&receive.key, down if epochs.client else up, epochs.suite, epochs.chain.epoch)
    receive.last = UINT64_MAX
    sodium.memzero(split, sizeof(split))
    return 0

cdef inline int epoch_request(Epochs* epochs, const uint8_t* secret) noexcept nogil:
    """Client: begin with 32 fresh random bytes; `epochs.public` is what the request says."""
    if not epochs.client or epochs.state != EPOCH_SETTLED:
        return DROP_UNEXPECTED
    memcpy(epochs.secret, secret, 32)
    x25519_public(epochs.public, secret)
    epochs.state = EPOCH_REQUESTED
    return 0

cdef inline int epoch_respond(Epochs* epochs, const uint8_t* secret, const uint8_t* own,
                              const uint8_t* remote) noexcept nogil:
    """Server: answer a request with a fresh key pair (`secret`, `own`). 0, or a DROP_ reason and nothing changed."""
    cdef int status
    if epochs.client or epochs.state != EPOCH_SETTLED:
        return DROP_UNEXPECTED
    status = epoch_derive(epochs, secret, own, remote, &epochs.send_next)
    if status == 0:
        epochs.state = EPOCH_OFFERED
    return status

cdef inline int epoch_complete(Epochs* epochs, const uint8_t* remote) noexcept nogil:
    """Client: take the response; from now on it sends in the new epoch. 0, or a DROP_ reason: the session must end."""
    cdef int status
    if epochs.state != EPOCH_REQUESTED:
        return DROP_UNEXPECTED
    status = epoch_derive(epochs, epochs.secret, epochs.public, remote, &epochs.send)
    sodium.memzero(epochs.secret, 32)
    if status == 0:
        epochs.send_flag = PHASE_FLAG if epoch_phase(epochs) else 0
        epochs.state = EPOCH_SWITCHED
    return status

cdef inline bint epoch_opened(Epochs* epochs, uint8_t flags, uint64_t sequence, uint64_t grace_end_us) noexcept nogil:
    """A packet opened while a rekey is under way; True when it was the first of the new epoch: both sides have it."""
    cdef ReceiveKey* old
    cdef bint first = epochs.state == EPOCH_OFFERED or epochs.state == EPOCH_SWITCHED
    if ((flags & PHASE_FLAG) >> 2) != epoch_phase(epochs) or not (first or epochs.state == EPOCH_GRACE):
        return False
    if epochs.state == EPOCH_OFFERED:
        epochs.send = epochs.send_next
        aead_key_wipe(&epochs.send_next)
        epochs.send_flag = flags & PHASE_FLAG
    old = &epochs.receive[epoch_phase(epochs) ^ 1]
    if sequence <= old.last:
        old.last = sequence - 1 if sequence > 0 else 0
    if first:
        epochs.state = EPOCH_GRACE
        epochs.grace_us = grace_end_us
    return first

cdef inline void epoch_settle(Epochs* epochs) noexcept nogil:
    """The grace time is over: the old key goes."""
    aead_key_wipe(&epochs.receive[epoch_phase(epochs) ^ 1].key)
    epochs.state = EPOCH_SETTLED

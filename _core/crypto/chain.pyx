"""Python door to the chain of secrets, for tests and tools."""
from cython cimport final


@final
cdef class Secrets:
    """A chain that begins with the root and the handshake hash of Noise's Split (32 bytes each, else ValueError)."""
    cdef Chain state

    def __cinit__(self, root: bytes, transcript: bytes):
        for what, given in (("a root", root), ("a transcript", transcript)):
            if len(given) != KEY_SIZE:                  # its bytes may be a secret: only the length is named
                raise ValueError(f"{what} has {KEY_SIZE} bytes, not {len(given)}")
        self.state.epoch = 0
        memcpy(self.state.root, <const uint8_t*>root, 32)
        memcpy(self.state.transcript, <const uint8_t*>transcript, 32)

    def __dealloc__(self):
        chain_wipe(&self.state)

    def __repr__(self) -> str:
        return f"Secrets(epoch={self.state.epoch})"

    @property
    def epoch(self) -> int:
        """How often it has advanced."""
        return self.state.epoch

    @property
    def transcript(self) -> bytes:
        """Hash of everything both sides have seen, 32 bytes; no secret."""
        return self.state.transcript[:32]

    def advance(self, private: bytes, remote: bytes, client_public: bytes, server_public: bytes) -> tuple[
            bytes, bytes] | None:
        """(k1, k2) of the next epoch, None if `remote` is a low-order point. All keys have 32 bytes, else
        ValueError."""
        cdef uint8_t[32] first
        cdef uint8_t[32] second
        if not len(private) == len(remote) == len(client_public) == len(server_public) == KEY_SIZE:
            raise ValueError(f"every key has {KEY_SIZE} bytes")
        if chain_advance(&self.state, <const uint8_t*>private, <const uint8_t*>remote, <const uint8_t*>client_public,
                         <const uint8_t*>server_public, first, second) != 0:
            return None
        return first[:32], second[:32]

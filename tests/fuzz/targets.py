"""The fuzz targets: in which module each is, how long its inputs may get, and what it must hold."""
from pathlib import Path
from typing import NamedTuple

CORPUS = Path(__file__).parent / "corpus"
INPUTS = 150                # of one target in the corpus, the shortest ones that reach something


class Target(NamedTuple):
    module: str             # tests/fuzz/<module>.pyx
    longest: int            # bytes of an input
    says: str


TARGETS = {
    "varints": Target("kernels", 64, "LEB128: a number has one form"),
    "bits": Target("kernels", 128, "bit cursor and class-coded integers"),
    "cursors": Target("kernels", 256, "byte cursor, header"),
    "acks": Target("kernels", 512, "ack blocks read, and those of a receiver"),
    "replays": Target("kernels", 512, "replay window"),
    "frames": Target("kernels", 1200, "frames of a body"),
    "fragments": Target("kernels", 512, "unreliable messages in parts"),
    "lz4_open": Target("kernels", 1500, "packed messages opened"),
    "lz4_pack": Target("kernels", 4096, "messages packed and opened again"),
    "messages": Target("kernels", 512, "payloads of message classes"),
    "snapshots": Target("kernels", 1024, "snapshots applied to a view"),
    "server_bodies": Target("endpoints", 2400, "a server behind the decryption: bodies one after the other"),
    "client_bodies": Target("endpoints", 2400, "a client behind the decryption"),
    "server": Target("endpoints", 2400, "a server: datagrams of all sorts, time, messages of its own"),
    "client": Target("endpoints", 2400, "a client likewise"),
}


def read_corpus(name: str) -> list[bytes]:
    """The inputs of a target that the project keeps: one a line, in hexadecimal."""
    path = CORPUS / f"{name}.hex"
    return [bytes.fromhex(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_corpus(name: str, inputs: list[bytes]) -> None:
    CORPUS.mkdir(exist_ok=True)
    kept = sorted(set(inputs), key=lambda data: (len(data), data))[:INPUTS]
    (CORPUS / f"{name}.hex").write_text("".join(data.hex() + "\n" for data in kept))

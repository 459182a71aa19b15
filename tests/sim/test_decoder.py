"""The decoder, which knows the document, reads what the endpoints send."""
from typing import Any

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.compress import lz4
from shadowland._core.wire import message
from shadowland.tools.decode import decode, frame_fields
from tests.reference.protocol import frame
from tests.sim.peers import Pair


class Tap:
    """A port that keeps a copy of what goes through."""

    def __init__(self, port: Any) -> None:
        self.port = port
        self.sent: list[dict[str, Any]] = []

    def send(self, batch: DatagramBatch) -> Any:
        self.sent += [decode(batch[i]) for i in range(batch.count)]
        return self.port.send(batch)

    def receive(self, batch: DatagramBatch, now_us: int) -> Any:
        return self.port.receive(batch, now_us)


def tapped(**arguments: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What client and server of a pair sent while the client joined and a little after, decoded."""
    pair = Pair(**arguments)
    for peer in (pair.client, pair.server):
        peer.port = Tap(peer.port)      # type: ignore[assignment]
    pair.join().run(300_000)
    return pair.client.port.sent, pair.server.port.sent     # type: ignore[attr-defined]


def test_every_datagram_of_a_handshake_is_as_the_document_says() -> None:
    client, server = tapped()
    assert all(found["problem"] is None for found in client + server)
    kinds = [[found["kind"] for found in sent if found["sort"] == "handshake"] for sent in (client, server)]
    assert kinds == [["HELLO", "CONNECT"], ["COOKIE", "ACCEPTED"]]
    hello, connect = client[:2]
    cookie, accepted = server[:2]
    assert (hello["length"], connect["length"], cookie["length"], accepted["length"]) == (96, 1200, 76, 1200)
    assert hello["echo_matches"] and connect["echo_matches"]
    assert {found["echo"] for found in (hello, connect, cookie, accepted)} == {hello["echo"]}
    assert cookie["cookie"] == connect["cookie"]
    sessions = {found["connection_id"] for found in client + server if found["sort"] == "session"}
    assert len(sessions) == 1


def test_sequences_count_up_by_one_in_each_direction() -> None:
    for sent in tapped():
        sequences = [found["sequence"] for found in sent if found["sort"] == "session"]
        assert sequences and sequences == list(range(len(sequences)))


def test_compressed_messages_are_shown_opened() -> None:
    shown = frame_fields(message.frames(frame(b"\x10\x09" + (lz4.pack(b"la " * 100) or b"")))[0])
    assert shown == {"channel": "unreliable", "kind": 9, "compressed": True, "payload": (b"la " * 100).hex()}
    spoilt = frame_fields(message.frames(frame(b"\x13\x09\x05\x50abc"))[0])
    assert spoilt["compressed"] and spoilt["problem"]["reason"] == "BAD_COMPRESSION"

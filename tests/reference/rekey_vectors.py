"""Writes tests/vectors/rekey.json: two changes of keys on one session, datagram by datagram, and what must not open.

The handshake and the random numbers are those of session_vectors.py; a rekey takes 32 bytes more on either side, 4 for
their age whenever keys are new, and a client takes 8 with each datagram of the handshake. With the same seeds the
compiled endpoints must send exactly these datagrams.
"""
import json
import struct
import sys
from typing import Any

from tests.reference import drbg, protocol, session_vectors

ASK, REQUEST, RESPONSE = protocol.REKEY_ASK, protocol.REKEY_REQUEST, protocol.REKEY_RESPONSE
NOW_US = session_vectors.NOW_US
NOTE = b"\0\x09"                    # unreliable, of kind 9


class Transcript:
    """Both sides of the reference, and what they said to each other."""

    def __init__(self, suites: int) -> None:
        self.random = {"client": drbg.Generator(session_vectors.CLIENT_SEED),
                       "server": drbg.Generator(session_vectors.SERVER_SEED)}
        self.exchange, client, server = session_vectors.exchange_of(
            self.random["client"], self.random["server"], session_vectors.SCHEMA, suites)
        assert client.session is not None and server.session is not None
        self.sides = {"client": client.session, "server": server.session}
        self.epochs = {name: session.epochs for name, session in self.sides.items() if session.epochs is not None}
        self.rows: list[dict[str, Any]] = []
        self.now_us = self.heard_us = NOW_US                    # heard: when the client last heard something
        for _ in ("HELLO", "CONNECT"):
            self.random["client"].fill(8)                       # when each would be repeated
        for random in self.random.values():
            random.fill(4)

    def say(self, name: str, to: str, *contents: bytes, delay_us: int = 0, **more: Any) -> None:
        """A packet that a compiled endpoint says by itself, and the other side takes."""
        own = "server" if to == "client" else "client"
        sender, receiver = self.sides[own], self.sides[to]
        block = sender.acks.block(sender.sequence, delay_us)
        body = block + b"".join(protocol.frame(content) for content in contents)
        datagram = sender.seal(body)
        assert receiver.receive(datagram) == list(contents)
        self.rows.append({"name": name, "to": to, "said": True, "epoch": self.epochs[own].sending, "body": body.hex(),
                          "datagram": datagram.hex(), **more})

    def lay(self, name: str, to: str, epoch: int, sequence: int, reason: str, flags: int | None = None) -> None:
        """A datagram that somebody else lays before a side: NOTE under the key and the phase of that epoch, or with
        other flags. It is taken (NONE) or dropped."""
        own, body = self.epochs["server" if to == "client" else "client"], b"\0" + protocol.frame(NOTE)
        now, own.sending = own.sending, epoch
        datagram = own.seal(self.exchange["connection_id"], sequence, body)
        own.sending = now
        if flags is not None:                                   # of the associated data, after sealing
            datagram = datagram[:5] + bytes([flags]) + datagram[6:]
        assert (self.epochs[to].open(datagram) is not None) == (reason in ("NONE", "REPLAYED")), name
        self.rows.append({"name": name, "to": to, "said": False, "epoch": epoch, "body": body.hex(),
                          "datagram": datagram.hex(), "reason": reason})

    def rekey(self, number: int) -> None:
        """A change of keys from the request on, up to the packets by which both sides know of it."""
        client, server = self.sides["client"], self.sides["server"]
        secret = self.random["client"].fill(32)
        request = self.epochs["client"].request(secret)
        assert request is not None
        self.say(f"{number}: request", "server", client.control(REQUEST, request), delay_us=self.now_us - self.heard_us,
                 client_ephemeral_private=secret.hex(), **({"rekey": "client"} if number == 2 else {}))
        secret = self.random["server"].fill(32)
        response = self.epochs["server"].respond(secret, request)
        assert response is not None
        self.random["server"].fill(4)
        self.say(f"{number}: response", "client", server.control(RESPONSE, response),
                 server_ephemeral_private=secret.hex())
        assert self.epochs["client"].complete(response)
        self.random["client"].fill(4)
        ours, theirs = self.epochs["client"], self.epochs["server"]
        assert (ours.send[number], ours.receive[number]) == (theirs.receive[number], theirs.send[number])
        time = struct.pack("<Q", self.now_us)
        self.say(f"{number}: the client sends in the new epoch", "server", b"\7\1" + time,
                 client_to_server=ours.send[number].hex(), server_to_client=ours.receive[number].hex())
        self.say(f"{number}: the server follows", "client", b"\7\2" + time + time)
        self.heard_us = self.now_us

    def wait(self, us: int) -> None:
        """Time passes on both sides."""
        self.now_us += us
        self.rows.append({"name": f"{us} us pass", "to": "both", "us": us})

    def settle(self) -> None:
        """The grace time is over on both sides, which both have nothing to say about."""
        self.say_late_acks()
        self.wait(1_100_000)
        for epochs in self.epochs.values():
            epochs.settle()

    def say_late_acks(self) -> None:
        """Nobody answers what only answered: it is acknowledged after a while."""
        self.wait(30_000)
        self.say("an ack alone", "server", delay_us=30_000)


def transcript(suites: int) -> dict[str, Any]:
    """A rekey that the server asks for, one that the client wants, and between them what tries the wrong keys."""
    t = Transcript(suites)
    t.say("confirm", "server", b"\7\0")
    t.say("1: the server asks", "client", t.sides["server"].control(ASK), rekey="server")
    t.rekey(1)
    first = t.sides["client"].sequence - 1                      # of epoch 1
    t.lay("the old key, as new as the new epoch", "server", 0, first + 9, "NO_KEYS")
    t.lay("the old key, with the new phase", "server", 0, first + 9, "AUTH_FAILED", 7)
    t.lay("the new key, with the old phase", "server", 1, first + 9, "NO_KEYS", 3)
    t.settle()
    t.lay("the old key, after the grace time", "server", 0, first + 9, "NO_KEYS")
    t.rekey(2)
    t.lay("the key of epoch 0, whose phase epoch 2 has", "server", 0, first + 9, "AUTH_FAILED")
    t.lay("the key of epoch 1, as new as epoch 2", "server", 1, first + 9, "NO_KEYS")
    t.lay("the key of epoch 2, far ahead", "server", 2, first + 90, "NONE")
    t.lay("the key of epoch 2, again", "server", 2, first + 90, "REPLAYED")
    t.lay("the key of epoch 2, to the client", "client", 2, first + 90, "NONE")
    return {"suite": 2 if suites & 2 else 1, "suites": suites, "exchange": t.exchange, "rows": t.rows}


def document() -> dict[str, Any]:
    return {"generated": "python -m tests.reference.rekey_vectors",
            "transcripts": [transcript(suites) for suites in (1, 3)]}


if __name__ == "__main__":
    path = session_vectors.VECTORS / "rekey.json"
    path.write_text(json.dumps(document(), indent=1) + "\n")
    print(path, file=sys.stderr)

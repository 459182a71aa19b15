"""What the bytes given to the targets `server` and `client` mean: a program of steps for one endpoint.

    step     operation u8 ‖ length u16 ‖ bytes            a length beyond the end counts as what is left
    operation: the lowest three bits say what, the upper five are its argument a

    0 SEALED     a packet whose body is `bytes`, under the next sequence + a
    1 AGAIN      the same under the sequence a before; from 16 on under the key of a session that is half open
    2 RAW        a datagram of `bytes`; a odd: from a stranger's address
    3 SESSION    the session's connection id and `bytes`
    4 HANDSHAKE  id 0, `bytes`, the right checksum; a & 1: from a stranger, a & 2: with the echo of a pending handshake
    5 TIME       microseconds pass (little-endian, at most three bytes), then everything due is sent
    6 SEND       a message on channel a & 7: kind and payload
    7 CLEAR      the application has read its inbox

The same in C, with sanitizers and coverage, is endpoints.pyx. Both begin at the rig of this file: an endpoint of the
compiled library with one live session, its peer being the reference's, and one handshake half done.
"""
from collections.abc import Callable
from dataclasses import dataclass

from shadowland._core.base.status import DropReason
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland.errors import CapacityError, UsageError
from tests.reference import protocol
from tests.unit import desk as desks
from tests.unit.desk import CLIENT, SECOND, SERVER, STRANGER, Desk

SEALED, AGAIN, RAW, SESSION, HANDSHAKE, TIME, SEND, CLEAR = range(8)
HALF_OPEN_FROM = 16
LARGEST = 1500


@dataclass
class Rig:
    """An endpoint on a desk, with a live session and something half done."""

    desk: Desk
    session: protocol.Sealed
    half: protocol.Sealed | None            # server: accepted, and nothing came after
    echo: bytes                             # of the handshake that is not done
    peer: tuple[str, int]
    handle: int


Adopt = Callable[[Endpoint], Endpoint]


def as_it_is(endpoint: Endpoint) -> Endpoint:
    return endpoint


def server_rig(adopt: Adopt = as_it_is) -> Rig:
    """`adopt` gets the endpoint before anything has happened to it."""
    desk = Desk(adopt(Endpoint("server", capacity=2, half_open=2, seed=b"s" * 32, identity_secret=desks.IDENTITY,
                               schema_hash=7)))
    session = desks.joined(desk, desks.reference_client(1))
    waiting = desks.reference_client(2)
    half = desks.accepted(desk, waiting)
    return Rig(desk, session, half, waiting.public[:8], CLIENT, desk.events[-1][1])


def client_rig(adopt: Adopt = as_it_is) -> Rig:
    desk = Desk(adopt(Endpoint("client", capacity=2, seed=b"c" * 32, schema_hash=7)))
    desk.endpoint.connect(SERVER, desks.SERVER_KEY, desk.now_us)
    server = protocol.Server(desks.IDENTITY, b"c" * 32, bytes(10) + b"\xff\xff\x0a\0\0\2", CLIENT[1], schema_hash=7)
    (hello,) = desk.outbound()
    desk.give(server.cookie(hello, 5, bytes(8)), SERVER)
    (connect,) = desk.outbound()
    server.read_connect(connect, 5)
    desk.give(server.accept(0x1230, b"s" * 32), SERVER)
    assert server.session is not None
    for datagram in desk.outbound():
        server.session.receive(datagram)
    desk.give(server.session.packet(), SERVER)
    handle = desk.events[-1][1]
    desk.endpoint.connect(SERVER, desks.SERVER_KEY, desk.now_us)
    (hello,) = desk.outbound()
    return Rig(desk, server.session, None, hello[6:14], SERVER, handle)


RIGS: dict[str, Callable[..., Rig]] = {"server": server_rig, "client": client_rig}


def steps(program: bytes) -> list[tuple[int, int, bytes]]:
    """(operation, argument, bytes) of each."""
    found, at = [], 0
    while at + 3 <= len(program):
        length = int.from_bytes(program[at + 1:at + 3], "little")
        found.append((program[at] & 7, program[at] >> 3, program[at + 3:at + 3 + length]))
        at += 3 + length
    return found


def step(operation: int, argument: int, data: bytes) -> bytes:
    """One step as bytes."""
    return bytes([operation | argument << 3]) + len(data).to_bytes(2, "little") + data


class Player:
    """Plays a program to a rig, and looks after every step whether all is accounted for."""

    def __init__(self, role: str) -> None:
        self.rig = RIGS[role]()
        self.next = self.rig.session.sequence

    def play(self, program: bytes) -> None:
        for operation, argument, data in steps(program):
            self._step(operation, argument, data)
            self.check()
        self.end()

    def _step(self, operation: int, argument: int, data: bytes) -> None:
        rig, desk = self.rig, self.rig.desk
        source = STRANGER if argument & 1 and operation in (RAW, HANDSHAKE) else rig.peer
        if operation == SEALED:
            self._give(rig.session.seal(data, self.next + argument), source)
            self.next += argument + 1
        elif operation == AGAIN and argument < HALF_OPEN_FROM:
            self._give(rig.session.seal(data, max(self.next - 1 - argument, 0)), source)
        elif operation == AGAIN and rig.half is not None:
            self._give(rig.half.seal(data, argument - HALF_OPEN_FROM), source)
        elif operation == RAW:
            self._give(data, source)
        elif operation == SESSION:
            self._give(rig.session.connection_id.to_bytes(4, "little") + data, source)
        elif operation == HANDSHAKE:
            if argument & 2 and len(data) >= 10:
                data = data[:2] + rig.echo + data[10:]
            self._give(protocol.summed(bytes(4) + data), source)
        elif operation == TIME:
            self._wait(int.from_bytes(data[:3], "little"))
        elif operation == SEND and data:
            try:
                desk.endpoint.send(rig.handle, argument & 7, data[0] % 201, data[1:])
            except (CapacityError, UsageError):
                pass
        elif operation == CLEAR:
            desk.read()

    def _give(self, datagram: bytes, source: tuple[str, int]) -> None:
        desk = self.rig.desk
        if len(datagram) > LARGEST:
            return
        desk.batch.clear()
        desk.replies.clear()
        assert desk.batch.append(datagram, source)
        desk.endpoint.inbound(desk.batch, desk.replies, desk.now_us)
        replied = sum(len(desk.replies[i]) for i in range(len(desk.replies)))
        assert replied <= len(datagram), "amplification"

    def _wait(self, us: int) -> None:
        desk, done = self.rig.desk, False
        desk.now_us += us
        while not done:
            desk.out.clear()
            done = desk.endpoint.outbound(desk.out, desk.now_us)

    def check(self) -> None:
        endpoint = self.rig.desk.endpoint
        counters = endpoint.counters
        assert counters["received"] == counters["accepted"] + int(endpoint.drops.sum())
        assert endpoint.live <= 2 and endpoint.half_open <= 2

    def end(self) -> None:
        """The session is closed, time goes by: nothing is held any more."""
        desk = self.rig.desk
        desk.read()
        desk.endpoint.close_all(2, desk.now_us)
        for _ in range(8):
            self._wait(SECOND)
            desk.read()
        counters = desk.endpoint.counters
        assert (desk.endpoint.live, desk.endpoint.half_open) == (0, 0)
        assert (counters["blocks_used"], counters["fragment_sets"]) == (0, 0)


def play(role: str, program: bytes) -> dict[DropReason, int]:
    """Play a program to a fresh rig; what was dropped, datagrams and messages together."""
    player = Player(role)
    player.play(program)
    endpoint = player.rig.desk.endpoint
    total = endpoint.drops + endpoint.message_drops
    return {DropReason(i): int(count) for i, count in enumerate(total) if count}



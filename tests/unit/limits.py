"""What the tests of the limits share: a session that leans against a limit and one beside it that must not feel it."""
import struct
from typing import Any

from shadowland._core.base.status import DisconnectReason, DropReason
from tests.reference import protocol
from tests.unit.desk import LEFT, SECOND, Desk, joined, reference_client, server_desk

NONE = DropReason.NONE
BESIDE = ("10.0.0.4", 40004)
UNRELIABLE, RELIABLE, UNORDERED, LATEST, INPUT, CONTROL = 0, 1, 2, 3, 4, 7


class Two:
    """A server's desk with two sessions on it; `leaning` goes to the limit, `beside` stays what it is."""

    def __init__(self, desk: Desk | None = None, **limits: Any) -> None:
        self.desk = desk or server_desk(**limits)
        self.leaning = joined(self.desk, reference_client(201))
        self.handle = self.desk.events[-1][1]
        self.beside = joined(self.desk, reference_client(202), BESIDE)
        self.handle_beside = self.desk.events[-1][1]
        self.messages_beside = 0

    def say(self, *contents: bytes) -> DropReason:
        """One packet of the leaning session with these frames; why its datagram was dropped."""
        return self.desk.give(self.leaning.packet(*contents))[0]

    def say_all(self, contents: list[bytes]) -> None:
        """A packet for each, all before anybody reads the inbox."""
        reasons, _ = self.desk.give_all([self.leaning.packet(content) for content in contents])
        assert not reasons

    def dropped(self) -> dict[DropReason, int]:
        return self.desk.dropped_messages()

    def ended(self, wait_us: int = SECOND) -> DisconnectReason | None:
        """What the leaning session ended for; the one beside it must be alive and well."""
        for step in range(0, wait_us, SECOND // 4):
            self.desk.wait(min(SECOND // 4, wait_us - step))
            self.unharmed()
        reasons = [reason for kind, handle, reason in self.desk.events if kind == LEFT and handle == self.handle]
        return DisconnectReason(reasons[0]) if reasons else None

    def unharmed(self) -> None:
        """The session beside says something reliably and it arrives."""
        before = len(self.desk.messages)
        number = self.messages_beside
        said = protocol.unit(self.beside.units, number, b"\x63" + struct.pack("<H", number))
        self.beside.units += 1
        self.messages_beside += 1
        assert self.desk.give(self.beside.packet(said), BESIDE) == (NONE, [])
        assert self.desk.messages[before:] == [(RELIABLE, 99, struct.pack("<H", number))]
        assert self.desk.endpoint.is_live(self.handle_beside)

    def alive(self) -> bool:
        """The leaning session is live and still takes a message, and the one beside too."""
        before = len(self.desk.messages)
        assert self.say(b"\0\x62alive") == NONE
        heard = self.desk.messages[before:] == [(UNRELIABLE, 98, b"alive")]
        self.unharmed()
        return heard and self.ended() is None


def parts(message: bytes, stream: int | None = 0, first: int = 0, number: int = 0, head: int = 0) -> list[bytes]:
    """The reliable units of one message (kind ‖ payload), of one unit or of several."""
    cut = [message[at:at + 960] for at in range(0, len(message), 960)]
    count = len(cut) if len(cut) > 1 else 0
    units = [protocol.unit(first + i, number, part, i, count, stream) for i, part in enumerate(cut)]
    return [bytes([one[0] | head]) + one[1:] for one in units]


def fragments(message: bytes, number: int = 0, head: int = 0) -> list[bytes]:
    """The parts of one unreliable message (kind ‖ payload)."""
    cut = [message[at:at + 960] for at in range(0, len(message), 960)]
    return [bytes([protocol.FRAGMENT | head]) + struct.pack("<HBB", number, i, len(cut)) + part
            for i, part in enumerate(cut)]


def inputs(newest: int, payloads: list[bytes]) -> bytes:
    """An input frame; `newest` is the number of the last."""
    return (bytes([INPUT, 1]) + struct.pack("<HB", newest & 0xFFFF, len(payloads) & 0xFF)
            + b"".join(bytes([len(payload)]) + payload for payload in payloads))

"""Invariant: sessions that send all they may, in all other modes, cost nobody an input; nor does an input cost them."""
from dataclasses import dataclass, field
from typing import Any

import pytest

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.status import DropReason
from tests.reference import protocol
from tests.unit.desk import Desk, joined, reference_client, server_desk
from tests.unit.limits import INPUT, inputs, parts

FULL = DropReason.INBOX_FULL
HONEST = 20
Address = tuple[str, int]


@dataclass
class Member:
    session: protocol.Sealed
    address: Address
    handle: int
    heard: list[int] = field(default_factory=list)


class House:
    """A server of the default size with members on it; each tick all say what `say` gives them."""

    def __init__(self, members: int, **limits: Any) -> None:
        self.desk: Desk = server_desk(capacity=1024, half_open=1024, half_open_per_prefix=1024, **limits)
        self.members = []
        for number in range(1, 1 + members):
            address = (f"10.2.{number >> 6}.{number & 63}", 1000 + number)
            session = joined(self.desk, reference_client(number), address)
            self.members.append(Member(session, address, self.desk.events[-1][1]))
        self.by_handle = {member.handle: member for member in self.members}
        self.others = 0

    def tick(self, said: list[tuple[Member, list[bytes]]]) -> None:
        batch, endpoint = DatagramBatch(512), self.desk.endpoint
        for at in range(0, len(said), batch.capacity):
            batch.clear()
            for member, contents in said[at:at + batch.capacity]:
                assert batch.append(member.session.packet(*contents), member.address)
            endpoint.inbound(batch, self.desk.replies, self.desk.now_us)
        endpoint.collect()
        arena = endpoint.inbox_arena
        for record in endpoint.inbox:
            payload = arena[int(record["offset"]):int(record["offset"]) + int(record["length"])].tobytes()
            if record["channel"] == INPUT:
                self.by_handle[int(record["connection"])].heard.append(int.from_bytes(payload[:2], "little"))
                assert payload[2:] == bytes([7]) * (len(payload) - 2)
            else:
                assert payload == b"x" * len(payload)
                self.others += 1
        endpoint.clear()
        self.desk.now_us += 16_000


FLOODS = {                                      # members, ticks, and the packets of one member in a tick
    "unreliable": (40, 12, [[b"\0\5x"] * 256] * 3),
    "latest": (40, 12, [[bytes([3, 1 + i]) + b"x" for i in range(200)]] * 3),
    "long": (14, 4, [[b"\0\5" + b"x" * 1000]] * 300),
    "reliable": (36, 4, []),                    # a message of 100,000 bytes, whole at once
}


@pytest.mark.parametrize("flood", FLOODS)
def test_every_input_comes_although_the_inbox_is_full(flood: str) -> None:
    members, ticks, packets = FLOODS[flood]
    first = 0                                   # others that came with the first tick
    house = House(members + HONEST)
    for tick in range(1, 1 + ticks):
        if flood == "reliable":
            packets = [[unit] for unit in parts(b"\5" + b"x" * 100_000, None, (tick - 1) * 105, tick - 1)]
        said = [(member, contents) for member in house.members[:members] for contents in packets]
        said += [(member, [inputs(tick, [tick.to_bytes(2, "little") + bytes([7]) * 58])])
                 for member in house.members[members:]]
        house.tick(said)
        first = house.others if tick == 1 else first
        assert house.desk.endpoint.live == members + HONEST
    house.tick([])
    assert all(member.heard == list(range(1, 1 + ticks)) for member in house.members[members:])
    if flood == "reliable":                     # what found no room waits; it comes with the next ticks
        assert 0 < first < members and house.others == ticks * members
    else:
        assert house.desk.endpoint.message_drops[FULL] > 0 and house.others > members * ticks


def test_inputs_take_no_room_from_the_other_modes() -> None:
    """At the limit all others are taken too, one beyond is dropped, however many inputs came."""
    for count, dropped in ((40, 0), (41, 1), (400, 360)):
        house = House(6, inbox_records=40, session_inbox_records=40)
        for tick in (1, 2):                     # two inputs wait, so that the next tick takes the first
            house.tick([(member, [inputs(tick, [tick.to_bytes(2, "little")])]) for member in house.members])
        before = [list(member.heard) for member in house.members]
        house.others = 0
        house.tick([(house.members[0], [b"\0\5x"] * min(count - at, 200)) for at in range(0, count, 200)])
        assert house.others == count - dropped and house.desk.endpoint.message_drops[FULL] == dropped
        assert [len(member.heard) - len(old) for member, old in zip(house.members, before, strict=True)] == [1] * 6


def test_who_floods_with_inputs_gets_two_a_tick_and_harms_nobody() -> None:
    house = House(8)
    greedy, honest = house.members[0], house.members[1:]
    for tick in range(1, 30):
        flood = [inputs(8 * tick - i, [(8 * tick - i).to_bytes(2, "little")]) for i in range(7, -1, -1)]
        own = inputs(tick, [tick.to_bytes(2, "little")])
        house.tick([(greedy, flood), *((member, [own]) for member in honest)])
    assert len(greedy.heard) <= 2 * 29 and greedy.heard == sorted(set(greedy.heard))
    assert all(member.heard == list(range(1, 30))[:len(member.heard)] and len(member.heard) >= 28 for member in honest)
    assert house.desk.endpoint.message_drops[FULL] == 0


def test_an_inbox_that_nobody_empties_has_room_for_two_inputs_a_session() -> None:
    """Limit and one beyond: collecting again and again without clear fills the reserve and not a byte more."""
    desk = server_desk(capacity=2)
    session = joined(desk, reference_client(1))
    taken = 0
    for number in range(1, 9):
        desk.batch.clear()
        desk.batch.append(session.packet(inputs(number, [bytes(60)])), ("10.0.0.2", 40000))
        desk.endpoint.inbound(desk.batch, desk.replies, desk.now_us)
        taken += desk.endpoint.collect()
    assert taken == len(desk.endpoint.inbox) == 4 and desk.endpoint.message_drops[FULL] >= 1
    desk.read()
    assert desk.messages[-4:] == [(INPUT, 1, bytes(60))] * 4


def test_inputs_collected_before_others_come_take_no_room_from_them() -> None:
    """A server may collect, take another batch in, and only then clear."""
    desk = server_desk(capacity=2, inbox_records=40, session_inbox_records=40)
    session = joined(desk, reference_client(1))
    address = ("10.0.0.9", 1000)
    batch = DatagramBatch(4)
    for number in (1, 2, 3):
        batch.clear()
        assert batch.append(session.packet(inputs(number, [bytes([number])])), address)
        desk.endpoint.inbound(batch, desk.replies, desk.now_us)
    desk.endpoint.clear()
    desk.endpoint.collect()
    came = len(desk.endpoint.inbox)
    assert came > 0
    batch.clear()
    assert batch.append(session.packet(*[b"\0\5x"] * 40), address)
    desk.endpoint.inbound(batch, desk.replies, desk.now_us)
    assert len(desk.endpoint.inbox) == came + 40 and desk.endpoint.message_drops[FULL] == 0

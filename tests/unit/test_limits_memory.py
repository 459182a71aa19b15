"""The settings of docs/config.md that bound memory: one test a key, named for it. Each at the limit, one beyond and far
beyond: what is taken, what is dropped and why, and the session beside still has its part."""
import random

import pytest

import shadowland as sl
from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland.errors import CapacityError, UsageError
from shadowland.testing import Network
from tests.reference import protocol
from tests.unit.desk import get_cookie, reference_client, server_desk
from tests.unit.limits import BESIDE, RELIABLE, UNRELIABLE, Two

FULL, BLOCKS_FULL = DropReason.INBOX_FULL, DropReason.BLOCKS_FULL
LEAST_BYTES = 262_144
BEGUN_BLOCKS, LEAST_BLOCKS = 2560, 2720             # of what is begun; the least that session_blocks may be


def crowd(two: Two, count: int, size: int = 1) -> int:
    """Lay `count` messages of `size` bytes before it in one tick; how many came."""
    two.desk.batch = DatagramBatch(2048)
    two.desk.messages.clear()
    payload = bytes([7]) + random.Random(size).randbytes(size)
    two.say_all([b"\0" + payload] * count)
    assert two.desk.messages == [(UNRELIABLE, 7, payload[1:])] * len(two.desk.messages)
    return len(two.desk.messages)


@pytest.mark.parametrize("count, dropped", [(20, 0), (21, 1), (900, 880)])
def test_inbox_records(count: int, dropped: int) -> None:
    two = Two(inbox_records=20)
    assert crowd(two, count) == count - dropped and two.dropped() == ({FULL: dropped} if dropped else {})
    assert two.alive()                                                  # the next tick has room again


@pytest.mark.parametrize("count, dropped", [(256, 0), (257, 1), (700, 444)])
def test_inbox_bytes(count: int, dropped: int) -> None:
    two = Two(inbox_bytes=LEAST_BYTES, session_inbox_bytes=1 << 20, session_inbox_records=2000)
    assert crowd(two, count, 1024) == count - dropped and two.dropped() == ({FULL: dropped} if dropped else {})
    assert two.alive()


def leaves_room_for_others(two: Two, count: int, size: int) -> int:
    """As `crowd`, and in the same tick the session beside says something, last of all."""
    batch = DatagramBatch(2048)
    payload = bytes([7]) + random.Random(size).randbytes(size)
    for _ in range(count):
        batch.append(two.leaning.packet(b"\0" + payload), ("10.0.0.2", 40000))
    batch.append(two.beside.packet(b"\0\x08me too"), BESIDE)
    two.desk.messages.clear()
    two.desk.endpoint.inbound(batch, two.desk.replies, two.desk.now_us)
    two.desk.read()
    assert two.desk.messages[-1] == (UNRELIABLE, 8, b"me too")
    return len(two.desk.messages) - 1


@pytest.mark.parametrize("count, dropped", [(30, 0), (31, 1), (1500, 1470)])
def test_session_inbox_records(count: int, dropped: int) -> None:
    two = Two(session_inbox_records=30)
    assert leaves_room_for_others(two, count, 1) == count - dropped
    assert two.dropped() == ({FULL: dropped} if dropped else {}) and two.alive()


@pytest.mark.parametrize("count, dropped", [(256, 0), (257, 1), (700, 444)])
def test_session_inbox_bytes(count: int, dropped: int) -> None:
    two = Two(session_inbox_bytes=LEAST_BYTES, session_inbox_records=2000)
    assert leaves_room_for_others(two, count, 1024) == count - dropped
    assert two.dropped() == ({FULL: dropped} if dropped else {}) and two.alive()


def test_outbox_bytes() -> None:
    two = Two(outbox_bytes=16_384)
    said = [random.Random(i).randbytes(508) for i in range(32)]         # 32 frames of 512 bytes
    for payload in said:
        two.desk.endpoint.send(two.handle, UNRELIABLE, 7, payload)
    for size in (0, 1, 900, 15_359):
        with pytest.raises(CapacityError):
            two.desk.endpoint.send(two.handle, UNRELIABLE, 7, bytes(size))
    two.desk.endpoint.send(two.handle_beside, RELIABLE, 7, b"reliable ones lie elsewhere")
    heard = []
    for datagram in two.desk.wait(20_000):
        own = int.from_bytes(datagram[:4], "little") == two.leaning.connection_id
        heard += (two.leaning if own else two.beside).receive(datagram)
    assert [b"\0\7" + payload for payload in said] == [one for one in heard if one[:2] == b"\0\7"]
    assert any(one.endswith(b"reliable ones lie elsewhere") for one in heard)
    two.desk.endpoint.send(two.handle, UNRELIABLE, 7, bytes(100))       # and there is room again
    for size in (16_383, 1 << 32):
        with pytest.raises(UsageError, match="outbox_bytes"):
            server_desk(outbox_bytes=size)


def waiting(two: Two, count: int) -> int:
    """Units of four blocks that wait for the first one; how many found no room."""
    for number in range(1, 1 + count):
        two.say(protocol.unit(number, number, b"\7" + bytes(959)))
    return two.dropped().get(BLOCKS_FULL, 0)


@pytest.mark.parametrize("count, refused", [(40, 0), (41, 1), (255, 215)])
def test_session_blocks(count: int, refused: int) -> None:
    two = Two(session_blocks=LEAST_BLOCKS)
    assert waiting(two, count) == refused
    assert two.desk.endpoint.counters["blocks_used"] == min(4 * count, LEAST_BLOCKS - BEGUN_BLOCKS)
    assert two.alive()
    two.say(protocol.unit(0, 0, b"\7first"))                            # and all that was kept comes
    assert len([1 for channel, kind, _ in two.desk.messages if (channel, kind) == (RELIABLE, 7)]) == 1 + min(count, 40)


@pytest.mark.parametrize("count, refused", [(43, 0), (44, 1), (253, 210)])
def test_blocks(count: int, refused: int) -> None:
    """One session takes all that is shared, its own 12 reserved blocks besides, and the other one still has its own."""
    two = Two(capacity=2, blocks=LEAST_BLOCKS + 16 * 2, session_blocks=1 << 20)
    for number, stream in enumerate((0, 1)):                            # two begun messages set 548 units aside
        two.say(protocol.unit(number, 0, b"\7" + bytes(959), 0, 274, stream))
    two.say(protocol.unit(2, 0, b"\7" + bytes(959), 0, 92, 2))          # and a third makes them 640
    for number in range(4, 4 + count):                                  # unit 3 is missing
        two.say(protocol.unit(number, number - 3, b"\7" + bytes(959), stream=3))
    assert two.dropped().get(BLOCKS_FULL, 0) == refused
    two.unharmed()
    first = two.beside.units
    two.beside.units += 4
    for ahead in (1, 2, 3, 0):                                          # 12 blocks are the other's: three units wait
        said = protocol.unit(first + ahead, ahead, b"\7" + bytes(959), stream=1)
        assert two.desk.give(two.beside.packet(said), BESIDE)[0] == DropReason.NONE
    assert two.desk.messages[-4:] == [(RELIABLE | 1 << 4, 7, bytes(959))] * 4
    assert two.dropped().get(BLOCKS_FULL, 0) == refused and two.ended() is None


class Thing(sl.Entity):
    health: int = 1


def test_entities() -> None:
    app = sl.Server(schema=sl.Schema([Thing], []), entities=5)
    handles = [app.world.spawn(Thing()) for _ in range(5)]
    for _ in range(300):
        with pytest.raises(CapacityError):
            app.world.spawn(Thing())
    assert all(handle in app.world for handle in handles)
    app.open(simulated=Network(1).attach(("10.0.0.1", 3565)))
    app.world.despawn(handles[2])
    app.step()
    app.world.spawn(Thing())
    with pytest.raises(CapacityError):
        app.world.spawn(Thing())
    app.close()


def test_capacity() -> None:
    two = Two(capacity=2, half_open=64, half_open_per_prefix=64)
    assert two.desk.endpoint.live == 2
    for number in range(1, 40):
        assert verdict(two, number) == DisconnectReason.SERVER_FULL
    assert two.desk.endpoint.live == 2 and two.alive()
    two.say(bytes([protocol.CONTROL, protocol.CLOSE, DisconnectReason.CLIENT_LEFT]))
    assert verdict(two, 50) == DisconnectReason.NONE                    # one place is free again
    assert verdict(two, 51) == DisconnectReason.SERVER_FULL             # who was accepted has it, confirmed or not
    two.unharmed()


def verdict(two: Two, number: int) -> DisconnectReason:
    """What a newcomer is told."""
    client, address = reference_client(number), ("10.0.2.1", 1000 + number)
    reason, replies = two.desk.give(client.connect(get_cookie(two.desk, client, address)), address)
    assert reason == DropReason.NONE
    client.answer(replies[0])
    return DisconnectReason(client.rejected[0]) if client.rejected else DisconnectReason.NONE

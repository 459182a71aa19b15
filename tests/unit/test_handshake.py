"""Bad input at every stage of the handshake, server side: dropped for the right reason, no state, nothing amplified."""
import os
import random
import struct

import pytest

from shadowland._core.base.status import DisconnectReason, DropReason
from tests.reference import keys, noise, protocol
from tests.unit.desk import (
    CLIENT,
    IDENTITY,
    JOINED,
    LEFT,
    SECOND,
    STRANGER,
    Desk,
    accepted,
    get_cookie,
    joined,
    reference_client,
    server_desk,
)

NONE = DropReason.NONE
LOW_ORDER = [bytes(32), b"\1" + bytes(31),                              # RFC 7748 section 6.1; the list is Bernstein's
             bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
             bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
             (2**255 - 20).to_bytes(32, "little"), (2**255 - 19).to_bytes(32, "little"),
             (2**255 - 18).to_bytes(32, "little")]


def untouched(desk: Desk) -> bool:
    """No state and no computation for anybody."""
    return desk.endpoint.half_open == desk.endpoint.live == desk.endpoint.counters["handshakes"] == 0


def flipped(data: bytes, position: int, bit: int = 0) -> bytes:
    return data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1:]


def test_a_hello_leaves_no_state_and_costs_no_key_exchange() -> None:
    desk = server_desk()
    for number in range(1, 50):
        cookie = get_cookie(desk, reference_client(number))
        assert len(cookie) == 76 <= 96
    assert untouched(desk)


def test_a_truncated_datagram_is_dropped_at_every_length() -> None:
    desk, client = server_desk(), reference_client()
    for whole in (client.hello(), client.connect(get_cookie(desk, client))):
        for length in range(len(whole)):
            reason, replies = desk.give(whole[:length])
            assert reason == (DropReason.TRUNCATED if length < 52 else DropReason.BAD_CRC) and not replies
    assert untouched(desk)


def test_reading_never_goes_past_the_received_length() -> None:
    """origin.md: stale memory of a longer datagram in the same slot must not complete a shorter one."""
    desk, client = server_desk(), reference_client()
    connect = client.connect(get_cookie(desk, client))
    reason, _ = desk.give(flipped(connect, 700))                        # leaves its bytes in the slot
    assert reason == DropReason.BAD_CRC
    assert desk.give(connect[:600])[0] == DropReason.BAD_CRC
    assert untouched(desk)


def test_a_cut_datagram_with_a_right_checksum_is_dropped() -> None:
    desk, client = server_desk(), reference_client()
    for length in range(52, 200):
        reason, replies = desk.give(protocol.summed(client.hello()[:length - 4].ljust(length - 4, b"\0")))
        assert (reason, len(replies)) == ((NONE, 1) if length == 96 else (DropReason.BAD_PADDING, 0))
    connect = client.connect(get_cookie(desk, client))
    for length in range(52, 1200, 7):
        assert desk.give(protocol.summed(connect[:length - 4])) in (
            (DropReason.BAD_PADDING, []), (DropReason.HANDSHAKE_FAILED, []))
    assert desk.endpoint.half_open == 0


def test_oversized_datagrams_are_dropped() -> None:
    desk = server_desk()
    assert desk.give(bytes(1501))[0] == DropReason.OVERSIZED
    assert desk.give(protocol.handshake(protocol.HELLO, bytes(8), bytes(1481)))[0] == DropReason.OVERSIZED


def test_random_bytes_are_dropped() -> None:
    desk, luck = server_desk(), random.Random(1)
    for _ in range(2000):
        data = luck.randbytes(luck.randrange(1500))
        reason, replies = desk.give(data)
        assert reason != NONE and not replies
        reason, replies = desk.give(bytes(4) + data[:1490])            # as a handshake datagram
        assert reason != NONE and not replies
    assert untouched(desk)


@pytest.mark.parametrize("kind", ["hello", "connect"])
def test_every_byte_that_is_flipped_on_the_way_is_noticed(kind: str) -> None:
    desk, client = server_desk(), reference_client()
    connect = client.connect(get_cookie(desk, client))
    whole = client.hello() if kind == "hello" else connect
    for position in range(len(whole)):
        reason, replies = desk.give(flipped(whole, position, position % 8))
        expected = (DropReason.BAD_KIND if position == 4 else DropReason.BAD_FLAGS if position == 5
                    else DropReason.BAD_CRC)
        if position < 4:
            expected = DropReason.BAD_FLAGS                     # an id that is not 0: no session datagram either
        elif position == 4 and whole[4] ^ 1 << 4 in (1, 4):
            expected = DropReason.BAD_CRC
        assert (reason, replies) == (expected, []), position
    assert untouched(desk)


def test_every_byte_of_a_connect_is_authenticated_and_not_only_summed() -> None:
    """CRC32C is no authentication: with the checksum made right again each change is still refused."""
    desk, client = server_desk(), reference_client()
    connect = client.connect(get_cookie(desk, client))
    for position in range(6, len(connect) - 4):
        reason, replies = desk.give(protocol.resummed(flipped(connect, position, position % 8)))
        if position < 14 or 64 <= position < 72:
            expected = {DropReason.BAD_PADDING}                         # echo and ephemeral differ
        elif position < 16:
            expected = {DropReason.BAD_VERSION}
        elif position < 24:
            expected = {DropReason.BAD_COOKIE, DropReason.COOKIE_EXPIRED}
        elif position < 96:
            expected = {DropReason.BAD_COOKIE}                          # bound to the whole ephemeral
        else:
            expected = {DropReason.HANDSHAKE_FAILED}
        assert reason in expected and (not replies or reason == DropReason.BAD_VERSION), position
    assert desk.endpoint.half_open == 0


def test_padding_of_a_hello_must_be_zero() -> None:
    desk, client = server_desk(), reference_client()
    for position in range(48, 92):
        reason, replies = desk.give(protocol.resummed(flipped(client.hello(), position)))
        assert (reason, replies) == (DropReason.BAD_PADDING, [])


def test_kinds_of_the_server_and_unknown_ones_are_refused() -> None:
    desk = server_desk()
    for kind in (0, 2, 3, 5, 6, 7, 255):
        assert desk.give(protocol.handshake(kind, bytes(8), bytes(80))) == (DropReason.BAD_KIND, [])


def test_another_version_gets_the_list_and_never_more_than_it_sent() -> None:
    desk, client = server_desk(), reference_client()
    hello = protocol.handshake(protocol.HELLO, client.public[:8], client.public + bytes(44), version=2)
    reason, replies = desk.give(hello)
    assert reason == DropReason.BAD_VERSION
    assert replies == [protocol.handshake(protocol.VERSIONS, client.public[:8], struct.pack("<BH", 1, 1))]
    short = protocol.handshake(protocol.HELLO, client.public[:8], client.public[:32] + bytes(20), version=2)
    assert desk.give(short) == (DropReason.BAD_VERSION, [])
    assert untouched(desk)


def test_a_cookie_is_for_one_address_one_port_and_one_key() -> None:
    desk, client, other = server_desk(), reference_client(1), reference_client(2)
    cookie = get_cookie(desk, client)
    connect = client.connect(cookie)
    assert desk.give(connect, STRANGER) == (DropReason.BAD_COOKIE, [])
    assert desk.give(connect, (CLIENT[0], CLIENT[1] + 1)) == (DropReason.BAD_COOKIE, [])
    assert desk.give(other.connect_with(cookie[16:64])) == (DropReason.BAD_COOKIE, [])
    assert untouched(desk)
    assert len(desk.give(connect)[1]) == 1


def test_a_cookie_lives_ten_seconds_and_one_from_the_future_is_refused() -> None:
    desk, client = server_desk(), reference_client()
    connect = client.connect(get_cookie(desk, client))
    desk.now_us += 11 * SECOND
    assert desk.give(connect) == (DropReason.COOKIE_EXPIRED, [])
    desk.now_us -= 12 * SECOND
    assert desk.give(connect) == (DropReason.BAD_COOKIE, [])
    assert untouched(desk)


def test_the_cookie_secret_rotates_and_the_previous_one_still_counts() -> None:
    desk, client = server_desk(), reference_client()
    get_cookie(desk, client)                                            # a first secret
    desk.now_us += 59 * SECOND
    connect = client.connect(get_cookie(desk, client))
    desk.now_us += 9 * SECOND
    fresh = get_cookie(desk, reference_client(2))                       # made with the next secret
    assert desk.give(reference_client(2).connect(fresh))[0] == NONE
    assert desk.give(connect)[0] == NONE                                # made with the previous one


def test_a_cookie_of_a_secret_that_is_gone_is_refused() -> None:
    """Two rotations: even a stamp that still looks alive does not help."""
    desk, client = server_desk(), reference_client()
    old = get_cookie(desk, client)[16:64]
    for _ in range(2):
        desk.now_us += 61 * SECOND
        get_cookie(desk, client)
    stamp = struct.pack("<q", desk.now_us // SECOND)
    assert desk.give(client.connect_with(stamp + old[8:])) == (DropReason.BAD_COOKIE, [])


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_low_order_point_is_refused(point: bytes) -> None:
    desk, client = server_desk(), reference_client()
    client.public = point
    cookie = get_cookie(desk, client)
    datagram = protocol.handshake(protocol.CONNECT, point[:8], cookie[16:64] + point + os.urandom(1200 - 100))
    assert desk.give(datagram) == (DropReason.LOW_ORDER_POINT, [])
    assert desk.endpoint.half_open == 0


def test_a_repeated_connect_gets_the_stored_bytes() -> None:
    desk, client = server_desk(), reference_client()
    connect = client.connect(get_cookie(desk, client))
    first = desk.give(connect)[1]
    desk.now_us += SECOND
    assert desk.give(connect) == (NONE, first)
    assert desk.endpoint.half_open == desk.endpoint.counters["handshakes"] == 1


def test_the_same_ephemeral_with_other_bytes_is_refused() -> None:
    """One key and nonce would otherwise seal two texts."""
    desk, client = server_desk(), reference_client()
    cookie = get_cookie(desk, client)
    connect = client.connect(cookie)
    assert desk.give(connect)[0] == NONE
    client.payload = client.payload[:8] + b"\7\0\0\0" + client.payload[12:]
    assert desk.give(client.connect(cookie)) == (DropReason.EPHEMERAL_REUSED, [])
    for position in (97, 600, len(connect) - 5):                        # in the ciphertext, in the tag
        assert desk.give(protocol.resummed(flipped(connect, position))) == (DropReason.EPHEMERAL_REUSED, [])
    assert desk.endpoint.counters["handshakes"] == 1


def test_a_connect_replayed_after_the_join_gets_nothing() -> None:
    desk, client = server_desk(), reference_client()
    joined(desk, client)
    handshakes = desk.endpoint.counters["handshakes"]
    assert desk.give(client.connect_datagram) == (DropReason.EPHEMERAL_REUSED, [])
    assert desk.endpoint.half_open == 0 and desk.endpoint.live == 1
    assert desk.endpoint.counters["handshakes"] == handshakes


def test_only_a_packet_that_opens_lets_the_player_join() -> None:
    desk, client = server_desk(), reference_client()
    session = accepted(desk, client)
    confirm = session.packet(bytes([protocol.CONTROL, protocol.CONFIRM]))
    for position in range(14, len(confirm)):
        assert desk.give(flipped(confirm, position)) == (DropReason.AUTH_FAILED, [])
    for position in range(6, 14):
        assert desk.give(flipped(confirm, position)) == (DropReason.AUTH_FAILED, [])
    assert desk.give(confirm, STRANGER) == (DropReason.WRONG_PATH, [])
    for length in range(14, 31):
        assert desk.give(confirm[:length])[0] == DropReason.TRUNCATED
    assert not desk.events and desk.endpoint.half_open == 1 and not desk.outbound()
    reasons, _ = desk.give_all([confirm, confirm])                      # twice in one batch
    assert reasons == [DropReason.REPLAYED]
    assert [event[0] for event in desk.events] == [JOINED]
    assert (desk.endpoint.half_open, desk.endpoint.live) == (0, 1)


def test_a_half_open_connection_lives_five_seconds() -> None:
    desk, client = server_desk(), reference_client()
    session = accepted(desk, client)
    desk.wait(4_900_000, 100_000)
    assert desk.endpoint.half_open == 1
    desk.wait(200_000, 100_000)
    assert desk.endpoint.half_open == 0
    assert desk.give(session.packet(b"\7\0"))[0] == DropReason.UNKNOWN_CONNECTION


def test_half_open_slots_are_capped_by_prefix_and_the_oldest_gives_way() -> None:
    desk = server_desk(half_open=8, half_open_per_prefix=3)
    sessions = []
    for number in range(5):
        sessions.append(accepted(desk, reference_client(10 + number), (f"10.1.1.{number}", 1000)))
        desk.now_us += 1000
    other = accepted(desk, reference_client(30), ("10.1.2.1", 1000))
    assert desk.endpoint.half_open == 4 and desk.dropped_messages() == {DropReason.HALF_OPEN_FULL: 2}
    for number, session in enumerate(sessions):
        reason, _ = desk.give(session.packet(b"\7\0"), (f"10.1.1.{number}", 1000))
        assert reason == (DropReason.UNKNOWN_CONNECTION if number < 2 else NONE)
    assert desk.give(other.packet(b"\7\0"), ("10.1.2.1", 1000))[0] == NONE


def test_an_ipv6_prefix_is_a_64() -> None:
    desk = server_desk(half_open=8, half_open_per_prefix=2)
    for number, host in enumerate(["2001:db8::1", "2001:db8::2:1", "2001:db8::ffff:1", "2001:db8:0:1::1"]):
        accepted(desk, reference_client(10 + number), (host, 1000))
    assert desk.endpoint.half_open == 3


def test_a_full_table_evicts_the_oldest_of_the_heaviest_prefix() -> None:
    """A flood from one network costs that network its slots, not the player from another."""
    desk = server_desk(half_open=6, half_open_per_prefix=6)
    honest = accepted(desk, reference_client(1), ("10.9.9.9", 1000))
    for number in range(12):
        desk.now_us += 1000
        accepted(desk, reference_client(10 + number), (f"10.1.1.{number}", 1000))
    assert desk.endpoint.half_open == 6
    assert desk.give(honest.packet(b"\7\0"), ("10.9.9.9", 1000))[0] == NONE


def test_a_full_server_says_so_at_once_under_seal() -> None:
    desk = server_desk(capacity=2)
    joined(desk, reference_client(1))
    accepted(desk, reference_client(2))                                 # its place is promised
    third = reference_client(3)
    reason, replies = desk.give(third.connect(get_cookie(desk, third)))
    third.answer(replies[0])
    assert reason == NONE and third.rejected == (DisconnectReason.SERVER_FULL, [])


def test_another_schema_is_told_the_classes_at_once() -> None:
    desk, client = server_desk(), reference_client(schema_hash=8)
    connect = client.connect(get_cookie(desk, client))
    _, replies = desk.give(connect)
    client.answer(replies[0])
    assert client.rejected == (DisconnectReason.SCHEMA_MISMATCH, [(1, 11), (2, 22)])
    assert desk.give(connect) == (NONE, replies)                        # stored, too


def test_a_hundred_and_eighty_classes_fit_and_more_are_cut() -> None:
    classes = tuple((i, i * 1000) for i in range(180))
    desk = server_desk(schema_classes=classes)
    for mtu, fitting in ((1200, 180), (1150, 180)):
        client = reference_client(mtu, schema_hash=8, mtu=mtu)
        client.answer(desk.give(client.connect(get_cookie(desk, client)))[1][0])
        assert client.rejected is not None and client.rejected[1] == list(classes[:fitting])


def test_rejected_clients_take_no_place_from_others() -> None:
    desk = server_desk(capacity=2)
    for number in range(10, 20):
        stranger = reference_client(number, schema_hash=8)
        stranger.answer(desk.give(stranger.connect(get_cookie(desk, stranger)))[1][0])
        assert stranger.rejected is not None
    joined(desk, reference_client(1))


@pytest.mark.parametrize("change", ["suites", "mtu", "token", "padding"])
def test_a_connect_payload_that_is_not_as_prescribed_is_refused(change: str) -> None:
    desk, client = server_desk(), reference_client()
    payload = bytearray(client.payload)
    if change == "suites":
        payload[12] = 2
    elif change == "mtu":
        payload[14] ^= 1
    elif change == "token":
        payload[16:18] = struct.pack("<H", 493)                        # one byte longer than any token is
    else:
        payload += bytes(100) + b"\1"
    client.payload = bytes(payload)
    assert desk.give(client.connect(get_cookie(desk, client))) == (DropReason.HANDSHAKE_FAILED, [])
    assert desk.endpoint.half_open == 0


@pytest.mark.parametrize("claimed, granted", [(1150, 1150), (1200, 1200), (1500, 1200)])
def test_the_granted_mtu_is_the_smaller_one_and_no_answer_is_longer_than_its_question(claimed: int,
                                                                                     granted: int) -> None:
    desk, client = server_desk(), reference_client(mtu=claimed)
    _, replies = desk.give(client.connect(get_cookie(desk, client)))
    client.answer(replies[0])
    assert client.accepted["mtu"] == len(replies[0]) == granted


def test_a_connect_below_the_smallest_mtu_is_refused() -> None:
    desk, client = server_desk(), reference_client(mtu=1149)
    assert desk.give(client.connect(get_cookie(desk, client))) == (DropReason.BAD_PADDING, [])


def test_an_address_with_a_dead_session_can_connect_again() -> None:
    """origin.md: it could not, until the old session timed out."""
    desk = server_desk()
    joined(desk, reference_client(1))
    joined(desk, reference_client(2))                                   # the same address and port
    assert desk.endpoint.live == 2 and [event[0] for event in desk.events] == [JOINED, JOINED]


def test_connection_ids_are_never_handles() -> None:
    """origin.md: the connection id was also the public entity id. Here it is random but for the shard's four bits."""
    desk = server_desk()
    sessions = [joined(desk, reference_client(number)) for number in range(1, 9)]
    ids = {session.connection_id for session in sessions}
    assert len(ids) == 8 and all(number >> 4 and number & 15 == 0 for number in ids)
    assert not ids & {event[1] & 0xFFFFFFFF for event in desk.events}


def test_replies_beyond_the_batch_are_counted_and_the_client_asks_again() -> None:
    desk = server_desk()
    hellos = [reference_client(number).hello() for number in range(1, 33)]
    desk.replies = type(desk.replies)(4)
    _, replies = desk.give_all(hellos)
    assert len(replies) == 4 and desk.dropped_messages() == {DropReason.REPLIES_FULL: 28}
    assert untouched(desk)


def test_nobody_without_the_static_key_can_pose_as_the_server() -> None:
    """origin.md: no server identity. A man in the middle who answers CONNECT with his own key is not believed."""
    client = protocol.Client(keys.public_key(IDENTITY), b"e" * 32, schema_hash=7)
    posing = protocol.Server(b"m" * 32, b"c" * 32, bytes(10) + b"\xff\xff\x0a\0\0\2", 40000)
    connect = client.connect(posing.cookie(client.hello(), 5, bytes(8)))
    with pytest.raises(noise.Refused):
        posing.read_connect(connect, 5)
    assert not client.hint_fits


def test_the_end_of_a_session_frees_its_place() -> None:
    desk = server_desk(capacity=1)
    session = joined(desk, reference_client(1))
    assert desk.give(session.packet(bytes([protocol.CONTROL, protocol.CLOSE, 1])))[0] == NONE
    assert desk.events[-1][0] == LEFT and desk.endpoint.live == 0
    joined(desk, reference_client(2))

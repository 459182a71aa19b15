"""Invariants at the limits: full batches, full inboxes, full queues, ends of sessions. Nothing is mixed up or stuck."""
import random

import numpy as np
import pytest

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.base.records import MESSAGE_DTYPE
from shadowland._core.base.status import DisconnectReason, DropReason
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland.errors import CapacityError, UsageError
from shadowland.testing import Link
from tests.sim.peers import LEFT, SERVER_ADDRESS, TICK_US, Pair, new_client, new_server

UNRELIABLE, RELIABLE, LATEST, INPUT, SNAPSHOT = 0, 1, 3, 4, 5


def noise(seed: int, length: int) -> bytes:
    """Bytes that no compression makes fewer."""
    return random.Random(seed).randbytes(length)


def test_what_is_queued_between_two_halves_of_an_outbound_pass_reaches_its_own_session() -> None:
    """A full batch stops the pass; a frame queued then for a session already passed must not be lost, let alone be
    read again later, when another session's frames lie in its place."""
    pair = Pair(clients=3).join()
    server = pair.server.endpoint
    sessions = sorted(int(handle) for handle in server.stats()["connection"])
    small = DatagramBatch(1)
    for i, session in enumerate(sessions):
        server.send(session, UNRELIABLE, 1, f"first {i}".encode())
    assert not server.outbound(small, pair.network.now_us)              # the first session is passed
    pair.server.port.send(small)
    server.send(sessions[0], UNRELIABLE, 1, b"second 0")
    while not server.outbound(small, pair.network.now_us):
        pair.server.port.send(small)
    pair.server.port.send(small)
    for i in range(9):                                                  # ... into the places that were used before
        server.send(sessions[i % 2 + 1], UNRELIABLE, 1, f"third {i % 2 + 1}".encode())
    server.send(sessions[0], UNRELIABLE, 1, b"third 0")
    pair.run(200_000)
    got = sorted(sorted(set(pair.client.payloads(handle, UNRELIABLE))) for handle in pair.handles)
    assert got == [[b"first 0", b"second 0", b"third 0"], [b"first 1", b"third 1"], [b"first 2", b"third 2"]]


def test_a_reliable_message_that_found_the_inbox_full_comes_with_the_next_one() -> None:
    """It was acknowledged, so it will not be sent again: it must come out by itself."""
    pair = Pair(server=new_server(inbox_records=4)).join()
    for i in range(20):
        pair.client.endpoint.send(pair.handle, RELIABLE, 1, bytes([i]))
    pair.run(1_000_000)
    assert pair.server.payloads(pair.session, RELIABLE) == [bytes([i]) for i in range(20)]


def test_an_inbox_that_is_full_for_a_long_time_loses_no_reliable_message() -> None:
    pair = Pair(server=new_server(inbox_records=1)).join()
    said = 0
    for _ in range(1500):
        while said < 600:
            try:
                pair.client.endpoint.send(pair.handle, RELIABLE, 1, said.to_bytes(2, "little"))
            except CapacityError:
                break
            said += 1
        pair.run(TICK_US)
    assert pair.server.payloads(pair.session, RELIABLE) == [i.to_bytes(2, "little") for i in range(600)]


def test_unreliable_messages_beyond_the_inbox_are_counted() -> None:
    pair = Pair(server=new_server(inbox_records=4)).join()
    for i in range(10):
        pair.client.endpoint.send(pair.handle, UNRELIABLE, 1, bytes([i]))
    pair.run(200_000)
    assert len(pair.server.payloads(pair.session, UNRELIABLE)) == 4
    assert pair.server.endpoint.message_drops[DropReason.INBOX_FULL] == 6


def test_a_message_as_long_as_allowed_fits_into_the_smallest_limits() -> None:
    """Limits under which a message could never be delivered are refused when the endpoint is made."""
    for name in ("blocks", "session_blocks", "inbox_bytes"):
        with pytest.raises(UsageError, match=name):
            Endpoint("client", capacity=1, seed=bytes(32), **{name: 64})    # type: ignore[arg-type]
    tight = Endpoint("server", capacity=2, seed=b"t" * 32, identity_secret=b"k" * 32, schema_hash=7, inbox_records=1,
                     inbox_bytes=262_144, blocks=2720 + 32, session_blocks=2720)
    pair = Pair(server=tight).join()
    pair.link(Link(loss=0.3, delay_us=10_000))
    for i in range(3):
        pair.client.endpoint.send(pair.handle, RELIABLE, 1, noise(i, 262_143))
        pair.run(16_000_000)
    assert pair.server.payloads(pair.session, RELIABLE) == [noise(i, 262_143) for i in range(3)]


def test_a_full_send_buffer_is_an_error_and_not_a_silent_drop() -> None:
    pair = Pair().join()
    said = 0
    with pytest.raises(CapacityError):
        for said in range(10_000):
            pair.client.endpoint.send(pair.handle, RELIABLE, 1, noise(said, 500))
    pair.run(3_000_000)
    assert pair.server.payloads(pair.session, RELIABLE) == [noise(i, 500) for i in range(said)]


def test_a_batch_whose_slots_are_too_small_is_refused() -> None:
    """It could never take a packet: outbound would ask for another call for ever."""
    with pytest.raises(UsageError, match="slot"):
        new_client().outbound(DatagramBatch(4, 1199), 1)


def test_time_may_begin_at_zero() -> None:
    client, batch = new_client(), DatagramBatch(4)
    client.connect(SERVER_ADDRESS, bytes([9]) + bytes(31), 0)
    assert client.outbound(batch, 0) and len(batch) == 1


def test_a_wrong_send_is_a_usage_error() -> None:
    pair = Pair().join()
    for channel, kind, payload in ((7, 1, b""), (6, 1, b""), (0x81, 1, b""), (0x12, 1, b""), (9, 1, b""),
                                   (0, 0, b""), (0, 201, b""), (4, 1, bytes(61)),
                                   (300, 1, b""), (0, 300, b""), (3, 1, bytes(997)),
                                   (1, 1, bytes(262_144)), (2, 1, bytes(262_144))):
        with pytest.raises(UsageError):
            pair.client.endpoint.send(pair.handle, channel, kind, payload)
    with pytest.raises(UsageError):
        pair.server.endpoint.send(pair.session, INPUT, 1, b"")
    with pytest.raises(UsageError):
        pair.server.endpoint.send(12345, UNRELIABLE, 1, b"")


def test_queue_says_of_each_record_what_became_of_it() -> None:
    pair = Pair().join()
    records = np.zeros(5, MESSAGE_DTYPE)
    arena = np.arange(64, dtype=np.uint8)
    records[0] = (pair.session, 0, 4, 3, 0, UNRELIABLE, 9, 0)
    records[1] = (pair.session + (1 << 32), 0, 0, 3, 0, UNRELIABLE, 9, 0)
    records[2] = (pair.session, 0, 60, 5, 0, UNRELIABLE, 9, 0)          # beyond the arena
    records[3] = (pair.session, 0, 0, 1, 0, 6, 9, 0)
    records[4] = (pair.session, 0, 64, 0, 0, UNRELIABLE, 8, 0)          # empty, at its end
    assert pair.server.endpoint.queue(records, arena) == 3
    assert list(records["flags"]) == [0, 1, 3, 4, 0]
    pair.run(100_000)
    assert pair.client.payloads(pair.handle, UNRELIABLE) == [bytes([4, 5, 6]), b""]


def test_a_handle_of_an_ended_session_names_nobody_when_its_slot_is_taken_again() -> None:
    pair = Pair(server=new_server(capacity=1), client=new_client(capacity=1)).join()
    old_client, old_server = pair.handle, pair.session
    pair.client.endpoint.close(old_client, DisconnectReason.CLIENT_LEFT, pair.network.now_us)
    pair.run(500_000)
    now_us = pair.network.now_us
    pair.handles.append(pair.client.endpoint.connect(SERVER_ADDRESS, pair.server.endpoint.public_key, now_us))
    pair.join()
    assert pair.handles[1] & 0xFFFFFFFF == old_client & 0xFFFFFFFF and pair.handles[1] != old_client
    for endpoint, handle in ((pair.client.endpoint, old_client), (pair.server.endpoint, old_server)):
        assert not endpoint.is_live(handle) and endpoint.remote(handle) is None and len(endpoint.stats(handle)) == 0
        assert not endpoint.close(handle, 1, now_us)
        with pytest.raises(UsageError):
            endpoint.send(handle, RELIABLE, 1, b"to whoever is there now")
    pair.run(200_000)
    assert not pair.server.messages and not pair.client.messages


def test_silence_ends_a_session_on_both_sides() -> None:
    pair = Pair().join()
    pair.run(200_000)                               # a client that never heard a sealed packet gives up earlier
    pair.link(Link(loss=1.0))
    pair.run(14_700_000, 100_000)
    assert not pair.client.heard(LEFT) and not pair.server.heard(LEFT)
    pair.run(800_000, 100_000)
    for peer in (pair.client, pair.server):
        assert [event.reason for event in peer.heard(LEFT)] == [DisconnectReason.IDLE_TIMEOUT]


def test_pings_keep_an_idle_session_alive() -> None:
    pair = Pair().join()
    before = pair.client.endpoint.counters["sent"]
    pair.run(120_000_000, 500_000)
    assert not pair.client.heard(LEFT) and not pair.server.heard(LEFT)
    assert pair.client.endpoint.counters["sent"] - before < 150         # a ping, its pong and their acks every 5 s


@pytest.mark.parametrize("reason", [reason for reason in DisconnectReason if reason is not DisconnectReason.NONE])
def test_every_close_reason_reaches_the_other_side(reason: DisconnectReason) -> None:
    pair = Pair(seed=20 + reason).join()
    pair.server.endpoint.close(pair.session, reason, pair.network.now_us)
    pair.run(1_000_000)
    assert [event.reason for event in pair.server.heard(LEFT)] == [reason]
    assert [event.reason for event in pair.client.heard(LEFT)] == [reason]


def test_a_close_reaches_the_other_side_although_the_first_two_packets_are_lost() -> None:
    pair = Pair().join()
    pair.link(Link(loss=1.0))
    pair.server.endpoint.close(pair.session, DisconnectReason.KICKED, pair.network.now_us)
    pair.run(5 * TICK_US)
    pair.link(Link())
    pair.run(500_000)
    assert [event.reason for event in pair.client.heard(LEFT)] == [DisconnectReason.KICKED]


def test_a_peer_that_sends_and_never_acknowledges_costs_no_more_with_time() -> None:
    """The record of what was sent is a ring; looking through it is bounded by the ring, not by the session's age."""
    pair = Pair(3).join()
    pair.run(200_000)                               # the client must have heard a sealed packet
    records = np.zeros(1, MESSAGE_DTYPE)
    payload = np.zeros(4, np.uint8)
    pair.network.set_link(pair.server.port, pair.client.port, Link(loss=1.0))
    for token in range(1, 600):
        records[0] = (pair.session, 0, 0, 4, token, SNAPSHOT, 0, 0)
        pair.server.endpoint.queue(records, payload)
        pair.client.endpoint.send(pair.handle, UNRELIABLE, 1, b"still here")
        pair.run(TICK_US)
    lost = {event.token for event in pair.server.heard(4)}
    assert max(lost) >= 599 - 256 - 8                                   # pushed out of the ring: known to be lost
    pair.link(Link())
    pair.network.set_link(pair.server.port, pair.client.port, Link())
    pair.run(2_000_000)
    told = {event.token for event in pair.server.events if event.token}
    assert told == set(range(1, 600))


def test_a_session_that_fills_its_share_of_the_inbox_leaves_the_others_theirs() -> None:
    """At the share's limit everything is taken, one more waits (reliable) or is dropped; others are not touched."""
    for channel, held in ((UNRELIABLE, 4), (RELIABLE, 4)):
        pair = Pair(server=new_server(session_inbox_records=4), clients=2).join()
        greedy, other = pair.handles
        for i in range(10):
            pair.client.endpoint.send(greedy, channel, 1, bytes([i]))
        pair.client.endpoint.send(other, channel, 2, b"me too")
        pair.client.step()
        pair.network.advance(60_000)                                    # they arrive; nobody has looked yet
        peer = pair.server
        while peer.port.receive(peer.incoming, pair.network.now_us):
            peer.endpoint.inbound(peer.incoming, peer.replies, pair.network.now_us)
        kinds = peer.endpoint.inbox["kind"].tolist()
        assert (kinds.count(1), kinds.count(2)) == (held, 1)
        pair.run(500_000)
        taken = [payload for messages in pair.server.messages.values() for payload in messages]
        drops = pair.server.endpoint.message_drops[DropReason.INBOX_FULL]
        assert (len(taken), drops) == ((11, 0) if channel == RELIABLE else (5, 6))


def test_a_latest_message_that_finds_no_room_leaves_the_way_free_for_an_older_one() -> None:
    """The older one is the newest that the application will have."""
    pair = Pair(server=new_server(inbox_records=1)).join()
    peer, network = pair.server, pair.network
    datagrams = []
    for text in (b"older", b"newer"):
        pair.client.endpoint.send(pair.handle, LATEST, 9, text)
        pair.client.outgoing.clear()
        pair.client.endpoint.outbound(pair.client.outgoing, network.now_us)
        datagrams.append(pair.client.outgoing[0])
    incoming = DatagramBatch(4)
    pair.client.endpoint.send(pair.handle, UNRELIABLE, 1, b"fills the inbox")
    pair.client.outgoing.clear()
    pair.client.endpoint.outbound(pair.client.outgoing, network.now_us)
    for data in (pair.client.outgoing[0], datagrams[1]):                # the newer one comes first and finds no room
        incoming.append(data, ("10.0.0.2", 40000), SERVER_ADDRESS)
    peer.endpoint.inbound(incoming, peer.replies, network.now_us)
    peer.read()
    assert peer.endpoint.message_drops[DropReason.INBOX_FULL] == 1
    incoming.clear()
    incoming.append(datagrams[0], ("10.0.0.2", 40000), SERVER_ADDRESS)
    peer.endpoint.inbound(incoming, peer.replies, network.now_us)
    peer.read()
    assert peer.payloads(pair.session, LATEST) == [b"older"] and peer.endpoint.message_drops[DropReason.STALE] == 0

"""Attacks by and on those who have a session: replays, tampering, forged CLOSE, fragment bombs, greed."""
import math
import random
import struct
import time

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.udp.socket import UdpSocket
from shadowland.schema import encode_one
from tests.attack.rig import Intruder, Rig, Row, difference
from tests.attack.victim import SCHEMA, Shout
from tests.reference import protocol

PLAYERS = 200
CALM_S = 4.0
FLOOD_PACKETS = 40_000
FLOOD_RATE = 100_000


def _alive(intruder: Intruder, seconds: float = 2.0) -> bool:
    """Whether a ping still gets its pong: its time, put forward by how long the answer waited."""
    session = intruder.wire.session
    assert session is not None
    mark = random.getrandbits(62)
    for _ in range(int(seconds / 0.1)):
        intruder.say(session.packet(bytes([protocol.CONTROL, protocol.PING]) + struct.pack("<Q", mark)))
        for frame in intruder.take(0.1):
            if frame[:2] == bytes([protocol.CONTROL, protocol.PONG]):
                waited_us = int.from_bytes(frame[2:10], "little") - mark
                if 0 <= waited_us < 1_000_000:
                    return True
    return False


def replay_and_tampering(seconds: float) -> Row:
    """Every packet of a session again, from its own address and from another, and with every byte changed."""
    with Rig() as rig:
        member, stranger = Intruder(rig, 1), Intruder(rig, 2)
        session = member.joined()
        sent = []
        for _ in range(40):
            sent.append(session.packet(bytes([protocol.CONTROL, protocol.PING]) + bytes(8)))
            member.say(sent[-1])
            member.take(0.02)
        member.take(0.3)
        before, _ = rig.look()
        copies = tampered = 0
        for data in sent:
            for intruder in (member, stranger):
                intruder.say(data)
                copies += 1
            time.sleep(0.001)
        fresh = session.packet(bytes([protocol.CONTROL, protocol.PING]) + bytes(8))
        for position in range(len(fresh)):
            changed = bytearray(fresh)
            changed[position] ^= 1 << random.randrange(8)
            member.say(bytes(changed))
            tampered += 1
            time.sleep(0.0005)
        member.take(0.3)
        after, _ = rig.look()
        drops = difference(before, after, "drops")
        accepted = after["accepted"] - before["accepted"]
        alive, heard = _alive(member), stranger.hear(0.3)
        for intruder in (member, stranger):
            intruder.close()
        # What the member itself sends meanwhile is nothing: every datagram was one of these.
        return {"copies": copies, "tampered": tampered, "accepted": accepted, "drops": drops,
                "heard_by_stranger": len(heard), "session_alive": alive,
                "held": accepted == 0 and sum(drops.values()) == copies + tampered and alive and not heard}


def spoofed_close(seconds: float) -> Row:
    """CLOSE without the keys: plain, under a wrong key, from the session's own address and from elsewhere."""
    with Rig() as rig:
        member, stranger = Intruder(rig, 1), Intruder(rig, 2)
        session = member.joined()
        close = bytes([0, 3, protocol.CONTROL, protocol.CLOSE, 1])
        wrong = protocol.Sealed(session.connection_id, bytes(32), bytes(32))
        forged = []
        for sequence in (0, session.sequence, session.sequence + 1, session.sequence + 1000, (1 << 64) - 1):
            for flags in range(8):
                forged.append(protocol.header(session.connection_id, 0, flags, sequence) + close + bytes(16))
            forged.append(wrong.seal(close, sequence))
        before, _ = rig.look()
        for intruder in (member, stranger):
            intruder.say(*forged)
        member.take(0.3)
        alive = _alive(member)
        after, _ = rig.look()
        for intruder in (member, stranger):
            intruder.close()
        return {"forged": 2 * len(forged), "session_alive": alive, "drops": difference(before, after, "drops"),
                "held": alive and after["sessions"] == 1}


def fragment_bomb(seconds: float) -> Row:
    """A member that begins messages and never ends them, as fast as it can, beside honest players."""
    with Rig(PLAYERS) as rig:
        member = Intruder(rig, 1)
        session = member.joined()
        calm, calm_players = rig.calm(CALM_S)
        part, count, start, most = bytes([0x08]), 0, time.monotonic(), 0
        while time.monotonic() - start < seconds:
            for _ in range(16):
                head = part + struct.pack("<HBB", count & 0xFFFF, count % 15, 16)
                member.say(session.packet(head + bytes(960)))
                count += 1
            member.take(0.001)
            if count % 2048 == 0:
                most = max(most, rig.victim.ask()["blocks_used"])
        after, players = rig.look()
        member.close()
        return {"parts_per_s": round(count / seconds), "blocks_most": most,
                "rss_kib": after["rss_kib"] - calm["rss_kib"], "lost_players": players["lost"],
                "rtt_ratio": round(players["rtt_p99_ms"] / calm_players["rtt_p99_ms"], 2),
                "message_drops": difference(calm, after, "message_drops"),
                # Four sets of sixteen parts of four blocks are all that one session can hold.
                "held": players["lost"] == 0 and most <= 4 * 16 * 4 + 64 and after["rss_kib"] - calm["rss_kib"] <= 1024}


def flooding_member(seconds: float) -> Row:
    """A member that sends packets at a hundred times what a session may (1,000 a second), beside honest players."""
    with Rig(PLAYERS) as rig:
        member = Intruder(rig, 1)
        session = member.joined()
        calm, calm_players = rig.calm(CALM_S)
        ping = bytes([protocol.CONTROL, protocol.PING]) + bytes(8)
        packets = [session.packet(ping) for _ in range(FLOOD_PACKETS)]         # sealed beforehand: it has to be fast
        batch, out = DatagramBatch(256), UdpSocket(*member.give_socket())
        start, sent, closed, asked = time.monotonic(), 0, math.nan, 0.0
        while (spent := time.monotonic() - start) < seconds:
            if sent > spent * FLOOD_RATE:
                time.sleep(0.0005)
                continue
            for data in packets[sent % FLOOD_PACKETS:][:batch.capacity]:
                batch.append(data, member.server)
            sent += batch.count
            while batch.count:
                out.send(batch)
            if math.isnan(closed) and spent > asked + 0.1:          # an answer takes a tick: not too often
                asked = spent
                closed = spent if rig.victim.ask()["sessions"] == PLAYERS else math.nan
        after, players = rig.look()
        out.close()
        return {"sent_per_s": round(sent / seconds), "closed_after_s": round(closed, 2),
                "lost_players": players["lost"], "bans": after["bans"], "rules": difference(calm, after, "rules"),
                "rtt_ratio": round(players["rtt_p99_ms"] / calm_players["rtt_p99_ms"], 2),
                "tick_p99_ms": after["tick_p99_ms"], "calm_tick_p99_ms": calm["tick_p99_ms"],
                "drops": difference(calm, after, "drops"),
                "held": players["lost"] == 0 and closed < seconds and after["bans"] == 0
                and players["rtt_p99_ms"] < 2 * calm_players["rtt_p99_ms"]}


def forged_blame(seconds: float) -> Row:
    """All that an outsider can send in a member's name, from its address and port: no score moves, nobody is banned."""
    with Rig() as rig:
        member = Intruder(rig, 1)
        session = member.joined()
        said = [session.packet(bytes([protocol.CONTROL, protocol.PING]) + bytes(8)) for _ in range(20)]
        member.say(*said)
        member.take(0.3)
        before, _ = rig.look()
        sent, start = 0, time.monotonic()
        wrong = protocol.Sealed(session.connection_id, bytes(32), bytes(32))
        while time.monotonic() - start < min(seconds, 10):
            other = protocol.Client(rig.key, random.randbytes(32), schema_hash=SCHEMA.hash)
            forged = [other.hello(), other.connect_with(struct.pack("<q", int(time.monotonic())) + bytes(40)),
                      member.wire.connect_datagram[:-1] + b"\0", random.choice(said),
                      wrong.seal(bytes([0, 3, protocol.CONTROL, protocol.CLOSE, 1]), session.sequence + sent),
                      wrong.seal(random.randbytes(60), 1 << 63 | sent)]
            member.say(*forged)             # from the member's own socket: nothing tells them apart but the keys
            sent += len(forged)
            member.hear(0.0)
        member.take(0.3)
        alive = _alive(member)
        after, _ = rig.look()
        member.close()
        newcomer = Intruder(rig, 1)
        newcomer.joined()                   # its address may still begin a session
        newcomer.close()
        rules = difference(before, after, "rules")
        return {"forged": sent, "session_alive": alive, "bans": after["bans"], "rules": rules,
                "drops": difference(before, after, "drops"),
                "held": alive and after["bans"] == 0 and not rules.keys() - {"hellos"}}


def unvalidated_path(seconds: float) -> Row:
    """A member's packets from an address that never answers: the server sends it at most three times what came."""
    with Rig() as rig:
        factors = []
        for number, count in enumerate((1, 3, 20)):
            member, elsewhere = Intruder(rig, 1 + number), Intruder(rig, 300 + number)
            session = member.joined()
            for _ in range(count):
                elsewhere.say(session.packet(bytes([protocol.CONTROL, protocol.PING]) + bytes(8)))
                member.take(0.02)
            heard, end = 0, time.monotonic() + min(seconds, 3.0)
            while time.monotonic() < end:
                heard += sum(map(len, elsewhere.hear(0.1)))
                member.take(0.05)
            factors.append(round(heard / elsewhere.sent, 2))
            alive = _alive(member)
            for intruder in (member, elsewhere):
                intruder.close()
            if not alive:
                break
        return {"bytes_out_per_byte_in": factors, "session_alive": alive, "held": alive and max(factors) <= 3.0}


def greedy_member(seconds: float) -> Row:
    """A member that says a hundred times what its class allows (50 a second), beside honest players."""
    with Rig(PLAYERS) as rig:
        member = Intruder(rig, 1)
        session = member.joined()
        calm, calm_players = rig.calm(CALM_S)
        start, count = time.monotonic(), 0
        shout = bytes([protocol.UNRELIABLE, SCHEMA.id_of(Shout)]) + encode_one(Shout(text="more"))
        while (spent := time.monotonic() - start) < seconds:
            if count > spent * 5000:
                member.take(0.001)
                continue
            member.say(session.packet(shout))
            count += 1
        after, players = rig.look()
        member.close()
        return {"said_per_s": round(count / seconds), "lost_players": players["lost"],
                "rtt_ratio": round(players["rtt_p99_ms"] / calm_players["rtt_p99_ms"], 2),
                "tick_p99_ms": after["tick_p99_ms"], "calm_tick_p99_ms": calm["tick_p99_ms"],
                "drops": difference(calm, after, "drops"),
                "message_drops": difference(calm, after, "message_drops"),
                "held": players["lost"] == 0 and players["rtt_p99_ms"] < 2 * calm_players["rtt_p99_ms"]}

"""Attacks by strangers: floods of forged addresses, stolen cookies, handshakes that never end, amplification."""
import os
import time

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland._core.udp.socket import UdpSocket, monotonic_us
from tests.attack.rig import Flood, Intruder, Rig, Row, difference
from tests.attack.victim import SCHEMA
from tests.reference import protocol

PLAYERS = 500
CALM_S = 5.0
CROWD = 10_000
CROWD_A_TURN = 128
CROWD_LIFE_S = 20                       # so long that all of them are half open at once


def _newcomer(rig: Rig) -> float:
    """Seconds that an honest client takes to come in."""
    newcomer, began = Intruder(rig, 9), time.monotonic()
    newcomer.joined()
    newcomer.close()
    return time.monotonic() - began


def _flood(kind: str, rate: float, seconds: float) -> Row:
    with Rig(PLAYERS) as rig:
        calm, calm_players = rig.calm(CALM_S)
        flood = Flood(rig.port, kind, rate, seconds)
        join_s = _newcomer(rig) if kind == "hello" else 0.0
        time.sleep(max(seconds - 0.5 - join_s, 0.0))
        after, players = rig.look()
        sent = flood.end()
        drops = difference(calm, after, "drops")
        return {
            "sent_per_s": round(sent["sent"] / sent["seconds"]),
            "rss_kib": after["rss_kib"] - calm["rss_kib"],
            "key_exchanges": after["handshakes"] - calm["handshakes"] - (kind == "hello"),      # the newcomer's
            "half_open": after["half_open"], "lost_players": players["lost"],
            "rtt_p99_ms": players["rtt_p99_ms"], "calm_rtt_p99_ms": calm_players["rtt_p99_ms"],
            "rtt_ratio": round(players["rtt_p99_ms"] / calm_players["rtt_p99_ms"], 2),
            "tick_p99_ms": after["tick_p99_ms"], "calm_tick_p99_ms": calm["tick_p99_ms"],
            "skipped_ticks": after["skipped"] - calm["skipped"],
            "honest_join_s": round(join_s, 2), "bans": after["bans"], "rules": difference(calm, after, "rules"),
            "server_cores": round((after["cpu_s"] - calm["cpu_s"]) / (seconds - 0.5), 2), "drops": drops,
        }


def hello_flood(seconds: float) -> Row:
    """50,000 HELLOs a second from forged addresses beside 500 honest players."""
    row = _flood("hello", 50_000, seconds)
    row["held"] = (row["rss_kib"] <= 1024 and row["key_exchanges"] == 0 and row["rtt_ratio"] < 2
                   and row["lost_players"] == 0 and row["half_open"] == 0 and row["honest_join_s"] < 5
                   and row["bans"] == 0)
    return row


def hello_flood_unbounded(seconds: float) -> Row:
    """As many HELLOs as one core makes. Not held to a round trip: what breaks first is the report."""
    row = _flood("hello", 0, seconds)
    row["held"] = row["rss_kib"] <= 1024 and row["key_exchanges"] == 0 and row["lost_players"] == 0
    breaks = {"round trip doubled": row["rtt_ratio"] >= 2, "ticks skipped": row["skipped_ticks"] > 0,
              "kernel buffer overflowed": row["drops"].get("KERNEL_OVERFLOW", 0) > 0}
    row["what_breaks"] = [what for what, happened in breaks.items() if happened] or ["nothing"]
    return row


def connect_flood(seconds: float) -> Row:
    """20,000 full-sized CONNECTs a second with cookies that nobody gave out."""
    row = _flood("connect", 20_000, seconds)
    row["held"] = (row["rss_kib"] <= 1024 and row["key_exchanges"] == 0 and row["lost_players"] == 0
                   and row["half_open"] == 0)
    return row


def session_flood(seconds: float) -> Row:
    """50,000 datagrams a second that look like sessions': random ids, nothing that opens."""
    row = _flood("session", 50_000, seconds)
    row["held"] = row["rss_kib"] <= 1024 and row["lost_players"] == 0 and row["rtt_ratio"] < 2
    return row


def cookie_theft(seconds: float) -> Row:
    """A cookie that another address, another port or another key uses, one that is forged, one that is too old."""
    with Rig() as rig:
        owner, thief = Intruder(rig, 1), Intruder(rig, 2)
        other_port = Intruder(rig, 1)
        cookie = owner.cookie()
        stolen = owner.wire.connect(cookie)
        before, _ = rig.look()
        thief.say(stolen)
        other_port.say(stolen)
        owner.say(thief.wire.connect_with(cookie[16:64]))
        owner.say(thief.wire.connect_with(bytes(48)), thief.wire.connect_with(b"\xff" * 48))
        flipped = bytearray(stolen)
        flipped[40] ^= 1
        owner.say(protocol.resummed(bytes(flipped)))
        replies = [len(intruder.hear(0.5)) for intruder in (owner, thief, other_port)]
        time.sleep(11.5)
        owner.say(stolen)
        replies.append(len(owner.hear(0.5)))
        after, _ = rig.look()
        drops = difference(before, after, "drops")
        exchanges = after["handshakes"] - before["handshakes"]
        for intruder in (owner, thief, other_port):
            intruder.close()
        return {"replies": sum(replies), "key_exchanges": exchanges, "drops": drops,
                "held": sum(replies) == 0 and exchanges == 0
                and drops.get("BAD_COOKIE", 0) + drops.get("COOKIE_EXPIRED", 0) == 7}


def amplification(seconds: float) -> Row:
    """Bytes that come back for every kind of datagram that a stranger can send: never more than went in."""
    with Rig() as rig:
        factors: dict[str, float] = {}
        client = Intruder(rig, 1)
        hello, connect = client.wire.hello(), client.wire.connect_with(bytes(48))
        echo = hello[6:14]
        said = {
            "hello": [hello] * 50,
            "short hello": [protocol.summed(hello[:60])] * 50,
            "another version": [protocol.handshake(protocol.HELLO, echo, hello[16:-4], version=9)] * 50,
            "another version, short": [protocol.handshake(protocol.HELLO, echo, hello[16:48], version=9)] * 50,
            "connect, forged cookie": [connect] * 50,
            "kinds of the server": [protocol.handshake(kind, echo, bytes(76)) for kind in (2, 3, 5, 6, 7, 255)] * 8,
            "session": [b"\x11\x22\x33\x44\0\3" + bytes(90)] * 50,
            "noise": [bytes(i for _ in range(40)) for i in range(250)],
        }
        for name, datagrams in said.items():
            stranger = Intruder(rig, 10 + len(factors))
            stranger.say(*datagrams)
            stranger.hear(0.4)
            factors[name] = round(stranger.received / stranger.sent, 3)
            stranger.close()
        honest = Intruder(rig, 99)
        answer = honest.wire.connect(honest.cookie())
        honest.sent = honest.received = 0
        for _ in range(20):                         # a valid CONNECT, repeated: the stored bytes each time
            honest.say(answer)
        honest.hear(0.4)
        factors["connect, repeated"] = round(honest.received / honest.sent, 3)
        for intruder in (client, honest):
            intruder.close()
        return {"bytes_out_per_byte_in": factors, "worst": max(factors.values()), "held": max(factors.values()) <= 1.0}


def slow_handshakes(seconds: float) -> Row:
    """300 clients do everything but the last step, again and again, while an honest one comes in."""
    with Rig(20, half_open=256) as rig:
        before, _ = rig.look()
        intruders = [Intruder(rig, 256 + i) for i in range(300)]
        waits, peak, start = [], 0, time.monotonic()
        while time.monotonic() - start < seconds:
            for intruder in intruders:
                intruder.fresh()
                intruder.say(intruder.wire.hello())
            for intruder in intruders:
                for heard in intruder.hear(0.02):
                    if heard[:5] == bytes(4) + b"\2" and heard[6:14] == intruder.wire.public[:8]:
                        intruder.say(intruder.wire.connect(heard))
                        break
            peak = max(peak, rig.look()[0]["half_open"])
            waits.append(_newcomer(rig))
        during, players = rig.look()
        for intruder in intruders:
            intruder.close()
        time.sleep(6.0)
        after, _ = rig.look()
        return {"half_open_most": peak, "half_open_after": after["half_open"],
                "honest_join_s": round(max(waits), 2), "joins": len(waits),
                "rss_kib": during["rss_kib"] - before["rss_kib"], "lost_players": players["lost"],
                "held": peak <= 256 and after["half_open"] == 0 and players["lost"] == 0 and max(waits) < 5}


class Crowd:
    """CROWD clients on addresses of their own that are accepted and never confirm: ACCEPTED is kept from them."""

    def __init__(self, rig: Rig) -> None:
        self.socket = UdpSocket("0.0.0.0", 0)
        self.endpoint = Endpoint("client", capacity=CROWD, seed=os.urandom(32), schema_hash=SCHEMA.hash)
        self.server, self.key = ("127.0.0.1", rig.port), rig.key
        self.come, self.kept, self.out = DatagramBatch(1024), DatagramBatch(1024), DatagramBatch(256)
        self.accepted: set[bytes] = set()
        self.asked = 0

    def turn(self) -> None:
        now = monotonic_us()
        for number in range(self.asked, min(self.asked + CROWD_A_TURN, CROWD)):
            self.endpoint.connect(self.server, self.key, now, (f"127.40.{number >> 8}.{number & 255}", 0))
        self.asked = min(self.asked + CROWD_A_TURN, CROWD)
        while self.socket.receive(self.come, now):
            self.kept.clear()
            for i in range(self.come.count):
                data = self.come[i]
                if data[4] == protocol.ACCEPTED:
                    self.accepted.add(data[6:14])
                else:
                    self.kept.append(data, self.come.remote(i), self.come.local(i), now)
            self.endpoint.inbound(self.kept, self.out, now)
            self.endpoint.clear()
        done = False
        while not done or self.out.count:
            done = self.endpoint.outbound(self.out, now)
            self.socket.send(self.out)


def half_open_crowd(seconds: float) -> Row:
    """10,000 clients from 10,000 addresses stop before the last step; an honest one comes in, players stay."""
    with Rig(100, half_open=16384, capacity=16384, half_open_s=CROWD_LIFE_S) as rig:
        before, _ = rig.look()
        crowd, start, most = Crowd(rig), time.monotonic(), 0
        while len(crowd.accepted) < CROWD and time.monotonic() - start < 20:
            crowd.turn()
            if crowd.asked < CROWD or len(crowd.accepted) % 512 == 0:
                most = max(most, rig.victim.ask()["half_open"])
            time.sleep(0.02)
        took, during = time.monotonic() - start, rig.victim.ask()
        most = max(most, during["half_open"])
        wait = _newcomer(rig)
        time.sleep(CROWD_LIFE_S + 1)
        after, players = rig.look()
        crowd.socket.close()
        return {"accepted": len(crowd.accepted), "in_s": round(took, 1), "half_open_most": most,
                "rss_kib": during["rss_kib"] - before["rss_kib"], "honest_join_s": round(wait, 2),
                "half_open_after": after["half_open"], "lost_players": players["lost"],
                "tick_p99_ms": during["tick_p99_ms"],
                "held": most >= CROWD and players["lost"] == 0 and wait < 5 and after["half_open"] == 0}
